/* A step as shards: which sequences are in which, and what all ranks' losses add up to.
 *
 * A step of N rows is cut at the sequence that begins nearest to k N / shards; so a shard depends on the step
 * alone, and one may be empty where sequences are few. Losses are added in the order of shards, or of a validation's
 * batches. */
#ifndef LOOM_TRAIN_STEP_SHARDS_H
#define LOOM_TRAIN_STEP_SHARDS_H

#include "model/step.h"

typedef struct loom_step_share {
    int shards;    /* of a step; 0: it is computed as one */
    bool half;     /* gradients are added up and sent in bfloat16 (model/shard_tree.h) */
    int me, ranks; /* this is rank `me` of several that share the shards; ranks 0 or 1: of none */
} loom_step_share;

/* Shard s of a step, 0 <= s < shards; local (n_segments + 1) receives its segment table. Arrays are those of the
 * step. */
loom_batch loom_step_shard(const loom_batch *step, int s, int shards, int64_t *local);

/* Sum of the losses of all shards, each of which the rank has filled in that computed it. Without shards: losses[0]. */
loom_status loom_step_losses(loom_loss *total, loom_loss *losses, const loom_step_share *o, loom_err *err);
/* Sum of n losses, of which rank i mod ranks has filled in the i-th. */
loom_status loom_step_add_losses(loom_loss *total, loom_loss *losses, size_t n, const loom_step_share *o,
                                 loom_err *err);

#endif
