/* loom-infer sample. Longer than most: it has more options than any other command, and many ways to name what is
 * wanted. */
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/progress.h"
#include "core/ranks.h"
#include "core/usage.h"
#include "infer/commands/infer_cmds.h"
#include "infer/engine/model_loader.h"
#include "infer/files/promptlist.h"
#include "infer/files/result_ranks.h"
#include "infer/loop/budget.h"
#include "infer/loop/naming.h"

typedef struct sample_conf {
    loom_model_loader_conf model;
    const char *prompts, *like, *stats, *service, *start_node, *include, *names, *shard;
    const char *output, *records, *csv;
    int mode, form, constrain;
    int64_t edges, depth, latency, min_latency, children, n, limit, top_k, max_tokens, max_trials;
    double temperature, top_p, min_p;
    bool high_latency, reference_prompts, only_correct, keep_going, resume;
} sample_conf;

static const loom_opt sample_opts[] = {
    LOOM_MODEL_LOADER_OPTS(sample_conf, model),
    LOOM_OPT_GROUP("What to generate"),
    LOOM_OPT_IN("prompts", 'p', sample_conf, prompts, NULL, "FILE",
                "prompts of loom-eval prompts (*.prompts.jsonl), or published ones (records from ### Question: on, "
                "in a text file or an archive of them)"),
    LOOM_OPT_FLAG("reference-prompts", 0, sample_conf, reference_prompts,
                  "published prompts: leave out the last of each file, as the public program does"),
    LOOM_OPT_IN("like", 0, sample_conf, like, NULL, "STORE", "one request for each graph of a store"),
    LOOM_OPT_I64("limit", 0, sample_conf, limit, "0", 0, 1e15, "N", "only the first N prompts or graphs; 0: all"),
    LOOM_OPT_IN("stats", 0, sample_conf, stats, NULL, "FILE",
                "with --like: what is usual (loom-preprocess stats), so that slow graphs are asked for as slow ones"),
    LOOM_OPT_STR(
        "service", 0, sample_conf, service, NULL, "NAME",
        "without a file: service of the graphs; when it is not given, drawn for each as the training graphs have it"),
    LOOM_OPT_I64("edges", 0, sample_conf, edges, "-1", -1, 1e6, "N",
                 "without a file: number of calls; -1: not asked for"),
    LOOM_OPT_I64("depth", 0, sample_conf, depth, "-1", -1, 1000, "N",
                 "without a file: depth, the first call counting 1; -1: not asked for"),
    LOOM_OPT_I64("latency", 0, sample_conf, latency, "-1", -1, 1e12, "MS",
                 "without a file: milliseconds within which the calls must finish; -1: not asked for"),
    LOOM_OPT_FLAG("high-latency", 0, sample_conf, high_latency,
                  "without a file: ask for a latency that is high for the service (instruction)"),
    LOOM_OPT_I64("min-latency", 0, sample_conf, min_latency, "0", 0, 1e12, "MS",
                 "without a file: milliseconds that the first call must take at least; 0: not asked for (instruction)"),
    LOOM_OPT_STR("include", 0, sample_conf, include, NULL, "CALLER,CALLEE,TYPE",
                 "without a file: a call that the graph must have, like MS_00001,MS_00002,rpc (instruction)"),
    LOOM_OPT_STR("start-node", 0, sample_conf, start_node, NULL, "NAME",
                 "without a file: caller of the first call, USER when it is not given (not tabular)"),
    LOOM_OPT_I64("children", 0, sample_conf, children, "-1", -1, 1, "N",
                 "without a file: layers below the first call, 0 or 1; -1: what edges and depth say (not tabular)"),
    LOOM_OPT_ENUM("mode", 0, sample_conf, mode, "auto", "tabular|recursive|instruction|auto",
                  "encoding; auto: every prompt's own, instruction without a file"),
    LOOM_OPT_ENUM("prompt-form", 0, sample_conf, form, "training", "reference|training",
                  "child prompts like the public program's, or exactly like training text"),
    LOOM_OPT_I64("n", 'n', sample_conf, n, "1", 1, 1e9, "K", "samples of each prompt"),
    LOOM_OPT_STR("shard", 0, sample_conf, shard, NULL, "I/N",
                 "only the I-th of N equal parts of the graphs, I from 1 to N; outputs of all parts, joined in order, "
                 "are those of the whole run"),
    LOOM_OPT_GROUP("Sampling"),
    LOOM_OPT_F64("temperature", 't', sample_conf, temperature, "0", 0, 100, "T", "0: always the most likely token"),
    LOOM_OPT_I64("top-k", 'k', sample_conf, top_k, "50", 0, 1e9, "K", "draw among the K most likely tokens; 0: all"),
    LOOM_OPT_F64("top-p", 0, sample_conf, top_p, "0", 0, 1, "P",
                 "... and the fewest of probability P together; 0: off"),
    LOOM_OPT_F64("min-p", 0, sample_conf, min_p, "0", 0, 1, "P",
                 "... and those at least P times as likely as the most likely one; 0: off"),
    LOOM_OPT_I64("max-tokens", 0, sample_conf, max_tokens, "4096", 1, 1e9, "N", "longest text of a layer"),
    LOOM_OPT_I64("trials", 0, sample_conf, max_trials, "1", 1, 1000, "N",
                 "attempts at a layer that breaks a rule, the first one counted: 2 means one retry"),
    LOOM_OPT_FLAG("keep-going", 0, sample_conf, keep_going, "finish the other layers of a graph that has failed"),
    LOOM_OPT_ENUM("constrain", 0, sample_conf, constrain, "off", LOOM_CONSTRAIN_CHOICES,
                  "allow only text of the right form, or only text that meets the request"),
    LOOM_OPT_STR(
        "names", 0, sample_conf, names, NULL, "FILE|any",
        "constrain full: only microservices of this store or list of names, instead of those that the model was "
        "trained on; any: all"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', sample_conf, output, NULL, "FILE", "raw answers (*.answers.jsonl)"),
    LOOM_OPT_OUT("records", 'r', sample_conf, records, NULL, "FILE", "valid graphs as a store (*.graphs.zst)"),
    LOOM_OPT_OUT("csv", 0, sample_conf, csv, NULL, "FILE", "valid graphs as rows of an Alibaba CallGraph table"),
    LOOM_OPT_FLAG("resume", 0, sample_conf, resume,
                  "keep answers in FILE.partial while running; the same command goes on from there"),
    LOOM_OPT_FLAG("only-correct", 0, sample_conf, only_correct,
                  "records and rows only of graphs that meet their request"),
    LOOM_OPT_END};

typedef struct sampling_run {
    const loom_ctx *ctx;
    const sample_conf *conf;
    loom_model_loader backend;
    loom_prompts prompts;
    loom_meta meta;
    loom_naming naming;
    loom_result_files results;
    loom_progress progress;
    double started;
    int64_t samples;      /* of each prompt */
    int64_t first, count; /* graphs first .. first + count - 1 of the run are this shard's */
} sampling_run;

static loom_status check_conf(const sample_conf *c, loom_err *err)
{
    bool wish = c->service || c->edges >= 0 || c->depth >= 0 || c->latency >= 0 || c->high_latency || c->min_latency ||
                c->include || c->start_node || c->children >= 0;
    int sources = (c->prompts != NULL) + (c->like != NULL) + wish;

    if (!c->output && !c->records && !c->csv)
        return loom_fail(err, LOOM_STATUS_ARG, "nothing to write: give --output, --records or --csv");
    if (sources > 1)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--prompts, --like and wishes (--edges, --depth, --service, ...) exclude each other");
    if (sources == 0)
        return loom_fail(err, LOOM_STATUS_ARG, "nothing to generate: give --prompts, --like or --edges and --depth");
    if (c->resume && !c->output) return loom_fail(err, LOOM_STATUS_ARG, "--resume needs --output");
    if (loom_naming_is_file(c->names) && c->constrain != LOOM_CONSTRAIN_FULL)
        return loom_fail(err, LOOM_STATUS_ARG, "--names FILE needs --constrain full");
    return LOOM_OK;
}

static loom_wish wish_of(const sample_conf *c)
{
    return (loom_wish){.service = c->service,
                       .edges = c->edges,
                       .depth = c->depth,
                       .latency = c->latency,
                       .start_node = c->start_node,
                       .children = c->children,
                       .include = c->include,
                       .high_latency = c->high_latency,
                       .latency_from = c->min_latency};
}

static loom_status gather_prompts(sampling_run *r, loom_err *err)
{
    const sample_conf *c = r->conf;
    loom_mode mode = c->mode < LOOM_MODES ? (loom_mode)c->mode : LOOM_MODE_INSTRUCTION;
    uint64_t seed = (uint64_t)r->ctx->common.seed;
    loom_wish wish = wish_of(c);
    loom_prompts_how how = {
        .mode = (loom_mode)c->mode, .match_training = c->form == 1, .drop_last = c->reference_prompts};
    loom_stats *stats = NULL;
    loom_status st;

    if (c->prompts) {
        st = loom_prompts_read(&r->prompts, c->prompts, &how, err);
    } else if (c->like) {
        if (c->stats) LOOM_TRY(loom_stats_load(&stats, c->stats, err));
        st = loom_prompts_like(&r->prompts, c->like, stats, mode, c->form == 1, c->limit, seed, err);
        if (stats) loom_stats_free(stats);
    } else {
        st = loom_prompts_wish(&r->prompts, &wish, mode, c->form == 1, 1, seed, err);
    }
    if (st == LOOM_OK && c->limit > 0 && r->prompts.n > c->limit) r->prompts.n = c->limit;
    if (st == LOOM_OK && r->prompts.n == 0)
        st = loom_fail(err, LOOM_STATUS_ARG, "%s holds no prompt%s", c->prompts ? c->prompts : c->like,
                       c->mode < LOOM_MODES ? " of this mode" : "");
    return st;
}

/* A wish is asked for again once the names of the model are known. */
static loom_status draw_services(sampling_run *r, loom_err *err)
{
    const sample_conf *c = r->conf;
    loom_wish wish = wish_of(c);
    loom_mode mode = c->mode < LOOM_MODES ? (loom_mode)c->mode : LOOM_MODE_INSTRUCTION;

    r->samples = c->n;
    if (c->prompts || c->like) return LOOM_OK;
    loom_prompts_release(&r->prompts);
    return loom_prompts_ask(&r->prompts, &wish, &r->naming.model, mode, c->form == 1, c->n,
                            (uint64_t)r->ctx->common.seed, &r->samples, err);
}

static loom_status open_names(sampling_run *r, loom_err *err)
{
    const loom_model_files *b = &r->backend.bundle;
    bool full = r->conf->constrain == LOOM_CONSTRAIN_FULL;

    LOOM_TRY(loom_naming_open(&r->naming, r->conf->names, b->names, b->names_len, full, err));
    LOOM_TRY(draw_services(r, err));
    if (full && !r->conf->names && !r->naming.allowed)
        loom_info("the model carries no names (it was trained by an older version): any microservice may be generated; "
                  "--names FILE keeps to a list");
    return loom_naming_ask(&r->naming, r->prompts.items, r->prompts.n, err);
}

/* The graphs of this run: all, or the part that --shard names. Parts are stretches, so that they can be joined. */
static loom_status cut_shard(sampling_run *r, loom_err *err)
{
    const char *text = r->conf->shard, *slash = text ? strchr(text, '/') : NULL;
    int64_t all = r->prompts.n * r->samples, part = 1, parts = 1;

    if (text && (!slash || !loom_parse_i64(text, (size_t)(slash - text), &part) ||
                 !loom_parse_i64(slash + 1, strlen(slash + 1), &parts) || part < 1 || part > parts || parts > 1000000))
        return loom_fail(err, LOOM_STATUS_ARG, "--shard is \"%s\", expected I/N with 1 <= I <= N, like 2/8", text);
    r->first = all / parts * (part - 1) + loom_min_i64(part - 1, all % parts);
    r->count = all / parts + (part <= all % parts);
    return LOOM_OK;
}

static void on_progress(void *arg, int64_t graphs, int64_t layers, int64_t tokens)
{
    sampling_run *r = arg;
    char note[96];
    double seconds = loom_time_now() - r->started;

    if (!r->progress.on) return;
    loom_engine_counts counts = loom_engine_count(r->backend.engine);
    (void)tokens;
    snprintf(note, sizeof note, "%lld layers, %.0f tokens/s", (long long)layers,
             seconds > 0 ? (double)(counts.decoded + counts.forced) / seconds : 0);
    loom_progress_update(&r->progress, graphs, note);
}

/* Graphs that the rules let pass and of which no record can be made. */
static void report_odd(const loom_gen_totals *t)
{
    loom_buf why = {0};

    for (int o = 0; o < LOOM_ODDITIES; o++)
        if (t->odd[o])
            loom_buf_printf(&why, "%s%s (%s): %lld", why.len ? "; " : "", loom_oddity_names[o], loom_oddity_meanings[o],
                            (long long)t->odd[o]);
    if (t->n_odd)
        loom_warn("%lld valid graph%s in the answers but not among records and rows: %s", (long long)t->n_odd,
                  t->n_odd == 1 ? " is" : "s are", loom_buf_text(&why));
    loom_buf_release(&why);
}

/* Above this share the graphs are as much the constraint's as the model's. */
#define OVERRULED_LIMIT 0.05

static void report_overruled(const sampling_run *r, const loom_gen_totals *t)
{
    const loom_mask_stats *m = &t->mask;
    double all = m->tokens ? (double)m->changed / (double)m->tokens : 0;
    double names = m->names ? (double)m->names_changed / (double)m->names : 0;

    if (r->conf->constrain != LOOM_CONSTRAIN_FULL || (all <= OVERRULED_LIMIT && names <= OVERRULED_LIMIT)) return;
    char within[64] = "";
    if (m->names) snprintf(within, sizeof within, ", %.1f %% of those within names", 100 * names);
    loom_warn(
        "the constraint overruled %.1f %% of the model's choices%s; above %.0f %% graphs are as much the constraint's as the "
        "model's: train longer, or ask for what the training graphs have",
        100 * all, within, 100 * OVERRULED_LIMIT);
}

static void report(const sampling_run *r, const loom_gen_totals *t)
{
    loom_info("%lld graphs: %lld finished, %lld valid, %lld as requested%s", (long long)t->graphs,
              (long long)t->finished, (long long)t->valid, (long long)(t->correct - t->unknown),
              t->stops[LOOM_STOP_LENGTH] ? " (some texts reached the token limit)" : "");
    if (t->unknown)
        loom_warn(
            "%lld more would be as requested but call microservices that no training graph calls; --constrain full "
            "keeps to those, --names any takes all",
            (long long)t->unknown);
    report_odd(t);
    if (t->refused)
        loom_warn("%lld layers were refused: their requests cannot be met (see \"refused\" in the answers)",
                  (long long)t->refused);
    if (r->conf->constrain != LOOM_CONSTRAIN_OFF && t->mask.tokens)
        loom_info(
            "constraint: changed %.2f %% of %lld chosen tokens (probability refused there: mean %.3f, 95 %% at most "
            "%.2f), appended %lld",
            100.0 * (double)t->mask.changed / (double)t->mask.tokens, (long long)t->mask.tokens,
            loom_mask_mean(&t->mask), loom_mask_quantile(&t->mask, 0.95), (long long)t->mask.forced);
    report_overruled(r, t);
    loom_model_loader_report(&r->backend, loom_time_now() - r->started);
}

static void meta_totals(loom_meta *m, const loom_gen_totals *t)
{
    loom_meta_i64(m, "graphs", t->graphs);
    loom_meta_i64(m, "finished", t->finished);
    loom_meta_i64(m, "valid", t->valid);
    loom_meta_i64(m, "correct", t->correct);
    loom_meta_i64(m, "correct_with_unknown_names", t->unknown);
    loom_meta_i64(m, "refused_layers", t->refused);
    for (int o = 0; o < LOOM_ODDITIES; o++) loom_meta_i64(m, loom_oddity_names[o], t->odd[o]);
    loom_meta_i64(m, "layers", t->layers);
    loom_meta_i64(m, "tokens", t->tokens);
    loom_meta_i64(m, "stopped_by_length", t->stops[LOOM_STOP_LENGTH]);
    loom_meta_i64(m, "mask_tokens", t->mask.tokens);
    loom_meta_i64(m, "mask_changed", t->mask.changed);
    loom_meta_i64(m, "mask_names", t->mask.names);
    loom_meta_i64(m, "mask_names_changed", t->mask.names_changed);
    loom_meta_f64(m, "mask_removed", t->mask.removed);
    loom_meta_f64(m, "mask_removed_mean", loom_mask_mean(&t->mask));
    loom_meta_f64(m, "mask_removed_p95", loom_mask_quantile(&t->mask, 0.95));
    loom_meta_i64(m, "mask_forced", t->mask.forced);
}

static loom_status record_inputs(sampling_run *r, loom_err *err)
{
    const char *names = loom_naming_is_file(r->conf->names) ? r->conf->names : NULL;
    const char *ins[] = {r->conf->prompts, r->conf->like, r->conf->stats, names};
    for (size_t i = 0; i < sizeof ins / sizeof *ins; i++)
        if (ins[i]) LOOM_TRY(loom_meta_input(&r->meta, ins[i], err));
    return loom_model_loader_inputs(&r->meta, &r->backend, &r->conf->model, err);
}

static bool up_to_date(const sampling_run *r)
{
    const char *outs[] = {r->conf->output, r->conf->records, r->conf->csv};
    bool fresh = outs[0] || outs[1] || outs[2];
    for (size_t i = 0; fresh && i < sizeof outs / sizeof *outs; i++)
        if (outs[i]) fresh = loom_meta_up_to_date(&r->meta, r->ctx, outs[i]);
    return fresh;
}

static loom_status commit(sampling_run *r, const loom_gen_totals *t, loom_err *err)
{
    loom_model_loader_meta(&r->meta, &r->backend);
    meta_totals(&r->meta, t);
    return loom_result_files_commit(&r->results, &r->meta, r->ctx, err);
}

static void print_json(const loom_gen_totals *t, loom_buf *into)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "graphs", t->graphs);
    loom_jw_kv_i64(&w, "finished", t->finished);
    loom_jw_kv_i64(&w, "valid", t->valid);
    loom_jw_kv_i64(&w, "correct", t->correct);
    loom_jw_kv_i64(&w, "as_requested", t->correct - t->unknown);
    loom_jw_kv_i64(&w, "layers", t->layers);
    loom_jw_kv_i64(&w, "tokens", t->tokens);
    loom_jw_kv_i64(&w, "refused", t->refused);
    for (int o = 0; o < LOOM_ODDITIES; o++) loom_jw_kv_i64(&w, loom_oddity_names[o], t->odd[o]);
    loom_jw_kv_i64(&w, "mask_changed", t->mask.changed);
    loom_jw_kv_i64(&w, "mask_tokens", t->mask.tokens);
    loom_jw_kv_i64(&w, "mask_forced", t->mask.forced);
    loom_jw_kv_f64(&w, "mask_removed_mean", loom_mask_mean(&t->mask));
    loom_jw_kv_f64(&w, "mask_removed_p95", loom_mask_quantile(&t->mask, 0.95));
    loom_jw_kv_i64(&w, "mask_names", t->mask.names);
    loom_jw_kv_i64(&w, "mask_names_changed", t->mask.names_changed);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

static loom_status generate(sampling_run *r, loom_gen_totals *totals, loom_err *err)
{
    const sample_conf *c = r->conf;
    loom_gen_options o = {.match_training = c->form == 1,
                          .keep_going = c->keep_going,
                          .constrain = (loom_constrain)c->constrain,
                          .seed = (uint64_t)r->ctx->common.seed,
                          .samples = r->samples,
                          .max_tokens = c->max_tokens,
                          .max_trials = c->max_trials,
                          .temperature = c->temperature,
                          .top_k = c->top_k,
                          .top_p = c->top_p,
                          .min_p = c->min_p,
                          .names = r->naming.allowed,
                          .known = r->naming.known,
                          .progress = on_progress,
                          .progress_arg = r};

    loom_gen_bos(&o, c->model.bos);
    o.skip = r->first + r->results.n_resumed;
    o.count = r->count - r->results.n_resumed;
    LOOM_TRY(loom_budget_keep(&o, r->backend.tok, r->prompts.items, r->prompts.n,
                              loom_engine_context(r->backend.engine), err));
    loom_progress_start(&r->progress, &r->ctx->common, "sample", o.count, "graphs");
    r->started = loom_time_now();
    loom_status st = o.count <= 0 ? LOOM_OK
                                  : loom_generate(r->backend.completer, r->prompts.items, r->prompts.n, &o,
                                                  loom_result_files_keep, &r->results, totals, err);
    loom_progress_finish(&r->progress, NULL);
    loom_engine_counts mine = loom_engine_count(r->backend.engine);
    return st == LOOM_OK ? loom_result_ranks_join(&r->results, totals, &r->backend.others, &mine, err) : st;
}

/* Everything that results depend on; not batch, threads or sharing. */
static loom_hash128 run_key(const sampling_run *r)
{
    const sample_conf *c = r->conf;
    const loom_model_loader *b = &r->backend;
    loom_buf t = {0};

    loom_buf_printf(&t, "%s|%s|%lld|%s|%lld|%d|%d|%d|%d|%lld|%.17g|%lld|%.17g|%lld|%lld|%d|%s|%s", b->bundle.path,
                    b->bundle.digest, (long long)b->bundle.step, b->bundle.adapter_path ? b->bundle.adapter_path : "",
                    (long long)loom_engine_context(b->engine), c->model.bos, loom_model_loader_half(&c->model),
                    c->model.half_cache, c->form, (long long)r->ctx->common.seed, c->temperature, (long long)c->top_k,
                    c->top_p, (long long)c->max_tokens, (long long)c->max_trials, c->keep_going,
                    c->names ? c->names : "", c->only_correct ? "correct" : "");
    loom_buf_printf(&t, "|%.17g|%lld|%lld", c->min_p, (long long)r->first, (long long)r->count);
    loom_buf_printf(&t, "|%d|%d|%lld|%lld", c->constrain, c->model.jump, (long long)c->n, (long long)r->prompts.n);
    for (int64_t i = 0; i < r->prompts.n; i++) {
        const loom_gen_prompt *p = &r->prompts.items[i];
        loom_buf_printf(&t, "|%lld %d ", (long long)p->id, (int)p->mode);
        loom_buf_append(&t, p->text, p->len);
    }
    loom_hash128 key = loom_hash128_of(t.data, t.len);
    loom_buf_release(&t);
    return key;
}

/* A model that finishes nothing has not learned the form of the text: that must not look like success. */
static loom_status judge(const sampling_run *r, const loom_gen_totals *t, loom_err *err)
{
    if (r->conf->constrain != LOOM_CONSTRAIN_OFF || t->graphs == 0 || t->finished || r->results.n_resumed)
        return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_VERDICT,
        "none of %lld graphs was finished%s: the answers are written, but the model breaks the rules in each; "
        "use --constrain full, or train longer",
        (long long)t->graphs, t->stops[LOOM_STOP_LENGTH] == t->layers && t->layers ? " within --max-tokens" : "");
}

/* Rank 0 says whether there is anything to do, then each takes its stretch. */
static loom_status join_ranks(sampling_run *r, bool *idle, loom_err *err)
{
    LOOM_TRY(loom_ranks_agree(record_inputs(r, err), err));
    *idle = loom_ranks_lead() && up_to_date(r);
    LOOM_TRY(loom_ranks_tell(idle, sizeof *idle, err));
    LOOM_TRY(loom_ranks_same(run_key(r).lo, "the options, prompts or model", err));
    loom_result_ranks_cut(&r->first, &r->count);
    return LOOM_OK;
}

/* Prompts, the model and the names it may use. */
static loom_status get_ready(sampling_run *r, loom_err *err)
{
    LOOM_TRY(check_conf(r->conf, err));
    if (r->conf->resume && loom_ranks_count() > 1)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "--resume is for a single process; give parts with --shard I/N to several, each with --resume");
    LOOM_TRY(gather_prompts(r, err));
    r->samples = r->conf->n;
    LOOM_TRY(cut_shard(r, err)); /* wrong options are told before the model is read */
    LOOM_TRY(loom_model_loader_open(&r->backend, &r->conf->model, &r->ctx->common, err));
    LOOM_TRY(open_names(r, err));
    return cut_shard(r, err);
}

static loom_status sample(const loom_ctx *ctx, loom_err *err)
{
    sampling_run r = {.ctx = ctx, .conf = ctx->conf};
    const sample_conf *c = r.conf;
    static const char *const constrain_names[] = {"off", "syntax", "full"};
    loom_result_files_conf rc = {.answers = c->output,
                                 .records = c->records,
                                 .csv = c->csv,
                                 .force = ctx->common.force,
                                 .safe_csv = ctx->common.safe_csv,
                                 .only_correct = c->only_correct,
                                 .temperature = c->temperature,
                                 .seed = ctx->common.seed,
                                 .constrain = constrain_names[c->constrain]};
    loom_gen_totals totals = {0};
    loom_buf json = {0};
    bool idle = false;
    loom_status st;

    if ((st = loom_ranks_agree(get_ready(&r, err), err)) != LOOM_OK) goto done;
    rc.known = r.naming.known;
    if (ctx->common.dry_run) {
        loom_info("would generate %lld graphs", (long long)r.count);
        goto done;
    }
    rc.resume = c->resume;
    if (c->resume) rc.run = run_key(&r);
    if ((st = join_ranks(&r, &idle, err)) != LOOM_OK || idle) goto done;
    rc.first = r.first;
    if ((st = loom_ranks_agree(loom_result_files_open(&r.results, &rc, err), err)) != LOOM_OK) goto done;
    if (r.results.n_resumed) loom_info("going on behind %lld results", (long long)r.results.n_resumed);
    if ((st = generate(&r, &totals, err)) != LOOM_OK || !loom_ranks_lead()) goto done;
    if ((st = commit(&r, &totals, err)) != LOOM_OK) goto done;
    report(&r, &totals);
    if (ctx->common.json) {
        print_json(&totals, &json);
        st = loom_stdout_write(json.data, json.len, err);
    }
    if (st == LOOM_OK) st = judge(&r, &totals, err);
done:
    loom_result_files_abandon(&r.results);
    loom_model_loader_close(&r.backend);
    loom_naming_release(&r.naming);
    loom_prompts_release(&r.prompts);
    loom_meta_release(&r.meta);
    loom_buf_release(&json);
    return st;
}

static loom_status run_sample(const loom_ctx *ctx, loom_err *err) { return loom_ranks_run(sample, ctx, err); }

const loom_cmd loom_cmd_sample = {
    .name = "sample",
    .summary = "generate call graphs with a model",
    .args = "",
    .details =
        "Every graph grows layer by layer: the text of a layer asks for the layers below it. Layers of many graphs\n"
        "are decoded together. Sample k of prompt p depends on --seed, p and k alone.\n"
        "A run that is stopped leaves nothing behind; with --resume it keeps what is done and goes on when the same\n"
        "command is given again. --shard cuts a run into parts for several machines: give each the same command with\n"
        "1/N, 2/N, ..., then join the answers (cat 1.answers.jsonl 2.answers.jsonl ...) and the stores (cat, also of\n"
        ".zst files); of CSV tables leave out the first line of all but the first.\n"
        "In a first prompt without start_node the first call comes from USER.\n"
        "Exit code 3: without --constrain not one graph was finished; the answers are written all the same.\n"
        "\n"
        "  loom-infer sample --model runs/demo --prompts cells.prompts.jsonl -o cells.answers.jsonl\n"
        "  loom-infer sample --model runs/demo --edges 12 --depth 4 -n 100 -t 0.8 --constrain full --csv new.csv\n",
    .opts = sample_opts,
    .conf_size = sizeof(sample_conf),
    .run = run_sample,
    .updates = true,
    .ranks = true,
};
