/* loom-eval classes: classifiers trained on generated graphs beside those trained on real ones (Table 2). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/downstream/class_runs.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"
#include "eval/pages/results.h"

typedef struct classes_conf {
    const char *output;
} classes_conf;

static const loom_opt classes_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', classes_conf, output, NULL, "DIR", "folder for table2.csv and manifest.json"),
    LOOM_OPT_END};

#define REAL "real" /* the origin that others are held against */

static void run_row(loom_csv_table *t, const loom_class_runs *c, const loom_class_run *run)
{
    loom_csv_table_str(t, "table2");
    loom_csv_table_str(t, run->origin);
    loom_csv_table_i64(t, run->seed);
    loom_csv_table_str(t, c->task);
    loom_csv_table_str(t, run->solver);
    loom_csv_table_f64(t, run->decay);
    loom_csv_table_f64(t, run->lr);
    if (run->batch > 0) loom_csv_table_i64(t, run->batch);
    else loom_csv_table_none(t);
    loom_csv_table_i64(t, run->n_train);
    loom_csv_table_i64(t, run->n_valid);
    loom_csv_table_i64(t, c->n_test);
    loom_csv_table_f64(t, run->accuracy);
    loom_csv_table_f64(t, run->balanced);
    loom_csv_table_f64(t, c->majority);
    loom_csv_table_f64(t, run->auc);
    loom_csv_table_i64(t, run->tp);
    loom_csv_table_i64(t, run->fp);
    loom_csv_table_i64(t, run->tn);
    loom_csv_table_i64(t, run->fn);
    loom_csv_table_end_row(t);
}

/* The interval is that of one head whose accuracy is the mean: what the number of tested graphs leaves open. */
static void mean_row(loom_csv_table *t, const loom_class_runs *c, const char *origin, const loom_class_mean *m,
                     double floor)
{
    loom_interval w = loom_metrics_wilson((int64_t)llround(m->accuracy * (double)c->n_test), c->n_test);

    loom_csv_table_str(t, "table2");
    loom_csv_table_str(t, origin);
    loom_csv_table_str(t, c->task);
    loom_csv_table_i64(t, m->n_train);
    loom_csv_table_i64(t, c->n_test);
    loom_csv_table_i64(t, m->seeds);
    loom_csv_table_f64(t, m->accuracy);
    loom_csv_table_f64(t, w.lo);
    loom_csv_table_f64(t, w.hi);
    loom_csv_table_f64(t, m->std);
    loom_csv_table_f64(t, m->balanced);
    loom_csv_table_f64(t, m->auc);
    loom_csv_table_f64(t, c->majority);
    loom_csv_table_f64(t, floor);
    loom_csv_table_end_row(t);
}

static void compare_with_paper(loom_results *r, const loom_class_runs *c, const char *origin,
                               const loom_class_mean *mine, const loom_class_mean *real)
{
    double below = 100 * (real->accuracy - mine->accuracy);
    char what[200], ours[96], note[160];

    snprintf(what, sizeof what, "classifier of %.40s, trained on: %.100s", c->task, loom_method_title(origin));
    snprintf(note, sizeof note, "majority %.1f %%; ROC AUC %.3f; two seeds of real differ by %.1f points",
             100 * c->majority, mine->auc, 100 * real->noise);
    if (strcmp(origin, REAL) == 0) {
        snprintf(ours, sizeof ours, "%.1f %% right", 100 * mine->accuracy);
        loom_results_summary(r, "T2", what, loom_paper_class(c->task, true), ours, mine->accuracy > c->majority, note);
        return;
    }
    snprintf(ours, sizeof ours, "%.1f %% right, %.1f points below real", 100 * mine->accuracy, below);
    if (strcmp(origin, "instruction") == 0) loom_paper_compare(r, LOOM_PAPER_CLASSES, what, fabs(below), ours, note);
    else loom_results_summary(r, "T2", what, NULL, ours, -1, note);
}

/* Every origin once, in the order of the file. */
static void tell_means(loom_csv_table *t, loom_results *r, const loom_class_runs *c)
{
    loom_class_mean real, mine;
    bool has_real = loom_class_runs_mean(&real, c, REAL);

    for (int64_t i = 0; i < c->n; i++) {
        const char *origin = c->list[i].origin;
        if (i > 0 && strcmp(origin, c->list[i - 1].origin) == 0) continue;
        if (!loom_class_runs_mean(&mine, c, origin)) continue;
        mean_row(t, c, origin, &mine, has_real ? real.noise : NAN);
        if (has_real) compare_with_paper(r, c, origin, &mine, &real);
    }
}

static loom_status add_file(loom_csv_table *rows, loom_csv_table *means, loom_results *r, const char *path,
                            loom_err *err)
{
    loom_class_runs c = {0};
    loom_status st = loom_class_runs_read(&c, path, err);

    for (int64_t i = 0; st == LOOM_OK && i < c.n; i++) run_row(rows, &c, &c.list[i]);
    if (st == LOOM_OK) tell_means(means, r, &c);
    loom_class_runs_release(&c);
    return st;
}

static loom_status write_tables(loom_results *r, const loom_ctx *ctx, loom_err *err)
{
    loom_csv_table rows = {0}, means = {0};
    loom_status st = LOOM_OK;

    loom_csv_table_init(&rows, "experiment,method,seed,task,solver,decay,lr,batch,n_train,n_valid,n_test,accuracy,"
                               "balanced_accuracy,majority,auc,tp,fp,tn,fn");
    loom_csv_table_init(&means, "experiment,method,task,n_train,n_test,seeds,accuracy,lo,hi,std,balanced_accuracy,auc,"
                                "majority,floor");
    for (int i = 0; st == LOOM_OK && i < ctx->n_args; i++) st = add_file(&rows, &means, r, ctx->args[i], err);
    if (st == LOOM_OK) st = loom_results_table(r, "table2.csv", &rows, err);
    if (st == LOOM_OK) st = loom_results_table(r, "table2_mean.csv", &means, err);
    if (st == LOOM_OK) st = loom_stdout_text(means.text.data, means.text.len, err);
    loom_csv_table_release(&rows);
    loom_csv_table_release(&means);
    return st;
}

static loom_status run_classes(const loom_ctx *ctx, loom_err *err)
{
    const classes_conf *conf = ctx->conf;
    loom_results r = {0};
    loom_status st;

    if ((st = loom_results_open(&r, ctx, conf->output, false, err)) != LOOM_OK) goto done;
    for (int i = 0; i < ctx->n_args; i++)
        if ((st = loom_results_input(&r, ctx->args[i], err)) != LOOM_OK) goto done;
    if (loom_results_up_to_date(&r)) goto done;
    if ((st = write_tables(&r, ctx, err)) != LOOM_OK) goto done;
    st = loom_results_close(&r, err);
done:
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_classes = {
    .name = "classes",
    .summary = "classifiers trained on generated graphs beside those trained on real ones (Table 2)",
    .args = "CLASSES.jsonl...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads what loom-train classify wrote, one file for each task. The origin that is called \"real\" is what others\n"
        "are held against. Prints the table of means.\n\n"
        "  loom-eval classes high-latency.classes.jsonl uncommon.classes.jsonl -o results\n",
    .opts = classes_opts,
    .conf_size = sizeof(classes_conf),
    .run = run_classes,
    .updates = true};
