#include "eval/management/trace_vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "eval/management/anomaly.h"
#include "eval/management/forest.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"

#define POOL 4 /* graphs kept for each one that a run takes */

typedef enum anomaly { ANOMALY_TIME, ANOMALY_STRUCTURE, ANOMALY_BOTH, ANOMALIES } anomaly;
static const char *const anomaly_names[ANOMALIES] = {"time", "structure", "both"};

/* Graphs to test on: usual ones, then those with a slow call, then those that lack calls. */
typedef struct test_graphs {
    loom_graph *list;
    int64_t n, usual, slow;
    loom_arena arena;
} test_graphs;

/* Areas under the curve of one run. */
typedef struct areas {
    double auc[ANOMALIES], precision[ANOMALIES], auc_values[ANOMALIES], precision_values[ANOMALIES], auc_far[ANOMALIES],
        precision_far[ANOMALIES];
} areas;

typedef struct vae_job {
    const loom_trace_vae *t;
    test_graphs test;
    loom_csv_table rows, means;
    double *auc, *auc_values, *auc_far; /* (n, ANOMALIES, seeds) */
} vae_job;

/* ---- graphs ---- */

static loom_status load(loom_graph_set *set, const char *path, int64_t most, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more = true;
    loom_status st = loom_graphs_open(&in, path, err);
    while (st == LOOM_OK && set->n < most && (st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more) {
        if (g.n_calls < 2) continue;
        st = loom_grow(&set->graphs, &set->cap, (size_t)set->n + 1, sizeof *set->graphs, err);
        if (st == LOOM_OK && !loom_graph_copy(&set->graphs[set->n++], &g, &set->arena))
            st = loom_fail_nomem(err, "graphs");
    }
    loom_graphs_close(&in);
    return st;
}

loom_status loom_trace_vae_load(loom_trace_vae *t, const char *name, const char *path, loom_err *err)
{
    loom_graph_set *set = &t->origins[t->n];
    t->names[t->n] = name;
    LOOM_TRY(load(set, path, POOL * t->conf.n_train, err));
    if (set->n >= LOOM_TRACE_VAE_LEAST) {
        t->n++;
        return LOOM_OK;
    }
    if (t->n == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: %lld graphs of two calls or more, at least %d are needed; give more real graphs", path,
                         (long long)set->n, LOOM_TRACE_VAE_LEAST);
    loom_warn("%s: %lld correct graphs of two calls or more, at least %d are needed; left out of TraceVAE", path,
              (long long)set->n, LOOM_TRACE_VAE_LEAST);
    loom_graph_set_release(set);
    return LOOM_OK;
}

loom_status loom_trace_vae_load_test(loom_trace_vae *t, const char *path, loom_err *err)
{
    LOOM_TRY(load(&t->test, path, POOL * t->conf.n_test, err));
    if (t->test.n >= LOOM_TRACE_VAE_LEAST) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s: %lld graphs of two calls or more to test on, at least %d are needed; give more", path,
                     (long long)t->test.n, LOOM_TRACE_VAE_LEAST);
}

void loom_trace_vae_release(loom_trace_vae *t)
{
    for (int64_t i = 0; i < t->n; i++) loom_graph_set_release(&t->origins[i]);
    loom_graph_set_release(&t->test);
    free(t->names);
    free(t->origins);
    *t = (loom_trace_vae){0};
}

static int64_t *draw(int64_t n, uint64_t seed, const char *tag, uint64_t run)
{
    int64_t *index = loom_alloc((size_t)n, sizeof *index);
    loom_rng rng;
    if (!index) return NULL;
    for (int64_t i = 0; i < n; i++) index[i] = i;
    loom_rng_seed(&rng, seed, tag, run);
    loom_rng_shuffle(&rng, index, (size_t)n, sizeof *index);
    return index;
}

/* ---- the test set ---- */

/* max(10 times as long, 5 standard deviations of its type more, 20 ms more) */
static void make_slow(loom_graph *g, const loom_node_types *types, loom_rng *rng)
{
    int32_t i = 1 + (int32_t)loom_rng_below(rng, (uint64_t)(g->n_calls - 1));
    double old = (double)loom_max_i64(g->calls[i].rt, 0), spread = types->std_ms[loom_node_type(types, &g->calls[i])];
    loom_anomaly_slow(g, i, (int64_t)ceil(fmax(fmax(9 * old, 5 * spread), 20)));
}

/* False: whatever is taken out, less than two calls are left. */
static bool make_short(loom_graph *g, loom_rng *rng)
{
    int32_t fit[LOOM_TREE_MOST], n = 0;
    for (int32_t i = 1; i < g->n_calls && n < LOOM_TREE_MOST; i++) {
        int32_t end = i + 1;
        while (end < g->n_calls && g->calls[end].n_id > g->calls[i].n_id) end++;
        if (g->n_calls - (end - i) >= 2) fit[n++] = i;
    }
    if (n) loom_anomaly_drop(g, fit[loom_rng_below(rng, (uint64_t)n)]);
    return n > 0;
}

static loom_graph *copy_graph(test_graphs *s, const loom_graph *g)
{
    loom_graph *into = &s->list[s->n];
    return loom_graph_copy(into, g, &s->arena) ? into : NULL;
}

static loom_status make_test(test_graphs *s, const loom_trace_vae *t, const loom_node_types *types,
                             const int64_t *index, loom_err *err)
{
    int64_t n = loom_min_i64(t->conf.n_test, t->test.n);
    loom_rng rng;
    loom_rng_seed(&rng, t->conf.seed, "anomalies", 0);
    if (!(s->list = loom_calloc((size_t)(2 * n), sizeof *s->list))) return loom_fail_nomem(err, "graphs");
    for (int64_t i = 0; i < n; i++) {
        loom_graph *g = copy_graph(s, &t->test.graphs[index[i]]);
        if (!g) return loom_fail_nomem(err, "graphs");
        if (i >= n / 2) make_slow(g, types, &rng), s->slow++;
        else s->usual++;
        s->n++;
    }
    for (int64_t i = n / 2; i < n; i++) {
        loom_graph *g = copy_graph(s, &t->test.graphs[index[i]]);
        if (!g) return loom_fail_nomem(err, "graphs");
        s->n += make_short(g, &rng);
    }
    return LOOM_OK;
}

/* What is usual, and how far a call has to be from it, comes from all real graphs at hand. */
static loom_status prepare(vae_job *j, loom_err *err)
{
    const loom_trace_vae *t = j->t;
    loom_node_types types = {0};
    int64_t *real = draw(t->origins[0].n, 0, "", 0), *index = draw(t->test.n, t->conf.seed, "tracevae test", 0);
    loom_status st = real && index ? loom_node_types_of(&types, t->origins[0].graphs, real, t->origins[0].n, err)
                                   : loom_fail_nomem(err, "graphs");
    if (st == LOOM_OK) st = make_test(&j->test, t, &types, index, err);
    loom_node_types_release(&types);
    free(real);
    free(index);
    return st;
}

/* ---- one run ---- */

/* Usual graphs against the anomalous ones first .. first + n. */
static void area(double *auc, double *precision, const double *score, int64_t usual, int64_t first, int64_t n,
                 double *room, bool *odd)
{
    memcpy(room, score, (size_t)usual * sizeof *room);
    memcpy(room + usual, score + first, (size_t)n * sizeof *room);
    for (int64_t i = 0; i < usual + n; i++) odd[i] = i >= usual;
    *auc = loom_metrics_auc(room, odd, usual + n);
    *precision = loom_metrics_average_precision(room, odd, usual + n);
}

static loom_status measure(areas *a, const test_graphs *s, const double *score, const double *values, const double *far,
                           loom_err *err)
{
    const int64_t first[ANOMALIES] = {s->usual, s->usual + s->slow, s->usual};
    const int64_t n[ANOMALIES] = {s->slow, s->n - s->usual - s->slow, s->n - s->usual};
    double *room = loom_alloc((size_t)s->n, sizeof *room);
    bool *odd = loom_alloc((size_t)s->n, sizeof *odd);
    for (int k = 0; room && odd && k < ANOMALIES; k++) {
        area(&a->auc[k], &a->precision[k], score, s->usual, first[k], n[k], room, odd);
        area(&a->auc_values[k], &a->precision_values[k], values, s->usual, first[k], n[k], room, odd);
        area(&a->auc_far[k], &a->precision_far[k], far, s->usual, first[k], n[k], room, odd);
    }
    loom_status st = room && odd ? LOOM_OK : loom_fail_nomem(err, "scores");
    free(room);
    free(odd);
    return st;
}

static loom_status plant(loom_forest *f, const loom_node_types *types, const loom_graph *graphs, const int64_t *index,
                         int64_t n, loom_err *err)
{
    for (int64_t i = 0; i < n; i++) LOOM_TRY(loom_forest_add(f, types, &graphs[index ? index[i] : i], err));
    return LOOM_OK;
}

static loom_status score_all(areas *a, const vae_job *j, loom_tree_vae *v, const loom_forest *f, loom_err *err)
{
    loom_trees trees = loom_forest_trees(f);
    double *score = loom_alloc((size_t)f->n, sizeof *score), *values = loom_alloc((size_t)f->n, sizeof *values),
           *far = loom_alloc((size_t)f->n, sizeof *far);
    loom_status st = score && values && far ? LOOM_OK : loom_fail_nomem(err, "scores");
    for (int64_t i = 0; st == LOOM_OK && i < f->n; i++) {
        loom_tree_score of;
        loom_tree_vae_score(v, &of, &trees, i);
        score[i] = of.whole;
        values[i] = of.values;
        far[i] = loom_forest_farthest(f, i);
        if (!isfinite(score[i]) || !isfinite(values[i]))
            st = loom_fail(err, LOOM_STATUS_NUMERIC, "a score is no number; the training did not hold");
    }
    if (st == LOOM_OK) st = measure(a, &j->test, score, values, far, err);
    free(score);
    free(values);
    free(far);
    return st;
}

static void run_rows(vae_job *j, int64_t origin, uint64_t seed, int64_t n, const loom_node_types *types, int64_t cut,
                     const areas *a)
{
    const test_graphs *s = &j->test;
    for (int k = 0; k < ANOMALIES; k++) {
        loom_csv_table *t = &j->rows;
        loom_csv_table_str(t, "fig05");
        loom_csv_table_str(t, j->t->names[origin]);
        loom_csv_table_i64(t, (int64_t)seed);
        loom_csv_table_str(t, anomaly_names[k]);
        loom_csv_table_i64(t, n);
        loom_csv_table_i64(t, types->n);
        loom_csv_table_i64(t, s->usual);
        loom_csv_table_i64(t, k == ANOMALY_TIME   ? s->slow
                              : k == ANOMALY_BOTH ? s->n - s->usual
                                                  : s->n - s->usual - s->slow);
        loom_csv_table_i64(t, cut);
        loom_csv_table_f64(t, a->auc[k]);
        loom_csv_table_f64(t, a->precision[k]);
        loom_csv_table_f64(t, a->auc_far[k]);
        loom_csv_table_f64(t, a->precision_far[k]);
        loom_csv_table_f64(t, a->auc_values[k]);
        loom_csv_table_f64(t, a->precision_values[k]);
        loom_csv_table_end_row(t);
    }
}

static loom_status one_run(vae_job *j, areas *a, int64_t origin, int64_t run, int64_t n, loom_err *err)
{
    const loom_graph_set *set = &j->t->origins[origin];
    uint64_t seed = j->t->conf.seed + (uint64_t)run;
    loom_tree_vae_conf conf = {.epochs = j->t->conf.epochs, .seed = seed};
    int64_t *index = draw(set->n, seed, "tracevae graphs", 0);
    loom_node_types types = {0};
    loom_forest train = {0}, test = {0};
    loom_tree_vae *v = NULL;
    loom_status st = index ? loom_node_types_of(&types, set->graphs, index, n, err) : loom_fail_nomem(err, "graphs");
    if (st == LOOM_OK) st = plant(&train, &types, set->graphs, index, n, err);
    if (st == LOOM_OK) st = plant(&test, &types, j->test.list, NULL, j->test.n, err);
    if (st == LOOM_OK) st = loom_tree_vae_new(&v, types.n, &conf, err);
    loom_trees trees = loom_forest_trees(&train);
    if (st == LOOM_OK) st = loom_tree_vae_train(v, &trees, err);
    if (st == LOOM_OK) st = score_all(a, j, v, &test, err);
    if (st == LOOM_OK) run_rows(j, origin, seed, n, &types, train.cut + test.cut, a);
    loom_tree_vae_free(v);
    loom_forest_release(&train);
    loom_forest_release(&test);
    loom_node_types_release(&types);
    free(index);
    return st;
}

/* ---- all runs ---- */

static int64_t common_size(const loom_trace_vae *t)
{
    int64_t n = t->conf.n_train;
    for (int64_t i = 0; i < t->n; i++) n = loom_min_i64(n, t->origins[i].n);
    return n;
}

static void mean_row(vae_job *j, int64_t origin, int k, int64_t n)
{
    int64_t at = (origin * ANOMALIES + k) * j->t->conf.seeds;
    const double *auc = j->auc + at;
    loom_csv_table *t = &j->means;
    loom_csv_table_str(t, "fig05");
    loom_csv_table_str(t, j->t->names[origin]);
    loom_csv_table_str(t, anomaly_names[k]);
    loom_csv_table_i64(t, n);
    loom_csv_table_i64(t, j->t->conf.seeds);
    loom_csv_table_f64(t, loom_metrics_mean(auc, j->t->conf.seeds));
    loom_csv_table_f64(t, loom_metrics_std(auc, j->t->conf.seeds));
    loom_csv_table_f64(t, loom_metrics_mean(j->auc_far + at, j->t->conf.seeds));
    loom_csv_table_f64(t, loom_metrics_mean(j->auc_values + at, j->t->conf.seeds));
    loom_csv_table_end_row(t);
}

static loom_status one_origin(vae_job *j, int64_t origin, int64_t n, loom_err *err)
{
    int64_t seeds = j->t->conf.seeds;
    for (int64_t run = 0; run < seeds; run++) {
        areas a;
        LOOM_TRY(one_run(j, &a, origin, run, n, err));
        for (int k = 0; k < ANOMALIES; k++) {
            int64_t at = (origin * ANOMALIES + k) * seeds + run;
            j->auc[at] = a.auc[k];
            j->auc_values[at] = a.auc_values[k];
            j->auc_far[at] = a.auc_far[k];
        }
    }
    for (int k = 0; k < ANOMALIES; k++) mean_row(j, origin, k, n);
    return LOOM_OK;
}

/* Means over the seeds of slow calls. */
static double slow_auc(const vae_job *j, const double *list, int64_t origin)
{
    return loom_metrics_mean(list + (origin * ANOMALIES + ANOMALY_TIME) * j->t->conf.seeds, j->t->conf.seeds);
}

/* Slow calls are a matter of times: the share of the structure, which its remedies make large, says nothing of them. */
static void summarise(const vae_job *j, loom_results *r)
{
    double real = slow_auc(j, j->auc_values, 0);
    double noise = loom_metrics_noise(j->auc_values + ANOMALY_TIME * j->t->conf.seeds, j->t->conf.seeds);
    for (int64_t i = 0; i < j->t->n; i++) {
        const char *name = j->t->names[i];
        double mine = slow_auc(j, j->auc_values, i);
        char what[160], ours[96], note[200], seeds[64];
        snprintf(what, sizeof what, "slow calls found (ROC AUC of times alone), trained on: %s",
                 loom_method_title(name));
        snprintf(ours, sizeof ours, "%.3f; %.3f trained on real graphs", mine, real);
        snprintf(note, sizeof note, "whole score %.3f; without the graph %.3f%s", slow_auc(j, j->auc, i),
                 slow_auc(j, j->auc_far, i), loom_paper_noise(seeds, sizeof seeds, noise, ""));
        if (strcmp(name, "instruction") == 0)
            loom_paper_compare(r, LOOM_PAPER_TRACE_VAE_OURS, what, fabs(real - mine), ours, note);
        else loom_results_summary(r, "5", what, NULL, ours, -1, note);
    }
}

static loom_status picture(const vae_job *j, loom_results *r, loom_err *err)
{
    int64_t n = j->t->n;
    const char **labels = loom_alloc((size_t)n, sizeof *labels);
    loom_figure_vars vars = {0};
    char caption[256], origin[128];
    if (!labels) return loom_fail_nomem(err, "a picture");
    for (int64_t i = 0; i < n; i++) labels[i] = loom_method_title(j->t->names[i]);
    snprintf(caption, sizeof caption,
             "%s%lld usual real graphs against as many with an anomaly · bars: standard deviation over %lld seeds",
             loom_results_origin(r, origin, sizeof origin), (long long)j->test.usual, (long long)j->t->conf.seeds);
    loom_figure_str(&vars, "title", "Anomalies found by TraceVAE, trained on ...");
    loom_figure_str(&vars, "caption", caption);
    loom_figure_list(&vars, "series", j->t->names, n);
    loom_figure_list(&vars, "labels", labels, n);
    loom_status st = loom_results_figure(r, "fig05_tracevae", &vars, err);
    loom_figure_vars_release(&vars);
    free(labels);
    return st;
}

loom_status loom_trace_vae_run(const loom_trace_vae *t, loom_results *r, loom_err *err)
{
    size_t numbers = (size_t)(t->n * ANOMALIES * t->conf.seeds);
    vae_job j = {.t = t,
                 .auc = loom_calloc(numbers, sizeof(double)),
                 .auc_values = loom_calloc(numbers, sizeof(double)),
                 .auc_far = loom_calloc(numbers, sizeof(double))};
    int64_t n = common_size(t);
    loom_status st = j.auc && j.auc_values && j.auc_far ? prepare(&j, err) : loom_fail_nomem(err, "a figure");
    loom_csv_table_init(
        &j.rows,
        "experiment,method,seed,anomaly,n_train,types,n_usual,n_anomalous,cut,auc,average_precision,auc_no_graph,"
        "average_precision_no_graph,auc_values,average_precision_values");
    loom_csv_table_init(&j.means, "experiment,method,anomaly,n_train,seeds,auc,std,auc_no_graph,auc_values");
    for (int64_t i = 0; st == LOOM_OK && i < t->n; i++) st = one_origin(&j, i, n, err);
    if (st == LOOM_OK) st = loom_results_table(r, "fig05_tracevae.csv", &j.rows, err);
    if (st == LOOM_OK) st = loom_results_table(r, "fig05_tracevae_mean.csv", &j.means, err);
    if (st == LOOM_OK) st = picture(&j, r, err);
    if (st == LOOM_OK) summarise(&j, r);
    loom_csv_table_release(&j.rows);
    loom_csv_table_release(&j.means);
    loom_arena_release(&j.test.arena);
    free(j.test.list);
    free(j.auc);
    free(j.auc_values);
    free(j.auc_far);
    return st;
}
