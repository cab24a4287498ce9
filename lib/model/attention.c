/* The rows of a key/value head are laid out once (model/packed.h); a tile of at most LOOM_ATT_TILE queries then
 * meets all keys up to its own last position. Its scores are a strip that stays in the second-level cache; entries
 * above the diagonal are computed and then set to zero.
 *
 * With `bf16` the products are of bfloat16 numbers: rows, probabilities and their gradients are rounded. Softmax, its
 * gradient, the log of the denominators and all sums are float32 either way. */
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/ops.h"
#include "model/packed.h"
#include "model/vmath.h"

#define TILE LOOM_ATT_TILE

static int64_t padded(int64_t T) { return (T + TILE - 1) / TILE * TILE; }

/* Rows of a query head, `width` apart: rounded, or as they are. */
typedef struct rows {
    float *f32;
    uint16_t *bf16;
} rows;

/* The scratch, carved up. P is the padded length, W the padded width of a head. */
typedef struct workspace {
    bool bf16;
    int64_t P, W;
    loom_packed k_keys, v_keys;    /* keys as outputs: scores, and gradients of probabilities */
    loom_packed k_inner, v_inner;  /* keys as inner indices: dq and o */
    loom_packed q_inner, go_inner; /* a tile's queries as inner indices: dk and dv */
    rows q, go;                    /* (P, W) */
    float *s, *ds;                 /* (TILE, P) scores and their gradient */
    float *dk, *dv;                /* (P, D) */
    uint16_t *p16;                 /* (TILE, P); bf16 only */
    uint16_t *turned;              /* (P, TILE): keys as rows; bf16 only */
    float *base;                   /* NULL: only counting */
    int64_t used;                  /* floats */
} workspace;

static void *take(workspace *w, int64_t floats)
{
    float *p = w->base ? w->base + w->used : NULL;

    w->used += (floats + 15) / 16 * 16;
    return p;
}

static loom_packed take_packed(workspace *w, int64_t out, int64_t in)
{
    loom_packed p = {.out = out, .in = in, .bf16 = w->bf16};

    p.data = take(w, (int64_t)(loom_packed_bytes(out, in, w->bf16) / sizeof(float)));
    return p;
}

static rows take_rows(workspace *w, int64_t n, int64_t width)
{
    void *p = take(w, w->bf16 ? n * width / 2 : n * width);

    return (rows){.f32 = w->bf16 ? NULL : p, .bf16 = w->bf16 ? p : NULL};
}

static workspace carve(float *scratch, int64_t T, int64_t D, bool bf16)
{
    workspace w = {.bf16 = bf16, .P = padded(T), .W = loom_packed_width(D), .base = scratch};

    w.k_keys = take_packed(&w, T, D);
    w.v_keys = take_packed(&w, T, D);
    w.k_inner = take_packed(&w, D, T);
    w.v_inner = take_packed(&w, D, T);
    w.q_inner = take_packed(&w, D, TILE);
    w.go_inner = take_packed(&w, D, TILE);
    w.q = take_rows(&w, w.P, w.W);
    w.go = take_rows(&w, w.P, w.W);
    w.s = take(&w, TILE * w.P);
    w.ds = take(&w, TILE * w.P);
    w.dk = take(&w, w.P * D);
    w.dv = take(&w, w.P * D);
    w.p16 = take(&w, bf16 ? TILE * w.P / 2 : 0);
    w.turned = take(&w, bf16 ? TILE * w.P / 2 : 0);
    return w;
}

int64_t loom_attention_scratch(int64_t T, int64_t D, bool bf16) { return carve(NULL, T, D, bf16).used; }

/* ---- the three kinds of product ---- */
static void lay_rows(const workspace *w, const rows *to, const float *from, int64_t ld, int64_t n, int64_t D)
{
    if (w->bf16) loom_packed_round(to->bf16, from, ld, n, D);
    else
        for (int64_t i = 0; i < n; i++) memcpy(to->f32 + i * w->W, from + i * ld, (size_t)D * sizeof *from);
}

/* y (n, width) = queries i0.. times keys; whole panels of y are written, up to P. */
static void with_keys(const workspace *w, float *y, const rows *x, int64_t i0, const loom_packed *keys, int64_t n,
                      int64_t width)
{
    if (w->bf16) loom_packed_product16(y, w->P, x->bf16 + i0 * w->W, keys, n, 0, width, false);
    else loom_packed_product(y, w->P, x->f32 + i0 * w->W, w->W, keys, n, 0, loom_packed_width(width), false);
}

/* y (n, D) = s (n, width) times values. */
static void with_values(const workspace *w, float *y, int64_t ldy, const float *s, const loom_packed *values, int64_t n,
                        int64_t width)
{
    int64_t room = loom_packed_width(width);

    if (!w->bf16) {
        loom_packed_product_upto(y, ldy, s, w->P, values, width, n, 0, values->out, false);
        return;
    }
    loom_packed_round(w->p16, s, w->P, n, room);
    loom_packed_product16_upto(y, ldy, w->p16, room, values, width, n, 0, values->out, false);
}

/* y (width, D) += sᵀ x for s (n, width) and x (n, D). */
static void turned(const workspace *w, float *y, const float *s, const loom_packed *inner, const float *x, int64_t ldx,
                   int64_t n, int64_t width)
{
    int64_t D = inner->out;

    loom_packed_fill_inner(inner, x, ldx, 0, n);
    if (!w->bf16) {
        loom_packed_product_turned(y, D, s, w->P, inner, n, width, 0, D, true);
        return;
    }
    loom_packed_turn(w->turned, TILE, s, w->P, loom_packed_width(width), 0, n);
    loom_packed_product16_upto(y, D, w->turned, TILE, inner, n, width, 0, D, true);
}

/* ---- forward ---- */
/* Whole vectors only: what lies beyond the n scores of a row counts as minus infinity, which adds 1e-38 to a sum
 * that is 1 or more. */
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
    int64_t D = a->D, n = loom_min_i64(TILE, a->T - i0), width = i0 + n;
    float sums[TILE], scale = (float)(1.0 / sqrt((double)D)), *o = a->o + i0 * a->ld_o + g * D;

    with_keys(w, w->s, &w->q, i0, &w->k_keys, n, width);
    for (int64_t i = 0; i < n; i++) {
        float m;

        sums[i] = softmax_row(w->s + i * w->P, &m, scale, i0 + i + 1, loom_packed_width(width));
        a->lse[(i0 + i) * a->ld_lse + g] = m + logf(sums[i]);
    }
    with_values(w, o, a->ld_o, w->s, &w->v_inner, n, width);
    for (int64_t i = 0; i < n; i++) {
        float inv = 1.0f / sums[i];

        for (int64_t d = 0; d < D; d++) o[i * a->ld_o + d] *= inv;
    }
}

void loom_attention_fwd(const loom_attention *a, bool bf16, float *scratch)
{
    workspace w = carve(scratch, a->T, a->D, bf16);

    loom_packed_fill_rows(&w.k_keys, a->k, a->ld_qkv);
    loom_packed_fill_inner(&w.v_inner, a->v, a->ld_qkv, 0, a->T);
    for (int64_t g = 0; g < a->G; g++) {
        lay_rows(&w, &w.q, a->q + g * a->D, a->ld_qkv, a->T, a->D);
        for (int64_t i0 = 0; i0 < a->T; i0 += TILE) forward_tile(a, &w, g, i0);
    }
}

/* ---- backward ---- */
/* p = exp(scale s - lse) in place of s, ds = p (dp - delta) in place of dp, delta = do.o; zero from n to `width`. */
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

static void backward_tile(float *dq, const float *d_o, const loom_attention *a, const workspace *w, int64_t g,
                          int64_t i0)
{
    int64_t D = a->D, n = loom_min_i64(TILE, a->T - i0), width = i0 + n, at_q = i0 * a->ld_qkv + g * D;
    const float *go = d_o + i0 * a->ld_o + g * D, *o = a->o + i0 * a->ld_o + g * D;
    float scale = (float)(1.0 / sqrt((double)D));

    with_keys(w, w->s, &w->q, i0, &w->k_keys, n, width);
    with_keys(w, w->ds, &w->go, i0, &w->v_keys, n, width);
    for (int64_t i = 0; i < n; i++)
        score_gradient(w->s + i * w->P, w->ds + i * w->P, scale, a->lse[(i0 + i) * a->ld_lse + g],
                       dot(go + i * a->ld_o, o + i * a->ld_o, D), i0 + i + 1, loom_packed_width(width));
    turned(w, w->dv, w->s, &w->go_inner, go, a->ld_o, n, width);
    turned(w, w->dk, w->ds, &w->q_inner, a->q + at_q, a->ld_qkv, n, width);
    with_values(w, dq + at_q, a->ld_qkv, w->ds, &w->k_inner, n, width);
    scale_rows(dq + at_q, a->ld_qkv, scale, n, D);
}

void loom_attention_bwd(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a, bool bf16,
                        float *scratch)
{
    workspace w = carve(scratch, a->T, a->D, bf16);

    memset(w.dk, 0, (size_t)(w.P * a->D) * sizeof *w.dk);
    memset(w.dv, 0, (size_t)(w.P * a->D) * sizeof *w.dv);
    loom_packed_fill_rows(&w.k_keys, a->k, a->ld_qkv);
    loom_packed_fill_rows(&w.v_keys, a->v, a->ld_qkv);
    loom_packed_fill_inner(&w.k_inner, a->k, a->ld_qkv, 0, a->T);
    for (int64_t g = 0; g < a->G; g++) {
        lay_rows(&w, &w.q, a->q + g * a->D, a->ld_qkv, a->T, a->D);
        lay_rows(&w, &w.go, d_o + g * a->D, a->ld_o, a->T, a->D);
        for (int64_t i0 = 0; i0 < a->T; i0 += TILE) backward_tile(dq, d_o, a, &w, g, i0);
    }
    scale_rows(w.dk, a->D, (float)(1.0 / sqrt((double)a->D)), a->T, a->D);
    for (int64_t i = 0; i < a->T; i++) {
        memcpy(dk + i * a->ld_qkv, w.dk + i * a->D, (size_t)a->D * sizeof *dk);
        memcpy(dv + i * a->ld_qkv, w.dv + i * a->D, (size_t)a->D * sizeof *dv);
    }
}

/* ---- plain twins: one query at a time, probabilities on the fly ---- */
static double score(const loom_attention *a, int64_t g, int64_t i, int64_t j)
{
    double sum = 0;

    for (int64_t d = 0; d < a->D; d++) sum += (double)a->q[i * a->ld_qkv + g * a->D + d] * a->k[j * a->ld_qkv + d];
    return sum / sqrt((double)a->D);
}

static void forward_plain(const loom_attention *a, int64_t g, int64_t i)
{
    double m = -INFINITY, sum = 0;

    for (int64_t j = 0; j <= i; j++) m = fmax(m, score(a, g, i, j));
    for (int64_t j = 0; j <= i; j++) sum += exp(score(a, g, i, j) - m);
    a->lse[i * a->ld_lse + g] = (float)(m + log(sum));
    for (int64_t d = 0; d < a->D; d++) {
        double o = 0;

        for (int64_t j = 0; j <= i; j++) o += exp(score(a, g, i, j) - m) / sum * a->v[j * a->ld_qkv + d];
        a->o[i * a->ld_o + g * a->D + d] = (float)o;
    }
}

void loom_attention_fwd_plain(const loom_attention *a)
{
    for (int64_t g = 0; g < a->G; g++)
        for (int64_t i = 0; i < a->T; i++) forward_plain(a, g, i);
}

static void backward_plain(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a, int64_t g,
                           int64_t i)
{
    int64_t D = a->D, ld = a->ld_qkv;
    const float *go = d_o + i * a->ld_o + g * D, *o = a->o + i * a->ld_o + g * D, *q = a->q + i * ld + g * D;
    double delta = 0;

    for (int64_t d = 0; d < D; d++) {
        delta += (double)go[d] * o[d];
        dq[i * ld + g * D + d] = 0;
    }
    for (int64_t j = 0; j <= i; j++) {
        double p = exp(score(a, g, i, j) - a->lse[i * a->ld_lse + g]), dp = 0, ds;

        for (int64_t d = 0; d < D; d++) dp += (double)go[d] * a->v[j * ld + d];
        ds = p * (dp - delta) / sqrt((double)D);
        for (int64_t d = 0; d < D; d++) {
            dv[j * ld + d] += (float)(p * go[d]);
            dk[j * ld + d] += (float)(ds * q[d]);
            dq[i * ld + g * D + d] += (float)(ds * a->k[j * ld + d]);
        }
    }
}

void loom_attention_bwd_plain(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a)
{
    for (int64_t j = 0; j < a->T; j++)
        for (int64_t d = 0; d < a->D; d++) dk[j * a->ld_qkv + d] = dv[j * a->ld_qkv + d] = 0;
    for (int64_t g = 0; g < a->G; g++)
        for (int64_t i = 0; i < a->T; i++) backward_plain(dq, dk, dv, d_o, a, g, i);
}
