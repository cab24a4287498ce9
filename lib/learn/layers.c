#include "learn/layers.h"

#include <math.h>
#include <string.h>

#include "model/blas.h"

/* ---- dense ---- */

loom_dense loom_dense_add(loom_weights *into, const char *name, int64_t O, int64_t I)
{
    double spread = 1 / sqrt((double)I);
    loom_dense d = {.O = O, .I = I};

    d.w = loom_weights_add(into, name, O * I, 0, spread);
    d.b = loom_weights_add(into, name, O, 0, spread);
    return d;
}

void loom_dense_fwd(float *y, const float *x, const loom_weights *w, const loom_dense *d, int64_t N)
{
    for (int64_t n = 0; n < N; n++) memcpy(y + n * d->O, w->w + d->b, (size_t)d->O * sizeof *y);
    if (N) loom_gemm_nt(y, d->O, x, d->I, w->w + d->w, d->I, N, d->O, d->I, 1, 1);
}

void loom_dense_bwd(float *dx, const float *dy, const float *x, loom_weights *w, const loom_dense *d, int64_t N)
{
    float *db = w->dw + d->b;

    if (N == 0) return;
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < d->O; o++) db[o] += dy[n * d->O + o];
    loom_gemm_tn(w->dw + d->w, d->I, dy, d->O, x, d->I, d->O, d->I, N, 1, 1);
    if (dx) loom_gemm_nn(dx, d->I, dy, d->O, w->w + d->w, d->I, N, d->I, d->O, 1, 0);
}

/* ---- embedding ---- */

void loom_embedding_fwd(float *y, const float *table, const float *b, const int32_t *id, int64_t N, int64_t A,
                        int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        float *row = y + n * C;

        if (b) memcpy(row, b, (size_t)C * sizeof *row);
        else memset(row, 0, (size_t)C * sizeof *row);
        for (int64_t a = 0; a < A; a++) {
            const float *from = table + (int64_t)id[n * A + a] * C;
            for (int64_t c = 0; c < C; c++) row[c] += from[c];
        }
    }
}

void loom_embedding_bwd(float *dtable, float *db, const float *dy, const int32_t *id, int64_t N, int64_t A, int64_t C)
{
    for (int64_t n = 0; n < N; n++) {
        const float *row = dy + n * C;

        for (int64_t c = 0; db && c < C; c++) db[c] += row[c];
        for (int64_t a = 0; a < A; a++) {
            float *into = dtable + (int64_t)id[n * A + a] * C;
            for (int64_t c = 0; c < C; c++) into[c] += row[c];
        }
    }
}

/* ---- rectifiers ---- */

void loom_relu_fwd(float *y, const float *x, double slope, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = x[i] > 0 ? x[i] : (float)slope * x[i];
}

void loom_relu_bwd(float *dx, const float *dy, const float *y, double slope, int64_t n)
{
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? dy[i] : (float)slope * dy[i];
}

/* ---- layer norm ---- */

loom_norm loom_norm_add(loom_weights *into, const char *name, int64_t C)
{
    loom_norm l = {.C = C};

    l.g = loom_weights_add(into, name, C, 1, 0);
    l.b = loom_weights_add(into, name, C, 0, 0);
    return l;
}

void loom_norm_fwd(float *y, float *stat, const float *x, const loom_weights *w, const loom_norm *l, int64_t N)
{
    const float *g = w->w + l->g, *b = w->w + l->b;
    int64_t C = l->C;

    for (int64_t n = 0; n < N; n++) {
        const float *row = x + n * C;
        double mean = 0, var = 0;

        for (int64_t c = 0; c < C; c++) mean += row[c];
        mean /= (double)C;
        for (int64_t c = 0; c < C; c++) var += (row[c] - mean) * (row[c] - mean);
        double r = 1 / sqrt(var / (double)C + 1e-5);
        for (int64_t c = 0; c < C; c++) y[n * C + c] = (float)(g[c] * (row[c] - mean) * r + b[c]);
        stat[2 * n] = (float)mean;
        stat[2 * n + 1] = (float)r;
    }
}

/* With u = g dy and xhat = (x - mean) r:  dx = r (u - mean(u) - xhat mean(u xhat)) */
void loom_norm_bwd(float *dx, const float *dy, const float *x, const float *stat, loom_weights *w, const loom_norm *l,
                   int64_t N)
{
    const float *g = w->w + l->g;
    float *dg = w->dw + l->g, *db = w->dw + l->b;
    int64_t C = l->C;

    for (int64_t n = 0; n < N; n++) {
        double mean = stat[2 * n], r = stat[2 * n + 1], sum = 0, along = 0;

        for (int64_t c = 0; c < C; c++) {
            double xhat = (x[n * C + c] - mean) * r, d = dy[n * C + c], u = g[c] * d;
            dg[c] += (float)(d * xhat);
            db[c] += (float)d;
            sum += u;
            along += u * xhat;
        }
        for (int64_t c = 0; dx && c < C; c++) {
            double xhat = (x[n * C + c] - mean) * r, u = g[c] * dy[n * C + c];
            dx[n * C + c] = (float)(r * (u - sum / (double)C - xhat * along / (double)C));
        }
    }
}

/* ---- graph attention ---- */

loom_gat loom_gat_add(loom_weights *into, const char *name, int64_t H, int64_t D, int64_t I)
{
    loom_gat l = {.H = H, .D = D, .I = I};

    l.w = loom_weights_add(into, name, H * D * I, 0, 1 / sqrt((double)I));
    l.a_self = loom_weights_add(into, name, H * D, 0, 1 / sqrt((double)D));
    l.a_other = loom_weights_add(into, name, H * D, 0, 1 / sqrt((double)D));
    l.b = loom_weights_add(into, name, H * D, 0, 0);
    return l;
}

static double leaky(double x) { return x > 0 ? x : LOOM_GAT_SLOPE * x; }

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* One node and head: p over its neighbours and y. */
static void attend(float *y, const float *h, const float *st, float *p, const loom_neighbours *e, const loom_gat *l,
                   int64_t i, int64_t k)
{
    int64_t H = l->H, D = l->D;
    double most = -INFINITY, sum = 0;

    for (int32_t at = e->first[i]; at < e->first[i + 1]; at++) {
        double score = leaky((double)st[2 * (i * H + k)] + st[2 * (e->other[at] * H + k) + 1]);
        p[at * H + k] = (float)score;
        most = fmax(most, score);
    }
    for (int32_t at = e->first[i]; at < e->first[i + 1]; at++) {
        double weight = exp(p[at * H + k] - most);
        p[at * H + k] = (float)weight;
        sum += weight;
    }
    for (int32_t at = e->first[i]; at < e->first[i + 1]; at++) {
        float weight = p[at * H + k] = (float)(p[at * H + k] / sum);
        const float *from = h + (e->other[at] * H + k) * D;
        for (int64_t d = 0; d < D; d++) y[(i * H + k) * D + d] += weight * from[d];
    }
}

void loom_gat_fwd(float *y, float *h, float *st, float *p, const float *x, const loom_neighbours *e,
                  const loom_weights *w, const loom_gat *l, int64_t N)
{
    int64_t H = l->H, D = l->D;

    if (N == 0) return;
    loom_gemm_nt(h, H * D, x, l->I, w->w + l->w, l->I, N, H * D, l->I, 1, 0);
    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k < H; k++) {
            st[2 * (i * H + k)] = (float)dot(w->w + l->a_self + k * D, h + (i * H + k) * D, D);
            st[2 * (i * H + k) + 1] = (float)dot(w->w + l->a_other + k * D, h + (i * H + k) * D, D);
        }
    for (int64_t i = 0; i < N; i++) {
        memcpy(y + i * H * D, w->w + l->b, (size_t)(H * D) * sizeof *y);
        for (int64_t k = 0; k < H; k++) attend(y, h, st, p, e, l, i, k);
    }
}

/* Of one node and head: dp[j] = dy[i] . h[j], through the softmax and the rectifier to s[i] and t[j]; and dh[j] +=
 * p dy[i]. */
static void attend_back(float *dh, float *dst, const float *dy, const float *h, const float *st, const float *p,
                        const loom_neighbours *e, const loom_gat *l, int64_t i, int64_t k)
{
    int64_t H = l->H, D = l->D;
    const float *d = dy + (i * H + k) * D;
    double mean = 0;

    for (int32_t at = e->first[i]; at < e->first[i + 1]; at++)
        mean += p[at * H + k] * dot(d, h + (e->other[at] * H + k) * D, D);
    for (int32_t at = e->first[i]; at < e->first[i + 1]; at++) {
        int64_t j = e->other[at];
        double weight = p[at * H + k], before = (double)st[2 * (i * H + k)] + st[2 * (j * H + k) + 1];
        double de = weight * (dot(d, h + (j * H + k) * D, D) - mean) * (before > 0 ? 1 : LOOM_GAT_SLOPE);
        dst[2 * (i * H + k)] += (float)de;
        dst[2 * (j * H + k) + 1] += (float)de;
        for (int64_t c = 0; c < D; c++) dh[(j * H + k) * D + c] += (float)(weight * d[c]);
    }
}

/* The attention vectors, and what the scores give to h. */
static void scores_back(float *dh, const float *dst, const float *h, loom_weights *w, const loom_gat *l, int64_t N)
{
    int64_t H = l->H, D = l->D;

    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k < H; k++)
            for (int64_t c = 0; c < D; c++) {
                int64_t at = (i * H + k) * D + c, a = k * D + c;
                float ds = dst[2 * (i * H + k)], dt = dst[2 * (i * H + k) + 1];
                w->dw[l->a_self + (size_t)a] += ds * h[at];
                w->dw[l->a_other + (size_t)a] += dt * h[at];
                dh[at] += ds * w->w[l->a_self + (size_t)a] + dt * w->w[l->a_other + (size_t)a];
            }
}

void loom_gat_bwd(float *dx, float *dh, float *dst, const float *dy, const float *h, const float *st, const float *p,
                  const float *x, const loom_neighbours *e, loom_weights *w, const loom_gat *l, int64_t N)
{
    int64_t H = l->H, D = l->D;

    if (N == 0) return;
    memset(dh, 0, (size_t)(N * H * D) * sizeof *dh);
    memset(dst, 0, (size_t)(2 * N * H) * sizeof *dst);
    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k < H; k++) {
            for (int64_t c = 0; c < D; c++) w->dw[l->b + (size_t)(k * D + c)] += dy[(i * H + k) * D + c];
            attend_back(dh, dst, dy, h, st, p, e, l, i, k);
        }
    scores_back(dh, dst, h, w, l, N);
    loom_gemm_tn(w->dw + l->w, l->I, dh, H * D, x, l->I, H * D, l->I, N, 1, 1);
    if (dx) loom_gemm_nn(dx, l->I, dh, H * D, w->w + l->w, l->I, N, l->I, H * D, 1, 0);
}

/* ---- mean of groups ---- */

void loom_pool_mean_fwd(float *y, const float *x, const int32_t *first, int64_t G, int64_t C)
{
    memset(y, 0, (size_t)(G * C) * sizeof *y);
    for (int64_t k = 0; k < G; k++) {
        float part = 1.0f / (float)(first[k + 1] - first[k]);
        for (int64_t n = first[k]; n < first[k + 1]; n++)
            for (int64_t c = 0; c < C; c++) y[k * C + c] += part * x[n * C + c];
    }
}

void loom_pool_mean_bwd(float *dx, const float *dy, const int32_t *first, int64_t G, int64_t C)
{
    for (int64_t k = 0; k < G; k++) {
        float part = 1.0f / (float)(first[k + 1] - first[k]);
        for (int64_t n = first[k]; n < first[k + 1]; n++)
            for (int64_t c = 0; c < C; c++) dx[n * C + c] = part * dy[k * C + c];
    }
}
