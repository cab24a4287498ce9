/* What a run is going to do, worked out from its options before anything is made: its length and learning rates,
 * the shape of a new model, the trainer's settings, the memory that it takes, and what --dry-run says of all that.
 *
 *   loom_run_plan p = {.conf = conf, .kind = LOOM_RUN_SFT, .threads = 8, .seed = 1, .memory = loom_memory_there()};
 *   LOOM_TRY(loom_run_plan_check(&p, err));
 *   loom_run_plan_trainer(&p);
 *   LOOM_TRY(loom_run_plan_shape(&p, &vocabulary, err));      or p.config = that of a base or checkpoint
 *   loom_run_plan_schedule(&p, steps_of_the_epochs);
 *
 * Plain numbers: nothing here opens a file, and the same options and sizes give the same plan. */
#ifndef LOOM_TRAIN_RUN_PLAN_H
#define LOOM_TRAIN_RUN_PLAN_H

#include "core/buf.h"
#include "core/err.h"
#include "train/privacy_plan.h"
#include "train/rehearsal.h"
#include "train/schedule.h"
#include "train/train_conf.h"
#include "train/trainer.h"

typedef enum loom_run_kind { LOOM_RUN_PRETRAIN, LOOM_RUN_SFT } loom_run_kind;

typedef struct loom_run_plan {
    const train_conf *conf; /* borrowed */
    loom_run_kind kind;
    int64_t threads;
    uint64_t seed;
    double memory; /* bytes that the run may use */
    int me, ranks; /* this process of several; ranks 0 or 1: alone */
    bool launched; /* by mpirun */

    loom_privacy_plan privacy;
    loom_trainer_options trainer;
    loom_schedule schedule;
    bool timed; /* --minutes: the schedule runs over time */

    loom_config config;           /* of the model that is trained */
    const loom_lora_config *lora; /* borrowed; NULL: all weights are trained */
    int64_t trained;              /* parameters that are */
    bool frozen;                  /* the base's matrices stay in their file */
    size_t data_bytes;            /* tokens held in memory */
} loom_run_plan;

/* Where the first weights come from: --init, --base or --base-model; NULL: random ones. */
const char *loom_run_plan_start(const train_conf *c);
/* --base-model: a base that takes on the names of the shards. */
bool loom_run_plan_has_base_model(const train_conf *c);
/* With --loss all a token of a prompt counts less than one of an answer. */
bool loom_run_plan_weighs_prompts(const train_conf *c);
/* Rows of a forward and backward pass. */
int64_t loom_run_plan_micro_rows(const train_conf *c);
/* --compute, with auto decided for this CPU. */
bool loom_run_plan_computes_bf16(const train_conf *c);
/* "f32" or "bf16": the factors of matrix products. */
const char *loom_run_plan_products(const train_conf *c);

/* --shards, or what follows from the way the run was started; 0: a step is computed as one. */
int loom_run_plan_shards(const loom_run_plan *p);

/* Options that depend on one another: ARG with a sentence that names the cure. Fills p->privacy as far as it is
 * known. */
loom_status loom_run_plan_check(loom_run_plan *p, loom_err *err);

/* Fills p->trainer. */
void loom_run_plan_trainer(loom_run_plan *p);

/* The vocabulary that a new model is for; ids are -1 where there is none. */
typedef struct loom_run_vocabulary {
    int64_t size;
    int32_t bos_id, eos_id;
} loom_run_vocabulary;
/* p->config of a new model from --hidden, --layers and so on. */
loom_status loom_run_plan_shape(loom_run_plan *p, const loom_run_vocabulary *v, loom_err *err);

/* Does --epochs say how long the run is, and not --steps, --tokens or --minutes? */
bool loom_run_plan_counts_epochs(const train_conf *c);
/* p->schedule and p->timed. epoch_steps: steps that --epochs take, read only if loom_run_plan_counts_epochs. */
void loom_run_plan_schedule(loom_run_plan *p, int64_t epoch_steps);

/* With --dp: p->privacy for the steps that are planned, and the trainer's part of it; units are borrowed. */
loom_status loom_run_plan_privacy(loom_run_plan *p, const loom_graph_units *units, loom_err *err);

/* Bytes of the run, with the data; their sum is returned. */
size_t loom_run_plan_memory(const loom_run_plan *p, loom_train_memory *m);
bool loom_run_plan_fits(const loom_run_plan *p);
/* Turns on p->trainer.recompute when activations do not fit once. True when it did: *text then says so. */
bool loom_run_plan_choose_recompute(loom_run_plan *p, loom_buf *text);
/* NOMEM when the run does not fit: asking for more memory than there is ends in a kill without a word, later. */
loom_status loom_run_plan_check_memory(const loom_run_plan *p, loom_err *err);

/* The line that a run begins with, but for the library that computes it. */
void loom_run_plan_line(const loom_run_plan *p, loom_buf *into);
/* What --dry-run prints, as text or as a JSON object. tried: measured steps; with none, `untried` says why. */
void loom_run_plan_text(const loom_run_plan *p, const loom_rehearsal *tried, const char *untried, loom_buf *into);
void loom_run_plan_json(const loom_run_plan *p, const loom_rehearsal *tried, const char *untried, loom_buf *into);

#endif
