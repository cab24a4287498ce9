/* The parameters of a small network: one block of floats, its gradients, and the two moments of the optimizer
 * beside it.
 *
 *   loom_weights w = {0};
 *   loom_dense in = loom_dense_add(&w, "in", 128, 40);       (learn/layers.h)
 *   LOOM_TRY(loom_weights_start(&w, &rng, err));
 *   for each batch: loom_weights_zero_grad(&w); ... forward, backward ...; loom_weights_step(&w, &how);
 *   loom_weights_release(&w);
 *
 * The table is the one place that says where a tensor lies; a network keeps the offsets it was given. */
#ifndef LOOM_LEARN_WEIGHTS_H
#define LOOM_LEARN_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

#define LOOM_WEIGHTS_MAX 96 /* tensors of one network */

typedef struct loom_weight {
    const char *name;      /* borrowed */
    size_t at, n;          /* place in the block, number of floats */
    double centre, spread; /* start values: uniform in centre +- spread */
} loom_weight;

typedef struct loom_weights {
    loom_weight list[LOOM_WEIGHTS_MAX];
    int n_list;
    size_t n;      /* floats in all */
    float *w, *dw; /* values, gradients */
    float *m, *v;  /* moments */
    int64_t step;  /* steps taken */
} loom_weights;    /* zero-initialised is ready */

/* Adds a tensor of n floats; returns its place. All before loom_weights_start; more than LOOM_WEIGHTS_MAX is an
 * assertion. */
size_t loom_weights_add(loom_weights *w, const char *name, int64_t n, double centre, double spread);
/* Allocates and draws the start values in the order of the table. */
loom_status loom_weights_start(loom_weights *w, loom_rng *rng, loom_err *err);
void loom_weights_zero_grad(loom_weights *w);
void loom_weights_release(loom_weights *w);

/* ---- steps ---- */
typedef enum loom_descent { LOOM_DESCENT_ADAM, LOOM_DESCENT_RMSPROP } loom_descent;

/* Adam (Kingma & Ba, 2015), L2 added to the gradient as PyTorch's Adam does it:
 *   g = dw + decay w;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  w -= lr (m/(1-b1^t)) / (sqrt(v/(1-b2^t)) + eps)
 * RMSprop (Tieleman & Hinton, 2012), as PyTorch's with momentum 0; b2 is its alpha:
 *   v = b2 v + (1-b2) g^2;  w -= lr g / (sqrt(v) + eps)
 * Only the floats first .. last-1 move; last 0: to the end. */
typedef struct loom_descent_conf {
    loom_descent kind;
    double lr, b1, b2, eps, decay;
    double clip; /* scale all gradients so that their L2 norm is at most this; 0: no clipping */
    size_t first, last;
} loom_descent_conf;

#define LOOM_ADAM                                                                                                      \
    {                                                                                                                  \
        .kind = LOOM_DESCENT_ADAM, .lr = 1e-3, .b1 = 0.9, .b2 = 0.999, .eps = 1e-8                                     \
    }
#define LOOM_RMSPROP                                                                                                   \
    {                                                                                                                  \
        .kind = LOOM_DESCENT_RMSPROP, .lr = 1e-3, .b2 = 0.99, .eps = 1e-8                                              \
    }

/* L2 norm of the gradients first .. last-1; not finite when one of them is not. */
double loom_weights_norm(const loom_weights *w, size_t first, size_t last);
/* LOOM_STATUS_NUMERIC when a gradient is not finite; nothing has moved then. */
loom_status loom_weights_step(loom_weights *w, const loom_descent_conf *how, loom_err *err);

#endif
