/* loom-train classify: a frozen model with a linear head, trained on questions of several origins, tested on real ones
 * (Table 2, Fig 7 left). */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/rng.h"
#include "core/usage.h"
#include "model/blas.h"
#include "model/model_files.h"
#include "train/classifier.h"
#include "train/train_cmds.h"

#define STATES "last|mean|both"
static const char *const state_names[] = {"last", "mean", "both"};

typedef struct classify_conf {
    const char *model, *adapter, *base, *tokenizer, *test, *output;
    int64_t samples, seeds, epochs, batch_tokens;
    double valid_share;
    int state, solver;
    bool fresh;
} classify_conf;

static const loom_opt classify_opts[] = {
    LOOM_OPT_GROUP("Model"),
    LOOM_OPT_IN("model", 'm', classify_conf, model, NULL, "PATH", "checkpoint, run folder or Hugging Face folder"),
    LOOM_OPT_IN("adapter", 'a', classify_conf, adapter, NULL, "PATH",
                "LoRA adapter beside it, such as one that was tuned on the same questions (loom-train sft --lora)"),
    LOOM_OPT_STR("base", 0, classify_conf, base, NULL, "PATH", "base of an adapter, when it has moved"),
    LOOM_OPT_IN("tokenizer", 0, classify_conf, tokenizer, NULL, "FILE", "tokenizer.json, when the model holds none"),
    LOOM_OPT_FLAG("fresh", 0, classify_conf, fresh,
                  "draw the weights anew: what the same model knows that was never trained"),
    LOOM_OPT_ENUM("state", 0, classify_conf, state, "last", STATES,
                  "what the head reads: the last hidden state of the last token, the mean over all tokens, or both"),
    LOOM_OPT_GROUP("Questions"),
    LOOM_OPT_IN("test", 0, classify_conf, test, NULL, "TEXT", "questions of real graphs to test on"),
    LOOM_OPT_I64("samples", 0, classify_conf, samples, "0", 0, 1000000000, "N",
                 "questions to train and choose on; 0: as many as the smallest origin has"),
    LOOM_OPT_F64("valid-share", 0, classify_conf, valid_share, "0.1111", 0.001, 0.9, "SHARE",
                 "of these, to choose settings by (the paper splits 8:1:1)"),
    LOOM_OPT_I64("seeds", 0, classify_conf, seeds, "5", 1, 1000, "N",
                 "heads of an origin, each from another draw of questions"),
    LOOM_OPT_GROUP("Head"),
    LOOM_OPT_ENUM("solver", 0, classify_conf, solver, "lbfgs", LOOM_SOLVER_CHOICES,
                  "lbfgs: to the minimum, the decay chosen; adam: some epochs, rate and batch size chosen"),
    LOOM_OPT_I64("epochs", 0, classify_conf, epochs, "1", 1, 100000, "N", "adam: times through the questions"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', classify_conf, output, NULL, "FILE", "heads and what they say (.classes.jsonl)"),
    LOOM_OPT_I64("batch-tokens", 0, classify_conf, batch_tokens, "4096", 1, 1000000, "N",
                 "tokens that go through the model at a time"),
    LOOM_OPT_END};

/* Questions of one origin, and the model's states of them. */
typedef struct origin {
    char name[128];
    const char *path;
    loom_yes_no q;
    float *states; /* (q.n, F) */
} origin;

typedef struct classifying {
    const loom_ctx *ctx;
    const classify_conf *conf;
    loom_model_files files;
    loom_tokenizer *tok;
    loom_pool *pool;
    loom_acts *acts;
    origin *list; /* (n): the test first */
    int n;
    int64_t samples, max_rows, F;
    loom_out *out;
    loom_meta meta;
} classifying;

/* ---- opening ---- */

static loom_status open_model(classifying *c, loom_err *err)
{
    const classify_conf *conf = c->conf;
    loom_model_files_options o = {.frozen = !conf->fresh, .base = conf->base};
    loom_model_files *f = &c->files;

    LOOM_TRY(loom_blas_reserve((int)c->ctx->common.threads, err));
    LOOM_TRY(loom_model_files_load(f, conf->model, conf->adapter, &o, err));
    if (f->note[0]) loom_info("%s", f->note);
    if (conf->fresh && f->lora)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--fresh draws the weights anew, so that an adapter means nothing; "
                         "leave one of them out");
    if (conf->fresh) loom_llama_init(f->model, (uint64_t)c->ctx->common.seed);
    LOOM_TRY(loom_meta_input(&c->meta, f->path, err));
    if (f->adapter_path) LOOM_TRY(loom_meta_input(&c->meta, f->adapter_path, err));
    if (conf->tokenizer) {
        LOOM_TRY(loom_meta_input(&c->meta, conf->tokenizer, err));
        return loom_tokenizer_load(&c->tok, conf->tokenizer, err);
    }
    if (!f->tokenizer)
        return loom_fail(err, LOOM_STATUS_ARG, "%s holds no tokenizer; name one with --tokenizer", conf->model);
    return loom_tokenizer_parse(&c->tok, f->tokenizer, f->tokenizer_len, "tokenizer of the model", err);
}

static loom_status read_origin(classifying *c, origin *o, loom_err *err)
{
    LOOM_TRY(loom_meta_input(&c->meta, o->path, err));
    LOOM_TRY(loom_yes_no_read(&o->q, o->path, c->tok, c->files.model->config.max_positions, err));
    if (o->q.uncommon != c->list[0].q.uncommon)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s asks another question than %s; give texts of one task", o->path,
                         c->list[0].path);
    if (o == c->list || (o->q.n_yes > 0 && o->q.n_yes < o->q.n)) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s: all %lld questions are answered by %s; there is nothing to tell apart", o->path,
                     (long long)o->q.n, o->q.n_yes ? "Yes" : "No");
}

static loom_status read_questions(classifying *c, loom_err *err)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < c->n; i++) {
        LOOM_TRY(read_origin(c, &c->list[i], err));
        if (i > 0) least = loom_min_i64(least, c->list[i].q.n);
    }
    c->samples = c->conf->samples > 0 ? loom_min_i64(c->conf->samples, least) : least;
    if (c->samples >= 10) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "an origin has %lld questions, at least 10 are needed to train and choose on", (long long)least);
}

/* ---- memory ---- */

static loom_acts_options acts_options(const classifying *c)
{
    return (loom_acts_options){
        .max_rows = c->max_rows, .max_seq = c->files.model->config.max_positions, .pool = c->pool};
}

/* Of what is not there yet: activations, and twice the states of the largest origin's selection. */
static double bytes_needed(const classifying *c)
{
    const loom_model_files *f = &c->files;
    const loom_acts_options o = acts_options(c);
    double rows = (double)c->samples;

    for (int i = 0; i < c->n; i++) rows += (double)c->list[i].q.n;
    return (double)loom_acts_bytes(&f->model->config, f->lora ? &f->lora->config : NULL, f->model->frozen, &o,
                                   (int)c->ctx->common.threads) +
           rows * (double)c->F * (double)sizeof(float);
}

static loom_status check_memory(const classifying *c, loom_err *err)
{
    double need = bytes_needed(c), there = loom_memory_there();
    char a[32], b[32];

    loom_format_bytes(a, sizeof a, need);
    loom_info("%d origins, %lld questions of each to train on, %lld to test on; needs %s beside the model", c->n - 1,
              (long long)c->samples, (long long)c->list[0].q.n, a);
    if (need < there) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_NOMEM, "needs %s, there are %s; give fewer questions or --batch-tokens", a,
                     loom_format_bytes(b, sizeof b, there));
}

static loom_status compute_states(classifying *c, loom_err *err)
{
    const loom_acts_options ao = acts_options(c);
    const loom_model_files *f = &c->files;

    LOOM_TRY(loom_acts_new(&c->acts, f->model, f->lora, &ao, err));
    for (int i = 0; i < c->n; i++) {
        origin *o = &c->list[i];
        double since = loom_time_now();
        o->states = loom_alloc((size_t)o->q.n * (size_t)c->F, sizeof *o->states);
        if (!o->states) return loom_fail_nomem(err, "the states of questions");
        LOOM_TRY(loom_classifier_states(o->states, &o->q, f->model, f->lora, c->acts, c->max_rows,
                                        (loom_state_of)c->conf->state, err));
        loom_verbose("%s: %lld questions, %lld tokens, %.1f s", o->path, (long long)o->q.n,
                     (long long)o->q.first[o->q.n], loom_time_now() - since);
    }
    return LOOM_OK;
}

/* ---- writing ---- */

/* Ends the object of `w` and writes it as a line of its own. */
static loom_status write_line(classifying *c, loom_jw *w, loom_buf *line, loom_err *err)
{
    loom_jw_end_object(w);
    loom_buf_char(line, '\n');
    loom_status st = loom_buf_check(line, "the answers of a classifier", err);
    if (st == LOOM_OK) st = loom_out_write(c->out, line->data, line->len, err);
    loom_buf_release(line);
    return st;
}

static loom_status write_head_line(classifying *c, loom_err *err)
{
    const loom_yes_no *test = &c->list[0].q;
    loom_buf line = {0};
    loom_jw w;

    loom_jw_init(&w, &line, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "spanloom-classes-1");
    loom_jw_kv_str(&w, "task", test->uncommon ? "uncommon" : "high-latency");
    loom_jw_kv_str(&w, "state", state_names[c->conf->state]);
    loom_jw_kv_bool(&w, "fresh", c->conf->fresh);
    loom_jw_key(&w, "truth");
    loom_jw_begin_array(&w);
    for (int64_t i = 0; i < test->n; i++) loom_jw_i64(&w, test->yes[i]);
    loom_jw_end_array(&w);
    return write_line(c, &w, &line, err);
}

static void settings_of(loom_jw *w, const loom_classifier *head)
{
    loom_jw_kv_str(w, "solver", loom_solver_names[head->how.solver]);
    if (head->how.solver == LOOM_SOLVER_LBFGS) loom_jw_kv_f64(w, "decay", head->how.decay);
    else {
        loom_jw_kv_f64(w, "lr", head->how.lr);
        loom_jw_kv_i64(w, "batch", head->how.batch);
    }
    loom_jw_kv_i64(w, "n_train", head->n_train);
    loom_jw_kv_i64(w, "n_valid", head->n_valid);
    loom_jw_kv_f64(w, "valid_accuracy", head->valid_accuracy);
}

static loom_status write_head(classifying *c, const origin *o, int64_t seed, const loom_classifier *head, loom_err *err)
{
    const origin *test = &c->list[0];
    loom_buf line = {0};
    loom_jw w;

    loom_jw_init(&w, &line, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "origin", o->name);
    loom_jw_kv_i64(&w, "seed", seed);
    settings_of(&w, head);
    loom_jw_key(&w, "weights");
    loom_jw_begin_array(&w);
    for (int64_t i = 0; i <= head->F; i++) loom_jw_f64(&w, head->w[i]);
    loom_jw_end_array(&w);
    loom_jw_key(&w, "margins");
    loom_jw_begin_array(&w);
    for (int64_t i = 0; i < test->q.n; i++)
        loom_jw_f64(&w, (double)(float)loom_classifier_margin(head, test->states + i * head->F));
    loom_jw_end_array(&w);
    return write_line(c, &w, &line, err);
}

/* ---- heads ---- */

static loom_status one_head(classifying *c, const origin *o, int64_t run, int64_t *order, loom_err *err)
{
    int64_t seed = c->ctx->common.seed + run;
    loom_classifier_conf conf = {.solver = (loom_solver)c->conf->solver,
                                 .valid_share = c->conf->valid_share,
                                 .epochs = c->conf->epochs,
                                 .seed = (uint64_t)seed};
    loom_classifier head = {0};
    loom_rng rng;

    for (int64_t i = 0; i < o->q.n; i++) order[i] = i;
    loom_rng_seed(&rng, (uint64_t)seed, "classify questions", 0);
    loom_rng_shuffle(&rng, order, (size_t)o->q.n, sizeof *order);
    loom_status st = loom_classifier_fit(&head, o->states, o->q.yes, order, c->samples, c->F, &conf, err);
    if (st != LOOM_OK) return loom_err_in(err, "%s", o->path);
    st = write_head(c, o, seed, &head, err);
    loom_classifier_release(&head);
    return st;
}

static loom_status all_heads(classifying *c, loom_err *err)
{
    loom_status st = write_head_line(c, err);

    for (int i = 1; st == LOOM_OK && i < c->n; i++) {
        int64_t *order = loom_alloc((size_t)c->list[i].q.n, sizeof *order);
        if (!order) return loom_fail_nomem(err, "the order of questions");
        for (int64_t run = 0; st == LOOM_OK && run < c->conf->seeds; run++)
            st = loom_stop_requested()
                     ? loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written")
                     : one_head(c, &c->list[i], run, order, err);
        free(order);
    }
    return st;
}

/* ---- the command ---- */

static loom_status name_origins(classifying *c, loom_err *err)
{
    c->n = c->ctx->n_args + 1;
    if (!(c->list = loom_calloc((size_t)c->n, sizeof *c->list))) return loom_fail_nomem(err, "origins");
    c->list[0].path = c->conf->test;
    for (int i = 1; i < c->n; i++) {
        origin *o = &c->list[i];
        o->path = loom_path_called(o->name, sizeof o->name, c->ctx->args[i - 1]);
        for (int k = 1; k < i; k++)
            if (strcmp(c->list[k].name, o->name) == 0)
                return loom_fail(err, LOOM_STATUS_ARG, "two origins are called \"%s\"; name them with NAME=FILE",
                                 o->name);
        loom_meta_called(&c->meta, o->name);
    }
    return LOOM_OK;
}

static loom_status train(classifying *c, loom_err *err)
{
    c->F = loom_state_size((loom_state_of)c->conf->state, c->files.model->config.C);
    c->max_rows = loom_max_i64(c->conf->batch_tokens, c->files.model->config.max_positions);
    LOOM_TRY(loom_pool_new(&c->pool, (int)c->ctx->common.threads, err));
    LOOM_TRY(check_memory(c, err));
    if (c->ctx->common.dry_run) return LOOM_OK;
    LOOM_TRY(loom_out_open(&c->out, c->conf->output, c->ctx->common.force, err));
    LOOM_TRY(compute_states(c, err));
    LOOM_TRY(all_heads(c, err));
    loom_meta_i64(&c->meta, "questions_to_train_on", c->samples);
    loom_meta_i64(&c->meta, "questions_to_test_on", c->list[0].q.n);
    return loom_meta_commit(&c->meta, c->ctx, &c->out, 1, 1, err);
}

static void release(classifying *c)
{
    loom_out_abandon(&c->out);
    for (int i = 0; c->list && i < c->n; i++) {
        loom_yes_no_release(&c->list[i].q);
        free(c->list[i].states);
    }
    free(c->list);
    loom_acts_free(c->acts);
    loom_pool_free(c->pool);
    loom_tokenizer_free(c->tok);
    loom_model_files_release(&c->files);
    loom_meta_release(&c->meta);
}

static loom_status run_classify(const loom_ctx *ctx, loom_err *err)
{
    classifying c = {.ctx = ctx, .conf = ctx->conf};
    loom_status st;

    if (!c.conf->model || !c.conf->test || !c.conf->output)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "name a model with --model, questions to test on with --test, and an output with -o");
    if ((st = name_origins(&c, err)) != LOOM_OK) goto done;
    if ((st = open_model(&c, err)) != LOOM_OK) goto done;
    if ((st = read_questions(&c, err)) != LOOM_OK) goto done;
    if (!loom_meta_up_to_date(&c.meta, ctx, c.conf->output)) st = train(&c, err);
done:
    release(&c);
    return st;
}

const loom_cmd loom_cmd_classify = {
    .name = "classify",
    .summary = "train a linear head on a frozen model, on questions of several origins (Table 2, Fig 7)",
    .args = "[NAME=]TEXT...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "TEXT holds questions that are answered by Yes or No (loom-preprocess encode --task high-latency, uncommon), of\n"
        "real or of generated graphs. Every origin gives as many; every head is tested on the same real ones.\n"
        "loom-eval classes makes the table.\n\n"
        "  loom-train classify --model out/demo/instruction.sft --test valid.txt.zst real=train.txt.zst \\\n"
        "      generated=like.txt.zst -o high-latency.classes.jsonl\n",
    .opts = classify_opts,
    .conf_size = sizeof(classify_conf),
    .run = run_classify,
    .updates = true,
};
