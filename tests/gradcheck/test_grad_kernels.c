/* Every kernel pair alone: forward against its plain twin, backward against central differences of the plain forward in
 * double steps, on odd sizes and with row distances larger than the rows. Longer than most: one check for each
 * kernel, by the same helpers. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/ops.h"
#include "model/vmath.h"

static loom_rng rng;

static float *noise(int64_t n, double sd)
{
    float *x = loom_alloc((size_t)n, sizeof *x);

    for (int64_t i = 0; i < n; i++) x[i] = (float)(sd * loom_rng_normal(&rng));
    return x;
}

static double weighted(const float *y, const float *w, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)y[i] * w[i];
    return sum;
}

/* Largest |a - b| over the largest |b|. */
static double apart(const float *a, const float *b, int64_t n)
{
    double diff = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        diff = test_worse(diff, fabs((double)a[i] - b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    return diff / (size > 0 ? size : 1);
}

/* float32 sums of some hundred terms */
#define CLOSE 3e-6

/* Central differences: loss(x) = sum w * f(x) computed from float32 outputs of the plain twin (rounded once, error 6e-8
 * of the outputs) over a step of 1e-2 leaves about 1e-5; the cubic term of these smooth functions is of the same size.
 */
#define STEP           1e-2f
#define DIFF_TOLERANCE 5e-4

typedef double loss_fn(void *arg);

/* dx (n) against the differences of loss when x is moved; entries are checked relative to the largest one. */
static void check_grad(const char *what, float *x, const float *dx, int64_t n, loss_fn *loss, void *arg)
{
    double size = 1e-3, worst = 0;

    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs((double)dx[i]));
    for (int64_t i = 0; i < n; i++) {
        float old = x[i];
        double up, down;

        x[i] = old + STEP;
        up = loss(arg);
        x[i] = old - STEP;
        down = loss(arg);
        x[i] = old;
        worst = test_worse(worst, fabs((up - down) / (2.0 * STEP) - dx[i]) / size);
    }
    test_checks_++;
    if (!(worst <= DIFF_TOLERANCE)) TEST_FAIL_("%s: gradient is off by %g of its largest entry", what, worst);
}

/* ---- products ---- */
TEST(gemm_equals_plain)
{
    int64_t sizes[][3] = {{1, 1, 1}, {7, 5, 3}, {33, 17, 65}, {64, 128, 32}, {3, 200, 9}, {130, 1, 70}};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t M = sizes[i][0], N = sizes[i][1], K = sizes[i][2], big = loom_max_i64(M, loom_max_i64(N, K)) + 3;
        float *a = noise(big * big, 1), *b = noise(big * big, 1), *c = noise(big * big, 1), *d = noise(big * big, 1);

        for (int beta = 0; beta < 2; beta++) {
            memcpy(d, c, (size_t)(big * big) * sizeof *c);
            loom_gemm_nt(c, big, a, big, b, big, M, N, K, 0.7f, (float)beta);
            loom_gemm_nt_plain(d, big, a, big, b, big, M, N, K, 0.7f, (float)beta);
            CHECK(apart(c, d, big * big) <= CLOSE);
            loom_gemm_nn(c, big, a, big, b, big, M, N, K, 0.7f, (float)beta);
            loom_gemm_nn_plain(d, big, a, big, b, big, M, N, K, 0.7f, (float)beta);
            CHECK(apart(c, d, big * big) <= CLOSE);
            loom_gemm_tn(c, big, a, big, b, big, M, N, K, 0.7f, (float)beta);
            loom_gemm_tn_plain(d, big, a, big, b, big, M, N, K, 0.7f, (float)beta);
            CHECK(apart(c, d, big * big) <= CLOSE);
        }
        free(a), free(b), free(c), free(d);
    }
}

static uint16_t *to_bf16(float *x, int64_t n) /* rounds x too, so that both hold the same numbers */
{
    uint16_t *h = loom_alloc((size_t)n, sizeof *h);

    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], 4);
        bits &= 0xFFFF0000u;
        h[i] = (uint16_t)(bits >> 16);
        memcpy(&x[i], &bits, 4);
    }
    return h;
}

/* A bfloat16 matrix gives what the same numbers in float32 give; few rows give what many give. */
TEST(linear_bf16_and_few_rows)
{
    int64_t N = 6, out = 1031, in = 601; /* three panels, the last one smaller */
    float *x = noise(N * in, 1), *w = noise(out * in, 1), *y = noise(N * out, 1), *z, *dy = noise(N * out, 1);
    float *dx = noise(N * in, 1), *dz = noise(N * in, 1), *keep;
    loom_products how = {.widen = loom_alloc(LOOM_WIDEN_FLOATS, sizeof(float))};
    uint16_t *h = to_bf16(w, out * in);
    loom_mat full = {.f32 = w}, half = {.bf16 = h};

    z = loom_alloc((size_t)(N * out), sizeof *z);
    memcpy(z, y, (size_t)(N * out) * sizeof *z);
    loom_gemm_nt_plain(z, out, x, in, w, in, N, out, in, 1.0f, 1.0f);
    keep = loom_alloc((size_t)(N * out), sizeof *keep);
    memcpy(keep, y, (size_t)(N * out) * sizeof *y);
    loom_linear_fwd(y, out, x, in, &full, N, out, in, 1.0f, NULL);
    CHECK(apart(y, z, N * out) <= CLOSE);
    memcpy(y, keep, (size_t)(N * out) * sizeof *y);
    loom_linear_fwd(y, out, x, in, &half, N, out, in, 1.0f, &how);
    CHECK(apart(y, z, N * out) <= CLOSE);
    memcpy(y, keep, (size_t)(N * out) * sizeof *y);
    loom_linear_very_few_rows(y, out, x, in, &full, N, out, in, 1.0f);
    CHECK(apart(y, z, N * out) <= CLOSE);
    memcpy(y, keep, (size_t)(N * out) * sizeof *y);
    loom_linear_very_few_rows(y, out, x, in, &half, N, out, in, 1.0f);
    CHECK(apart(y, z, N * out) <= CLOSE);
    loom_linear_fwd(y, out, x, in, &full, N, out, in, 0.0f, NULL);
    loom_linear_very_few_rows(z, out, x, in, &half, N, out, in, 0.0f);
    CHECK(apart(z, y, N * out) <= CLOSE);
    loom_gemm_nn_plain(dz, in, dy, out, w, in, N, in, out, 1.0f, 0.0f);
    loom_linear_bwd_x(dx, in, dy, out, &full, N, out, in, 0.0f, NULL);
    CHECK(apart(dx, dz, N * in) <= CLOSE);
    loom_linear_bwd_x(dx, in, dy, out, &half, N, out, in, 0.0f, &how);
    CHECK(apart(dx, dz, N * in) <= CLOSE);
    free(x), free(w), free(y), free(z), free(dy), free(dx), free(dz), free(how.widen), free(h), free(keep);
}

/* Products of bfloat16 numbers are exact in float32, so only the order of sums differs from float32's products. */
TEST(half_products)
{
    int64_t sizes[][3] = {{1, 1, 1}, {7, 5, 3}, {200, 33, 65}, {129, 40, 18}, {16, 70, 1000}};
    loom_bf16_engine *h = NULL;
    loom_err err;

    if (loom_bf16_check(&err) != LOOM_OK) SKIP(err.msg);
    REQUIRE_OK(loom_bf16_new(&h, &err), err);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t M = sizes[i][0], N = sizes[i][1], K = sizes[i][2], big = loom_max_i64(M, loom_max_i64(N, K)) + 3;
        float *a = noise(big * big, 1), *b = noise(big * big, 1), *c = noise(big * big, 1), *d = noise(big * big, 1);
        uint16_t *a16 = loom_alloc((size_t)(big * big), 2), *b16 = loom_alloc((size_t)(big * big), 2);

        loom_bf16_round(a16, big, a, big, big, big);
        loom_bf16_round(b16, big, b, big, big, big);
        for (int64_t j = 0; j < big * big; j++) {
            CHECK_NEAR(loom_bf16_to_f32(a16[j]), a[j], fabs(a[j]) / 256);
            a[j] = loom_bf16_to_f32(a16[j]);
            b[j] = loom_bf16_to_f32(b16[j]);
        }
        for (int add = 0; add < 2; add++) {
            memcpy(d, c, (size_t)(big * big) * sizeof *c);
            loom_bf16_nt(h, c, big, a16, big, b16, big, M, N, K, add);
            loom_gemm_nt_plain(d, big, a, big, b, big, M, N, K, 1, (float)add);
            CHECK(apart(c, d, big * big) <= CLOSE);
            loom_bf16_nn(h, c, big, a16, big, b16, big, M, N, K, add);
            loom_gemm_nn_plain(d, big, a, big, b, big, M, N, K, 1, (float)add);
            CHECK(apart(c, d, big * big) <= CLOSE);
        }
        free(a), free(b), free(c), free(d), free(a16), free(b16);
    }
    loom_bf16_free(h);
}

/* Up to 64 rows without packing: every number of vectors, outputs that do not fill the last tile. */
TEST(linear_of_few_rows)
{
    int64_t in = 37, out = 45, rows[] = {1, 7, 16, 17, 32, 40, 64};
    float *x = noise(64 * in, 1), *w = noise(out * in, 1), *y = noise(64 * out, 1), *z = noise(64 * out, 1);
    float *scratch = loom_alloc_aligned((size_t)loom_linear_few_rows_scratch(in) * sizeof(float));

    for (int i = 0; i < 7; i++) {
        for (int beta = 0; beta < 2; beta++) {
            memcpy(z, y, (size_t)(64 * out) * sizeof *y);
            loom_linear_few_rows(y, out, x, in, w, rows[i], out, in, (float)beta, scratch);
            loom_gemm_nt_plain(z, out, x, in, w, in, rows[i], out, in, 1, (float)beta);
            CHECK(apart(y, z, 64 * out) <= CLOSE);
        }
    }
    free(x), free(w), free(y), free(z), free(scratch);
}

TEST(linear_weight_gradient)
{
    int64_t N = 1100, out = 5, in = 7; /* more rows than one stretch */
    float *x = noise(N * in, 1), *dy = noise(N * out, 1), *dw = noise(out * in, 1), *want = noise(out * in, 1);

    memcpy(want, dw, (size_t)(out * in) * sizeof *dw);
    loom_gemm_tn_plain(want, in, dy, out, x, in, out, in, N, 1.0f, 1.0f);
    loom_linear_bwd_w(dw, dy, out, x, in, N, out, in);
    CHECK(apart(dw, want, out * in) <= CLOSE);
    free(x), free(dy), free(dw), free(want);
}

/* The same in bfloat16: more rows than one stretch, sides put in by blocks, and a last block of odd length. */
TEST(outer_products)
{
    int64_t N = LOOM_WEIGHT_GRAD_ROWS + 101, out = 37, in = 45, cut = LOOM_WEIGHT_GRAD_ROWS - 32;
    float *x = noise(N * in, 1), *dy = noise(N * out, 1), *dw = noise(out * in, 1), *want = noise(out * in, 1);
    loom_weight_grad_side left = {.cols = out, .stretch = loom_weight_grad_stretch(N)},
                          right = {.cols = in, .stretch = left.stretch};

    left.data = loom_alloc_aligned((size_t)(loom_weight_grad_rows(N) * loom_weight_grad_cols(out)) * sizeof(uint16_t));
    right.data = loom_alloc_aligned((size_t)(loom_weight_grad_rows(N) * loom_weight_grad_cols(in)) * sizeof(uint16_t));
    for (int64_t i = 0; i < N * in; i++) x[i] = loom_bf16_to_f32(loom_f32_to_bf16(x[i]));
    for (int64_t i = 0; i < N * out; i++) dy[i] = loom_bf16_to_f32(loom_f32_to_bf16(dy[i]));
    memcpy(want, dw, (size_t)(out * in) * sizeof *dw);
    loom_gemm_tn_plain(want, in, dy, out, x, in, out, in, N, 1.0f, 1.0f);
    for (int again = 0; again < 2; again++) { /* a second step over what the first one left */
        memset(left.data, again ? 0xFF : 0,
               (size_t)(loom_weight_grad_rows(N) * loom_weight_grad_cols(out)) * sizeof(uint16_t));
        memset(right.data, again ? 0xFF : 0,
               (size_t)(loom_weight_grad_rows(N) * loom_weight_grad_cols(in)) * sizeof(uint16_t));
        for (int64_t n = 0, end; n < N; n = end) {
            end = n < cut ? cut : loom_min_i64(n + 64, N); /* the second block lies across two stretches */
            loom_weight_grad_left(&left, dy + n * out, out, n, end);
            loom_weight_grad_right(&right, x + n * in, in, n, end);
        }
        float *got = noise(out * in, 0);

        memcpy(got, dw, (size_t)(out * in) * sizeof *dw);
        loom_weight_grad_product(got, &left, &right, 0, 32, N);
        loom_weight_grad_product(got, &left, &right, 32, out, N);
        CHECK(apart(got, want, out * in) <= CLOSE);
        free(got);
    }
    free(x), free(dy), free(dw), free(want), free(left.data), free(right.data);
}

TEST(embed)
{
    int32_t tokens[] = {3, 0, 3, 1};
    int64_t N = 4, C = 5, V = 4;
    float *E = noise(V * C, 1), *x = noise(N * C, 1), *dE = noise(V * C, 1), *dx = noise(N * C, 1),
          *want = noise(V * C, 1);
    loom_mat mat = {.f32 = E};

    loom_embed_fwd(x, &mat, tokens, N, C);
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) CHECK(x[n * C + c] == E[tokens[n] * C + c]);
    memcpy(want, dE, (size_t)(V * C) * sizeof *dE);
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) want[tokens[n] * C + c] += dx[n * C + c];
    loom_embed_bwd(dE, dx, tokens, N, C, 0, 2);
    loom_embed_bwd(dE, dx, tokens, N, C, 2, C);
    CHECK(memcmp(dE, want, (size_t)(V * C) * sizeof *dE) == 0);
    free(E), free(x), free(dE), free(dx), free(want);
}

/* ---- rmsnorm ---- */
typedef struct norm_case {
    float *x, *g, *y, *r, *w;
    int64_t N, C;
} norm_case;

static double norm_loss(void *arg)
{
    norm_case *k = arg;

    loom_rmsnorm_fwd_plain(k->y, k->r, k->x, k->g, 1e-5, k->N, k->C);
    return weighted(k->y, k->w, k->N * k->C);
}

TEST(rmsnorm)
{
    norm_case k = {.N = 5, .C = 37};
    int64_t n = k.N * k.C;
    float *y = noise(n, 1), *r = noise(k.N, 1), *dx = noise(n, 1), *dg = loom_calloc(37, sizeof(float));
    float *zero = loom_calloc((size_t)n, sizeof(float)), *dx2 = noise(n, 1), *dg2 = loom_calloc(37, sizeof(float));

    k.x = noise(n, 2), k.g = noise(k.C, 1), k.y = noise(n, 1), k.r = noise(k.N, 1), k.w = noise(n, 1);
    norm_loss(&k);
    loom_rmsnorm_fwd(y, r, k.x, k.g, 1e-5, k.N, k.C);
    CHECK(apart(y, k.y, n) <= CLOSE);
    CHECK(apart(r, k.r, k.N) <= CLOSE);
    loom_rmsnorm_again(dx, r, k.x, k.g, k.N, k.C);
    CHECK(memcmp(dx, y, (size_t)n * sizeof *y) == 0);
    loom_rmsnorm_bwd(dx, dg, zero, k.w, k.x, k.g, r, k.N, k.C);
    loom_rmsnorm_bwd_plain(dx2, dg2, zero, k.w, k.x, k.g, r, k.N, k.C);
    CHECK(apart(dx, dx2, n) <= CLOSE);
    CHECK(apart(dg, dg2, k.C) <= CLOSE);
    check_grad("rmsnorm dx", k.x, dx, n, norm_loss, &k);
    check_grad("rmsnorm dg", k.g, dg, k.C, norm_loss, &k);
    norm_loss(&k);
    loom_rmsnorm_bwd(dx2, NULL, k.y, k.w, k.x, k.g, r, k.N, k.C); /* adds the gradient of the residual path */
    for (int64_t i = 0; i < n; i++) CHECK_NEAR(dx2[i], dx[i] + k.y[i], 1e-5);
    free(y), free(r), free(dx), free(dg), free(zero), free(dx2), free(dg2);
    free(k.x), free(k.g), free(k.y), free(k.r), free(k.w);
}

/* ---- rope: an orthogonal map, so backward undoes forward and inner products of equal shifts are kept ---- */
TEST(rope)
{
    int64_t N = 3, heads = 2, D = 10, ld = 23, half = D / 2;
    int32_t position[] = {0, 7, 3};
    float *x = noise(N * ld, 1), *y = noise(N * ld, 1), co[8 * 5], si[8 * 5];

    for (int64_t p = 0; p < 8; p++)
        for (int64_t i = 0; i < half; i++) {
            co[p * half + i] = (float)cos((double)p * pow(100, -(double)i / 5));
            si[p * half + i] = (float)sin((double)p * pow(100, -(double)i / 5));
        }
    memcpy(y, x, (size_t)(N * ld) * sizeof *x);
    loom_rope_fwd(y, ld, position, co, si, N, heads, D);
    for (int64_t i = 0; i < ld; i++) CHECK(y[i] == x[i]); /* position 0 */
    for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < half; i++) {
            double a = x[ld + h * D + i], b = x[ld + h * D + half + i], c = co[7 * half + i], s = si[7 * half + i];

            CHECK_NEAR(y[ld + h * D + i], a * c - b * s, 1e-6);
            CHECK_NEAR(y[ld + h * D + half + i], b * c + a * s, 1e-6);
        }
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = heads * D; i < ld; i++) CHECK(y[n * ld + i] == x[n * ld + i]); /* beyond the heads */
    loom_rope_bwd(y, ld, position, co, si, N, heads, D);
    CHECK(apart(y, x, N * ld) <= CLOSE);
    free(x), free(y);
}

/* ---- attention ---- */
typedef struct att_case {
    loom_attention a;
    float *qkv, *o, *lse, *w;
} att_case;

static att_case att_new(int64_t T, int64_t G, int64_t D)
{
    att_case k = {0};
    int64_t ld = (G + 2) * D + 3, ldo = G * D + 2;

    k.qkv = noise(T * ld, 1);
    k.o = noise(T * ldo, 1);
    k.lse = noise(T * (G + 1), 1);
    k.w = noise(T * ldo, 1);
    k.a = (loom_attention){.q = k.qkv,
                           .k = k.qkv + G * D,
                           .v = k.qkv + (G + 1) * D,
                           .ld_qkv = ld,
                           .o = k.o,
                           .ld_o = ldo,
                           .lse = k.lse,
                           .ld_lse = G + 1,
                           .T = T,
                           .G = G,
                           .D = D};
    return k;
}

static void att_free(att_case *k) { free(k->qkv), free(k->o), free(k->lse), free(k->w); }

static double att_loss(void *arg)
{
    att_case *k = arg;
    double sum = 0;

    loom_attention_fwd_plain(&k->a);
    for (int64_t i = 0; i < k->a.T; i++) sum += weighted(k->o + i * k->a.ld_o, k->w + i * k->a.ld_o, k->a.G * k->a.D);
    return sum;
}

static void check_attention(bool half, double close_o, double close_d)
{
    int64_t shapes[][3] = {{1, 1, 2}, {20, 2, 6}, {64, 1, 8}, {65, 3, 4}, {97, 1, 40}, {150, 2, 32}, {130, 1, 64}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t T = shapes[i][0], G = shapes[i][1], D = shapes[i][2];
        att_case k = att_new(T, G, D);
        int64_t n = T * k.a.ld_qkv, no = T * k.a.ld_o;
        float *plain_o = noise(no, 1), *plain_lse = noise(T * (G + 1), 1), *d = noise(n, 0), *d2 = noise(n, 0);
        float *scratch = loom_alloc_aligned((size_t)loom_attention_scratch(T, D, half) * sizeof(float));

        memcpy(plain_o, k.o, (size_t)no * sizeof *plain_o); /* what lies between the rows must stay */
        memcpy(plain_lse, k.lse, (size_t)(T * (G + 1)) * sizeof *plain_lse);
        loom_attention_fwd(&k.a, half, scratch);
        att_case p = k;
        p.a.o = plain_o;
        p.a.lse = plain_lse;
        loom_attention_fwd_plain(&p.a);
        CHECK(apart(k.o, plain_o, no) <= close_o);
        CHECK(apart(k.lse, plain_lse, T * (G + 1)) <= close_o);
        loom_attention_bwd(d, d + G * D, d + (G + 1) * D, k.w, &k.a, half, scratch);
        loom_attention_bwd_plain(d2, d2 + G * D, d2 + (G + 1) * D, k.w, &p.a);
        CHECK(apart(d, d2, n) <= close_d);
        if (!half && T <= 65) check_grad("attention", k.qkv, d, n, att_loss, &k);
        free(plain_o), free(plain_lse), free(d), free(d2), free(scratch);
        att_free(&k);
    }
}

TEST(attention) { check_attention(false, CLOSE, CLOSE); }

/* Products in bfloat16: probabilities and rows are rounded to 2^-9 of themselves. */
TEST(attention_half) { check_attention(true, 1e-2, 2e-2); }

/* Large scores must not overflow, and a very unlikely key must not underflow into NaN. */
TEST(attention_of_extreme_scores)
{
    att_case k = att_new(70, 1, 4);
    float *scratch = loom_alloc_aligned((size_t)loom_attention_scratch(70, 4, false) * sizeof(float));

    for (int64_t i = 0; i < 70 * k.a.ld_qkv; i++) k.qkv[i] *= 200;
    loom_attention_fwd(&k.a, false, scratch);
    for (int64_t i = 0; i < 70; i++)
        for (int64_t d = 0; d < 4; d++) CHECK(isfinite(k.o[i * k.a.ld_o + d]));
    free(scratch);
    att_free(&k);
}

/* ---- swiglu ---- */
typedef struct glu_case {
    float *gu, *y, *w;
    int64_t N, F;
} glu_case;

static double glu_loss(void *arg)
{
    glu_case *k = arg;

    loom_swiglu_fwd_plain(k->y, k->gu, k->N, k->F);
    return weighted(k->y, k->w, k->N * k->F);
}

TEST(swiglu)
{
    glu_case k = {.N = 3, .F = 21};
    int64_t n = k.N * k.F;
    float *y = noise(n, 1), *again = noise(n, 1), *d = noise(2 * n, 1), *d2 = noise(2 * n, 1);

    k.gu = noise(2 * n, 2), k.y = noise(n, 1), k.w = noise(n, 1);
    k.gu[0] = 120, k.gu[1] = -120; /* saturated on both sides */
    loom_swiglu_fwd(y, k.gu, k.N, k.F);
    glu_loss(&k);
    CHECK(apart(y, k.y, n) <= CLOSE);
    loom_swiglu_bwd(d, again, k.w, k.gu, k.N, k.F);
    loom_swiglu_bwd_plain(d2, k.w, k.gu, k.N, k.F);
    CHECK(apart(again, k.y, n) <= CLOSE);
    CHECK(apart(d, d2, 2 * n) <= CLOSE);
    k.gu[0] = 1, k.gu[1] = -1;
    loom_swiglu_bwd(d, again, k.w, k.gu, k.N, k.F);
    check_grad("swiglu", k.gu, d, 2 * n, glu_loss, &k);
    free(y), free(again), free(d), free(d2), free(k.gu), free(k.y), free(k.w);
}

/* ---- xent ---- */
TEST(xent)
{
    int64_t N = 4, V = 33, right = 0, right2 = 0;
    int32_t labels[] = {0, 32, 7, 7};
    float *z = noise(N * V, 3), *p = noise(N * V, 1), *q = noise(N * V, 1);
    double losses[4], losses2[4];

    z[2 * V + 7] = 50; /* row 2 is right */
    memcpy(p, z, (size_t)(N * V) * sizeof *z);
    memcpy(q, z, (size_t)(N * V) * sizeof *z);
    loom_xent(losses, &right, p, labels, 0.25f, N, V);
    loom_xent_plain(losses2, &right2, q, labels, 0.25f, N, V);
    CHECK_I64(right, right2);
    CHECK(right >= 1);
    for (int i = 0; i < N; i++) CHECK_NEAR(losses[i], losses2[i], 2e-6 * (1 + losses2[i]));
    CHECK(apart(p, q, N * V) <= CLOSE);
    for (int64_t i = 0; i < N * V; i++) { /* central differences of the plain twin */
        double up[4], down[4], old = z[i];
        int64_t row = i / V;

        memcpy(q, z, (size_t)(N * V) * sizeof *z);
        q[i] = (float)old + STEP;
        loom_xent_plain(up, &right2, q, labels, 0, N, V);
        q[i] = (float)old - STEP;
        loom_xent_plain(down, &right2, q, labels, 0, N, V);
        CHECK_NEAR(p[i], 0.25 * (up[row] - down[row]) / (2.0 * STEP), 2e-5);
    }
    z[V] = NAN; /* must show in the loss, not vanish */
    loom_xent(losses, &right, z, labels, 0, N, V);
    CHECK(isnan(losses[1]));
    CHECK(isfinite(losses[0]));
    free(z), free(p), free(q);
}

TEST_MAIN(loom_blas_start(0, NULL); loom_rng_seed(&rng, 11, "grad", 0);
          RUN(gemm_equals_plain) RUN(linear_bf16_and_few_rows) RUN(half_products) RUN(linear_of_few_rows)
              RUN(linear_weight_gradient) RUN(outer_products) RUN(embed) RUN(rmsnorm) RUN(rope) RUN(attention)
                  RUN(attention_half) RUN(attention_of_extreme_scores) RUN(swiglu) RUN(xent))
