#include <math.h>

#include "model/ops.h"
#include "model/vmath.h"

void loom_swiglu_fwd(float *restrict y, const float *restrict gu, int64_t N, int64_t F)
{
    for (int64_t n = 0; n < N; n++) {
        const float *restrict gate = gu + n * 2 * F;
        const float *restrict up = gate + F;
        float *restrict to = y + n * F;

#pragma omp simd
        for (int64_t f = 0; f < F; f++) to[f] = gate[f] / (1.0f + loom_expf(-gate[f])) * up[f];
    }
}

/* With s = 1 / (1 + exp(-z)):  silu'(z) = s (1 + z (1 - s)) */
void loom_swiglu_bwd(float *restrict dgu, float *restrict y, const float *restrict dy, const float *restrict gu,
                     int64_t N, int64_t F)
{
    for (int64_t n = 0; n < N; n++) {
        const float *restrict gate = gu + n * 2 * F;
        const float *restrict up = gate + F;
        const float *restrict d = dy + n * F;
        float *restrict dgate = dgu + n * 2 * F;
        float *restrict dup = dgate + F;
        float *restrict to = y + n * F;

#pragma omp simd
        for (int64_t f = 0; f < F; f++) {
            float z = gate[f], s = 1.0f / (1.0f + loom_expf(-z)), silu = z * s;

            to[f] = silu * up[f];
            dgate[f] = d[f] * up[f] * (s + silu * (1.0f - s));
            dup[f] = d[f] * silu;
        }
    }
}

void loom_swiglu_fwd_plain(float *y, const float *gu, int64_t N, int64_t F)
{
    for (int64_t n = 0; n < N; n++) {
        for (int64_t f = 0; f < F; f++) {
            double z = gu[n * 2 * F + f];

            y[n * F + f] = (float)(z / (1 + exp(-z)) * gu[n * 2 * F + F + f]);
        }
    }
}

void loom_swiglu_bwd_plain(float *dgu, const float *dy, const float *gu, int64_t N, int64_t F)
{
    for (int64_t n = 0; n < N; n++) {
        for (int64_t f = 0; f < F; f++) {
            double z = gu[n * 2 * F + f], s = 1 / (1 + exp(-z)), d = dy[n * F + f];

            dgu[n * 2 * F + f] = (float)(d * gu[n * 2 * F + F + f] * s * (1 + z * (1 - s)));
            dgu[n * 2 * F + F + f] = (float)(d * z * s);
        }
    }
}
