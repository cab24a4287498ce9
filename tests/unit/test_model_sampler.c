/* Drawing tokens: filters leave the right sets with the right weights, masks hold, ties and NaN are settled. */
#include "test.h"

#include "model/sampler.h"

#define V     8
#define DRAWS 40000

static const float logits[V] = {0.1f, 2.0f, -INFINITY, 1.0f, 2.0f, -3.0f, 0.5f, -1.0f};

/* Frequencies of DRAWS draws must match `want` within five standard deviations. */
static void check_frequencies(const loom_sampling *how, const double want[V])
{
    loom_sampler *s = NULL;
    loom_rng rng;
    loom_err err;
    int64_t seen[V] = {0};

    REQUIRE_OK(loom_sampler_new(&s, V, &err), err);
    loom_rng_seed(&rng, 7, "draw", 0);
    for (int i = 0; i < DRAWS; i++) {
        int32_t t = loom_sampler_pick(s, how, logits, &rng);

        REQUIRE(t >= 0 && t < V);
        seen[t]++;
    }
    for (int v = 0; v < V; v++) CHECK_NEAR((double)seen[v] / DRAWS, want[v], 5 * sqrt(want[v] * (1 - want[v]) / DRAWS));
    loom_sampler_free(s);
}

/* softmax(logits / temperature) over the ids in `keep`. */
static void softmax_of(double want[V], double temperature, const int *keep, int n)
{
    double sum = 0;

    for (int v = 0; v < V; v++) want[v] = 0;
    for (int i = 0; i < n; i++) sum += want[keep[i]] = exp(logits[keep[i]] / temperature);
    for (int v = 0; v < V; v++) want[v] /= sum;
}

TEST(plain_temperature)
{
    double want[V];

    softmax_of(want, 1.0, (int[]){0, 1, 3, 4, 5, 6, 7}, 7);
    check_frequencies(&(loom_sampling){.temperature = 1.0}, want);
    softmax_of(want, 0.5, (int[]){0, 1, 3, 4, 5, 6, 7}, 7);
    check_frequencies(&(loom_sampling){.temperature = 0.5, .top_p = 1.0}, want);
}

TEST(top_k)
{
    double want[V];

    softmax_of(want, 1.0, (int[]){1, 4, 3}, 3);
    check_frequencies(&(loom_sampling){.temperature = 1.0, .top_k = 3}, want);
    softmax_of(want, 1.0, (int[]){1}, 1); /* tie with 4: the smaller id */
    check_frequencies(&(loom_sampling){.temperature = 1.0, .top_k = 1}, want);
    softmax_of(want, 1.0, (int[]){0, 1, 3, 4, 5, 6, 7}, 7); /* more than there are */
    check_frequencies(&(loom_sampling){.temperature = 1.0, .top_k = 100}, want);
}

TEST(top_p)
{
    double want[V];

    softmax_of(want, 1.0, (int[]){0, 1, 3, 4, 5, 6, 7}, 7);
    /* 1 and 4 have about .35 each, then 3 with .13: .7 needs two or three */
    double two = want[1] + want[4];
    softmax_of(want, 1.0, (int[]){1, 4}, 2);
    check_frequencies(&(loom_sampling){.temperature = 1.0, .top_p = two - 0.01}, want);
    softmax_of(want, 1.0, (int[]){1, 4, 3}, 3);
    check_frequencies(&(loom_sampling){.temperature = 1.0, .top_p = two + 0.01}, want);
    softmax_of(want, 1.0, (int[]){1, 4}, 2); /* the nucleus is taken within the top k: .75 of 3 needs 2 */
    check_frequencies(&(loom_sampling){.temperature = 1.0, .top_k = 3, .top_p = 0.75}, want);
    softmax_of(want, 1.0, (int[]){1}, 1);
    check_frequencies(&(loom_sampling){.temperature = 1.0, .top_p = 1e-9}, want);
}

TEST(min_p)
{
    double want[V];

    softmax_of(want, 1.0, (int[]){1, 4, 3}, 3); /* exp(-1) = .37 of the largest stays, exp(-1.5) = .22 goes */
    check_frequencies(&(loom_sampling){.temperature = 1.0, .min_p = 0.3}, want);
}

enum { LARGE = 1003 };
static float large[LARGE];

static int likelier(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return large[x] != large[y] ? (large[x] < large[y] ? 1 : -1) : (x > y) - (x < y);
}

/* A vocabulary in which most ids do not come into question: each draw is the one that sorting all of it gives. */
TEST(top_k_of_many)
{
    loom_sampler *s = NULL;
    loom_rng rng, fill;
    loom_err err;
    int32_t order[LARGE];

    REQUIRE_OK(loom_sampler_new(&s, LARGE, &err), err);
    loom_rng_seed(&rng, 1, "draw", 0);
    loom_rng_seed(&fill, 1, "fill", 0);
    for (int round = 0; round < 300; round++) {
        loom_sampling how = {.temperature = 1.0, .top_k = 1 + round % 70}; /* below and above the number of blocks */
        double total = 0, u;
        int64_t i = 0;

        for (int32_t v = 0; v < LARGE; v++) {
            order[v] = v;
            large[v] = (float)((double)loom_rng_below(&fill, 200) / 40); /* many ties */
            if (round % 3 == 0 && loom_rng_chance(&fill, 0.9)) large[v] = -INFINITY;
        }
        loom_rng twin = rng;
        int32_t got = loom_sampler_pick(s, &how, large, &rng);
        qsort(order, LARGE, sizeof *order, likelier);
        for (int64_t k = 0; k < how.top_k; k++) total += exp(large[order[k]]);
        for (u = loom_rng_f64(&twin) * total; i < how.top_k - 1; i++)
            if ((u -= exp(large[order[i]])) < 0) break;
        CHECK_I64(got, order[i]);
    }
    loom_sampler_free(s);
}

TEST(greedy_masks_and_nan)
{
    float z[V];
    loom_sampler *s = NULL;
    loom_rng rng, before;
    loom_err err;

    REQUIRE_OK(loom_sampler_new(&s, V, &err), err);
    loom_rng_seed(&rng, 1, "draw", 0);
    before = rng;
    CHECK_I64(loom_sampler_pick(s, &(loom_sampling){0}, logits, &rng), 1);
    CHECK(memcmp(&before, &rng, sizeof rng) == 0); /* greedy takes no number */
    for (int v = 0; v < V; v++) z[v] = -INFINITY;
    CHECK_I64(loom_sampler_greedy(z, V), -1);
    CHECK_I64(loom_sampler_pick(s, &(loom_sampling){.temperature = 1}, z, &rng), -1);
    z[6] = -1e30f;
    CHECK_I64(loom_sampler_pick(s, &(loom_sampling){.temperature = 1}, z, &rng), 6);
    CHECK_I64(loom_sampler_pick(s, &(loom_sampling){.temperature = 1, .top_k = 3, .top_p = .5}, z, &rng), 6);
    z[2] = NAN;
    CHECK_I64(loom_sampler_greedy(z, V), -1);
    CHECK_I64(loom_sampler_pick(s, &(loom_sampling){.temperature = 1}, z, &rng), -1);
    loom_sampler_free(s);
}

TEST(log_probability)
{
    double sum = 0;

    for (int32_t v = 0; v < V; v++) sum += exp(loom_logprob(logits, V, v));
    CHECK_NEAR(sum, 1.0, 1e-12);
    CHECK_NEAR(loom_logprob(logits, V, 1) - loom_logprob(logits, V, 3), 1.0, 1e-12);
}

TEST(settings_are_checked)
{
    loom_err err;

    CHECK_I64(loom_sampling_check(&(loom_sampling){.temperature = .7, .top_k = 50, .top_p = .9}, &err), LOOM_OK);
    CHECK_I64(loom_sampling_check(&(loom_sampling){.temperature = -1}, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_sampling_check(&(loom_sampling){.temperature = NAN}, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_sampling_check(&(loom_sampling){.top_p = 1.5}, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_sampling_check(&(loom_sampling){.min_p = -.1}, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_sampling_check(&(loom_sampling){.top_k = -1}, &err), LOOM_STATUS_ARG);
}

TEST_MAIN(RUN(plain_temperature) RUN(top_k) RUN(top_k_of_many) RUN(top_p) RUN(min_p) RUN(greedy_masks_and_nan)
              RUN(log_probability) RUN(settings_are_checked))
