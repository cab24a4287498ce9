/* Call graphs as trees of typed nodes with standardised response times, as TraceVAE takes them (Fig 5).
 *
 * The type of a node is (destination, type of call). One seen less than LOOM_FOREST_SEEN times in training is known
 * by its type of call alone: these types are the first, numbered as in loom_call_type, and what is usual of them
 * comes from all calls of that type. A node's value is log(1 + ms), standardised by its type. Graphs of more than
 * LOOM_TREE_MOST calls are cut breadth-first; those of one call are no trees. */
#ifndef LOOM_EVAL_FOREST_H
#define LOOM_EVAL_FOREST_H

#include "core/hash.h"
#include "learn/tree_vae.h"
#include "trace/graph/callgraph.h"

#define LOOM_FOREST_SEEN 5

/* What the training graphs of an origin say of types. */
typedef struct loom_node_types {
    loom_intern names;
    int64_t *seen;      /* by name */
    int32_t *of;        /* by name: the type; -1: seen too rarely to be one */
    double *mean, *std; /* by type, of log(1 + ms); std at least .3 */
    double *std_ms;     /* by type, at least 1 */
    size_t cap;
    int64_t n;     /* types */
} loom_node_types; /* zero-initialised is ready */

loom_status loom_node_types_of(loom_node_types *t, const loom_graph *graphs, const int64_t *index, int64_t n,
                               loom_err *err);
/* Type of a call; that of all calls of its kind for what training did not have. */
int32_t loom_node_type(const loom_node_types *t, const loom_call *c);
void loom_node_types_release(loom_node_types *t);

typedef struct loom_forest {
    int64_t *first;
    int32_t *type, *parent;
    float *value;
    size_t cap_first, cap_type, cap_parent, cap_value;
    int64_t n, cut; /* trees; of those, graphs that were cut */
} loom_forest;      /* zero-initialised is ready */

/* Adds a valid, sorted graph of at least two calls. */
loom_status loom_forest_add(loom_forest *f, const loom_node_types *t, const loom_graph *g, loom_err *err);
loom_trees loom_forest_trees(const loom_forest *f);
/* Without the graph around it: how far the strangest response time of tree i lies from its type's mean, in standard
 * deviations. */
double loom_forest_farthest(const loom_forest *f, int64_t i);
void loom_forest_release(loom_forest *f);

#endif
