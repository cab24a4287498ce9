/* Gradients of the shards of a step, summed in an order that does not depend on who computed them.
 *
 * A step is cut into V shards, V a power of two. The sum is that of a binary tree whose leaves they are:
 * ((0+1)+(2+3))+((4+5)+(6+7)).
 * Each of R ranks, R <= V, computes the shards r V/R .. (r+1) V/R - 1 and adds up what is whole in them (its
 * nodes). Then rank j receives its slice of all nodes, adds them up along the tree, and sends the sum to the others:
 * every rank sends and receives 2 (R-1)/R of a gradient, and nodes beyond the first where R is no power of two.
 *
 * With `half`, every node of the tree, leaves and sum among them, is rounded to bfloat16. So a node is the same whoever
 * makes it, and travels in half the bytes.
 *
 *   loom_shard_tree t;
 *   LOOM_TRY(loom_shard_tree_new(&t, V, me, R, floats, g, pool, err));
 *   for (s = t.first; s < t.end; s++) {
 *       float *leaf = loom_shard_tree_leaf(&t);      zeros; add the gradient of shard s to it
 *       loom_shard_tree_add(&t);
 *   }
 *   LOOM_TRY(loom_shard_tree_sum(&t, err));          g: the sum, on all ranks the same bits
 *   loom_shard_tree_release(&t); */
#ifndef LOOM_MODEL_SHARD_TREE_H
#define LOOM_MODEL_SHARD_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/pool.h"

#define LOOM_SHARDS_MOST  64
#define LOOM_SHARDS_USUAL 8 /* of a run with several processes that does not say */

#define LOOM_SHARD_DEPTH 16 /* nodes that wait for their neighbours: at most twice the logarithm of the shards */

/* Part of the tree: shards first .. first + n - 1, n a power of two that divides first. */
typedef struct loom_shard_node {
    int first, n, rank; /* rank: who computes it */
} loom_shard_node;

typedef struct loom_shard_tree {
    int shards, me, ranks;
    int first, end; /* shards of this rank */
    size_t floats;  /* of a gradient */
    bool half;
    float *block
        [LOOM_SHARD_DEPTH]; /* gradients that are not added up yet: [0] is g, borrowed; the others are made at need */
    loom_shard_node node[LOOM_SHARD_DEPTH]; /* what block i holds */
    int n_blocks, n_made;
    loom_shard_node *all; /* nodes of all ranks, in the order of shards */
    int n_all;
    float *slices; /* received, one after the other */
    loom_pool *pool;
} loom_shard_tree;

/* Blocks of a gradient's size that a rank needs, g among them. */
int loom_shard_tree_blocks(int shards, int ranks, int me);
/* What the rank with most to do sends or receives in loom_shard_tree_sum, in gradients: 2 (R-1)/R where R is a
 * power of two. */
double loom_shard_tree_traffic(int shards, int ranks);
/* How often ranks exchange one after the other in it. */
int64_t loom_shard_tree_rounds(size_t floats);
/* Bytes for slices of other ranks, and for what travels in halves. */
size_t loom_shard_tree_slices(int shards, int ranks, int me, size_t floats, bool half);
/* Shard s is computed by this rank. */
int loom_shard_rank(int shards, int ranks, int shard);

/* g (floats) and the pool are borrowed. */
loom_status loom_shard_tree_new(loom_shard_tree *t, int shards, int me, int ranks, size_t floats, bool half, float *g,
                                loom_pool *pool, loom_err *err);
void loom_shard_tree_release(loom_shard_tree *t); /* zeros are fine */

/* Begins a step again: what was added before is forgotten. */
void loom_shard_tree_clear(loom_shard_tree *t);
float *loom_shard_tree_leaf(loom_shard_tree *t);
void loom_shard_tree_add(loom_shard_tree *t);
/* After the last shard. Without other ranks all is added up then, and this does nothing. */
loom_status loom_shard_tree_sum(loom_shard_tree *t, loom_err *err);

#endif
