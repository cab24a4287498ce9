#include <math.h>

#include "model/ops.h"
#include "model/vmath.h"

static float largest(const float *z, int64_t V)
{
    float m = -INFINITY;

#pragma omp simd reduction(max : m)
    for (int64_t v = 0; v < V; v++) m = z[v] > m ? z[v] : m;
    return m;
}

void loom_xent(double *losses, int64_t *right, float *z, const int32_t *labels, float scale, int64_t N, int64_t V)
{
    for (int64_t n = 0; n < N; n++) {
        float *restrict row = z + n * V;
        float m = largest(row, V), sum = 0, own = row[labels[n]], factor;

        *right += own >= m;
        if (scale == 0) {
#pragma omp simd reduction(+ : sum)
            for (int64_t v = 0; v < V; v++) sum += loom_expf(row[v] - m);
        } else {
#pragma omp simd reduction(+ : sum)
            for (int64_t v = 0; v < V; v++) {
                float e = loom_expf(row[v] - m);

                row[v] = e;
                sum += e;
            }
        }
        losses[n] = log((double)sum) + (double)m - (double)own;
        if (scale == 0) continue;
        factor = scale / sum;
        for (int64_t v = 0; v < V; v++) row[v] *= factor;
        row[labels[n]] -= scale;
    }
}

void loom_xent_plain(double *losses, int64_t *right, float *z, const int32_t *labels, float scale, int64_t N, int64_t V)
{
    for (int64_t n = 0; n < N; n++) {
        float *row = z + n * V;
        double m = -INFINITY, sum = 0;

        for (int64_t v = 0; v < V; v++) m = fmax(m, row[v]);
        for (int64_t v = 0; v < V; v++) sum += exp(row[v] - m);
        losses[n] = log(sum) + m - row[labels[n]];
        *right += row[labels[n]] >= m;
        if (scale == 0) continue;
        for (int64_t v = 0; v < V; v++) row[v] = (float)(scale * (exp(row[v] - m) / sum - (v == labels[n])));
    }
}
