/* AdamW on a block of tensors, and the norm of a gradient block.
 *
 *   norm = loom_grad_norm(pool, &m->table, grads);
 *   loom_adamw how = {.lr = lr, .beta1 = .9, .beta2 = .999, .eps = 1e-8, .decay = .1, .step = step (from 1),
 *                     .grad_scale = loom_clip_scale(norm, 1.0)};
 *   loom_adamw_step(pool, &m->table, m->params, moment1, moment2, grads, &how);
 *
 *   g' = grad_scale * g;   m = b1 m + (1-b1) g';   v = b2 v + (1-b2) g'^2
 *   w = w (1 - lr decay)      on matrices only (loom_tensor.decay)
 *   w = w - lr * (m / (1-b1^step)) / (sqrt(v / (1-b2^step)) + eps)
 *
 * loom_ema_step keeps the exponential moving average of the weights: mean = d mean + (1-d) w.
 *
 * All three give the same bits for any number of threads. */
#ifndef LOOM_MODEL_ADAMW_H
#define LOOM_MODEL_ADAMW_H

#include "core/pool.h"
#include "model/llama.h"

typedef struct loom_adamw {
    double lr, beta1, beta2, eps, decay;
    double grad_scale; /* multiplies every gradient: clipping */
    int64_t step;      /* number of this update, from 1 */
} loom_adamw;

/* L2 norm over all tensors; sums in double. Not finite when a gradient is not. */
double loom_grad_norm(loom_pool *pool, const loom_tensors *table, const float *grads);

/* min(1, clip / (norm + 1e-6)); 1 when clip <= 0 (no clipping). */
double loom_clip_scale(double norm, double clip);

/* w, m, v, g: blocks laid out as the table. */
void loom_adamw_step(loom_pool *pool, const loom_tensors *table, float *w, float *m, float *v, const float *g,
                     const loom_adamw *how);

/* The same for some of the tensors: v_at[i] says where the v of tensor i begins in v, LOOM_ADAMW_NOT that the
 * tensor is left alone. v_at NULL: all of them, v laid out as the table. */
#define LOOM_ADAMW_NOT SIZE_MAX
void loom_adamw_step_some(loom_pool *pool, const loom_tensors *table, const size_t *v_at, float *w, float *m, float *v,
                          const float *g, const loom_adamw *how);

/* mean, w: blocks laid out as the table; 0 <= decay < 1. Gaps between tensors are averaged too (zeros stay zeros). */
void loom_ema_step(loom_pool *pool, const loom_tensors *table, float *mean, const float *w, double decay);

/* The kernel: n elements that share one rule. w, m, v, g must not overlap. */
void loom_adamw_update(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, int64_t n,
                       bool decay, const loom_adamw *how);

#endif
