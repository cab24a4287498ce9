/* Limited-memory BFGS (Nocedal, Math. Comp. 35, 1980) for smooth functions of many numbers: what has few parameters and
 * all its data in memory is at its minimum after some dozen looks at all of them, without a rate to choose.
 *
 *   loom_lbfgs_conf how = LOOM_LBFGS;
 *   LOOM_TRY(loom_lbfgs(&result, x, n, loss, arg, &how, err));      x: start, then the minimum */
#ifndef LOOM_LEARN_LBFGS_H
#define LOOM_LEARN_LBFGS_H

#include <stdint.h>

#include "core/err.h"

/* f(x), and its gradient into g (n). */
typedef double loom_smooth_fn(void *arg, double *g, const double *x, int64_t n);

typedef struct loom_lbfgs_conf {
    int memory;       /* pairs of steps that the curvature is guessed from, 1..LOOM_LBFGS_MEMORY */
    int64_t steps;    /* at most */
    double tolerance; /* stop when no entry of the gradient is larger */
} loom_lbfgs_conf;
#define LOOM_LBFGS_MEMORY 20
#define LOOM_LBFGS                                                                                                     \
    {                                                                                                                  \
        .memory = 10, .steps = 500, .tolerance = 1e-6                                                                  \
    }

typedef struct loom_lbfgs_result {
    double value, gradient; /* f and its largest partial derivative, without sign, at the end */
    int64_t steps, looks;   /* steps taken, values computed */
} loom_lbfgs_result;

/* NUMERIC when f is not finite at the start; nothing has moved then. A line on which f falls no more within rounding
 * ends the search as well. */
loom_status loom_lbfgs(loom_lbfgs_result *out, double *x, int64_t n, loom_smooth_fn *f, void *arg,
                       const loom_lbfgs_conf *how, loom_err *err);

#endif
