/* Traces to graphs: built, checked and rendered by all threads, written in order. */
#ifndef LOOM_PREPROCESS_ROWS_GRAPH_BUILD_H
#define LOOM_PREPROCESS_ROWS_GRAPH_BUILD_H

#include "core/file.h"
#include "core/pool.h"
#include "preprocess/rows/graphs_report.h"
#include "preprocess/rows/row_join.h"
#include "preprocess/rows/trace_groups.h"

typedef struct loom_graph_build {
    const loom_chunks *chunks;
    const loom_row_join *join;
    const loom_trace_groups *groups;
    loom_pool *pool;
    loom_out *out;      /* the graph store */
    loom_out *verdicts; /* JSON lines, one for each trace; NULL: none */
} loom_graph_build;

/* Writes the valid graphs; adds graphs, calls and what was rejected to *counts. */
loom_status loom_graph_build_run(const loom_graph_build *b, loom_graphs_counts *counts, loom_err *err);
/* Verdicts of the traces that no row is left of, by id. */
loom_status loom_graph_build_empty(const loom_graph_build *b, loom_err *err);

#endif
