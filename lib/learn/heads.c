#include "learn/heads.h"

#include <math.h>
#include <stddef.h>

#include "model/vmath.h"

static const double half_log_two_pi = 0.91893853320467274178;

/* Single precision: the classes of a column may be thousands, and this is where the time of a step goes. */
static float softmax_sum(const float *z, int64_t C, float *most)
{
    float top = -INFINITY, sum = 0;

    for (int64_t c = 0; c < C; c++) top = z[c] > top ? z[c] : top;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < C; c++) sum += loom_expf(z[c] - top);
    *most = top;
    return sum;
}

double loom_head_categorical(float *dz, double *each, const float *z, int64_t ld, const int32_t *label, double scale,
                             int64_t N, int64_t C)
{
    double total = 0;

    for (int64_t n = 0; n < N; n++) {
        const float *row = z + n * ld;
        float most, sum = softmax_sum(row, C, &most), part = (float)scale / sum;
        double loss = log(sum) + most - row[label[n]];

        if (each) each[n] = loss;
        total += loss;
        if (!dz) continue;
        for (int64_t c = 0; c < C; c++) dz[n * ld + c] += part * loom_expf(row[c] - most);
        dz[n * ld + label[n]] -= (float)scale;
    }
    return total;
}

double loom_head_bernoulli(double *dz, double z, bool hit)
{
    double toward = hit ? z : -z; /* -log sigmoid(toward), without overflow on either side */
    double loss = toward > 0 ? log1p(exp(-toward)) : -toward + log1p(exp(toward));

    if (dz) *dz = 1 / (1 + exp(-z)) - hit;
    return loss;
}

double loom_head_gaussian(double *dmean, double *ds, double x, double mean, double s)
{
    double precision = exp(-2 * s), off = x - mean;

    if (dmean) *dmean = -off * precision;
    if (ds) *ds = 1 - off * off * precision;
    return off * off * precision / 2 + s + half_log_two_pi;
}

double loom_kl_standard(float *dmu, float *dlogvar, const float *mu, const float *logvar, double scale, int64_t N,
                        int64_t C)
{
    double sum = 0;

    for (int64_t i = 0; i < N * C; i++) {
        double var = exp(logvar[i]);

        sum += 0.5 * ((double)mu[i] * mu[i] + var - 1 - logvar[i]);
        if (dmu) dmu[i] += (float)(scale * mu[i]);
        if (dlogvar) dlogvar[i] += (float)(scale * 0.5 * (var - 1));
    }
    return sum;
}

double loom_kl_gaussian(float *dmu, float *dlogvar, float *dpmu, float *dplogvar, const float *mu, const float *logvar,
                        const float *pmu, const float *plogvar, double scale, int64_t N, int64_t C)
{
    double sum = 0;

    for (int64_t i = 0; i < N * C; i++) {
        double off = (double)mu[i] - pmu[i], precision = exp(-(double)plogvar[i]), ratio = exp(logvar[i]) * precision;

        sum += 0.5 * (plogvar[i] - logvar[i] + ratio + off * off * precision - 1);
        if (dmu) dmu[i] += (float)(scale * off * precision);
        if (dlogvar) dlogvar[i] += (float)(scale * 0.5 * (ratio - 1));
        if (dpmu) dpmu[i] -= (float)(scale * off * precision);
        if (dplogvar) dplogvar[i] += (float)(scale * 0.5 * (1 - ratio - off * off * precision));
    }
    return sum;
}

double loom_log_gaussian(const float *x, const float *mu, const float *logvar, int64_t C)
{
    double sum = 0;

    for (int64_t c = 0; c < C; c++) sum -= loom_head_gaussian(NULL, NULL, x[c], mu[c], 0.5 * logvar[c]);
    return sum;
}

double loom_log_sum_exp(const double *x, int64_t n)
{
    double most = -INFINITY, sum = 0;

    for (int64_t i = 0; i < n; i++) most = fmax(most, x[i]);
    if (!isfinite(most)) return most;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - most);
    return most + log(sum);
}
