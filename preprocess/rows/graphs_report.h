/* What became of rows and traces, counted by reason: of one file, and of a whole run. */
#ifndef LOOM_PREPROCESS_ROWS_GRAPHS_REPORT_H
#define LOOM_PREPROCESS_ROWS_GRAPHS_REPORT_H

#include "core/json.h"
#include "readers/files/graphsource.h"
#include "readers/rows/row_reader.h"
#include "trace/graph/validity.h"

/* Rejections of a whole trace beyond those of loom_reason. */
enum {
    LOOM_TRACE_NO_ROWS_LEFT = LOOM_REASONS, /* every row was dropped */
    LOOM_TRACE_TOO_LARGE,                   /* more than LOOM_TRACE_MAX_ROWS rows */
    LOOM_TRACE_FAULTS
};
#define LOOM_TRACE_MAX_ROWS 1000000

const char *loom_trace_fault_name(int fault);

typedef struct loom_graphs_counts {
    int64_t bytes, rows, kept, short_rows, blank_lines, other_case, repeated_ids;
    int64_t callee_twins, callee_only, moved_calls; /* with service_from_root: see preprocess/rows/record_pairs.h */
    int64_t table_bytes; /* memory of the rows kept and their traces; of several files, the most */
    int64_t dropped[LOOM_DROPS];
    int64_t first_line[LOOM_DROPS]; /* of the first such row, 0: none; only for one file */
    int64_t traces, graphs, edges;
    int64_t split_traces;                /* traces that came back in a later file: in pieces, each by itself */
    int64_t rejected[LOOM_TRACE_FAULTS]; /* traces, by their first reason: adds up to traces - graphs */
    int64_t reasons[LOOM_TRACE_FAULTS];  /* traces that have this reason among theirs */
} loom_graphs_counts;

/* Sums; table_bytes is the larger one, first_line stays. */
void loom_graphs_counts_add(loom_graphs_counts *into, const loom_graphs_counts *from);

typedef struct loom_graphs_report {
    loom_graphs_counts total;
    loom_buf files;                 /* JSON array members, one object for each file */
    int64_t n_files, n_empty_files; /* n_empty_files: gave no graph */
    int64_t most_rows;              /* kept of one file; where files were only looked into, an estimate of its rows */
    loom_intern unlisted;           /* types that were not listed, all files */
    int64_t *unlisted_counts;
    size_t cap_unlisted;
} loom_graphs_report; /* zero-initialised is ready */

/* The type that was not listed most often (the first of several), "" when all were. */
const char *loom_graphs_report_commonest_type(const loom_graphs_report *r);
/* Adds the types that a reader met and that are not listed. */
loom_status loom_graphs_report_unlisted(loom_graphs_report *r, const loom_row_reader *from, loom_err *err);
/* Adds `n` calls of one such type. */
loom_status loom_graphs_report_type(loom_graphs_report *r, const char *type, size_t len, int64_t n, loom_err *err);
/* Adds a file; `place` NULL: `n_files` files that were merged, which have no line numbers of their own. */
void loom_graphs_report_file(loom_graphs_report *r, const char *place, int64_t n_files, const loom_graphs_counts *c);
/* {"files":[...],"total":{...},"types_not_listed":{...},"no_tables":{...}}: of tables, and where there was any, of
 * what is none (other_traces.h).
 * `not_sought`: traces that split_traces.h had forgotten. */
void loom_graphs_report_render(const loom_graphs_report *r, int64_t not_sought, const loom_source *others,
                               loom_buf *into);
/* "3 rows: TYPE_NOT_LISTED 2, RT_NULL 1; 1 trace: NO_ROOT 1" for messages. */
void loom_graphs_render_reasons(const loom_graphs_counts *c, loom_buf *into);
/* A line of the verdicts: {"trace":...,"accepted":...,"reasons":[...]}, with `fault` for a trace that never was a
 * graph. */
void loom_graphs_render_verdict(loom_buf *into, const char *trace, const loom_verdict *v, const char *fault,
                                int64_t edges);
void loom_graphs_report_release(loom_graphs_report *r);

#endif
