/* Fig 16: branching and response times, as normalised earth mover's distance. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "eval/likeness/similarity.h"
#include "eval/pages/paper.h"

#define FLOOR_SPLITS 20

/* ---- one pair of samples, prepared for resampling: every value replaced by its rank among the distinct ones ---- */

typedef struct emd_pair {
    double *values; /* distinct, ascending */
    int64_t n_values;
    int32_t *rank[2]; /* of each sample of real, made */
    int64_t *count[2];
    const loom_samples *samples[2];
    int64_t *unit_first; /* bootstrap: unit k counts unit[first[k] .. first[k + 1]) */
    struct emd_count *unit;
} emd_pair;

typedef struct emd_count {
    int32_t rank, n;
} emd_count;

static int32_t rank_of(const emd_pair *p, double v)
{
    int64_t lo = 0, hi = p->n_values - 1;
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        if (p->values[mid] < v) lo = mid + 1;
        else hi = mid;
    }
    return (int32_t)lo;
}

/* False: no memory; release what there is. What these functions then return does not matter: core/nomem.h keeps it out
 * of every result. */
static bool pair_init(emd_pair *p, const loom_samples *real, const loom_samples *made)
{
    size_t n = real->n + made->n;
    *p = (emd_pair){.values = loom_alloc(n, sizeof *p->values), .samples = {real, made}};
    if (!p->values) return false;
    if (real->n) memcpy(p->values, real->v, real->n * sizeof *real->v);
    if (made->n) memcpy(p->values + real->n, made->v, made->n * sizeof *made->v);
    loom_metrics_sort(p->values, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || p->values[i] != p->values[p->n_values - 1]) p->values[p->n_values++] = p->values[i];
    for (int side = 0; side < 2; side++) {
        p->rank[side] = loom_alloc(p->samples[side]->n, sizeof **p->rank);
        p->count[side] = loom_alloc((size_t)p->n_values, sizeof **p->count);
        if (!p->rank[side] || !p->count[side]) return false;
        for (size_t i = 0; i < p->samples[side]->n; i++) p->rank[side][i] = rank_of(p, p->samples[side]->v[i]);
    }
    return true;
}

static void pair_release(emd_pair *p)
{
    free(p->values);
    free(p->unit_first);
    free(p->unit);
    for (int side = 0; side < 2; side++) {
        free(p->rank[side]);
        free(p->count[side]);
    }
}

/* Counts over the graphs index[0..n) of one side; NULL: over all samples. */
static void pair_count(emd_pair *p, int side, const int64_t *index, int64_t n, int64_t *count)
{
    const loom_samples *s = p->samples[side];
    memset(count, 0, (size_t)p->n_values * sizeof *count);
    if (!index)
        for (size_t i = 0; i < s->n; i++) count[p->rank[side][i]]++;
    for (int64_t i = 0; index && i < n; i++)
        for (int64_t at = s->first[index[i]]; at < s->first[index[i] + 1]; at++) count[p->rank[side][at]]++;
}

/* Samples of the made graphs as counts of the bootstrap's units; returns how many units there are. */
static int64_t pair_group(emd_pair *p, int64_t n_graphs, uint64_t seed)
{
    const loom_samples *s = p->samples[1];
    loom_graph_counts_groups g;
    loom_graph_counts_group(&g, n_graphs, seed);
    int64_t used = 0, units = g.n;
    int32_t *count = loom_calloc((size_t)p->n_values, sizeof *count);
    p->unit_first = loom_alloc((size_t)units + 1, sizeof *p->unit_first);
    p->unit = loom_alloc(s->n, sizeof *p->unit);
    if (!count || !p->unit_first || !p->unit || !g.first || !g.order) units = 0;
    for (int64_t k = 0; k < units; k++) {
        int64_t from = used;
        p->unit_first[k] = from;
        for (int64_t i = g.first[k]; i < g.first[k + 1]; i++)
            for (int64_t at = s->first[g.order[i]]; at < s->first[g.order[i] + 1]; at++) {
                int32_t rank = p->rank[1][at];
                if (count[rank]++ == 0) p->unit[used++].rank = rank;
            }
        for (int64_t at = from; at < used; at++) {
            p->unit[at].n = count[p->unit[at].rank];
            count[p->unit[at].rank] = 0;
        }
    }
    if (p->unit_first) p->unit_first[units] = used;
    free(count);
    loom_graph_counts_groups_release(&g);
    return units;
}

static void resampled_w1(void *arg, const int32_t *times, int64_t n, double *w1)
{
    emd_pair *p = arg;
    memset(p->count[1], 0, (size_t)p->n_values * sizeof **p->count);
    for (int64_t i = 0; i < n; i++)
        for (int64_t at = p->unit_first[i]; times[i] && at < p->unit_first[i + 1]; at++)
            p->count[1][p->unit[at].rank] += (int64_t)times[i] * p->unit[at].n;
    *w1 = loom_metrics_w1_counts(p->values, p->count[0], p->count[1], p->n_values);
}

/* Mean W1 between `part` random real graphs and the other ones. */
static double noise_floor(const loom_similarity *s, loom_field field, int64_t part)
{
    emd_pair p;
    int64_t n = s->real.n_graphs, rest = n - part;
    if (part < 1) return NAN;
    int64_t *index = loom_alloc((size_t)n, sizeof *index);
    double sum = 0;
    bool room = pair_init(&p, &s->real.field[field], &s->real.field[field]) && index;
    for (int split = 0; room && split < FLOOR_SPLITS; split++) {
        loom_rng rng;
        loom_rng_seed(&rng, s->seed, "floor", (uint64_t)split);
        loom_graph_counts_shuffle(index, n, &rng);
        pair_count(&p, 0, index, rest, p.count[0]);
        pair_count(&p, 1, index + rest, part, p.count[1]);
        sum += loom_metrics_w1_counts(p.values, p.count[0], p.count[1], p.n_values);
    }
    pair_release(&p);
    free(index);
    return sum / FLOOR_SPLITS;
}

/* ---- normalisers, from real alone: they cancel in the ratio between methods ---- */

typedef struct scale {
    double range, std, p99;
} scale;

static scale scale_of_sorted(const double *sorted, int64_t n)
{
    if (n == 0) return (scale){NAN, NAN, NAN};
    return (scale){sorted[n - 1] - sorted[0], loom_metrics_std(sorted, n),
                   loom_metrics_quantile(sorted, n, 0.99) - loom_metrics_quantile(sorted, n, 0.01)};
}

static scale scale_of(const loom_samples *real)
{
    int64_t n = (int64_t)real->n;
    double *sorted = loom_alloc(real->n, sizeof *sorted);
    if (!sorted) return scale_of_sorted(NULL, 0);
    if (n) memcpy(sorted, real->v, real->n * sizeof *sorted);
    loom_metrics_sort(sorted, n);
    scale s = scale_of_sorted(sorted, n);
    free(sorted);
    return s;
}

static double divide(double a, double b) { return b > 0 ? a / b : NAN; }

loom_emd loom_similarity_emd(const loom_graph_counts *real, const loom_graph_counts *made, loom_field field)
{
    emd_pair p;
    scale by = scale_of(&real->field[field]);
    double w1 = NAN;
    if (pair_init(&p, &real->field[field], &made->field[field])) {
        pair_count(&p, 0, NULL, 0, p.count[0]);
        pair_count(&p, 1, NULL, 0, p.count[1]);
        w1 = loom_metrics_w1_counts(p.values, p.count[0], p.count[1], p.n_values);
    }
    pair_release(&p);
    return (loom_emd){w1, divide(w1, by.range), divide(w1, by.std), divide(w1, by.p99)};
}

/* ---- table and picture ---- */

typedef struct branching_job {
    const loom_similarity *s;
    double *range; /* normalised by range, per (rival, field) */
    loom_csv_table t;
} branching_job;

/* The graphs of a rival that are compared. */
static loom_graph_counts rival_head(const loom_similarity *s, int64_t i)
{
    const loom_graph_counts *c = &s->rivals[i].counts;
    return loom_graph_counts_head(c, s->branching ? s->branching : c->n_graphs);
}

static int64_t reference_rival(const loom_similarity *s)
{
    for (int64_t i = 0; i < s->n_rivals; i++)
        if (strcmp(s->rivals[i].name, "instruction") == 0) return i;
    return 0;
}

typedef struct emd_row {
    const char *method, *scope;
    int64_t n_made, n_rejected;
    double w1, reference; /* reference: w1 of the method that the others are compared with */
    double floor, floor_same_n;
    loom_estimate ci;
    scale by;
} emd_row;

static void write_row(branching_job *j, loom_field field, const emd_row *row)
{
    const loom_similarity *s = j->s;
    loom_csv_table_str(&j->t, "fig16");
    loom_csv_table_str(&j->t, row->method);
    loom_csv_table_i64(&j->t, (int64_t)s->seed);
    loom_csv_table_str(&j->t, loom_field_names[field]);
    loom_csv_table_str(&j->t, row->scope);
    loom_csv_table_i64(&j->t, s->real.n_graphs);
    loom_csv_table_i64(&j->t, row->n_made);
    loom_csv_table_i64(&j->t, row->n_rejected);
    loom_csv_table_f64(&j->t, row->w1);
    loom_csv_table_f64(&j->t, divide(row->w1, row->by.range));
    loom_csv_table_f64(&j->t, divide(row->ci.lo, row->by.range));
    loom_csv_table_f64(&j->t, divide(row->ci.hi, row->by.range));
    loom_csv_table_f64(&j->t, divide(row->ci.corrected, row->by.range));
    loom_csv_table_f64(&j->t, divide(row->w1, row->by.std));
    loom_csv_table_f64(&j->t, divide(row->w1, row->by.p99));
    loom_csv_table_f64(&j->t, divide(row->w1, row->reference));
    loom_csv_table_f64(&j->t, divide(row->floor, row->by.range));
    loom_csv_table_f64(&j->t, divide(row->floor_same_n, row->by.range));
    loom_csv_table_end_row(&j->t);
}

static loom_estimate estimate_of(const loom_similarity *s, const loom_graph_counts *made, loom_field field)
{
    emd_pair p;
    loom_rng rng;
    if (!s->resamples) return (loom_estimate){NAN, NAN, NAN, NAN};
    loom_rng_seed(&rng, s->seed, "bootstrap", (uint64_t)field);
    loom_estimate ci = {NAN, NAN, NAN, NAN};
    if (!pair_init(&p, &s->real.field[field], &made->field[field])) {
        pair_release(&p);
        return ci;
    }
    pair_count(&p, 0, NULL, 0, p.count[0]);
    loom_metrics_bootstrap(&ci, 1, resampled_w1, &p, pair_group(&p, made->n_graphs, s->seed), s->resamples, 0, &rng);
    pair_release(&p);
    return ci;
}

static void field_rows(branching_job *j, loom_field field)
{
    const loom_similarity *s = j->s;
    loom_graph_counts reference = rival_head(s, reference_rival(s));
    int64_t half = s->real.n_graphs / 2;
    emd_row row = {.scope = "graph",
                   .by = scale_of(&s->real.field[field]),
                   .floor = noise_floor(s, field, half),
                   .reference = loom_similarity_emd(&s->real, &reference, field).w1};
    for (int64_t i = 0; i < s->n_rivals; i++) {
        loom_graph_counts made = rival_head(s, i);
        row.method = s->rivals[i].name;
        row.n_made = made.n_graphs;
        row.n_rejected = made.n_rejected;
        row.w1 = loom_similarity_emd(&s->real, &made, field).w1;
        row.ci = estimate_of(s, &made, field);
        row.floor_same_n = made.n_graphs < half ? noise_floor(s, field, made.n_graphs) : row.floor;
        j->range[i * LOOM_FIELDS + field] = divide(row.w1, row.by.range);
        write_row(j, field, &row);
    }
}

/* ---- degrees over the whole corpus ---- */

/* Sorted degrees of the microservices in some of the graphs; the caller frees. */
static double *sorted_degrees(const loom_similarity *s, const loom_graph_counts *c, const int64_t *index, int64_t n,
                              loom_field field, int64_t *used)
{
    int64_t n_nodes = (int64_t)s->words.nodes.n;
    double *v = loom_alloc((size_t)n_nodes + 1, sizeof *v);
    *used = 0;
    if (!v) return NULL;
    *used = loom_graph_counts_degrees(c, index, n, field, v, n_nodes);
    loom_metrics_sort(v, *used);
    return v;
}

static double corpus_w1(const loom_similarity *s, const loom_graph_counts *made, loom_field field)
{
    int64_t n_real, n_made;
    double *real = sorted_degrees(s, &s->real, NULL, 0, field, &n_real),
           *v = sorted_degrees(s, made, NULL, 0, field, &n_made);
    double w1 = loom_metrics_w1_sorted(real, n_real, v, n_made);
    free(real);
    free(v);
    return w1;
}

static double corpus_floor(const loom_similarity *s, loom_field field, int64_t part)
{
    int64_t n = s->real.n_graphs, rest = n - part, n_a, n_b;
    if (part < 1) return NAN;
    int64_t *index = loom_alloc((size_t)n, sizeof *index);
    double sum = 0;
    for (int split = 0; index && split < FLOOR_SPLITS; split++) {
        loom_rng rng;
        loom_rng_seed(&rng, s->seed, "floor", (uint64_t)split);
        loom_graph_counts_shuffle(index, n, &rng);
        double *a = sorted_degrees(s, &s->real, index, rest, field, &n_a),
               *b = sorted_degrees(s, &s->real, index + rest, part, field, &n_b);
        sum += loom_metrics_w1_sorted(a, n_a, b, n_b);
        free(a);
        free(b);
    }
    free(index);
    return sum / FLOOR_SPLITS;
}

static void corpus_rows(branching_job *j, loom_field field)
{
    const loom_similarity *s = j->s;
    loom_graph_counts reference = rival_head(s, reference_rival(s));
    int64_t n_real, half = s->real.n_graphs / 2;
    double *real = sorted_degrees(s, &s->real, NULL, 0, field, &n_real);
    emd_row row = {.scope = "corpus",
                   .by = scale_of_sorted(real, n_real),
                   .floor = corpus_floor(s, field, half),
                   .reference = corpus_w1(s, &reference, field),
                   .ci = {NAN, NAN, NAN, NAN}};
    for (int64_t i = 0; i < s->n_rivals; i++) {
        loom_graph_counts made = rival_head(s, i);
        row.method = s->rivals[i].name;
        row.n_made = made.n_graphs;
        row.n_rejected = made.n_rejected;
        row.w1 = corpus_w1(s, &made, field);
        row.floor_same_n = made.n_graphs < half ? corpus_floor(s, field, made.n_graphs) : row.floor;
        write_row(j, field, &row);
    }
    free(real);
}

static loom_status draw(const branching_job *j, loom_results *r, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128];
    snprintf(
        caption, sizeof caption,
        "%s%lld real graphs, correct generated ones · divided by the range of real values; black: real against real",
        loom_results_origin(r, origin, sizeof origin), (long long)j->s->real.n_graphs);
    loom_figure_str(&vars, "title", "Distance of branching and response times from real graphs");
    loom_figure_str(&vars, "caption", caption);
    loom_similarity_series(j->s, &vars, false);
    loom_status st = loom_results_figure(r, "fig16", &vars, err);
    loom_figure_vars_release(&vars);
    return st;
}

static void compare_with_paper(const branching_job *j, loom_results *r)
{
    const loom_similarity *s = j->s;
    int64_t first = reference_rival(s);
    char what[160], ours[64];
    if (strcmp(s->rivals[first].name, "instruction") != 0) return;
    for (int64_t i = 0; i < s->n_rivals; i++) {
        if (i == first ||
            (strcmp(s->rivals[i].name, "tabular") != 0 && strcmp(s->rivals[i].name, "probabilistic") != 0))
            continue;
        double least = INFINITY, most = 0;
        for (int f = 0; f < LOOM_FIELDS; f++) {
            double ratio = j->range[i * LOOM_FIELDS + f] / j->range[first * LOOM_FIELDS + f];
            least = fmin(least, ratio);
            most = fmax(most, ratio);
        }
        snprintf(what, sizeof what, "EMD of %s over recursive + instruction", s->rivals[i].name);
        snprintf(ours, sizeof ours, "%.1f to %.1f times", least, most);
        loom_paper_compare(r, LOOM_PAPER_EMD_RATIO, what, most, ours, NULL);
    }
}

loom_status loom_similarity_branching(const loom_similarity *s, loom_results *r, loom_err *err)
{
    branching_job j = {.s = s, .range = loom_calloc((size_t)s->n_rivals * LOOM_FIELDS, sizeof *j.range)};
    if (!j.range) return loom_fail_nomem(err, "distances");
    loom_csv_table_init(
        &j.t,
        "experiment,method,seed,field,scope,n_real,n_syn,n_rejected,w1,nemd_range,lo,hi,nemd_corrected,nemd_std,nemd_p99,"
        "ratio_to_tracellm,floor,floor_same_n");
    for (int f = 0; f < LOOM_FIELDS; f++) field_rows(&j, (loom_field)f);
    corpus_rows(&j, LOOM_FIELD_IN);
    corpus_rows(&j, LOOM_FIELD_OUT);
    loom_status st = loom_results_table(r, "fig16.csv", &j.t, err);
    if (st == LOOM_OK) st = draw(&j, r, err);
    if (st == LOOM_OK) compare_with_paper(&j, r);
    loom_csv_table_release(&j.t);
    free(j.range);
    return st;
}
