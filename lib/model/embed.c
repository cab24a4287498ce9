#include <string.h>

#include "model/ops.h"
#include "model/vmath.h"

void loom_embed_fwd(float *x, const loom_mat *E, const int32_t *tokens, int64_t N, int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        float *to = x + n * C;

        if (E->f32) {
            memcpy(to, E->f32 + tokens[n] * C, (size_t)C * sizeof *to);
            continue;
        }
        for (int64_t c = 0; c < C; c++) to[c] = loom_bf16_to_f32(E->bf16[tokens[n] * C + c]);
    }
}

void loom_embed_bwd(float *dE, const float *dx, const int32_t *tokens, int64_t N, int64_t C, int64_t c0, int64_t c1)
{
    for (int64_t n = 0; n < N; n++) {
        float *restrict to = dE + tokens[n] * C;
        const float *restrict from = dx + n * C;

        for (int64_t c = c0; c < c1; c++) to[c] += from[c];
    }
}
