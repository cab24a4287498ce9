/* Muon: momentum whose direction is made orthogonal, for the matrices inside the layers.
 *
 *   loom_muon how = {.lr = lr, .momentum = .95, .nesterov = true, .decay = .1, .grad_scale = loom_clip_scale(norm, 1)};
 *   loom_muon_update(w, m, g, out, in, &how, work);           work: loom_muon_floats(out, in) floats, 64-byte aligned
 *
 *   m = mu m + (1-mu) g'              g' = grad_scale * g
 *   u = (1-mu) g' + mu m              with nesterov, else u = m
 *   X = u / (||u|| + 1e-7)            turned over when out > in, so that X has no more rows than columns
 *   5 times:  A = X Xᵀ,  X = a X + (b A + c A A) X            a, b, c = 3.4445, -4.7750, 2.0315
 *   W = W (1 - lr decay) - lr 0.2 sqrt(max(out,in)) X
 *
 * A matrix is the work of one thread and the order of every sum is fixed: the same bits for any number of threads. */
#ifndef LOOM_MODEL_MUON_H
#define LOOM_MODEL_MUON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOM_MUON_ITERATIONS 5

typedef struct loom_muon {
    double lr, momentum, decay;
    double grad_scale; /* multiplies every gradient: clipping */
    bool nesterov;
    bool bf16_compute; /* factors of the products in bfloat16, sums in float32 */
} loom_muon;

/* Floats that the functions below need for a matrix of this shape; SIZE_MAX when that overflows. */
size_t loom_muon_floats(int64_t out, int64_t in);

/* Multiply-adds of one update. */
double loom_muon_work(int64_t out, int64_t in);

/* One update of w (out,in); m, g likewise. w, m, g and work must not overlap. */
void loom_muon_update(float *restrict w, float *restrict m, const float *restrict g, int64_t out, int64_t in,
                      const loom_muon *how, float *work);

/* The first part of it: moves m and fills x (out,in) with the direction X, not turned over. */
void loom_muon_direction(float *restrict x, float *restrict m, const float *restrict g, int64_t out, int64_t in,
                         const loom_muon *how, float *work);

/* The first part of that: moves m alone, by the same bits; work as above. For a matrix that another process updates. */
void loom_muon_momentum(float *restrict m, const float *restrict g, int64_t out, int64_t in, const loom_muon *how,
                        float *work);

#endif
