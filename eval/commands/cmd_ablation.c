/* loom-eval variants: one model with, one without something, by temperature (Fig 13). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "eval/accuracy/accuracy.h"
#include "eval/accuracy/score_answers.h"
#include "eval/commands/eval_cmds.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"

typedef struct variants_conf {
    loom_score_answers_conf scoring;
    const char *output;
    bool pictures;
} variants_conf;

static const loom_opt variants_opts[] = {
    LOOM_OPT_GROUP("Judging"),
    LOOM_SCORE_ANSWERS_OPTS(variants_conf, scoring),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', variants_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, variants_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

static void lead(loom_csv_table *t, const void *arg, const loom_series *s)
{
    (void)arg;
    loom_csv_table_str(t, "fig13");
    loom_csv_table_str(t, s->method);
    loom_csv_table_i64(t, s->seed);
    loom_csv_table_f64(t, s->temperature);
}

static const loom_series *find(const loom_tally *t, const char *name, double temperature)
{
    for (size_t i = 0; i < t->n_series; i++)
        if (strcmp(t->series[i].method, name) == 0 && t->series[i].temperature == temperature) return &t->series[i];
    return NULL;
}

/* The gap over the temperatures that both have. */
static void compare_with_paper(loom_results *r, const loom_tally *t)
{
    double gap = 0, n = 0, least = INFINITY;
    char ours[128];
    for (size_t i = 0; i < t->n_series; i++) {
        const loom_series *with = &t->series[i], *without;
        if (strcmp(with->method, "with") != 0 || !(without = find(t, "without", with->temperature))) continue;
        double d = loom_accuracy_share(&with->all, LOOM_VALIDITY_PAPER) -
                   loom_accuracy_share(&without->all, LOOM_VALIDITY_PAPER);
        gap += 100 * d;
        least = fmin(least, 100 * d);
        n++;
    }
    if (n == 0) return;
    snprintf(ours, sizeof ours, "%+.1f points, least %+.1f", gap / n, least);
    loom_paper_compare(r, LOOM_PAPER_INTERMEDIATE_GAIN, NULL, gap, ours, NULL);
}

static loom_status write_results(loom_results *r, const loom_tally *t, const void *arg, loom_err *err)
{
    (void)arg;
    loom_csv_table table = {0};
    loom_accuracy_lines lines;
    loom_accuracy_choose(&lines, t, LOOM_DECODING_ANY);
    const char **labels = loom_alloc((size_t)lines.n, sizeof *labels);
    if (!labels) {
        loom_accuracy_lines_release(&lines);
        return loom_fail_nomem(err, "a picture");
    }
    for (int64_t i = 0; i < lines.n; i++) {
        const char *name = lines.list[i]->method;
        labels[i] = strcmp(name, "with") == 0      ? "With intermediate instructions"
                    : strcmp(name, "without") == 0 ? "Without intermediate instructions"
                                                   : loom_method_title(name);
    }
    loom_accuracy_picture picture = {"fig13",       "With and without intermediate instructions",
                                     "variant",     "temperature",
                                     "temperature", lines.temp_lo,
                                     lines.temp_hi, 0.2,
                                     labels,        false};
    loom_csv_table_init(&table, "experiment,variant,seed,temperature," LOOM_ACCURACY_COLUMNS);
    for (size_t i = 0; i < t->n_series; i++)
        loom_accuracy_rows(&table, t, &t->series[i], LOOM_VALIDITY_PAPER, LOOM_AXIS_TEMPERATURE, lead, NULL);
    loom_status st = loom_results_table(r, "fig13.csv", &table, err);
    if (st == LOOM_OK) st = loom_accuracy_draw(r, &lines, LOOM_VALIDITY_PAPER, &picture, err);
    if (st == LOOM_OK) {
        compare_with_paper(r, t);
        st = loom_stdout_text(table.text.data, table.text.len, err);
    }
    if (st == LOOM_OK) st = loom_results_close(r, err);
    loom_accuracy_lines_release(&lines);
    free(labels);
    loom_csv_table_release(&table);
    return st;
}

static loom_status run_variants(const loom_ctx *ctx, loom_err *err)
{
    const variants_conf *conf = ctx->conf;

    return loom_score_answers_to(ctx, conf->output, conf->pictures, &conf->scoring, write_results, NULL, err);
}

const loom_cmd loom_cmd_variants = {
    .name = "variants",
    .summary = "accuracy by temperature of a model with and without something (Fig 13)",
    .args = "NAME=ANSWERS.jsonl...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "The answers of all variants belong to the same prompts. Prints the table. As in the paper, a model tuned with\n"
        "intermediate instructions beside one tuned without (loom-preprocess encode --no-intermediate):\n\n"
        "  loom-eval variants with=instruction.answers.jsonl without=plain.answers.jsonl -o results\n",
    .opts = variants_opts,
    .conf_size = sizeof(variants_conf),
    .run = run_variants,
    .updates = true};
