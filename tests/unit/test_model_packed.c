/* Packed products: the plain twin's numbers, and the same bits whatever rows and columns are computed together. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "model/blas.h"
#include "model/packed.h"
#include "model/vmath.h"

#define CLOSE 2e-5 /* sums of some hundred products of size 1, in float32, in two orders */

static float *noise(int64_t n, uint64_t seed)
{
    float *x = loom_alloc_aligned((size_t)n * sizeof *x);
    loom_rng r;

    loom_rng_seed(&r, seed, "packed", 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)loom_rng_normal(&r);
    return x;
}

/* To numbers that bfloat16 holds, so that the twin multiplies the same. */
static void round_all(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = loom_bf16_to_f32(loom_f32_to_bf16(x[i]));
}

static double apart(const float *a, const float *b, int64_t n)
{
    double worst = 0;

    for (int64_t i = 0; i < n; i++) worst = test_worse(worst, fabs((double)a[i] - b[i]));
    return worst;
}

typedef struct sizes {
    int64_t N, out, in;
} sizes;

/* Full and cut tiles of rows, of outputs, of the inner size; odd ones; panels enough for a row that meets many. */
static const sizes cases[] = {{1, 32, 32},   {8, 64, 64}, {9, 45, 37}, {33, 96, 70},
                              {64, 70, 128}, {20, 5, 3},  {3, 33, 1},  {2, 300, 41}};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct bed {
    sizes s;
    loom_packed p;
    float *x, *w, *want; /* want: the twin's */
    uint16_t *x16;
} bed;

static void setup(bed *b, const sizes *s, bool half)
{
    loom_mat mat;

    *b = (bed){.s = *s, .p = {.out = s->out, .in = s->in, .bf16 = half}};
    b->x = noise(s->N * s->in, 1);
    b->w = noise(s->out * s->in, 2);
    if (half) round_all(b->w, s->out * s->in);
    mat = (loom_mat){.f32 = b->w};
    b->p.data = loom_alloc_aligned(loom_packed_bytes(s->out, s->in, half));
    loom_packed_fill(&b->p, &mat, 1.0f);
    b->x16 = loom_alloc_aligned((size_t)((s->N + 15) / 16 * 16 * loom_packed_width(s->in)) * sizeof *b->x16);
    b->want = loom_alloc((size_t)(s->N * s->out), sizeof *b->want);
    loom_packed_round(b->x16, b->x, s->in, s->N, s->in);
}

static void twin(bed *b)
{
    loom_gemm_nt_plain(b->want, b->s.out, b->x, b->s.in, b->w, b->s.in, b->s.N, b->s.out, b->s.in, 1, 0);
}

static void teardown(bed *b) { free(b->x), free(b->w), free(b->want), free(b->x16), free(b->p.data); }

static void run(const bed *b, int unit, float *y, int64_t from, int64_t n, int64_t c0, int64_t c1, bool add)
{
    int64_t width = loom_packed_width(b->s.in), ldy = b->s.out;

    if (unit < 0) loom_packed_product(y + from * ldy + c0, ldy, b->x + from * b->s.in, b->s.in, &b->p, n, c0, c1, add);
    else
        loom_packed_product16_with((loom_bf16_unit)unit, y + from * ldy + c0, ldy, b->x16 + from * width, &b->p, n, c0,
                                   c1, add);
}

/* unit -1: rows in float32 */
static void check(int unit, bool half)
{
    for (int i = 0; i < CASES; i++) {
        bed b;

        setup(&b, &cases[i], half);
        int64_t N = b.s.N, out = b.s.out, all = N * out, cut = out / 3;
        float *y = noise(all, 3), *before = noise(all, 3), *parts = noise(all, 4);

        if (unit >= 0) round_all(b.x, N * b.s.in);
        twin(&b);
        run(&b, unit, y, 0, N, 0, out, false);
        CHECK(apart(y, b.want, all) <= CLOSE);
        /* alone, and cut in the middle of a panel: the same bits */
        for (int64_t n = 0; n < N; n++) {
            if (unit >= 0 && n % 16) { /* rounded rows start a group of 16: move the row there */
                int64_t width = loom_packed_width(b.s.in);
                memcpy(b.x16 + n / 16 * 16 * width, b.x16 + n * width, (size_t)width * sizeof *b.x16);
                loom_packed_product16_with((loom_bf16_unit)unit, parts + n * out, out, b.x16 + n / 16 * 16 * width,
                                           &b.p, 1, 0, cut, false);
                loom_packed_product16_with((loom_bf16_unit)unit, parts + n * out + cut, out,
                                           b.x16 + n / 16 * 16 * width, &b.p, 1, cut, out, false);
                continue;
            }
            run(&b, unit, parts, n, 1, 0, cut, false);
            run(&b, unit, parts, n, 1, cut, out, false);
        }
        CHECK(memcmp(y, parts, (size_t)all * sizeof *y) == 0);
        /* adding */
        memcpy(y, before, (size_t)all * sizeof *y);
        loom_packed_round(b.x16, b.x, b.s.in, N, b.s.in);
        run(&b, unit, y, 0, N, 0, out, true);
        for (int64_t n = 0; n < all; n++) b.want[n] += before[n];
        CHECK(apart(y, b.want, all) <= CLOSE);
        free(y), free(before), free(parts);
        teardown(&b);
    }
}

TEST(float32) { check(-1, false); }
TEST(bfloat16_weights_and_float32_rows) { check(-1, true); }
TEST(bfloat16_plain) { check(LOOM_UNIT_PLAIN, true); }
TEST(bfloat16_avx512)
{
    if (loom_packed_unit() < LOOM_UNIT_AVX512) SKIP("this CPU has no AVX512_BF16");
    check(LOOM_UNIT_AVX512, true);
}
TEST(bfloat16_amx)
{
    if (loom_packed_unit() < LOOM_UNIT_AMX) SKIP("this CPU has no AMX");
    check(LOOM_UNIT_AMX, true);
}

/* dx = dy W and dW = dyᵀ x from matrices stored the other way round, filled in pieces; the last one is odd. */
TEST(turned)
{
    const sizes all[] = {{48, 64, 96}, {37, 45, 70}, {70, 5, 33}, {16, 96, 1}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int64_t N = all[i].N, out = all[i].out, in = all[i].in, width = loom_packed_width(in) + 32;
        int64_t outs = (out + 15) / 16 * 16, rows = (N + 15) / 16 * 16;
        float *w = noise(in * out, 2), *y = noise(N * out, 3), *want = noise(N * out, 4);
        float *x = noise(in * N, 5);
        loom_packed p = {.out = out, .in = in + 32, .bf16 = true}; /* room for more inner indices than are used */
        uint16_t *left = loom_alloc_aligned((size_t)((rows + outs) * width) * sizeof *left);

        p.data = loom_alloc_aligned(loom_packed_bytes(out, p.in, true));
        memset(p.data, 0xFF, loom_packed_bytes(out, p.in, true)); /* NaN wherever nothing is written */
        memset(left, 0xFF, (size_t)((rows + outs) * width) * sizeof *left);
        round_all(x, in * N);
        round_all(w, in * out);
        for (int64_t k = 0; k < in; k += 32) {
            int64_t end = loom_min_i64(k + 32, in);

            loom_packed_fill_inner(&p, w + k * out, out, k, end);
            loom_packed_turn(left, width, x + k * N, N, N, k, end);
        }
        loom_gemm_tn_plain(want, out, x, N, w, out, N, out, in, 1, 0);
        loom_packed_product16_upto(y, out, left, width, &p, in, N, 0, out, false);
        CHECK(apart(y, want, N * out) <= CLOSE);
        loom_packed_product16_upto(y, out, left, width, &p, in, N, 0, out, true);
        for (int64_t n = 0; n < N * out; n++) want[n] *= 2;
        CHECK(apart(y, want, N * out) <= 2 * CLOSE);
        free(w), free(y), free(want), free(x), free(left), free(p.data);
    }
}

/* Rounding in vectors is rounding one by one, NaN and infinity included. */
TEST(rounds_alike)
{
    enum { IN = 96, OUT = 32 };
    float *w = noise(IN * OUT, 6);
    loom_packed p = {.out = OUT, .in = IN, .bf16 = true};
    uint16_t *data = p.data = loom_alloc_aligned(loom_packed_bytes(OUT, IN, true));

    w[0] = NAN, w[1] = INFINITY, w[2] = -INFINITY, w[3] = 1e-42f, w[4] = loom_bits_to_f32(0x7F800001u), w[5] = 3.4e38f;
    loom_packed_fill(&p, &(loom_mat){.f32 = w}, 1.0f);
    for (int64_t o = 0; o < OUT; o++)
        for (int64_t k = 0; k < IN; k++)
            CHECK_I64(data[(o / 16 * IN / 2 + k / 2) * 32 + o % 16 * 2 + k % 2], loom_f32_to_bf16(w[o * IN + k]));
    free(w), free(p.data);
}

TEST(scaled)
{
    sizes s = {4, 40, 12};
    bed b;
    float y[160];

    setup(&b, &s, false);
    loom_packed_fill(&b.p, &(loom_mat){.f32 = b.w}, 0.5f);
    twin(&b);
    run(&b, -1, y, 0, 4, 0, 40, false);
    for (int i = 0; i < 160; i++) b.want[i] *= 0.5f;
    CHECK(apart(y, b.want, 160) <= CLOSE);
    teardown(&b);
}

TEST_MAIN(RUN(float32) RUN(bfloat16_weights_and_float32_rows) RUN(bfloat16_plain) RUN(bfloat16_avx512) RUN(bfloat16_amx)
              RUN(turned) RUN(rounds_alike) RUN(scaled))
