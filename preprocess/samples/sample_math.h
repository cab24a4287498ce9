/* Arithmetic of the sample traces that gives the same bits on every machine: own polynomials instead of libm, which
 * differs between versions and CPUs, and no fused multiply-add (CMakeLists.txt compiles sample_*.c with
 * -ffp-contract=off). Relative error about 1e-15. */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_MATH_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_MATH_H

#include <stdint.h>

#include "core/rng.h"

double loom_sample_log(double x);       /* natural logarithm of a normal x > 0 */
double loom_sample_exp(double x);       /* x is clamped to -700 .. 700 */
double loom_sample_sin_turns(double t); /* sin(2 pi t), t in [0, 1] */

double loom_sample_normal(loom_rng *r, double mean, double sd); /* polar method */
double loom_sample_uniform(loom_rng *r, double low, double high);
/* Failures before the first success of a geometric distribution with this mean, at most `max`. */
int64_t loom_sample_geometric(loom_rng *r, double mean, int64_t max);
/* Index drawn by weights (n of them, any positive sum). */
int64_t loom_sample_pick(loom_rng *r, const double *weights, int64_t n);
/* The same from running sums cum[0] <= ... <= cum[n - 1], by bisection. */
int64_t loom_sample_pick_cum(loom_rng *r, const double *cum, int64_t n);
/* Fills cum[0..n) with running sums of the weights 1 / (rank + shift)^s, rank from 0. */
void loom_sample_zipf_cum(double *cum, int64_t n, double shift, double s);

#endif
