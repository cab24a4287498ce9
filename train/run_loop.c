/* The training loop: learning rate, step, validation, curve, checkpoint. */
#include "train/run_loop.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/num.h"
#include "core/ranks.h"
#include "core/rng.h"
#include "core/usage.h"

static double seconds_now(const loom_run_loop *r) { return r->seconds_before + loom_time_now() - r->started; }

/* Share of a timed run that is done: of its time or of its steps, whichever is behind. */
static double share_done(const loom_run_loop *r)
{
    double time = seconds_now(r) / (60 * r->plan->conf->minutes);

    return r->plan->schedule.steps ? fmin(time, (double)r->trainer->step / (double)r->plan->schedule.steps) : time;
}

/* Where it follows the clock, that of rank 0. */
static loom_status learning_rate(const loom_run_loop *r, double *lr, loom_err *err)
{
    int64_t step = r->trainer->step + 1;

    *lr = r->plan->timed ? loom_schedule_lr_timed(&r->plan->schedule, step, share_done(r))
                         : loom_schedule_lr(&r->plan->schedule, step);
    return r->plan->timed ? loom_ranks_tell(lr, sizeof *lr, err) : LOOM_OK;
}

/* Is the plan done? Where it follows the clock, that of rank 0. */
static loom_status look_for_end(const loom_run_loop *r, bool *last, loom_err *err)
{
    *last = loom_run_loop_is_finished(r);
    return r->plan->timed ? loom_ranks_tell(last, sizeof *last, err) : LOOM_OK;
}

/* Ranks hold the same weights and moments, each in its own memory: machines that compute otherwise would train
 * several models. */
static loom_status check_alike(const loom_run_loop *r, loom_err *err)
{
    const loom_trainer *t = r->trainer;
    size_t bytes = t->table->floats * sizeof(float);
    uint64_t digest;

    if (loom_ranks_count() == 1) return LOOM_OK;
    digest = loom_hash64(t->w, bytes, loom_hash64(t->optimizer->m, bytes, (uint64_t)t->step));
    return loom_ranks_same(digest, "the weights after the last step", err);
}

static loom_status save(loom_run_loop *r, loom_err *err)
{
    loom_status st = LOOM_OK;

    r->numbers.seconds = seconds_now(r);
    LOOM_TRY(check_alike(r, err));
    if (loom_ranks_lead())
        st = loom_snapshot_save(r->plan->conf->output, r->plan->conf->keep, r->trainer, &r->numbers, &r->texts, err);
    r->last_save = loom_time_now();
    return loom_ranks_agree(st, err);
}

/* Keeps the weights when this validation was the best so far. */
static loom_status keep_best(loom_run_loop *r, loom_err *err)
{
    loom_snapshot_run *n = &r->numbers;

    if (!(n->valid_loss < (n->best_step < 0 ? INFINITY : n->best_loss))) return LOOM_OK;
    n->best_loss = n->valid_loss;
    n->best_step = r->trainer->step;
    return r->plan->conf->best && loom_ranks_lead()
               ? loom_snapshot_best(r->plan->conf->output, r->trainer, n->best_loss, &r->texts, err)
               : LOOM_OK;
}

static loom_status validate(loom_run_loop *r, loom_curve_row *row, loom_err *err)
{
    loom_loss loss = {0};

    LOOM_TRY(loom_trainer_validate(r->trainer, r->data->valid, r->plan->conf->valid_tokens, &loss, err));
    if (!loss.count) return LOOM_OK;
    row->has_valid = true;
    row->valid_loss = r->numbers.valid_loss = loss.sum / (double)loss.count;
    row->valid_accuracy = (double)loss.right / (double)loss.count;
    loom_info("step %" PRId64 ": validation loss %.4f, %.1f %% of the tokens right", r->trainer->step, row->valid_loss,
              100 * row->valid_accuracy);
    return keep_best(r, err);
}

static double epochs_done(const loom_run_loop *r)
{
    const loom_privacy_plan *x = &r->plan->privacy;

    return x->on ? (double)r->trainer->step * x->rate : loom_run_data_epoch(r->data);
}

/* One row of the curve, with a validation if one is due. */
static loom_status log_step(loom_run_loop *r, const loom_step_report *report, double lr, bool last, loom_err *err)
{
    const train_conf *c = r->plan->conf;
    int64_t step = r->trainer->step;
    bool validation = r->data->valid && (last || step % c->valid_every == 0);
    double now = loom_time_now(), span = now - r->last_row;
    loom_curve_row row = {.step = step,
                          .tokens = r->trainer->tokens,
                          .epoch = epochs_done(r),
                          .lr = lr,
                          .grad_norm = report->grad_norm,
                          .seconds = seconds_now(r)};

    if (!validation && !last && step % c->log_every != 0) return LOOM_OK;
    row.loss = r->numbers.curve_count ? r->numbers.curve_sum / (double)r->numbers.curve_count : report->loss;
    row.tokens_per_s = span > 0 ? (double)(r->trainer->tokens - r->numbers.curve_tokens) / span : 0;
    if (validation) LOOM_TRY(loom_ranks_agree(validate(r, &row, err), err));
    r->numbers.curve_sum = 0;
    r->numbers.curve_count = 0;
    r->numbers.curve_tokens = r->trainer->tokens;
    r->last_row = loom_time_now();
    return loom_ranks_agree(loom_ranks_lead() ? loom_curve_add(&r->curve, &row, err) : LOOM_OK, err);
}

static void show_progress(loom_run_loop *r, const loom_step_report *report, double lr)
{
    if (!loom_ranks_lead()) return;
    char note[128], rate[24];
    double seconds = loom_time_now() - r->started;
    int64_t done = r->plan->timed ? (int64_t)(60 * r->plan->conf->minutes * share_done(r) - r->seconds_before)
                                  : r->trainer->step - r->first_step;

    loom_format_count(rate, sizeof rate,
                      (double)report->rows / (seconds > 0 ? seconds / (double)(r->trainer->step - r->first_step) : 1));
    snprintf(note, sizeof note, "step %" PRId64 "  loss %.4f  lr %.2g  %s tokens/s", r->trainer->step, report->loss, lr,
             rate);
    loom_progress_update(&r->progress, done, note);
}

static bool time_is_up(const loom_run_loop *r)
{
    return r->plan->conf->max_minutes > 0 && loom_time_now() - r->started >= 60 * r->plan->conf->max_minutes;
}

static bool save_is_due(const loom_run_loop *r)
{
    const train_conf *c = r->plan->conf;

    return (c->save_every && r->trainer->step % c->save_every == 0) ||
           (c->save_minutes > 0 && loom_time_now() - r->last_save >= 60 * c->save_minutes);
}

/* --patience: the last N validations did not lower the loss. */
static bool has_lost_patience(const loom_run_loop *r)
{
    const loom_snapshot_run *n = &r->numbers;

    return r->plan->conf->patience && n->best_step >= 0 &&
           r->trainer->step - n->best_step >= r->plan->conf->patience * r->plan->conf->valid_every;
}

bool loom_run_loop_is_finished(const loom_run_loop *r)
{
    if (has_lost_patience(r)) return true;
    if (r->plan->timed) return share_done(r) >= 1;
    return r->trainer->step >= r->plan->schedule.steps;
}

/* NaN: names the checkpoint that is still good. */
static loom_status explain_nan(const loom_run_loop *r, double lr, loom_err *err)
{
    char *good = NULL;
    size_t n;

    loom_ckpt_newest(&good, r->plan->conf->output, NULL, NULL, NULL);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, "; the last good checkpoint is %s; lower --lr (now %g) or --clip",
             good ? good : "none yet", lr);
    free(good);
    return err->status;
}

bool loom_run_loop_worked(const loom_run_loop *r) { return r->trainer->step != r->first_step; }

/* What comes after a step. The clock is that of rank 0; any rank may have been asked to stop. */
enum { ASKED_TO_STOP = 1, STOP_IS_DUE = 2, SAVE_IS_DUE = 4 };

static loom_status look_around(loom_run_loop *r, uint32_t *bits, loom_err *err)
{
    bool stop = time_is_up(r) || r->trainer->step == r->plan->conf->stop_after;

    *bits = loom_stop_requested() ? ASKED_TO_STOP : 0;
    if (loom_ranks_lead()) *bits |= (stop ? STOP_IS_DUE : 0u) | (save_is_due(r) ? SAVE_IS_DUE : 0u);
    LOOM_TRY(loom_ranks_bits(bits, err));
    r->stopping = *bits & ASKED_TO_STOP;
    return LOOM_OK;
}

/* One step with its row of the curve. *last: the plan is done. */
static loom_status step_once(loom_run_loop *r, bool *last, loom_err *err)
{
    loom_step_report report;
    double lr;
    loom_status st;

    LOOM_TRY(learning_rate(r, &lr, err));
    st = loom_trainer_step(r->trainer, lr, &report, err);
    if (st == LOOM_STATUS_NUMERIC) return explain_nan(r, lr, err);
    if (st != LOOM_OK) return st;
    r->numbers.curve_sum += report.loss * (double)report.counted;
    r->numbers.curve_count += report.counted;
    LOOM_TRY(look_for_end(r, last, err));
    LOOM_TRY(log_step(r, &report, lr, *last, err));
    show_progress(r, &report, lr);
    *last = *last || has_lost_patience(r); /* which the validation of this step may have ended */
    return LOOM_OK;
}

static loom_status train(loom_run_loop *r, bool *done, loom_err *err)
{
    uint32_t bits;
    bool last;

    *done = false;
    LOOM_TRY(look_for_end(r, &last, err));
    while (!last) {
        loom_status st = step_once(r, &last, err);

        if (st == LOOM_STATUS_INTERRUPT) r->stopping = true;
        if (st == LOOM_STATUS_INTERRUPT) return save(r, err);
        if (st != LOOM_OK) return st;
        if (last) break;
        LOOM_TRY(look_around(r, &bits, err));
        if (bits & (ASKED_TO_STOP | STOP_IS_DUE)) return save(r, err);
        if (bits & SAVE_IS_DUE) LOOM_TRY(save(r, err));
    }
    *done = true;
    return loom_run_loop_worked(r) ? save(r, err) : LOOM_OK;
}

loom_status loom_run_loop_run(loom_run_loop *r, bool *done, loom_err *err)
{
    const loom_run_plan *p = r->plan;
    loom_status st;

    loom_progress_start(&r->progress, &r->ctx->common, r->ctx->cmd->name,
                        p->timed ? (int64_t)(60 * p->conf->minutes - r->seconds_before)
                                 : p->schedule.steps - r->first_step,
                        p->timed ? "s" : "steps");
    st = train(r, done, err);
    loom_progress_finish(&r->progress, NULL);
    return st;
}

/* ---- beginning and end ---- */

/* Puts the state of the checkpoint back. threads: of an adapter, 0 where any number gives the same bits. */
static loom_status resume(loom_run_loop *r, loom_ckpt *c, int64_t threads, loom_err *err)
{
    loom_snapshot_run *n = &r->numbers;

    LOOM_TRY(loom_snapshot_restore(r->trainer, n, c, err));
    r->seconds_before = n->seconds;
    loom_info("going on from %s (step %" PRId64 ")", loom_ckpt_path(c), r->trainer->step);
    if (threads && n->threads && n->threads != threads)
        loom_warn(
            "the run had %" PRId64 " thread%s so far and goes on with %" PRId64
            ": an adapter's sums are made thread by thread, so it may not end with the bits of a run that was never "
            "stopped; --threads %" PRId64 " keeps them",
            n->threads, n->threads == 1 ? "" : "s", threads, n->threads);
    n->threads = threads;
    return LOOM_OK;
}

/* Not of --seed, which stands in the model: who knows it could take the noise away. */
static loom_status draw_secret(loom_run_loop *r, loom_err *err)
{
    r->trainer->secret = (uint64_t)r->plan->conf->dp_secret;
    return r->trainer->secret ? LOOM_OK : loom_rng_secret(&r->trainer->secret, sizeof r->trainer->secret, err);
}

loom_status loom_run_loop_open(loom_run_loop *r, const loom_run_model *m, loom_pool *pool, loom_ckpt *c, loom_err *err)
{
    int64_t threads = m->lora ? r->plan->threads : 0;

    LOOM_TRY(loom_trainer_new(&r->trainer, &r->plan->trainer, m->model, m->lora, r->data->train, pool, err));
    r->trainer->pissa = m->pissa;
    r->numbers = (loom_snapshot_run){.valid_loss = NAN, .best_loss = NAN, .best_step = -1, .threads = threads};
    if (r->plan->privacy.on) LOOM_TRY(draw_secret(r, err));
    if (c) LOOM_TRY(resume(r, c, threads, err));
    if (loom_ranks_lead()) LOOM_TRY(loom_curve_open(&r->curve, r->plan->conf->output, r->trainer->step, err));
    r->started = r->last_save = r->last_row = loom_time_now();
    r->first_step = r->trainer->step;
    return LOOM_OK;
}

void loom_run_loop_close(loom_run_loop *r)
{
    loom_trainer_free(r->trainer);
    loom_curve_close(&r->curve);
}
