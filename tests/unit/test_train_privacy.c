/* Training with differential privacy: the accountant against published and integrated values, the plan's refusals, and
 * the gradient of a step against a plain twin, graph by graph. */
#include <unistd.h>

#include "core/num.h"
#include "core/rng.h"
#include "model/blas.h"
#include "model/lora.h"
#include "model/step.h"
#include "store/shard.h"
#include "test.h"
#include "train/privacy_cost.h"
#include "train/privacy_plan.h"
#include "train/private_step.h"

/* ---- the accountant ---- */

/* log of E[((1-q) + q exp((2x-1) / 2s^2))^a] for x ~ N(0, s^2), by the trapezoid rule: what the series add up to. */
static double log_moment_by_integral(double a, double q, double s)
{
    const int n = 200000;
    double from = -12 * s, to = a + 12 * s, h = (to - from) / n, most = -INFINITY, sum = 0;
    double *logs = malloc((size_t)(n + 1) * sizeof *logs);

    for (int i = 0; i <= n; i++) {
        double x = from + h * i, t = (2 * x - 1) / (2 * s * s) + log(q), p = log1p(-q);
        double mix = t > p ? t + log1p(exp(p - t)) : p + log1p(exp(t - p));

        logs[i] = a * mix - x * x / (2 * s * s) - 0.5 * log(2 * acos(-1.0) * s * s);
        most = fmax(most, logs[i]);
    }
    for (int i = 0; i <= n; i++) sum += exp(logs[i] - most);
    free(logs);
    return most + log(sum * h);
}

TEST(published_divergences)
{
    /* 50 steps at q 0.01, noise 2.5, as dp_accounting's test of its accountant has them, to 1e-4 */
    static const double known[][2] = {
        {2.5, 1.08548710e-03}, {5, 2.18075656e-03}, {50, 2.38460375e-02}, {100, 1.67416308e02}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CHECK_NEAR(50 * loom_privacy_divergence(known[i][0], 0.01, 2.5) / known[i][1], 1, 1e-4);
    CHECK_NEAR(loom_privacy_divergence(3.14159, 1, 2.71828), 3.14159 / (2 * 2.71828 * 2.71828), 1e-12);
}

TEST(integrated_divergences)
{
    static const double cases[][3] = {/* order, rate, noise */
                                      {1.1, 0.064, 0.84}, {2.8, 0.064, 0.84}, {3, 0.064, 0.84},  {5.4, 0.064, 1.38},
                                      {1.5, 0.3, 0.7},    {7.7, 0.5, 2},      {20, 0.01, 1},     {20.5, 0.1, 10},
                                      {2.3, 0.9, 1},      {64, 0.001, 0.6},   {10.9, 0.02, 4.2}, {6.5, 0.999, 3}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double a = cases[i][0], q = cases[i][1], s = cases[i][2], plain = log_moment_by_integral(a, q, s) / (a - 1);

        CHECK_NEAR(loom_privacy_divergence(a, q, s) / plain, 1, 1e-5);
    }
}

/* Orders beside a whole number come by the other way, and must meet it. */
TEST(both_ways_meet)
{
    for (int a = 2; a < 30; a += 3) {
        double whole = loom_privacy_divergence(a, 0.05, 0.9), beside = loom_privacy_divergence(a + 1e-7, 0.05, 0.9);

        CHECK_NEAR(beside / whole, 1, 1e-5);
    }
}

TEST(published_epsilons)
{
    /* 1,000 graphs, 64 a step, 10 passes, delta 1e-4: noise .84 for 8, 1.38 for 3 */
    const loom_privacy_steps eight = {.rate = 0.064, .noise = 0.84, .steps = 160};
    const loom_privacy_steps three = {.rate = 0.064, .noise = 1.38, .steps = 160};
    const loom_privacy_steps none = {.rate = 0.064, .noise = 1, .steps = 0};
    /* a Gaussian of exactly (1, 1e-6): the bound over orders is a little above what is true */
    const loom_privacy_steps one = {.rate = 1, .noise = 4.530877117, .steps = 1};
    double order = 0, e = loom_privacy_epsilon(&eight, 1e-4, &order);

    CHECK(e < 8 && e > 7.5 && order > 2 && order < 4);
    e = loom_privacy_epsilon(&three, 1e-4, NULL);
    CHECK(e < 3.02 && e > 2.9);
    e = loom_privacy_epsilon(&one, 1e-6, NULL);
    CHECK(e > 0.999 && e < 1.02);
    CHECK(loom_privacy_epsilon(&none, 1e-4, NULL) == 0);
}

TEST(noise_for_epsilon)
{
    for (double epsilon = 0.5; epsilon < 20; epsilon *= 2) {
        loom_privacy_steps s = {.rate = 0.064, .steps = 160};

        s.noise = loom_privacy_noise(&s, epsilon, 1e-4);
        CHECK(loom_privacy_epsilon(&s, 1e-4, NULL) <= epsilon);
        s.noise *= 0.998;
        CHECK(loom_privacy_epsilon(&s, 1e-4, NULL) > epsilon);
    }
    const loom_privacy_steps endless = {.rate = 1, .steps = INT64_MAX / 2};
    CHECK(isnan(loom_privacy_noise(&endless, 1e-3, 1e-9)));
}

TEST(costs_grow)
{
    loom_privacy_steps s = {.rate = 0.01, .noise = 1, .steps = 1};
    double before = 0;

    for (; s.steps < 100000; s.steps *= 10) {
        double e = loom_privacy_epsilon(&s, 1e-5, NULL);
        CHECK(e > before);
        before = e;
    }
    s.steps = 100;
    before = loom_privacy_epsilon(&s, 1e-5, NULL);
    s.rate = 0.02;
    CHECK(loom_privacy_epsilon(&s, 1e-5, NULL) > before);
    s.rate = 0.01;
    s.noise = 0.8;
    CHECK(loom_privacy_epsilon(&s, 1e-5, NULL) > before);
    CHECK(isinf(loom_privacy_divergence(2, 0.1, 0)));
}

/* ---- the option ---- */

static loom_status read_plan(loom_privacy_plan *p, const char *dp, loom_err *err)
{
    train_conf c = {.dp = dp, .lora = true, .clip = 1, .packing = PACKING_SAMPLES};

    return loom_privacy_plan_read(p, &c, true, err);
}

TEST(parts_of_the_option)
{
    static const char *const bad[] = {"",
                                      "epsilon",
                                      "epsilon=",
                                      "epsilon=0",
                                      "epsilon=-1",
                                      "noise=nan",
                                      "delta=1e-5",
                                      "epsilon=1,noise=1",
                                      "epsilon=1,",
                                      "epsilon=1,delta=1",
                                      "e=1",
                                      "epsilon=1,epsilon=2",
                                      "graphs=1.5,noise=1",
                                      "epsilon=1x",
                                      ",epsilon=1"};
    loom_privacy_plan p;
    loom_err err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(read_plan(&p, bad[i], &err) == LOOM_STATUS_ARG);
    REQUIRE_OK(read_plan(&p, "none", &err), err);
    CHECK(!p.on);
    REQUIRE_OK(read_plan(&p, "epsilon=8,delta=1e-4,graphs=32", &err), err);
    CHECK(p.on && p.epsilon == 8 && p.delta == 1e-4 && p.graphs_a_step == 32 && p.noise == 0);
    REQUIRE_OK(read_plan(&p, "noise=1.38", &err), err);
    CHECK(p.on && p.noise == 1.38 && p.graphs_a_step == 64);
}

TEST(steps_and_defaults)
{
    const loom_graph_units u = {.n = 1000, .most_alike = 1}, few = {.n = 63};
    loom_privacy_plan p;
    loom_err err;

    REQUIRE_OK(read_plan(&p, "epsilon=8", &err), err);
    CHECK(loom_privacy_plan_data(&p, &few, &err) == LOOM_STATUS_ARG);
    REQUIRE_OK(loom_privacy_plan_data(&p, &u, &err), err);
    CHECK_NEAR(p.delta, 1e-4, 1e-12);
    CHECK_I64(loom_privacy_plan_steps(&p, 10), 160);
    CHECK_I64(loom_privacy_plan_steps(&p, 0.5), 8);
    REQUIRE_OK(loom_privacy_plan_solve(&p, 160, &err), err);
    CHECK(p.noise > 0.8 && p.noise < 0.84 && p.epsilon <= 8 && p.epsilon > 7.9);
    REQUIRE_OK(read_plan(&p, "noise=1e-5", &err), err);
    REQUIRE_OK(loom_privacy_plan_data(&p, &u, &err), err);
    REQUIRE_OK(loom_privacy_plan_solve(&p, 160, &err), err);
    CHECK(p.epsilon > 1e6);
    REQUIRE_OK(read_plan(&p, "epsilon=1e-4", &err), err);
    REQUIRE_OK(loom_privacy_plan_data(&p, &u, &err), err);
    CHECK(loom_privacy_plan_solve(&p, (int64_t)1e15, &err) == LOOM_STATUS_ARG);
}

/* ---- the gradient ---- */

enum { SAMPLES = 23, ROWS = 40, V = 31 };

typedef struct rig {
    char path[64];
    loom_llama *model;
    loom_lora *lora;
    loom_pool *pool;
    loom_acts *acts;
    loom_loader *loader;
    int64_t first[9]; /* eight graphs, one of which has no sample */
    loom_graph_units units;
    size_t floats;
} rig;

static loom_status make_shard(const char *path, loom_err *err)
{
    loom_shard_spec spec = {
        .vocab_size = V, .bos_id = 1, .eos_id = 2, .mode = "instruction", .tokenizer = "{}", .tokenizer_len = 2};
    loom_shard_writer *w = NULL;
    loom_rng r;

    LOOM_TRY(loom_shard_create(&w, path, true, &spec, err));
    loom_rng_seed(&r, 5, "shard", 0);
    for (int i = 0; i < SAMPLES; i++) {
        int32_t ids[24];
        int64_t n = 5 + (int64_t)loom_rng_below(&r, 18);

        for (int64_t j = 0; j < n; j++) ids[j] = (int32_t)loom_rng_below(&r, V);
        LOOM_TRY(loom_shard_add(w, ids, n, 3, err));
    }
    return loom_shard_commit(&w, "{}", err);
}

static loom_status setup(rig *x, loom_err *err)
{
    static const int64_t first[9] = {0, 1, 4, 4, 9, 10, 15, 21, SAMPLES};
    char *paths[1];
    loom_loader_options lo = {
        .context = 24, .budget = ROWS, .seed = 1, .answers_only = true, .drop_long = true, .memory = 1 << 20};
    loom_acts_options ao = {.max_rows = ROWS, .max_seq = 24, .grad = true};
    loom_lora_config lc = {.R = 3, .alpha = 5, .targets = 1u << LOOM_ROLE_Q | 1u << LOOM_ROLE_V | 1u << LOOM_ROLE_UP};
    loom_config c;
    loom_rng r;

    *x = (rig){.path = "/tmp/loom-dp.XXXXXX"};
    int fd = mkstemp(x->path);
    if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "no temporary file");
    close(fd);
    LOOM_TRY(make_shard(x->path, err));
    paths[0] = x->path;
    LOOM_TRY(loom_loader_new(&x->loader, paths, 1, &lo, err));
    loom_config_default(&c);
    c.C = 20, c.L = 2, c.H = 4, c.K = 2, c.D = 6, c.F = 27, c.V = V, c.max_positions = 40, c.init_range = 0.2;
    LOOM_TRY(loom_llama_new(&x->model, &c, err));
    loom_llama_init(x->model, 1);
    LOOM_TRY(loom_lora_new(&x->lora, &c, &lc, err));
    loom_rng_seed(&r, 3, "lora", 0);
    x->floats = x->lora->table.floats;
    for (size_t i = 0; i < x->floats; i++) x->lora->params[i] = (float)(0.2 * loom_rng_normal(&r));
    LOOM_TRY(loom_pool_new(&x->pool, 1, err));
    ao.pool = x->pool;
    LOOM_TRY(loom_acts_new(&x->acts, x->model, x->lora, &ao, err));
    memcpy(x->first, first, sizeof first);
    x->units = (loom_graph_units){.n = 8, .first = x->first, .most_alike = 1};
    return LOOM_OK;
}

static void teardown(rig *x)
{
    loom_acts_free(x->acts);
    loom_pool_free(x->pool);
    loom_lora_free(x->lora);
    loom_llama_free(x->model);
    loom_loader_free(x->loader);
    unlink(x->path);
}

/* The gradient of one graph's mean loss: sample by sample, each read from the shard anew, added up in double. */
static loom_status plain_graph(double *g, const rig *x, int64_t unit, loom_err *err)
{
    float *one = calloc(x->floats, sizeof *one);
    loom_shard *s = NULL;
    double count = 0;
    loom_status st = loom_shard_open(&s, x->path, err);

    memset(g, 0, x->floats * sizeof *g);
    for (int64_t i = x->first[unit]; st == LOOM_OK && i < x->first[unit + 1]; i++) {
        int32_t ids[24], labels[24];
        int64_t at, n;
        loom_loss loss;

        loom_shard_range(s, i, &at, &n, NULL);
        st = loom_shard_read(s, at, n, ids, err);
        for (int64_t j = 0; j + 1 < n; j++) labels[j] = j + 1 >= 3 ? ids[j + 1] : LOOM_IGNORE;
        const int64_t segments[2] = {0, n - 1};
        loom_batch b = {.N = n - 1, .n_segments = 1, .tokens = ids, .labels = labels, .segments = segments};
        memset(one, 0, x->floats * sizeof *one);
        if (st == LOOM_OK) st = loom_llama_grad(x->acts, x->model, x->lora, &b, 1, one, &loss, err);
        for (size_t j = 0; j < x->floats; j++) g[j] += (double)one[j];
        count += (double)loom_batch_count(&b);
    }
    for (size_t j = 0; j < x->floats && count > 0; j++) g[j] /= count;
    loom_shard_close(&s);
    free(one);
    return st;
}

static double norm_of(const double *g, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) sum += g[i] * g[i];
    return sqrt(sum);
}

/* All graphs drawn, no noise: the mean of what the twin cuts. */
static void against_twin(rig *x, double clip, int64_t *cut)
{
    loom_private_options o = {.units = &x->units, .rate = 1, .clip = clip};
    double *one = malloc(x->floats * sizeof *one), *all = calloc(x->floats, sizeof *all), worst = 0, most = 0;
    float *g = loom_alloc_aligned(x->floats * sizeof *g);
    loom_private_report r;
    loom_private *p = NULL;
    loom_err err = {0};

    *cut = 0;
    for (int64_t u = 0; u < x->units.n; u++) {
        test_checks_++;
        if (plain_graph(one, x, u, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
        double norm = norm_of(one, x->floats), scale = norm > clip ? clip / norm : 1;
        *cut += norm > clip;
        for (size_t j = 0; j < x->floats; j++) all[j] += scale * one[j] / (double)x->units.n;
    }
    REQUIRE_OK(loom_private_new(&p, &o, x->model, x->lora, x->acts, x->loader, x->pool, &err), err);
    REQUIRE_OK(loom_private_gradient(p, 9, 3, ROWS, g, &r, &err), err);
    CHECK_I64(r.graphs, 8);
    CHECK_I64(r.clipped, *cut);
    for (size_t j = 0; j < x->floats; j++) {
        worst = test_worse(worst, fabs(all[j] - (double)g[j]));
        most = fmax(most, fabs(all[j]));
    }
    CHECK(most > 0 && worst < 1e-5 * most);
    loom_private_free(p);
    free(one);
    free(all);
    free(g);
}

TEST(gradient_of_each_graph)
{
    rig x;
    loom_err err;
    int64_t cut;

    REQUIRE_OK(setup(&x, &err), err);
    against_twin(&x, 1e9, &cut);
    CHECK_I64(cut, 0);
    against_twin(&x, 0.5, &cut);
    CHECK(cut > 0);
    against_twin(&x, 1e-4, &cut);
    CHECK_I64(cut, 7); /* all but the one without samples */
    teardown(&x);
}

/* One graph more or less moves the sum by clip at most, whatever else is drawn. */
TEST(one_graph_moves_it_by_clip)
{
    rig x;
    loom_err err;
    loom_private_options o = {.units = &x.units, .rate = 1, .clip = 0.01};
    loom_private *p = NULL;
    loom_private_report r;

    REQUIRE_OK(setup(&x, &err), err);
    float *with = loom_alloc_aligned(x.floats * sizeof *with), *without = loom_alloc_aligned(x.floats * sizeof *with);
    REQUIRE_OK(loom_private_new(&p, &o, x.model, x.lora, x.acts, x.loader, x.pool, &err), err);
    REQUIRE_OK(loom_private_gradient(p, 1, 0, ROWS, with, &r, &err), err);
    loom_private_free(p);
    x.units.n = 7; /* the last one is gone */
    REQUIRE_OK(loom_private_new(&p, &o, x.model, x.lora, x.acts, x.loader, x.pool, &err), err);
    REQUIRE_OK(loom_private_gradient(p, 1, 0, ROWS, without, &r, &err), err);
    double sum = 0;
    for (size_t j = 0; j < x.floats; j++) {
        double d = 8 * (double)with[j] - 7 * (double)without[j];
        sum += d * d;
    }
    CHECK(sqrt(sum) < 0.01 * 1.001 && sqrt(sum) > 0.005);
    loom_private_free(p);
    free(with);
    free(without);
    teardown(&x);
}

/* Draws and noise: of the right size, the same for the same secret and step, others otherwise. */
TEST(noise_and_draws)
{
    rig x;
    loom_err err;
    loom_private_options o = {.units = &x.units, .rate = 0.25, .clip = 0.01, .noise = 50};
    loom_private *p = NULL;
    loom_private_report r;
    int64_t graphs = 0;
    double square = 0, mean = 0;

    REQUIRE_OK(setup(&x, &err), err);
    float *a = loom_alloc_aligned(x.floats * sizeof *a), *b = loom_alloc_aligned(x.floats * sizeof *b);
    REQUIRE_OK(loom_private_new(&p, &o, x.model, x.lora, x.acts, x.loader, x.pool, &err), err);
    for (int64_t step = 0; step < 100; step++) {
        REQUIRE_OK(loom_private_gradient(p, 77, step, ROWS, a, &r, &err), err);
        graphs += r.graphs;
        mean += (double)a[0] / 100;
        square += (double)a[0] * (double)a[0] / 100;
    }
    CHECK(graphs > 150 && graphs < 250);           /* 200, standard deviation 12.2 */
    CHECK_NEAR(sqrt(square), 50 * 0.01 / 2, 0.06); /* two graphs expected; the standard error is .018 */
    CHECK_NEAR(mean, 0, 0.12);
    REQUIRE_OK(loom_private_gradient(p, 77, 99, ROWS, b, &r, &err), err);
    CHECK(memcmp(a, b, x.floats * sizeof *a) == 0);
    REQUIRE_OK(loom_private_gradient(p, 78, 99, ROWS, b, &r, &err), err);
    CHECK(memcmp(a, b, x.floats * sizeof *a) != 0);
    loom_private_free(p);
    free(a);
    free(b);
    teardown(&x);
}

TEST_MAIN(RUN(published_divergences) RUN(integrated_divergences) RUN(both_ways_meet) RUN(published_epsilons)
              RUN(noise_for_epsilon) RUN(costs_grow) RUN(parts_of_the_option) RUN(steps_and_defaults)
                  RUN(gradient_of_each_graph) RUN(one_graph_moves_it_by_clip) RUN(noise_and_draws))
