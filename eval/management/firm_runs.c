/* FIRM for every application, unit, machine, origin of the training graphs and seed: rows, means, picture, summary. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/num.h"
#include "eval/management/management.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"

static const char *const unit_names[LOOM_FIRM_UNITS] = {"window", "trace"};
static const char *const machine_names[] = {"linear", "rbf"};
#define MACHINES 2
#define CEILING  0.99 /* accuracy of real graphs from which the task tells origins apart no more than roughly */

/* Accuracy over seeds of one origin. */
typedef struct firm_mean {
    double accuracy, std, balanced, floor;
    int64_t n_graphs;
} firm_mean;

typedef struct firm_job {
    const loom_management *m;
    loom_csv_table rows, means;
    firm_mean *headline;         /* (apps, origins): windows, random features */
    double *accuracy, *balanced; /* (seeds) */
    int64_t constant;            /* machines that could say one thing only */
} firm_job;

/* A machine that has seen one class says that one. */
static void constant_answer(loom_firm_score *s, const loom_firm_samples *train, const loom_firm_samples *test)
{
    bool says = train->positive > 0;
    int64_t n1 = test->positive, n0 = test->n - n1;

    *s = (loom_firm_score){.n_train = train->n,
                           .n_test = test->n,
                           .tp = says ? n1 : 0,
                           .fp = says ? n0 : 0,
                           .fn = says ? 0 : n1,
                           .tn = says ? 0 : n0,
                           .balanced = n1 && n0 ? 0.5 : NAN,
                           .auc = 0.5};
    s->accuracy = (double)(s->tp + s->tn) / (double)test->n;
    s->majority = (double)loom_max_i64(n1, n0) / (double)test->n;
    s->average_precision = (double)n1 / (double)test->n;
}

/* n of `all` graphs, drawn at random and left in their order. */
static void choose(int64_t *index, int64_t n, int64_t all, uint64_t seed, uint64_t run)
{
    loom_rng rng;
    int64_t got = 0;

    loom_rng_seed(&rng, seed, "firm graphs", run);
    for (int64_t i = 0; i < all && got < n; i++)
        if ((int64_t)loom_rng_below(&rng, (uint64_t)(all - i)) < n - got) index[got++] = i;
}

static void row(firm_job *j, const char *origin, int64_t seed, int app, int unit, int machine, int64_t n_graphs,
                const loom_firm_score *s)
{
    loom_csv_table *t = &j->rows;
    char task[16];

    snprintf(task, sizeof task, "firm_%c", 'A' + app);
    loom_csv_table_str(t, "fig05");
    loom_csv_table_str(t, origin);
    loom_csv_table_i64(t, seed);
    loom_csv_table_str(t, task);
    loom_csv_table_str(t, unit_names[unit]);
    loom_csv_table_str(t, machine_names[machine]);
    loom_csv_table_i64(t, n_graphs);
    loom_csv_table_i64(t, s->n_train);
    loom_csv_table_i64(t, s->n_test);
    loom_csv_table_str(t, "accuracy");
    loom_csv_table_f64(t, s->accuracy);
    loom_csv_table_f64(t, s->majority);
    loom_csv_table_f64(t, s->balanced);
    loom_csv_table_f64(t, s->auc);
    loom_csv_table_f64(t, s->average_precision);
    loom_csv_table_i64(t, s->tp);
    loom_csv_table_i64(t, s->fp);
    loom_csv_table_i64(t, s->tn);
    loom_csv_table_i64(t, s->fn);
    loom_csv_table_end_row(t);
}

static loom_status one_run(firm_job *j, const loom_origin *o, int app, int unit, int machine, int64_t run, int64_t n,
                           const loom_firm_norms *norms, const loom_firm_samples *test, loom_err *err)
{
    uint64_t seed = j->m->seed + (uint64_t)run;
    int64_t *index = loom_alloc((size_t)n, sizeof *index);
    loom_firm_samples train = {0};
    loom_firm_score score = {0};
    loom_status st = LOOM_OK;

    if (!index) return loom_fail_nomem(err, "a selection of graphs");
    choose(index, n, o->paths[app].n, seed, (uint64_t)app);
    st = loom_firm_samples_of(&train, (loom_firm_unit)unit, &o->paths[app], index, n, norms, err);
    if (st == LOOM_OK && (train.positive == 0 || train.positive == train.n)) {
        constant_answer(&score, &train, test);
        j->constant++;
        loom_verbose(
            "%s: all %lld samples of application %c (%s) are %s; a machine trained on them can say nothing else",
            o->name, (long long)train.n, 'A' + app, unit_names[unit], train.positive ? "critical" : "not critical");
    } else if (st == LOOM_OK) st = loom_firm_judge(&score, &train, test, machine == 1, seed, err);
    if (st == LOOM_OK) {
        row(j, o->name, (int64_t)seed, app, unit, machine, n, &score);
        j->accuracy[run] = score.accuracy;
        j->balanced[run] = score.balanced;
    }
    loom_firm_samples_release(&train);
    free(index);
    return st;
}

static void mean_row(firm_job *j, const char *origin, int app, int unit, int machine, int64_t n, int64_t n_test,
                     const firm_mean *m)
{
    loom_csv_table *t = &j->means;
    char task[16];

    snprintf(task, sizeof task, "firm_%c", 'A' + app);
    loom_csv_table_str(t, "fig05");
    loom_csv_table_str(t, origin);
    loom_csv_table_str(t, task);
    loom_csv_table_str(t, unit_names[unit]);
    loom_csv_table_str(t, machine_names[machine]);
    loom_csv_table_i64(t, n);
    loom_csv_table_i64(t, n_test);
    loom_csv_table_i64(t, j->m->seeds);
    loom_csv_table_f64(t, m->accuracy);
    loom_csv_table_f64(t, m->std);
    loom_csv_table_f64(t, m->balanced);
    loom_csv_table_f64(t, m->floor);
    loom_csv_table_end_row(t);
}

/* Graphs of an application that every origin can give, so that none has the advantage of numbers. */
static int64_t common_size(const loom_management *m, int app)
{
    int64_t n = m->n_train;

    for (int64_t i = 0; i < m->n_origins; i++)
        if (m->origins[i].paths[app].n >= LOOM_FIRM_WINDOW) n = loom_min_i64(n, m->origins[i].paths[app].n);
    return n;
}

static loom_status one_setting(firm_job *j, int app, int unit, int machine, const loom_firm_norms *norms,
                               const loom_firm_samples *test, loom_err *err)
{
    const loom_management *m = j->m;
    int64_t n = common_size(m, app);
    double floor = NAN;

    for (int64_t i = 0; i < m->n_origins; i++) {
        const loom_origin *o = &m->origins[i];
        if (o->paths[app].n < LOOM_FIRM_WINDOW) continue;
        for (int64_t run = 0; run < m->seeds; run++) {
            if (loom_stop_requested())
                return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
            LOOM_TRY(one_run(j, o, app, unit, machine, run, n, norms, test, err));
        }
        if (i == 0) floor = loom_metrics_noise(j->accuracy, m->seeds);
        firm_mean mean = {loom_metrics_mean(j->accuracy, m->seeds), loom_metrics_std(j->accuracy, m->seeds),
                          loom_metrics_mean(j->balanced, m->seeds), floor, n};
        mean_row(j, o->name, app, unit, machine, n, test->n, &mean);
        if (unit == LOOM_FIRM_BY_WINDOW && machine == 1) j->headline[app * m->n_origins + i] = mean;
    }
    return LOOM_OK;
}

static loom_status one_app(firm_job *j, int app, loom_err *err)
{
    const loom_management *m = j->m;
    int64_t n = loom_min_i64(m->n_test, m->test[app].n), *index = loom_alloc((size_t)n, sizeof *index);
    loom_firm_norms norms = {0};
    loom_status st = index ? loom_firm_norms_of(&norms, &m->origins[0].paths[app], (int64_t)m->nodes.n, err)
                           : loom_fail_nomem(err, "graphs");

    for (int64_t i = 0; index && i < n; i++) index[i] = i;
    for (int unit = 0; st == LOOM_OK && unit < LOOM_FIRM_UNITS; unit++) {
        loom_firm_samples test = {0};
        st = loom_firm_samples_of(&test, (loom_firm_unit)unit, &m->test[app], index, n, &norms, err);
        for (int machine = 0; st == LOOM_OK && machine < MACHINES && test.n > 0; machine++)
            st = one_setting(j, app, unit, machine, &norms, &test, err);
        loom_firm_samples_release(&test);
    }
    loom_firm_norms_release(&norms);
    free(index);
    return st;
}

/* ---- beside the paper ---- */

static void summarise_one(const loom_management *m, loom_results *r, int app, int64_t i, const firm_mean *real,
                          const firm_mean *mine)
{
    const char *name = m->origins[i].name;
    double below = 100 * (real->accuracy - mine->accuracy);
    char what[160], ours[64], note[200];

    snprintf(what, sizeof what, "critical components of application %c, trained on: %s", 'A' + app,
             loom_method_title(name));
    snprintf(ours, sizeof ours, "%.1f %% right, %.1f points below real", 100 * mine->accuracy, below);
    snprintf(note, sizeof note, "balanced accuracy %.1f %%; %lld graphs; two seeds of real differ by %.1f points%s",
             100 * mine->balanced, (long long)mine->n_graphs, 100 * mine->floor,
             real->accuracy >= CEILING ? "; real is at the ceiling, so that a small difference says little" : "");
    if (strcmp(name, "instruction") == 0) loom_paper_compare(r, LOOM_PAPER_FIRM_OURS, what, fabs(below), ours, note);
    else if (strcmp(name, "tabular") == 0 || strcmp(name, "probabilistic") == 0)
        loom_paper_compare(r, LOOM_PAPER_FIRM_BASELINE, what, below, ours, note);
    else loom_results_summary(r, "5", what, NULL, ours, -1, note);
}

static void summarise(const firm_job *j, loom_results *r)
{
    const loom_management *m = j->m;

    for (int app = 0; app < LOOM_APPS; app++)
        for (int64_t i = 0; i < m->n_origins; i++) {
            const firm_mean *list = j->headline + app * m->n_origins;
            if (list[i].n_graphs > 0) summarise_one(m, r, app, i, &list[0], &list[i]);
        }
}

static loom_status draw(const firm_job *j, loom_results *r, loom_err *err)
{
    const loom_management *m = j->m;
    const char **names = loom_alloc((size_t)m->n_origins, sizeof *names),
               **labels = loom_alloc((size_t)m->n_origins, sizeof *labels);
    loom_figure_vars vars = {0};
    char caption[256], origin[128];
    loom_status st;

    if (names && labels) {
        for (int64_t i = 0; i < m->n_origins; i++)
            names[i] = m->origins[i].name, labels[i] = loom_method_title(names[i]);
        snprintf(caption, sizeof caption,
                 "%stested on real graphs · windows of %d graphs · bars: standard deviation over %lld seeds",
                 loom_results_origin(r, origin, sizeof origin), LOOM_FIRM_WINDOW, (long long)m->seeds);
        loom_figure_str(&vars, "title", "Critical components found by machines that were trained on ...");
        loom_figure_str(&vars, "caption", caption);
        loom_figure_list(&vars, "series", names, m->n_origins);
        loom_figure_list(&vars, "labels", labels, m->n_origins);
        st = loom_results_figure(r, "fig05", &vars, err);
    } else st = loom_fail_nomem(err, "a picture");
    loom_figure_vars_release(&vars);
    free(names);
    free(labels);
    return st;
}

loom_status loom_management_firm(const loom_management *m, loom_results *r, loom_err *err)
{
    firm_job j = {.m = m,
                  .headline = loom_calloc((size_t)(LOOM_APPS * m->n_origins), sizeof(firm_mean)),
                  .accuracy = loom_calloc((size_t)m->seeds, sizeof(double)),
                  .balanced = loom_calloc((size_t)m->seeds, sizeof(double))};
    loom_status st = j.headline && j.accuracy && j.balanced ? LOOM_OK : loom_fail_nomem(err, "a figure");

    loom_csv_table_init(
        &j.rows,
        "experiment,method,seed,task,unit,machine,n_graphs,n_train,n_test,metric,value,majority,balanced_accuracy,auc,"
        "average_precision,tp,fp,tn,fn");
    loom_csv_table_init(
        &j.means, "experiment,method,task,unit,machine,n_graphs,n_test,seeds,accuracy,std,balanced_accuracy,floor");
    for (int app = 0; st == LOOM_OK && app < LOOM_APPS; app++) st = one_app(&j, app, err);
    if (st == LOOM_OK && j.constant)
        loom_warn("%lld machines saw one class only and say nothing else; --verbose names them", (long long)j.constant);
    if (st == LOOM_OK) st = loom_results_table(r, "fig05.csv", &j.rows, err);
    if (st == LOOM_OK) st = loom_results_table(r, "fig05_mean.csv", &j.means, err);
    if (st == LOOM_OK) st = draw(&j, r, err);
    if (st == LOOM_OK) summarise(&j, r);
    loom_csv_table_release(&j.rows);
    loom_csv_table_release(&j.means);
    free(j.headline);
    free(j.accuracy);
    free(j.balanced);
    return st;
}
