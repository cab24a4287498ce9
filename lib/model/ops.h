/* Every kernel of the model on one page: pairs of forward and backward, plain functions over rows.
 *
 * They run on the calling thread and know nothing of layers, pools or batches: the callers cut the rows among threads.
 * `ld...` is the distance of two rows in floats. Backward functions ADD to gradients of weights; what they do to dx is
 * said at each. Outputs must not overlap inputs unless said. None can fail. Derivations: docs/MATH.md.
 * The twins named ..._plain are the textbook loops in double precision that tests compare with. */
#ifndef LOOM_MODEL_OPS_H
#define LOOM_MODEL_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "model/llama.h"

/* ---- embed:  x[n] = E[token[n]] ---- */
/* x (N,C)   E (V,C)   tokens (N) */
void loom_embed_fwd(float *x, const loom_mat *E, const int32_t *tokens, int64_t N, int64_t C);
/* dE[token[n], c] += dx[n, c] for columns c0 <= c < c1, rows in order: cut by columns, threads never meet. */
void loom_embed_bwd(float *dE, const float *dx, const int32_t *tokens, int64_t N, int64_t C, int64_t c0, int64_t c1);

/* ---- linear:  y = x Wᵀ,  W (out,in) ---- */
/* Scratch of one thread for bfloat16 and packed matrices; not looked at when W is float32 (NULL is fine then).
 * bf16 NULL: W is widened in panels and multiplied in float32. Else, and with packed W, x or dy is rounded and the
 * product is in bfloat16. */
#define LOOM_WIDEN_FLOATS 262144
#define LOOM_ROUND_ROWS   128
typedef struct loom_products {
    float *widen;      /* LOOM_WIDEN_FLOATS floats (1 MiB), or `in` if larger */
    uint16_t *rounded; /* LOOM_ROUND_ROWS rows of the widest input or output, in multiples of 32 */
    struct loom_bf16_engine *bf16;
} loom_products;

/* y (N,out) = beta * y + x (N,in) Wᵀ;  beta is 0 or 1 */
void loom_linear_fwd(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_mat *W, int64_t N, int64_t out,
                     int64_t in, float beta, const loom_products *how);
/* The same for very few rows, where reading W is all the time: no panels, no packing. 1 <= N <= LOOM_VERY_FEW_ROWS. */
#define LOOM_VERY_FEW_ROWS 6
void loom_linear_very_few_rows(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_mat *W, int64_t N,
                               int64_t out, int64_t in, float beta);
/* The same for up to LOOM_FEW_ROWS rows and float32: x is transposed, W read once. scratch: 64-byte aligned,
 * loom_linear_few_rows_scratch(in) floats. */
#define LOOM_FEW_ROWS 64
int64_t loom_linear_few_rows_scratch(int64_t in);
void loom_linear_few_rows(float *y, int64_t ldy, const float *x, int64_t ldx, const float *W, int64_t N, int64_t out,
                          int64_t in, float beta, float *scratch);
/* dx (N,in) = beta * dx + dy (N,out) W */
void loom_linear_bwd_x(float *dx, int64_t ldx, const float *dy, int64_t ldy, const loom_mat *W, int64_t N, int64_t out,
                       int64_t in, float beta, const loom_products *how);
/* n matrices that share their input, outputs side by side in y: one product when they follow each other in memory
 * (q k v, gate up of a float32 model). out: rows of each. */
void loom_linears_fwd(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_mat *W, const int64_t *out, int n,
                      int64_t N, int64_t in, const loom_products *how);
/* dx = sum of dy W over the n matrices */
void loom_linears_bwd_x(float *dx, int64_t ldx, const float *dy, int64_t ldy, const loom_mat *W, const int64_t *out,
                        int n, int64_t N, int64_t in, const loom_products *how);
/* dW (out,in) += dyᵀ x */
void loom_linear_bwd_w(float *dW, const float *dy, int64_t ldy, const float *x, int64_t ldx, int64_t N, int64_t out,
                       int64_t in);

/* ---- dW = dyᵀ x in bfloat16: both sides are rounded and laid out block by block while their rows are in cache ----
 * A side holds N rows of `cols` columns; data: loom_weight_grad_rows(N) * loom_weight_grad_cols(cols) numbers,
 * 64-byte aligned. */
#define LOOM_WEIGHT_GRAD_ROWS 512
typedef struct loom_weight_grad_side {
    uint16_t *data;
    int64_t cols, stretch; /* stretch: loom_weight_grad_stretch(N) */
} loom_weight_grad_side;
int64_t loom_weight_grad_stretch(int64_t rows);
int64_t loom_weight_grad_rows(int64_t rows);
int64_t loom_weight_grad_cols(int64_t cols);
/* Puts rows n0..n1-1 in; n0 is a multiple of 32, n1 too or the last. */
void loom_weight_grad_left(const loom_weight_grad_side *s, const float *dy, int64_t ld, int64_t n0, int64_t n1);
void loom_weight_grad_right(const loom_weight_grad_side *s, const float *x, int64_t ld, int64_t n0, int64_t n1);
/* Rows o0..o1-1 of dW (out,in) += over the first N rows of both sides; o0 is a multiple of 16. */
void loom_weight_grad_product(float *dW, const loom_weight_grad_side *left, const loom_weight_grad_side *right,
                              int64_t o0, int64_t o1, int64_t N);

/* ---- rmsnorm:  y[n,c] = g[c] * x[n,c] * r[n],   r[n] = 1 / sqrt(mean_c x[n,c]^2 + eps) ---- */
/* y, x (N,C)   g (C)   r (N): kept for the backward pass */
void loom_rmsnorm_fwd(float *restrict y, float *restrict r, const float *restrict x, const float *restrict g,
                      double eps, int64_t N, int64_t C);
/* The same y from the r kept. */
void loom_rmsnorm_again(float *restrict y, const float *restrict r, const float *restrict x, const float *restrict g,
                        int64_t N, int64_t C);
/* dx (N,C) = residual (N,C) + gradient through the norm; residual may be dx itself. dg (C) += ...; NULL: not wanted. */
void loom_rmsnorm_bwd(float *dx, float *restrict dg, const float *residual, const float *restrict dy,
                      const float *restrict x, const float *restrict g, const float *restrict r, int64_t N, int64_t C);
void loom_rmsnorm_fwd_plain(float *y, float *r, const float *x, const float *g, double eps, int64_t N, int64_t C);
void loom_rmsnorm_bwd_plain(float *dx, float *dg, const float *residual, const float *dy, const float *x,
                            const float *g, const float *r, int64_t N, int64_t C);

/* ---- rope: rotates the pairs (x[i], x[i+D/2]) of each head by position * frequency[i], in place ---- */
/* x (N, heads*D)   position (N)   cos, sin (positions, D/2) */
void loom_rope_fwd(float *x, int64_t ldx, const int32_t *position, const float *cos, const float *sin, int64_t N,
                   int64_t heads, int64_t D);
/* The inverse rotation: takes gradients back to before the rotation. */
void loom_rope_bwd(float *dx, int64_t ldx, const int32_t *position, const float *cos, const float *sin, int64_t N,
                   int64_t heads, int64_t D);

/* ---- attention of one sequence and one key/value head with its G = H/K query heads ----
 *   s[i,j] = q[i].k[j] / sqrt(D) for j <= i,   p = softmax_j(s),   o[i] = sum_j p[i,j] v[j]
 * q: column g*D of the row is query head g; all row distances in floats.
 *   q, o, dq, do (T, G*D)   k, v, dk, dv (T, D)   lse (T, G): log of the softmax denominators */
typedef struct loom_attention {
    const float *q, *k, *v;
    int64_t ld_qkv;
    float *o;
    int64_t ld_o;
    float *lse;
    int64_t ld_lse;
    int64_t T, G, D;
} loom_attention;

#define LOOM_ATT_TILE 64 /* queries handled together */
/* bf16: products of bfloat16 numbers. scratch: so many floats, 64-byte aligned, for sequences of at most T
 * positions. */
int64_t loom_attention_scratch(int64_t T, int64_t D, bool bf16);
void loom_attention_fwd(const loom_attention *a, bool bf16, float *scratch);
/* Writes dq, dk, dv (same layout as q, k, v, row distance ld_qkv). d_o has row distance ld_o. */
void loom_attention_bwd(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a, bool bf16,
                        float *scratch);
void loom_attention_fwd_plain(const loom_attention *a);
void loom_attention_bwd_plain(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a);

/* ---- swiglu:  y = silu(gate) * up,   silu(z) = z / (1 + exp(-z)) ---- */
/* gu (N,2F): gate in columns 0..F-1, up in F..2F-1   y (N,F) */
void loom_swiglu_fwd(float *restrict y, const float *restrict gu, int64_t N, int64_t F);
/* dgu (N,2F) from dy (N,F); y (N,F) is computed again on the way. */
void loom_swiglu_bwd(float *restrict dgu, float *restrict y, const float *restrict dy, const float *restrict gu,
                     int64_t N, int64_t F);
void loom_swiglu_fwd_plain(float *y, const float *gu, int64_t N, int64_t F);
void loom_swiglu_bwd_plain(float *dgu, const float *dy, const float *gu, int64_t N, int64_t F);

/* ---- xent:  loss[n] = log(sum_v exp z[n,v]) - z[n,label[n]] ---- */
/* Fills losses (N); *right += rows whose label has the largest logit. With scale != 0 z (N,V) is replaced by
 * scale * d loss / d z = scale * (softmax(z) - onehot(label)). Labels must be in 0..V-1. */
void loom_xent(double *losses, int64_t *right, float *z, const int32_t *labels, float scale, int64_t N, int64_t V);
void loom_xent_plain(double *losses, int64_t *right, float *z, const int32_t *labels, float scale, int64_t N,
                     int64_t V);

#endif
