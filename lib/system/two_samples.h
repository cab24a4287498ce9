/* Tests of two samples against each other, and what to make of many of them. Pure functions of counts.
 *
 * Shares: Fisher's exact test, two-sided (all tables with these margins that are no more likely than the one seen), and
 * Pearson's chi-square with Yates' continuity correction where every expected count is at least 100.
 * Durations: Mann-Whitney's U with correction for ties and continuity, by its normal limit; not tested (p NaN)
 * where that is no good: fewer than 10 values in a sample, or fewer than 10 expected in the smaller one outside the
 * most frequent value.
 * Many tests: Benjamini and Hochberg's step-up procedure (1995). */
#ifndef LOOM_SYSTEM_TWO_SAMPLES_H
#define LOOM_SYSTEM_TWO_SAMPLES_H

#include "system/time_counts.h"

/* k1 of n1 against k2 of n2. NaN when a sample is empty. */
double loom_share_test(int64_t k1, int64_t n1, int64_t k2, int64_t n2);

/* ln of (k2/n2) / (k1/n1) with its 95 % interval; half a case is added to each count so that zeros have one too. */
typedef struct loom_log_ratio {
    double value, lo, hi;
} loom_log_ratio;
loom_log_ratio loom_share_ratio(int64_t k1, int64_t n1, int64_t k2, int64_t n2);

/* *superiority: P(a value of b > one of a) + P(equal) / 2; NaN of nothing. */
double loom_times_test(const loom_time_counts *a, const loom_time_counts *b, double *superiority);

/* The same within the short and within the long ones, for durations of two kinds (a cache that has it or not): there a
 * change of both is lost in what lies between them. Parted where both samples together fall apart most, by ln(1 + ms)
 * (Otsu 1979); sums of ranks weighted by 1 / (n + 1) (van Elteren 1960). NaN where either kind is too few. */
double loom_kinds_test(const loom_time_counts *a, const loom_time_counts *b, double *superiority);

/* q[i]: the smallest false discovery rate at which test i is a discovery; NaN where p[i] is. Returns how many are
 * at most `rate`; -1: no memory. */
int64_t loom_discoveries(double *q, const double *p, int64_t n, double rate);

#endif
