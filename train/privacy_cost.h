/* What training with noise gives away: the accountant of the subsampled Gaussian mechanism.
 *
 * A step draws every unit (here: a graph) with probability `rate`, independently, cuts its gradient to a norm of at
 * most C, adds them up and adds normal noise of standard deviation noise * C to every coordinate. Two sets of units
 * that differ in one unit, there in one and absent from the other, then give results that are hardly told apart:
 *
 *   Renyi divergence of order a of one step     I. Mironov, K. Talwar, L. Zhang, Renyi Differential Privacy of the
 *                                               Sampled Gaussian Mechanism (arXiv 1908.10530), sections 3.3: sums for
 *                                               whole orders, two series for others; steps add up
 *   from it to (epsilon, delta)                 B. Balle et al., Hypothesis Testing Interpretations and Renyi
 *                                               Differential Privacy (arXiv 1905.09982), theorem 21:
 *                                               epsilon = R + log((a - 1) / a) - (log delta + log a) / (a - 1),
 *                                               the least over the orders a
 *
 * Pure functions. docs/MATH.md derives them. */
#ifndef LOOM_TRAIN_PRIVACY_COST_H
#define LOOM_TRAIN_PRIVACY_COST_H

#include <stdint.h>

typedef struct loom_privacy_steps {
    double rate;   /* chance of a unit to be in a step, 0 < rate <= 1 */
    double noise;  /* standard deviation over the clipping norm, > 0 */
    int64_t steps; /* >= 0 */
} loom_privacy_steps;

/* Renyi divergence of one step, of order > 1; +INFINITY where it is too large to tell. */
double loom_privacy_divergence(double order, double rate, double noise);

/* Epsilon of all steps at this delta, 0 < delta < 1; *order (may be NULL) receives the order that gives it. */
double loom_privacy_epsilon(const loom_privacy_steps *s, double delta, double *order);

/* The least noise, to four digits and rounded up, with which all steps cost at most epsilon > 0; s->noise is not read.
 * NAN: none up to a million. */
double loom_privacy_noise(const loom_privacy_steps *s, double epsilon, double delta);

#endif
