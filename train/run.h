/* A training run in a folder: sets up data and model from the options, goes on where the folder's newest checkpoint
 * stands, trains, validates, saves, draws. The body of both pretrain and sft. */
#ifndef LOOM_TRAIN_RUN_H
#define LOOM_TRAIN_RUN_H

#include "core/cli.h"
#include "train/run_plan.h"

/* ctx->args are the shards; ctx->conf is a train_conf. */
loom_status loom_run_training(const loom_ctx *ctx, loom_run_kind kind, loom_err *err);

#endif
