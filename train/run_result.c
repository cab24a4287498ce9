/* Writing what came out of a run. One that was finished before keeps its files as they are. */
#include "train/run_result.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/log.h"
#include "core/num.h"
#include "core/ranks.h"
#include "core/usage.h"

/* The earlier step whose weights are the model, with --patience; -1: the last weights are. */
static int64_t kept_step(const loom_run_loop *r)
{
    const loom_snapshot_run *n = &r->numbers;

    return r->plan->conf->patience && n->best_step != r->trainer->step ? n->best_step : -1;
}

static loom_status export_model(const loom_run_loop *r, char **path, loom_err *err)
{
    const char *dir = r->plan->conf->output;

    if (kept_step(r) >= 0) {
        loom_info("the model is that of step %" PRId64 ": after it no validation had a lower loss", kept_step(r));
        LOOM_TRY(loom_snapshot_take_best(dir, r->trainer, err));
    }
    return loom_snapshot_export(path, dir, r->trainer, &r->texts, err);
}

/* training.json, unless the one beside the model tells of it already. */
static loom_status write_training(const loom_run_loop *r, const loom_run_history *told, const char *base_sum,
                                  const char *path, loom_err *err)
{
    const train_conf *c = r->plan->conf;
    loom_buf there = {0}, privacy = {0};
    loom_training t = {.command = r->ctx->cmd->name,
                       .steps = r->trainer->step,
                       .tokens = r->trainer->tokens,
                       .kept_step = kept_step(r),
                       .seconds = r->numbers.seconds,
                       .products = loom_run_plan_products(c),
                       .start = loom_run_plan_has_base_model(c) ? LOOM_TRAINING_BASE
                                : c->base                       ? LOOM_TRAINING_MODEL
                                                                : LOOM_TRAINING_RANDOM,
                       .start_path = loom_run_plan_start(c),
                       .start_digest = base_sum};
    loom_status st = loom_run_loop_worked(r) ? LOOM_OK : loom_training_find(&there, path, err);

    if (r->plan->privacy.on) {
        loom_privacy_plan_json(&r->plan->privacy, r->trainer->step, &privacy);
        t.privacy = loom_buf_text(&privacy);
    }

    if (st == LOOM_OK && !there.len) st = loom_run_history_write(told, path, &t, err);
    loom_buf_release(&there);
    loom_buf_release(&privacy);
    return st;
}

static void say_best(const loom_run_loop *r)
{
    const loom_snapshot_run *n = &r->numbers;
    const train_conf *c = r->plan->conf;

    if (n->best_step < 0) return;
    loom_info("lowest validation loss: %.4f at step %" PRId64 "%s%s%s", n->best_loss, n->best_step,
              c->best ? ", kept as " : "", c->best ? c->output : "", c->best ? "/best.h5" : "");
}

/* A text that the automaton cannot follow teaches nothing of what is allowed. */
static void say_allowed(const loom_run_loop *r)
{
    int64_t rows, known;

    if (!r->trainer->allowed) return;
    loom_allowed_seen(r->trainer->allowed, &rows, &known);
    if (rows)
        loom_info("what the request allows was known of %.1f %% of the tokens learnt",
                  100 * (double)known / (double)rows);
}

/* What the ranks cost rank 0, in seconds of this part of the run. */
static void put_ranks(loom_jw *w, const loom_run_loop *r)
{
    loom_ranks_cost cost = loom_ranks_costs();

    loom_jw_kv_i64(w, "ranks", loom_ranks_count());
    loom_jw_kv_i64(w, "shards", r->trainer->o.share.shards);
    loom_jw_kv_f64(w, "gradient_seconds", r->trainer->times.gradient);
    loom_jw_kv_f64(w, "update_seconds", r->trainer->times.update);
    loom_jw_kv_f64(w, "exchange_seconds", cost.carrying);
    loom_jw_kv_f64(w, "waiting_seconds", cost.waiting);
    loom_jw_kv_f64(w, "bytes_sent", cost.bytes);
}

/* Where the time of this part of the run went. */
static void say_ranks(const loom_run_loop *r)
{
    loom_ranks_cost cost = loom_ranks_costs();
    double all = loom_time_now() - r->started, steps = (double)(r->trainer->step - r->first_step);
    char sent[32];

    if (loom_ranks_count() == 1 || !(steps > 0)) return;
    loom_info("%d ranks: %.1f %% of the time in exchanges (%s sent a step), %.1f %% waiting for others",
              loom_ranks_count(), 100 * cost.carrying / all, loom_format_bytes(sent, sizeof sent, cost.bytes / steps),
              100 * cost.waiting / all);
}

static void say_privacy(const loom_run_loop *r)
{
    const loom_privacy_plan *x = &r->plan->privacy;
    const loom_trainer *t = r->trainer;

    if (!x->on) return;
    loom_info(
        "privacy: epsilon %.3g at delta %.2g spent; adapter.h5 may be shown, the other files of the run tell more",
        x->epsilon, x->delta);
    if (t->dp_graphs)
        loom_info("%.1f %% of the gradients of graphs were longer than --clip %g",
                  100 * (double)t->dp_clipped / (double)t->dp_graphs, x->clip);
}

static loom_status print_result(const loom_run_loop *r, const char *path, loom_err *err)
{
    loom_train_memory m;
    loom_buf b = {0};
    loom_jw w;
    loom_status st;

    if (!r->ctx->common.json) return LOOM_OK;
    loom_jw_init(&w, &b, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "output", path);
    loom_jw_kv_i64(&w, "step", r->trainer->step);
    loom_jw_kv_i64(&w, "tokens", r->trainer->tokens);
    loom_jw_kv_f64(&w, "seconds", r->numbers.seconds);
    loom_jw_kv_f64(&w, "tokens_per_s", r->numbers.seconds > 0 ? (double)r->trainer->tokens / r->numbers.seconds : 0);
    loom_jw_kv_f64(&w, "valid_loss", r->numbers.valid_loss);
    loom_jw_kv_f64(&w, "best_valid_loss", r->numbers.best_loss);
    loom_jw_kv_i64(&w, "best_step", r->numbers.best_step);
    if (r->trainer->o.share.shards) put_ranks(&w, r);
    loom_jw_kv_i64(&w, "predicted_bytes", (int64_t)loom_run_plan_memory(r->plan, &m));
    loom_jw_kv_i64(&w, "peak_bytes", loom_peak_bytes());
    loom_jw_end_object(&w);
    loom_buf_char(&b, '\n');
    st = loom_stdout_write(b.data, b.len, err);
    loom_buf_release(&b);
    return st;
}

loom_status loom_run_result(const loom_run_loop *r, const loom_run_history *told, const char *base_sum, loom_err *err)
{
    const char *dir = r->plan->conf->output;
    char *path = NULL;
    bool drawn = false;
    loom_status st = LOOM_OK;

    if (loom_run_loop_worked(r) || !(path = loom_snapshot_exported(dir, r->trainer))) st = export_model(r, &path, err);
    if (st == LOOM_OK) st = write_training(r, told, base_sum, path, err);
    if (st == LOOM_OK && r->plan->conf->plot) st = loom_curve_draw(dir, &drawn, err);
    if (st == LOOM_OK) loom_info("done: %s; learning curve: %s/curve.%s", path, dir, drawn ? "png" : "csv");
    if (st == LOOM_OK) say_best(r);
    if (st == LOOM_OK) say_allowed(r);
    if (st == LOOM_OK) say_privacy(r);
    if (st == LOOM_OK) say_ranks(r);
    if (st == LOOM_OK) st = print_result(r, path, err);
    free(path);
    return st;
}
