/* The loop of a run: step after step with its learning rate, with validations, checkpoints, the learning curve and a
 * progress line, until the plan is done or somebody stops it.
 *
 *   loom_run_loop loop = {.ctx = ctx, .plan = &plan, .data = &data, .texts = texts};
 *   LOOM_TRY(loom_run_loop_open(&loop, &model, pool, checkpoint, err));
 *   LOOM_TRY(loom_run_loop_run(&loop, &done, err));
 *   loom_run_loop_close(&loop); */
#ifndef LOOM_TRAIN_RUN_LOOP_H
#define LOOM_TRAIN_RUN_LOOP_H

#include "core/progress.h"
#include "train/curve.h"
#include "train/run_data.h"
#include "train/run_model.h"
#include "train/snapshot.h"

typedef struct loom_run_loop {
    const loom_ctx *ctx; /* borrowed, as are plan and data */
    const loom_run_plan *plan;
    const loom_run_data *data;
    loom_snapshot_texts texts; /* what every checkpoint carries */
    loom_trainer *trainer;
    loom_snapshot_run numbers;
    loom_curve curve;
    loom_progress progress;
    double started, seconds_before; /* clock at the start of this part of the run; training seconds before it */
    double last_save, last_row;
    int64_t first_step; /* steps done when this part of the run began */
    bool stopping;      /* somebody asked a rank to stop */
} loom_run_loop;

/* Makes the trainer; puts back the state of the checkpoint `c` unless it is NULL. Sums of an adapter depend on the
 * number of threads: going on with another one is warned of. */
loom_status loom_run_loop_open(loom_run_loop *r, const loom_run_model *m, loom_pool *pool, loom_ckpt *c, loom_err *err);
/* Is there nothing left to do? */
bool loom_run_loop_is_finished(const loom_run_loop *r);
/* Did this part of the run train at all? Else it was finished before, and its files stay as they are. */
bool loom_run_loop_worked(const loom_run_loop *r);
/* Steps until the end (*done), a stop (saved, not *done) or an error. The state saved at a stop is that after a
 * whole step: a step that was broken off is done again from its beginning. Ranks decide together, and rank 0 alone
 * writes and looks at the clock. */
loom_status loom_run_loop_run(loom_run_loop *r, bool *done, loom_err *err);
void loom_run_loop_close(loom_run_loop *r);

#endif
