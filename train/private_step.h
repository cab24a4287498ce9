/* The gradient of a step that bounds and hides what any one graph adds to it (DP-SGD: M. Abadi et al., Deep Learning
 * with Differential Privacy, arXiv 1607.00133, algorithm 1, with Poisson draws):
 *
 *   every graph is drawn with probability `rate`, independently of the others
 *   g_i = gradient of the mean loss of the counted labels of graph i, all its samples together
 *   g   = (sum over the drawn graphs of g_i min(1, clip / |g_i|) + noise clip N(0, I)) / (rate graphs)
 *
 * Draws, dropout and noise of a step are those of streams seeded by (secret, purpose, step): a step that is done again
 * after a stop is the very same, and costs nothing more. Whoever knows the secret can take the noise away; it is kept
 * in the checkpoints of a run (step-N.h5) and in no model. The streams are good for statistics, not for cryptography,
 * and the noise is rounded to floats: attacks on either are not guarded against.
 *
 *   loom_private *p = NULL;
 *   LOOM_TRY(loom_private_new(&p, &options, model, lora, acts, loader, pool, err));
 *   LOOM_TRY(loom_private_gradient(p, secret, step, micro_rows, g, &report, err));
 *   loom_private_free(p); */
#ifndef LOOM_TRAIN_PRIVATE_STEP_H
#define LOOM_TRAIN_PRIVATE_STEP_H

#include "core/pool.h"
#include "train/graph_units.h"

typedef struct loom_private_options {
    const loom_graph_units *units; /* borrowed; NULL: training is as ever */
    double rate;                   /* 0 < rate <= 1 */
    double noise;                  /* standard deviation over clip; 0: none (tests) */
    double clip;                   /* > 0 */
} loom_private_options;

typedef struct loom_private loom_private;

/* What a step did: of all this the gradient alone is hidden by noise. */
typedef struct loom_private_report {
    loom_loss loss;
    int64_t rows;
    int64_t graphs;  /* drawn */
    int64_t clipped; /* of these, whose gradient was longer than clip */
} loom_private_report;

/* All borrowed; the model is const, the gradient that of the adapter. */
loom_status loom_private_new(loom_private **out, const loom_private_options *o, const loom_llama *model,
                             const loom_lora *lora, loom_acts *acts, loom_loader *loader, loom_pool *pool,
                             loom_err *err);
void loom_private_free(loom_private *p); /* NULL is fine */

/* Fills g, laid out as lora->table; step counts from 0. Passes take at most micro_rows rows. NUMERIC when a loss or a
 * graph's gradient is not finite, INTERRUPT when loom_stop_requested() between two graphs; g is then worth nothing. */
loom_status loom_private_gradient(loom_private *p, uint64_t secret, int64_t step, int64_t micro_rows, float *g,
                                  loom_private_report *report, loom_err *err);

#endif
