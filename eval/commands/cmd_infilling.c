/* loom-eval infilling: what was taken out of call graphs, put back by models (Fig 7). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "eval/answers/name_list.h"
#include "eval/commands/eval_cmds.h"
#include "eval/downstream/class_runs.h"
#include "eval/downstream/infilling.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"
#include "eval/pages/results.h"

typedef struct infilling_conf {
    const char *questions, *stats, *classes, *output;
    bool pictures;
} infilling_conf;

static const loom_opt infilling_opts[] = {
    LOOM_OPT_GROUP("Judging"),
    LOOM_OPT_IN(
        "questions", 0, infilling_conf, questions, NULL, "A,B,...",
        "texts that were asked (loom-preprocess encode --task attribute, edge), in the order in which they were"),
    LOOM_OPT_IN("stats", 0, infilling_conf, stats, NULL, "FILE",
                "statistics of training graphs: adds what is most frequent there as a method"),
    LOOM_OPT_STR("classes", 0, infilling_conf, classes, NULL, "NAME=FILE,...",
                 "what classifiers say of uncommon calls (loom-train classify), one file for each method"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', infilling_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, infilling_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

#define OURS      "instruction"
#define FRESH     "fresh"
#define FREQUENCY "frequency"
#define NAME_MOST 128

enum { UNCOMMON, ATTRIBUTE, EDGE, TASKS };
static const char *const task_names[TASKS] = {"uncommon", "attribute", "edge"};

/* Shares of one method; n 0: it was not asked. */
typedef struct method {
    char name[NAME_MOST];
    int64_t k[TASKS], n[TASKS];
    double noise; /* between two seeds, of uncommon */
} method;

typedef struct job {
    const loom_ctx *ctx;
    loom_infilling questions;
    method *list;
    int64_t n;
    size_t cap;
    loom_csv_table table;
} job;

static loom_status find_method(method **out, job *j, const char *name, loom_err *err)
{
    for (int64_t i = 0; i < j->n; i++)
        if (strcmp(j->list[i].name, name) == 0) return *out = &j->list[i], LOOM_OK;
    LOOM_TRY(loom_grow(&j->list, &j->cap, (size_t)j->n + 1, sizeof *j->list, err));
    *out = &j->list[j->n++];
    **out = (method){.noise = NAN};
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    return LOOM_OK;
}

static void row(job *j, const char *name, int task, const char *missing, int64_t k, int64_t n, double noise)
{
    loom_csv_table *t = &j->table;
    loom_interval w = loom_metrics_wilson(k, n);

    loom_csv_table_str(t, "fig07");
    loom_csv_table_str(t, name);
    loom_csv_table_i64(t, j->ctx->common.seed);
    loom_csv_table_str(t, task_names[task]);
    loom_csv_table_str(t, missing);
    loom_csv_table_i64(t, k);
    loom_csv_table_i64(t, n);
    loom_csv_table_f64(t, w.value);
    loom_csv_table_f64(t, w.lo);
    loom_csv_table_f64(t, w.hi);
    loom_csv_table_f64(t, noise);
    loom_csv_table_end_row(t);
}

/* ---- classifiers ---- */

static loom_status add_majority(job *j, const loom_class_runs *c, loom_err *err)
{
    method *m;

    LOOM_TRY(find_method(&m, j, FREQUENCY, err));
    m->n[UNCOMMON] = c->n_test;
    m->k[UNCOMMON] = (int64_t)llround(c->majority * (double)c->n_test);
    return LOOM_OK;
}

static loom_status add_classes(job *j, const char *name, const char *path, loom_err *err)
{
    loom_class_runs c = {0};
    loom_class_mean mean;
    method *m;
    loom_status st = loom_class_runs_read(&c, path, err);

    if (st == LOOM_OK && strcmp(c.task, task_names[UNCOMMON]) != 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: answers of the task \"%s\", not of \"%s\"", path, c.task,
                       task_names[UNCOMMON]);
    if (st == LOOM_OK && !loom_class_runs_mean(&mean, &c, "real"))
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no head that was trained on real graphs; call that origin real=TEXT", path);
    if (st == LOOM_OK && (st = find_method(&m, j, name, err)) == LOOM_OK) {
        m->n[UNCOMMON] = c.n_test;
        m->k[UNCOMMON] = (int64_t)llround(mean.accuracy * (double)c.n_test);
        m->noise = mean.noise;
        st = add_majority(j, &c, err);
    }
    loom_class_runs_release(&c);
    return st;
}

/* ---- infilling ---- */

static loom_status add_score(job *j, const char *name, const loom_infilling_score *s, loom_err *err)
{
    const loom_infilling *q = &j->questions;
    method *m;

    LOOM_TRY(find_method(&m, j, name, err));
    m->n[EDGE] = q->counts[LOOM_MISSING_EDGE];
    m->k[EDGE] = s->right[LOOM_MISSING_EDGE];
    m->n[ATTRIBUTE] = q->counts[LOOM_MISSING_TYPE] + q->counts[LOOM_MISSING_DESTINATION];
    m->k[ATTRIBUTE] = s->right[LOOM_MISSING_TYPE] + s->right[LOOM_MISSING_DESTINATION];
    for (int i = 0; i < LOOM_MISSING_EDGE; i++)
        if (q->counts[i]) row(j, name, ATTRIBUTE, loom_missing_names[i], s->right[i], q->counts[i], NAN);
    if (m->n[EDGE] && strcmp(name, FREQUENCY) != 0) row(j, name, EDGE, "exact", s->exact, m->n[EDGE], NAN);
    return LOOM_OK;
}

static loom_status add_answers(job *j, const char *arg, loom_err *err)
{
    char name[NAME_MOST];
    const char *path = loom_path_called(name, sizeof name, arg);
    loom_infilling_score s;

    LOOM_TRY(loom_infilling_judge(&s, &j->questions, path, err));
    if (s.answered < j->questions.n)
        loom_warn("%s: %lld of %lld questions have no answer; they are counted as failures", path,
                  (long long)(j->questions.n - s.answered), (long long)j->questions.n);
    return add_score(j, name, &s, err);
}

static loom_status add_frequency(job *j, const char *path, loom_err *err)
{
    loom_stats *stats = NULL;
    loom_infilling_score s;

    LOOM_TRY(loom_stats_load(&stats, path, err));
    loom_infilling_frequency(&s, &j->questions, stats);
    loom_status st = add_score(j, FREQUENCY, &s, err);
    loom_stats_free(stats);
    return st;
}

/* ---- tables, picture, the paper ---- */

static void tell_task(const job *j, loom_results *r, int task, loom_paper_finding finding)
{
    static const char *const what[TASKS] = {"uncommon calls foretold from the first ten", "missing attributes put back",
                                            "missing calls between two layers put back"};
    const method *ours = NULL, *fresh = NULL, *often = NULL;
    char said[160], note[200], noise[64] = "";

    for (int64_t i = 0; i < j->n; i++) {
        const method *m = &j->list[i];
        if (m->n[task] == 0) continue;
        if (strcmp(m->name, OURS) == 0) ours = m;
        if (strcmp(m->name, FRESH) == 0) fresh = m;
        if (strcmp(m->name, FREQUENCY) == 0) often = m;
    }
    if (!ours) return;
    loom_interval mine = loom_metrics_wilson(ours->k[task], ours->n[task]);
    double other = fresh ? (double)fresh->k[task] / (double)fresh->n[task] : NAN;
    if (fresh) snprintf(said, sizeof said, "%.1f %%; never trained on traces %.1f %%", 100 * mine.value, 100 * other);
    else snprintf(said, sizeof said, "%.1f %%", 100 * mine.value);
    if (!isnan(ours->noise) && task == UNCOMMON)
        snprintf(noise, sizeof noise, "; two seeds differ by %.1f points", 100 * ours->noise);
    snprintf(note, sizeof note, "95 %%: %.1f to %.1f%s; what is most frequent: %.1f %%", 100 * mine.lo, 100 * mine.hi,
             noise, often ? 100 * (double)often->k[task] / (double)often->n[task] : NAN);
    loom_paper_compare(r, finding, what[task], 100 * (mine.value - other), said, note);
}

static void all_rows(job *j)
{
    for (int64_t i = 0; i < j->n; i++)
        for (int task = 0; task < TASKS; task++)
            if (j->list[i].n[task])
                row(j, j->list[i].name, task, "all", j->list[i].k[task], j->list[i].n[task],
                    task == UNCOMMON ? j->list[i].noise : NAN);
}

static loom_status draw(const job *j, loom_results *r, loom_err *err)
{
    const char **names = loom_alloc((size_t)j->n + 1, sizeof *names),
               **labels = loom_alloc((size_t)j->n + 1, sizeof *labels);
    loom_figure_vars vars = {0};
    char caption[256], origin[128];
    loom_status st = names && labels ? LOOM_OK : loom_fail_nomem(err, "a picture");

    for (int64_t i = 0; st == LOOM_OK && i < j->n; i++)
        names[i] = j->list[i].name, labels[i] = loom_method_title(names[i]);
    if (st == LOOM_OK) {
        snprintf(caption, sizeof caption,
                 "%sasked about real graphs that no model was trained on · bars: 95 %% interval",
                 loom_results_origin(r, origin, sizeof origin));
        loom_figure_str(&vars, "title", "What a model knows of call graphs besides writing them");
        loom_figure_str(&vars, "caption", caption);
        loom_figure_list(&vars, "series", names, j->n);
        loom_figure_list(&vars, "labels", labels, j->n);
        st = loom_results_figure(r, "fig07", &vars, err);
    }
    loom_figure_vars_release(&vars);
    free(names);
    free(labels);
    return st;
}

static loom_status write_results(job *j, loom_results *r, loom_err *err)
{
    LOOM_TRY(loom_results_table(r, "fig07.csv", &j->table, err));
    LOOM_TRY(draw(j, r, err));
    tell_task(j, r, UNCOMMON, LOOM_PAPER_UNCOMMON);
    tell_task(j, r, ATTRIBUTE, LOOM_PAPER_ATTRIBUTE);
    tell_task(j, r, EDGE, LOOM_PAPER_EDGE);
    LOOM_TRY(loom_stdout_text(j->table.text.data, j->table.text.len, err));
    return loom_results_close(r, err);
}

/* ---- the command ---- */

/* Calls fn for every file of a list. */
typedef loom_status each_fn(void *arg, const char *name, loom_err *err);
static loom_status each(const char *list, each_fn *fn, void *arg, loom_err *err)
{
    loom_buf name = {0};
    loom_status st = LOOM_OK;

    for (int i = 0; st == LOOM_OK && loom_name_list_nth(&name, list, i); i++) st = fn(arg, name.data, err);
    loom_buf_release(&name);
    return st;
}

static loom_status record(void *arg, const char *name, loom_err *err) { return loom_results_input(arg, name, err); }

static loom_status record_named(void *arg, const char *entry, loom_err *err)
{
    char name[NAME_MOST];

    LOOM_TRY(loom_results_input(arg, loom_path_called(name, sizeof name, entry), err));
    loom_results_called(arg, name);
    return LOOM_OK;
}

static loom_status read_questions(void *arg, const char *path, loom_err *err)
{
    return loom_infilling_read(&((job *)arg)->questions, path, err);
}

static loom_status read_classes(void *arg, const char *entry, loom_err *err)
{
    char name[NAME_MOST];
    const char *path = loom_path_called(name, sizeof name, entry);

    return add_classes(arg, name, path, err);
}

static loom_status record_inputs(loom_results *r, const loom_ctx *ctx, loom_err *err)
{
    const infilling_conf *conf = ctx->conf;

    LOOM_TRY(each(conf->questions, record, r, err));
    if (conf->stats) LOOM_TRY(loom_results_input(r, conf->stats, err));
    LOOM_TRY(each(conf->classes, record_named, r, err));
    for (int i = 0; i < ctx->n_args; i++) LOOM_TRY(record_named(r, ctx->args[i], err));
    return LOOM_OK;
}

static loom_status judge_all(job *j, loom_err *err)
{
    const infilling_conf *conf = j->ctx->conf;

    LOOM_TRY(each(conf->classes, read_classes, j, err));
    LOOM_TRY(each(conf->questions, read_questions, j, err));
    for (int i = 0; i < j->ctx->n_args; i++) LOOM_TRY(add_answers(j, j->ctx->args[i], err));
    if (conf->stats && conf->questions) LOOM_TRY(add_frequency(j, conf->stats, err));
    all_rows(j);
    return LOOM_OK;
}

static loom_status run_infilling(const loom_ctx *ctx, loom_err *err)
{
    const infilling_conf *conf = ctx->conf;
    job j = {.ctx = ctx};
    loom_results r = {0};
    loom_status st;

    if (!conf->questions && ctx->n_args)
        return loom_fail(err, LOOM_STATUS_ARG, "name the texts that were asked with --questions");
    if (!conf->classes && !ctx->n_args)
        return loom_fail(err, LOOM_STATUS_ARG, "nothing to judge: give answers, or --classes");
    loom_csv_table_init(&j.table, "experiment,method,seed,task,missing,k,n,value,lo,hi,floor");
    if ((st = loom_results_open(&r, ctx, conf->output, conf->pictures, err)) != LOOM_OK) goto done;
    if ((st = record_inputs(&r, ctx, err)) != LOOM_OK) goto done;
    if (loom_results_up_to_date(&r)) goto done;
    if ((st = judge_all(&j, err)) != LOOM_OK) goto done;
    st = write_results(&j, &r, err);
done:
    loom_infilling_release(&j.questions);
    free(j.list);
    loom_csv_table_release(&j.table);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_infilling = {
    .name = "infilling",
    .summary = "what was taken out of call graphs, put back by models (Fig 7)",
    .args = "[NAME=]ANSWERS.jsonl...",
    .min_args = 0,
    .max_args = -1,
    .details =
        "Judges answers to questions with a missing attribute or a missing call. Answers are lines of loom-infer complete\n"
        "--questions, or of other programs, as loom-eval few-shot takes them: {\"id\": N, \"text\": \"...\"} with N the\n"
        "question's number from 0. A question without an answer counts as a failure. Prints the table.\n\n"
        "  loom-infer complete --model tuned --questions attribute.txt.zst,edge.txt.zst -o tuned.answers.jsonl\n"
        "  loom-eval infilling instruction=tuned.answers.jsonl --questions attribute.txt.zst,edge.txt.zst \\\n"
        "      --stats stats.json -o results\n",
    .opts = infilling_opts,
    .conf_size = sizeof(infilling_conf),
    .run = run_infilling,
    .updates = true};
