#include "system/time_counts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"

#define EXACT    256 /* values below it have a bin of their own */
#define PARTS    128 /* bins of each further power of two */
#define BIN_BITS 13
#define MOST_MS  ((int64_t)1 << 40)
#define FEW      48 /* cells before a bin for each value takes less */

int32_t loom_time_bin(int64_t ms)
{
    if (ms < 0) ms = 0;
    if (ms >= MOST_MS) ms = MOST_MS;
    if (ms < EXACT) return (int32_t)ms;
    int e = 63 - __builtin_clzll((unsigned long long)ms);
    return (int32_t)(EXACT + (e - 8) * PARTS + ((ms >> (e - 7)) - PARTS));
}

int64_t loom_time_bin_value(int32_t bin)
{
    if (bin < EXACT) return bin;
    int e = 8 + (bin - EXACT) / PARTS;
    int64_t low = (int64_t)(PARTS + (bin - EXACT) % PARTS) << (e - 7);
    return low + (((int64_t)1 << (e - 7)) >> 1);
}

static bool make_dense(loom_time_counts *t, int32_t need)
{
    int32_t most = need;
    for (int32_t i = 0; i < t->n; i++) {
        int32_t bin = (int32_t)(t->cells[i] & ((1u << BIN_BITS) - 1)) + 1;
        if (bin > most) most = bin;
    }
    int32_t cap = (most + 63) / 64 * 64;
    uint64_t *cells = loom_calloc((size_t)cap, sizeof *cells);
    if (!cells) return false;
    for (int32_t i = 0; i < t->n; i++) cells[t->cells[i] & ((1u << BIN_BITS) - 1)] += t->cells[i] >> BIN_BITS;
    free(t->cells);
    t->cells = cells;
    t->n = most;
    t->cap = cap;
    t->dense = true;
    return true;
}

static bool reach(loom_time_counts *t, int32_t n)
{
    if (n > t->cap) {
        int32_t cap = (n + n / 4 + 63) / 64 * 64;
        uint64_t *cells = loom_realloc(t->cells, (size_t)cap, sizeof *cells);
        if (!cells) return false;
        memset(cells + t->cap, 0, (size_t)(cap - t->cap) * sizeof *cells);
        t->cells = cells;
        t->cap = cap;
    }
    if (n > t->n) t->n = n;
    return true;
}

static bool add_sparse(loom_time_counts *t, int32_t bin, uint64_t times)
{
    for (int32_t i = 0; i < t->n; i++)
        if ((t->cells[i] & ((1u << BIN_BITS) - 1)) == (uint64_t)bin) {
            t->cells[i] += times << BIN_BITS;
            return true;
        }
    if (t->n == t->cap) {
        int32_t cap = t->cap ? t->cap * 2 : 4;
        uint64_t *cells = loom_realloc(t->cells, (size_t)cap, sizeof *cells);
        if (!cells) return false;
        t->cells = cells;
        t->cap = cap;
    }
    t->cells[t->n++] = times << BIN_BITS | (uint64_t)bin;
    return true;
}

static bool add_bin(loom_time_counts *t, int32_t bin, int64_t times)
{
    if (!t->dense && t->n >= FEW && !make_dense(t, bin + 1)) return false;
    if (!t->dense) return add_sparse(t, bin, (uint64_t)times);
    if (!reach(t, bin + 1)) return false;
    t->cells[bin] += (uint64_t)times;
    return true;
}

bool loom_time_counts_add(loom_time_counts *t, int64_t ms, int64_t times)
{
    if (ms < 0) ms = 0;
    if (ms > MOST_MS) ms = MOST_MS;
    if (times <= 0) return true;
    if (!add_bin(t, loom_time_bin(ms), times)) return false;
    t->total += times;
    t->sum += ms * times;
    return true;
}

bool loom_time_counts_merge(loom_time_counts *into, const loom_time_counts *from)
{
    for (int32_t i = 0; i < from->n; i++) {
        int32_t bin = from->dense ? i : (int32_t)(from->cells[i] & ((1u << BIN_BITS) - 1));
        uint64_t times = from->dense ? from->cells[i] : from->cells[i] >> BIN_BITS;
        if (times && !add_bin(into, bin, (int64_t)times)) return false;
    }
    into->total += from->total;
    into->sum += from->sum;
    return true;
}

bool loom_time_counts_take(loom_time_counts *into, loom_time_counts *from)
{
    if (into->cells) {
        if (!loom_time_counts_merge(into, from)) return false;
        loom_time_counts_release(from);
    } else {
        *into = *from;
        *from = (loom_time_counts){0};
    }
    return true;
}

void loom_time_counts_release(loom_time_counts *t)
{
    free(t->cells);
    *t = (loom_time_counts){0};
}

int32_t loom_time_counts_spread(const loom_time_counts *t, int64_t *counts)
{
    int32_t last = 0;
    memset(counts, 0, LOOM_TIME_BINS * sizeof *counts);
    for (int32_t i = 0; i < t->n; i++) {
        int32_t bin = t->dense ? i : (int32_t)(t->cells[i] & ((1u << BIN_BITS) - 1));
        uint64_t times = t->dense ? t->cells[i] : t->cells[i] >> BIN_BITS;
        counts[bin] = (int64_t)times;
        if (times && bin + 1 > last) last = bin + 1;
    }
    return last;
}

double loom_time_counts_quantile(const loom_time_counts *t, double q)
{
    int64_t counts[LOOM_TIME_BINS], before = 0;
    if (t->total == 0) return NAN;
    int32_t n = loom_time_counts_spread(t, counts);
    int64_t rank = (int64_t)floor(q * (double)t->total);
    if (rank >= t->total) rank = t->total - 1;
    for (int32_t b = 0; b < n; b++) {
        before += counts[b];
        if (before > rank) return (double)loom_time_bin_value(b);
    }
    return (double)loom_time_bin_value(n - 1);
}

double loom_time_counts_mean(const loom_time_counts *t) { return t->total ? (double)t->sum / (double)t->total : NAN; }

void loom_time_counts_lognormal(const loom_time_counts *t, double *mu, double *sigma)
{
    int64_t counts[LOOM_TIME_BINS];
    int32_t n = loom_time_counts_spread(t, counts);
    double many = 0, sum = 0, squares = 0;
    for (int32_t b = 1; b < n; b++) {
        double ln = log((double)loom_time_bin_value(b)), k = (double)counts[b];
        many += k;
        sum += k * ln;
        squares += k * ln * ln;
    }
    *mu = many > 0 ? sum / many : NAN;
    *sigma = many > 0 ? sqrt(fmax(0, squares / many - *mu * *mu)) : NAN;
}

bool loom_time_draw_init(loom_time_draw *d, const loom_time_counts *t)
{
    int64_t counts[LOOM_TIME_BINS], before = 0;
    int32_t bins = loom_time_counts_spread(t, counts), n = 0;
    *d = (loom_time_draw){0};
    for (int32_t b = 0; b < bins; b++) n += counts[b] > 0;
    if (n == 0) return true;
    d->values = loom_alloc((size_t)n, sizeof *d->values);
    d->until = loom_alloc((size_t)n, sizeof *d->until);
    if (!d->values || !d->until) {
        loom_time_draw_release(d);
        return false;
    }
    for (int32_t b = 0; b < bins; b++)
        if (counts[b]) {
            d->values[d->n] = loom_time_bin_value(b);
            d->until[d->n++] = before += counts[b];
        }
    return true;
}

int64_t loom_time_draw_one(const loom_time_draw *d, loom_rng *rng)
{
    if (d->n == 0) return 0;
    int64_t u = (int64_t)loom_rng_below(rng, (uint64_t)d->until[d->n - 1]);
    int32_t lo = 0, hi = d->n - 1;
    while (lo < hi) {
        int32_t mid = (lo + hi) / 2;
        if (d->until[mid] > u) hi = mid;
        else lo = mid + 1;
    }
    return d->values[lo];
}

void loom_time_draw_release(loom_time_draw *d)
{
    free(d->values);
    free(d->until);
    *d = (loom_time_draw){0};
}
