/* A normal distribution over rows of numbers, fitted and drawn from: how rows for new tokens are made like those that a
 * model has (docs/MATH.md, section 12).
 *
 *   loom_gaussian g = {0};
 *   LOOM_TRY(loom_gaussian_fit(&g, rows, n, D, err));
 *   loom_gaussian_draw(row, &g, &rng);
 *   loom_gaussian_release(&g); */
#ifndef LOOM_MODEL_GAUSSIAN_H
#define LOOM_MODEL_GAUSSIAN_H

#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

typedef struct loom_gaussian {
    int64_t D;
    double *mean;   /* (D) */
    double *factor; /* (D,D) lower triangle L: covariance + jitter I = L Lᵀ */
    double jitter;  /* 0 where the covariance is positive definite by itself */
} loom_gaussian;

/* rows (n,D), n >= 1. Mean and covariance (divided by n - 1) in float64. A covariance that is not positive definite, as
 * that of D rows or fewer, gets the smallest jitter of 1e-12, 1e-11, ... times the mean variance that makes it so; rows
 * that are all equal are drawn as they are. NUMERIC when a number is not finite. Undone by release. */
loom_status loom_gaussian_fit(loom_gaussian *g, const double *rows, int64_t n, int64_t D, loom_err *err);
/* Fills out (D) with one draw. */
void loom_gaussian_draw(double *out, const loom_gaussian *g, loom_rng *rng);
void loom_gaussian_release(loom_gaussian *g); /* zero-initialised is fine */

#endif
