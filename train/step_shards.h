/* A step as shards: which sequences are in which, and what all ranks' losses add up to.
 *
 * A step is dealt out by halves: its sequences go, the longest first, to the half that has fewer rows so far, and each
 * half is dealt out in the same way, until there is one for each shard. So ranks have much the same to do however many
 * they are (cut in the order of the step, two ranks waited 13 % of the time for each other), a shard depends on the
 * step alone, and one may be empty where sequences are few. Losses are added in the order of shards, or of a
 * validation's batches.
 *
 *   loom_dealt_step d = {0};
 *   LOOM_TRY(loom_step_deal(&d, &step, shards, err));          again for the next step: memory is kept
 *   for (int s = 0; s < shards; s++) use(loom_step_shard(&d, s));   borrowed until then
 *   loom_dealt_step_release(&d); */
#ifndef LOOM_TRAIN_STEP_SHARDS_H
#define LOOM_TRAIN_STEP_SHARDS_H

#include "core/arena.h"
#include "model/step.h"

typedef struct loom_step_share {
    int shards;    /* of a step; 0: it is computed as one */
    bool half;     /* gradients are added up and sent in bfloat16 (model/shard_tree.h) */
    int me, ranks; /* this is rank `me` of several that share the shards; ranks 0 or 1: of none */
} loom_step_share;

typedef struct loom_dealt_step {
    loom_arena arena;  /* of all that follows */
    loom_batch *shard; /* each with arrays of its own; its sequences in the order of the step */
} loom_dealt_step;

/* Copies the rows of the step, whose dropout, shape and allowed stay with whoever made it. NOMEM. */
loom_status loom_step_deal(loom_dealt_step *d, const loom_batch *step, int shards, loom_err *err);
static inline const loom_batch *loom_step_shard(const loom_dealt_step *d, int s) { return &d->shard[s]; }
void loom_dealt_step_release(loom_dealt_step *d); /* zeros are fine */

/* Sum of the losses of all shards, each of which the rank has filled in that computed it. Without shards: losses[0]. */
loom_status loom_step_losses(loom_loss *total, loom_loss *losses, const loom_step_share *o, loom_err *err);
/* Sum of n losses, of which rank i mod ranks has filled in the i-th. */
loom_status loom_step_add_losses(loom_loss *total, loom_loss *losses, size_t n, const loom_step_share *o,
                                 loom_err *err);

#endif
