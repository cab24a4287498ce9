/* Which tensor is whose, what is kept of it, and that threads change nothing. */
#include "test.h"

#include "core/num.h"
#include "model/adamw.h"
#include "model/optimizer.h"

typedef struct setup {
    loom_config config;
    loom_tensors table;
    loom_pool *pool;
    loom_optimizer *opt;
    float *w, *g;
} setup;

static int share_me, share_ranks; /* of the optimizers that start() makes */
static double rest;               /* likewise */

/* Sizes that are no multiples of anything. */
static void start(setup *s, loom_optimizer_kind kind, bool half, int threads)
{
    loom_optimizer_options o = {.kind = kind,
                                .beta1 = .9,
                                .beta2 = .99,
                                .eps = 1e-8,
                                .momentum = .95,
                                .nesterov = true,
                                .rest = rest,
                                .bf16_compute = half,
                                .decay = .1,
                                .me = share_me,
                                .ranks = share_ranks};
    loom_err err;

    *s = (setup){0};
    loom_config_default(&s->config);
    s->config.C = 50, s->config.F = 131, s->config.L = 3, s->config.H = 5, s->config.V = 301;
    REQUIRE_OK(loom_llama_table(&s->table, &s->config, &err), err);
    REQUIRE_OK(loom_pool_new(&s->pool, threads, &err), err);
    REQUIRE_OK(loom_optimizer_new(&s->opt, &o, &s->table, s->pool, &err), err);
    s->w = loom_alloc_aligned(s->table.floats * sizeof(float));
    s->g = loom_alloc_aligned(s->table.floats * sizeof(float));
    for (int64_t i = 0; i < s->table.n; i++) {
        const loom_tensor *t = &s->table.tensors[i];

        for (size_t k = 0; k < t->count; k++) s->w[t->offset + k] = (float)((k * 37 + (size_t)i * 11) % 101) / 50.f - 1;
    }
}

static void run_at(setup *s, double lr, int64_t from, int64_t to)
{
    for (int64_t step = from; step <= to; step++) {
        for (int64_t i = 0; i < s->table.n; i++) {
            const loom_tensor *t = &s->table.tensors[i];

            for (size_t k = 0; k < t->count; k++)
                s->g[t->offset + k] = (float)((k * k * 7 + (size_t)(step * 13 + i * 5)) % 89) / 44.f - 1;
        }
        loom_optimizer_step(s->opt, s->w, s->g, lr, .5, step);
    }
}

static void run(setup *s, int64_t from, int64_t to) { run_at(s, 1e-2, from, to); }

static void stop(setup *s)
{
    loom_optimizer_free(s->opt);
    loom_pool_free(s->pool);
    loom_tensors_release(&s->table);
    free(s->w);
    free(s->g);
}

TEST(muon_takes_the_matrices_of_the_layers)
{
    setup s;
    size_t state, work, kept = 0;
    double before = INFINITY;

    start(&s, LOOM_OPTIMIZER_MUON, false, 2);
    CHECK_I64(s.opt->n_muon, 7 * s.config.L);
    for (int64_t i = 0; i < s.opt->n_muon; i++) {
        const loom_tensor *t = &s.table.tensors[s.opt->muon[i]];
        double n = (double)t->count;

        CHECK(n <= before);
        before = n;
    }
    for (int64_t i = 0; i < s.table.n; i++) {
        const loom_tensor *t = &s.table.tensors[i];

        CHECK(loom_optimizer_is_muon(s.opt, i) == (t->layer >= 0 && t->n_dims == 2));
        if (!loom_optimizer_is_muon(s.opt, i)) kept += (t->count + 15) / 16 * 16;
    }
    loom_optimizer_bytes(&state, &work, LOOM_OPTIMIZER_MUON, &s.table, 2);
    CHECK_I64(state, (s.table.floats + kept) * sizeof(float));
    CHECK_I64(work, 2 * s.opt->work_floats * sizeof(float));
    loom_optimizer_bytes(&state, &work, LOOM_OPTIMIZER_ADAMW, &s.table, 2);
    CHECK(state >= 2 * s.table.floats * sizeof(float) - 16 * 4 * (size_t)s.table.n);
    CHECK_I64(work, 0);
    stop(&s);
}

TEST(the_rest_moves_as_with_adamw)
{
    setup a, m;

    start(&a, LOOM_OPTIMIZER_ADAMW, false, 1);
    start(&m, LOOM_OPTIMIZER_MUON, false, 1);
    run(&a, 1, 3);
    run(&m, 1, 3);
    for (int64_t i = 0; i < a.table.n; i++) {
        const loom_tensor *t = &a.table.tensors[i];
        size_t o = t->offset, bytes = t->count * sizeof(float);
        bool same = memcmp(a.w + o, m.w + o, bytes) == 0;

        CHECK(same == !loom_optimizer_is_muon(m.opt, i));
        if (loom_optimizer_is_muon(m.opt, i)) continue;
        CHECK(memcmp(a.opt->m + o, m.opt->m + o, bytes) == 0);
        CHECK(memcmp(a.opt->v + a.opt->v_at[i], m.opt->v + m.opt->v_at[i], bytes) == 0);
    }
    stop(&a);
    stop(&m);
}

TEST(the_rest_has_a_rate_of_its_own)
{
    setup slow, fast, own;

    start(&slow, LOOM_OPTIMIZER_MUON, false, 1);
    start(&fast, LOOM_OPTIMIZER_MUON, false, 1);
    rest = 8;
    start(&own, LOOM_OPTIMIZER_MUON, false, 1);
    rest = 0;
    run_at(&slow, 0.0078125, 1, 3);
    run_at(&fast, 0.0625, 1, 3);
    run_at(&own, 0.0078125, 1, 3);
    for (int64_t i = 0; i < own.table.n; i++) {
        const loom_tensor *t = &own.table.tensors[i];
        const setup *as = loom_optimizer_is_muon(own.opt, i) ? &slow : &fast;

        CHECK(memcmp(own.w + t->offset, as->w + t->offset, t->count * sizeof(float)) == 0);
        CHECK(memcmp(slow.w + t->offset, fast.w + t->offset, t->count * sizeof(float)) != 0);
    }
    stop(&slow);
    stop(&fast);
    stop(&own);
}

TEST(any_number_of_threads_gives_the_same_bits)
{
    for (int i = 0; i < 3; i++) {
        loom_optimizer_kind kind = i ? LOOM_OPTIMIZER_MUON : LOOM_OPTIMIZER_ADAMW;
        setup one, other;

        start(&one, kind, i == 2, 1);
        run(&one, 1, 4);
        for (int threads = 2; threads <= 5; threads++) {
            start(&other, kind, i == 2, threads);
            run(&other, 1, 4);
            CHECK(memcmp(one.w, other.w, one.table.floats * sizeof(float)) == 0);
            CHECK(memcmp(one.opt->m, other.opt->m, one.table.floats * sizeof(float)) == 0);
            stop(&other);
        }
        stop(&one);
    }
}

/* Every matrix has one rank that moves it, by the bits of one alone; its momentum and all the rest move on every
 * rank. */
TEST(ranks_share_out_the_matrices)
{
    for (share_ranks = 2; share_ranks <= 5; share_ranks++) {
        setup one, part;
        int64_t moved = 0, most = 0;
        int ranks = share_ranks;

        share_me = share_ranks = 0;
        start(&one, LOOM_OPTIMIZER_MUON, false, 1);
        run(&one, 1, 3);
        share_ranks = ranks;
        for (share_me = 0; share_me < ranks; share_me++) {
            int64_t own = 0;

            start(&part, LOOM_OPTIMIZER_MUON, false, 2);
            run(&part, 1, 3);
            CHECK(memcmp(one.opt->m, part.opt->m, one.table.floats * sizeof(float)) == 0);
            for (int64_t i = 0; i < one.table.n; i++) {
                const loom_tensor *t = &one.table.tensors[i];
                bool same = memcmp(one.w + t->offset, part.w + t->offset, t->count * sizeof(float)) == 0;

                own += same && loom_optimizer_is_muon(one.opt, i);
                CHECK(same || loom_optimizer_is_muon(one.opt, i));
            }
            moved += own;
            if (own > most) most = own;
            stop(&part);
        }
        CHECK_I64(moved, one.opt->n_muon);
        CHECK(most <= one.opt->n_muon / ranks + 7);
        CHECK_I64(loom_optimizer_muon_floats(one.opt), 3 * (4 * 50 * 50 + 3 * 50 * 131));
        stop(&one);
    }
    share_me = share_ranks = 0;
}

/* The update of a matrix has the root mean square that AdamW's has: about .2 of the learning rate. */
TEST(updates_have_the_size_of_adamws)
{
    setup s;
    float *before;

    start(&s, LOOM_OPTIMIZER_MUON, false, 1);
    s.opt->o.decay = 0;
    before = loom_alloc_aligned(s.table.floats * sizeof(float));
    memcpy(before, s.w, s.table.floats * sizeof(float));
    run(&s, 1, 1);
    for (int64_t i = 0; i < s.table.n; i++) {
        const loom_tensor *t = &s.table.tensors[i];
        double sum = 0;

        if (!loom_optimizer_is_muon(s.opt, i)) continue;
        for (size_t k = t->offset; k < t->offset + t->count; k++) sum += pow((double)s.w[k] - before[k], 2);
        CHECK(sqrt(sum / (double)t->count) <= 0.25e-2);
    }
    free(before);
    stop(&s);
}

TEST_THREADED;
TEST_MAIN(RUN(muon_takes_the_matrices_of_the_layers) RUN(the_rest_moves_as_with_adamw)
              RUN(the_rest_has_a_rate_of_its_own) RUN(any_number_of_threads_gives_the_same_bits)
                  RUN(ranks_share_out_the_matrices) RUN(updates_have_the_size_of_adamws))
