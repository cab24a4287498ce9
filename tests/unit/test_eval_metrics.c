/* The evaluator's numbers against values worked out by hand (or by the formula written out with other numbers). */
#include "eval/numbers/metrics.h"
#include "test.h"

TEST(wilson)
{
    loom_interval i = loom_metrics_wilson(5, 10); /* centre (.5 + .19207)/(1.38415) = .5; half .26340 */
    CHECK_NEAR(i.value, 0.5, 0);
    CHECK_NEAR(i.lo, 0.236593, 1e-6);
    CHECK_NEAR(i.hi, 0.763407, 1e-6);
    i = loom_metrics_wilson(0, 50); /* hi = z^2 / (n + z^2) = 3.841459 / 53.841459 */
    CHECK_NEAR(i.lo, 0, 0);
    CHECK_NEAR(i.hi, 0.0713476, 1e-6);
    i = loom_metrics_wilson(50, 50);
    CHECK_NEAR(i.lo, 1 - 0.0713476, 1e-6);
    CHECK_NEAR(i.hi, 1, 0);
    i = loom_metrics_wilson(0, 0);
    CHECK(isnan(i.value));
    CHECK_NEAR(i.hi - i.lo, 1, 0);
}

TEST(divergence)
{
    /* P = (1/2, 1/4, 1/4), S = (1, 1, 2) without smoothing: Q = (1/4, 1/4, 1/2)
     * KL(P||Q) = 1/2 ln 2 + 0 - 1/4 ln 2 = ln 2 / 4; KL(Q||P) the same; TV = 1/4 */
    int64_t R[3] = {2, 1, 1}, S[3] = {1, 1, 2};
    loom_divergence d = loom_metrics_divergence(R, S, 3, 0, 0, 0);
    CHECK_NEAR(d.kl_pq, log(2) / 4, 1e-12);
    CHECK_NEAR(d.kl_qp, log(2) / 4, 1e-12);
    CHECK_NEAR(d.tv, 0.25, 1e-12);
    CHECK_NEAR(d.coverage, 1, 0);
    /* M = (3/8, 1/4, 3/8): JS = 1/2 (1/2 ln 4/3 + 1/4 ln 2/3) * 2 */
    CHECK_NEAR(d.js, 0.5 * log(4.0 / 3) + 0.25 * log(2.0 / 3), 1e-12);

    /* alpha 1 on S = (0, 3): Q = (1/5, 4/5); P = (1/2, 1/2) */
    int64_t R2[2] = {3, 3}, S2[2] = {0, 3};
    d = loom_metrics_divergence(R2, S2, 2, 0, 0, 1);
    CHECK_NEAR(d.kl_pq, 0.5 * log(0.5 / 0.2) + 0.5 * log(0.5 / 0.8), 1e-12);
    CHECK_NEAR(d.coverage, 0.5, 0);
    CHECK_NEAR(d.tv, 0.5, 1e-12);
    /* with the bucket: real (3, 3 | 2) of 8, synthetic (0+1, 3+1 | 4+1) of 10 */
    d = loom_metrics_divergence(R2, S2, 2, 2, 4, 1);
    CHECK_NEAR(d.kl_other, 0.375 * log(0.375 / 0.1) + 0.375 * log(0.375 / 0.4) + 0.25 * log(0.25 / 0.5), 1e-12);

    int64_t none[2] = {0, 0};
    d = loom_metrics_divergence(R2, none, 2, 0, 0, 0.5);
    CHECK_NEAR(d.kl_pq, 0, 1e-12); /* all smoothing: uniform, as P happens to be */
    CHECK_NEAR(d.tv, 1, 0);        /* and still nothing in common */
    CHECK(isnan(loom_metrics_divergence(none, S2, 2, 0, 0, 1).kl_pq));
    CHECK(isinf(loom_metrics_divergence(R2, S2, 2, 0, 0, 0).kl_pq));
}

TEST(top_k)
{
    int64_t R[5] = {9, 7, 5, 3, 0}, S[5] = {9, 0, 5, 7, 1};
    loom_overlap o = loom_metrics_topk(R, S, 5, 2); /* {0, 1} and {0, 3} */
    CHECK_NEAR(o.overlap, 0.5, 0);
    CHECK_NEAR(o.expected, 0.5, 0);
    o = loom_metrics_topk(R, S, 5, 10); /* real has 4 keys: {0,1,2,3} and {0,3,2,4} */
    CHECK_I64(o.K_eff, 4);
    CHECK_NEAR(o.overlap, 0.75, 0);
    /* tie at rank 1 of S between keys 0 and 1, broken for key 0; by chance half */
    int64_t R2[3] = {5, 1, 1}, S2[3] = {4, 4, 0};
    o = loom_metrics_topk(R2, S2, 3, 1);
    CHECK_NEAR(o.overlap, 1, 0);
    CHECK_NEAR(o.expected, 0.5, 0);
    /* K = 2: R is {0} and half of 1 and 2 each; S is {0, 1}: (1 + 1/2) / 2 */
    o = loom_metrics_topk(R2, S2, 3, 2);
    CHECK_NEAR(o.expected, 0.75, 0);
    int64_t none[3] = {0};
    CHECK_NEAR(loom_metrics_topk(R2, none, 3, 2).overlap, 0, 0);
    CHECK(isnan(loom_metrics_topk(none, S2, 3, 2).overlap));
}

TEST(earth_mover)
{
    double a[3] = {0, 1, 3}, b[3] = {5, 6, 8};
    CHECK_NEAR(loom_metrics_w1_sorted(a, 3, b, 3), 5, 1e-12); /* scipy's documented example */
    double c[2] = {0, 10}, d[4] = {0, 0, 0, 10};
    CHECK_NEAR(loom_metrics_w1_sorted(c, 2, d, 4), 2.5, 1e-12); /* a quarter of the mass moves 10 */
    CHECK_NEAR(loom_metrics_w1_sorted(c, 2, c, 2), 0, 0);
    double one[1] = {4};
    CHECK_NEAR(loom_metrics_w1_sorted(one, 1, c, 2), 5, 1e-12);
    CHECK(isnan(loom_metrics_w1_sorted(one, 1, c, 0)));

    /* equal sizes: mean |a_(i) - b_(i)|; and both algorithms agree on whole numbers of unequal sizes */
    loom_rng rng;
    loom_rng_seed(&rng, 7, "test", 0);
    double x[200], y[200], z[130], pairs = 0;
    int64_t hx[50] = {0}, hz[50] = {0};
    for (int i = 0; i < 200; i++) x[i] = (double)loom_rng_below(&rng, 40), y[i] = (double)loom_rng_below(&rng, 50);
    for (int i = 0; i < 130; i++) z[i] = (double)loom_rng_below(&rng, 50), hz[(int)z[i]]++;
    for (int i = 0; i < 200; i++) hx[(int)x[i]]++;
    loom_metrics_sort(x, 200);
    loom_metrics_sort(y, 200);
    loom_metrics_sort(z, 130);
    for (int i = 0; i < 200; i++) pairs += fabs(x[i] - y[i]) / 200;
    CHECK_NEAR(loom_metrics_w1_sorted(x, 200, y, 200), pairs, 1e-10);
    CHECK_NEAR(loom_metrics_w1_sorted(x, 200, z, 130), loom_metrics_w1_cdf(hx, hz, 50), 1e-10);
    CHECK_NEAR(loom_metrics_w1_sorted(z, 130, x, 200), loom_metrics_w1_cdf(hx, hz, 50), 1e-10);

    /* {0, 0, 1000} against {0, 5, 1000}: a third of the mass moves 5 */
    double values[3] = {0, 5, 1000};
    int64_t ca[3] = {2, 0, 1}, cb[3] = {1, 1, 1};
    CHECK_NEAR(loom_metrics_w1_counts(values, ca, cb, 3), 5.0 / 3, 1e-12);
}

TEST(ranks_and_moments)
{
    double s[4] = {0.1, 0.4, 0.35, 0.8};
    bool pos[4] = {false, false, true, true};
    CHECK_NEAR(loom_metrics_auc(s, pos, 4), 0.75, 1e-12);                              /* 3 of 4 pairs in order */
    CHECK_NEAR(loom_metrics_average_precision(s, pos, 4), 0.5 + 0.5 * 2.0 / 3, 1e-12); /* at ranks 1 and 3 */
    /* the second formula: of all pairs (positive, negative), those in order, ties as half */
    loom_rng rng;
    loom_rng_seed(&rng, 5, "auc", 0);
    double score[90], won = 0, pairs = 0;
    bool hit[90];
    for (int i = 0; i < 90; i++) score[i] = (double)loom_rng_below(&rng, 12), hit[i] = loom_rng_chance(&rng, 0.3);
    for (int i = 0; i < 90; i++)
        for (int k = 0; k < 90; k++) {
            if (!hit[i] || hit[k]) continue;
            pairs++;
            won += score[i] > score[k] ? 1 : score[i] == score[k] ? 0.5 : 0;
        }
    CHECK(pairs > 500);
    CHECK_NEAR(loom_metrics_auc(score, hit, 90), won / pairs, 1e-12);
    double ties[4] = {1, 1, 1, 1};
    CHECK_NEAR(loom_metrics_auc(ties, pos, 4), 0.5, 1e-12);
    CHECK_NEAR(loom_metrics_average_precision(ties, pos, 4), 0.5, 1e-12);
    bool all[2] = {true, true};
    CHECK(isnan(loom_metrics_auc(s, all, 2)));

    double v[5] = {1, 2, 3, 4, 10};
    CHECK_NEAR(loom_metrics_mean(v, 5), 4, 1e-12);
    CHECK_NEAR(loom_metrics_std(v, 5), sqrt((9 + 4 + 1 + 0 + 36) / 5.0), 1e-12);
    CHECK_NEAR(loom_metrics_quantile(v, 5, 0.9), 10, 0); /* floor(4.5) = 4 */
    CHECK_NEAR(loom_metrics_quantile(v, 5, 0.5), 3, 0);
    CHECK_NEAR(loom_metrics_quantile(v, 5, 1), 10, 0);
}

/* The mean of what was drawn, and the number of draws. */
static void mean_of(void *arg, const int32_t *times, int64_t n, double *values)
{
    const double *v = arg;
    double sum = 0, draws = 0;
    for (int64_t i = 0; i < n; i++) sum += times[i] * v[i], draws += times[i];
    values[0] = sum / (double)n;
    values[1] = draws;
}

TEST(bootstrap)
{
    double v[400];
    loom_rng rng;
    loom_rng_seed(&rng, 3, "test", 1);
    for (int i = 0; i < 400; i++) v[i] = loom_rng_normal(&rng);
    loom_estimate both[2], i;
    loom_metrics_bootstrap(both, 2, mean_of, v, 400, 1000, -INFINITY, &rng);
    i = both[0];
    CHECK(both[1].value == 400 && both[1].lo == 400 && both[1].hi == 400);
    double se = loom_metrics_std(v, 400) / 20;
    CHECK_NEAR(i.value, loom_metrics_mean(v, 400), 1e-12);
    CHECK_NEAR(i.hi - i.lo, 3.92 * se, 0.5 * se); /* the normal interval, to the noise of 1,000 resamples */
    CHECK(i.lo < i.value && i.value < i.hi);
    double same[3] = {2, 2, 2};
    loom_metrics_bootstrap(both, 2, mean_of, same, 3, 50, 0, &rng);
    CHECK_NEAR(both[0].lo, 2, 0);
    CHECK_NEAR(both[0].hi, 2, 0);
    loom_metrics_bootstrap(both, 2, mean_of, same, 0, 50, 0, &rng);
    CHECK(isnan(both[0].value) && isnan(both[1].hi));
}

/* The resamples as the statistic saw them: a value for each, the sample's own first. */
typedef struct seen {
    double values[1001];
    int n;
} seen;

static void keep_skewed(void *arg, const int32_t *times, int64_t n, double *values)
{
    seen *s = arg;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += times[i] * exp((double)i / 10); /* skewed: the two ends lie unequally far */
    s->values[s->n++] = *values = sum;
}

/* Both ends by themselves: a width that is right to a tenth says little about either. */
TEST(bootstrap_ends)
{
    static seen s;
    loom_rng rng;
    loom_estimate e;

    loom_rng_seed(&rng, 5, "ends", 0);
    loom_metrics_bootstrap(&e, 1, keep_skewed, &s, 40, 1000, -INFINITY, &rng);
    CHECK(s.n == 1001);
    double own = s.values[0], mean = loom_metrics_mean(s.values + 1, 1000);
    loom_metrics_sort(s.values + 1, 1000);
    CHECK_NEAR(e.value, own, 0);
    CHECK_NEAR(e.corrected, 2 * own - mean, 1e-9);
    CHECK_NEAR(e.lo, 2 * own - s.values[1 + 975], 0);
    CHECK_NEAR(e.hi, 2 * own - s.values[1 + 25], 0);
}

/* A draw of n calls from 100 equally likely ones; the statistic is KL(P||Q) of the resample. */
enum { KL_KEYS = 100, KL_DRAWS = 1000 };

typedef struct kl_case {
    int64_t real[KL_KEYS];
    int32_t call[KL_DRAWS];
} kl_case;

static void kl_of(void *arg, const int32_t *times, int64_t n, double *values)
{
    const kl_case *c = arg;
    int64_t made[KL_KEYS] = {0};
    for (int64_t i = 0; i < n; i++) made[c->call[i]] += times[i];
    *values = loom_metrics_divergence(c->real, made, KL_KEYS, 0, 0, 0.5).kl_pq;
}

/* KL(P||Q) = D is known; of n draws from Q it comes out larger by (K - 1) / 2n, some 7 standard deviations. The basic
 * interval finds D nineteen times in twenty, the percentile interval (which the same resamples would give) never. */
static void covers_with_bias(double slope)
{
    static kl_case c;
    int64_t basic = 0, percentile = 0, above = 0, tries = 60;
    double weight[KL_KEYS], sum = 0, D = 0;
    loom_rng rng;

    loom_rng_seed(&rng, 11, "bias", 0);
    for (int k = 0; k < KL_KEYS; k++) c.real[k] = 10, sum += weight[k] = 1 + slope * (k - 49.5) / 49.5;
    for (int k = 0; k < KL_KEYS; k++) D += log(sum / KL_KEYS / weight[k]) / KL_KEYS;
    for (int64_t t = 0; t < tries; t++) {
        for (int i = 0; i < KL_DRAWS; i++) {
            double at = loom_rng_f64(&rng) * sum;
            int k = 0;
            while (k < KL_KEYS - 1 && at >= weight[k]) at -= weight[k++];
            c.call[i] = k;
        }
        loom_estimate e;
        loom_metrics_bootstrap(&e, 1, kl_of, &c, KL_DRAWS, 200, 0, &rng);
        CHECK(e.lo <= e.corrected && e.corrected <= e.hi && e.lo >= 0);
        basic += e.lo <= D && D <= e.hi;
        above += e.value > D;
        percentile += 2 * e.value - e.hi <= D && D <= 2 * e.value - e.lo;
    }
    CHECK(above >= tries - 1);
    CHECK(basic >= tries * 85 / 100);
    CHECK(percentile <= tries / 10);
}

TEST(bootstrap_with_bias)
{
    covers_with_bias(0);
    covers_with_bias(0.5);
}

TEST_MAIN(RUN(wilson) RUN(divergence) RUN(top_k) RUN(earth_mover) RUN(ranks_and_moments) RUN(bootstrap)
              RUN(bootstrap_ends) RUN(bootstrap_with_bias))
