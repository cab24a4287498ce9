/* Graphs from what is no CallGraph table: Jaeger, OTLP and Zipkin, tables of spans, and graph stores
 * (readers/files/graphsource.h has the rules and the counts).
 *
 *   loom_other_traces o = {.out = out, .rename = &rename};
 *   LOOM_TRY(loom_other_traces_add(&o, in, "traces.tar(a.json)", err));     each member
 *   LOOM_TRY(loom_other_traces_finish(&o, err));
 *   loom_other_traces_release(&o);
 *
 * With renaming, the graphs of a member wait until all its names are known. */
#ifndef LOOM_PREPROCESS_ROWS_OTHER_TRACES_H
#define LOOM_PREPROCESS_ROWS_OTHER_TRACES_H

#include "core/file.h"
#include "readers/files/graphsource.h"
#include "trace/graph/rename.h"

typedef struct loom_other_traces {
    /* set before the first text */
    loom_source source;  /* merge, cut_outliving; afterwards what was read and left out */
    loom_rename *rename; /* NULL: names stay */
    loom_out *out;       /* the graph store */
    loom_buf *ends_to;   /* for another process: how many bytes each text has put into `out`; NULL: not wanted */
    /* results */
    int64_t calls;
    char odd_name[64]; /* a name that the text encodings cannot carry, "" when there is none */
    /* of the text at hand */
    loom_graph *waiting;
    size_t n, cap;
    loom_intern names[LOOM_RENAME_KINDS];
    loom_arena arena;
    loom_buf line;
    int64_t written; /* bytes of `out` */
} loom_other_traces; /* zero-initialised is ready */

/* The rest of the member that `in` stands at. */
loom_status loom_other_traces_add(loom_other_traces *o, loom_in *in, const char *place, loom_err *err);
loom_status loom_other_traces_finish(loom_other_traces *o, loom_err *err);
bool loom_other_traces_any(const loom_other_traces *o); /* was there a text that is no table, or a file left out? */
/* The graphs and counts of texts that another process has read (ends_to, source.traces_to), without renaming there:
 * graphs[0 .. len) is what `out` got, `pack` puts the rest behind it. */
void loom_other_traces_pack(const loom_other_traces *o, loom_buf *into);
loom_status loom_other_traces_enter(loom_other_traces *o, const char *graphs, size_t len, loom_parcel *p,
                                    loom_err *err);
void loom_other_traces_release(loom_other_traces *o);

#endif
