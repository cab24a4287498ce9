/* Bayesian Gaussian mixture in one dimension with a Dirichlet-process prior, by variational inference (Blei &
 * Jordan 2006; Bishop, PRML 10.2), with the priors that the tabular autoencoder's column transformer uses:
 * concentration 0.001, mean and variance those of the data, beta 1, one degree of freedom.
 *
 *   loom_mixture m;
 *   LOOM_TRY(loom_mixture_fit(&m, x, n, 10, err));
 *   int k = loom_mixture_draw(&m, x[i], &rng);     component of a value, drawn from its responsibilities
 *
 * Updates and bound: docs/MATH.md, "Small networks". Components that are left with a weight of 0.005 or less are
 * dropped. */
#ifndef LOOM_LEARN_MIXTURE_H
#define LOOM_LEARN_MIXTURE_H

#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

#define LOOM_MIXTURE_MAX 16

typedef struct loom_mixture {
    int n;                                                                          /* components kept */
    double mean[LOOM_MIXTURE_MAX], std[LOOM_MIXTURE_MAX], weight[LOOM_MIXTURE_MAX]; /* weights before dropping */
    /* for responsibilities: variational parameters of those kept */
    double log_weight[LOOM_MIXTURE_MAX], beta[LOOM_MIXTURE_MAX], nu[LOOM_MIXTURE_MAX];
    int64_t rounds;
    double bound; /* after the last round */
} loom_mixture;

/* n >= 1 finite values; at most `components` <= LOOM_MIXTURE_MAX. Starts from k-means; ends after 100 rounds or
 * when the bound moves by less than 0.001 a round. */
loom_status loom_mixture_fit(loom_mixture *m, const double *x, int64_t n, int components, loom_err *err);
/* p (n components), summing to 1: responsibilities of the components kept, 1e-6 added to each. */
void loom_mixture_responsibilities(double *p, const loom_mixture *m, double x);
int loom_mixture_draw(const loom_mixture *m, double x, loom_rng *rng);

/* psi, the derivative of log gamma, for x > 0. */
double loom_digamma(double x);

#endif
