/* What two sets of graphs are compared by, counted in one of them.
 *
 * Calls of one graph have to do with each other, graphs do not: so every test looks at one thing from each graph.
 * Where an operation is invoked several times in a graph, one of the invocations is drawn, by a hash of the graph's
 * content: the same whatever the order and the number of threads. */
#ifndef LOOM_SYSTEM_CONTRAST_TALLY_H
#define LOOM_SYSTEM_CONTRAST_TALLY_H

#include "system/call_tree.h"
#include "system/operations.h"
#include "system/pair_map.h"
#include "system/time_counts.h"

typedef struct loom_contrast_operation {
    int64_t calls, graphs;          /* invocations; graphs that have any */
    loom_time_counts own, response; /* of the one drawn from each graph */
} loom_contrast_operation;

typedef struct loom_contrast_dependency {
    int64_t calls, graphs;
    loom_time_counts number;   /* of calls, where the drawn invocation of the caller makes any */
    loom_time_counts response; /* of one call drawn from each graph */
} loom_contrast_dependency;

typedef struct loom_contrast_path {
    int64_t calls, graphs;
    loom_time_counts response;
} loom_contrast_path;

/* Of the graph at hand: which of its calls was drawn. */
typedef struct loom_contrast_draw {
    int64_t graph; /* + 1; another: nothing yet */
    int32_t n, call;
} loom_contrast_draw;

typedef struct loom_contrast_tally {
    int32_t path_depth; /* set before the first graph: paths of so many calls, at most */
    loom_operations ops;
    loom_contrast_operation *op;
    size_t op_cap;
    loom_pair_map pairs; /* (caller or -1, callee) */
    loom_contrast_dependency *dep;
    size_t dep_cap;
    loom_pair_map paths; /* (path above or -1, operation) */
    loom_contrast_path *path;
    size_t path_cap;
    int64_t graphs, calls;
    /* while a graph is added */
    loom_call_tree tree;
    loom_contrast_draw *op_draw, *dep_draw, *path_draw;
    size_t op_draw_cap, dep_draw_cap, path_draw_cap;
    int32_t *work; /* of each call: operation, dependency, path; then room for children */
    size_t work_cap;
} loom_contrast_tally; /* zero-initialised is ready, without paths */

loom_status loom_contrast_add(loom_contrast_tally *t, const loom_graph *g, loom_err *err);
/* `from` gives its times away and can only be released. */
loom_status loom_contrast_join(loom_contrast_tally *t, loom_contrast_tally *from, loom_err *err);
void loom_contrast_release(loom_contrast_tally *t);

#endif
