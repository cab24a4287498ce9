/* loom-eval privacy: what a model gives away of its training graphs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/numbers/roc.h"
#include "eval/pages/results.h"
#include "eval/privacy/graph_losses.h"
#include "eval/privacy/nearest.h"

typedef struct privacy_conf {
    const char *model, *adapter, *members, *others, *planted, *twins, *train, *heldout, *output;
    int64_t count, below, context;
    double fail_above;
} privacy_conf;

static const loom_opt privacy_opts[] = {
    LOOM_OPT_GROUP("Membership: can the model's loss tell training graphs from others?"),
    LOOM_OPT_IN("model", 'm', privacy_conf, model, NULL, "PATH", "checkpoint, run folder or Hugging Face folder"),
    LOOM_OPT_IN("adapter", 'a', privacy_conf, adapter, NULL, "PATH",
                "LoRA adapter: checkpoint, run folder or PEFT folder"),
    LOOM_OPT_IN("members", 0, privacy_conf, members, NULL, "SHARD",
                "tokens of graphs that it was trained on, not balanced or shuffled"),
    LOOM_OPT_IN("others", 0, privacy_conf, others, NULL, "SHARD", "tokens of held-out graphs of the same system"),
    LOOM_OPT_IN("planted", 0, privacy_conf, planted, NULL, "SHARD",
                "tokens of the canaries of loom-preprocess canaries"),
    LOOM_OPT_IN("twins", 0, privacy_conf, twins, NULL, "SHARD", "tokens of graphs made like them, but not trained on"),
    LOOM_OPT_I64("context", 0, privacy_conf, context, "0", 0, 1 << 20, "N",
                 "longest sample in tokens, the rest is cut; 0: the model's, 4096 at most"),
    LOOM_OPT_GROUP("Nearness: how close to training graphs are generated ones?"),
    LOOM_OPT_IN("train", 0, privacy_conf, train, NULL, "STORE", "graphs that it was trained on"),
    LOOM_OPT_IN("heldout", 0, privacy_conf, heldout, NULL, "STORE",
                "graphs that it was not trained on: how near they are by themselves"),
    LOOM_OPT_I64("below", 0, privacy_conf, below, "5", 2, 1e9, "K", "names of fewer than K training graphs are rare"),
    LOOM_OPT_GROUP("Both"),
    LOOM_OPT_I64("count", 0, privacy_conf, count, "1000", 1, 1e9, "N", "graphs drawn from each side"),
    LOOM_OPT_F64("fail-above", 0, privacy_conf, fail_above, "1", 0.5, 1, "AUC",
                 "exit 3 when an attack's area under the curve is above this"),
    LOOM_OPT_OUT("output", 'o', privacy_conf, output, NULL, "DIR", "folder for privacy_attack.json"),
    LOOM_OPT_END};

/* Scores of one side against the other. */
typedef struct attack {
    bool made;
    loom_graph_losses in, out;
    loom_roc roc;
    double mean_in, mean_out;
    int64_t found; /* canaries that surprise the model less than 99 of 100 twins */
} attack;

typedef struct nearness {
    bool made;
    double *distances;
    int64_t n, zero;
} nearness;

typedef struct privacy_job {
    const loom_ctx *ctx;
    const privacy_conf *conf;
    attack members, canaries;
    nearness generated, heldout;
    int64_t rare, rare_met;
} privacy_job;

/* ---- membership ---- */

static loom_status run_attack(attack *a, const privacy_job *j, const loom_loss_model *m, const char *in,
                              const char *out, loom_err *err)
{
    uint64_t seed = (uint64_t)j->ctx->common.seed;
    LOOM_TRY(loom_graph_losses_read(&a->in, m, in, j->conf->count, seed, err));
    LOOM_TRY(loom_graph_losses_read(&a->out, m, out, j->conf->count, seed, err));
    a->mean_in = loom_metrics_mean(a->in.of, a->in.n);
    a->mean_out = loom_metrics_mean(a->out.of, a->out.n);
    for (int64_t i = 0; i < a->in.n; i++) a->in.of[i] = -a->in.of[i]; /* what is known surprises less */
    for (int64_t i = 0; i < a->out.n; i++) a->out.of[i] = -a->out.of[i];
    LOOM_TRY(loom_roc_of(&a->roc, a->in.of, a->in.n, a->out.of, a->out.n, err));
    a->found = (int64_t)llround(a->roc.caught * (double)a->in.n);
    a->made = true;
    return LOOM_OK;
}

static loom_status run_attacks(privacy_job *j, loom_err *err)
{
    const privacy_conf *c = j->conf;
    loom_loss_model m = {0};
    if (!c->members && !c->planted) return LOOM_OK;
    loom_status st = loom_loss_model_open(&m, c->model, c->adapter, c->context, (int)j->ctx->common.threads, err);
    if (st == LOOM_OK && c->members) st = run_attack(&j->members, j, &m, c->members, c->others, err);
    if (st == LOOM_OK && c->planted) st = run_attack(&j->canaries, j, &m, c->planted, c->twins, err);
    loom_loss_model_close(&m);
    return st;
}

/* ---- nearness ---- */

static loom_status measure(nearness *n, const loom_call_sets *known, const loom_call_sets *asked, loom_pool *pool,
                           loom_err *err)
{
    n->n = asked->n;
    if (!(n->distances = loom_alloc((size_t)n->n + 1, sizeof *n->distances))) return loom_fail_nomem(err, "distances");
    loom_nearest(n->distances, known, asked, pool);
    loom_metrics_sort(n->distances, n->n);
    for (int64_t i = 0; i < n->n; i++) n->zero += n->distances[i] <= 0;
    n->made = n->n > 0;
    return LOOM_OK;
}

static loom_status run_nearness(privacy_job *j, loom_err *err)
{
    const privacy_conf *c = j->conf;
    uint64_t seed = (uint64_t)j->ctx->common.seed;
    loom_call_sets known = {0}, made = {0}, heldout = {0};
    loom_pool *pool = NULL;
    loom_status st = LOOM_OK;
    if (!c->train) return LOOM_OK;
    if ((st = loom_pool_new(&pool, (int)j->ctx->common.threads, err)) != LOOM_OK) goto done;
    if ((st = loom_call_sets_load(&known, c->train, 0, seed, err)) != LOOM_OK) goto done;
    for (int i = 0; i < j->ctx->n_args; i++)
        if ((st = loom_call_sets_load(&made, j->ctx->args[i], c->count, seed, err)) != LOOM_OK) goto done;
    if ((st = measure(&j->generated, &known, &made, pool, err)) != LOOM_OK) goto done;
    j->rare = loom_rare_names_met(&j->rare_met, &known, &made, c->below);
    if (!c->heldout) goto done;
    if ((st = loom_call_sets_load(&heldout, c->heldout, c->count, seed, err)) != LOOM_OK) goto done;
    st = measure(&j->heldout, &known, &heldout, pool, err);
done:
    loom_call_sets_release(&known);
    loom_call_sets_release(&made);
    loom_call_sets_release(&heldout);
    loom_pool_free(pool);
    return st;
}

/* ---- what is told ---- */

static void attack_json(loom_jw *w, const char *key, const attack *a)
{
    if (!a->made) return;
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "known", a->in.n);
    loom_jw_kv_i64(w, "unknown", a->out.n);
    loom_jw_kv_i64(w, "samples_cut", a->in.cut + a->out.cut);
    loom_jw_kv_f64(w, "mean_loss_known", a->mean_in);
    loom_jw_kv_f64(w, "mean_loss_unknown", a->mean_out);
    loom_jw_kv_f64(w, "auc", a->roc.auc.value);
    loom_jw_kv_f64(w, "auc_lo", a->roc.auc.lo);
    loom_jw_kv_f64(w, "auc_hi", a->roc.auc.hi);
    loom_jw_kv_f64(w, "caught", a->roc.caught);
    loom_jw_kv_f64(w, "false_alarms", a->roc.alarms);
    loom_jw_end_object(w);
}

static void nearness_json(loom_jw *w, const char *key, const nearness *n)
{
    static const struct {
        const char *key;
        double q;
    } quantiles[] = {{"p1", .01}, {"p5", .05}, {"p25", .25}, {"p50", .5}};
    if (!n->made) return;
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "graphs", n->n);
    loom_jw_kv_i64(w, "same_calls", n->zero);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        loom_jw_kv_f64(w, quantiles[i].key, loom_metrics_quantile(n->distances, n->n, quantiles[i].q));
    loom_jw_end_object(w);
}

static void render_json(const privacy_job *j, loom_buf *into)
{
    loom_jw w;
    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "spanloom-privacy-attack-1");
    attack_json(&w, "membership", &j->members);
    attack_json(&w, "canaries", &j->canaries);
    if (j->canaries.made) loom_jw_kv_i64(&w, "canaries_found", j->canaries.found);
    nearness_json(&w, "generated_to_training", &j->generated);
    nearness_json(&w, "heldout_to_training", &j->heldout);
    if (j->generated.made) {
        loom_jw_kv_i64(&w, "rare_below", j->conf->below);
        loom_jw_kv_i64(&w, "rare_names", j->rare);
        loom_jw_kv_i64(&w, "rare_names_generated", j->rare_met);
    }
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

static const char *verdict(const loom_roc *r)
{
    if (r->auc.lo > 0.5 && r->auc.value > 0.7)
        return "the model knows its training graphs by heart: who has it and a graph can often tell whether that was trained on";
    if (r->auc.lo > 0.5)
        return "the model knows its training graphs a little better than others: a whole set of graphs can be told, a single one hardly";
    return "this attack finds no difference; that is no proof that there is none";
}

static void say_attack(loom_buf *t, const char *what, const char *others, const attack *a)
{
    const loom_roc *r = &a->roc;
    if (!a->made) return;
    loom_buf_printf(
        t,
        "%s: mean loss %.3f of %lld against %.3f of %lld %s; area under the curve %.3f (95 %%: %.3f to %.3f), "
        "%.1f %% told at %.1f %% false alarms\n",
        what, a->mean_in, (long long)a->in.n, a->mean_out, (long long)a->out.n, others, r->auc.value, r->auc.lo,
        r->auc.hi, 100 * r->caught, 100 * r->alarms);
    if (a->in.cut + a->out.cut)
        loom_buf_printf(t, "  %lld samples were longer than the context and were cut\n",
                        (long long)(a->in.cut + a->out.cut));
}

static void say_near(loom_buf *t, const char *what, const nearness *n)
{
    if (!n->made) return;
    loom_buf_printf(
        t,
        "%s: distance to the nearest training graph %.3f in the middle, %.3f at 5 %%; %lld of %lld have the very calls of one\n",
        what, loom_metrics_quantile(n->distances, n->n, .5), loom_metrics_quantile(n->distances, n->n, .05),
        (long long)n->zero, (long long)n->n);
}

static void render_text(const privacy_job *j, loom_buf *t)
{
    say_attack(t, "training graphs", "held-out ones", &j->members);
    say_attack(t, "canaries", "twins that were not planted", &j->canaries);
    say_near(t, "generated graphs", &j->generated);
    say_near(t, "held-out graphs", &j->heldout);
    if (j->generated.made)
        loom_buf_printf(t, "names in fewer than %lld training graphs: %lld, of which generated graphs hold %lld\n",
                        (long long)j->conf->below, (long long)j->rare, (long long)j->rare_met);
    loom_buf_str(t, "\nIn plain words\n");
    if (j->members.made) loom_buf_printf(t, "  Membership: %s.\n", verdict(&j->members.roc));
    if (j->canaries.made)
        loom_buf_printf(t, "  Canaries: %lld of %lld were found, where about %.1f would be by chance; %s.\n",
                        (long long)j->canaries.found, (long long)j->canaries.in.n, 0.01 * (double)j->canaries.in.n,
                        j->canaries.roc.auc.lo > 0.5 ? "what was planted once can be told from what was not"
                                                     : "they are not told from others");
    if (j->generated.made)
        loom_buf_str(
            t, "  Nearness is a number, no verdict: graphs of one system are alike, and held-out ones say how much.\n");
}

static loom_status write_all(const privacy_job *j, loom_results *r, loom_err *err)
{
    loom_buf json = {0}, text = {0};
    render_json(j, &json);
    render_text(j, &text);
    loom_status st = loom_results_text(r, "privacy_attack.json", loom_buf_text(&json), json.len, err);
    const loom_buf *told = j->ctx->common.json ? &json : &text;
    if (st == LOOM_OK) st = loom_stdout_text(loom_buf_text(told), told->len, err);
    if (st == LOOM_OK) st = loom_results_close(r, err);
    loom_buf_release(&json);
    loom_buf_release(&text);
    return st;
}

static loom_status judge(const privacy_job *j, loom_err *err)
{
    const attack *all[] = {&j->members, &j->canaries};
    for (int i = 0; i < 2; i++)
        if (all[i]->made && all[i]->roc.auc.value > j->conf->fail_above)
            return loom_fail(err, LOOM_STATUS_VERDICT,
                             "the loss tells %s by an area under the curve of %.3f, more than the %.3f allowed",
                             i ? "canaries" : "training graphs", all[i]->roc.auc.value, j->conf->fail_above);
    return LOOM_OK;
}

/* ---- the command ---- */

static loom_status check_conf(const loom_ctx *ctx, loom_err *err)
{
    const privacy_conf *c = ctx->conf;
    bool attacks = c->members || c->planted;
    if (!c->members != !c->others)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--members and --others go together: graphs that were trained on, and graphs that were not");
    if (!c->planted != !c->twins)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--planted and --twins go together: loom-preprocess canaries makes both");
    if (attacks && !c->model) return loom_fail(err, LOOM_STATUS_ARG, "no model to ask; name one with --model");
    if (!c->train != !ctx->n_args) return loom_fail(err, LOOM_STATUS_ARG, "generated graphs and --train go together");
    if (!attacks && !c->train)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "nothing to report on; give --model with --members and --others, or --train with generated graphs");
    return LOOM_OK;
}

static loom_status record_inputs(const privacy_job *j, loom_results *r, loom_err *err)
{
    const privacy_conf *c = j->conf;
    const char *const files[] = {c->members, c->others, c->planted, c->twins, c->train, c->heldout};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i]) LOOM_TRY(loom_results_input(r, files[i], err));
    for (int i = 0; i < j->ctx->n_args; i++) LOOM_TRY(loom_results_input(r, j->ctx->args[i], err));
    return LOOM_OK;
}

static void release(privacy_job *j)
{
    attack *all[] = {&j->members, &j->canaries};
    for (int i = 0; i < 2; i++) {
        loom_graph_losses_release(&all[i]->in);
        loom_graph_losses_release(&all[i]->out);
    }
    free(j->generated.distances);
    free(j->heldout.distances);
}

static loom_status run_privacy(const loom_ctx *ctx, loom_err *err)
{
    privacy_job j = {.ctx = ctx, .conf = ctx->conf};
    loom_results r = {0};
    LOOM_TRY(check_conf(ctx, err));
    loom_status st = loom_results_open(&r, ctx, j.conf->output, false, err);
    if (st == LOOM_OK) st = record_inputs(&j, &r, err);
    if (st == LOOM_OK) st = run_attacks(&j, err);
    if (st == LOOM_OK) st = run_nearness(&j, err);
    if (st == LOOM_OK) st = write_all(&j, &r, err);
    if (st == LOOM_OK) st = judge(&j, err);
    release(&j);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_privacy = {
    .name = "privacy",
    .summary = "what a model gives away of its training graphs: membership, canaries, nearness",
    .args = "[GRAPHS...]",
    .min_args = 0,
    .max_args = -1,
    .details =
        "Membership: the mean loss of a graph's tokens as a score; an area under the curve of 0.5 tells nothing, of 1\n"
        "everything. Both shards must come from the same graphs split at random, and the training one neither balanced\n"
        "nor shuffled. Canaries: graphs that loom-preprocess canaries has planted, against twins that were never seen;\n"
        "found is one that surprises the model less than 99 of 100 twins. Nearness: insertions and deletions of calls\n"
        "to the nearest training graph, over all calls of both, beside the same of held-out graphs.\n"
        "Copies are counted by loom-eval memorization.\n"
        "\n"
        "  loom-eval privacy -m run --members train.tokens.h5 --others valid.tokens.h5 --train train.graphs.zst \\\n"
        "      --heldout valid.graphs.zst new.graphs.zst -o results",
    .opts = privacy_opts,
    .conf_size = sizeof(privacy_conf),
    .run = run_privacy};
