#include "learn/svm.h"

#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/blas.h"

/* ---- features ---- */

loom_status loom_scaler_fit(loom_scaler *s, const float *x, int64_t n, int64_t F, loom_err *err)
{
    *s = (loom_scaler){
        .mean = loom_calloc((size_t)F, sizeof(double)), .factor = loom_calloc((size_t)F, sizeof(double)), .F = F};
    if (!s->mean || !s->factor) return loom_fail_nomem(err, "the scale of features");
    for (int64_t f = 0; f < F; f++) {
        double mean = 0, var = 0;

        for (int64_t i = 0; i < n; i++) mean += x[i * F + f];
        mean /= (double)loom_max_i64(n, 1);
        for (int64_t i = 0; i < n; i++) var += (x[i * F + f] - mean) * (x[i * F + f] - mean);
        var /= (double)loom_max_i64(n, 1);
        s->mean[f] = mean;
        s->factor[f] = var > 1e-12 * (1 + mean * mean) ? 1 / sqrt(var) : 1;
    }
    return LOOM_OK;
}

void loom_scaler_apply(float *x, const loom_scaler *s, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t f = 0; f < s->F; f++) x[i * s->F + f] = (float)((x[i * s->F + f] - s->mean[f]) * s->factor[f]);
}

void loom_scaler_release(loom_scaler *s)
{
    free(s->mean);
    free(s->factor);
    *s = (loom_scaler){0};
}

loom_status loom_fourier_draw(loom_fourier *f, int64_t D, int64_t F, double gamma, loom_rng *rng, loom_err *err)
{
    *f = (loom_fourier){
        .w = loom_alloc((size_t)(D * F), sizeof(float)), .b = loom_alloc((size_t)D, sizeof(float)), .D = D, .F = F};
    if (!f->w || !f->b) return loom_fail_nomem(err, "random features");
    for (int64_t i = 0; i < D * F; i++) f->w[i] = (float)(sqrt(2 * gamma) * loom_rng_normal(rng));
    for (int64_t d = 0; d < D; d++) f->b[d] = (float)(2 * M_PI * loom_rng_f64(rng));
    return LOOM_OK;
}

void loom_fourier_apply(float *z, const float *x, const loom_fourier *f, int64_t n)
{
    double size = sqrt(2 / (double)f->D);

    if (n == 0) return;
    loom_gemm_nt(z, f->D, x, f->F, f->w, f->F, n, f->D, f->F, 1, 0);
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < f->D; d++) z[i * f->D + d] = (float)(size * cos((double)z[i * f->D + d] + f->b[d]));
}

void loom_fourier_release(loom_fourier *f)
{
    free(f->w);
    free(f->b);
    *f = (loom_fourier){0};
}

/* ---- machine ---- */

typedef struct dual {
    loom_svm *s;
    const float *x;
    const bool *y;
    int64_t n, F;
    double C[2];       /* of the classes */
    double *alpha, *q; /* (n): dual variables, 0 <= alpha <= C; |x|^2 + 1 */
    int64_t *order;
} dual;

double loom_svm_margin(const loom_svm *s, const float *x)
{
    double sum = s->w[s->F];

    for (int64_t f = 0; f < s->F; f++) sum += s->w[f] * x[f];
    return sum;
}

/* Exact minimum along one dual variable: alpha <- clip(alpha - (y w.x - 1) / |x|^2, 0, C). */
static void improve(dual *d, int64_t i)
{
    double sign = d->y[i] ? 1 : -1, slope = sign * loom_svm_margin(d->s, d->x + i * d->F) - 1;
    double old = d->alpha[i], fresh = fmin(fmax(old - slope / d->q[i], 0), d->C[d->y[i]]);

    if (fresh == old) return;
    d->alpha[i] = fresh;
    for (int64_t f = 0; f < d->F; f++) d->s->w[f] += (fresh - old) * sign * d->x[i * d->F + f];
    d->s->w[d->F] += (fresh - old) * sign;
}

/* dual = sum alpha - |w|^2 / 2, w = sum alpha y x */
static void objectives(dual *d)
{
    double half = 0, lost = 0, sum = 0;

    for (int64_t f = 0; f <= d->F; f++) half += d->s->w[f] * d->s->w[f] / 2;
    for (int64_t i = 0; i < d->n; i++) {
        double margin = (d->y[i] ? 1 : -1) * loom_svm_margin(d->s, d->x + i * d->F);
        lost += d->C[d->y[i]] * fmax(0, 1 - margin);
        sum += d->alpha[i];
    }
    d->s->primal = half + lost;
    d->s->dual = sum - half;
}

static void solve(dual *d, const loom_svm_conf *conf)
{
    loom_rng rng;

    loom_rng_seed(&rng, conf->seed, "svm", 0);
    for (int64_t i = 0; i < d->n; i++) {
        d->order[i] = i;
        d->q[i] = 1;
        for (int64_t f = 0; f < d->F; f++) d->q[i] += (double)d->x[i * d->F + f] * d->x[i * d->F + f];
    }
    for (d->s->passes = 0; d->s->passes < conf->passes;) {
        loom_rng_shuffle(&rng, d->order, (size_t)d->n, sizeof *d->order);
        for (int64_t k = 0; k < d->n; k++) improve(d, d->order[k]);
        if (++d->s->passes % 4 && d->s->passes < conf->passes) continue; /* the gap costs as much as a pass */
        objectives(d);
        if (d->s->primal - d->s->dual <= conf->gap * d->s->primal) break;
    }
}

loom_status loom_svm_fit(loom_svm *s, const float *x, const bool *y, int64_t n, int64_t F, const loom_svm_conf *conf,
                         loom_err *err)
{
    int64_t of[2] = {0, 0};
    loom_status st = LOOM_OK;

    for (int64_t i = 0; i < n; i++) of[y[i]]++;
    if (!of[0] || !of[1])
        return loom_fail(err, LOOM_STATUS_FORMAT, "all %lld samples are of one class, there is nothing to tell apart",
                         (long long)n);
    dual d = {.s = s,
              .x = x,
              .y = y,
              .n = n,
              .F = F,
              .alpha = loom_calloc((size_t)n, sizeof(double)),
              .q = loom_alloc((size_t)n, sizeof(double)),
              .order = loom_alloc((size_t)n, sizeof(int64_t))};
    for (int c = 0; c < 2; c++) d.C[c] = conf->C * (conf->balanced ? (double)n / (2.0 * (double)of[c]) : 1);
    *s = (loom_svm){.w = loom_calloc((size_t)F + 1, sizeof(double)), .F = F};
    if (d.alpha && d.q && d.order && s->w) solve(&d, conf);
    else st = loom_fail_nomem(err, "a support vector machine");
    free(d.alpha);
    free(d.q);
    free(d.order);
    return st;
}

void loom_svm_release(loom_svm *s)
{
    free(s->w);
    *s = (loom_svm){0};
}
