#include "eval/management/firm.h"

#include <math.h>
#include <string.h>

#include "core/num.h"
#include "eval/numbers/metrics.h"
#include "learn/svm.h"

#define LEAST_GRAPHS     10 /* of a window, with the microservice on the path */
#define LEAST_VIOLATIONS 3
#define BLAME            0.3 /* of the excess response time */
#define LEAST_MEDIAN     0.5 /* ms: half of what times are rounded to */
#define RANDOM_FEATURES  256
#define REGULARISATION   1e-4

/* ---- norms ---- */

void loom_firm_norms_release(loom_firm_norms *norms)
{
    free(norms->median);
    free(norms->p90);
    *norms = (loom_firm_norms){0};
}

typedef struct own_time {
    int32_t node;
    double own;
} own_time;

static int by_node_and_time(const void *a, const void *b)
{
    const own_time *x = a, *y = b;
    if (x->node != y->node) return (x->node > y->node) - (x->node < y->node);
    return (x->own > y->own) - (x->own < y->own);
}

static double quantile_of(const own_time *list, int64_t n, double q)
{
    return list[loom_min_i64((int64_t)(q * (double)n), n - 1)].own;
}

static void norms_by_node(loom_firm_norms *norms, own_time *list, int64_t n)
{
    qsort(list, (size_t)n, sizeof *list, by_node_and_time);
    for (int64_t i = 0; i < norms->n_nodes; i++) norms->median[i] = norms->p90[i] = -1;
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && list[end].node == list[i].node; end++) {
        }
        norms->median[list[i].node] = quantile_of(list + i, end - i, 0.5);
        norms->p90[list[i].node] = quantile_of(list + i, end - i, 0.9);
    }
}

loom_status loom_firm_norms_of(loom_firm_norms *norms, const loom_critical_paths *p, int64_t n_nodes, loom_err *err)
{
    int64_t n = p->n ? p->first[p->n] : 0;
    own_time *list = loom_alloc((size_t)n, sizeof *list);
    double *total = loom_alloc((size_t)p->n, sizeof *total);
    loom_status st = LOOM_OK;

    *norms = (loom_firm_norms){.median = loom_alloc((size_t)n_nodes, sizeof(double)),
                               .p90 = loom_alloc((size_t)n_nodes, sizeof(double)),
                               .n_nodes = n_nodes};
    if (!list || !total || !norms->median || !norms->p90) st = loom_fail_nomem(err, "usual times");
    else if (p->n == 0) st = loom_fail(err, LOOM_STATUS_FORMAT, "no graph to take usual times from");
    if (st == LOOM_OK) {
        memcpy(total, p->total, (size_t)p->n * sizeof *total);
        loom_metrics_sort(total, p->n);
        norms->objective = loom_metrics_quantile(total, p->n, 0.9);
        norms->median_total = loom_metrics_quantile(total, p->n, 0.5);
        for (int64_t i = 0; i < n; i++) list[i] = (own_time){p->node[i], p->own[i]};
        norms_by_node(norms, list, n);
    }
    free(list);
    free(total);
    return st;
}

/* What is not known has no usual time: all of it is excess, and it has no p90 to be above. */
static double median_of(const loom_firm_norms *norms, int32_t node)
{
    return node < norms->n_nodes ? fmax(norms->median[node], 0) : 0;
}

static double p90_of(const loom_firm_norms *norms, int32_t node)
{
    return node < norms->n_nodes && norms->p90[node] >= 0 ? norms->p90[node] : INFINITY;
}

/* ---- samples ---- */

void loom_firm_samples_release(loom_firm_samples *s)
{
    free(s->x);
    free(s->y);
    *s = (loom_firm_samples){0};
}

static loom_status add_sample(loom_firm_samples *s, double a, double b, bool y, loom_err *err)
{
    LOOM_TRY(loom_grow(&s->x, &s->cap_x, 2 * (size_t)s->n + 2, sizeof *s->x, err));
    LOOM_TRY(loom_grow(&s->y, &s->cap_y, (size_t)s->n + 1, sizeof *s->y, err));
    s->x[2 * s->n] = (float)a;
    s->x[2 * s->n + 1] = (float)b;
    s->y[s->n++] = y;
    s->positive += y;
    return LOOM_OK;
}

static loom_status trace_samples(loom_firm_samples *s, const loom_critical_paths *p, const int64_t *index, int64_t n,
                                 const loom_firm_norms *norms, loom_err *err)
{
    for (int64_t k = 0; k < n; k++) {
        int64_t g = index[k];
        bool violates = p->total[g] > norms->objective;
        for (int64_t at = p->first[g]; at < p->first[g + 1]; at++) {
            int32_t node = p->node[at];
            LOOM_TRY(add_sample(s, p->own[at] / fmax(p->total[g], LEAST_MEDIAN),
                                p->own[at] / fmax(median_of(norms, node), LEAST_MEDIAN),
                                violates && p->own[at] >= p90_of(norms, node), err));
        }
    }
    return LOOM_OK;
}

static double correlation(const double *a, const double *b, int64_t n)
{
    double ma = loom_metrics_mean(a, n), mb = loom_metrics_mean(b, n), ab = 0, aa = 0, bb = 0;

    for (int64_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* One window of graphs. */
typedef struct window {
    const loom_critical_paths *p;
    const int64_t *graphs; /* LOOM_FIRM_WINDOW of them */
    const loom_firm_norms *norms;
    int64_t violations;
    double lost; /* of violating graphs: response time above the median */
} window;

/* Exclusive time of a microservice in a graph; false: not on its path. */
static bool own_in(const loom_critical_paths *p, int64_t g, int32_t node, double *own)
{
    for (int64_t at = p->first[g]; at < p->first[g + 1]; at++)
        if (p->node[at] == node) {
            *own = p->own[at];
            return true;
        }
    return false;
}

static loom_status window_sample(loom_firm_samples *s, const window *w, int32_t node, loom_err *err)
{
    double own[LOOM_FIRM_WINDOW], total[LOOM_FIRM_WINDOW], excess = 0;
    int64_t n = 0;

    for (int k = 0; k < LOOM_FIRM_WINDOW; k++) {
        int64_t g = w->graphs[k];
        if (!own_in(w->p, g, node, &own[n])) continue;
        total[n] = w->p->total[g];
        if (total[n] > w->norms->objective) excess += fmax(0, own[n] - median_of(w->norms, node));
        n++;
    }
    if (n < LEAST_GRAPHS) return LOOM_OK;
    double ri = correlation(own, total, n);
    loom_metrics_sort(own, n);
    double ci = loom_metrics_quantile(own, n, 0.99) / fmax(loom_metrics_quantile(own, n, 0.5), LEAST_MEDIAN);
    return add_sample(s, ri, ci, w->violations >= LEAST_VIOLATIONS && w->lost > 0 && excess >= BLAME * w->lost, err);
}

/* last[node]: number of the window that had a sample of it last. */
static loom_status window_samples(loom_firm_samples *s, window *w, int64_t *last, int64_t number, loom_err *err)
{
    w->violations = 0;
    w->lost = 0;
    for (int k = 0; k < LOOM_FIRM_WINDOW; k++) {
        double total = w->p->total[w->graphs[k]];
        if (total <= w->norms->objective) continue;
        w->violations++;
        w->lost += total - w->norms->median_total;
    }
    for (int k = 0; k < LOOM_FIRM_WINDOW; k++)
        for (int64_t g = w->graphs[k], at = w->p->first[g]; at < w->p->first[g + 1]; at++) {
            if (last[w->p->node[at]] == number) continue;
            last[w->p->node[at]] = number;
            LOOM_TRY(window_sample(s, w, w->p->node[at], err));
        }
    return LOOM_OK;
}

loom_status loom_firm_samples_of(loom_firm_samples *s, loom_firm_unit unit, const loom_critical_paths *p,
                                 const int64_t *index, int64_t n, const loom_firm_norms *norms, loom_err *err)
{
    if (unit == LOOM_FIRM_BY_TRACE) return trace_samples(s, p, index, n, norms, err);
    int64_t nodes = 0;
    for (int64_t at = 0; p->n > 0 && at < p->first[p->n]; at++) nodes = loom_max_i64(nodes, p->node[at] + 1);
    int64_t *last = loom_calloc((size_t)nodes, sizeof *last);
    loom_status st = last ? LOOM_OK : loom_fail_nomem(err, "windows");
    for (int64_t at = 0, number = 1; st == LOOM_OK && at + LOOM_FIRM_WINDOW <= n; at += LOOM_FIRM_STRIDE, number++) {
        window w = {.p = p, .graphs = index + at, .norms = norms};
        st = window_samples(s, &w, last, number, err);
    }
    free(last);
    return st;
}

/* ---- the machine ---- */

static loom_status features(float **out, int64_t *F, const loom_firm_samples *s, const loom_scaler *scale,
                            const loom_fourier *f, loom_err *err)
{
    float *x = loom_alloc(2 * (size_t)s->n, sizeof *x), *z;

    *F = LOOM_FIRM_FEATURES;
    *out = x;
    if (!x) return loom_fail_nomem(err, "features");
    memcpy(x, s->x, 2 * (size_t)s->n * sizeof *x);
    loom_scaler_apply(x, scale, s->n);
    if (!f->D) return LOOM_OK;
    z = loom_alloc((size_t)(s->n * f->D), sizeof *z);
    if (z) loom_fourier_apply(z, x, f, s->n);
    free(x);
    *out = z;
    *F = f->D;
    return z ? LOOM_OK : loom_fail_nomem(err, "features");
}

static loom_status judge(loom_firm_score *score, const loom_svm *svm, const float *x, const loom_firm_samples *test,
                         loom_err *err)
{
    double *margin = loom_alloc((size_t)test->n, sizeof *margin);

    if (!margin) return loom_fail_nomem(err, "scores");
    for (int64_t i = 0; i < test->n; i++) {
        margin[i] = loom_svm_margin(svm, x + i * svm->F);
        bool said = margin[i] > 0;
        score->tp += said && test->y[i];
        score->fp += said && !test->y[i];
        score->fn += !said && test->y[i];
        score->tn += !said && !test->y[i];
    }
    double n = (double)test->n, n1 = (double)(score->tp + score->fn), n0 = n - n1;
    score->n_test = test->n;
    score->accuracy = (double)(score->tp + score->tn) / n;
    score->balanced = n1 > 0 && n0 > 0 ? ((double)score->tp / n1 + (double)score->tn / n0) / 2 : NAN;
    score->majority = fmax(n1, n0) / n;
    score->auc = loom_metrics_auc(margin, test->y, test->n);
    score->average_precision = loom_metrics_average_precision(margin, test->y, test->n);
    free(margin);
    return LOOM_OK;
}

loom_status loom_firm_judge(loom_firm_score *score, const loom_firm_samples *train, const loom_firm_samples *test,
                            bool rbf, uint64_t seed, loom_err *err)
{
    loom_scaler scale = {0};
    loom_fourier fourier = {0};
    loom_svm svm = {0};
    float *x = NULL, *t = NULL;
    int64_t F;
    loom_rng rng;
    loom_svm_conf conf = {.C = 1 / (REGULARISATION * (double)loom_max_i64(train->n, 1)),
                          .balanced = true,
                          .gap = 1e-2,
                          .passes = 60,
                          .seed = seed};
    loom_status st;

    *score = (loom_firm_score){.n_train = train->n};
    if (test->n == 0) return loom_fail(err, LOOM_STATUS_FORMAT, "there is nothing to test on");
    loom_rng_seed(&rng, seed, "firm features", 0);
    if ((st = loom_scaler_fit(&scale, train->x, train->n, LOOM_FIRM_FEATURES, err)) != LOOM_OK) goto done;
    /* features have variance 1 then, and gamma = 1 / (2 var) is 1/2 */
    if (rbf && (st = loom_fourier_draw(&fourier, RANDOM_FEATURES, LOOM_FIRM_FEATURES, 0.5, &rng, err)) != LOOM_OK)
        goto done;
    if ((st = features(&x, &F, train, &scale, &fourier, err)) != LOOM_OK) goto done;
    if ((st = loom_svm_fit(&svm, x, train->y, train->n, F, &conf, err)) != LOOM_OK) goto done;
    if ((st = features(&t, &F, test, &scale, &fourier, err)) != LOOM_OK) goto done;
    st = judge(score, &svm, t, test, err);
done:
    loom_scaler_release(&scale);
    loom_fourier_release(&fourier);
    loom_svm_release(&svm);
    free(x);
    free(t);
    return st;
}
