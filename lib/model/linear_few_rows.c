/* Linear layers for few rows, as decoding needs them: N <= LOOM_FEW_ROWS tokens against all weights.
 *
 * BLAS packs W before it multiplies, which costs as much as the product when rows are few. Here x is transposed
 * instead: with xt[k] = the k-th element of all rows (one to four vectors of 16), output o of all rows is
 *
 *   y[:,o] = sum_k W[o,k] * xt[k]           a broadcast of one weight times vectors
 *
 * and a tile of several outputs keeps its sums in registers while W streams by, row after row, read once. */
#include <assert.h>
#include <string.h>

#include "core/num.h"
#include "model/ops.h"
#include "model/vmath.h"

typedef float vec16 __attribute__((vector_size(64)));

int64_t loom_linear_few_rows_scratch(int64_t in) { return LOOM_FEW_ROWS * in; }

/* xt (in, lanes) from x (N, in); lanes beyond N are zero. */
static void transpose(float *restrict xt, const float *restrict x, int64_t ldx, int64_t N, int64_t in, int64_t lanes)
{
    for (int64_t k0 = 0; k0 < in; k0 += 16) { /* 16 columns at a time stay in the first-level cache */
        int64_t k1 = loom_min_i64(k0 + 16, in);

        for (int64_t n = 0; n < N; n++)
            for (int64_t k = k0; k < k1; k++) xt[k * lanes + n] = x[n * ldx + k];
        for (int64_t k = k0; k < k1; k++)
            for (int64_t n = N; n < lanes; n++) xt[k * lanes + n] = 0;
    }
}

/* sums (OUTS, VECS*16): OUTS outputs of all rows. One function for each shape, so that the sums are registers. */
#define TILE(name, OUTS, VECS)                                                                                         \
    static void name(float *sums, const float *xt, const float *w, int64_t in)                                         \
    {                                                                                                                  \
        vec16 acc[OUTS][VECS] = {{{0}}};                                                                               \
        const vec16 *x = (const vec16 *)(const void *)xt;                                                              \
                                                                                                                       \
        for (int64_t k = 0; k < in; k++, x += VECS) {                                                                  \
            _Pragma("GCC unroll 16") for (int o = 0; o < OUTS; o++)                                                    \
            {                                                                                                          \
                float one = w[o * in + k];                                                                             \
                                                                                                                       \
                _Pragma("GCC unroll 4") for (int v = 0; v < VECS; v++) acc[o][v] += one * x[v];                        \
            }                                                                                                          \
        }                                                                                                              \
        memcpy(sums, acc, sizeof acc);                                                                                 \
    }

TILE(tile_14_1, 14, 1)
TILE(tile_10_2, 10, 2)
TILE(tile_8_3, 8, 3)
TILE(tile_6_4, 6, 4)
TILE(tile_1_1, 1, 1)
TILE(tile_1_2, 1, 2)
TILE(tile_1_3, 1, 3)
TILE(tile_1_4, 1, 4)

#define MAX_OUTS 14

typedef void tile_fn(float *sums, const float *xt, const float *w, int64_t in);

static void store(float *y, int64_t ldy, const float *sums, int64_t N, int64_t outs, int64_t lanes, float beta)
{
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < outs; o++)
            y[n * ldy + o] = sums[o * lanes + n] + (beta != 0 ? beta * y[n * ldy + o] : 0.0f);
}

void loom_linear_few_rows(float *y, int64_t ldy, const float *x, int64_t ldx, const float *W, int64_t N, int64_t out,
                          int64_t in, float beta, float *scratch)
{
    static tile_fn *const tiles[] = {tile_14_1, tile_10_2, tile_8_3, tile_6_4};
    static tile_fn *const singles[] = {tile_1_1, tile_1_2, tile_1_3, tile_1_4};
    static const int64_t outs_of[] = {14, 10, 8, 6};
    assert(N >= 1 && N <= LOOM_FEW_ROWS);
    int64_t vecs = (N + 15) / 16, lanes = 16 * vecs, outs = outs_of[vecs - 1], o = 0;
    _Alignas(64) float sums[MAX_OUTS * 2 * 16];

    transpose(scratch, x, ldx, N, in, lanes);
    for (; o + outs <= out; o += outs) {
        tiles[vecs - 1](sums, scratch, W + o * in, in);
        store(y + o, ldy, sums, N, outs, lanes, beta);
    }
    for (; o < out; o++) {
        singles[vecs - 1](sums, scratch, W + o * in, in);
        store(y + o, ldy, sums, N, 1, lanes, beta);
    }
}
