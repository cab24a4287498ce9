/* Matrices laid out once for many products, in decoding, in attention and in training: y = x Wᵀ.
 *
 *   loom_packed w = {.data = memory, .out = out, .in = in, .bf16 = false};       memory: loom_packed_bytes, 64-aligned
 *   loom_packed_fill(&w, &mat, 1.0f);
 *   loom_packed_product(y, ldy, x, ldx, &w, N, 0, out, false);
 *
 * BLAS lays W out anew for every product, which costs as much as the product when rows are few. Here panels of
 * LOOM_PANEL outputs lie in the order in which a tile of rows reads them:
 *
 *   float32   [ceil(out/32)][in][32 outputs]
 *   bfloat16  [ceil(out/32)][2][ceil(in/32)*16 pairs][16 outputs][2 of the pair]          a tile of AMX is 1 KiB of it
 *
 * Every element of y is one sum in the order of the inner index, whatever N is and however columns are cut among
 * threads: a row gives the same bits alone and among others. */
#ifndef LOOM_MODEL_PACKED_H
#define LOOM_MODEL_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/llama.h"

#define LOOM_PANEL 32 /* outputs; cut columns at its multiples, other cuts compute the panel at the cut twice */

typedef struct loom_packed {
    void *data; /* 64-byte aligned */
    int64_t out, in;
    bool bf16; /* bfloat16 */
} loom_packed;

size_t loom_packed_bytes(int64_t out, int64_t in, bool bf16); /* a multiple of 64; SIZE_MAX when it overflows */
/* data = scale * W, rounded to bfloat16 if `bf16` (exact when W is bfloat16 and scale 1). */
void loom_packed_fill(const loom_packed *p, const loom_mat *W, float scale);
/* The same for rows from..to-1 of W, whole panels of them (but for the last). */
void loom_packed_fill_outs(const loom_packed *p, const loom_mat *W, float scale, int64_t from, int64_t to);

/* The same for rows `ld` apart, all of them. */
void loom_packed_fill_rows(const loom_packed *p, const float *rows, int64_t ld);

/* For matrices stored the other way round, as training needs them. rows (k1-k0, out) are inner indices k0..k1-1 of all
 * outputs: dx = dy W has them in W, dW = dyᵀ x in x. In bfloat16 k0 is a multiple of 32, k1 too or the last one: up
 * to the next multiple of 32 data becomes zero. */
void loom_packed_fill_inner(const loom_packed *p, const float *rows, int64_t ld, int64_t k0, int64_t k1);
/* In bfloat16: the left operand of dW = dyᵀ x: to (cols, width) = columns k0..k1-1 from rows (k1-k0, cols),
 * rounded; k0, k1 as above. Rows of `to` up to a multiple of 16 are written. */
void loom_packed_turn(uint16_t *to, int64_t width, const float *rows, int64_t ld, int64_t cols, int64_t k0, int64_t k1);

/* y (N, c1-c0) = x (N,in) times columns c0..c1-1, or y += with `add`. x is not rounded. y points at column c0. */
void loom_packed_product(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t N,
                         int64_t c0, int64_t c1, bool add);

/* The same for float32 weights and only the first `depth` inner indices; and with x turned over: x (depth,N). */
void loom_packed_product_upto(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t depth,
                              int64_t N, int64_t c0, int64_t c1, bool add);
void loom_packed_product_turned(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t depth,
                                int64_t N, int64_t c0, int64_t c1, bool add);

/* loom_packed_product with x rounded to bfloat16, for bfloat16 weights: AMX tiles where the CPU has them, AVX512_BF16
 * else, plain vectors else; the three differ in rounding. x (whole groups of 16 rows, loom_packed_width(in)), columns
 * beyond `in` zero, rows beyond N anything. */
int64_t loom_packed_width(int64_t in);
void loom_packed_round(uint16_t *to, const float *x, int64_t ldx, int64_t N, int64_t in); /* fills such an x */
void loom_packed_product16(float *y, int64_t ldy, const uint16_t *x, const loom_packed *p, int64_t N, int64_t c0,
                           int64_t c1, bool add);

/* The same with rows of x `ldx` apart, and only the first `depth` inner indices, a multiple of 32 or the last. */
void loom_packed_product16_upto(float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const loom_packed *p,
                                int64_t depth, int64_t N, int64_t c0, int64_t c1, bool add);

/* Which instructions loom_packed_product16 uses: "amx", "avx512bf16" or "plain". `most` limits them (tests). */
typedef enum loom_bf16_unit { LOOM_UNIT_PLAIN, LOOM_UNIT_AVX512, LOOM_UNIT_AMX } loom_bf16_unit;
loom_bf16_unit loom_packed_unit(void);
extern const char *const loom_bf16_unit_names[];
void loom_packed_product16_with(loom_bf16_unit unit, float *y, int64_t ldy, const uint16_t *x, const loom_packed *p,
                                int64_t N, int64_t c0, int64_t c1, bool add);

#endif
