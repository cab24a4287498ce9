/* Rows of a trace to a call graph and back (docs/VALIDITY.md section 1, steps 7 to 11).
 *
 * A row is one line of an Alibaba CallGraph table after filtering: what is left is known to be there and readable.
 * preprocess/ groups the rows of a file by trace and calls loom_rows_to_graph for each; writers of CSV (sample traces,
 * generated graphs) use loom_rows_render_*. */
#ifndef LOOM_TRACE_GRAPH_ROWS_H
#define LOOM_TRACE_GRAPH_ROWS_H

#include "trace/graph/callgraph.h"

#define LOOM_MS_PER_DAY ((int64_t)86400000)

typedef struct loom_row {
    int64_t timestamp;   /* ms */
    int64_t rt;          /* ms, truncated toward zero */
    const char *id_text; /* rpc_id as written; only for the order of rows with the same timestamp */
    const int32_t *id;   /* the same, parsed; borrowed by the graph */
    int32_t n_id;
    loom_call_type type;
    const char *source, *destination; /* canonical; borrowed by the graph */
    const char *service;              /* as written */
} loom_row;

/* Fills *g from the rows of one trace, given in file order (n >= 1); sorts `rows` in place by (timestamp, rpc_id as
 * bytes), stable. Base time = smallest timestamp, service = smallest name in byte order, first row of an id wins.
 * The calls array and the service name live in `arena`, ids and names are borrowed from the rows. Returns how many rows
 * were dropped as repeats of an id, -1 when memory ran out. The graph is sorted and not checked. */
int64_t loom_rows_to_graph(loom_graph *g, loom_row *rows, int64_t n, loom_arena *arena);

/* Appends the header line of a CallGraph CSV, and one line per call with timestamps from base_ms + arrived. */
void loom_rows_render_header(loom_buf *into);
void loom_rows_render_graph(loom_buf *into, const loom_graph *g, const char *traceid, int64_t base_ms);

#endif
