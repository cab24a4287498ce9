#include "model/gaussian.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"

/* Sums over the rows in their order. */
static void fill_mean(double *mean, const double *rows, int64_t n, int64_t D)
{
    memset(mean, 0, (size_t)D * sizeof *mean);
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < D; i++) mean[i] += rows[r * D + i];
    for (int64_t i = 0; i < D; i++) mean[i] /= (double)n;
}

/* Lower triangle of the covariance. `row`: room for one row. */
static void fill_covariance(double *cov, double *row, const double *mean, const double *rows, int64_t n, int64_t D)
{
    memset(cov, 0, (size_t)(D * D) * sizeof *cov);
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; i < D; i++) row[i] = rows[r * D + i] - mean[i];
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j <= i; j++) cov[i * D + j] += row[i] * row[j];
    }
    for (int64_t i = 0; n > 1 && i < D * D; i++) cov[i] /= (double)(n - 1);
}

static double mean_variance(const double *cov, int64_t D)
{
    double sum = 0;
    for (int64_t i = 0; i < D; i++) sum += cov[i * D + i];
    return sum / (double)D;
}

/* Cholesky factor of the covariance, with as much jitter as it needs. */
static loom_status factorise(loom_gaussian *g, const double *cov, loom_err *err)
{
    double variance = mean_variance(cov, g->D);
    size_t bytes = (size_t)(g->D * g->D) * sizeof *cov;

    if (!isfinite(variance))
        return loom_fail(err, LOOM_STATUS_NUMERIC, "the rows to draw from hold numbers that are not finite");
    memcpy(g->factor, cov, bytes);
    if (variance == 0) return LOOM_OK; /* all rows are the mean */
    for (double share = 0; share <= 1; share = share > 0 ? 10 * share : 1e-12) {
        g->jitter = share * variance;
        memcpy(g->factor, cov, bytes);
        for (int64_t i = 0; i < g->D; i++) g->factor[i * g->D + i] += g->jitter;
        if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (lapack_int)g->D, g->factor, (lapack_int)g->D) == 0) return LOOM_OK;
    }
    return loom_fail(err, LOOM_STATUS_NUMERIC, "the covariance of the rows to draw from has no Cholesky factor");
}

loom_status loom_gaussian_fit(loom_gaussian *g, const double *rows, int64_t n, int64_t D, loom_err *err)
{
    double *cov = loom_alloc((size_t)(D * D), sizeof *cov), *row = loom_alloc((size_t)D, sizeof *row);
    loom_status st = LOOM_OK;

    g->D = D;
    g->mean = loom_alloc((size_t)D, sizeof *g->mean);
    g->factor = loom_alloc((size_t)(D * D), sizeof *g->factor);
    if (!cov || !row || !g->mean || !g->factor) {
        st = loom_fail_nomem(err, "the covariance of a model's rows");
    } else {
        fill_mean(g->mean, rows, n, D);
        fill_covariance(cov, row, g->mean, rows, n, D);
        st = factorise(g, cov, err);
    }
    free(cov);
    free(row);
    return st;
}

/* out = mean + L z, z standard normal. From the last component on, so that z can lie in out. */
void loom_gaussian_draw(double *out, const loom_gaussian *g, loom_rng *rng)
{
    for (int64_t i = 0; i < g->D; i++) out[i] = loom_rng_normal(rng);
    for (int64_t i = g->D - 1; i >= 0; i--) {
        double sum = g->mean[i];
        for (int64_t j = 0; j <= i; j++) sum += g->factor[i * g->D + j] * out[j];
        out[i] = sum;
    }
}

void loom_gaussian_release(loom_gaussian *g)
{
    free(g->mean);
    free(g->factor);
    *g = (loom_gaussian){0};
}
