/* Fig 4a: the 100 most popular calls of the real graphs, and how far the distribution over them is off. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "eval/likeness/similarity.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"

#define FLOOR_SPLITS 20
#define SHOWN        30

static const double alphas[] = {0.5, 1, 1e-6}; /* the first is the headline */
#define N_ALPHAS ((int)(sizeof alphas / sizeof *alphas))

/* Counts of the top calls, and of everything else. */
typedef struct top_counts {
    int64_t *n; /* [n_top] */
    int64_t other;
} top_counts;

typedef struct calls_job {
    const loom_similarity *s;
    int64_t *top, n_top;
    int64_t *all; /* scratch: counts of every call */
    top_counts real, made;
    int64_t *groups; /* (groups, n_top + 1): counts of the top calls and of the others, of the bootstrap's units */
} calls_job;

static void count_top(const calls_job *j, const loom_graph_counts *c, const int64_t *index, int64_t n,
                      const int64_t *top, int64_t n_top, top_counts *out)
{
    int64_t n_calls = (int64_t)j->s->words.calls.n;
    loom_graph_counts_calls(c, index, n, j->all, n_calls);
    out->other = 0;
    for (int64_t i = 0; i < n_calls; i++) out->other += j->all[i];
    for (int64_t i = 0; i < n_top; i++) {
        out->n[i] = j->all[top[i]];
        out->other -= out->n[i];
    }
}

static loom_divergence divergence(const calls_job *j, double alpha)
{
    return loom_metrics_divergence(j->real.n, j->made.n, j->n_top, j->real.other, j->made.other, alpha);
}

/* The KL for every alpha. */
static void resampled_kl(void *arg, const int32_t *times, int64_t n, double *kl)
{
    calls_job *j = arg;
    memset(j->made.n, 0, (size_t)j->n_top * sizeof *j->made.n);
    j->made.other = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t *unit = j->groups + i * (j->n_top + 1);
        if (!times[i]) continue;
        for (int64_t c = 0; c < j->n_top; c++) j->made.n[c] += times[i] * unit[c];
        j->made.other += times[i] * unit[j->n_top];
    }
    for (int a = 0; a < N_ALPHAS; a++) kl[a] = divergence(j, alphas[a]).kl_pq;
}

/* Fills j->groups; the caller frees it. Returns how many units there are. */
static int64_t count_groups(calls_job *j, const loom_graph_counts *c)
{
    loom_graph_counts_groups g;
    loom_graph_counts_group(&g, c->n_graphs, j->s->seed);
    int64_t n_calls = (int64_t)j->s->words.calls.n, wide = j->n_top + 1, n = g.n;
    int64_t *place = loom_alloc((size_t)n_calls, sizeof *place); /* of a call among the top ones; n_top: others */
    j->groups = loom_calloc((size_t)(n * wide), sizeof *j->groups);
    if (!place || !j->groups || !g.first || !g.order) { /* core/nomem.h keeps it out of every result */
        free(place);
        loom_graph_counts_groups_release(&g);
        return 0;
    }
    for (int64_t i = 0; i < n_calls; i++) place[i] = j->n_top;
    for (int64_t i = 0; i < j->n_top; i++) place[j->top[i]] = i;
    for (int64_t k = 0; k < n; k++) {
        int64_t *unit = j->groups + k * wide;
        for (int64_t at = g.first[k]; at < g.first[k + 1]; at++)
            for (int64_t e = c->first[g.order[at]]; e < c->first[g.order[at] + 1]; e++) unit[place[c->call[e]]]++;
    }
    free(place);
    loom_graph_counts_groups_release(&g);
    return n;
}

/* For each alpha the mean KL between `part` random real graphs and the other ones, whose popular calls count. */
static void noise_floors(const calls_job *j, int64_t part, double floor[N_ALPHAS])
{
    const loom_graph_counts *real = &j->s->real;
    int64_t n = real->n_graphs, rest = n - part, n_calls = (int64_t)j->s->words.calls.n;
    for (int k = 0; k < N_ALPHAS; k++) floor[k] = part < 1 ? NAN : 0;
    if (part < 1) return;
    int64_t *index = loom_alloc((size_t)n, sizeof *index), *top = loom_alloc((size_t)j->s->top, sizeof *top);
    top_counts a = {.n = loom_alloc((size_t)j->s->top, sizeof(int64_t))},
               b = {.n = loom_alloc((size_t)j->s->top, sizeof(int64_t))};
    bool room = index && top && a.n && b.n;
    for (int split = 0; room && split < FLOOR_SPLITS; split++) {
        loom_rng rng;
        loom_rng_seed(&rng, j->s->seed, "floor", (uint64_t)split);
        loom_graph_counts_shuffle(index, n, &rng);
        loom_graph_counts_calls(real, index, rest, j->all, n_calls);
        int64_t n_top = loom_graph_counts_top_calls(&j->s->words, j->all, top, j->s->top);
        count_top(j, real, index, rest, top, n_top, &a);
        count_top(j, real, index + rest, part, top, n_top, &b);
        for (int k = 0; k < N_ALPHAS; k++)
            floor[k] += loom_metrics_divergence(a.n, b.n, n_top, a.other, b.other, alphas[k]).kl_pq;
    }
    free(index);
    free(top);
    free(a.n);
    free(b.n);
    for (int k = 0; k < N_ALPHAS; k++) floor[k] /= FLOOR_SPLITS;
}

typedef struct floors {
    double halves, same_n; /* between halves of the real graphs; of as many as were generated, at most a half */
} floors;

static void kl_intervals(calls_job *j, const loom_rival *m, loom_estimate ci[N_ALPHAS])
{
    const loom_similarity *s = j->s;
    loom_rng rng;
    for (int a = 0; a < N_ALPHAS; a++) ci[a] = (loom_estimate){NAN, NAN, NAN, NAN};
    if (!s->resamples) return;
    loom_rng_seed(&rng, s->seed, "bootstrap", 0);
    int64_t units = count_groups(j, &m->counts);
    loom_metrics_bootstrap(ci, N_ALPHAS, resampled_kl, j, units, s->resamples, 0, &rng);
    free(j->groups);
    j->groups = NULL;
}

/* One row; the counts of the rival are in j->made. */
static void kl_row(loom_csv_table *t, const calls_job *j, const loom_rival *m, double alpha, floors floor,
                   const loom_estimate *ci)
{
    const loom_similarity *s = j->s;
    loom_divergence d = divergence(j, alpha);
    loom_csv_table_str(t, "fig04a");
    loom_csv_table_str(t, m->name);
    loom_csv_table_i64(t, (int64_t)s->seed);
    if (m->counts.calls_only) loom_csv_table_none(t);
    else loom_csv_table_i64(t, m->counts.n_graphs);
    loom_csv_table_i64(t, m->counts.n_edges);
    loom_csv_table_f64(t, alpha);
    loom_csv_table_f64(t, d.kl_pq);
    loom_csv_table_f64(t, ci->lo);
    loom_csv_table_f64(t, ci->hi);
    loom_csv_table_f64(t, ci->corrected);
    loom_csv_table_f64(t, d.kl_qp);
    loom_csv_table_f64(t, d.js);
    loom_csv_table_f64(t, d.tv);
    loom_csv_table_f64(t, d.coverage);
    loom_csv_table_f64(t, d.kl_other);
    loom_csv_table_f64(t, floor.halves);
    loom_csv_table_f64(t, floor.same_n);
    loom_csv_table_end_row(t);
}

/* Rows rank, source, destination, type, method, count, probability among the top calls. */
static void call_rows(loom_csv_table *t, const calls_job *j, const char *method, const top_counts *c)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < j->n_top; i++) sum += c->n[i];
    for (int64_t i = 0; i < j->n_top; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s", loom_intern_text(&j->s->words.calls, j->top[i]));
        char *destination = strchr(text, ','), *type = destination ? strchr(destination + 1, ',') : NULL;
        if (!type) continue;
        *destination++ = *type++ = 0;
        loom_csv_table_str(t, "fig04a");
        loom_csv_table_str(t, method);
        loom_csv_table_i64(t, (int64_t)j->s->seed);
        loom_csv_table_i64(t, i + 1);
        loom_csv_table_str(t, text);
        loom_csv_table_str(t, destination);
        loom_csv_table_str(t, type);
        loom_csv_table_i64(t, c->n[i]);
        loom_csv_table_f64(t, sum ? (double)c->n[i] / (double)sum : NAN);
        loom_csv_table_end_row(t);
    }
}

static loom_status draw(const calls_job *j, loom_results *r, const loom_estimate *kl, double floor, loom_err *err)
{
    const loom_similarity *s = j->s;
    loom_figure_vars vars = {0};
    char caption[512], origin[128];
    const char **labels = loom_alloc((size_t)s->n_rivals, sizeof *labels);
    char(*texts)[160] = loom_alloc((size_t)s->n_rivals, sizeof *texts);
    if (!labels || !texts) {
        free(labels);
        free(texts);
        return loom_fail_nomem(err, "a picture");
    }
    for (int64_t i = 0; i < s->n_rivals; i++) {
        snprintf(texts[i], sizeof *texts, "%s: KL %.3f", loom_method_title(s->rivals[i].name), kl[i].value);
        labels[i] = texts[i];
    }
    snprintf(caption, sizeof caption,
             "%s%lld real graphs · KL over the %lld most popular calls, nats; real against real: %.3f",
             loom_results_origin(r, origin, sizeof origin), (long long)s->real.n_graphs, (long long)j->n_top, floor);
    loom_figure_str(&vars, "title", "How often the most popular calls are made");
    loom_figure_str(&vars, "caption", caption);
    loom_figure_num(&vars, "shown", (double)loom_min_i64(SHOWN, j->n_top));
    loom_similarity_series(s, &vars, false);
    loom_figure_list(&vars, "labels", labels, s->n_rivals);
    loom_status st = loom_results_figure(r, "fig04a", &vars, err);
    loom_figure_vars_release(&vars);
    free(labels);
    free(texts);
    return st;
}

/* The paper's order: models, then TVAE, then the probabilistic generator. */
static int rank_of(const char *name) { return strcmp(name, "probabilistic") == 0 ? 2 : strcmp(name, "tvae") == 0; }

/* 1: everything of another rank is on the side of this one that it has in the paper; 0: not; -1: nothing of another
 * rank. */
static int same_order(const loom_similarity *s, const loom_estimate *kl, int64_t i)
{
    int same = -1;
    for (int64_t k = 0; k < s->n_rivals; k++) {
        int apart = rank_of(s->rivals[k].name) - rank_of(s->rivals[i].name);
        if (apart == 0 || same == 0) continue;
        same = apart > 0 ? kl[i].value < kl[k].value : kl[i].value > kl[k].value;
    }
    return same;
}

static void compare(loom_results *r, const loom_similarity *s, const loom_estimate *kl, const floors *floor)
{
    char ours[128], note[96];
    for (int64_t i = 0; i < s->n_rivals; i++) {
        const char *name = s->rivals[i].name;
        snprintf(ours, sizeof ours, "%.3f", kl[i].value);
        snprintf(note, sizeof note, "real against real: %.3f, with as many graphs %.3f", floor[i].halves,
                 floor[i].same_n);
        const char *paper = loom_paper_number(LOOM_PAPER_KL, name);
        loom_results_summary(r, "4a", loom_method_title(name), paper, ours, paper ? same_order(s, kl, i) : -1, note);
    }
}

/* How many graphs a corpus stands for; calls by themselves: as many real graphs as make so many calls. */
static int64_t graphs_of(const loom_similarity *s, const loom_graph_counts *c)
{
    if (!c->calls_only) return c->n_graphs;
    return (int64_t)((double)c->n_edges * (double)s->real.n_graphs / (double)loom_max_i64(s->real.n_edges, 1));
}

/* The rows of one rival in both tables; *kl and *floor at the first alpha. `halves`: the floors of half the real
 * graphs, which hold for every rival that has as many. */
static void measure(calls_job *j, const loom_rival *rival, const double halves[N_ALPHAS], loom_csv_table *rows,
                    loom_csv_table *kls, loom_estimate *kl, floors *floor)
{
    int64_t n_made = graphs_of(j->s, &rival->counts), half = j->s->real.n_graphs / 2;
    double same_n[N_ALPHAS];
    loom_estimate ci[N_ALPHAS];

    if (n_made < half) noise_floors(j, n_made, same_n);
    else memcpy(same_n, halves, sizeof same_n);
    kl_intervals(j, rival, ci);
    count_top(j, &rival->counts, NULL, 0, j->top, j->n_top, &j->made);
    for (int a = 0; a < N_ALPHAS; a++) kl_row(kls, j, rival, alphas[a], (floors){halves[a], same_n[a]}, &ci[a]);
    *floor = (floors){halves[0], same_n[0]};
    *kl = ci[0];
    kl->value = divergence(j, alphas[0]).kl_pq;
    call_rows(rows, j, rival->name, &j->made);
}

loom_status loom_similarity_calls(const loom_similarity *s, loom_results *r, loom_err *err)
{
    size_t n_calls = (size_t)s->words.calls.n, top = (size_t)s->top;
    calls_job j = {.s = s,
                   .all = loom_alloc(n_calls, sizeof(int64_t)),
                   .top = loom_alloc(top, sizeof(int64_t)),
                   .real.n = loom_alloc(top, sizeof(int64_t)),
                   .made.n = loom_alloc(top, sizeof(int64_t))};
    loom_estimate *kl = loom_calloc((size_t)s->n_rivals, sizeof *kl);
    loom_csv_table rows = {0}, kls = {0};
    floors *floor = loom_calloc((size_t)s->n_rivals, sizeof *floor); /* at the first alpha */
    double halves[N_ALPHAS];
    loom_status st;

    if (!j.all || !j.top || !j.real.n || !j.made.n || !kl || !floor) {
        st = loom_fail_nomem(err, "the popular calls");
        goto done;
    }
    loom_graph_counts_calls(&s->real, NULL, 0, j.all, (int64_t)n_calls);
    j.n_top = loom_graph_counts_top_calls(&s->words, j.all, j.top, s->top);
    count_top(&j, &s->real, NULL, 0, j.top, j.n_top, &j.real);
    loom_csv_table_init(&rows, "experiment,method,seed,rank,source,destination,type,count,prob");
    loom_csv_table_init(
        &kls,
        "experiment,method,seed,n_graphs,n_edges,alpha,kl_pq,lo,hi,kl_corrected,kl_qp,js,tv,coverage,kl_other,floor,floor_same_n");
    call_rows(&rows, &j, "real", &j.real);
    noise_floors(&j, s->real.n_graphs / 2, halves);
    for (int64_t i = 0; i < s->n_rivals; i++) measure(&j, &s->rivals[i], halves, &rows, &kls, &kl[i], &floor[i]);
    if ((st = loom_results_table(r, "fig04a_calls.csv", &rows, err)) != LOOM_OK) goto done;
    if ((st = loom_results_table(r, "fig04a_kl.csv", &kls, err)) != LOOM_OK) goto done;
    if ((st = draw(&j, r, kl, halves[0], err)) != LOOM_OK) goto done;
    compare(r, s, kl, floor);
done:
    free(j.all);
    free(j.top);
    free(j.real.n);
    free(j.made.n);
    free(kl);
    free(floor);
    loom_csv_table_release(&rows);
    loom_csv_table_release(&kls);
    return st;
}
