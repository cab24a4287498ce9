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

/* Mann-Whitney's U of the bins from .. to - 1 of two histograms. */
typedef struct rank_sum {
    double na, nb, u, variance;
    bool usable; /* the normal limit is good enough */
} rank_sum;

static rank_sum rank_sum_of(const int64_t *x, const int64_t *y, int32_t from, int32_t to)
{
    rank_sum r = {0};
    double ties = 0, most = 0;
    for (int32_t i = from; i < to; i++) {
        double p = (double)x[i], q = (double)y[i], t = p + q;
        r.u += q * (r.na + p / 2);
        r.na += p;
        r.nb += q;
        ties += t * t * t - t;
        most = fmax(most, t);
    }
    double all = r.na + r.nb, less = fmin(r.na, r.nb);
    r.usable = less >= 10 && (all - most) * less / all >= 10;
    r.variance = all < 2 ? 0 : r.na * r.nb / 12 * (all + 1 - ties / (all * (all - 1)));
    return r;
}

static double p_of_sum(double off, double variance) { return erfc(fmax(0, off) / sqrt(variance) / sqrt(2)); }

double loom_times_test(const loom_time_counts *a, const loom_time_counts *b, double *superiority)
{
    int64_t x[LOOM_TIME_BINS], y[LOOM_TIME_BINS];
    int32_t n = loom_time_counts_spread(a, x), m = loom_time_counts_spread(b, y);
    rank_sum r = rank_sum_of(x, y, 0, n > m ? n : m);
    *superiority = r.na > 0 && r.nb > 0 ? r.u / (r.na * r.nb) : NAN;
    return r.usable ? p_of_sum(fabs(r.u - r.na * r.nb / 2) - .5, r.variance) : NAN;
}

/* The bin from which on durations are the long ones: the variance between the two kinds is largest. */
static int32_t parting(const int64_t *x, const int64_t *y, int32_t bins)
{
    double all = 0, sum = 0, n = 0, part = 0, best = 0;
    int32_t at = 0;
    for (int32_t i = 0; i < bins; i++) {
        double t = (double)(x[i] + y[i]);
        all += t;
        sum += t * log1p((double)loom_time_bin_value(i));
    }
    for (int32_t i = 0; i + 1 < bins; i++) {
        double t = (double)(x[i] + y[i]);
        n += t;
        part += t * log1p((double)loom_time_bin_value(i));
        if (t <= 0 || n >= all) continue;
        double apart = part / n - (sum - part) / (all - n), between = n * (all - n) * apart * apart;
        if (between > best) {
            best = between;
            at = i + 1;
        }
    }
    return at;
}

double loom_kinds_test(const loom_time_counts *a, const loom_time_counts *b, double *superiority)
{
    int64_t x[LOOM_TIME_BINS], y[LOOM_TIME_BINS];
    int32_t n = loom_time_counts_spread(a, x), m = loom_time_counts_spread(b, y), bins = n > m ? n : m;
    int32_t at = parting(x, y, bins);
    rank_sum kinds[2] = {rank_sum_of(x, y, 0, at), rank_sum_of(x, y, at, bins)};
    double u = 0, pairs = 0, variance = 0;

    *superiority = NAN;
    if (!kinds[0].usable || !kinds[1].usable) return NAN;
    for (int k = 0; k < 2; k++) {
        double w = 1 / (kinds[k].na + kinds[k].nb + 1);
        u += w * kinds[k].u;
        pairs += w * kinds[k].na * kinds[k].nb;
        variance += w * w * kinds[k].variance;
    }
    *superiority = u / pairs;
    return p_of_sum(fabs(u - pairs / 2), variance);
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
