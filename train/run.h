/* A training run in a folder: sets up data and model from the options, goes on where the folder's newest checkpoint
 * stands, trains, validates, saves, draws. The body of both pretrain and sft.
 *
 * The folder: step-*.h5 (to go on), model.h5 or adapter.h5 (the result), best.h5 (lowest validation loss),
 * curve.csv and its picture; run.lock while it is at work. */
#ifndef LOOM_TRAIN_RUN_H
#define LOOM_TRAIN_RUN_H

#include "core/cli.h"
#include "train/train_conf.h"

/* ctx->args are the shards; ctx->conf is a train_conf. */
loom_status loom_run_training(const loom_ctx *ctx, loom_err *err);

#endif
