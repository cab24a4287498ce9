/* Checkpoints of a training run: all that is needed to go on as if nothing had happened.
 *
 * step-N.h5 holds the trained weights (all of the model, or the adapter), the optimizer's moments, the moving
 * average of the weights if one is kept, the step, the tokens seen, the position in the data, and text/train:
 * "key=value" lines of everything that must be the same when the run goes on. Random numbers are drawn from streams
 * seeded by (seed, purpose, index), so the seed and these counters are their state. model.h5 / adapter.h5, written at
 * the end, hold the weights alone, as does best.h5, written whenever a validation is better than all before; both
 * hold the moving average if one is kept. */
#ifndef LOOM_TRAIN_SNAPSHOT_H
#define LOOM_TRAIN_SNAPSHOT_H

#include "core/buf.h"
#include "store/ckpt.h"
#include "train/trainer.h"

#define LOOM_SNAPSHOT_MACHINES "text/machines"

/* What goes into every checkpoint beside the numbers; all borrowed. */
typedef struct loom_snapshot_texts {
    const char *tokenizer;
    size_t tokenizer_len;
    const char *names;       /* of the training data (trace/names.h); "": none are known */
    const char *meta;        /* JSON */
    const char *rules;       /* text/train */
    const char *machines;    /* what computed it, JSON (model/training.h); in step-N.h5 alone */
    const char *base_path;   /* adapters: where the base is */
    const char *base_digest; /* adapters: loom_model_files.digest */
} loom_snapshot_texts;

/* Numbers of the run beside the trainer's own. */
typedef struct loom_snapshot_run {
    double seconds;   /* of training so far */
    double curve_sum; /* loss since the last row of the curve */
    int64_t curve_count, curve_tokens;
    double valid_loss; /* of the last validation; NaN: none yet */
    double best_loss;  /* lowest of all validations; NaN: none yet */
    int64_t best_step; /* when that was; -1: never */
    int64_t threads; /* adapters: that computed it, another number gives other last bits; 0: any number, or not told */
} loom_snapshot_run;

/* Writes DIR/step-N.h5 (atomic) and removes all but the newest `keep`. */
loom_status loom_snapshot_save(const char *dir, int64_t keep, const loom_trainer *t, const loom_snapshot_run *run,
                               const loom_snapshot_texts *texts, loom_err *err);

/* Writes DIR/model.h5 or DIR/adapter.h5: weights, configuration, tokenizer; the caller frees *path. */
loom_status loom_snapshot_export(char **path, const char *dir, loom_trainer *t, const loom_snapshot_texts *texts,
                                 loom_err *err);

/* Writes DIR/best.h5 (atomic): as loom_snapshot_export, and state/valid_loss. */
loom_status loom_snapshot_best(const char *dir, loom_trainer *t, double valid_loss, const loom_snapshot_texts *texts,
                               loom_err *err);

/* Puts the weights of DIR/best.h5 into the trainer as its result: the next export writes them. Training cannot go on
 * from there, since the optimizer's state is that of the last step. */
loom_status loom_snapshot_take_best(const char *dir, loom_trainer *t, loom_err *err);

/* The path of what loom_snapshot_export wrote before, NULL when it is not there; the caller frees it. */
char *loom_snapshot_exported(const char *dir, const loom_trainer *t);

/* Puts a checkpoint back into trainer, loader and run. The model must have the checkpoint's shape. */
loom_status loom_snapshot_restore(loom_trainer *t, loom_snapshot_run *run, loom_ckpt *c, loom_err *err);

/* OK when every key of `now` has the same value in `then` (all: and is there); else ARG with a sentence that names
 * the first one that differs. */
loom_status loom_snapshot_same_rules(const char *now, const char *then, bool all, const char *dir, loom_err *err);

#endif
