/* One graph as a tree in time: who calls whom, in which stages, and how long each call works itself.
 *
 * The children of a call are ordered by start. A stage is a run of them that overlap in time, one with the next: it
 * begins with a child that starts when all before it have finished. Own time is the response time minus the union of
 * the children's intervals, as far as they lie within the call's. */
#ifndef LOOM_SYSTEM_CALL_TREE_H
#define LOOM_SYSTEM_CALL_TREE_H

#include "trace/graph/callgraph.h"

typedef struct loom_call_tree {
    const loom_graph *g; /* borrowed; sorted, valid */
    int32_t *parent;     /* of each call; -1: the root */
    int32_t *first;      /* children of call i: child[first[i]] .. child[first[i + 1] - 1], by start */
    int32_t *child;
    int32_t *stage; /* of each call among its siblings, from 0 */
    int64_t *own;   /* ms */
    size_t cap;
} loom_call_tree; /* zero-initialised is ready; refilled graph after graph */

/* False: no memory. */
bool loom_call_tree_fill(loom_call_tree *t, const loom_graph *g) __attribute__((warn_unused_result));
static inline int32_t loom_call_tree_children(const loom_call_tree *t, int32_t i)
{
    return t->first[i + 1] - t->first[i];
}
void loom_call_tree_release(loom_call_tree *t);

#endif
