/* Logistic regression: one linear layer upon features that do not change, two classes.
 *
 *   loss(w) = 1/n sum_i -log sigmoid(+-(w.x_i + b)) + decay/2 |w|^2          the bias b is not decayed
 *
 *   loom_logistic fit = {0};
 *   LOOM_TRY(loom_logistic_fit(&fit, x, y, n, F, &conf, err));
 *   double margin = loom_logistic_margin(&fit, row);       positive: class 1; its probability is sigmoid(margin)
 *
 * L-BFGS goes to the minimum of the loss over all samples; Adam takes steps over batches of some, as a head is trained
 * inside a large network. Features should be of one scale (learn/svm.h, loom_scaler). */
#ifndef LOOM_LEARN_LOGISTIC_H
#define LOOM_LEARN_LOGISTIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

typedef enum loom_solver { LOOM_SOLVER_LBFGS, LOOM_SOLVER_ADAM } loom_solver;
#define LOOM_SOLVER_CHOICES "lbfgs|adam"
extern const char *const loom_solver_names[];

typedef struct loom_logistic_conf {
    loom_solver solver;
    double decay;
    double lr;             /* Adam: */
    int64_t batch, epochs; /* samples of a step; times through all samples */
    uint64_t seed;         /* Adam: start values and order of the samples */
} loom_logistic_conf;

typedef struct loom_logistic {
    double *w; /* (F+1), the bias last */
    int64_t F;
    double loss;   /* of the training samples, decay included */
    int64_t steps; /* taken */
} loom_logistic;   /* zero-initialised is ready */

/* x (n,F)   y (n)   w (F+1)   dw (F+1): written, NULL: not wanted. Returns the loss. */
double loom_logistic_loss(double *dw, const double *w, const float *x, const bool *y, int64_t n, int64_t F,
                          double decay);
/* FORMAT when a class is empty: there is nothing to tell apart. */
loom_status loom_logistic_fit(loom_logistic *fit, const float *x, const bool *y, int64_t n, int64_t F,
                              const loom_logistic_conf *conf, loom_err *err);
double loom_logistic_margin(const loom_logistic *fit, const float *x);
void loom_logistic_release(loom_logistic *fit);

#endif
