/* How often each duration was seen: a histogram of whole milliseconds, exact below 256 ms, above to one part in 128.
 *
 *   loom_time_counts t = {0};
 *   loom_time_counts_add(&t, 17, 1);
 *   double median = loom_time_counts_quantile(&t, 0.5);
 *   loom_time_counts_release(&t);
 *
 * Memory depends on how many different values there are, not on how many were added; adding and merging commute, so the
 * order and the number of threads do not matter. Values below 0 count as 0, above 2^40 ms (34 years) as that. */
#ifndef LOOM_SYSTEM_TIME_COUNTS_H
#define LOOM_SYSTEM_TIME_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"

typedef struct loom_time_counts {
    uint64_t *cells; /* few: (count << 13 | bin), in no order; many: one count for each bin */
    int32_t n, cap;  /* cells in use, allocated */
    bool dense;
    int64_t total, sum; /* values, and their sum in ms */
} loom_time_counts;     /* zero-initialised is ready */

#define LOOM_TIME_BINS 4608 /* bins are 0 .. this - 1 */

int32_t loom_time_bin(int64_t ms);
int64_t loom_time_bin_value(int32_t bin); /* its middle; exact below 256 */

/* False: no memory, the counts are as they were. */
bool loom_time_counts_add(loom_time_counts *t, int64_t ms, int64_t times) __attribute__((warn_unused_result));
bool loom_time_counts_merge(loom_time_counts *into, const loom_time_counts *from) __attribute__((warn_unused_result));
/* The same, and `from` is empty afterwards: an empty `into` takes its memory. */
bool loom_time_counts_take(loom_time_counts *into, loom_time_counts *from) __attribute__((warn_unused_result));
void loom_time_counts_release(loom_time_counts *t);

/* Fills counts[LOOM_TIME_BINS] and returns the number of bins up to the last one in use. */
int32_t loom_time_counts_spread(const loom_time_counts *t, int64_t *counts);

/* Numbers of what was added; NaN of nothing. Quantile: element floor(q n) of the sorted values, the last one at
 * most. */
double loom_time_counts_quantile(const loom_time_counts *t, double q);
double loom_time_counts_mean(const loom_time_counts *t);
/* Mean and standard deviation of ln of the values above 0. */
void loom_time_counts_lognormal(const loom_time_counts *t, double *mu, double *sigma);

/* Values to draw from: the running sums of a histogram's bins. */
typedef struct loom_time_draw {
    int32_t n;
    int64_t *values, *until; /* value i is drawn for u in until[i-1] .. until[i] - 1 */
} loom_time_draw;
bool loom_time_draw_init(loom_time_draw *d, const loom_time_counts *t) __attribute__((warn_unused_result));
int64_t loom_time_draw_one(const loom_time_draw *d, loom_rng *rng); /* 0 of nothing */
void loom_time_draw_release(loom_time_draw *d);

#endif
