/* Call graphs from files of any kind: graph stores, CallGraph CSV, Jaeger, OTLP (JSON, protobuf), Zipkin, tables of
 * spans; plain, compressed, in tar files, in folders. Told apart by content.
 *
 *   loom_source s = {.strict = false};
 *   LOOM_TRY(loom_source_read(&s, path, take, &state, err));           one call for each file or folder
 *   LOOM_TRY(loom_source_finish(&s, take, &state, err));
 *   loom_source_render_counts(&s, &text);
 *   loom_source_release(&s);
 *
 * Graphs that are not valid are counted by reason, never passed on. docs/FORMATS.md, "Traces of other systems". */
#ifndef LOOM_READERS_FILES_GRAPHSOURCE_H
#define LOOM_READERS_FILES_GRAPHSOURCE_H

#include "core/file.h"
#include "core/hash_set.h"
#include "core/parcel.h"
#include "readers/rows/csv_rows.h"
#include "readers/spans/spans.h"

/* Lines of a graph store, some MiB at a time: text[0 .. len) ends with a line's end, or is the last. The taker
 * parses them itself (on several threads) and adds what it met to the counts of the source. */
typedef loom_status (*loom_take_lines)(void *arg, const char *text, size_t len, loom_err *err);

typedef struct loom_source {
    /* set before reading */
    loom_take_lines take_lines; /* graph stores go there instead of to `take`; NULL: to `take`, graph by graph */
    bool strict;                /* a record or file that cannot be read is an error, not a count */
    bool merge;                 /* traces may be spread over the files: all are read before the first graph is made */
    bool cut_outliving;         /* spans: see loom_spans */
    loom_buf *traces_to;        /* traces go there, for another process to say which came back; NULL: they stay */
    /* counts */
    loom_span_counts spans;                       /* of Jaeger, OTLP and Zipkin files */
    loom_left_out left;                           /* files and CSV rows */
    int64_t files, records, traces, rows, graphs; /* traces, rows: of CSV */
    int64_t rejected[LOOM_REASONS];               /* records and traces of CSV, by first reason */
    int64_t split_traces; /* traces that came back in a later file, without merge: more than one graph, or none */
    loom_buf first_split; /* "file, trace" of the first of them */
    bool seen_records, seen_csv, seen_spans;
    /* between files */
    loom_spans waiting_spans; /* with merge */
    loom_csv_rows waiting_rows;
    loom_hash_set earlier; /* traces of the files so far */
} loom_source;             /* zero-initialised is ready */

/* What a text holds, by its first bytes: some hundred of them tell. */
typedef enum loom_text_kind {
    LOOM_TEXT_KIND_BLANK,
    LOOM_TEXT_KIND_SPANS,
    LOOM_TEXT_KIND_PROTOBUF,   /* spans too */
    LOOM_TEXT_KIND_SPAN_TABLE, /* spans too */
    LOOM_TEXT_KIND_RECORDS,
    LOOM_TEXT_KIND_ROWS
} loom_text_kind;
loom_text_kind loom_source_kind(const char *text, size_t len); /* ROWS: also what is none of the others */
/* Our notes beside files, and what file systems hide (macOS puts "._NAME" beside NAME into archives): no traces. */
bool loom_source_is_beside(const char *path);

loom_status loom_source_read(loom_source *s, const char *path, loom_take_graph take, void *arg, loom_err *err);
/* The rest of the member that `in` stands at; `place` is "file" or "file(member)". */
loom_status loom_source_read_member(loom_source *s, loom_in *in, const char *place, loom_take_graph take, void *arg,
                                    loom_err *err);
/* A file that is left out unread. */
void loom_source_left_file(loom_source *s, const char *place);
/* After the last file: with merge, this is where graphs of spans and rows come out. */
loom_status loom_source_finish(loom_source *s, loom_take_graph take, void *arg, loom_err *err);
void loom_source_release(loom_source *s);

/* The counts of a source that read for another process (traces_to is set; without merge), and back: added to those of
 * `s`, as if it had read the files itself. */
void loom_source_pack(const loom_source *s, loom_buf *into);
loom_status loom_source_enter(loom_source *s, loom_parcel *p, loom_err *err);
/* A trace of the file `path`; key: its kind and its id, two traces of one key are one. */
loom_status loom_source_note_trace(loom_source *s, const char *path, const char *key, size_t len, loom_err *err);

/* "147 graphs, 1617 spans of 147 traces read; 735 spans within a service, no calls" and what could not be used. */
void loom_source_render_counts(const loom_source *s, loom_buf *into);
/* The same as an object of numbers, reasons by name. */
void loom_source_json_counts(const loom_source *s, loom_jw *w);
int64_t loom_source_rejected(const loom_source *s); /* graphs that were not valid, all formats */

#endif
