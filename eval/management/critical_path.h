/* Critical paths of call graphs, after FIRM (Qiu et al., OSDI 2020) as its public program computes them:
 *
 *   path(call) = call, then path(l) for the child l that returns last, then path(c) for every child c that ends
 *                before l starts
 *
 * What a microservice costs a request is the exclusive time of its calls on the path: their span without what
 * children on the path cover. */
#ifndef LOOM_EVAL_CRITICAL_PATH_H
#define LOOM_EVAL_CRITICAL_PATH_H

#include "core/hash.h"
#include "trace/graph/callgraph.h"

/* Of graph k: microservices node[first[k]] .. node[first[k+1]), each once, with their exclusive time own[...] in ms. */
typedef struct loom_critical_paths {
    int64_t n;
    int64_t *first;
    int32_t *node;
    double *own;
    double *total; /* (n): response time of the root call */
    size_t cap_first, cap_node, cap_own, cap_total;
} loom_critical_paths; /* zero-initialised is ready */

/* Adds a valid, sorted graph; nodes gives microservices their ids. */
loom_status loom_critical_paths_add(loom_critical_paths *p, loom_intern *nodes, const loom_graph *g, loom_err *err);
void loom_critical_paths_release(loom_critical_paths *p);

/* on[i]: call i is on the critical path. own[i]: its exclusive time, 0 off the path. Both (g->n_calls). */
loom_status loom_critical_path(bool *on, double *own, const loom_graph *g, loom_err *err);

#endif
