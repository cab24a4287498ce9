/* Is there enough in these graphs to learn from? Counts trees of calls and sizes, and says what is too little, before
 * anything is trained.
 *
 * A tree is the dotted ids and types of a graph's calls; names and times do not count. A size is number of calls and
 * depth: accuracy is judged size by size. */
#ifndef LOOM_PREPROCESS_STORES_VARIETY_H
#define LOOM_PREPROCESS_STORES_VARIETY_H

#include "core/meta.h"
#include "preprocess/stores/graph_profile.h"

typedef struct loom_variety {
    loom_counter trees, sizes;
    loom_buf key;
    int64_t graphs;
} loom_variety; /* zero-initialised is ready; one per thread */

void loom_variety_add(loom_variety *v, const loom_graph *g);
void loom_variety_merge(loom_variety *into, const loom_variety *from);
void loom_variety_release(loom_variety *v);

int64_t loom_variety_filled_sizes(const loom_variety *v); /* those with LOOM_VARIETY_FILLED graphs or more */
#define LOOM_VARIETY_FILLED 10

/* Puts counts into the sidecar: trees, sizes, filled_sizes. */
void loom_variety_describe(const loom_variety *v, loom_meta *meta);
/* Appends what is too little, one sentence with advice a line; nothing when there is enough. */
void loom_variety_advise(const loom_variety *v, loom_buf *into);

#endif
