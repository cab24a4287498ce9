/* Which samples of a shard belong to one graph, where a graph is the unit of privacy.
 *
 * encode writes the texts of a graph one after the other, the layer that nobody calls first, and tokens keeps that
 * order. So a graph begins at every sample whose text is a whole graph or a layer without a caller, and reaches up to
 * the next one. That holds for text as encode wrote it, once for each graph: text that was balanced, shuffled or
 * written in several copies is refused, by what the shard tells of its text (texts in /meta).
 *
 *   loom_graph_units u = {0};
 *   LOOM_TRY(loom_graph_units_find(&u, loader, err));
 *   for (int64_t i = 0; i < u.n; i++) use(samples u.first[i] .. u.first[i + 1] - 1 of the loader);
 *   loom_graph_units_release(&u); */
#ifndef LOOM_TRAIN_GRAPH_UNITS_H
#define LOOM_TRAIN_GRAPH_UNITS_H

#include "train/loader.h"

typedef struct loom_graph_units {
    int64_t n;
    int64_t *first;     /* (n + 1) samples of the loader; a graph whose samples are all left out has none */
    int64_t alike;      /* graphs whose text is that of another */
    int64_t most_alike; /* the largest number of graphs of one text; 1: no two are alike */
} loom_graph_units;

/* The loader must read one shard. FORMAT or ARG with the cure when it cannot be told which samples are a graph. */
loom_status loom_graph_units_find(loom_graph_units *out, const loom_loader *l, loom_err *err);
void loom_graph_units_release(loom_graph_units *u); /* zero-initialised is fine */

#endif
