/* attention.c with its products in bfloat16. The rows of one head are rounded once into packed, zero-padded copies, so
 * that every product has one of a few shapes: 64 queries, and keys in multiples of 64. Softmax, its gradient, the log
 * of the denominators and all sums stay float32. */
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/half.h"
#include "model/ops.h"
#include "model/vmath.h"

#define TILE LOOM_ATT_TILE

static int64_t padded(int64_t T) { return (T + TILE - 1) / TILE * TILE; }

/* The scratch, carved up. P is the padded length. */
typedef struct workspace {
    float *s, *ds;            /* (TILE, P) scores and their gradient */
    float *rows;              /* (TILE, D) */
    float *dk, *dv;           /* (P, D) */
    uint16_t *q, *k, *v, *go; /* (P, D); q is scaled by 1/sqrt(D) */
    uint16_t *p16, *ds16;     /* (TILE, P) */
    int64_t P;
} workspace;

int64_t loom_attention_half_scratch(int64_t T, int64_t D)
{
    int64_t P = padded(T), floats = 2 * TILE * P + TILE * D + 2 * P * D, halves = 4 * P * D + 2 * TILE * P;

    return floats + (halves + 1) / 2;
}

static workspace carve(float *scratch, int64_t T, int64_t D)
{
    workspace w = {.P = padded(T)};
    uint16_t *h;

    w.s = scratch;
    w.ds = w.s + TILE * w.P;
    w.rows = w.ds + TILE * w.P;
    w.dk = w.rows + TILE * D;
    w.dv = w.dk + w.P * D;
    h = (uint16_t *)(void *)(w.dv + w.P * D);
    w.q = h;
    w.k = w.q + w.P * D;
    w.v = w.k + w.P * D;
    w.go = w.v + w.P * D;
    w.p16 = w.go + w.P * D;
    w.ds16 = w.p16 + TILE * w.P;
    return w;
}

/* to (P,D) = from (T,D) * scale, rounded; the padding is zero. */
static void pack(uint16_t *to, const float *from, int64_t ld, float scale, int64_t T, int64_t P, int64_t D)
{
    for (int64_t i = 0; i < T; i++)
        for (int64_t d = 0; d < D; d++) to[i * D + d] = loom_f32_to_bf16(from[i * ld + d] * scale);
    memset(to + T * D, 0, (size_t)((P - T) * D) * sizeof *to);
}

/* p[0..n) = exp(s - max), the rest up to `width` zero; returns the sum. */
static float softmax_row(uint16_t *restrict p, float *restrict s, float *max, int64_t n, int64_t width)
{
    float m = -INFINITY, sum = 0;

#pragma omp simd reduction(max : m)
    for (int64_t j = 0; j < n; j++) m = s[j] > m ? s[j] : m;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
        float e = loom_expf(s[j] - m);

        sum += e;
        s[j] = e;
    }
    for (int64_t j = 0; j < n; j++) p[j] = loom_f32_to_bf16(s[j]);
    memset(p + n, 0, (size_t)(width - n) * sizeof *p);
    *max = m;
    return sum;
}

static void forward_tile(const loom_attention *a, loom_half *half, const workspace *w, int64_t g, int64_t i0)
{
    int64_t D = a->D, n = loom_min_i64(TILE, a->T - i0), width = i0 + TILE;
    float sums[TILE];

    loom_half_nt(half, w->s, w->P, w->q + i0 * D, D, w->k, D, TILE, width, D, false);
    for (int64_t i = 0; i < n; i++) {
        float m;

        sums[i] = softmax_row(w->p16 + i * w->P, w->s + i * w->P, &m, i0 + i + 1, width);
        a->lse[(i0 + i) * a->ld_lse + g] = m + logf(sums[i]);
    }
    for (int64_t i = n; i < TILE; i++) memset(w->p16 + i * w->P, 0, (size_t)width * sizeof *w->p16);
    loom_half_nn(half, w->rows, D, w->p16, w->P, w->v, D, TILE, D, width, false);
    for (int64_t i = 0; i < n; i++) {
        float inv = 1.0f / sums[i], *o = a->o + (i0 + i) * a->ld_o + g * D;

        for (int64_t d = 0; d < D; d++) o[d] = w->rows[i * D + d] * inv;
    }
}

void loom_attention_half_fwd(const loom_attention *a, loom_half *half, float *scratch)
{
    workspace w = carve(scratch, a->T, a->D);
    float scale = (float)(1.0 / sqrt((double)a->D));

    pack(w.k, a->k, a->ld_qkv, 1, a->T, w.P, a->D);
    pack(w.v, a->v, a->ld_qkv, 1, a->T, w.P, a->D);
    for (int64_t g = 0; g < a->G; g++) {
        pack(w.q, a->q + g * a->D, a->ld_qkv, scale, a->T, w.P, a->D);
        for (int64_t i0 = 0; i0 < a->T; i0 += TILE) forward_tile(a, half, &w, g, i0);
    }
}

/* p = exp(s - lse) and ds = p (dp - delta), both rounded; zero from n to `width`. */
static void score_gradient(uint16_t *restrict p16, uint16_t *restrict ds16, const float *restrict s,
                           const float *restrict dp, float lse, float delta, int64_t n, int64_t width)
{
    for (int64_t j = 0; j < n; j++) {
        float p = loom_expf(s[j] - lse);

        p16[j] = loom_f32_to_bf16(p);
        ds16[j] = loom_f32_to_bf16(p * (dp[j] - delta));
    }
    memset(p16 + n, 0, (size_t)(width - n) * sizeof *p16);
    memset(ds16 + n, 0, (size_t)(width - n) * sizeof *ds16);
}

static float dot(const float *restrict a, const float *restrict b, int64_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void backward_tile(float *dq, const float *d_o, const loom_attention *a, loom_half *half, const workspace *w,
                          int64_t g, int64_t i0)
{
    int64_t D = a->D, n = loom_min_i64(TILE, a->T - i0), width = i0 + TILE;
    float scale = (float)(1.0 / sqrt((double)D));

    loom_half_nt(half, w->s, w->P, w->q + i0 * D, D, w->k, D, TILE, width, D, false);
    loom_half_nt(half, w->ds, w->P, w->go + i0 * D, D, w->v, D, TILE, width, D, false);
    for (int64_t i = 0; i < TILE; i++) {
        int64_t at = (i0 + i) * a->ld_o + g * D, keys = i < n ? i0 + i + 1 : 0;

        score_gradient(w->p16 + i * w->P, w->ds16 + i * w->P, w->s + i * w->P, w->ds + i * w->P,
                       keys ? a->lse[(i0 + i) * a->ld_lse + g] : 0, keys ? dot(d_o + at, a->o + at, D) : 0, keys,
                       width);
    }
    loom_half_tn(half, w->dv, D, w->p16, w->P, w->go + i0 * D, D, width, D, TILE, true);
    loom_half_tn(half, w->dk, D, w->ds16, w->P, w->q + i0 * D, D, width, D, TILE, true);
    loom_half_nn(half, w->rows, D, w->ds16, w->P, w->k, D, TILE, D, width, false);
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < D; d++) dq[(i0 + i) * a->ld_qkv + g * D + d] = w->rows[i * D + d] * scale;
}

void loom_attention_half_bwd(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a,
                             loom_half *half, float *scratch)
{
    workspace w = carve(scratch, a->T, a->D);
    float scale = (float)(1.0 / sqrt((double)a->D));

    memset(w.dk, 0, (size_t)(w.P * a->D) * sizeof *w.dk);
    memset(w.dv, 0, (size_t)(w.P * a->D) * sizeof *w.dv);
    pack(w.k, a->k, a->ld_qkv, 1, a->T, w.P, a->D);
    pack(w.v, a->v, a->ld_qkv, 1, a->T, w.P, a->D);
    for (int64_t g = 0; g < a->G; g++) {
        pack(w.q, a->q + g * a->D, a->ld_qkv, scale, a->T, w.P, a->D);
        pack(w.go, d_o + g * a->D, a->ld_o, 1, a->T, w.P, a->D);
        for (int64_t i0 = 0; i0 < a->T; i0 += TILE) backward_tile(dq, d_o, a, half, &w, g, i0);
    }
    for (int64_t i = 0; i < a->T; i++) {
        memcpy(dk + i * a->ld_qkv, w.dk + i * a->D, (size_t)a->D * sizeof *dk);
        memcpy(dv + i * a->ld_qkv, w.dv + i * a->D, (size_t)a->D * sizeof *dv);
    }
}
