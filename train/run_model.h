/* The model of a run: loaded from a base, or made anew in the shape of the plan or of a checkpoint; with an adapter
 * beside it. */
#ifndef LOOM_TRAIN_RUN_MODEL_H
#define LOOM_TRAIN_RUN_MODEL_H

#include "core/cli.h"
#include "model/model_files.h"
#include "store/shard.h"
#include "train/run_plan.h"

typedef struct loom_run_model {
    loom_model_files base; /* what --init, --base or --base-model names; empty when it is not read */
    loom_llama *fresh;     /* a model made here; NULL: the base's is trained */
    loom_llama *model;     /* the one trained: fresh or base.model; NULL before it is made */
    loom_lora *lora;       /* NULL: all weights are trained */
    loom_lora *pissa;      /* --lora-init pissa: what the adapter started as; else NULL */
    char base_path[4096];  /* where the base lies, absolute: an adapter must find it from anywhere; "" without */
} loom_run_model;          /* zero-initialised is ready */

/* Reads the base, if the run begins with one, and makes the adapter; else takes the shape of the checkpoint `c`, or
 * of the options when it is NULL. Completes the plan: config, lora, trained, frozen. No weights are made. */
loom_status loom_run_model_load(loom_run_model *m, loom_run_plan *p, const loom_ctx *ctx, const loom_shard_info *train,
                                const loom_ckpt *c, loom_err *err);
/* Makes the weights if there are none that can be trained; random ones if `random`, else they are left to a
 * checkpoint. */
loom_status loom_run_model_make(loom_run_model *m, const loom_run_plan *p, bool random, loom_err *err);
void loom_run_model_release(loom_run_model *m);

#endif
