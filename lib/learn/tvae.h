/* TVAE, a variational autoencoder of table rows (Xu et al., NeurIPS 2019, as their public program does it).
 *
 *   loom_table rows = {.n = n, .n_discrete = 3, .n_continuous = 2,
 *                      .discrete = ids, .classes = sizes, .continuous = values};
 *   loom_tvae *t = NULL;
 *   LOOM_TRY(loom_tvae_new(&t, &rows, &conf, err));           fits a mixture to every continuous column
 *   for (int64_t epoch = 0; epoch < 300; epoch++) LOOM_TRY(loom_tvae_epoch(t, &loss, err));
 *   LOOM_TRY(loom_tvae_draw(t, ids, values, n, &rng, err));
 *   loom_tvae_free(t);
 *
 * A row becomes one-hots and scalars: a discrete value its class; a continuous value x a component k drawn from its
 * responsibilities (learn/mixture.h) and the scalar clip((x - mean_k) / (4 std_k), -.99, .99).
 *   encoder: row -> 128 -> 128 (ReLU) -> mu, logvar (128 each);   decoder: z -> 128 -> 128 (ReLU) -> row
 *   loss = 2/B [ sum over scalars ((x - tanh y)^2 / (2 s^2) + ln s) + sum over one-hots of cross entropy ] + KL/B
 * with one trainable s per scalar, .1 at the start and held in [.01, 1]. Adam, 1e-3, L2 1e-5, batches of 500. */
#ifndef LOOM_LEARN_TVAE_H
#define LOOM_LEARN_TVAE_H

#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

typedef struct loom_table {
    int64_t n, n_discrete, n_continuous;
    const int32_t *discrete;  /* (n, n_discrete): class of each column */
    const int32_t *classes;   /* (n_discrete): how many classes a column has, >= 1 */
    const double *continuous; /* (n, n_continuous), finite */
} loom_table;                 /* borrowed for the life of what was made from it */

typedef struct loom_tvae_conf {
    int64_t width, code; /* of the hidden layers and of z; 0: 128 */
    int64_t batch;       /* 0: 500 */
    double lr, decay;    /* 0: 1e-3, 1e-5 */
    uint64_t seed;
} loom_tvae_conf;

typedef struct loom_tvae loom_tvae;
loom_status loom_tvae_new(loom_tvae **out, const loom_table *rows, const loom_tvae_conf *conf, loom_err *err);
void loom_tvae_free(loom_tvae *t);

/* One pass over the rows in a new order, the last incomplete batch included. *loss: mean over the batches. */
loom_status loom_tvae_epoch(loom_tvae *t, double *loss, loom_err *err);
/* n rows: discrete (n, n_discrete), continuous (n, n_continuous). Discrete values and components are the likeliest
 * ones; a scalar is drawn from Normal(tanh y, s), clipped to [-1, 1]. */
loom_status loom_tvae_draw(loom_tvae *t, int32_t *discrete, double *continuous, int64_t n, loom_rng *rng,
                           loom_err *err);

/* ---- parts, for tests ---- */
struct loom_weights *loom_tvae_weights(loom_tvae *t);
/* Loss of the rows `index` (B <= batch) with the noise eps (B, code), and its gradient in the weights (added).
 * Components are those drawn at the start. */
typedef struct loom_tvae_loss {
    double reconstruction, kl; /* each over B; their sum is the loss */
} loom_tvae_loss;
void loom_tvae_gradient(loom_tvae *t, loom_tvae_loss *loss, const int64_t *index, const float *eps, int64_t B);
loom_status loom_tvae_step(loom_tvae *t, loom_err *err);
/* The scalar of a value, and the component drawn for it. */
double loom_tvae_scalar(const loom_tvae *t, int64_t row, int64_t column, int32_t *component);

#endif
