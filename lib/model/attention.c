#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/blas.h"
#include "model/ops.h"
#include "model/vmath.h"

/* A tile of at most LOOM_ATT_TILE queries i0..i1-1 sees keys 0..i1-1; its scores are a strip (i1-i0, i1) that stays in
 * the second-level cache. Products do the work; entries above the diagonal are computed and then set to zero. */

static int64_t strip_ld(int64_t T) { return (T + 15) & ~INT64_C(15); }

int64_t loom_attention_scratch(int64_t T, bool backward) { return LOOM_ATT_TILE * strip_ld(T) * (backward ? 2 : 1); }

/* s[0..n) -> exp(s - max), the rest up to `width` 0; returns the log of the denominator, *sum = denominator. */
static float softmax_row(float *restrict s, int64_t n, int64_t width, float *sum_out)
{
    float m = -INFINITY, sum = 0;

#pragma omp simd reduction(max : m)
    for (int64_t j = 0; j < n; j++) m = s[j] > m ? s[j] : m;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
        float e = loom_expf(s[j] - m);

        s[j] = e;
        sum += e;
    }
    for (int64_t j = n; j < width; j++) s[j] = 0;
    *sum_out = sum;
    return m + logf(sum);
}

static void forward_tile(const loom_attention *a, int64_t g, int64_t i0, int64_t i1, float *strip)
{
    int64_t D = a->D, ld = strip_ld(a->T), n = i1 - i0;
    float *o = a->o + i0 * a->ld_o + g * D;

    loom_gemm_nt(strip, ld, a->q + i0 * a->ld_qkv + g * D, a->ld_qkv, a->k, a->ld_qkv, n, i1, D,
                 (float)(1.0 / sqrt((double)D)), 0.0f);
    float sums[LOOM_ATT_TILE];
    for (int64_t i = 0; i < n; i++)
        a->lse[(i0 + i) * a->ld_lse + g] = softmax_row(strip + i * ld, i0 + i + 1, i1, &sums[i]);
    loom_gemm_nn(o, a->ld_o, strip, ld, a->v, a->ld_qkv, n, D, i1, 1.0f, 0.0f);
    for (int64_t i = 0; i < n; i++) {
        float inv = 1.0f / sums[i];

        for (int64_t d = 0; d < D; d++) o[i * a->ld_o + d] *= inv;
    }
}

void loom_attention_fwd(const loom_attention *a, float *scratch)
{
    for (int64_t g = 0; g < a->G; g++)
        for (int64_t i0 = 0; i0 < a->T; i0 += LOOM_ATT_TILE)
            forward_tile(a, g, i0, loom_min_i64(i0 + LOOM_ATT_TILE, a->T), scratch);
}

/* p = exp(s - lse) in place of s; ds = p (dp - delta) / sqrt(D) in place of dp, delta = do.o; zero above the diagonal.
 */
static void score_gradient(float *restrict s, float *restrict dp, float lse, float delta, float scale, int64_t n,
                           int64_t width)
{
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        float p = loom_expf(s[j] - lse);

        s[j] = p;
        dp[j] = p * (dp[j] - delta) * scale;
    }
    for (int64_t j = n; j < width; j++) s[j] = dp[j] = 0;
}

static float dot(const float *restrict a, const float *restrict b, int64_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void backward_tile(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a, int64_t g,
                          int64_t i0, int64_t i1, float *strip)
{
    int64_t D = a->D, ld = strip_ld(a->T), n = i1 - i0, ldq = a->ld_qkv;
    const float *q = a->q + i0 * ldq + g * D, *dot_o = d_o + i0 * a->ld_o + g * D, *o = a->o + i0 * a->ld_o + g * D;
    float *dstrip = strip + LOOM_ATT_TILE * ld, scale = (float)(1.0 / sqrt((double)D));

    loom_gemm_nt(strip, ld, q, ldq, a->k, ldq, n, i1, D, scale, 0.0f);
    loom_gemm_nt(dstrip, ld, dot_o, a->ld_o, a->v, ldq, n, i1, D, 1.0f, 0.0f);
    for (int64_t i = 0; i < n; i++)
        score_gradient(strip + i * ld, dstrip + i * ld, a->lse[(i0 + i) * a->ld_lse + g],
                       dot(dot_o + i * a->ld_o, o + i * a->ld_o, D), scale, i0 + i + 1, i1);
    loom_gemm_tn(dv, ldq, strip, ld, dot_o, a->ld_o, i1, D, n, 1.0f, 1.0f);
    loom_gemm_nn(dq + i0 * ldq + g * D, ldq, dstrip, ld, a->k, ldq, n, D, i1, 1.0f, 0.0f);
    loom_gemm_tn(dk, ldq, dstrip, ld, q, ldq, i1, D, n, 1.0f, 1.0f);
}

void loom_attention_bwd(float *dq, float *dk, float *dv, const float *d_o, const loom_attention *a, float *scratch)
{
    for (int64_t i = 0; i < a->T; i++) {
        memset(dk + i * a->ld_qkv, 0, (size_t)a->D * sizeof *dk);
        memset(dv + i * a->ld_qkv, 0, (size_t)a->D * sizeof *dv);
    }
    for (int64_t g = 0; g < a->G; g++)
        for (int64_t i0 = 0; i0 < a->T; i0 += LOOM_ATT_TILE)
            backward_tile(dq, dk, dv, d_o, a, g, i0, loom_min_i64(i0 + LOOM_ATT_TILE, a->T), scratch);
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
