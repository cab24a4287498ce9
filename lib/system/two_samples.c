#include "system/two_samples.h"

#include <math.h>
#include <stdlib.h>

#include "core/num.h"

static double ln_choose(int64_t n, int64_t k)
{
    return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1);
}

/* Sum over one side of the table seen, outwards from `x`, of tables not more likely than `seen`; terms by their
 * ratio. */
static double tail(int64_t x, int64_t end, int step, int64_t k, int64_t n1, int64_t n2, double seen)
{
    double sum = 0, p = exp(ln_choose(n1, x) + ln_choose(n2, k - x) - ln_choose(n1 + n2, k));
    for (;;) {
        if (p <= seen * (1 + 1e-7)) sum += p;
        if (x == end || (p < seen * 1e-12 && p < 1e-30)) return sum;
        double up = step > 0 ? (double)(n1 - x) * (double)(k - x) / ((double)(x + 1) * (double)(n2 - k + x + 1))
                             : (double)x * (double)(n2 - k + x) / ((double)(n1 - x + 1) * (double)(k - x + 1));
        p *= up;
        x += step;
    }
}

static double fisher(int64_t k1, int64_t n1, int64_t k2, int64_t n2)
{
    int64_t k = k1 + k2, least = loom_max_i64(0, k - n2), most = loom_min_i64(k, n1);
    double seen = exp(ln_choose(n1, k1) + ln_choose(n2, k2) - ln_choose(n1 + n2, k));
    int64_t mode = (int64_t)floor((double)(k + 1) * (double)(n1 + 1) / (double)(n1 + n2 + 2));
    mode = loom_max_i64(least, loom_min_i64(most, mode));
    double p = tail(mode, most, 1, k, n1, n2, seen);
    if (mode > least) p += tail(mode - 1, least, -1, k, n1, n2, seen);
    return p < 1 ? p : 1;
}

double loom_share_test(int64_t k1, int64_t n1, int64_t k2, int64_t n2)
{
    if (n1 <= 0 || n2 <= 0) return NAN;
    double a = (double)k1, b = (double)(n1 - k1), c = (double)k2, d = (double)(n2 - k2), n = a + b + c + d;
    if (a + c == 0 || b + d == 0) return 1;
    double least = fmin(a + c, b + d) * fmin(a + b, c + d) / n;
    if (least < 100) return fisher(k1, n1, k2, n2);
    double off = fmax(0, fabs(a * d - b * c) - n / 2);
    double chi = n * off * off / ((a + b) * (c + d) * (a + c) * (b + d));
    return erfc(sqrt(chi / 2));
}

loom_log_ratio loom_share_ratio(int64_t k1, int64_t n1, int64_t k2, int64_t n2)
{
    double a = (double)k1 + .5, b = (double)n1 + .5, c = (double)k2 + .5, d = (double)n2 + .5;
    double value = log(c / d) - log(a / b), half = 1.959964 * sqrt(fmax(0, 1 / a - 1 / b + 1 / c - 1 / d));
    return (loom_log_ratio){value, value - half, value + half};
}

double loom_times_test(const loom_time_counts *a, const loom_time_counts *b, double *superiority)
{
    int64_t x[LOOM_TIME_BINS], y[LOOM_TIME_BINS];
    int32_t n = loom_time_counts_spread(a, x), m = loom_time_counts_spread(b, y), bins = n > m ? n : m;
    double na = (double)a->total, nb = (double)b->total, all = na + nb, below = 0, u = 0, ties = 0, most = 0;

    *superiority = NAN;
    if (a->total == 0 || b->total == 0) return NAN;
    for (int32_t i = 0; i < bins; i++) {
        double p = (double)x[i], q = (double)y[i], t = p + q;
        u += q * (below + p / 2);
        below += p;
        ties += t * t * t - t;
        most = fmax(most, t);
    }
    *superiority = u / (na * nb);
    if (fmin(na, nb) < 10 || (all - most) * fmin(na, nb) / all < 10) return NAN;
    double variance = na * nb / 12 * (all + 1 - ties / (all * (all - 1)));
    double z = fmax(0, fabs(u - na * nb / 2) - .5) / sqrt(variance);
    return erfc(z / sqrt(2));
}

typedef struct ranked {
    double p;
    int64_t i;
} ranked;

static int by_p(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->p < y->p ? -1 : x->p > y->p ? 1 : x->i < y->i ? -1 : x->i > y->i;
}

int64_t loom_discoveries(double *q, const double *p, int64_t n, double rate)
{
    ranked *list = loom_alloc((size_t)n, sizeof *list);
    int64_t m = 0, found = 0;
    if (!list) return -1;
    for (int64_t i = 0; i < n; i++) {
        q[i] = NAN;
        if (!isnan(p[i])) list[m++] = (ranked){p[i], i};
    }
    qsort(list, (size_t)m, sizeof *list, by_p);
    double least = 1;
    for (int64_t r = m; r-- > 0;) {
        least = fmin(least, list[r].p * (double)m / (double)(r + 1));
        q[list[r].i] = least;
        found += least <= rate;
    }
    free(list);
    return found;
}
