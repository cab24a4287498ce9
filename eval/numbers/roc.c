#include "eval/numbers/roc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"

/* Members of `sorted` below v, ties counted half. */
static double below(const double *sorted, int64_t n, double v)
{
    int64_t lo = 0, hi = n, first;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (sorted[mid] < v) lo = mid + 1;
        else hi = mid;
    }
    for (first = lo, hi = n; lo < hi;) {
        int64_t mid = lo + (hi - lo) / 2;
        if (sorted[mid] <= v) lo = mid + 1;
        else hi = mid;
    }
    return (double)first + 0.5 * (double)(lo - first);
}

/* Mean and variance of the shares of `others` below each of the values: the placements of DeLong. */
static void placements(double *mean, double *variance, const double *values, int64_t n, const double *others, int64_t m)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double share = below(others, m, values[i]) / (double)m;
        sum += share;
        squares += share * share;
    }
    *mean = sum / (double)n;
    *variance = n > 1 ? fmax(0, (squares - sum * *mean) / (double)(n - 1)) : 0.25;
}

static double *sorted_copy(const double *values, int64_t n)
{
    double *copy = loom_alloc((size_t)n + 1, sizeof *copy);
    if (!copy) return NULL;
    memcpy(copy, values, (size_t)n * sizeof *copy);
    loom_metrics_sort(copy, n);
    return copy;
}

loom_status loom_roc_of(loom_roc *out, const double *x, int64_t n, const double *y, int64_t m, loom_err *err)
{
    double *xs = sorted_copy(x, n), *ys = sorted_copy(y, m), mean, other, v10, v01;
    if (!xs || !ys) {
        free(xs);
        free(ys);
        return loom_fail_nomem(err, "scores");
    }
    placements(&mean, &v10, xs, n, ys, m);
    placements(&other, &v01, ys, m, xs, n);
    double half = 1.959964 * sqrt(v10 / (double)n + v01 / (double)m);
    if (mean <= 0 || mean >= 1) half = 3.0 / (double)loom_min_i64(n, m);
    out->auc = (loom_interval){mean, fmax(0, mean - half), fmin(1, mean + half)};
    int64_t allowed = m / 100;
    double threshold = ys[m - 1 - allowed]; /* at most `allowed` of the second group lie above it */
    int64_t caught = 0, alarms = 0;
    for (int64_t i = 0; i < n; i++) caught += xs[i] > threshold;
    for (int64_t i = 0; i < m; i++) alarms += ys[i] > threshold;
    out->caught = (double)caught / (double)n;
    out->alarms = (double)alarms / (double)m;
    free(xs);
    free(ys);
    return LOOM_OK;
}
