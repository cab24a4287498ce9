#include "eval/numbers/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "core/file.h"
#include "core/num.h"

loom_interval loom_metrics_wilson(int64_t k, int64_t n)
{
    if (n <= 0) return (loom_interval){NAN, 0.0, 1.0};
    const double z = 1.959963984540054;
    double count = (double)n, p = (double)k / count, z2 = z * z / count;
    double centre = (p + z2 / 2) / (1 + z2);
    double half = z * sqrt(p * (1 - p) / count + z2 / (4 * count)) / (1 + z2);
    /* at the ends the interval touches 0 or 1 exactly; rounding must not say otherwise */
    double lo = k == 0 ? 0.0 : centre - half, hi = k == n ? 1.0 : centre + half;
    return (loom_interval){p, lo, hi};
}

static int64_t sum_counts(const int64_t *counts, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += counts[i];
    return sum;
}

static double kl_term(double p, double q)
{
    if (p <= 0) return 0;
    return q > 0 ? p * log(p / q) : INFINITY;
}

loom_divergence loom_metrics_divergence(const int64_t *R, const int64_t *S, int64_t n_keys, int64_t other_r,
                                        int64_t other_s, double alpha)
{
    loom_divergence d = {NAN, NAN, NAN, NAN, NAN, NAN};
    double sum_r = (double)sum_counts(R, n_keys), sum_s = (double)sum_counts(S, n_keys);
    double smooth = alpha * (double)n_keys;

    if (n_keys == 0 || sum_r == 0) return d;
    d = (loom_divergence){0};
    double all_r = sum_r + (double)other_r, all_s = sum_s + (double)other_s + alpha * (double)(n_keys + 1);
    int64_t covered = 0;
    for (int64_t c = 0; c < n_keys; c++) {
        double r = (double)R[c], s = (double)S[c];
        double p = r / sum_r, p_smooth = (r + alpha) / (sum_r + smooth);
        double q = (s + alpha) / (sum_s + smooth), mid = (p + q) / 2;
        d.kl_pq += kl_term(p, q);
        d.kl_qp += kl_term(q, r > 0 ? p : p_smooth);
        d.js += (kl_term(p, mid) + kl_term(q, mid)) / 2;
        d.tv += fabs(p - (sum_s > 0 ? s / sum_s : 0)) / 2;
        d.kl_other += kl_term(r / all_r, (s + alpha) / all_s);
        covered += S[c] > 0;
    }
    d.kl_other += kl_term((double)other_r / all_r, ((double)other_s + alpha) / all_s);
    d.coverage = (double)covered / (double)n_keys;
    if (sum_s == 0) d.tv = 1;
    return d;
}

/* ---- top K ---- */

typedef struct ranked {
    int64_t count, key;
} ranked;

static int by_count(const void *pa, const void *pb)
{
    const ranked *a = pa, *b = pb;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return a->key < b->key ? -1 : a->key > b->key;
}

/* member[key] = 1 for the K first keys; chance[key] = probability of being among them with ties drawn at random. */
static int64_t rank_keys(const int64_t *counts, int64_t n_keys, int64_t K, double *member, double *chance)
{
    ranked *order = loom_alloc((size_t)n_keys, sizeof *order);
    int64_t n = 0;
    if (!order) return 0;
    for (int64_t i = 0; i < n_keys; i++) {
        member[i] = chance[i] = 0;
        if (counts[i] > 0) order[n++] = (ranked){counts[i], i};
    }
    qsort(order, (size_t)n, sizeof *order, by_count);
    int64_t top = loom_min_i64(K, n), above = 0, tied = 0;
    int64_t threshold = top > 0 ? order[top - 1].count : 0;
    for (int64_t i = 0; i < n; i++) {
        above += order[i].count > threshold;
        tied += order[i].count == threshold;
    }
    for (int64_t i = 0; i < n; i++) {
        member[order[i].key] = i < top;
        if (order[i].count > threshold) chance[order[i].key] = 1;
        else if (order[i].count == threshold) chance[order[i].key] = (double)(top - above) / (double)tied;
    }
    free(order);
    return top;
}

loom_overlap loom_metrics_topk(const int64_t *R, const int64_t *S, int64_t n_keys, int64_t K)
{
    double *work = loom_alloc((size_t)n_keys * 4, sizeof *work);
    if (!work) return (loom_overlap){0, NAN, NAN};
    double *in_r = work, *in_s = work + n_keys, *may_r = work + 2 * n_keys, *may_s = work + 3 * n_keys;
    loom_overlap out = {rank_keys(R, n_keys, K, in_r, may_r), 0, 0};
    rank_keys(S, n_keys, out.K_eff, in_s, may_s);
    for (int64_t i = 0; i < n_keys; i++) {
        out.overlap += in_r[i] * in_s[i];
        out.expected += may_r[i] * may_s[i];
    }
    out.overlap = out.K_eff ? out.overlap / (double)out.K_eff : NAN;
    out.expected = out.K_eff ? out.expected / (double)out.K_eff : NAN;
    free(work);
    return out;
}

/* ---- one dimension ---- */

static int by_value(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return a < b ? -1 : a > b;
}

void loom_metrics_sort(double *values, int64_t n) { qsort(values, (size_t)n, sizeof *values, by_value); }

double loom_metrics_w1_sorted(const double *a, int64_t n, const double *b, int64_t m)
{
    if (n <= 0 || m <= 0) return NAN;
    int64_t i = 0, j = 0;
    double area = 0, current = a[0] < b[0] ? a[0] : b[0];
    while (i < n || j < m) { /* i values of a and j of b are <= current */
        double next = j >= m || (i < n && a[i] <= b[j]) ? a[i] : b[j];
        area += fabs((double)i / (double)n - (double)j / (double)m) * (next - current);
        current = next;
        while (i < n && a[i] <= current) i++;
        while (j < m && b[j] <= current) j++;
    }
    return area;
}

/* Between two neighbouring values both functions are flat. values NULL: 0, 1, 2, ... */
static double area_between(const double *values, const int64_t *count_a, const int64_t *count_b, int64_t n_values)
{
    double n = (double)sum_counts(count_a, n_values), m = (double)sum_counts(count_b, n_values);
    if (n == 0 || m == 0) return NAN;
    int64_t below_a = 0, below_b = 0;
    double area = 0;
    for (int64_t i = 0; i + 1 < n_values; i++) {
        below_a += count_a[i];
        below_b += count_b[i];
        area += fabs((double)below_a / n - (double)below_b / m) * (values ? values[i + 1] - values[i] : 1);
    }
    return area;
}

double loom_metrics_w1_cdf(const int64_t *count_a, const int64_t *count_b, int64_t n_bins)
{
    return area_between(NULL, count_a, count_b, n_bins);
}

double loom_metrics_w1_counts(const double *values, const int64_t *count_a, const int64_t *count_b, int64_t n_values)
{
    return area_between(values, count_a, count_b, n_values);
}

double loom_metrics_quantile(const double *sorted, int64_t n, double q)
{
    if (n <= 0) return NAN;
    int64_t at = (int64_t)floor(q * (double)n);
    return sorted[loom_max_i64(0, loom_min_i64(at, n - 1))];
}

double loom_metrics_mean(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    return n > 0 ? sum / (double)n : NAN;
}

double loom_metrics_std(const double *values, int64_t n)
{
    double mean = loom_metrics_mean(values, n), sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (values[i] - mean) * (values[i] - mean);
    return n > 0 ? sqrt(sum / (double)n) : NAN;
}

/* ---- classifiers ---- */

typedef struct scored {
    double score;
    bool positive;
} scored;

static int by_score_falling(const void *pa, const void *pb)
{
    double a = ((const scored *)pa)->score, b = ((const scored *)pb)->score;
    return a > b ? -1 : a < b;
}

static scored *sort_scores(const double *scores, const bool *positive, int64_t n)
{
    scored *list = loom_alloc((size_t)n, sizeof *list);
    if (!list) return NULL;
    for (int64_t i = 0; i < n; i++) list[i] = (scored){scores[i], positive[i]};
    qsort(list, (size_t)n, sizeof *list, by_score_falling);
    return list;
}

double loom_metrics_noise(const double *values, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < i; k++) sum += fabs(values[i] - values[k]);
    return n > 1 ? sum / ((double)n * (double)(n - 1) / 2) : NAN;
}

double loom_metrics_auc(const double *scores, const bool *positive, int64_t n)
{
    scored *list = sort_scores(scores, positive, n);
    double rank_sum = 0, n_pos = 0;
    if (!list) return NAN;
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && list[end].score == list[i].score;) end++;
        /* ascending ranks are n - position; positions i..end-1 share their mean */
        double mid = (double)n - ((double)i + (double)(end - 1)) / 2;
        for (int64_t t = i; t < end; t++) {
            if (!list[t].positive) continue;
            rank_sum += mid;
            n_pos++;
        }
    }
    free(list);
    double n_neg = (double)n - n_pos;
    if (n_pos == 0 || n_neg == 0) return NAN;
    return (rank_sum - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg);
}

double loom_metrics_average_precision(const double *scores, const bool *positive, int64_t n)
{
    scored *list = sort_scores(scores, positive, n);
    double total = 0, hits = 0, sum = 0;
    if (!list) return NAN;
    for (int64_t i = 0; i < n; i++) total += list[i].positive;
    for (int64_t i = 0, end; i < n; i = end) {
        double before = hits;
        for (end = i; end < n && list[end].score == list[i].score; end++) hits += list[end].positive;
        if (total > 0) sum += (hits - before) / total * (hits / (double)end);
    }
    free(list);
    return total > 0 ? sum : NAN;
}

/* One resample: how often each of n units is drawn. */
static void draw_times(int32_t *times, int64_t n, loom_rng *rng)
{
    memset(times, 0, (size_t)n * sizeof *times);
    for (int64_t i = 0; i < n; i++) times[loom_rng_below(rng, (uint64_t)n)]++;
}

static double at_least(double least, double v) { return isnan(v) || v > least ? v : least; }

/* out->value is there; the other members from the resamples. */
static void estimate(loom_estimate *out, double *values, int64_t n, double least)
{
    double twice = 2 * out->value;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(values[i])) values[kept++] = values[i];
    loom_metrics_sort(values, kept);
    out->corrected = at_least(least, twice - loom_metrics_mean(values, kept));
    out->lo = at_least(least, twice - loom_metrics_quantile(values, kept, 0.975));
    out->hi = at_least(least, twice - loom_metrics_quantile(values, kept, 0.025));
}

void loom_metrics_bootstrap(loom_estimate *out, int n_out, loom_statistic statistic, void *arg, int64_t n,
                            int64_t resamples, double least, loom_rng *rng)
{
    for (int k = 0; k < n_out; k++) out[k] = (loom_estimate){NAN, NAN, NAN, NAN};
    if (n <= 0) return;
    int32_t *times = loom_alloc((size_t)n, sizeof *times);
    double *one = loom_alloc((size_t)n_out, sizeof *one),
           *values = loom_alloc((size_t)(n_out * resamples), sizeof *values);
    int64_t done = 0;

    if (!times || !one || !values) goto done; /* core/nomem.h keeps it out of every result */
    for (int64_t i = 0; i < n; i++) times[i] = 1;
    statistic(arg, times, n, one);
    for (int k = 0; k < n_out; k++) out[k].value = one[k];
    for (; done < resamples && !loom_stop_requested(); done++) {
        draw_times(times, n, rng);
        statistic(arg, times, n, one);
        for (int k = 0; k < n_out; k++) values[k * resamples + done] = one[k];
    }
    for (int k = 0; k < n_out; k++) estimate(&out[k], values + k * resamples, done, least);
done:
    free(values);
    free(one);
    free(times);
}
