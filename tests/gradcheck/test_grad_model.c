/* The whole model: gradients of every tensor against central differences along random directions, and the properties
 * that must hold exactly or nearly: packed = one by one, recompute = stored, many threads = one, merged = base +
 * adapter, accumulated = one large batch. Longer than most: every test needs the same small models. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "model/adamw.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/pissa.h"
#include "model/step.h"

#define ROWS 61

typedef struct bed {
    loom_config c;
    loom_llama *m;
    loom_lora *lora;
    loom_pool *pool;
    loom_acts *acts;
    const loom_tensors *table;
    float *params, *grads;
    int32_t tokens[ROWS], labels[ROWS];
    int64_t segments[5];
    uint64_t allowed[ROWS];
    double counts[ROWS]; /* what focus makes of the rows */
    bool shaped;         /* the loss is not the cross-entropy */
    loom_batch batch;
} bed;

static void randomise(float *w, size_t n, double sd, const char *tag)
{
    loom_rng r;

    loom_rng_seed(&r, 3, tag, 0);
    for (size_t i = 0; i < n; i++) w[i] += (float)(sd * loom_rng_normal(&r));
}

typedef struct how {
    bool tied, recompute;
    unsigned targets;
    double dropout;
    int threads;
} how;

static loom_status setup(bed *b, how h, loom_err *err)
{
    loom_acts_options o = {.max_rows = ROWS, .max_seq = 40, .grad = true, .recompute = h.recompute};
    loom_lora_config lc = {.R = 3, .alpha = 5, .targets = h.targets, .dropout = h.dropout};
    loom_rng r;

    *b = (bed){.segments = {0, 1, 22, 58, ROWS}};
    loom_config_default(&b->c);
    b->c.C = 20, b->c.L = 2, b->c.H = 4, b->c.K = 2, b->c.D = 6, b->c.F = 27, b->c.V = 31, b->c.max_positions = 40;
    b->c.init_range = 0.2, b->c.tied = h.tied;
    LOOM_TRY(loom_llama_new(&b->m, &b->c, err));
    loom_llama_init(b->m, 1);
    for (int64_t i = 0; i < b->m->table.n; i++) /* norms away from 1, which hides mistakes */
        if (b->m->table.tensors[i].n_dims == 1)
            randomise(b->m->params + b->m->table.tensors[i].offset, b->m->table.tensors[i].count, 0.3, "norm");
    if (h.targets) {
        LOOM_TRY(loom_lora_new(&b->lora, &b->c, &lc, err));
        randomise(b->lora->params, b->lora->table.floats, 0.2, "lora");
    }
    b->table = h.targets ? &b->lora->table : &b->m->table;
    b->params = h.targets ? b->lora->params : b->m->params;
    b->grads = loom_alloc_aligned(b->table->floats * sizeof(float));
    loom_rng_seed(&r, 2, "tokens", 0);
    for (int n = 0; n < ROWS; n++) {
        b->tokens[n] = (int32_t)loom_rng_below(&r, 31);
        b->labels[n] = n % 5 == 3 ? LOOM_IGNORE : (int32_t)loom_rng_below(&r, 31);
    }
    b->batch = (loom_batch){.N = ROWS,
                            .n_segments = 4,
                            .tokens = b->tokens,
                            .labels = b->labels,
                            .segments = b->segments,
                            .dropout_seed = 77};
    LOOM_TRY(loom_pool_new(&b->pool, h.threads ? h.threads : 1, err));
    o.pool = b->pool;
    return loom_acts_new(&b->acts, b->m, b->lora, &o, err);
}

static void teardown(bed *b)
{
    loom_acts_free(b->acts);
    loom_pool_free(b->pool);
    loom_lora_free(b->lora);
    loom_llama_free(b->m);
    free(b->grads);
}

static double grad(bed *b)
{
    loom_loss loss = {0};
    loom_err err;

    memset(b->grads, 0, b->table->floats * sizeof(float));
    test_checks_++;
    if (loom_llama_grad(b->acts, b->m, b->lora, &b->batch, 1.0 / (double)loom_batch_count(&b->batch), b->grads, &loss,
                        &err) != LOOM_OK)
        TEST_FAIL_("%s", err.msg);
    return loss.sum / (double)loss.count;
}

/* Probability of row n's label, and of all tokens that might stand there; *squares: sum of p^2. */
static double chance(const bed *b, const float *logits, int n, double *allowed, double *squares)
{
    double sum = 0, own = 0;

    *allowed = *squares = 0;
    for (int64_t v = 0; v < b->c.V; v++) sum += exp((double)logits[n * b->c.V + v]);
    for (int64_t v = 0; v < b->c.V; v++) {
        double p = exp((double)logits[n * b->c.V + v]) / sum;
        *squares += p * p;
        if (v == b->labels[n]) own = p;
        if (loom_has_bit(b->allowed + n, v)) *allowed += p;
    }
    return own;
}

/* Mean loss of the counted rows as b->batch.shape has it. first: what focus makes of the rows is kept for later. */
static double shaped(bed *b, bool first)
{
    const loom_loss_shape *shape = &b->batch.shape;
    float *logits = loom_alloc((size_t)(ROWS * b->c.V), sizeof *logits);
    double sum = 0, allowed, squares;
    loom_err err;

    test_checks_++;
    if (loom_llama_logits(b->acts, b->m, b->lora, &b->batch, logits, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
    for (int n = 0; n < ROWS; n++) {
        if (b->labels[n] == LOOM_IGNORE) continue;
        double p = chance(b, logits, n, &allowed, &squares);
        if (first) b->counts[n] = pow(squares, shape->focus);
        sum += b->counts[n] * (shape->gce > 0 ? (1 - pow(p, shape->gce)) / shape->gce : -log(p));
        if (loom_has_bit(b->allowed + n, b->labels[n])) sum -= shape->allowed * log(allowed);
    }
    free(logits);
    return sum / (double)loom_batch_count(&b->batch);
}

/* The loss whose gradient is taken. */
static double objective(bed *b) { return b->shaped ? shaped(b, false) : grad(b); }

/* (loss(w + e d) - loss(w - e d)) / 2e for one tensor */
static double difference(bed *b, const loom_tensor *t, const float *direction, double step)
{
    float *w = b->params + t->offset, *old = loom_alloc(t->count, sizeof *old);
    double up, down;

    memcpy(old, w, t->count * sizeof *w);
    for (size_t j = 0; j < t->count; j++) w[j] = old[j] + (float)step * direction[j];
    up = objective(b);
    for (size_t j = 0; j < t->count; j++) w[j] = old[j] - (float)step * direction[j];
    down = objective(b);
    memcpy(w, old, t->count * sizeof *w);
    free(old);
    return (up - down) / (2 * step);
}

/* Along a random direction d of one tensor the loss must grow by grad . d. Differences at two steps cancel the cubic
 * term. The loss is a float32 computation accurate to about 1e-7 of 3.5; with a step that moves it by 5e-3 the quotient
 * is good to about 2e-4 of itself, what is left of fifth order is of the same size. */
static void check_directions(how h)
{
    bed b;
    loom_err err;
    loom_rng r;
    float *analytic, *direction;

    REQUIRE_OK(setup(&b, h, &err), err);
    grad(&b);
    analytic = loom_alloc(b.table->floats, sizeof *analytic);
    direction = loom_alloc(b.table->floats, sizeof *direction);
    memcpy(analytic, b.grads, b.table->floats * sizeof *analytic);
    loom_rng_seed(&r, 4, "direction", 0);
    for (int64_t i = 0; i < b.table->n; i++) {
        const loom_tensor *t = &b.table->tensors[i];
        double dot = 0, norm = 0, step, slope;

        for (size_t j = 0; j < t->count; j++) { /* half towards the gradient, so that the product is not small */
            direction[j] = (float)loom_rng_normal(&r);
            norm += (double)analytic[t->offset + j] * analytic[t->offset + j];
        }
        norm = sqrt(norm / (double)t->count) + 1e-12;
        for (size_t j = 0; j < t->count; j++) {
            direction[j] = (float)(direction[j] + analytic[t->offset + j] / norm);
            dot += (double)direction[j] * analytic[t->offset + j];
        }
        step = fmin(5e-3, 5e-3 / (fabs(dot) + 1e-9));
        slope = (4 * difference(&b, t, direction, step) - difference(&b, t, direction, 2 * step)) / 3;
        test_checks_++;
        if (!(fabs(slope - dot) <= 1e-3 * fabs(dot) + 2e-5))
            TEST_FAIL_("%s: along a direction the loss grows by %g, gradient says %g", t->name, slope, dot);
    }
    free(analytic), free(direction);
    teardown(&b);
}

TEST(gradients_full) { check_directions((how){.threads = 2}); }
TEST(gradients_tied) { check_directions((how){.tied = true}); }
TEST(gradients_lora_all) { check_directions((how){.targets = 0x7f, .threads = 3}); }
TEST(gradients_lora_dropout) { check_directions((how){.targets = 0x7f, .dropout = 0.3, .threads = 2}); }
TEST(gradients_lora_one_matrix_each)
{
    for (unsigned r = 0; r < LOOM_N_ADAPTABLE; r++)
        check_directions((how){.targets = 1u << r, .dropout = r % 2 ? 0.2 : 0});
}

/* The same step in two settings; the gradient blocks must differ by at most `tolerance` (0: bit for bit). */
static void same_gradients(how a, how b, double tolerance)
{
    bed x, y;
    loom_err err;
    double lx, ly, diff = 0, size = 0;

    REQUIRE_OK(setup(&x, a, &err), err);
    REQUIRE_OK(setup(&y, b, &err), err);
    lx = grad(&x);
    ly = grad(&y);
    if (tolerance == 0) {
        CHECK(lx == ly);
        CHECK(memcmp(x.grads, y.grads, x.table->floats * sizeof(float)) == 0);
    } else {
        CHECK_NEAR(lx, ly, 1e-6);
        for (size_t i = 0; i < x.table->floats; i++) {
            diff += pow((double)x.grads[i] - y.grads[i], 2);
            size += pow(y.grads[i], 2);
        }
        CHECK_NEAR(sqrt(diff / size), 0, tolerance);
    }
    teardown(&x);
    teardown(&y);
}

TEST(recompute_is_bit_identical)
{
    same_gradients((how){.threads = 2}, (how){.threads = 2, .recompute = true}, 0);
    same_gradients((how){.targets = 0x7f, .dropout = 0.1, .threads = 2},
                   (how){.targets = 0x7f, .dropout = 0.1, .threads = 2, .recompute = true}, 0);
    same_gradients((how){.targets = 5}, (how){.targets = 5, .recompute = true}, 0);
}

TEST(same_settings_same_bits)
{
    same_gradients((how){.threads = 3}, (how){.threads = 3}, 0);
    same_gradients((how){.targets = 0x7f, .dropout = 0.1, .threads = 3},
                   (how){.targets = 0x7f, .dropout = 0.1, .threads = 3}, 0);
}

TEST(threads_change_no_bit_of_a_full_model)
{
    for (int threads = 2; threads <= 5; threads++) {
        same_gradients((how){.threads = 1}, (how){.threads = threads}, 0);
        same_gradients((how){.threads = 1}, (how){.threads = threads, .tied = false, .recompute = true}, 0);
        same_gradients((how){.tied = true}, (how){.threads = threads, .tied = true}, 0);
    }
}

TEST(threads_change_rounding_only_of_an_adapter)
{
    same_gradients((how){.targets = 0x7f, .dropout = 0.4, .threads = 1},
                   (how){.targets = 0x7f, .dropout = 0.4, .threads = 4}, 2e-6);
}

/* Each segment alone: losses of its rows and gradients add up to those of the packed batch. */
TEST(packed_equals_one_by_one)
{
    bed b;
    loom_err err;
    float packed[ROWS], *whole;
    double total = (double)ROWS, diff = 0, size = 0;
    loom_loss loss, sum = {0};

    REQUIRE_OK(setup(&b, (how){.threads = 2}, &err), err);
    total = (double)loom_batch_count(&b.batch);
    REQUIRE_OK(loom_llama_row_losses(b.acts, b.m, NULL, &b.batch, packed, &err), err);
    grad(&b);
    whole = loom_alloc(b.table->floats, sizeof *whole);
    memcpy(whole, b.grads, b.table->floats * sizeof *whole);
    memset(b.grads, 0, b.table->floats * sizeof *whole);
    for (int i = 0; i < 4; i++) {
        int64_t from = b.segments[i], n = b.segments[i + 1] - from, one[] = {0, n};
        float alone[ROWS];
        loom_batch part = {
            .N = n, .n_segments = 1, .tokens = b.tokens + from, .labels = b.labels + from, .segments = one};

        REQUIRE_OK(loom_llama_row_losses(b.acts, b.m, NULL, &part, alone, &err), err);
        for (int64_t t = 0; t < n; t++) CHECK_NEAR(alone[t], packed[from + t], 1e-5);
        REQUIRE_OK(loom_llama_grad(b.acts, b.m, NULL, &part, 1 / total, b.grads, &loss, &err), err);
        sum.sum += loss.sum;
        sum.count += loss.count;
    }
    CHECK_I64(sum.count, loom_batch_count(&b.batch));
    for (size_t i = 0; i < b.table->floats; i++) {
        diff += pow((double)whole[i] - b.grads[i], 2);
        size += pow(whole[i], 2);
    }
    CHECK_NEAR(sqrt(diff / size), 0, 2e-6);
    free(whole);
    teardown(&b);
}

TEST(merged_equals_base_with_adapter)
{
    bed b;
    loom_err err;
    loom_loss apart, merged;
    float *with = loom_alloc(ROWS * 31, sizeof *with), *without = loom_alloc(ROWS * 31, sizeof *without);

    REQUIRE_OK(setup(&b, (how){.targets = 0x7f, .dropout = 0.5}, &err), err); /* dropout must not act here */
    REQUIRE_OK(loom_llama_loss(b.acts, b.m, b.lora, &b.batch, &apart, &err), err);
    REQUIRE_OK(loom_llama_logits(b.acts, b.m, b.lora, &b.batch, with, &err), err);
    for (int64_t i = 0; i < b.m->table.n; i++) /* as loom-train merge does */
        loom_lora_add_to(b.m->params + b.m->table.tensors[i].offset, b.lora, &b.m->table.tensors[i], 1.0f);
    REQUIRE_OK(loom_llama_loss(b.acts, b.m, NULL, &b.batch, &merged, &err), err);
    REQUIRE_OK(loom_llama_logits(b.acts, b.m, NULL, &b.batch, without, &err), err);
    CHECK_NEAR(merged.sum, apart.sum, 1e-5 * apart.sum);
    CHECK_I64(merged.right, apart.right);
    for (int i = 0; i < ROWS * 31; i++) CHECK_NEAR(with[i], without[i], 2e-5);
    free(with), free(without);
    teardown(&b);
}

/* A frozen base of bfloat16 gives what the same weights in float32 give, forward and adapter gradients. */
TEST(frozen_base_equals_float32)
{
    bed b;
    loom_err err;
    loom_llama *half = NULL;
    loom_acts *acts = NULL;
    loom_acts_options o = {.max_rows = ROWS, .max_seq = 40, .grad = true};
    uint16_t *store;
    float *grads;
    loom_loss loss;
    double diff = 0, size = 0, mean;

    REQUIRE_OK(setup(&b, (how){.targets = 0x7f, .threads = 2}, &err), err);
    store = loom_alloc(b.m->table.floats, sizeof *store);
    REQUIRE_OK(loom_llama_new_frozen(&half, &b.c, &err), err);
    CHECK_I64(loom_llama_complete(half, &err), LOOM_STATUS_FORMAT);
    for (int64_t i = 0; i < b.m->table.n; i++) {
        const loom_tensor *t = &b.m->table.tensors[i];

        for (size_t j = 0; j < t->count; j++) { /* cut to bfloat16 on both sides */
            float *w = &b.m->params[t->offset + j];
            uint32_t bits;

            if (t->n_dims == 1) {
                half->params[half->table.tensors[i].offset + j] = *w;
                continue;
            }
            memcpy(&bits, w, 4);
            store[t->offset + j] = (uint16_t)(bits >> 16);
            bits &= 0xFFFF0000u;
            memcpy(w, &bits, 4);
        }
        if (t->n_dims == 2) loom_llama_borrow(half, i, store + t->offset);
    }
    REQUIRE_OK(loom_llama_complete(half, &err), err);
    mean = grad(&b);
    grads = loom_alloc_aligned(b.table->floats * sizeof *grads);
    REQUIRE_OK(loom_acts_new(&acts, half, b.lora, &o, &err), err);
    REQUIRE_OK(
        loom_llama_grad(acts, half, b.lora, &b.batch, 1 / (double)loom_batch_count(&b.batch), grads, &loss, &err), err);
    CHECK_NEAR(loss.sum / (double)loss.count, mean, 1e-6);
    for (size_t i = 0; i < b.table->floats; i++) {
        diff += pow((double)grads[i] - b.grads[i], 2);
        size += pow(b.grads[i], 2);
    }
    CHECK_NEAR(sqrt(diff / size), 0, 2e-6);
    CHECK_I64(loom_llama_grad(acts, half, NULL, &b.batch, 1, grads, &loss, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_pissa_start(b.lora, half, &err), LOOM_STATUS_ARG);
    loom_acts_free(acts);
    loom_llama_free(half);
    free(store), free(grads);
    teardown(&b);
}

/* Products in bfloat16: the same step up to rounding of their operands to 8 bits (2^-9 each, averaged over sums of some
 * dozen terms and through two layers: a few percent of the gradient of these large random
 * weights; a wrong formula would be off by all of it). And repeatable. */
static void half_near_full(how h)
{
    bed b;
    loom_err err;
    loom_acts *acts = NULL;
    loom_acts_options o = {
        .max_rows = ROWS, .max_seq = 40, .grad = true, .bf16_compute = true, .recompute = h.recompute};
    float *grads, *again;
    loom_loss loss, loss2;
    double scale, diff = 0, size = 0, mean;

    if (loom_bf16_check(&err) != LOOM_OK) SKIP(err.msg);
    REQUIRE_OK(setup(&b, h, &err), err);
    o.pool = b.pool;
    mean = grad(&b);
    scale = 1 / (double)loom_batch_count(&b.batch);
    grads = loom_alloc_aligned(b.table->floats * sizeof *grads);
    again = loom_alloc_aligned(b.table->floats * sizeof *again);
    REQUIRE_OK(loom_acts_new(&acts, b.m, b.lora, &o, &err), err);
    REQUIRE_OK(loom_llama_grad(acts, b.m, b.lora, &b.batch, scale, grads, &loss, &err), err);
    REQUIRE_OK(loom_llama_grad(acts, b.m, b.lora, &b.batch, scale, again, &loss2, &err), err);
    CHECK_NEAR(loss.sum * scale, mean, 5e-3);
    CHECK(loss.sum == loss2.sum);
    CHECK(memcmp(grads, again, b.table->floats * sizeof *grads) == 0);
    for (int64_t i = 0; i < b.table->n; i++) {
        const loom_tensor *t = &b.table->tensors[i];

        diff = size = 0;
        for (size_t j = 0; j < t->count; j++) {
            diff += pow((double)grads[t->offset + j] - b.grads[t->offset + j], 2);
            size += pow(b.grads[t->offset + j], 2);
        }
        test_checks_++;
        if (!(sqrt(diff) <= 0.15 * sqrt(size))) TEST_FAIL_("%s is off by %g", t->name, sqrt(diff / size));
    }
    loom_acts_free(acts);
    free(grads), free(again);
    teardown(&b);
}

TEST(half_products_full) { half_near_full((how){.threads = 2}); }
TEST(half_products_tied_recompute) { half_near_full((how){.threads = 3, .tied = true, .recompute = true}); }
TEST(half_products_lora) { half_near_full((how){.threads = 2, .targets = 0x7f, .dropout = 0.2}); }

/* PiSSA moves the principal part of W into the adapter: the function stays the same. */
TEST(pissa_keeps_the_function)
{
    bed b;
    loom_err err;
    loom_loss before, after, base;

    REQUIRE_OK(setup(&b, (how){.targets = 0x7f}, &err), err);
    REQUIRE_OK(loom_llama_loss(b.acts, b.m, NULL, &b.batch, &before, &err), err);
    REQUIRE_OK(loom_pissa_start(b.lora, b.m, &err), err);
    REQUIRE_OK(loom_llama_loss(b.acts, b.m, b.lora, &b.batch, &after, &err), err);
    REQUIRE_OK(loom_llama_loss(b.acts, b.m, NULL, &b.batch, &base, &err), err);
    CHECK_NEAR(after.sum, before.sum, 1e-4);
    CHECK(fabs(base.sum - before.sum) > 1e-2);
    teardown(&b);
}

/* What is written of a PiSSA adapter fits the base as it was, and comes back. */
TEST(pissa_is_written_for_the_base_as_it_was)
{
    bed b;
    loom_err err;
    loom_loss trained, written;
    loom_acts *acts = NULL;
    loom_acts_options o = {.max_rows = ROWS, .max_seq = 40};
    loom_lora *start = NULL, *wide = NULL, *back = NULL;
    float *whole;

    REQUIRE_OK(setup(&b, (how){.targets = 0x7f}, &err), err);
    whole = loom_alloc(b.m->table.floats, sizeof *whole);
    memcpy(whole, b.m->params, b.m->table.floats * sizeof *whole);
    REQUIRE_OK(loom_pissa_start(b.lora, b.m, &err), err);
    REQUIRE_OK(loom_lora_new(&start, &b.c, &b.lora->config, &err), err);
    REQUIRE_OK(loom_lora_new(&back, &b.c, &b.lora->config, &err), err);
    memcpy(start->params, b.lora->params, start->table.floats * sizeof(float));
    for (size_t i = 0; i < b.lora->table.floats; i++) b.lora->params[i] *= 1.0f + 0.1f * (float)(i % 7); /* training */
    REQUIRE_OK(loom_llama_loss(b.acts, b.m, b.lora, &b.batch, &trained, &err), err);

    REQUIRE_OK(loom_pissa_widen(&wide, b.lora, start, &b.c, &err), err);
    memcpy(b.m->params, whole, b.m->table.floats * sizeof *whole);
    REQUIRE_OK(loom_acts_new(&acts, b.m, wide, &o, &err), err);
    REQUIRE_OK(loom_llama_loss(acts, b.m, wide, &b.batch, &written, &err), err);
    CHECK_NEAR(written.sum, trained.sum, 1e-5 * trained.sum);
    CHECK(loom_pissa_narrow(back, wide));
    for (int64_t i = 0; i < back->table.n; i++) {
        const loom_tensor *t = &back->table.tensors[i];

        CHECK(memcmp(back->params + t->offset, b.lora->params + t->offset, t->count * sizeof(float)) == 0);
    }
    CHECK(!loom_pissa_narrow(wide, b.lora));
    loom_acts_free(acts);
    loom_lora_free(start), loom_lora_free(wide), loom_lora_free(back);
    free(whole);
    teardown(&b);
}

/* The states are what the head sees: times its matrix they are the logits of the last row, or the mean over the rows;
 * and both of them, one after the other. */
TEST(states_are_what_the_head_sees)
{
    bed b;
    loom_err err;
    int64_t C, V;

    REQUIRE_OK(setup(&b, (how){.targets = 5, .threads = 2}, &err), err);
    C = b.c.C, V = b.c.V;
    float *logits = loom_alloc((size_t)(ROWS * V), sizeof *logits),
          *states = loom_alloc((size_t)(4 * C), sizeof *states), *both = loom_alloc((size_t)(8 * C), sizeof *both);
    const float *head = b.m->params + loom_llama_tensor(b.m, -1, LOOM_ROLE_HEAD)->offset;
    REQUIRE_OK(loom_llama_logits(b.acts, b.m, b.lora, &b.batch, logits, &err), err);
    REQUIRE_OK(loom_llama_states(b.acts, b.m, b.lora, &b.batch, LOOM_STATE_BOTH, both, &err), err);
    for (int which = LOOM_STATE_LAST; which <= LOOM_STATE_MEAN; which++) {
        REQUIRE_OK(loom_llama_states(b.acts, b.m, b.lora, &b.batch, (loom_state_of)which, states, &err), err);
        for (int64_t i = 0; i < 4; i++) {
            CHECK(memcmp(both + (2 * i + which) * C, states + i * C, (size_t)C * sizeof *states) == 0);
            for (int64_t v = 0; v < V; v++) {
                int64_t end = b.segments[i + 1], first = which == LOOM_STATE_LAST ? end - 1 : b.segments[i];
                double want = 0, got = 0;
                for (int64_t n = first; n < end; n++) want += (double)logits[n * V + v] / (double)(end - first);
                for (int64_t c = 0; c < C; c++) got += (double)states[i * C + c] * (double)head[v * C + c];
                CHECK(fabs(want - got) < 1e-4 * (1 + fabs(want)));
            }
        }
    }
    free(logits);
    free(states);
    free(both);
    teardown(&b);
}

TEST(bad_batches_are_refused)
{
    bed b;
    loom_err err;
    loom_loss loss;
    loom_batch bad;
    int64_t holes[] = {0, 5, 5, 50, ROWS}, longer[] = {0, 41, 42, 43, ROWS};
    int32_t tokens[ROWS];

    REQUIRE_OK(setup(&b, (how){0}, &err), err);
    memcpy(tokens, b.tokens, sizeof tokens);
    bad = b.batch, bad.segments = holes;
    CHECK_I64(loom_llama_loss(b.acts, b.m, NULL, &bad, &loss, &err), LOOM_STATUS_ARG);
    bad = b.batch, bad.segments = longer;
    CHECK_I64(loom_llama_loss(b.acts, b.m, NULL, &bad, &loss, &err), LOOM_STATUS_ARG);
    bad = b.batch, bad.N = ROWS + 1;
    CHECK_I64(loom_llama_loss(b.acts, b.m, NULL, &bad, &loss, &err), LOOM_STATUS_ARG);
    tokens[60] = 31;
    bad = b.batch, bad.tokens = tokens;
    CHECK_I64(loom_llama_loss(b.acts, b.m, NULL, &bad, &loss, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "token 31 at row 60"));
    bad = b.batch, bad.labels = NULL;
    CHECK_I64(loom_llama_loss(b.acts, b.m, NULL, &bad, &loss, &err), LOOM_STATUS_ARG);
    tokens[60] = -1;
    bad = b.batch, bad.labels = tokens;
    CHECK_I64(loom_llama_loss(b.acts, b.m, NULL, &bad, &loss, &err), LOOM_STATUS_ARG);
    b.m->params[0] = NAN;
    tokens[60] = 0;
    bad = b.batch, bad.tokens = tokens;
    CHECK_I64(loom_llama_loss(b.acts, b.m, NULL, &bad, &loss, &err), LOOM_STATUS_NUMERIC);
    teardown(&b);
}

/* No label at all: no loss, no gradient, no complaint. */
/* The gradient is linear in the rows' weights: a quarter of that of the even rows alone and all of that of the odd
 * ones. */
TEST(weighted_rows)
{
    bed b;
    loom_err err;
    float weights[ROWS], *both, *even;
    int32_t labels[ROWS];
    loom_loss loss = {0};

    REQUIRE_OK(setup(&b, (how){.threads = 2, .tied = true}, &err), err);
    both = loom_alloc(b.table->floats, sizeof *both);
    even = loom_alloc(b.table->floats, sizeof *even);
    for (int n = 0; n < ROWS; n++) weights[n] = n % 2 ? 1 : 0.25f;
    memcpy(labels, b.labels, sizeof labels);
    for (int part = 0; part < 3; part++) { /* all with weights, even rows, odd rows */
        memset(b.grads, 0, b.table->floats * sizeof(float));
        for (int n = 0; n < ROWS; n++) b.labels[n] = part == 0 || n % 2 == part - 1 ? labels[n] : LOOM_IGNORE;
        b.batch.weights = part == 0 ? weights : NULL;
        REQUIRE_OK(loom_llama_grad(b.acts, b.m, NULL, &b.batch, 1, b.grads, &loss, &err), err);
        if (part < 2) memcpy(part ? even : both, b.grads, b.table->floats * sizeof(float));
        if (part == 0) CHECK_NEAR(loom_batch_weight(&b.batch), 0.25 * 25 + 24, 1e-9);
    }
    for (size_t i = 0; i < b.table->floats; i++) CHECK_NEAR(both[i], 0.25 * even[i] + b.grads[i], 2e-5);
    free(both);
    free(even);
    teardown(&b);
}

/* Along the gradient of each tensor, where differences are largest; the loss that is told stays cross-entropy. Of every
 * fourth row nothing is known. */
static void check_shape(how h, loom_loss_shape shape)
{
    bed b;
    loom_err err;
    loom_rng r;
    double plain, told;

    REQUIRE_OK(setup(&b, h, &err), err);
    plain = grad(&b);
    loom_rng_seed(&r, 4, "allowed", 0);
    for (int n = 0; n < ROWS; n++) {
        b.allowed[n] = n % 4 == 1 ? 0 : loom_rng_below(&r, (uint64_t)1 << 31);
        if (n % 4 != 1 && b.labels[n] != LOOM_IGNORE) loom_set_bit(&b.allowed[n], b.labels[n]);
    }
    b.batch.shape = shape;
    b.batch.allowed = b.allowed;
    b.shaped = true;
    shaped(&b, true);
    told = grad(&b);
    CHECK(told == plain);
    for (int64_t i = 0; i < b.table->n; i++) {
        const loom_tensor *t = &b.table->tensors[i];
        const float *g = b.grads + t->offset;
        double size = 0;
        for (size_t j = 0; j < t->count; j++) size += (double)g[j] * g[j];
        if (size > 0) CHECK_NEAR(difference(&b, t, g, 2e-3 / size) / size, 1, 5e-3);
    }
    teardown(&b);
}

TEST(shapes_of_the_loss)
{
    check_shape((how){.threads = 2}, (loom_loss_shape){.gce = 0.4});
    check_shape((how){.threads = 1, .tied = true}, (loom_loss_shape){.gce = 0.4});
    check_shape((how){.threads = 2}, (loom_loss_shape){.focus = 0.4});
    check_shape((how){.threads = 2, .tied = true}, (loom_loss_shape){.allowed = 2});
    check_shape((how){.threads = 1}, (loom_loss_shape){.focus = 0.3, .allowed = 2});
}

TEST(nothing_counted)
{
    bed b;
    loom_err err;
    loom_loss loss;
    int32_t none[ROWS];

    REQUIRE_OK(setup(&b, (how){0}, &err), err);
    for (int i = 0; i < ROWS; i++) none[i] = LOOM_IGNORE;
    b.batch.labels = none;
    REQUIRE_OK(loom_llama_grad(b.acts, b.m, NULL, &b.batch, 1, b.grads, &loss, &err), err);
    CHECK_I64(loss.count, 0);
    for (size_t i = 0; i < b.table->floats; i++) CHECK(b.grads[i] == 0);
    teardown(&b);
}

TEST_THREADED;
TEST_MAIN(loom_blas_start(0, NULL);
          RUN(gradients_full) RUN(weighted_rows) RUN(shapes_of_the_loss) RUN(gradients_tied) RUN(gradients_lora_all)
              RUN(gradients_lora_dropout) RUN(gradients_lora_one_matrix_each) RUN(recompute_is_bit_identical)
                  RUN(same_settings_same_bits) RUN(threads_change_no_bit_of_a_full_model)
                      RUN(threads_change_rounding_only_of_an_adapter) RUN(packed_equals_one_by_one)
                          RUN(merged_equals_base_with_adapter) RUN(frozen_base_equals_float32) RUN(half_products_full)
                              RUN(half_products_tied_recompute) RUN(half_products_lora) RUN(pissa_keeps_the_function)
                                  RUN(pissa_is_written_for_the_base_as_it_was) RUN(states_are_what_the_head_sees)
                                      RUN(bad_batches_are_refused) RUN(nothing_counted))
