/* X Xᵀ and A A are symmetric: their blocks beside and below the diagonal are computed, the others mirrored.
 * Products run on packed operands (model/packed.h), which costs little to lay out at these sizes and is one sum in
 * a fixed order. */
#include "model/muon.h"

#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/packed.h"

#define BLOCK LOOM_PANEL

static const float coefficient_a = 3.4445f, coefficient_b = -4.7750f, coefficient_c = 2.0315f;

/* Workspace of a matrix of n rows and m columns, n <= m. */
typedef struct space {
    float *x;       /* (n,m) */
    float *a, *b;   /* (n,n) */
    void *packed;   /* the right operand of a product */
    uint16_t *left; /* the left one rounded, NULL: products are float32's */
} space;

static size_t up(size_t floats) { return (floats + 15) & ~(size_t)15; }

static size_t x_floats(int64_t n, int64_t m) { return up((size_t)n * (size_t)m); }

/* Room for either operand in either type: bfloat16 is padded to whole groups, which is more when a side is short. */
static size_t packed_floats(int64_t n, int64_t m)
{
    size_t most = 0;

    for (int bf16 = 0; bf16 <= 1; bf16++) {
        size_t rows = loom_packed_bytes(n, m, bf16), inner = loom_packed_bytes(m, n, bf16);

        if (rows > most) most = rows;
        if (inner > most) most = inner;
    }
    return most / sizeof(float);
}

static size_t left_floats(int64_t n, int64_t m)
{
    return up((size_t)(n + 15) / 16 * 16 * (size_t)loom_packed_width(m) / 2);
}

static space lay_out(float *work, int64_t n, int64_t m, bool bf16)
{
    float *a = work + x_floats(n, m), *b = a + x_floats(n, n), *packed = b + x_floats(n, n);

    return (space){
        .x = work, .a = a, .b = b, .packed = packed, .left = bf16 ? (uint16_t *)(packed + packed_floats(n, m)) : NULL};
}

/* The direction, and what it is computed with. */
size_t loom_muon_floats(int64_t out, int64_t in)
{
    int64_t n = loom_min_i64(out, in), m = loom_max_i64(out, in);
    size_t bytes;

    if (!loom_mul_size(&bytes, (size_t)m + 32, (size_t)m + 32) || bytes > SIZE_MAX / 64) return SIZE_MAX;
    return 2 * x_floats(n, m) + 2 * x_floats(n, n) + packed_floats(n, m) + left_floats(n, m);
}

double loom_muon_work(int64_t out, int64_t in)
{
    double n = (double)loom_min_i64(out, in), m = (double)loom_max_i64(out, in);

    return LOOM_MUON_ITERATIONS * n * n * (1.5 * m + 0.5 * n);
}

/* to (cols,rows) = from (rows,cols) turned over, a block at a time so that both stay in the cache. */
static void turn(float *restrict to, const float *restrict from, int64_t rows, int64_t cols)
{
    for (int64_t r0 = 0; r0 < rows; r0 += 16)
        for (int64_t c0 = 0; c0 < cols; c0 += 16) {
            int64_t r1 = loom_min_i64(rows, r0 + 16), c1 = loom_min_i64(cols, c0 + 16);

            for (int64_t c = c0; c < c1; c++)
                for (int64_t r = r0; r < r1; r++) to[c * rows + r] = from[r * cols + c];
        }
}

/* Moves the momentum and fills u; returns the norm of u. Compiled once: two copies might round differently. */
static __attribute__((noinline)) double move(float *restrict u, float *restrict m, const float *restrict g,
                                             int64_t count, const loom_muon *how)
{
    float mu = (float)how->momentum, fresh = (float)((1 - how->momentum) * how->grad_scale);
    float of_m = how->nesterov ? mu : 1, of_g = how->nesterov ? fresh : 0;
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) {
        float mi = mu * m[i] + fresh * g[i], ui = of_g * g[i] + of_m * mi;

        m[i] = mi;
        u[i] = ui;
        sum += (double)ui * (double)ui;
    }
    return sqrt(sum);
}

/* Blocks right of the diagonal from those below it. */
static void mirror(float *a, int64_t n)
{
    for (int64_t r0 = BLOCK; r0 < n; r0 += BLOCK)
        for (int64_t c = 0; c < r0; c++)
            for (int64_t r = r0; r < loom_min_i64(n, r0 + BLOCK); r++) a[c * n + r] = a[r * n + c];
}

/* y (rows, c1) = rows r0.. of the left operand times columns 0..c1-1 of the right one, `p`, which lies in
 * s->packed. The left one is x (.,p->in), or what rounded() made of it. */
static void multiply(const space *s, float *y, int64_t ldy, const float *x, const loom_packed *p, int64_t r0,
                     int64_t rows, int64_t c1)
{
    int64_t width = loom_packed_width(p->in);

    if (s->left) loom_packed_product16_upto(y, ldy, s->left + r0 * width, width, p, p->in, rows, 0, c1, false);
    else loom_packed_product(y, ldy, x + r0 * p->in, p->in, p, rows, 0, c1, false);
}

static void rounded(const space *s, const float *x, int64_t rows, int64_t cols)
{
    if (s->left) loom_packed_round(s->left, x, cols, rows, cols);
}

/* a (n,n) = x xᵀ, x (n,k). */
static void square(const space *s, float *a, const float *x, int64_t n, int64_t k)
{
    loom_packed p = {.data = s->packed, .out = n, .in = k, .bf16 = s->left};

    loom_packed_fill_rows(&p, x, k);
    rounded(s, x, n, k);
    for (int64_t r = 0; r < n; r += BLOCK) {
        int64_t rows = loom_min_i64(BLOCK, n - r);

        multiply(s, a + r * n, n, x, &p, r, rows, r + rows);
    }
    mirror(a, n);
}

/* b = a-coefficient I + b-coefficient A + c-coefficient b */
static void polynomial(float *restrict b, const float *restrict a, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n * n; i++) b[i] = coefficient_b * a[i] + coefficient_c * b[i];
    for (int64_t i = 0; i < n; i++) b[i * n + i] += coefficient_a;
}

static void orthogonalise(const space *s, int64_t n, int64_t m)
{
    loom_packed p = {.data = s->packed, .out = m, .in = n, .bf16 = s->left};

    for (int i = 0; i < LOOM_MUON_ITERATIONS; i++) {
        square(s, s->a, s->x, n, m);
        square(s, s->b, s->a, n, n); /* A Aᵀ = A A */
        polynomial(s->b, s->a, n);
        loom_packed_fill_inner(&p, s->x, m, 0, n);
        rounded(s, s->b, n, n);
        multiply(s, s->x, m, s->b, &p, 0, n, m);
    }
}

static void scale(float *x, int64_t count, float by)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++) x[i] *= by;
}

void loom_muon_direction(float *restrict x, float *restrict m, const float *restrict g, int64_t out, int64_t in,
                         const loom_muon *how, float *work)
{
    int64_t rows = loom_min_i64(out, in), cols = loom_max_i64(out, in);
    double norm = move(x, m, g, out * in, how);
    space s = lay_out(work, rows, cols, how->bf16_compute);

    scale(x, out * in, (float)(1 / (norm + 1e-7)));
    if (out > in) turn(s.x, x, out, in);
    else memcpy(s.x, x, (size_t)(out * in) * sizeof *x);
    orthogonalise(&s, rows, cols);
    if (out > in) turn(x, s.x, in, out);
    else memcpy(x, s.x, (size_t)(out * in) * sizeof *x);
}

void loom_muon_update(float *restrict w, float *restrict m, const float *restrict g, int64_t out, int64_t in,
                      const loom_muon *how, float *work)
{
    float keep = (float)(1 - how->lr * how->decay);
    float rate = (float)(how->lr * 0.2 * sqrt((double)loom_max_i64(out, in)));
    float *x = work;

    loom_muon_direction(x, m, g, out, in, how, work + x_floats(out, in));
#pragma omp simd
    for (int64_t i = 0; i < out * in; i++) w[i] = w[i] * keep - rate * x[i];
}

void loom_muon_momentum(float *restrict m, const float *restrict g, int64_t out, int64_t in, const loom_muon *how,
                        float *work)
{
    move(work, m, g, out * in, how);
}
