/* Fig 4b: which microservices a sequence of graphs triggers most. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "eval/likeness/similarity.h"
#include "eval/pages/paper.h"

static const int64_t ranks[] = {10, 20, 50, 100, 200, 300, 400, 500};
#define N_RANKS ((int64_t)(sizeof ranks / sizeof *ranks))

typedef struct node_name {
    int64_t id;
    const char *text;
} node_name;

static int by_text(const void *a, const void *b)
{
    return strcmp(((const node_name *)a)->text, ((const node_name *)b)->text);
}

/* place[id] = rank of the name in bytewise order: ties of counts go to the smaller name */
static int64_t *order_of_names(const loom_intern *nodes)
{
    node_name *list = loom_alloc(nodes->n, sizeof *list);
    int64_t *place = loom_alloc(nodes->n, sizeof *place);
    if (!list || !place) {
        free(list);
        free(place);
        return NULL;
    }
    for (size_t i = 0; i < nodes->n; i++) list[i] = (node_name){(int64_t)i, loom_intern_text(nodes, (int64_t)i)};
    qsort(list, nodes->n, sizeof *list, by_text);
    for (size_t i = 0; i < nodes->n; i++) place[list[i].id] = (int64_t)i;
    free(list);
    return place;
}

typedef struct heavy_job {
    const loom_similarity *s;
    int64_t n_nodes, m; /* graphs of a sequence */
    int64_t *place, *raw, *counts[2], *index;
    loom_csv_table rows;
    double *sum, *least, *most; /* per (series, rank); series 0 is real against real */
} heavy_job;

/* m graphs drawn without replacement; `from` skips the first ones of the shuffle. */
static void count_sequence(heavy_job *j, const loom_graph_counts *c, const char *tag, uint64_t run, int64_t from,
                           int64_t *counts)
{
    loom_rng rng;
    loom_rng_seed(&rng, j->s->seed, tag, run);
    loom_graph_counts_shuffle(j->index, c->n_graphs, &rng);
    loom_graph_counts_nodes(c, j->index + from, j->m, j->raw, j->n_nodes);
    for (int64_t i = 0; i < j->n_nodes; i++) counts[j->place[i]] = j->raw[i];
}

static void compare_run(heavy_job *j, int64_t series, const char *method, int64_t run)
{
    for (int64_t k = 0; k < N_RANKS; k++) {
        loom_overlap o = loom_metrics_topk(j->counts[0], j->counts[1], j->n_nodes, ranks[k]);
        int64_t at = series * N_RANKS + k;
        j->sum[at] += o.overlap;
        j->least[at] = run ? fmin(j->least[at], o.overlap) : o.overlap;
        j->most[at] = run ? fmax(j->most[at], o.overlap) : o.overlap;
        loom_csv_table_str(&j->rows, "fig04b");
        loom_csv_table_str(&j->rows, method);
        loom_csv_table_i64(&j->rows, (int64_t)j->s->seed);
        loom_csv_table_i64(&j->rows, run);
        loom_csv_table_i64(&j->rows, j->m);
        loom_csv_table_i64(&j->rows, ranks[k]);
        loom_csv_table_i64(&j->rows, o.K_eff);
        loom_csv_table_f64(&j->rows, o.overlap);
        loom_csv_table_f64(&j->rows, o.expected);
        loom_csv_table_end_row(&j->rows);
    }
}

static void fill_summary(heavy_job *j, loom_csv_table *t)
{
    loom_csv_table_init(t, "experiment,method,seed,K,runs,mean,least,most");
    for (int64_t i = 0; i <= j->s->n_rivals; i++) {
        for (int64_t k = 0; k < N_RANKS; k++) {
            int64_t at = i * N_RANKS + k;
            loom_csv_table_str(t, "fig04b");
            loom_csv_table_str(t, i ? j->s->rivals[i - 1].name : "real");
            loom_csv_table_i64(t, (int64_t)j->s->seed);
            loom_csv_table_i64(t, ranks[k]);
            loom_csv_table_i64(t, j->s->runs);
            loom_csv_table_f64(t, j->sum[at] / (double)j->s->runs);
            loom_csv_table_f64(t, j->least[at]);
            loom_csv_table_f64(t, j->most[at]);
            loom_csv_table_end_row(t);
        }
    }
}

static void compare_with_paper(const heavy_job *j, loom_results *r)
{
    static const struct {
        int64_t k;
        loom_paper_series series;
    } asked[] = {{2, LOOM_PAPER_HEAVY_50}, {0, LOOM_PAPER_HEAVY_10}, {7, LOOM_PAPER_HEAVY_500}};
    char what[160], ours[64], note[64];
    for (int64_t i = 0; i < j->s->n_rivals; i++) {
        for (size_t a = 0; a < sizeof asked / sizeof *asked; a++) {
            const char *paper = loom_paper_number(asked[a].series, j->s->rivals[i].name);
            if (!paper) continue;
            double runs = (double)j->s->runs;
            snprintf(what, sizeof what, "%s, K = %lld", j->s->rivals[i].name, (long long)ranks[asked[a].k]);
            snprintf(ours, sizeof ours, "%.1f %%", 100 * j->sum[(i + 1) * N_RANKS + asked[a].k] / runs);
            snprintf(note, sizeof note, "real against real: %.1f %%", 100 * j->sum[asked[a].k] / runs);
            loom_results_summary(r, "4b", what, paper, ours, -1, note);
        }
    }
}

static loom_status draw(const heavy_job *j, loom_results *r, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128];
    snprintf(caption, sizeof caption, "%s%lld runs of %lld graphs, bands from least to most; dashed: real against real",
             loom_results_origin(r, origin, sizeof origin), (long long)j->s->runs, (long long)j->m);
    loom_figure_str(&vars, "title", "Most triggered microservices found again");
    loom_figure_str(&vars, "caption", caption);
    loom_similarity_series(j->s, &vars, true);
    loom_status st = loom_results_figure(r, "fig04b", &vars, err);
    loom_figure_vars_release(&vars);
    return st;
}

loom_status loom_similarity_heavy(const loom_similarity *s, loom_results *r, loom_err *err)
{
    size_t n_nodes = s->words.nodes.n, n_series = (size_t)s->n_rivals + 1;
    int64_t most = s->real.n_graphs, m = loom_min_i64(s->sequence, s->real.n_graphs / 2);
    for (int64_t i = 0; i < s->n_rivals; i++) {
        most = loom_max_i64(most, s->rivals[i].counts.n_graphs);
        m = loom_min_i64(m, s->rivals[i].counts.n_graphs);
    }
    heavy_job j = {.s = s, .n_nodes = (int64_t)n_nodes, .m = loom_max_i64(m, 1)};
    double *work = loom_calloc(3 * n_series * (size_t)N_RANKS, sizeof *work);
    loom_csv_table summary = {0};
    loom_status st;
    j.place = order_of_names(&s->words.nodes);
    j.raw = loom_alloc(n_nodes, sizeof *j.raw);
    j.counts[0] = loom_alloc(n_nodes, sizeof **j.counts);
    j.counts[1] = loom_alloc(n_nodes, sizeof **j.counts);
    j.index = loom_alloc((size_t)most, sizeof *j.index);
    if (!work || !j.place || !j.raw || !j.counts[0] || !j.counts[1] || !j.index) {
        st = loom_fail_nomem(err, "the heavy hitters");
        goto done;
    }
    j.sum = work;
    j.least = work + n_series * (size_t)N_RANKS;
    j.most = work + 2 * n_series * (size_t)N_RANKS;
    loom_csv_table_init(&j.rows, "experiment,method,seed,run,n_graphs,K,K_eff,overlap,expected_overlap");
    for (int64_t run = 0; run < s->runs && !loom_stop_requested(); run++) {
        count_sequence(&j, &s->real, "heavy real", (uint64_t)run, 0, j.counts[0]);
        count_sequence(&j, &s->real, "heavy real", (uint64_t)run, s->real.n_graphs - j.m, j.counts[1]);
        compare_run(&j, 0, "real", run);
        for (int64_t i = 0; i < s->n_rivals; i++) {
            count_sequence(&j, &s->rivals[i].counts, s->rivals[i].name, (uint64_t)run, 0, j.counts[1]);
            compare_run(&j, i + 1, s->rivals[i].name, run);
        }
    }
    fill_summary(&j, &summary);
    if ((st = loom_results_table(r, "fig04b.csv", &j.rows, err)) != LOOM_OK) goto done;
    if ((st = loom_results_table(r, "fig04b_summary.csv", &summary, err)) != LOOM_OK) goto done;
    if ((st = draw(&j, r, err)) != LOOM_OK) goto done;
    compare_with_paper(&j, r);
done:
    loom_csv_table_release(&j.rows);
    loom_csv_table_release(&summary);
    free(work);
    free(j.place);
    free(j.raw);
    free(j.counts[0]);
    free(j.counts[1]);
    free(j.index);
    return st;
}
