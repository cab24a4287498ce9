/* attention.c with its products in bfloat16 (model/packed.h). The rows of one head are rounded and laid out once; a tile
 * of 64 queries then meets all keys up to its own last position. Softmax, its gradient, the log of the denominators and
 * all sums stay float32; probabilities and their gradients are rounded for the products. */
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/ops.h"
#include "model/packed.h"
#include "model/vmath.h"

#define TILE LOOM_ATT_TILE

static int64_t padded(int64_t T) { return (T + TILE - 1) / TILE * TILE; }
static int64_t panels(int64_t D) { return (D + LOOM_PANEL - 1) / LOOM_PANEL * LOOM_PANEL; }

/* The scratch, carved up. P is the padded length, W the padded width of a head. */
typedef struct workspace {
    float *s, *ds;                   /* (TILE, P) scores and their gradient */
    float *dk, *dv;                  /* (P, D) */
    uint16_t *q, *go;                /* (P, W) rows */
    loom_packed k_keys, v_keys;      /* keys as outputs: scores, and gradients of probabilities */
    loom_packed k_inner, v_inner;    /* keys as inner indices: dq and o */
    loom_packed q_inner, go_inner;   /* a tile's queries as inner indices: dk and dv */
    uint16_t *p16;                   /* (TILE, P) */
    uint16_t *turned;                /* (P, TILE): keys as rows */
    int64_t P, W;
} workspace;

int64_t loom_attention_half_scratch(int64_t T, int64_t D)
{
    int64_t P = padded(T), W = panels(D), floats = 2 * TILE * P + 2 * P * D;
    int64_t halves = 6 * P * W + 2 * TILE * W + 2 * TILE * P;

    return floats + (halves + 1) / 2;
}

static loom_packed packed(uint16_t **at, int64_t out, int64_t in)
{
    loom_packed p = {.data = *at, .out = out, .in = in, .half = true};

    *at += panels(out) * loom_packed_width(in);
    return p;
}

static uint16_t *rows16(uint16_t **at, int64_t rows, int64_t width)
{
    uint16_t *p = *at;

    *at += rows * width;
    return p;
}

static workspace carve(float *scratch, int64_t T, int64_t D)
{
    workspace w = {.P = padded(T), .W = panels(D)};
    uint16_t *at;

    w.s = scratch;
    w.ds = w.s + TILE * w.P;
    w.dk = w.ds + TILE * w.P;
    w.dv = w.dk + w.P * D;
    at = (uint16_t *)(void *)(w.dv + w.P * D);
    w.q = rows16(&at, w.P, w.W);
    w.go = rows16(&at, w.P, w.W);
    w.p16 = rows16(&at, TILE, w.P);
    w.turned = rows16(&at, w.P, TILE);
    w.k_keys = packed(&at, T, D);
    w.v_keys = packed(&at, T, D);
    w.k_inner = packed(&at, D, T);
    w.v_inner = packed(&at, D, T);
    w.q_inner = packed(&at, D, TILE);
    w.go_inner = packed(&at, D, TILE);
    return w;
}

/* Whole vectors only: what lies beyond the n scores of a row counts as minus infinity, which adds 1e-38 to a sum that is
 * 1 or more. */
static int64_t whole_vectors(float *s, int64_t n)
{
    int64_t all = (n + 15) / 16 * 16;

    for (int64_t j = n; j < all; j++) s[j] = -INFINITY;
    return all;
}

/* s[0..n) = exp(scale (s - max)), the rest up to `width` zero; returns the sum. */
static float softmax_row(float *restrict s, float *max, float scale, int64_t n, int64_t width)
{
    int64_t all = whole_vectors(s, n);
    float m = -INFINITY, sum = 0;

#pragma omp simd reduction(max : m)
    for (int64_t j = 0; j < all; j++) m = s[j] > m ? s[j] : m;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < all; j++) {
        float e = loom_expf((s[j] - m) * scale);

        s[j] = e;
        sum += e;
    }
    memset(s + n, 0, (size_t)(width - n) * sizeof *s);
    *max = m * scale;
    return sum;
}

static void forward_tile(const loom_attention *a, const workspace *w, int64_t g, int64_t i0)
{
    int64_t D = a->D, n = loom_min_i64(TILE, a->T - i0), width = i0 + n, room = loom_packed_width(width);
    float sums[TILE], scale = (float)(1.0 / sqrt((double)D)), *o = a->o + i0 * a->ld_o + g * D;

    loom_packed_product16(w->s, w->P, w->q + i0 * w->W, &w->k_keys, n, 0, width, false);
    for (int64_t i = 0; i < n; i++) {
        float m;

        sums[i] = softmax_row(w->s + i * w->P, &m, scale, i0 + i + 1, room);
        a->lse[(i0 + i) * a->ld_lse + g] = m + logf(sums[i]);
    }
    loom_packed_round(w->p16, w->s, w->P, n, room);
    loom_packed_product16_upto(o, a->ld_o, w->p16, room, &w->v_inner, width, n, 0, D, false);
    for (int64_t i = 0; i < n; i++) {
        float inv = 1.0f / sums[i];

        for (int64_t d = 0; d < D; d++) o[i * a->ld_o + d] *= inv;
    }
}

void loom_attention_half_fwd(const loom_attention *a, float *scratch)
{
    workspace w = carve(scratch, a->T, a->D);

    loom_packed_fill_rows(&w.k_keys, a->k, a->ld_qkv);
    loom_packed_fill_inner(&w.v_inner, a->v, a->ld_qkv, 0, a->T);
    for (int64_t g = 0; g < a->G; g++) {
        loom_packed_round(w.q, a->q + g * a->D, a->ld_qkv, a->T, a->D);
        for (int64_t i0 = 0; i0 < a->T; i0 += TILE) forward_tile(a, &w, g, i0);
    }
}

/* p = exp(scale s - lse) in place of s, ds = p (dp - delta) in place of dp; zero from n to `width`. */
static void score_gradient(float *restrict s, float *restrict dp, float scale, float lse, float delta, int64_t n,
                           int64_t width)
{
    int64_t all = whole_vectors(s, n);

#pragma omp simd
    for (int64_t j = 0; j < all; j++) {
        float p = loom_expf(s[j] * scale - lse);

        s[j] = p;
        dp[j] = p * (dp[j] - delta);
    }
    memset(s + n, 0, (size_t)(width - n) * sizeof *s);
    memset(dp + n, 0, (size_t)(width - n) * sizeof *dp);
}

static float dot(const float *restrict a, const float *restrict b, int64_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void scale_rows(float *x, int64_t ld, float scale, int64_t n, int64_t D)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < D; d++) x[i * ld + d] *= scale;
}

static void backward_tile(float *dq, const float *d_o, const loom_attention *a, const workspace *w, int64_t g, int64_t i0)
{
    int64_t D = a->D, n = loom_min_i64(TILE, a->T - i0), width = i0 + n, room = loom_packed_width(width);
    const float *go = d_o + i0 * a->ld_o + g * D, *o = a->o + i0 * a->ld_o + g * D;
    float scale = (float)(1.0 / sqrt((double)D));

    loom_packed_product16(w->s, w->P, w->q + i0 * w->W, &w->k_keys, n, 0, width, false);
    loom_packed_product16(w->ds, w->P, w->go + i0 * w->W, &w->v_keys, n, 0, width, false);
    for (int64_t i = 0; i < n; i++)
        score_gradient(w->s + i * w->P, w->ds + i * w->P, scale, a->lse[(i0 + i) * a->ld_lse + g],
                       dot(go + i * a->ld_o, o + i * a->ld_o, D), i0 + i + 1, room);

    loom_packed_fill_inner(&w->go_inner, go, a->ld_o, 0, n);
    loom_packed_turn(w->turned, TILE, w->s, w->P, room, 0, n);
    loom_packed_product16_upto(w->dv, D, w->turned, TILE, &w->go_inner, n, width, 0, D, true);
    loom_packed_fill_inner(&w->q_inner, a->q + i0 * a->ld_qkv + g * D, a->ld_qkv, 0, n);
    loom_packed_turn(w->turned, TILE, w->ds, w->P, room, 0, n);
    loom_packed_product16_upto(w->dk, D, w->turned, TILE, &w->q_inner, n, width, 0, D, true);

    dq += i0 * a->ld_qkv + g * D;
    loom_packed_round(w->p16, w->ds, w->P, n, room);
    loom_packed_product16_upto(dq, a->ld_qkv, w->p16, room, &w->k_inner, width, n, 0, D, false);
    scale_rows(dq, a->ld_qkv, scale, n, D);
}

void loom_attention_half_bwd(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a, float *scratch)
{
    workspace w = carve(scratch, a->T, a->D);

    memset(w.dk, 0, (size_t)(w.P * a->D) * sizeof *w.dk);
    memset(w.dv, 0, (size_t)(w.P * a->D) * sizeof *w.dv);
    loom_packed_fill_rows(&w.k_keys, a->k, a->ld_qkv);
    loom_packed_fill_rows(&w.v_keys, a->v, a->ld_qkv);
    loom_packed_fill_inner(&w.k_inner, a->k, a->ld_qkv, 0, a->T);
    for (int64_t g = 0; g < a->G; g++) {
        loom_packed_round(w.q, a->q + g * a->D, a->ld_qkv, a->T, a->D);
        loom_packed_round(w.go, d_o + g * a->D, a->ld_o, a->T, a->D);
        for (int64_t i0 = 0; i0 < a->T; i0 += TILE) backward_tile(dq, d_o, a, &w, g, i0);
    }
    scale_rows(w.dk, a->D, (float)(1.0 / sqrt((double)a->D)), a->T, a->D);
    for (int64_t i = 0; i < a->T; i++) {
        memcpy(dk + i * a->ld_qkv, w.dk + i * a->D, (size_t)a->D * sizeof *dk);
        memcpy(dv + i * a->ld_qkv, w.dv + i * a->D, (size_t)a->D * sizeof *dv);
    }
}
