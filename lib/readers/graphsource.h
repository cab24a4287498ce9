/* Call graphs from files of any kind: graph stores, CallGraph CSV, Jaeger JSON, OTLP/JSON; plain, compressed, in tar
 * files, in folders. Told apart by content.
 *
 *   loom_source s = {0};
 *   LOOM_TRY(loom_source_read(&s, path, take, &state, err));           one call for each file or folder
 *   loom_source_render_counts(&s, &text);
 *
 * CSV rows are taken as they are (types and names must be known; others are counted): cleaning raw tables is the work
 * of loom-preprocess graphs. Graphs that are not valid are counted by reason, never passed on. */
#ifndef LOOM_READERS_GRAPHSOURCE_H
#define LOOM_READERS_GRAPHSOURCE_H

#include "readers/spans.h"

typedef struct loom_source {
    loom_span_counts spans;     /* of Jaeger and OTLP files */
    int64_t files, records, traces, rows, graphs;
    int64_t dropped_rows;       /* CSV rows without known type, names, id or times */
    int64_t rejected[LOOM_REASONS]; /* records and traces of CSV, by first reason */
    bool seen_records, seen_csv, seen_spans;
} loom_source; /* zero-initialised is ready */

loom_status loom_source_read(loom_source *s, const char *path, loom_take_graph take, void *arg, loom_err *err);
/* "1617 spans of 147 traces: 147 graphs, 882 calls; 735 spans within a service" and what could not be used. */
void loom_source_render_counts(const loom_source *s, loom_buf *into);
int64_t loom_source_rejected(const loom_source *s); /* graphs that were not valid, all formats */

#endif
