/* Numbers that compare: proportions with intervals, distances between distributions, rank statistics.
 *
 * Pure functions of arrays: no input or output, no traces. Samples of a distribution are doubles, counts are int64_t.
 * NaN is returned where a number is not defined (n = 0, an empty sample); callers write it as an empty CSV field. */
#ifndef LOOM_EVAL_METRICS_H
#define LOOM_EVAL_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"

typedef struct loom_interval {
    double value, lo, hi;
} loom_interval;

/* k successes of n: value k/n and the 95 % Wilson score interval
 *   centre = (p + z^2/2n) / (1 + z^2/n),  half = z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n),  z = 1.959964
 * n = 0: value NaN, interval [0, 1]. */
loom_interval loom_metrics_wilson(int64_t k, int64_t n);

/* How far a count vector S is from R over the same n_keys keys (the most popular calls of R):
 *   P = R / sum R,  Q = (S + alpha) / (sum S + alpha n_keys)
 * other_r and other_s count what falls outside the keys; kl_other adds them as one more key on both sides. */
typedef struct loom_divergence {
    double kl_pq;    /* sum P ln(P/Q), nats */
    double kl_qp;    /* sum Q ln(Q/P); keys with P = 0 get the same alpha in P */
    double js;       /* Jensen-Shannon, nats, of P and Q */
    double tv;       /* total variation, 1/2 sum |P - Q|, Q without alpha */
    double coverage; /* share of the keys with S > 0 */
    double kl_other; /* kl_pq with the bucket "other" */
} loom_divergence;
loom_divergence loom_metrics_divergence(const int64_t *R, const int64_t *S, int64_t n_keys, int64_t other_r,
                                        int64_t other_s, double alpha);

/* Share of the K largest keys of R that are among the K largest of S. Order: larger count first, then smaller index.
 * Only keys with a count take part; K_eff = min(K, keys with R > 0) is what the share is taken of. `expected` replaces
 * the arbitrary choice among ties at rank K by its mean over all choices. */
typedef struct loom_overlap {
    int64_t K_eff;
    double overlap, expected;
} loom_overlap;
loom_overlap loom_metrics_topk(const int64_t *R, const int64_t *S, int64_t n_keys, int64_t K);

/* Wasserstein-1 distance of two samples in one dimension, the area between their distribution functions.
 * _sorted sweeps the merged values of two ascending arrays; _cdf does the same from counts of the integers
 * first .. first + n_bins - 1 (for whole milliseconds and degrees); _counts from counts of the ascending distinct
 * `values`, for resampling without sorting again. Empty sample: NaN. */
double loom_metrics_w1_sorted(const double *a, int64_t n, const double *b, int64_t m);
double loom_metrics_w1_cdf(const int64_t *count_a, const int64_t *count_b, int64_t n_bins);
double loom_metrics_w1_counts(const double *values, const int64_t *count_a, const int64_t *count_b, int64_t n_values);

void loom_metrics_sort(double *values, int64_t n); /* ascending, in place */
/* Element floor(q n) of an ascending array, the last one at most: the toolkit's percentile everywhere. */
double loom_metrics_quantile(const double *sorted, int64_t n, double q);
double loom_metrics_mean(const double *values, int64_t n);
double loom_metrics_std(const double *values, int64_t n); /* population standard deviation */

/* Mean difference of two of the values, without sign: what another seed changes. NaN for less than two. */
double loom_metrics_noise(const double *values, int64_t n);

/* Area under the ROC curve by mid-ranks; NaN without both classes. */
double loom_metrics_auc(const double *scores, const bool *positive, int64_t n);
/* Average precision: sum (R_i - R_(i-1)) P_i over distinct thresholds in falling order. */
double loom_metrics_average_precision(const double *scores, const bool *positive, int64_t n);

/* A statistic t of a sample, and what the bootstrap says of the population's: t*_q is the quantile q of the resamples.
 * Distances (KL, W1) come out too large, the more so the smaller the sample; a resample adds the same excess again, so
 * that the middle of the resamples lies above t, which lies above the truth. The basic interval takes that off:
 *   corrected = 2 t - mean t*,   [lo, hi] = [2 t - t*_.975, 2 t - t*_.025]
 * It belongs to `corrected`, which it contains; t itself may lie above it. */
typedef struct loom_estimate {
    double value, corrected, lo, hi;
} loom_estimate;

/* 95 % basic bootstrap of n_out statistics of the same resamples: `statistic` sees how often each of n units was drawn
 * (n draws with replacement), `resamples` times, and fills values[n_out]. No statistic can be below `least` (0 for a
 * distance, -INFINITY for none): corrected, lo and hi are cut off there. NaN results are left out; without
 * resamples only value is a number, without units or memory none is. */
typedef void (*loom_statistic)(void *arg, const int32_t *times, int64_t n, double *values);
void loom_metrics_bootstrap(loom_estimate *out, int n_out, loom_statistic statistic, void *arg, int64_t n,
                            int64_t resamples, double least, loom_rng *rng);

#endif
