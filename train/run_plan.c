/* The plan of a run: arithmetic on options, and how it is told. */
#include "train/run_plan.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "model/bf16.h"

/* ---- options ---- */

bool loom_run_plan_has_base_model(const train_conf *c) { return c->base_model && strcmp(c->base_model, "none") != 0; }

const char *loom_run_plan_start(const train_conf *c)
{
    return loom_run_plan_has_base_model(c) ? c->base_model : c->base;
}

bool loom_run_plan_weighs_prompts(const train_conf *c) { return c->loss == LOSS_ALL && c->prompt_weight < 1; }

int64_t loom_run_plan_micro_rows(const train_conf *c)
{
    int64_t rows = c->micro_tokens ? c->micro_tokens : loom_min_i64(c->batch_tokens, 8192);

    return loom_min_i64(loom_max_i64(rows, c->context), c->batch_tokens);
}

bool loom_run_plan_computes_bf16(const train_conf *c)
{
    return c->compute == COMPUTE_BF16 || (c->compute == COMPUTE_AUTO && loom_bf16_check(NULL) == LOOM_OK);
}

const char *loom_run_plan_products(const train_conf *c) { return loom_run_plan_computes_bf16(c) ? "bf16" : "f32"; }

static loom_status check_start(const loom_run_plan *p, loom_err *err)
{
    const train_conf *c = p->conf;
    const char *base = p->kind == LOOM_RUN_SFT ? "base" : "init";

    if (loom_run_plan_has_base_model(c) && c->base)
        return loom_fail(err, LOOM_STATUS_ARG, "give one of --%s and --base-model; --base-model none is none", base);
    if (loom_run_plan_has_base_model(c) && c->lora)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "an adapter needs its base as a file: train all weights with --no-lora, or write one with "
                         "loom-train adapt and name it with --%s",
                         base);
    if (p->kind == LOOM_RUN_SFT && !loom_run_plan_start(c))
        return loom_fail(err, LOOM_STATUS_ARG, "--base is missing: the model to fine-tune");
    if (c->lora && !c->base)
        return loom_fail(err, LOOM_STATUS_ARG, "--lora adapts a trained model; name it with --init");
    return LOOM_OK;
}

static loom_status check_prompt_weight(const train_conf *c, loom_err *err)
{
    if (c->prompt_weight < 1 && c->loss == LOSS_ANSWER)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--prompt-weight is for --loss all; with --loss answer prompts count nothing");
    if (c->prompt_weight < 1 && c->packing == PACKING_JOINED)
        return loom_fail(err, LOOM_STATUS_ARG, "--prompt-weight needs whole samples: --packing samples");
    return LOOM_OK;
}

static loom_status check_patience(const train_conf *c, loom_err *err)
{
    if (c->patience && !c->valid)
        return loom_fail(err, LOOM_STATUS_ARG, "--patience watches the validation loss; name the shard with --valid");
    if (c->patience && !c->best)
        return loom_fail(err, LOOM_STATUS_ARG, "--patience goes back to the best weights; leave --no-best out");
    return LOOM_OK;
}

int loom_run_plan_shards(const loom_run_plan *p)
{
    if (p->conf->shards) return (int)p->conf->shards;
    return p->launched || p->conf->ranks ? LOOM_SHARDS_USUAL : 0;
}

/* Processes that there are, or that --dry-run plans for. */
static int planned_ranks(const loom_run_plan *p) { return p->conf->ranks ? (int)p->conf->ranks : p->ranks; }

static loom_status check_ranks(const loom_run_plan *p, loom_err *err)
{
    int64_t ranks = planned_ranks(p), shards = loom_run_plan_shards(p);

    if (shards & (shards - 1))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--shards %" PRId64 " is no power of two; the tree that adds them up needs one", shards);
    if (p->conf->exchange == EXCHANGE_BF16 && !shards)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "--exchange bf16 is for gradients that are added up over the shards of a step: give --shards 8, "
            "or start several processes with mpirun");
    if (ranks <= 1 || ranks <= shards) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "%" PRId64 " processes share %" PRId64
                     " shards of a step, and each needs one: start at most %" PRId64
                     ", or give a greater --shards (a power of two up to %d)",
                     ranks, shards, shards, LOOM_SHARDS_MOST);
}

static loom_status check_loss_shape(const train_conf *c, loom_err *err)
{
    const char *given = c->gce > 0 ? "--gce" : c->focus > 0 ? "--focus" : c->allowed > 0 ? "--allowed" : NULL;

    if (given && !loom_privacy_is_off(c->dp))
        return loom_fail(err, LOOM_STATUS_ARG, "%s and --dp do not go together: leave one of them out", given);
    if (c->allowed > 0 && (c->loss != LOSS_ANSWER || c->packing == PACKING_JOINED))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--allowed reads each answer beside its request: give --loss answer and --packing samples");
    return LOOM_OK;
}

loom_status loom_run_plan_check(loom_run_plan *p, loom_err *err)
{
    const train_conf *c = p->conf;

    if (!c->output)
        return loom_fail(err, LOOM_STATUS_ARG, "--output DIR is missing: the folder for checkpoints and the model");
    LOOM_TRY(check_start(p, err));
    LOOM_TRY(check_ranks(p, err));
    if (c->lora_init == LORA_INIT_PISSA && !c->lora)
        return loom_fail(err, LOOM_STATUS_ARG, "--lora-init is for adapters; train one with --lora");
    if (c->lora && c->optimizer == LOOM_OPTIMIZER_MUON)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "--optimizer muon is for the model's own matrices, which --lora keeps as they are; take --optimizer "
            "adamw, or train all weights with --no-lora");
    if (c->rest_lr != 1 && c->optimizer != LOOM_OPTIMIZER_MUON)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--rest-lr is for what AdamW moves beside Muon's matrices; take --optimizer muon, or --lr");
    if (c->compute == COMPUTE_BF16) LOOM_TRY(loom_bf16_check(err));
    if (c->steps > 0 && c->tokens > 0) return loom_fail(err, LOOM_STATUS_ARG, "give one of --steps and --tokens");
    LOOM_TRY(check_prompt_weight(c, err));
    LOOM_TRY(check_patience(c, err));
    LOOM_TRY(check_loss_shape(c, err));
    return loom_privacy_plan_read(&p->privacy, c, loom_run_plan_shards(p) == 0 && planned_ranks(p) <= 1, err);
}

/* ---- shape, trainer, schedule ---- */

/* Two thirds of four times the width, as Llama does, rounded up to a multiple of 16. */
static int64_t default_ffn(int64_t C) { return (8 * C / 3 + 15) / 16 * 16; }

/* Before loom_config_check, which speaks of the keys of config.json. */
static loom_status check_shape(const train_conf *c, loom_err *err)
{
    if (c->hidden % c->heads)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--heads %" PRId64 " does not divide --hidden %" PRId64 "; choose a divisor of the width",
                         c->heads, c->hidden);
    if (c->hidden / c->heads % 2)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--hidden %" PRId64 " and --heads %" PRId64 " make heads of %" PRId64
                         "; rotary positions need an even number",
                         c->hidden, c->heads, c->hidden / c->heads);
    if (c->kv_heads && (c->kv_heads > c->heads || c->heads % c->kv_heads))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--kv-heads %" PRId64 " does not divide --heads %" PRId64 "; choose a divisor of it",
                         c->kv_heads, c->heads);
    return LOOM_OK;
}

loom_status loom_run_plan_shape(loom_run_plan *p, const loom_run_vocabulary *v, loom_err *err)
{
    const train_conf *c = p->conf;
    loom_config *m = &p->config;

    LOOM_TRY(check_shape(c, err));
    loom_config_default(m);
    m->C = c->hidden;
    m->L = c->layers;
    m->H = c->heads;
    m->K = c->kv_heads;
    m->F = c->ffn ? c->ffn : default_ffn(c->hidden);
    m->V = v->size;
    m->max_positions = c->context;
    m->rope_theta = c->rope_theta;
    m->tied = c->tie;
    m->bos_id = v->bos_id;
    m->n_eos = v->eos_id >= 0 ? 1 : 0;
    m->eos_ids[0] = v->eos_id;
    return loom_config_check(m, err);
}

void loom_run_plan_trainer(loom_run_plan *p)
{
    const train_conf *c = p->conf;
    bool bf16 = loom_run_plan_computes_bf16(c);

    p->trainer = (loom_trainer_options){.optimizer = {.kind = (loom_optimizer_kind)c->optimizer,
                                                      .beta1 = c->beta1,
                                                      .beta2 = c->beta2,
                                                      .eps = c->eps,
                                                      .momentum = c->momentum,
                                                      .nesterov = c->nesterov,
                                                      .rest = c->rest_lr,
                                                      .bf16_compute = bf16,
                                                      .decay = c->decay,
                                                      .me = p->me,
                                                      .ranks = planned_ranks(p)},
                                        .clip = c->clip,
                                        .ema = c->ema,
                                        .micro_rows = loom_run_plan_micro_rows(c),
                                        .context = c->context,
                                        .recompute = c->recompute,
                                        .bf16_compute = bf16,
                                        .shape = {.gce = c->gce, .focus = c->focus, .allowed = c->allowed},
                                        .seed = p->seed,
                                        .share = {.shards = loom_run_plan_shards(p),
                                                  .half = c->exchange == EXCHANGE_BF16,
                                                  .me = p->me,
                                                  .ranks = planned_ranks(p)}};
}

static double peak_lr(const train_conf *c)
{
    if (c->lr > 0) return c->lr;
    return loom_run_plan_start(c) ? 3e-4 : 2e-3;
}

bool loom_run_plan_counts_epochs(const train_conf *c) { return !c->steps && !c->tokens && !(c->minutes > 0); }

/* 0: time alone ends the run. */
static int64_t planned_steps(const train_conf *c, int64_t epoch_steps)
{
    if (c->steps) return c->steps;
    if (c->tokens) return (c->tokens + c->batch_tokens - 1) / c->batch_tokens;
    return c->minutes > 0 ? 0 : epoch_steps;
}

static int64_t warmup_steps(const train_conf *c, int64_t steps)
{
    if (c->warmup >= 0) return c->warmup;
    if (steps) return (int64_t)ceil(c->warmup_ratio * (double)steps);
    return 20; /* how many steps there will be is not known */
}

void loom_run_plan_schedule(loom_run_plan *p, int64_t epoch_steps)
{
    const train_conf *c = p->conf;
    int64_t steps = planned_steps(c, epoch_steps);

    p->timed = c->minutes > 0;
    p->schedule = (loom_schedule){.kind = (loom_schedule_kind)c->schedule,
                                  .peak = peak_lr(c),
                                  .floor = c->lr_floor,
                                  .steps = steps,
                                  .warmup = warmup_steps(c, steps)};
}

loom_status loom_run_plan_privacy(loom_run_plan *p, const loom_graph_units *units, loom_err *err)
{
    loom_privacy_plan *x = &p->privacy;

    LOOM_TRY(loom_privacy_plan_solve(x, p->schedule.steps, err));
    p->trainer.dp = (loom_private_options){.units = units, .rate = x->rate, .noise = x->noise, .clip = x->clip};
    return LOOM_OK;
}

/* ---- memory ---- */

size_t loom_run_plan_memory(const loom_run_plan *p, loom_train_memory *m)
{
    loom_trainer_memory(m, &p->config, p->lora, p->frozen, &p->trainer, (int)p->threads);
    return m->weights + m->gradients + m->moments + m->activations + m->process + p->data_bytes;
}

bool loom_run_plan_fits(const loom_run_plan *p)
{
    loom_train_memory m;

    return (double)loom_run_plan_memory(p, &m) <= p->memory;
}

/* The same bits in more time. A tenth is left to others; mapped weights count, since each step that finds them gone
 * reads them from the disk. */
bool loom_run_plan_choose_recompute(loom_run_plan *p, loom_buf *text)
{
    double have = 0.9 * p->memory, need;
    loom_train_memory m;
    char need_text[32], have_text[32];

    if (p->trainer.recompute) return false;
    need = (double)loom_run_plan_memory(p, &m);
    if (need <= have) return false;
    p->trainer.recompute = true;
    loom_buf_printf(
        text,
        "activations are computed twice, as with --recompute: kept, the run would need %s of memory, and %s can be "
        "used",
        loom_format_bytes(need_text, sizeof need_text, need), loom_format_bytes(have_text, sizeof have_text, have));
    return true;
}

/* Frozen weights stay in their file and need not fit. */
loom_status loom_run_plan_check_memory(const loom_run_plan *p, loom_err *err)
{
    loom_train_memory m;
    double need = (double)loom_run_plan_memory(p, &m);
    char need_text[32], have_text[32];

    if (p->frozen) need -= (double)m.weights;
    if (need <= p->memory) return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_NOMEM,
        "this run needs about %s of memory, there are %s; lower --micro-tokens, train an adapter (--lora), or choose a "
        "smaller model",
        loom_format_bytes(need_text, sizeof need_text, need),
        loom_format_bytes(have_text, sizeof have_text, p->memory));
}

/* ---- in words ---- */

void loom_run_plan_line(const loom_run_plan *p, loom_buf *into)
{
    char params[32], trained[32];

    loom_buf_printf(into, "model: %s parameters, %s trained; ",
                    loom_format_count(params, sizeof params, (double)loom_config_params(&p->config)),
                    loom_format_count(trained, sizeof trained, (double)p->trained));
    if (p->timed) loom_buf_printf(into, "%g minutes, at least ", p->conf->minutes);
    if (p->privacy.on)
        loom_buf_printf(into, "%" PRId64 " steps of about %" PRId64 " graphs", p->schedule.steps,
                        p->privacy.graphs_a_step);
    else
        loom_buf_printf(into, "%" PRId64 " steps of at most %" PRId64 " tokens", p->schedule.steps,
                        p->conf->batch_tokens);
    loom_buf_printf(into, ", learning rate %g, %" PRId64 " threads", p->schedule.peak, p->threads);
}

/* Several ranks that --dry-run plans for; NULL: one process. */
static const loom_network *network(const loom_run_plan *p, loom_network *net)
{
    int ranks = planned_ranks(p);

    *net = (loom_network){ranks, loom_run_plan_shards(p), p->conf->net_gbits, p->conf->net_latency * 1e-6,
                          p->conf->exchange == EXCHANGE_BF16};
    return ranks > 1 ? net : NULL;
}

static void put_ranks(loom_jw *w, const loom_rehearsal *tried, const loom_network *net)
{
    loom_rank_step s = loom_rehearsal_ranks(tried, net);

    loom_jw_kv_i64(w, "ranks", net->ranks);
    loom_jw_kv_i64(w, "shards", net->shards);
    loom_jw_kv_f64(w, "step_gradient_seconds", s.gradient);
    loom_jw_kv_f64(w, "step_update_seconds", s.update);
    loom_jw_kv_f64(w, "step_exchange_seconds", s.exchange);
    loom_jw_kv_f64(w, "step_bytes", s.bytes);
}

static void put_time(loom_jw *w, const loom_run_plan *p, const loom_rehearsal *tried, const char *untried)
{
    if (!tried->steps) {
        loom_jw_kv_str(w, "not_measured", untried);
        return;
    }
    loom_network room;
    const loom_network *net = network(p, &room);
    loom_time_plan t = loom_rehearsal_plan(tried, net, p->schedule.steps, p->conf->minutes);
    if (net) put_ranks(w, tried, net);
    loom_jw_kv_i64(w, "measured_steps", tried->steps);
    loom_jw_kv_f64(w, "tokens_per_s", t.tokens_per_s);
    loom_jw_kv_i64(w, "estimated_steps", (int64_t)t.steps);
    loom_jw_kv_i64(w, "estimated_tokens", (int64_t)t.tokens);
    loom_jw_kv_f64(w, "estimated_seconds", t.seconds);
}

static void put_privacy(loom_jw *w, const loom_privacy_plan *x)
{
    loom_jw_kv_f64(w, "epsilon", x->epsilon);
    loom_jw_kv_f64(w, "delta", x->delta);
    loom_jw_kv_f64(w, "noise", x->noise);
    loom_jw_kv_i64(w, "graphs", x->graphs);
    loom_jw_kv_i64(w, "graphs_a_step", x->graphs_a_step);
}

void loom_run_plan_json(const loom_run_plan *p, const loom_rehearsal *tried, const char *untried, loom_buf *into)
{
    loom_train_memory m;
    size_t total = loom_run_plan_memory(p, &m);
    loom_jw w;

    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "parameters", loom_config_params(&p->config));
    loom_jw_kv_i64(&w, "trained", p->trained);
    loom_jw_kv_i64(&w, "steps", p->schedule.steps);
    loom_jw_kv_i64(&w, "tokens_a_step", p->conf->batch_tokens);
    if (p->privacy.on) put_privacy(&w, &p->privacy);
    loom_jw_kv_i64(&w, "weights_bytes", (int64_t)m.weights);
    loom_jw_kv_i64(&w, "gradients_bytes", (int64_t)m.gradients);
    loom_jw_kv_i64(&w, "moments_bytes", (int64_t)m.moments);
    loom_jw_kv_i64(&w, "activations_bytes", (int64_t)m.activations);
    loom_jw_kv_i64(&w, "process_bytes", (int64_t)m.process);
    loom_jw_kv_i64(&w, "data_bytes", (int64_t)p->data_bytes);
    loom_jw_kv_i64(&w, "total_bytes", (int64_t)total);
    put_time(&w, p, tried, untried);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

static void say_length(loom_buf *into, const loom_run_plan *p)
{
    if (p->timed)
        loom_buf_printf(into, "length       %g minutes, at least %" PRId64 " steps of at most %" PRId64 " tokens\n",
                        p->conf->minutes, p->schedule.steps, p->conf->batch_tokens);
    else if (p->privacy.on)
        loom_buf_printf(into, "length       %" PRId64 " steps of about %" PRId64 " graphs, %" PRId64 " of warm-up\n",
                        p->schedule.steps, p->privacy.graphs_a_step, p->schedule.warmup);
    else
        loom_buf_printf(into, "length       %" PRId64 " steps of at most %" PRId64 " tokens, %" PRId64 " of warm-up\n",
                        p->schedule.steps, p->conf->batch_tokens, p->schedule.warmup);
}

static void say_memory(loom_buf *into, const loom_run_plan *p)
{
    loom_train_memory m;
    size_t total = loom_run_plan_memory(p, &m);
    char t[7][32];

    loom_buf_printf(into,
                    "memory       %s: weights %s%s, gradients %s, moments %s, activations %s%s, data %s, the "
                    "program itself %s\n",
                    loom_format_bytes(t[0], 32, (double)total), loom_format_bytes(t[1], 32, (double)m.weights),
                    p->frozen ? " (mapped)" : "", loom_format_bytes(t[2], 32, (double)m.gradients),
                    loom_format_bytes(t[3], 32, (double)m.moments), loom_format_bytes(t[4], 32, (double)m.activations),
                    p->trainer.recompute ? " (computed twice)" : "", loom_format_bytes(t[5], 32, (double)p->data_bytes),
                    loom_format_bytes(t[6], 32, (double)m.process));
    loom_buf_printf(into, "checkpoints  %s each, %" PRId64 " kept\n", loom_format_bytes(t[0], 32, (double)m.checkpoint),
                    p->conf->keep);
}

static void say_ranks(loom_buf *into, const loom_rehearsal *tried, const loom_network *net)
{
    loom_rank_step s = loom_rehearsal_ranks(tried, net);
    double all = s.gradient + s.update + s.exchange;
    char bytes[32];

    loom_buf_printf(
        into,
        "ranks        %d of this speed: a step takes %.3g s, gradients %.3g s, update %.3g s, exchange %.3g s (%.0f %%; %s at "
        "%g Gbit/s, messages of %g us); one alone takes %.3g s\n",
        net->ranks, all, s.gradient, s.update, s.exchange, 100 * s.exchange / all,
        loom_format_bytes(bytes, sizeof bytes, s.bytes), net->gbits, 1e6 * net->latency,
        tried->seconds / (double)tried->steps);
}

static void say_time(loom_buf *into, const loom_run_plan *p, const loom_rehearsal *tried, const char *untried)
{
    char time[32], tokens[32], rate[32];

    if (!tried->steps) {
        loom_buf_printf(into, "time         not estimated: %s\n", untried);
        return;
    }
    loom_network room;
    const loom_network *net = network(p, &room);
    loom_time_plan t = loom_rehearsal_plan(tried, net, p->schedule.steps, p->conf->minutes);
    if (net) say_ranks(into, tried, net);
    loom_buf_printf(
        into,
        "time         about %s for %.0f step%s, %s tokens: an estimate for this machine as it is now, from %" PRId64
        " step%s at %s tokens/s with %" PRId64 " thread%s; validations and checkpoints not counted\n",
        loom_format_seconds(time, sizeof time, t.seconds), t.steps, t.steps == 1 ? "" : "s",
        loom_format_count(tokens, sizeof tokens, t.tokens), tried->steps, tried->steps == 1 ? "" : "s",
        loom_format_count(rate, sizeof rate, t.tokens_per_s), p->threads, p->threads == 1 ? "" : "s");
}

void loom_run_plan_text(const loom_run_plan *p, const loom_rehearsal *tried, const char *untried, loom_buf *into)
{
    char params[32], trained[32];

    loom_buf_printf(into, "model        %s parameters, %s trained\n",
                    loom_format_count(params, sizeof params, (double)loom_config_params(&p->config)),
                    loom_format_count(trained, sizeof trained, (double)p->trained));
    say_length(into, p);
    if (p->privacy.on)
        loom_buf_printf(into, "privacy      epsilon %.3g at delta %.2g for any one of %" PRId64 " graphs, noise %.4g\n",
                        p->privacy.epsilon, p->privacy.delta, p->privacy.graphs, p->privacy.noise);
    say_memory(into, p);
    say_time(into, p, tried, untried);
}
