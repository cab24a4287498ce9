/* The memory-mapped path: every case of tests/golden/llama with its weights rounded to bfloat16, written as a Hugging
 * Face folder, mapped, and compared with the same model in plain C and float64 below. Logits and loss directly;
 * gradients of an adapter (the case's own, else one on all matrices) by what they foretell: along any direction d, the
 * twin's loss must change by <gradient, d>. Relative errors stay below 1e-4. With products in bfloat16, logits and loss
 * stay within 2e-2 of the twin's; the gradient within 3e-2, each tensor's within 4e-2, of the one in float32 that the
 * twin has confirmed (see test_golden_llama.c for what rounding does to the gradients of these cases). */
#include <unistd.h>

#include "core/file.h"
#include "core/num.h"
#include "core/rng.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/model_files.h"
#include "model/step.h"
#include "model/vmath.h"
#include "test.h"

#define TOLERANCE      1e-4
#define HALF_TOLERANCE 2e-2
#define HALF_GRADIENT  4e-2 /* of one tensor */
#define HALF_GRADIENTS 3e-2 /* of all */
#define B              2    /* of the golden batch's sequences */
#define T              37

/* ---- the twin: one sequence at a time, every formula as MATH.md states it ---- */
typedef struct twin {
    loom_config c;
    loom_tensors table; /* float32 layout */
    double *w;          /* the rounded weights */
    const loom_lora *lora;
    double *ab; /* the adapter's weights, lora->table's layout */
    double freq[128];
} twin;

/* y (T,out) += s B A x of one matrix, if it is adapted. */
static void adapt(const twin *t, double *y, const double *x, loom_role role, int64_t l, int64_t out, int64_t in)
{
    const loom_adapter *ad = &t->lora->adapters[l * LOOM_N_ADAPTABLE + (int64_t)role];
    int64_t R = t->lora->config.R;
    double s = t->lora->config.alpha / (double)R;

    if (!ad->a) return;
    for (int64_t n = 0; n < T; n++) {
        for (int64_t r = 0; r < R; r++) {
            double ax = 0;

            for (int64_t i = 0; i < in; i++) ax += t->ab[ad->a_offset + (size_t)(r * in + i)] * x[n * in + i];
            for (int64_t o = 0; o < out; o++) y[n * out + o] += s * t->ab[ad->b_offset + (size_t)(o * R + r)] * ax;
        }
    }
}

static const double *weight(const twin *t, loom_role role, int64_t l)
{
    for (int64_t i = 0; i < t->table.n; i++)
        if (t->table.tensors[i].role == role && t->table.tensors[i].layer == l)
            return t->w + t->table.tensors[i].offset;
    return t->w; /* tied: the embedding stands first */
}

static void linear(const twin *t, double *y, const double *x, loom_role role, int64_t l, int64_t out, int64_t in)
{
    const double *w = weight(t, role, l);

    for (int64_t n = 0; n < T; n++) {
        for (int64_t o = 0; o < out; o++) {
            double sum = 0;

            for (int64_t i = 0; i < in; i++) sum += w[o * in + i] * x[n * in + i];
            y[n * out + o] = sum;
        }
    }
    if (role < LOOM_N_ADAPTABLE) adapt(t, y, x, role, l, out, in);
}

static void norm(const twin *t, double *y, const double *x, loom_role role, int64_t l)
{
    const double *g = weight(t, role, l);
    int64_t C = t->c.C;

    for (int64_t n = 0; n < T; n++) {
        double square = 0;

        for (int64_t c = 0; c < C; c++) square += x[n * C + c] * x[n * C + c];
        for (int64_t c = 0; c < C; c++) y[n * C + c] = g[c] * x[n * C + c] / sqrt(square / (double)C + t->c.rms_eps);
    }
}

/* Turns pairs (i, i + D/2) of every head by position times frequency. */
static void rotate(const twin *t, double *x, int64_t heads)
{
    int64_t D = t->c.D;

    for (int64_t n = 0; n < T; n++) {
        for (int64_t h = 0; h < heads; h++) {
            double *v = x + (n * heads + h) * D;

            for (int64_t i = 0; i < D / 2; i++) {
                double cosine = cos((double)n * t->freq[i]), sine = sin((double)n * t->freq[i]);
                double a = v[i], b = v[i + D / 2];

                v[i] = a * cosine - b * sine;
                v[i + D / 2] = b * cosine + a * sine;
            }
        }
    }
}

static void attend(const twin *t, double *o, const double *q, const double *k, const double *v)
{
    int64_t H = t->c.H, K = t->c.K, D = t->c.D;
    double p[T];

    for (int64_t n = 0; n < T; n++) {
        for (int64_t h = 0; h < H; h++) {
            const double *mine = q + (n * H + h) * D;
            int64_t kv = h / (H / K);
            double most = -INFINITY, sum = 0;

            for (int64_t m = 0; m <= n; m++) {
                p[m] = 0;
                for (int64_t i = 0; i < D; i++) p[m] += mine[i] * k[(m * K + kv) * D + i];
                p[m] /= sqrt((double)D);
                if (p[m] > most) most = p[m];
            }
            for (int64_t m = 0; m <= n; m++) sum += p[m] = exp(p[m] - most);
            for (int64_t i = 0; i < D; i++) {
                double *to = &o[(n * H + h) * D + i];

                *to = 0;
                for (int64_t m = 0; m <= n; m++) *to += p[m] / sum * v[(m * K + kv) * D + i];
            }
        }
    }
}

static double *room(int64_t width) { return loom_calloc((size_t)(T * width), sizeof(double)); }

static void add(double *x, const double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] += y[i];
}

static void layer(const twin *t, double *x, int64_t l)
{
    const loom_config *c = &t->c;
    int64_t Q = c->H * c->D, E = c->K * c->D;
    double *h = room(c->C), *q = room(Q), *k = room(E), *v = room(E), *o = room(Q), *g = room(c->F), *u = room(c->F);

    norm(t, h, x, LOOM_ROLE_NORM_ATT, l);
    linear(t, q, h, LOOM_ROLE_Q, l, Q, c->C);
    linear(t, k, h, LOOM_ROLE_K, l, E, c->C);
    linear(t, v, h, LOOM_ROLE_V, l, E, c->C);
    rotate(t, q, c->H);
    rotate(t, k, c->K);
    attend(t, o, q, k, v);
    linear(t, h, o, LOOM_ROLE_O, l, c->C, Q);
    add(x, h, T * c->C);
    norm(t, h, x, LOOM_ROLE_NORM_FFN, l);
    linear(t, g, h, LOOM_ROLE_GATE, l, c->F, c->C);
    linear(t, u, h, LOOM_ROLE_UP, l, c->F, c->C);
    for (int64_t i = 0; i < T * c->F; i++) g[i] *= u[i] / (1 + exp(-g[i]));
    linear(t, h, g, LOOM_ROLE_DOWN, l, c->C, c->F);
    add(x, h, T * c->C);
    free(h), free(q), free(k), free(v), free(o), free(g), free(u);
}

/* Logits (T,V) of one sequence. */
static void twin_logits(const twin *t, double *logits, const int32_t *tokens)
{
    int64_t C = t->c.C;
    double *x = room(C), *h = room(C);

    for (int64_t n = 0; n < T; n++)
        memcpy(x + n * C, weight(t, LOOM_ROLE_EMBED, -1) + tokens[n] * C, (size_t)C * sizeof *x);
    for (int64_t l = 0; l < t->c.L; l++) layer(t, x, l);
    norm(t, h, x, LOOM_ROLE_NORM_OUT, -1);
    linear(t, logits, h, LOOM_ROLE_HEAD, -1, t->c.V, C);
    free(x), free(h);
}

/* Sum over the counted rows of B sequences; their logits (B*T,V) stay in `logits`. */
static double twin_loss(const twin *t, double *logits, const int32_t *tokens, const int32_t *labels)
{
    int64_t V = t->c.V;
    double loss = 0;

    for (int64_t b = 0; b < B; b++) twin_logits(t, logits + b * T * V, tokens + b * T);
    for (int64_t n = 0; n < B * T; n++) {
        const double *z = logits + n * V;
        double most = -INFINITY, sum = 0;

        if (labels[n] == LOOM_IGNORE) continue;
        for (int64_t v = 0; v < V; v++) most = z[v] > most ? z[v] : most;
        for (int64_t v = 0; v < V; v++) sum += exp(z[v] - most);
        loss += most + log(sum) - z[labels[n]];
    }
    return loss;
}

/* ---- the case, on disk and mapped ---- */
static char dir[] = "/tmp/loom-mapped.XXXXXX";

typedef struct bed {
    const char *name;
    char golden[400], folder[128];
    loom_model_files bundle;
    twin twin;
    double *logits; /* the twin's */
    int32_t tokens[B * T], labels[B * T];
    int64_t segments[B + 1];
    loom_batch batch;
} bed;

static const char *in(const char *folder, const char *file)
{
    static char path[4][600];
    static int i;

    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", folder, file);
    return path[i];
}

/* The case's weights as the twin's, rounded, and as a folder of bfloat16 files of at most 100 kB. */
static loom_status write_folder(bed *b, loom_err *err)
{
    const loom_tensors *table = &b->twin.table;
    uint16_t *half = loom_calloc(table->floats, sizeof *half);
    float *f = loom_calloc(table->floats, sizeof *f);
    loom_safetensors_item *items = loom_calloc((size_t)table->n, sizeof *items);
    loom_buf config = {0};
    loom_safetensors *st_file = NULL;
    loom_status st = loom_safetensors_open(&st_file, in(b->golden, "model.safetensors"), err);

    for (int64_t i = 0; st == LOOM_OK && i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];
        const loom_tensor_view *v = loom_safetensors_find(st_file, t->name);

        if (!v || (size_t)v->count != t->count) {
            st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no %s", b->name, t->name);
            break;
        }
        loom_dtype_to_f32(f + t->offset, v->data, v->dtype, v->count);
        items[i].view =
            (loom_tensor_view){.name = t->name, .dtype = LOOM_DTYPE_BF16, .rank = t->n_dims, .data = half + t->offset};
        items[i].from = LOOM_DTYPE_BF16;
        memcpy(items[i].view.shape, t->shape, sizeof t->shape);
    }
    for (size_t i = 0; i < table->floats; i++) {
        half[i] = loom_f32_to_bf16(f[i]);
        b->twin.w[i] = (double)loom_bf16_to_f32(half[i]);
    }
    if (st == LOOM_OK) st = loom_make_dirs(b->folder, err);
    if (st == LOOM_OK)
        st = loom_safetensors_write_model(b->folder, true, items, (size_t)table->n, 100000, NULL, 0, err);
    if (st == LOOM_OK) st = loom_file_read(&config, in(b->golden, "config.json"), 1 << 20, err);
    if (st == LOOM_OK) st = loom_file_write(in(b->folder, "config.json"), config.data, config.len, true, err);
    loom_buf_release(&config);
    loom_safetensors_close(&st_file);
    free(half), free(f), free(items);
    return st;
}

/* An adapter for a case that has none: on all matrices, B not zero. */
static loom_status fresh_adapter(bed *b, loom_err *err)
{
    loom_lora_config lc = {.R = 2, .alpha = 4, .targets = (1u << LOOM_N_ADAPTABLE) - 1};
    loom_rng rng;

    if (b->bundle.lora) return LOOM_OK;
    LOOM_TRY(loom_lora_new(&b->bundle.lora, &b->twin.c, &lc, err));
    loom_rng_seed(&rng, 1, b->name, 0);
    for (size_t i = 0; i < b->bundle.lora->table.floats; i++)
        b->bundle.lora->params[i] = (float)(0.05 * loom_rng_normal(&rng));
    return LOOM_OK;
}

static loom_status load_batch(bed *b, loom_err *err)
{
    loom_safetensors *st_file = NULL;
    const loom_tensor_view *tokens, *labels;

    LOOM_TRY(loom_safetensors_open(&st_file, in(b->golden, "expected.safetensors"), err));
    tokens = loom_safetensors_find(st_file, "tokens");
    labels = loom_safetensors_find(st_file, "labels");
    memcpy(b->tokens, tokens->data, sizeof b->tokens);
    memcpy(b->labels, labels->data, sizeof b->labels);
    loom_safetensors_close(&st_file);
    for (int64_t i = 0; i <= B; i++) b->segments[i] = i * T;
    b->batch =
        (loom_batch){.N = B * T, .n_segments = B, .tokens = b->tokens, .labels = b->labels, .segments = b->segments};
    return LOOM_OK;
}

static loom_status load(bed *b, const char *name, loom_err *err)
{
    loom_model_files_options o = {.frozen = true};
    twin *t = &b->twin;

    *b = (bed){.name = name};
    snprintf(b->golden, sizeof b->golden, LOOM_SOURCE_DIR "/tests/golden/llama/%s", name);
    snprintf(b->folder, sizeof b->folder, "%s/%s", dir, name);
    LOOM_TRY(loom_config_read(&t->c, in(b->golden, "config.json"), err));
    LOOM_TRY(loom_llama_table(&t->table, &t->c, err));
    loom_rope_frequencies(t->freq, &t->c);
    t->w = loom_calloc(t->table.floats, sizeof *t->w);
    b->logits = loom_calloc((size_t)(B * T * t->c.V), sizeof *b->logits);
    LOOM_TRY(write_folder(b, err));
    LOOM_TRY(loom_model_files_load(&b->bundle, b->folder,
                                   loom_file_exists(in(b->golden, "adapter_config.json")) ? b->golden : NULL, &o, err));
    if (!b->bundle.model->frozen) return loom_fail(err, LOOM_STATUS_FORMAT, "%s was not mapped", b->folder);
    LOOM_TRY(fresh_adapter(b, err));
    b->bundle.lora->config.dropout = 0;
    t->lora = b->bundle.lora;
    t->ab = loom_calloc(t->lora->table.floats, sizeof *t->ab);
    for (size_t i = 0; i < t->lora->table.floats; i++) t->ab[i] = (double)t->lora->params[i];
    return load_batch(b, err);
}

static void release(bed *b)
{
    loom_model_files_release(&b->bundle);
    loom_tensors_release(&b->twin.table);
    free(b->twin.w), free(b->twin.ab), free(b->logits);
}

/* Slope of the twin's loss along d, a tensor-sized stretch of the adapter, by central differences. */
static double slope(bed *b, size_t offset, const float *d, size_t n)
{
    double *at = b->twin.ab + offset, size = 0, own = 0, h, up, down;
    double *kept = loom_alloc(n, sizeof *kept), *scratch = loom_calloc((size_t)(B * T * b->twin.c.V), sizeof *scratch);

    memcpy(kept, at, n * sizeof *kept);
    for (size_t i = 0; i < n; i++) {
        size += (double)d[i] * d[i];
        own += at[i] * at[i];
    }
    h = 1e-4 * sqrt((own > 0 ? own : 1) / (size > 0 ? size : 1));
    for (size_t i = 0; i < n; i++) at[i] = kept[i] + h * d[i];
    up = twin_loss(&b->twin, scratch, b->tokens, b->labels);
    for (size_t i = 0; i < n; i++) at[i] = kept[i] - h * d[i];
    down = twin_loss(&b->twin, scratch, b->tokens, b->labels);
    memcpy(at, kept, n * sizeof *kept);
    free(kept), free(scratch);
    return (up - down) / (2 * h);
}

static double product(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* Along the gradient itself the error counts in full; along random signs an error e shows as <e, d> with deviation |e|,
 * so three times the tolerance leaves no room for a wrong tensor and enough for chance. */
static void check_gradient(bed *b, const float *grads)
{
    const loom_tensors *table = &b->bundle.lora->table;
    double worst = 0;
    loom_rng rng;

    loom_rng_seed(&rng, 2, b->name, 0);
    for (int64_t i = 0; i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];
        const float *g = grads + t->offset;
        float *d = loom_alloc(t->count, sizeof *d);
        double own = product(g, g, t->count), along = fabs(slope(b, t->offset, g, t->count) - own) / own, across;

        for (size_t k = 0; k < t->count; k++) d[k] = loom_rng_chance(&rng, 0.5) ? 1.0f : -1.0f;
        across = fabs(slope(b, t->offset, d, t->count) - product(g, d, t->count)) / sqrt(own);
        test_checks_++;
        if (!(along <= TOLERANCE && across <= 3 * TOLERANCE))
            TEST_FAIL_("%s: gradient of %s is off by %g along itself, %g across", b->name, t->name, along, across);
        worst = fmax(worst, fmax(along, across / 3));
        free(d);
    }
    printf("  %-22s gradients of %d tensors: at most %.1e off\n", b->name, (int)table->n, worst);
}

static void check_forward(bed *b, loom_acts *acts, double want, double tolerance)
{
    int64_t n = B * T * b->twin.c.V;
    float *logits = loom_alloc((size_t)n, sizeof *logits);
    double diff = 0, size = 0;
    loom_loss loss;
    loom_err err;

    REQUIRE_OK(loom_llama_logits(acts, b->bundle.model, b->bundle.lora, &b->batch, logits, &err), err);
    for (int64_t i = 0; i < n; i++) {
        diff += (logits[i] - b->logits[i]) * (logits[i] - b->logits[i]);
        size += b->logits[i] * b->logits[i];
    }
    free(logits);
    CHECK(sqrt(diff / size) <= tolerance);
    REQUIRE_OK(loom_llama_loss(acts, b->bundle.model, b->bundle.lora, &b->batch, &loss, &err), err);
    CHECK(fabs(loss.sum - want) <= tolerance * want);
    printf("  %-22s logits %.1e, loss %.1e off\n", b->name, sqrt(diff / size), fabs(loss.sum - want) / want);
}

static void check_same(bed *b, const float *grads, const float *exact)
{
    const loom_tensors *table = &b->bundle.lora->table;
    double diff = 0, norm = 0, worst = 0;

    for (int64_t i = 0; i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];
        double own = product(exact + t->offset, exact + t->offset, t->count), d = 0;

        for (size_t k = t->offset; k < t->offset + t->count; k++)
            d += ((double)grads[k] - exact[k]) * ((double)grads[k] - exact[k]);
        test_checks_++;
        if (!(sqrt(d / own) <= HALF_GRADIENT))
            TEST_FAIL_("%s: gradient of %s is off by %g", b->name, t->name, sqrt(d / own));
        worst = fmax(worst, sqrt(d / own));
        diff += d;
        norm += own;
    }
    CHECK(sqrt(diff / norm) <= HALF_GRADIENTS);
    printf("  %-22s gradient %.1e off, of the worst of %d tensors %.1e\n", b->name, sqrt(diff / norm), (int)table->n,
           worst);
}

/* Forward checks, and the gradient into grads. */
static void run_one(bed *b, float *grads, int threads, bool half)
{
    loom_acts_options o = {
        .max_rows = B * T, .max_seq = T, .grad = true, .bf16_compute = half, .recompute = threads > 1};
    loom_acts *acts = NULL;
    loom_loss loss;
    loom_err err;

    REQUIRE_OK(loom_pool_new(&o.pool, threads, &err), err);
    REQUIRE_OK(loom_acts_new(&acts, b->bundle.model, b->bundle.lora, &o, &err), err);
    check_forward(b, acts, twin_loss(&b->twin, b->logits, b->tokens, b->labels), half ? HALF_TOLERANCE : TOLERANCE);
    REQUIRE_OK(loom_llama_grad(acts, b->bundle.model, b->bundle.lora, &b->batch, 1.0, grads, &loss, &err), err);
    loom_acts_free(acts);
    loom_pool_free(o.pool);
}

static void run_case(const char *name, bool half)
{
    float *exact, *grads;
    loom_err err;
    bed b;

    REQUIRE_OK(load(&b, name, &err), err);
    exact = loom_calloc(b.bundle.lora->table.floats, sizeof *exact);
    grads = loom_calloc(b.bundle.lora->table.floats, sizeof *grads);
    run_one(&b, exact, 1, false);
    if (half) {
        run_one(&b, grads, 3, true);
        check_same(&b, grads, exact);
    } else {
        check_gradient(&b, exact);
    }
    free(exact), free(grads);
    release(&b);
}

static void run_all(bool half)
{
    static const char *const names[] = {"mha-untied", "gqa-tied-llama3rope", "gqa-untied-masked", "lora-qv",
                                        "lora-all"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) run_case(names[i], half);
}

TEST(mapped) { run_all(false); }
TEST(mapped_half_products)
{
    loom_err err = {0};

    if (loom_bf16_check(&err) != LOOM_OK) SKIP(err.msg);
    run_all(true);
}

static void make_dir(void)
{
    if (!mkdtemp(dir)) exit(1);
}

static void remove_dir(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command)) fprintf(stderr, "%s is left behind\n", dir);
}

TEST_THREADED;
TEST_MAIN(loom_blas_start(0, NULL); make_dir(); RUN(mapped) RUN(mapped_half_products) remove_dir();)
