#include "learn/mixture.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/compare.h"
#include "core/num.h"

#define CONCENTRATION 0.001
#define ROUNDS        100
#define TOLERANCE     1e-3
#define LEAST_WEIGHT  0.005

/* Recurrence up to 6, then the asymptotic series; error below 1e-12. */
double loom_digamma(double x)
{
    double shift = 0;

    for (; x < 6; x += 1) shift -= 1 / x;
    double y = 1 / (x * x);
    return shift + log(x) - 0.5 / x -
           y * (1.0 / 12 -
                y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y * (1.0 / 132 - y * (691.0 / 32760 - y / 12))))));
}

typedef struct fit {
    const double *x;
    double *r; /* (n,K) responsibilities */
    int64_t n;
    int K;
    double m0, w0; /* prior mean and variance */
    double N[LOOM_MIXTURE_MAX], mean[LOOM_MIXTURE_MAX], var[LOOM_MIXTURE_MAX], beta[LOOM_MIXTURE_MAX],
        nu[LOOM_MIXTURE_MAX];
    double a[LOOM_MIXTURE_MAX], b[LOOM_MIXTURE_MAX], log_weight[LOOM_MIXTURE_MAX];
} fit;

/* Parameters from responsibilities. */
static void maximize(fit *f)
{
    double later = 0;

    for (int k = 0; k < f->K; k++) {
        double N = 10 * 2.220446049250313e-16, sum = 0, square = 0;

        for (int64_t i = 0; i < f->n; i++) N += f->r[i * f->K + k], sum += f->r[i * f->K + k] * f->x[i];
        double centre = sum / N;
        for (int64_t i = 0; i < f->n; i++) square += f->r[i * f->K + k] * (f->x[i] - centre) * (f->x[i] - centre);
        double S = square / N + 1e-6, off = centre - f->m0;
        f->N[k] = N;
        f->beta[k] = f->nu[k] = 1 + N;
        f->mean[k] = (f->m0 + sum) / f->beta[k];
        f->var[k] = (f->w0 + N * S + N / f->beta[k] * off * off) / f->nu[k];
    }
    for (int k = f->K; k-- > 0; later += f->N[k]) {
        f->a[k] = 1 + f->N[k];
        f->b[k] = CONCENTRATION + later;
    }
    double stick = 0; /* expected log of what earlier components leave */
    for (int k = 0; k < f->K; k++) {
        double both = loom_digamma(f->a[k] + f->b[k]);
        f->log_weight[k] = loom_digamma(f->a[k]) - both + stick;
        stick += loom_digamma(f->b[k]) - both;
    }
}

/* Expected log density of x under a component, its weight included. */
static double log_joint(double x, double log_weight, double mean, double var, double beta, double nu)
{
    return log_weight - 0.5 * (log(2 * M_PI) + log(var) + (x - mean) * (x - mean) / var) - 0.5 * log(nu) +
           0.5 * (log(2) + loom_digamma(nu / 2) - 1 / beta);
}

/* Responsibilities from parameters; returns their entropy. */
static double expect(fit *f)
{
    double entropy = 0, constant[LOOM_MIXTURE_MAX];

    for (int k = 0; k < f->K; k++)
        constant[k] = log_joint(f->mean[k], f->log_weight[k], f->mean[k], f->var[k], f->beta[k], f->nu[k]);
    for (int64_t i = 0; i < f->n; i++) {
        double *r = f->r + i * f->K, most = -INFINITY, sum = 0;

        for (int k = 0; k < f->K; k++) {
            r[k] = constant[k] - 0.5 * (f->x[i] - f->mean[k]) * (f->x[i] - f->mean[k]) / f->var[k];
            most = fmax(most, r[k]);
        }
        for (int k = 0; k < f->K; k++) sum += exp(r[k] - most);
        for (int k = 0; k < f->K; k++) {
            double log_r = r[k] - most - log(sum);
            r[k] = exp(log_r);
            entropy -= r[k] * log_r;
        }
    }
    return entropy;
}

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* Evidence lower bound without constants, for the parameters that `entropy`'s responsibilities gave. */
static double bound_of(const fit *f, double entropy)
{
    double bound = entropy;

    for (int k = 0; k < f->K; k++) {
        double log_precision = -0.5 * log(f->var[k]) - 0.5 * log(f->nu[k]);
        bound += f->nu[k] * log_precision + f->nu[k] * 0.5 * log(2) + log_gamma(0.5 * f->nu[k]); /* Wishart norm */
        bound += log_gamma(f->a[k]) + log_gamma(f->b[k]) - log_gamma(f->a[k] + f->b[k]); /* norm of the weights */
        bound -= 0.5 * log(f->beta[k]);
    }
    return bound;
}

/* Nearest of ascending centres. */
static int nearest(const double *centre, int K, double x)
{
    int best = 0;

    for (int k = 1; k < K; k++)
        if (fabs(x - centre[k]) < fabs(x - centre[best])) best = k;
    return best;
}

/* k-means from distinct quantiles; returns how many centres there are. Fills r with 0 and 1. */
static int start(fit *f, double *sorted, int K)
{
    double centre[LOOM_MIXTURE_MAX];
    int used = 0;

    memcpy(sorted, f->x, (size_t)f->n * sizeof *sorted);
    qsort(sorted, (size_t)f->n, sizeof *sorted, loom_compare_f64);
    for (int k = 0; k < K; k++) {
        double at = sorted[(int64_t)((k + 0.5) * (double)f->n / K)];
        if (used == 0 || at > centre[used - 1]) centre[used++] = at;
    }
    for (int round = 0; round < 100; round++) {
        double sum[LOOM_MIXTURE_MAX] = {0}, n[LOOM_MIXTURE_MAX] = {0}, moved = 0;
        for (int64_t i = 0; i < f->n; i++) {
            int k = nearest(centre, used, f->x[i]);
            sum[k] += f->x[i];
            n[k] += 1;
        }
        for (int k = 0; k < used; k++) {
            double fresh = n[k] > 0 ? sum[k] / n[k] : centre[k];
            moved += fabs(fresh - centre[k]);
            centre[k] = fresh;
        }
        if (moved <= 1e-9 * (fabs(f->m0) + sqrt(f->w0))) break;
    }
    f->K = used;
    memset(f->r, 0, (size_t)(f->n * used) * sizeof *f->r);
    for (int64_t i = 0; i < f->n; i++) f->r[i * used + nearest(centre, used, f->x[i])] = 1;
    return used;
}

static void keep(loom_mixture *m, const fit *f)
{
    double rest = 1, sum = 0, weight[LOOM_MIXTURE_MAX];

    for (int k = 0; k < f->K; k++) {
        weight[k] = rest * f->a[k] / (f->a[k] + f->b[k]);
        rest *= f->b[k] / (f->a[k] + f->b[k]);
        sum += weight[k];
    }
    for (int k = 0; k < f->K; k++) {
        if (weight[k] / sum <= LEAST_WEIGHT) continue;
        m->mean[m->n] = f->mean[k];
        m->std[m->n] = sqrt(f->var[k]);
        m->weight[m->n] = weight[k] / sum;
        m->log_weight[m->n] = f->log_weight[k];
        m->beta[m->n] = f->beta[k];
        m->nu[m->n++] = f->nu[k];
    }
}

loom_status loom_mixture_fit(loom_mixture *m, const double *x, int64_t n, int components, loom_err *err)
{
    fit f = {.x = x, .n = n};
    double *sorted = loom_alloc((size_t)n, sizeof *sorted), before = -INFINITY;

    assert(n >= 1 && components >= 1 && components <= LOOM_MIXTURE_MAX);
    *m = (loom_mixture){0};
    f.r = loom_alloc((size_t)n * (size_t)components, sizeof *f.r);
    if (!sorted || !f.r) {
        free(sorted);
        free(f.r);
        return loom_fail_nomem(err, "a mixture");
    }
    for (int64_t i = 0; i < n; i++) f.m0 += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) f.w0 += (x[i] - f.m0) * (x[i] - f.m0) / (double)loom_max_i64(n - 1, 1);
    f.w0 = fmax(f.w0, 1e-12);
    start(&f, sorted, components);
    maximize(&f);
    for (m->rounds = 0; m->rounds < ROUNDS;) {
        double entropy = expect(&f);
        maximize(&f);
        m->bound = bound_of(&f, entropy);
        m->rounds++;
        if (fabs(m->bound - before) < TOLERANCE) break;
        before = m->bound;
    }
    keep(m, &f);
    free(sorted);
    free(f.r);
    return LOOM_OK;
}

void loom_mixture_responsibilities(double *p, const loom_mixture *m, double x)
{
    double most = -INFINITY, sum = 0, all = 0;

    for (int k = 0; k < m->n; k++) {
        p[k] = log_joint(x, m->log_weight[k], m->mean[k], m->std[k] * m->std[k], m->beta[k], m->nu[k]);
        most = fmax(most, p[k]);
    }
    for (int k = 0; k < m->n; k++) sum += p[k] = exp(p[k] - most);
    for (int k = 0; k < m->n; k++) all += p[k] = p[k] / sum + 1e-6;
    for (int k = 0; k < m->n; k++) p[k] /= all;
}

int loom_mixture_draw(const loom_mixture *m, double x, loom_rng *rng)
{
    double p[LOOM_MIXTURE_MAX], u = loom_rng_f64(rng);
    int k = 0;

    loom_mixture_responsibilities(p, m, x);
    while (k + 1 < m->n && u >= p[k]) u -= p[k++];
    return k;
}
