/* Linear support vector machine of two classes, and what is done to features before it.
 *
 *   loom_scaler scale = {0};
 *   LOOM_TRY(loom_scaler_fit(&scale, x, n, F, err));     mean 0, variance 1 on the training set
 *   loom_scaler_apply(x, &scale, n);
 *   LOOM_TRY(loom_svm_fit(&svm, x, y, n, F, &conf, err));
 *   double margin = loom_svm_margin(&svm, row);          positive: class 1
 *
 * The problem is liblinear's (Fan et al., JMLR 2008, solver 3) with the bias as one more feature of value 1:
 *   min over w  1/2 |w|^2 + sum_n C_n max(0, 1 - y_n w.x_n)      C_n = C * weight of the class
 * solved by dual coordinate descent (Hsieh et al., ICML 2008), which stops at a duality gap that the caller names:
 * how far from the optimum an answer is, is known and not hoped for. */
#ifndef LOOM_LEARN_SVM_H
#define LOOM_LEARN_SVM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

/* ---- features ---- */
typedef struct loom_scaler {
    double *mean, *factor; /* (F); factor 1/std, 1 where a feature does not vary */
    int64_t F;
} loom_scaler; /* zero-initialised is ready */
loom_status loom_scaler_fit(loom_scaler *s, const float *x, int64_t n, int64_t F, loom_err *err);
void loom_scaler_apply(float *x, const loom_scaler *s, int64_t n); /* x (n,F), in place */
void loom_scaler_release(loom_scaler *s);

/* Random Fourier features (Rahimi & Recht, NIPS 2007): z = sqrt(2/D) cos(W x + b), so that z(x).z(y) is near
 * exp(-gamma |x-y|^2). W (D,F) is drawn from N(0, 2 gamma), b (D) uniformly from [0, 2 pi). */
typedef struct loom_fourier {
    float *w, *b;
    int64_t D, F;
} loom_fourier; /* zero-initialised is ready */
loom_status loom_fourier_draw(loom_fourier *f, int64_t D, int64_t F, double gamma, loom_rng *rng, loom_err *err);
void loom_fourier_apply(float *z, const float *x, const loom_fourier *f, int64_t n); /* z (n,D)   x (n,F) */
void loom_fourier_release(loom_fourier *f);

/* ---- machine ---- */
typedef struct loom_svm_conf {
    double C;       /* of every sample, times the weight of its class */
    bool balanced;  /* class weights n / (2 n_class); else 1 */
    double gap;     /* stop when primal - dual <= gap * primal */
    int64_t passes; /* and at the latest after so many */
    uint64_t seed;  /* order of the samples in a pass */
} loom_svm_conf;

typedef struct loom_svm {
    double *w; /* (F+1), the bias last */
    int64_t F;
    double primal, dual; /* of the solution */
    int64_t passes;
} loom_svm; /* zero-initialised is ready */

/* x (n,F)   y (n). FORMAT when a class is empty: there is nothing to tell apart. */
loom_status loom_svm_fit(loom_svm *s, const float *x, const bool *y, int64_t n, int64_t F, const loom_svm_conf *conf,
                         loom_err *err);
double loom_svm_margin(const loom_svm *s, const float *x);
void loom_svm_release(loom_svm *s);

#endif
