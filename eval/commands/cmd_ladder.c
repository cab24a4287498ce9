/* loom-eval ladder: models of several sizes (Fig 14). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/nomem.h"
#include "core/num.h"
#include "eval/accuracy/accuracy.h"
#include "eval/accuracy/score_answers.h"
#include "eval/commands/eval_cmds.h"
#include "eval/pages/paper.h"
#include "store/ckpt.h"

typedef struct ladder_conf {
    loom_score_answers_conf scoring;
    const char *output;
    bool pictures;
} ladder_conf;

static const loom_opt ladder_opts[] = {
    LOOM_OPT_GROUP("Judging"),
    LOOM_SCORE_ANSWERS_OPTS(ladder_conf, scoring),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', ladder_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, ladder_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

/* How large each model is; the series of one name share it. */
typedef struct rung {
    char name[128];
    int64_t params; /* -1: not known */
} rung;

typedef struct ladder_job {
    rung *rungs;
    int64_t n;
} ladder_job;

/* Weights of the checkpoint that an answers file's provenance names; -1 where that cannot be told. */
static int64_t count_params(const char *answers)
{
    loom_json *root = loom_meta_load(answers, true);
    loom_ckpt *c = NULL;
    int64_t n = -1;
    const char *model = loom_json_str(loom_json_get(root, "model"), NULL);
    if (model && loom_ckpt_open(&c, model, NULL) == LOOM_OK) {
        n = 0;
        for (size_t i = 0; i < loom_ckpt_count(c); i++) {
            const loom_ckpt_entry *e = loom_ckpt_at(c, i);
            if (strncmp(e->name, "tensors/", 8) == 0) n += e->count;
        }
        loom_ckpt_close(&c);
    }
    loom_json_free(root);
    return n > 0 ? n : -1;
}

static loom_status measure_models(ladder_job *j, char *const *args, int n_args, loom_err *err)
{
    char name[128];
    j->rungs = loom_calloc((size_t)n_args, sizeof *j->rungs);
    if (!j->rungs) return loom_fail_nomem(err, "the models");
    for (int i = 0; i < n_args; i++) {
        const char *path = loom_score_answers_name(name, sizeof name, args[i]);
        int64_t k = 0;
        while (k < j->n && strcmp(j->rungs[k].name, name) != 0) k++;
        if (k < j->n) continue;
        rung *r = &j->rungs[j->n++];
        snprintf(r->name, sizeof r->name, "%s", name);
        r->params = count_params(path);
        LOOM_TRY(loom_nomem_check("the models", err));
        if (r->params < 0)
            loom_warn("%s: how large the model is cannot be told (no %s.meta.json, or its model is not there)", path,
                      path);
    }
    return LOOM_OK;
}

static int64_t params_of(const ladder_job *j, const char *name)
{
    for (int64_t k = 0; k < j->n; k++)
        if (strcmp(j->rungs[k].name, name) == 0) return j->rungs[k].params;
    return -1;
}

static void lead(loom_csv_table *t, const void *arg, const loom_series *s)
{
    int64_t params = params_of(arg, s->method);
    loom_csv_table_str(t, "fig14");
    loom_csv_table_str(t, s->method);
    if (params >= 0) loom_csv_table_i64(t, params);
    else loom_csv_table_none(t);
    loom_csv_table_i64(t, s->seed);
    loom_csv_table_f64(t, s->temperature);
}

/* Small models first; those of unknown size last. */
static void sort_by_size(const ladder_job *j, loom_accuracy_lines *lines)
{
    for (int64_t i = 1; i < lines->n; i++)
        for (int64_t k = i; k > 0; k--) {
            uint64_t a = (uint64_t)params_of(j, lines->list[k - 1]->method),
                     b = (uint64_t)params_of(j, lines->list[k]->method);
            if (a <= b) break;
            const loom_series *s = lines->list[k];
            lines->list[k] = lines->list[k - 1];
            lines->list[k - 1] = s;
        }
}

static void size_text(char *text, size_t cap, const char *name, int64_t params)
{
    if (params < 0) snprintf(text, cap, "%s", name);
    else if (params >= 1000000000) snprintf(text, cap, "%s: %.1f B weights", name, (double)params / 1e9);
    else snprintf(text, cap, "%s: %.2f M weights", name, (double)params / 1e6);
}

static loom_status draw(loom_results *r, const ladder_job *j, const loom_tally *t, loom_accuracy_lines *lines,
                        loom_err *err)
{
    const loom_grid *g = &t->grid;
    const char **labels = loom_alloc((size_t)lines->n, sizeof *labels);
    char(*texts)[192] = loom_alloc((size_t)lines->n, sizeof *texts);
    if (!labels || !texts) {
        free(labels);
        free(texts);
        return loom_fail_nomem(err, "a picture");
    }
    for (int64_t i = 0; i < lines->n; i++) {
        size_text(texts[i], sizeof *texts, lines->list[i]->method, params_of(j, lines->list[i]->method));
        labels[i] = texts[i];
    }
    loom_accuracy_picture pictures[] = {
        {"fig14a", "Model sizes: accuracy by number of edges", "model", "edges", "edges (calls in the graph)",
         (double)g->edges_lo, (double)g->edges_hi, g->edges_hi - g->edges_lo > 40 ? 5 : 1, labels, true},
        {"fig14b", "Model sizes: accuracy by depth", "model", "depth", "depth (levels)", (double)g->depth_lo,
         (double)g->depth_hi, 1, labels, true},
        {"fig14c", "Model sizes: accuracy by temperature", "model", "temperature", "temperature", lines->temp_lo,
         lines->temp_hi, 0.2, labels, true},
    };
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < (lines->several_temperatures ? 3u : 2u) && st == LOOM_OK; i++)
        st = loom_accuracy_draw(r, lines, LOOM_VALIDITY_PAPER, &pictures[i], err);
    free(labels);
    free(texts);
    return st;
}

static void compare_with_paper(loom_results *r, const loom_tally *t, const loom_accuracy_lines *lines)
{
    if (lines->n < 2) return;
    const loom_series *small = lines->list[0], *large = lines->list[lines->n - 1];
    loom_tally_cell s = loom_tally_sum(t, small, -1, -1, 5, -1), l = loom_tally_sum(t, large, -1, -1, 5, -1);
    double a = loom_accuracy_share(&small->all, LOOM_VALIDITY_PAPER),
           b = loom_accuracy_share(&large->all, LOOM_VALIDITY_PAPER);
    char ours[160], note[160];
    snprintf(note, sizeof note, "%s over %s", large->method, small->method);
    snprintf(ours, sizeof ours, "%+.1f points", 100 * (b - a));
    loom_paper_compare(r, LOOM_PAPER_SIZE_GAIN, NULL, b - a, ours, note);
    if (s.n == 0 || l.n == 0) return;
    double gap = 100 * (loom_accuracy_share(&l, LOOM_VALIDITY_PAPER) - loom_accuracy_share(&s, LOOM_VALIDITY_PAPER));
    snprintf(ours, sizeof ours, "%+.1f points", gap);
    loom_paper_compare(r, LOOM_PAPER_SIZE_GAIN_DEEP, NULL, gap, ours, note);
}

static loom_status write_results(loom_results *r, const ladder_job *j, const loom_tally *t, loom_err *err)
{
    loom_csv_table table = {0};
    loom_accuracy_lines lines;
    loom_accuracy_choose(&lines, t, LOOM_DECODING_ANY);
    sort_by_size(j, &lines);
    loom_csv_table_init(&table, "experiment,model,params,seed,temperature," LOOM_ACCURACY_COLUMNS);
    for (size_t i = 0; i < t->n_series; i++)
        loom_accuracy_rows(&table, t, &t->series[i], LOOM_VALIDITY_PAPER, LOOM_AXIS_SIZES | LOOM_AXIS_TEMPERATURE, lead,
                           j);
    loom_status st = loom_results_table(r, "fig14.csv", &table, err);
    if (st == LOOM_OK) st = draw(r, j, t, &lines, err);
    if (st == LOOM_OK) {
        compare_with_paper(r, t, &lines);
        st = loom_results_close(r, err);
    }
    loom_accuracy_lines_release(&lines);
    loom_csv_table_release(&table);
    return st;
}

static loom_status measure_and_write(loom_results *r, const loom_tally *t, const void *arg, loom_err *err)
{
    const loom_ctx *ctx = arg;
    ladder_job j = {0};
    loom_status st = measure_models(&j, ctx->args, ctx->n_args, err);

    if (st == LOOM_OK) st = write_results(r, &j, t, err);
    free(j.rungs);
    return st;
}

static loom_status run_ladder(const loom_ctx *ctx, loom_err *err)
{
    const ladder_conf *conf = ctx->conf;

    for (int i = 0; i < ctx->n_args; i++) {
        char name[128];
        loom_score_answers_name(name, sizeof name, ctx->args[i]);
        if (!*name)
            return loom_fail(err, LOOM_STATUS_ARG, "%s: which model is it? Name every file, as 1M=%s", ctx->args[i],
                             ctx->args[i]);
    }
    return loom_score_answers_to(ctx, conf->output, conf->pictures, &conf->scoring, measure_and_write, ctx, err);
}

const loom_cmd loom_cmd_ladder = {
    .name = "ladder",
    .summary = "accuracy of models of several sizes (Fig 14)",
    .args = "NAME=ANSWERS.jsonl...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "A model may have several files, one for each temperature. How many weights it has is read from the checkpoint\n"
        "that the answers' .meta.json names.\n\n"
        "  loom-eval ladder 0.3M=small.answers.jsonl 1M=middle.answers.jsonl 3M=large.answers.jsonl -o results\n",
    .opts = ladder_opts,
    .conf_size = sizeof(ladder_conf),
    .run = run_ladder,
    .updates = true};
