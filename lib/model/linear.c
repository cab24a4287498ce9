#include <assert.h>

#include "core/num.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/ops.h"
#include "model/packed.h"
#include "model/vmath.h"

/* Rows of a bfloat16 matrix that are widened at a time. */
static int64_t panel_rows(int64_t in) { return loom_max_i64(1, LOOM_WIDEN_FLOATS / in); }

static void widen_rows(float *restrict to, const uint16_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = loom_bf16_to_f32(from[i]);
}

/* Products in bfloat16: some rows are rounded, then multiplied. */
static void half_fwd(float *y, int64_t ldy, const float *x, int64_t ldx, const uint16_t *W, int64_t N, int64_t out,
                     int64_t in, float beta, const loom_products *how)
{
    for (int64_t n = 0; n < N; n += LOOM_ROUND_ROWS) {
        int64_t rows = loom_min_i64(LOOM_ROUND_ROWS, N - n);

        loom_bf16_round(how->rounded, in, x + n * ldx, ldx, rows, in);
        loom_bf16_nt(how->bf16, y + n * ldy, ldy, how->rounded, in, W, in, rows, out, in, beta != 0);
    }
}

static void half_bwd_x(float *dx, int64_t ldx, const float *dy, int64_t ldy, const uint16_t *W, int64_t N, int64_t out,
                       int64_t in, float beta, const loom_products *how)
{
    for (int64_t n = 0; n < N; n += LOOM_ROUND_ROWS) {
        int64_t rows = loom_min_i64(LOOM_ROUND_ROWS, N - n);

        loom_bf16_round(how->rounded, out, dy + n * ldy, ldy, rows, out);
        loom_bf16_nn(how->bf16, dx + n * ldx, ldx, how->rounded, out, W, in, rows, in, out, beta != 0);
    }
}

/* W is laid out for its products. */
static void packed_product(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *W, int64_t N,
                           float beta, const loom_products *how)
{
    if (!W->bf16) {
        loom_packed_product(y, ldy, x, ldx, W, N, 0, W->out, beta != 0);
        return;
    }
    for (int64_t n = 0; n < N; n += LOOM_ROUND_ROWS) {
        int64_t rows = loom_min_i64(LOOM_ROUND_ROWS, N - n);

        loom_packed_round(how->rounded, x + n * ldx, ldx, rows, W->in);
        loom_packed_product16(y + n * ldy, ldy, how->rounded, W, rows, 0, W->out, beta != 0);
    }
}

void loom_linear_fwd(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_mat *W, int64_t N, int64_t out,
                     int64_t in, float beta, const loom_products *how)
{
    if (W->f32) {
        loom_gemm_nt(y, ldy, x, ldx, W->f32, in, N, out, in, 1.0f, beta);
        return;
    }
    if (W->fwd) {
        packed_product(y, ldy, x, ldx, W->fwd, N, beta, how);
        return;
    }
    if (how->bf16) {
        half_fwd(y, ldy, x, ldx, W->bf16, N, out, in, beta, how);
        return;
    }
    for (int64_t o = 0; o < out; o += panel_rows(in)) {
        int64_t n = loom_min_i64(panel_rows(in), out - o);

        widen_rows(how->widen, W->bf16 + o * in, n * in);
        loom_gemm_nt(y + o, ldy, x, ldx, how->widen, in, N, n, in, 1.0f, beta);
    }
}

void loom_linear_bwd_x(float *dx, int64_t ldx, const float *dy, int64_t ldy, const loom_mat *W, int64_t N, int64_t out,
                       int64_t in, float beta, const loom_products *how)
{
    if (W->f32) {
        loom_gemm_nn(dx, ldx, dy, ldy, W->f32, in, N, in, out, 1.0f, beta);
        return;
    }
    if (W->back) {
        packed_product(dx, ldx, dy, ldy, W->back, N, beta, how);
        return;
    }
    if (how->bf16) {
        half_bwd_x(dx, ldx, dy, ldy, W->bf16, N, out, in, beta, how);
        return;
    }
    for (int64_t o = 0; o < out; o += panel_rows(in)) {
        int64_t n = loom_min_i64(panel_rows(in), out - o);

        widen_rows(how->widen, W->bf16 + o * in, n * in);
        loom_gemm_nn(dx, ldx, dy + o, ldy, how->widen, in, N, in, n, 1.0f, o ? 1.0f : beta);
    }
}

/* The inner size of this product is the number of rows, thousands of them: walked in stretches that stay in cache. */
#define STRETCH 512

void loom_linear_bwd_w(float *dW, const float *dy, int64_t ldy, const float *x, int64_t ldx, int64_t N, int64_t out,
                       int64_t in)
{
    for (int64_t n = 0; n < N; n += STRETCH)
        loom_gemm_tn(dW, in, dy + n * ldy, ldy, x + n * ldx, ldx, out, in, loom_min_i64(STRETCH, N - n), 1.0f, 1.0f);
}

/* True when the n matrices lie one after the other, or are packed as one. */
static bool adjacent(const loom_mat *W, const int64_t *out, int n, int64_t in)
{
    if (W->fwd) return !W[1].fwd;
    for (int i = 1; i < n; i++) {
        if (!W[i].f32 != !W[0].f32) return false;
        if (W[i].f32 && W[i].f32 != W[i - 1].f32 + out[i - 1] * in) return false;
        if (W[i].bf16 && W[i].bf16 != W[i - 1].bf16 + out[i - 1] * in) return false;
    }
    return true;
}

static int64_t total(const int64_t *out, int n)
{
    int64_t sum = 0;

    for (int i = 0; i < n; i++) sum += out[i];
    return sum;
}

void loom_linears_fwd(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_mat *W, const int64_t *out, int n,
                      int64_t N, int64_t in, const loom_products *how)
{
    if (adjacent(W, out, n, in)) {
        loom_linear_fwd(y, ldy, x, ldx, W, N, total(out, n), in, 0.0f, how);
        return;
    }
    for (int i = 0; i < n; i++) {
        loom_linear_fwd(y, ldy, x, ldx, &W[i], N, out[i], in, 0.0f, how);
        y += out[i];
    }
}

void loom_linears_bwd_x(float *dx, int64_t ldx, const float *dy, int64_t ldy, const loom_mat *W, const int64_t *out,
                        int n, int64_t N, int64_t in, const loom_products *how)
{
    if (adjacent(W, out, n, in)) {
        loom_linear_bwd_x(dx, ldx, dy, ldy, W, N, total(out, n), in, 0.0f, how);
        return;
    }
    for (int i = 0; i < n; i++) {
        loom_linear_bwd_x(dx, ldx, dy, ldy, &W[i], N, out[i], in, i ? 1.0f : 0.0f, how);
        dy += out[i];
    }
}

/* ---- few rows: dot products, four rows of W at a time so that four sums are under way ---- */
static void dot4(float sum[4], const float *restrict x, const float *restrict w, int64_t ldw, int64_t n)
{
    float a = 0, b = 0, c = 0, d = 0;

#pragma omp simd reduction(+ : a, b, c, d)
    for (int64_t i = 0; i < n; i++) {
        a += x[i] * w[i];
        b += x[i] * w[ldw + i];
        c += x[i] * w[2 * ldw + i];
        d += x[i] * w[3 * ldw + i];
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

static void dot4_bf16(float sum[4], const float *restrict x, const uint16_t *restrict w, int64_t ldw, int64_t n)
{
    float a = 0, b = 0, c = 0, d = 0;

#pragma omp simd reduction(+ : a, b, c, d)
    for (int64_t i = 0; i < n; i++) {
        a += x[i] * loom_bf16_to_f32(w[i]);
        b += x[i] * loom_bf16_to_f32(w[ldw + i]);
        c += x[i] * loom_bf16_to_f32(w[2 * ldw + i]);
        d += x[i] * loom_bf16_to_f32(w[3 * ldw + i]);
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

void loom_linear_very_few_rows(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_mat *W, int64_t N,
                               int64_t out, int64_t in, float beta)
{
    assert(N >= 1 && N <= LOOM_VERY_FEW_ROWS);
    for (int64_t o = 0, step; o < out; o += step) {
        step = o + 4 <= out ? 4 : 1;
        for (int64_t n = 0; n < N; n++) {
            float sum[4], *to = y + n * ldy + o;
            int64_t ldw = step == 4 ? in : 0; /* a single row: the sums are four times the same */

            if (W->f32) dot4(sum, x + n * ldx, W->f32 + o * in, ldw, in);
            else dot4_bf16(sum, x + n * ldx, W->bf16 + o * in, ldw, in);
            for (int64_t i = 0; i < step; i++) to[i] = sum[i] + (beta != 0 ? beta * to[i] : 0.0f);
        }
    }
}
