/* Layers of small networks, each a forward/backward pair over rows: the models that traces are made for (management
 * models, the tabular autoencoder). No graph of operations is kept; a model calls the pairs in order and back.
 *
 * Letters: N rows, I inputs, O outputs, H heads, D size of a head, E neighbours in all. Matrices are row-major, weights
 * (out, in). Backward functions ADD to gradients of weights and WRITE gradients of inputs, unless said; a NULL
 * gradient of an input is not wanted. Arrays do not overlap unless said. Derivations: docs/MATH.md, "Small
 * networks". */
#ifndef LOOM_LEARN_LAYERS_H
#define LOOM_LEARN_LAYERS_H

#include <stdint.h>

#include "learn/weights.h"

/* ---- dense:  y = x Wᵀ + b ---- */
/* Places of W (O,I) and b (O) in a block. Start values: uniform within 1/sqrt(I), as PyTorch's. */
typedef struct loom_dense {
    size_t w, b;
    int64_t O, I;
} loom_dense;
loom_dense loom_dense_add(loom_weights *into, const char *name, int64_t O, int64_t I);
/* y (N,O)   x (N,I) */
void loom_dense_fwd(float *y, const float *x, const loom_weights *w, const loom_dense *d, int64_t N);
void loom_dense_bwd(float *dx, const float *dy, const float *x, loom_weights *w, const loom_dense *d, int64_t N);

/* ---- embedding: rows of a table, summed ----
 *   y[n] = b + sum_a table[id[n,a]]          a one-hot input of A columns, times its weights, without its zeros */
/* y (N,C)   table (V,C)   b (C), NULL: 0   id (N,A), each in 0..V-1 */
void loom_embedding_fwd(float *y, const float *table, const float *b, const int32_t *id, int64_t N, int64_t A,
                        int64_t C);
/* Adds to dtable (V,C) and db (C). */
void loom_embedding_bwd(float *dtable, float *db, const float *dy, const int32_t *id, int64_t N, int64_t A, int64_t C);

/* ---- rectifiers:  y = x > 0 ? x : slope x;  slope 0 is ReLU. y may be x, dx may be dy. ---- */
void loom_relu_fwd(float *y, const float *x, double slope, int64_t n);
/* From y, whose sign is x's (slope >= 0; with slope 0 the gradient at 0 is 0). */
void loom_relu_bwd(float *dx, const float *dy, const float *y, double slope, int64_t n);

/* ---- layer norm:  y = g (x - mean) r + b,   r = 1 / sqrt(var + 1e-5) over each row ---- */
typedef struct loom_norm {
    size_t g, b;
    int64_t C;
} loom_norm;
loom_norm loom_norm_add(loom_weights *into, const char *name, int64_t C);
/* y, x (N,C)   stat (N,2): mean and r, kept for the backward pass */
void loom_norm_fwd(float *y, float *stat, const float *x, const loom_weights *w, const loom_norm *l, int64_t N);
void loom_norm_bwd(float *dx, const float *dy, const float *x, const float *stat, loom_weights *w, const loom_norm *l,
                   int64_t N);

/* ---- graph attention (Velickovic et al., ICLR 2018), H heads side by side ----
 *   h = x Wᵀ  (N, H*D)        s[i] = a_self . h[i],  t[j] = a_other . h[j]        per head
 *   e[i,j] = leaky(s[i] + t[j]) with slope 0.2,  p[i,.] = softmax over the neighbours j of i
 *   y[i] = b + sum_j p[i,j] h[j]
 * Neighbours of i: other[first[i]] .. other[first[i+1]), at least one (put i itself among them). */
#define LOOM_GAT_SLOPE 0.2
typedef struct loom_gat {
    size_t w, a_self, a_other, b;
    int64_t H, D, I;
} loom_gat;
typedef struct loom_neighbours {
    const int32_t *first, *other; /* (N+1), (first[N]) */
} loom_neighbours;
loom_gat loom_gat_add(loom_weights *into, const char *name, int64_t H, int64_t D, int64_t I);
/* y, h (N,H*D)   st (N,H,2): s and t   p (E,H)   x (N,I). h, st and p are kept for the backward pass. */
void loom_gat_fwd(float *y, float *h, float *st, float *p, const float *x, const loom_neighbours *e,
                  const loom_weights *w, const loom_gat *l, int64_t N);
/* dh (N,H*D), dst (N,H,2): scratch */
void loom_gat_bwd(float *dx, float *dh, float *dst, const float *dy, const float *h, const float *st, const float *p,
                  const float *x, const loom_neighbours *e, loom_weights *w, const loom_gat *l, int64_t N);

/* ---- mean over the rows of each group:  y[k] = mean of x[first[k]] .. x[first[k+1]) ---- */
/* y (G,C)   x (first[G],C); no group is empty */
void loom_pool_mean_fwd(float *y, const float *x, const int32_t *first, int64_t G, int64_t C);
void loom_pool_mean_bwd(float *dx, const float *dy, const int32_t *first, int64_t G, int64_t C);

#endif
