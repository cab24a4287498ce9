/* What makes a run this run: the options that must stay the same when it goes on, and the checksums of its base and
 * shards; and what its files tell of where they came from. */
#ifndef LOOM_TRAIN_RUN_IDENTITY_H
#define LOOM_TRAIN_RUN_IDENTITY_H

#include "core/cli.h"
#include "store/ckpt.h"
#include "store/shard.h"
#include "train/run_plan.h"

typedef struct loom_run_identity {
    loom_buf rules;    /* text/train of its checkpoints: "key=value" lines */
    loom_buf unsaid;   /* lines of options that are told unless they have their default, and have it */
    loom_buf meta;     /* text/meta: how it was made, JSON */
    char base_sum[33]; /* of the weights that it starts from; "" for random ones */
} loom_run_identity;   /* zero-initialised is ready */

/* Fills rules and base_sum. Reads the tables of contents of base and shards, of old shards all of them. */
loom_status loom_run_identity_rules(loom_run_identity *id, const loom_ctx *ctx, const loom_run_plan *p, loom_err *err);
/* Fills meta. train: of the first shard; base_meta: how the base was made, NULL when that is not known. */
loom_status loom_run_identity_meta(loom_run_identity *id, const loom_ctx *ctx, const loom_run_plan *p,
                                   const loom_shard_info *train, const char *base_meta, loom_err *err);
/* Is the checkpoint one of this run? FORMAT or ARG with a sentence that names the first thing that differs. */
loom_status loom_run_identity_check(const loom_run_identity *id, const loom_ckpt *c, const loom_shard_info *train,
                                    const char *dir, loom_err *err);
void loom_run_identity_release(loom_run_identity *id);

#endif
