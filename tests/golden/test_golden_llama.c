/* The model against PyTorch in float64: logits, loss, every gradient, and four optimizer steps, for each case in
 * tests/golden/llama. Relative error of a tensor = ||a - b|| / ||b|| must stay below 1e-4: float32 sums differ in the
 * sixth digit, a wrong formula differs in the first ones.
 *
 * With products in bfloat16 (8 bits of mantissa) logits, loss and weights must stay within 2e-2. The gradients may be
 * off by 4e-2, all together by 3e-2: rounding nothing but the weights of these cases to bfloat16 moves the exact
 * gradient by 1.5e-2 to 2.4e-2, the worst tensor's by 3.2e-2. */
#include "test.h"

#include "core/file.h"
#include "core/num.h"
#include "model/adamw.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/step.h"
#include "store/safetensors.h"

#define TOLERANCE      1e-4
#define HALF_TOLERANCE 2e-2
#define HALF_GRADIENT  4e-2 /* of one tensor */
#define HALF_GRADIENTS 3e-2 /* of all */
#define B              3
#define T              37

typedef struct golden {
    const char *name;
    bool half;
    double tolerance;
    char dir[512];
    loom_config config;
    loom_llama *m;
    loom_lora *lora;
    loom_safetensors *expected;
    loom_pool *pool;
    loom_acts *acts;
    int32_t tokens[B * T], labels[B * T];
    int64_t segments[B + 1];
    loom_batch batch;
    const loom_tensors *table; /* of what is trained */
    float *params, *grads, *m1, *m2;
} golden;

static void release(golden *g)
{
    loom_acts_free(g->acts);
    loom_llama_free(g->m);
    loom_lora_free(g->lora);
    loom_safetensors_close(&g->expected);
    loom_pool_free(g->pool);
    free(g->grads);
    free(g->m1);
    free(g->m2);
}

static const char *in_dir(golden *g, const char *file)
{
    static char path[1024];

    snprintf(path, sizeof path, "%s/%s", g->dir, file);
    return path;
}

static loom_status fill(float *params, const loom_tensors *table, const char *prefix, const char *path, loom_err *err)
{
    loom_safetensors *st = NULL;
    loom_status status = loom_safetensors_open(&st, path, err);

    for (int64_t i = 0; status == LOOM_OK && i < table->n; i++) {
        char name[160];
        const loom_tensor_view *v;

        snprintf(name, sizeof name, "%s%s", prefix, table->tensors[i].name);
        v = loom_safetensors_find(st, name);
        if (!v || (size_t)v->count != table->tensors[i].count)
            status = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no tensor %s of the right size", path, name);
        else loom_dtype_to_f32(params + table->tensors[i].offset, v->data, v->dtype, v->count);
    }
    loom_safetensors_close(&st);
    return status;
}

static loom_status load_lora(golden *g, loom_err *err)
{
    loom_json *root = NULL;
    loom_lora_config lc = {0};
    loom_status st;

    if (!loom_file_exists(in_dir(g, "adapter_config.json"))) return LOOM_OK;
    if ((st = loom_json_read_file(&root, in_dir(g, "adapter_config.json"), 1 << 20, err)) != LOOM_OK) return st;
    lc.R = loom_json_i64(loom_json_get(root, "r"), 0);
    lc.alpha = loom_json_f64(loom_json_get(root, "lora_alpha"), 0);
    for (size_t i = 0; i < loom_json_len(loom_json_get(root, "target_modules")); i++) {
        unsigned bits = 0;

        loom_lora_parse_targets(&bits, loom_json_str(loom_json_at(loom_json_get(root, "target_modules"), i), NULL),
                                err);
        lc.targets |= bits;
    }
    loom_json_free(root);
    if ((st = loom_lora_new(&g->lora, &g->config, &lc, err)) != LOOM_OK) return st;
    return fill(g->lora->params, &g->lora->table, LOOM_LORA_PREFIX, in_dir(g, "adapter_model.safetensors"), err);
}

static loom_status load_batch(golden *g, loom_err *err)
{
    const loom_tensor_view *tokens = loom_safetensors_find(g->expected, "tokens"),
                           *labels = loom_safetensors_find(g->expected, "labels");

    if (!tokens || !labels || tokens->count != B * T || labels->count != B * T)
        return loom_fail(err, LOOM_STATUS_FORMAT, "tokens or labels missing");
    memcpy(g->tokens, tokens->data, sizeof g->tokens);
    memcpy(g->labels, labels->data, sizeof g->labels);
    for (int64_t b = 0; b <= B; b++) g->segments[b] = b * T;
    g->batch =
        (loom_batch){.N = B * T, .n_segments = B, .tokens = g->tokens, .labels = g->labels, .segments = g->segments};
    return LOOM_OK;
}

static loom_status load(golden *g, const char *name, int threads, bool recompute, bool half, loom_err *err)
{
    loom_acts_options o = {.max_rows = B * T, .max_seq = T, .grad = true, .recompute = recompute, .bf16_compute = half};
    size_t bytes;

    *g = (golden){.name = name, .half = half, .tolerance = half ? HALF_TOLERANCE : TOLERANCE};
    snprintf(g->dir, sizeof g->dir, LOOM_SOURCE_DIR "/tests/golden/llama/%s", name);
    LOOM_TRY(loom_config_read(&g->config, in_dir(g, "config.json"), err));
    LOOM_TRY(loom_llama_new(&g->m, &g->config, err));
    LOOM_TRY(fill(g->m->params, &g->m->table, "", in_dir(g, "model.safetensors"), err));
    LOOM_TRY(load_lora(g, err));
    LOOM_TRY(loom_safetensors_open(&g->expected, in_dir(g, "expected.safetensors"), err));
    LOOM_TRY(load_batch(g, err));
    LOOM_TRY(loom_pool_new(&g->pool, threads, err));
    o.pool = g->pool;
    LOOM_TRY(loom_acts_new(&g->acts, g->m, g->lora, &o, err));
    g->table = g->lora ? &g->lora->table : &g->m->table;
    g->params = g->lora ? g->lora->params : g->m->params;
    bytes = g->table->floats * sizeof(float);
    g->grads = loom_alloc_aligned(bytes);
    g->m1 = loom_alloc_aligned(bytes);
    g->m2 = loom_alloc_aligned(bytes);
    return LOOM_OK;
}

/* Squares of difference and size, added up. */
typedef struct sums {
    double diff, norm;
} sums;

static double relative(sums s) { return sqrt(s.diff / (s.norm > 0 ? s.norm : 1)); }

/* Infinite when the tensor is missing or of another size. */
static sums compare(golden *g, const char *prefix, const char *name, const float *got, size_t count)
{
    char full[200];
    const loom_tensor_view *v;
    float *want;
    sums s = {0};

    snprintf(full, sizeof full, "%s%s", prefix, name);
    v = loom_safetensors_find(g->expected, full);
    if (!v || (size_t)v->count != count) return (sums){INFINITY, 1};
    want = loom_alloc(count, sizeof *want);
    loom_dtype_to_f32(want, v->data, v->dtype, v->count);
    for (size_t i = 0; i < count; i++) {
        s.diff += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        s.norm += (double)want[i] * want[i];
    }
    free(want);
    return s;
}

/* Every tensor within `each`, all of them together within `together`. */
static void check_tensors(golden *g, const char *prefix, const float *block, double each, double together)
{
    double worst = 0;
    sums all = {0};

    for (int64_t i = 0; i < g->table->n; i++) {
        const loom_tensor *t = &g->table->tensors[i];
        sums s = compare(g, prefix, t->name, block + t->offset, t->count);
        double d = relative(s);

        test_checks_++;
        if (!(d <= each)) TEST_FAIL_("%s: %s%s is off by %g", g->name, prefix, t->name, d);
        if (d > worst) worst = d;
        all = (sums){all.diff + s.diff, all.norm + s.norm};
    }
    CHECK(relative(all) <= together);
    printf("  %-22s %-6s relative error %.2e, of the worst of %d tensors %.2e\n", g->name, prefix, relative(all),
           (int)g->table->n, worst);
}

static float expected_at(golden *g, const char *name, int i)
{
    const loom_tensor_view *v = loom_safetensors_find(g->expected, name);
    float all[8] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

    if (v && v->count <= 8) loom_dtype_to_f32(all, v->data, v->dtype, v->count);
    return all[i];
}

static void check_near(const golden *g, const char *what, double got, double want)
{
    test_checks_++;
    if (!(fabs(got - want) <= g->tolerance * fabs(want)))
        TEST_FAIL_("%s: %s is %.9g, expected %.9g", g->name, what, got, want);
}

/* Linear warm-up to step 2, then cosine to 0 at step 10: train.json. */
static double rate(int step)
{
    return 3e-3 * (step <= 2 ? step / 2.0 : 0.5 * (1 + cos(3.14159265358979 * (step - 2) / 8.0)));
}

static void four_steps(golden *g)
{
    loom_err err;

    for (int step = 1; step <= 4; step++) {
        loom_loss loss;
        double norm;
        loom_adamw how = {.lr = rate(step), .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.1, .step = step};

        memset(g->grads, 0, g->table->floats * sizeof(float));
        REQUIRE_OK(loom_llama_grad(g->acts, g->m, g->lora, &g->batch, 1.0 / (double)loom_batch_count(&g->batch),
                                   g->grads, &loss, &err),
                   err);
        norm = loom_grad_norm(g->pool, g->table, g->grads);
        how.grad_scale = loom_clip_scale(norm, 1.0);
        check_near(g, "steps.loss", loss.sum / (double)loss.count, expected_at(g, "steps.loss", step - 1));
        check_near(g, "steps.gradnorm", norm, expected_at(g, "steps.gradnorm", step - 1));
        check_near(g, "steps.lr", how.lr, expected_at(g, "steps.lr", step - 1));
        if (step == 1)
            check_tensors(g, "grad.", g->grads, g->half ? HALF_GRADIENT : TOLERANCE,
                          g->half ? HALF_GRADIENTS : TOLERANCE);
        loom_adamw_step(g->pool, g->table, g->params, g->m1, g->m2, g->grads, &how);
    }
    check_tensors(g, "after.", g->params, g->tolerance, g->tolerance);
}

static void run_case(const char *name, int threads, bool recompute, bool half)
{
    golden g;
    loom_err err;
    float *logits;
    loom_loss loss;

    REQUIRE_OK(load(&g, name, threads, recompute, half, &err), err);
    logits = loom_alloc((size_t)(B * T * g.config.V), sizeof *logits);
    REQUIRE_OK(loom_llama_logits(g.acts, g.m, g.lora, &g.batch, logits, &err), err);
    CHECK(relative(compare(&g, "", "logits", logits, (size_t)(B * T * g.config.V))) <= g.tolerance);
    REQUIRE_OK(loom_llama_loss(g.acts, g.m, g.lora, &g.batch, &loss, &err), err);
    check_near(&g, "loss", loss.sum / (double)loss.count, expected_at(&g, "loss", 0));
    four_steps(&g);
    free(logits);
    release(&g);
}

static void run_all(int threads, bool recompute, bool half)
{
    run_case("mha-untied", threads, recompute, half);
    run_case("gqa-tied-llama3rope", threads, recompute, half);
    run_case("gqa-untied-masked", threads, recompute, half);
    run_case("lora-qv", threads, recompute, half);
    run_case("lora-all", threads, recompute, half);
}

TEST(one_thread) { run_all(1, false, false); }
TEST(three_threads) { run_all(3, false, false); }
TEST(recompute) { run_all(2, true, false); }
TEST(plain_twin_of_blas)
{
    loom_blas_use_plain(true);
    run_all(1, false, false);
    loom_blas_use_plain(false);
}

TEST(half_products)
{
    loom_err err = {0};

    if (loom_bf16_check(&err) != LOOM_OK) SKIP(err.msg);
    run_all(1, false, true);
}
TEST(half_products_recompute_three_threads)
{
    loom_err err = {0};

    if (loom_bf16_check(&err) != LOOM_OK) SKIP(err.msg);
    run_all(3, true, true);
}

TEST_THREADED;
TEST_MAIN(loom_blas_start(0, NULL); RUN(one_thread) RUN(three_threads) RUN(recompute) RUN(plain_twin_of_blas)
              RUN(half_products) RUN(half_products_recompute_three_threads))
