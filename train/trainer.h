/* One optimizer step after another: batches in, weights changed. Knows nothing of files or options.
 *
 *   loom_trainer *t = NULL;
 *   LOOM_TRY(loom_trainer_new(&t, &how, model, lora, loader, pool, err));
 *   while (t->step < how.schedule.steps) LOOM_TRY(loom_trainer_step(t, lr, &report, err));
 *   loom_trainer_free(t);
 *
 * With an adapter (lora not NULL) only the adapter is trained and the model is const; else all of the model. A step
 * accumulates micro-batches of at most micro_rows rows; the gradient is that of the mean loss over all counted labels
 * of the step, however it is cut. Everything that determines the next step is in the fields marked "state" and the
 * loader's position: a run restored from them goes on bit for bit. */
#ifndef LOOM_TRAIN_TRAINER_H
#define LOOM_TRAIN_TRAINER_H

#include "core/pool.h"
#include "model/optimizer.h"
#include "model/shard_tree.h"
#include "model/step.h"
#include "train/allowed.h"
#include "train/loader.h"
#include "train/private_step.h"
#include "train/step_shards.h"

typedef struct loom_trainer_options {
    loom_optimizer_options optimizer;
    double clip;        /* largest gradient norm; 0: none */
    double ema;         /* decay of the moving average of the weights; 0: none is kept */
    int64_t micro_rows; /* rows of a forward/backward pass, at least the context */
    int64_t context;
    bool recompute, bf16_compute; /* as in loom_acts_options */
    loom_loss_shape shape;        /* not with dp; its `allowed` wants samples packed one by one, answers only */
    uint64_t seed;                /* of dropout */
    loom_step_share share;        /* with other ranks */
    loom_private_options dp;      /* with units: clip is unused, and the loader is not walked through */
} loom_trainer_options;

/* What one step did. */
typedef struct loom_step_report {
    double loss;      /* mean over counted labels, before the update */
    double grad_norm; /* before clipping */
    int64_t rows, counted, right;
} loom_step_report;

/* Seconds so far. */
typedef struct loom_trainer_times {
    double gradient; /* of the own shards */
    double update;   /* the optimizer and the moving average, without exchanges between ranks */
} loom_trainer_times;

typedef struct loom_trainer {
    loom_trainer_options o;
    loom_llama *model; /* borrowed, as are lora, loader and pool */
    loom_lora *lora;
    const loom_lora *pissa; /* the adapter's start, taken out of the model (model/pissa.h); NULL: the model is whole */
    loom_loader *loader;
    loom_pool *pool;
    loom_acts *acts;
    const loom_tensors *table; /* of what is trained */
    float *w;                  /* state: the trained block, in model or lora */
    loom_optimizer *optimizer; /* state: its m and v */
    float *mean;               /* state: moving average of the weights; NULL without */
    float *g;
    loom_shard_tree tree;          /* with shards */
    loom_dealt_step dealt;         /* the step in progress */
    loom_allowed *allowed;         /* with o.shape.allowed */
    loom_private *dp;              /* with o.dp */
    uint64_t secret;               /* state: of o.dp */
    int64_t dp_graphs, dp_clipped; /* drawn in this part of the run; of these, with a gradient that was cut */
    loom_trainer_times times;
    int64_t step;   /* state: updates done */
    int64_t tokens; /* state: rows trained on so far */
} loom_trainer;

loom_status loom_trainer_new(loom_trainer **out, const loom_trainer_options *o, loom_llama *model, loom_lora *lora,
                             loom_loader *loader, loom_pool *pool, loom_err *err);
void loom_trainer_free(loom_trainer *t); /* NULL is fine */

/* One update with this learning rate. NUMERIC when loss or gradient is not finite: names the step and the tensor.
 * INTERRUPT when loom_stop_requested() between two micro-batches. With ranks, all return the same. After both,
 * weights, moments and the loader are as before the step. */
loom_status loom_trainer_step(loom_trainer *t, double lr, loom_step_report *report, loom_err *err);

/* Exchanges the weights and their moving average, if one is kept: between two steps, to write the average; exchange
 * again before the next step. */
void loom_trainer_swap_mean(loom_trainer *t);

/* Mean loss of the weights, or of their moving average if one is kept, over the first `max_rows` rows of a loader,
 * from its beginning, without dropout; count 0 when a stop was requested meanwhile. Ranks share the batches; the
 * sum is that of one. */
loom_status loom_trainer_validate(loom_trainer *t, loom_loader *valid, int64_t max_rows, loom_loss *out, loom_err *err);

/* Bytes a run needs, for --dry-run; the peak of a run is within 10 % of their sum and the data's. */
typedef struct loom_train_memory {
    size_t weights;                         /* mapped ones included: pages of the file that are in memory */
    size_t gradients, moments, activations; /* moments: the moving average of the weights included; activations: what
                                             * the optimizer computes with, too */
    size_t checkpoint;                      /* of them, what is saved */
    size_t process; /* program, libraries and the buffers of BLAS; with bf16_compute oneDNN's code and buffers */
} loom_train_memory;
void loom_trainer_memory(loom_train_memory *out, const loom_config *config, const loom_lora_config *lora, bool frozen,
                         const loom_trainer_options *o, int n_threads);

#endif
