/* loom-eval few-shot: language models of others, asked by rules and examples, beside ours (Table 3). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/accuracy/accuracy.h"
#include "eval/accuracy/score_answers.h"
#include "eval/commands/eval_cmds.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/paper.h"

typedef struct few_shot_conf {
    loom_score_answers_conf scoring;
    const char *output;
} few_shot_conf;

static const loom_opt few_shot_opts[] = {
    LOOM_OPT_GROUP("Judging"), LOOM_SCORE_ANSWERS_OPTS(few_shot_conf, scoring), LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', few_shot_conf, output, NULL, "DIR", "folder for table3.csv and manifest.json"),
    LOOM_OPT_END};

/* depth -1: all of them */
static void add_row(loom_csv_table *t, const loom_tally *tally, const loom_series *s, int64_t depth)
{
    loom_tally_cell c = loom_tally_sum(tally, s, -1, -1, depth, depth);
    loom_csv_table_str(t, "table3");
    loom_csv_table_str(t, s->method);
    loom_csv_table_i64(t, s->seed);
    loom_csv_table_f64(t, s->temperature);
    if (depth < 0) loom_csv_table_str(t, "all");
    else loom_csv_table_i64(t, depth);
    loom_accuracy_proportion(t, c.accurate, c.n);
    loom_csv_table_f64(t, loom_paper_few_shot(depth));
    loom_csv_table_end_row(t);
}

static void fill_table(loom_csv_table *t, const loom_tally *tally)
{
    loom_csv_table_init(t, "experiment,method,seed,temperature,depth,k,n,value,lo,hi,paper_few_shot");
    for (size_t i = 0; i < tally->n_series; i++) {
        add_row(t, tally, &tally->series[i], -1);
        for (int64_t d = tally->grid.depth_lo; d <= tally->grid.depth_hi; d++) add_row(t, tally, &tally->series[i], d);
    }
}

static const loom_series *find_tuned(const loom_tally *t)
{
    for (size_t i = 0; i < t->n_series; i++)
        if (strcmp(t->series[i].method, loom_mode_names[LOOM_MODE_INSTRUCTION]) == 0) return &t->series[i];
    return NULL;
}

static bool is_ours(const loom_series *s)
{
    loom_mode mode;
    return loom_mode_parse(&mode, s->method);
}

static void compare_with_paper(loom_results *r, const loom_tally *t)
{
    const loom_series *tuned = find_tuned(t);
    char ours[160], what[160];
    for (size_t i = 0; i < t->n_series; i++) {
        const loom_series *s = &t->series[i];
        if (is_ours(s) || s->all.n == 0) continue;
        double theirs = 100 * loom_accuracy_share(&s->all, LOOM_VALIDITY_PAPER);
        double gap = tuned && tuned->all.n ? 100 * loom_accuracy_share(&tuned->all, LOOM_VALIDITY_PAPER) - theirs : NAN;
        snprintf(what, sizeof what, "recursive + instruction over %.100s, few-shot", s->method);
        if (isnan(gap)) snprintf(ours, sizeof ours, "few-shot %.1f %%; no answers of ours", theirs);
        else snprintf(ours, sizeof ours, "%+.1f points (few-shot %.1f %%)", gap, theirs);
        loom_paper_compare(r, LOOM_PAPER_FEW_SHOT_GAIN, what, gap, ours, NULL);
    }
}

static loom_status write_results(loom_results *r, const loom_tally *t, const void *arg, loom_err *err)
{
    (void)arg;
    loom_csv_table table = {0};
    fill_table(&table, t);
    loom_status st = loom_results_table(r, "table3.csv", &table, err);
    if (st == LOOM_OK) st = loom_stdout_text(table.text.data, table.text.len, err);
    if (st == LOOM_OK) {
        compare_with_paper(r, t);
        st = loom_results_close(r, err);
    }
    loom_csv_table_release(&table);
    return st;
}

static loom_status run_few_shot(const loom_ctx *ctx, loom_err *err)
{
    const few_shot_conf *conf = ctx->conf;

    return loom_score_answers_to(ctx, conf->output, false, &conf->scoring, write_results, NULL, err);
}

const loom_cmd loom_cmd_few_shot = {
    .name = "few-shot",
    .summary = "language models of others, asked by rules and examples, beside ours (Table 3)",
    .args = "NAME=ANSWERS.jsonl...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Answers of others are one JSON value a line: lines of batch interfaces, completions, or {\"id\": N, \"text\": \"...\"}\n"
        "with N the prompt's number; without one, the k-th line answers the k-th prompt. heatmap, variants and ladder take\n"
        "them too. A prompt without an answer counts as a failure. Prints the table.\n\n"
        "  loom-eval few-shot theirs=few-shot.answers.jsonl instruction.answers.jsonl --edges 2:10 --depths 2:5 \\\n"
        "      --prompts few-shot.prompts.jsonl,instruction.prompts.jsonl -o results\n",
    .opts = few_shot_opts,
    .conf_size = sizeof(few_shot_conf),
    .run = run_few_shot,
    .updates = true};
