#include "model/ops.h"

/* (a, b) -> (a cos - b sin, b cos + a sin) for a = x[i], b = x[i + D/2]; sign = -1 turns the other way. */
static void rotate(float *x, int64_t ldx, const int32_t *position, const float *cos, const float *sin, float sign,
                   int64_t N, int64_t heads, int64_t D)
{
    int64_t half = D / 2;

    for (int64_t n = 0; n < N; n++) {
        const float *restrict co = cos + position[n] * half;
        const float *restrict si = sin + position[n] * half;

        for (int64_t h = 0; h < heads; h++) {
            float *restrict a = x + n * ldx + h * D;
            float *restrict b = a + half;

#pragma omp simd
            for (int64_t i = 0; i < half; i++) {
                float s = sign * si[i], old = a[i];

                a[i] = old * co[i] - b[i] * s;
                b[i] = b[i] * co[i] + old * s;
            }
        }
    }
}

void loom_rope_fwd(float *x, int64_t ldx, const int32_t *position, const float *cos, const float *sin, int64_t N,
                   int64_t heads, int64_t D)
{
    rotate(x, ldx, position, cos, sin, 1.0f, N, heads, D);
}

void loom_rope_bwd(float *dx, int64_t ldx, const int32_t *position, const float *cos, const float *sin, int64_t N,
                   int64_t heads, int64_t D)
{
    rotate(dx, ldx, position, cos, sin, -1.0f, N, heads, D);
}
