/* Decoding with the cache gives the logits of the full forward pass, whatever way the rows arrive. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/decode.h"
#include "model/step.h"

#define T 53
/* Two ways to sum some hundred products in float32 differ by a few 1e-7 of their size; logits here are about 1. */
#define TOLERANCE 2e-5
/* Weights, rows, keys and values rounded to 2^-9 of themselves, three layers. */
#define HALF_TOLERANCE 0.15

typedef struct bed {
    loom_config c;
    loom_llama *m;
    loom_lora *lora;
    loom_pool *pool;
    loom_decode *d;
    int32_t tokens[3][T];
    float *full[3]; /* (T,V) logits of each sequence by the full forward pass */
} bed;

static void random_block(float *w, size_t n, double sd, uint64_t seed)
{
    loom_rng r;

    loom_rng_seed(&r, seed, "test", 0);
    for (size_t i = 0; i < n; i++) w[i] = (float)(sd * loom_rng_normal(&r));
}

static loom_status full_logits(bed *b, loom_err *err)
{
    loom_acts *acts = NULL;
    loom_acts_options o = {.max_rows = T, .max_seq = T};
    int64_t segments[] = {0, T};

    LOOM_TRY(loom_acts_new(&acts, b->m, b->lora, &o, err));
    for (int i = 0; i < 3; i++) {
        loom_batch batch = {.N = T, .n_segments = 1, .tokens = b->tokens[i], .segments = segments};

        b->full[i] = loom_alloc((size_t)(T * b->c.V), sizeof(float));
        LOOM_TRY(loom_llama_logits(acts, b->m, b->lora, &batch, b->full[i], err));
    }
    loom_acts_free(acts);
    return LOOM_OK;
}

/* half: products and cache in bfloat16 */
static loom_status setup_how(bed *b, bool lora, bool half, bool in_place, int threads, int64_t positions, loom_err *err)
{
    loom_lora_config lc = {.R = 3, .alpha = 6, .targets = 0x7f};
    loom_decode_options o = {.max_rows = 64,
                             .max_seqs = 8,
                             .positions = positions,
                             .half_cache = half,
                             .bf16_compute = half,
                             .in_place = in_place};
    loom_rng r;

    *b = (bed){0};
    loom_config_default(&b->c);
    b->c.C = 48, b->c.L = 3, b->c.H = 6, b->c.K = 2, b->c.D = 20, b->c.F = 70, b->c.V = 83, b->c.max_positions = 128;
    LOOM_TRY(loom_llama_new(&b->m, &b->c, err));
    b->c = b->m->config;
    b->m->config.init_range = b->c.init_range = 0.15;
    loom_llama_init(b->m, 5);
    if (lora) {
        LOOM_TRY(loom_lora_new(&b->lora, &b->c, &lc, err));
        random_block(b->lora->params, b->lora->table.floats, 0.1, 3);
    }
    loom_rng_seed(&r, 1, "tokens", 0);
    for (int i = 0; i < 3; i++)
        for (int t = 0; t < T; t++) b->tokens[i][t] = (int32_t)loom_rng_below(&r, (uint64_t)b->c.V);
    for (int t = 0; t < 37; t++) b->tokens[1][t] = b->tokens[0][t]; /* sequence 1 starts like sequence 0 */
    LOOM_TRY(full_logits(b, err));
    LOOM_TRY(loom_pool_new(&b->pool, threads, err));
    o.pool = b->pool;
    return loom_decode_new(&b->d, b->m, b->lora, &o, err);
}

static loom_status setup(bed *b, bool lora, bool half, int threads, int64_t positions, loom_err *err)
{
    return setup_how(b, lora, half, false, threads, positions, err);
}

static void teardown(bed *b)
{
    loom_decode_free(b->d);
    loom_pool_free(b->pool);
    loom_lora_free(b->lora);
    loom_llama_free(b->m);
    for (int i = 0; i < 3; i++) free(b->full[i]);
}

static void same_logits(const bed *b, const float *got, int seq, int64_t t, bool half)
{
    const float *want = b->full[seq] + t * b->c.V;
    double worst = 0;

    for (int64_t v = 0; v < b->c.V; v++) worst = test_worse(worst, fabs((double)got[v] - want[v]));
    test_checks_++;
    if (!(worst <= (half ? HALF_TOLERANCE : TOLERANCE)))
        TEST_FAIL_("sequence %d position %d: logits differ by %g", seq, (int)t, worst);
}

/* Three sequences advance by random numbers of tokens in each run, rows in random order of sequences. */
static void mixed_runs(bool lora, bool half, bool in_place, int threads)
{
    bed b;
    loom_err err;
    loom_rng r;
    int32_t ids[3];
    int64_t done[3] = {0};
    float *logits;

    REQUIRE_OK(setup_how(&b, lora, half, in_place, threads, 3 * 64, &err), err);
    logits = loom_alloc((size_t)(64 * b.c.V), sizeof *logits);
    loom_rng_seed(&r, 9, "runs", 0);
    for (int i = 0; i < 3; i++) ids[i] = loom_decode_open(b.d);
    while (done[0] + done[1] + done[2] < 3 * T) {
        loom_decode_row rows[64];
        int which[64], n = 0, want = 0, most = loom_rng_chance(&r, 0.5) ? 3 : 40;
        int64_t at[64];

        while (n < most) {
            int i = (int)loom_rng_below(&r, 3);

            if (done[0] + done[1] + done[2] == 3 * T) break;
            if (done[i] == T) continue;
            which[n] = i;
            at[n] = done[i];
            rows[n] = (loom_decode_row){ids[i], b.tokens[i][done[i]++], loom_rng_chance(&r, 0.7)};
            n++;
        }
        REQUIRE_OK(loom_decode_run(b.d, rows, n, logits, &err), err);
        for (int i = 0; i < n; i++)
            if (rows[i].logits) same_logits(&b, logits + want++ * b.c.V, which[i], at[i], half);
    }
    for (int i = 0; i < 3; i++) CHECK_I64(loom_decode_len(b.d, ids[i]), T);
    free(logits);
    teardown(&b);
}

TEST(mixed_runs_equal_full_forward) { mixed_runs(false, false, false, 1); }
TEST(mixed_runs_on_three_threads) { mixed_runs(false, false, false, 3); }
TEST(mixed_runs_with_adapter) { mixed_runs(true, false, false, 2); }
TEST(mixed_runs_with_weights_in_place)
{
    mixed_runs(false, false, true, 2);
    mixed_runs(true, false, true, 3);
}
TEST(mixed_runs_in_bfloat16)
{
    loom_err err;

    mixed_runs(false, true, false, 2);
    mixed_runs(true, true, false, 1);
    if (loom_bf16_check(&err) != LOOM_OK) SKIP(err.msg);
    mixed_runs(false, true, true, 2);
    mixed_runs(true, true, true, 1);
}

/* Logits of every position of sequence 0, `most` rows of it at a time, beside rows of the other sequences. */
static void in_company(float *into, bool lora, bool half, int threads, int most)
{
    bed b;
    loom_err err;
    int64_t at[3] = {0};
    int32_t ids[3];
    float *logits;

    REQUIRE_OK(setup(&b, lora, half, threads, 3 * 64, &err), err);
    logits = loom_alloc((size_t)(64 * b.c.V), sizeof *logits);
    for (int i = 0; i < 3; i++) ids[i] = loom_decode_open(b.d);
    while (at[0] < T) {
        loom_decode_row rows[64];
        int n = 0;
        int64_t first = at[0];

        for (int i = 0; i < 3; i++)
            for (int k = 0; (i == 0 || most > 1) && k < most + i && at[i] < T; k++)
                rows[n++] = (loom_decode_row){ids[i], b.tokens[i][at[i]++], i == 0};
        REQUIRE_OK(loom_decode_run(b.d, rows, n, logits, &err), err);
        memcpy(into + first * b.c.V, logits, (size_t)((at[0] - first) * b.c.V) * sizeof *into);
    }
    free(logits);
    teardown(&b);
}

/* Not only close: the same bits, alone and in company, on one thread and on three. */
TEST(company_changes_no_bit)
{
    static float want[T * 83], got[T * 83];

    for (int how = 0; how < 4; how++) {
        bool lora = how & 1, half = how & 2;

        in_company(want, lora, half, 1, 1);
        for (int most = 2; most < 20; most += 7) {
            in_company(got, lora, half, most == 9 ? 3 : 1, most);
            CHECK(memcmp(want, got, sizeof want) == 0);
        }
    }
}

static loom_status feed(bed *b, int32_t id, int seq, int64_t from, int64_t to, float *logits, loom_err *err)
{
    for (int64_t t = from; t < to; t++) {
        loom_decode_row row = {id, b->tokens[seq][t], true};

        LOOM_TRY(loom_decode_run(b->d, &row, 1, logits, err));
        same_logits(b, logits, seq, t, false);
    }
    return LOOM_OK;
}

/* A fork shares its blocks, each side goes on by itself, and everything comes back at the end. */
TEST(forks_share_and_part)
{
    bed b;
    loom_err err;
    float *logits;
    int32_t a, f, g;
    int64_t all;

    REQUIRE_OK(setup(&b, false, false, 2, 12 * LOOM_KV_BLOCK, &err), err);
    logits = loom_alloc((size_t)b.c.V, sizeof *logits);
    all = loom_decode_free_blocks(b.d);
    CHECK_I64(all, 12);
    a = loom_decode_open(b.d);
    REQUIRE_OK(feed(&b, a, 0, 0, 40, logits, &err), err);
    CHECK_I64(loom_decode_free_blocks(b.d), all - 3);
    loom_cache_bytes cache = loom_decode_cache(b.d);
    int64_t block = cache.all / all;
    CHECK_I64(cache.all, all * block);
    CHECK_I64(cache.touched, 3 * block);
    CHECK_I64(cache.read * LOOM_KV_BLOCK, 820 * block); /* 1 + 2 + ... + 40 positions, in rows of one */
    f = loom_decode_fork(b.d, a, 37);                   /* 2 whole blocks shared, 5 positions copied */
    REQUIRE(f >= 0);
    CHECK_I64(loom_decode_free_blocks(b.d), all - 4);
    CHECK_I64(loom_decode_cache(b.d).touched, 4 * block);
    CHECK_I64(loom_decode_len(b.d, f), 37);
    REQUIRE_OK(feed(&b, f, 1, 37, T, logits, &err), err);
    REQUIRE_OK(feed(&b, a, 0, 40, T, logits, &err), err);
    g = loom_decode_fork(b.d, a, 32); /* only whole blocks */
    loom_decode_truncate(b.d, a, 20); /* into a block that g and f share: copied when written */
    CHECK_I64(loom_decode_need_blocks(b.d, a, 1), 1);
    REQUIRE_OK(feed(&b, a, 0, 20, 30, logits, &err), err);
    REQUIRE_OK(feed(&b, g, 1, 32, 45, logits, &err), err);
    loom_decode_truncate(b.d, f, 40);
    REQUIRE_OK(feed(&b, f, 1, 40, 44, logits, &err), err);
    loom_decode_close(b.d, a);
    loom_decode_close(b.d, f);
    loom_decode_close(b.d, g);
    CHECK_I64(loom_decode_free_blocks(b.d), all);
    CHECK(loom_decode_cache(b.d).touched > 4 * block); /* what was in use at once */
    CHECK_I64(loom_decode_fork(b.d, a, 0), -1);        /* closed */
    free(logits);
    teardown(&b);
}

TEST(refuses_before_changing_anything)
{
    bed b;
    loom_err err;
    float *logits;
    int32_t s;
    loom_decode_row rows[64];

    REQUIRE_OK(setup(&b, false, false, 1, 2 * LOOM_KV_BLOCK, &err), err);
    logits = loom_alloc((size_t)(64 * b.c.V), sizeof *logits);
    s = loom_decode_open(b.d);
    for (int i = 0; i < 64; i++) rows[i] = (loom_decode_row){s, 1, false};
    CHECK_I64(loom_decode_run(b.d, rows, 33, logits, &err), LOOM_STATUS_ARG); /* cache of 32 positions */
    CHECK_I64(loom_decode_run(b.d, rows, 65, logits, &err), LOOM_STATUS_ARG);
    rows[2].token = 83;
    CHECK_I64(loom_decode_run(b.d, rows, 3, logits, &err), LOOM_STATUS_ARG);
    rows[2] = (loom_decode_row){s + 1, 1, false};
    CHECK_I64(loom_decode_run(b.d, rows, 3, logits, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_decode_len(b.d, s), 0);
    CHECK_I64(loom_decode_free_blocks(b.d), 2);
    CHECK_I64(loom_decode_run(b.d, rows, 2, logits, &err), LOOM_OK);
    CHECK_I64(loom_decode_len(b.d, s), 2);
    for (int i = 1; i < 8; i++) CHECK(loom_decode_open(b.d) >= 0);
    CHECK_I64(loom_decode_open(b.d), -1);
    rows[0] = (loom_decode_row){1, 1, false}; /* second block goes to sequence 1, so a third sequence finds none */
    CHECK_I64(loom_decode_run(b.d, rows, 1, logits, &err), LOOM_OK);
    rows[0].seq = 2;
    CHECK_I64(loom_decode_run(b.d, rows, 1, logits, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "1 blocks"));
    free(logits);
    teardown(&b);
}

TEST_THREADED;
TEST_MAIN(loom_blas_start(0, NULL); RUN(mixed_runs_equal_full_forward) RUN(mixed_runs_on_three_threads)
              RUN(mixed_runs_with_adapter) RUN(mixed_runs_with_weights_in_place) RUN(mixed_runs_in_bfloat16)
                  RUN(company_changes_no_bit) RUN(forks_share_and_part) RUN(refuses_before_changing_anything))
