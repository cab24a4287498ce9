#include <math.h>

#include "model/ops.h"

void loom_rmsnorm_fwd(float *restrict y, float *restrict r, const float *restrict x, const float *restrict g,
                      double eps, int64_t N, int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        const float *restrict row = x + n * C;
        float sum = 0;

#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < C; c++) sum += row[c] * row[c];
        r[n] = (float)(1.0 / sqrt((double)sum / (double)C + eps));
        loom_rmsnorm_again(y + n * C, r + n, row, g, 1, C);
    }
}

void loom_rmsnorm_again(float *restrict y, const float *restrict r, const float *restrict x, const float *restrict g,
                        int64_t N, int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        const float *restrict row = x + n * C;
        float *restrict to = y + n * C;
        float scale = r[n];

        for (int64_t c = 0; c < C; c++) to[c] = g[c] * (row[c] * scale);
    }
}

/* With h[c] = x[c] r (normalised) and e[c] = dy[c] g[c]:  dx[c] = r (e[c] - h[c] * mean_c(e h)),  dg[c] += dy[c] h[c]
 */
void loom_rmsnorm_bwd(float *dx, float *restrict dg, const float *residual, const float *restrict dy,
                      const float *restrict x, const float *restrict g, const float *restrict r, int64_t N, int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        const float *restrict xr = x + n * C;
        const float *restrict dyr = dy + n * C;
        const float *res = residual + n * C;
        float *to = dx + n * C;
        float scale = r[n], dot = 0, back;

#pragma omp simd reduction(+ : dot)
        for (int64_t c = 0; c < C; c++) dot += dyr[c] * g[c] * xr[c];
        back = dot * scale * scale * scale / (float)C; /* r * r * mean(e h) for a factor of x */
        if (dg)
            for (int64_t c = 0; c < C; c++) dg[c] += dyr[c] * xr[c] * scale;
#pragma omp simd
        for (int64_t c = 0; c < C; c++) to[c] = res[c] + (scale * dyr[c] * g[c] - back * xr[c]);
    }
}

void loom_rmsnorm_fwd_plain(float *y, float *r, const float *x, const float *g, double eps, int64_t N, int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        double sum = 0;

        for (int64_t c = 0; c < C; c++) sum += (double)x[n * C + c] * x[n * C + c];
        r[n] = (float)(1.0 / sqrt(sum / (double)C + eps));
        for (int64_t c = 0; c < C; c++) y[n * C + c] = (float)((double)g[c] * x[n * C + c] * r[n]);
    }
}

void loom_rmsnorm_bwd_plain(float *dx, float *dg, const float *residual, const float *dy, const float *x,
                            const float *g, const float *r, int64_t N, int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        double mean = 0;

        for (int64_t c = 0; c < C; c++) mean += (double)dy[n * C + c] * g[c] * x[n * C + c] * r[n] / (double)C;
        for (int64_t c = 0; c < C; c++) {
            double h = (double)x[n * C + c] * r[n], e = (double)dy[n * C + c] * g[c];

            dg[c] += (float)(dy[n * C + c] * h);
            dx[n * C + c] = (float)(residual[n * C + c] + r[n] * (e - h * mean));
        }
    }
}
