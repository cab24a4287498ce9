/* Decoding: forward.c for rows that each belong to some sequence, with keys and values kept in blocks (decode_impl.h).
 *
 * In a run every thread computes its share of the columns of each product for all rows: reading the weights once is
 * what products cost when rows are few. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/blas.h"
#include "model/decode_impl.h"
#include "model/vmath.h"

/* ---- the run: checks ---- */
static loom_status check_row(const loom_decode *d, int64_t i, loom_err *err)
{
    const loom_decode_row *row = &d->rows[i];
    loom_sequence *s = loom_kv_sequence(d, row->seq);
    int64_t most = loom_min_i64(d->m->config.max_positions, d->blocks_per_seq * LOOM_KV_BLOCK);

    if (!s) return loom_fail(err, LOOM_STATUS_ARG, "row %" PRId64 " names sequence %d, which is not open", i, row->seq);
    if (row->token < 0 || row->token >= d->m->config.V)
        return loom_fail(err, LOOM_STATUS_ARG, "token %d of row %" PRId64 " is outside the vocabulary of %" PRId64,
                         row->token, i, d->m->config.V);
    if (s->len + ++s->pending > most)
        return loom_fail(err, LOOM_STATUS_ARG, "sequence %d would pass the %" PRId64 " positions there is room for",
                         row->seq, most);
    return LOOM_OK;
}

static loom_status check_run(loom_decode *d, loom_err *err)
{
    loom_status st = LOOM_OK;
    int64_t need = 0, checked = 0;

    if (d->n < 0 || d->n > d->o.max_rows)
        return loom_fail(err, LOOM_STATUS_ARG, "a run of %" PRId64 " rows does not fit, at most %" PRId64, d->n,
                         d->o.max_rows);
    for (int64_t i = 0; i < d->o.max_seqs; i++) d->seqs[i].pending = 0;
    for (; st == LOOM_OK && checked < d->n; checked++) st = check_row(d, checked, err);
    if (st != LOOM_OK) return st;
    for (int64_t i = 0; i < d->o.max_seqs; i++) need += loom_decode_need_blocks(d, (int32_t)i, d->seqs[i].pending);
    if (need > d->n_free)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "the key/value cache is full: %" PRId64 " blocks of %d positions are missing",
                         need - d->n_free, LOOM_KV_BLOCK);
    return LOOM_OK;
}

/* ---- products: columns c0..c1-1 of an output; y points at column c0 of the first row ---- */

/* Before the products of n rows x. */
static void round_rows(const loom_decode *d, loom_decode_thread *t, const float *x, int64_t ldx, int64_t n, int64_t in)
{
    if (d->packs && d->o.bf16_compute) loom_packed_round(t->x16, x, ldx, n, in);
}

static void product(const loom_decode *d, loom_decode_thread *t, const loom_packed *packed, float *y, int64_t ldy,
                    const float *x, int64_t ldx, loom_mat W, int64_t N, int64_t c0, int64_t c1, int64_t in, float beta)
{
    if (c0 >= c1) return;
    if (d->packs) {
        if (d->o.bf16_compute) loom_packed_product16(y, ldy, t->x16, packed, N, c0, c1, beta != 0);
        else loom_packed_product(y, ldy, x, ldx, packed, N, c0, c1, beta != 0);
        return;
    }
    if (W.f32) W.f32 += c0 * in;
    else W.bf16 += c0 * in;
    if (N <= LOOM_VERY_FEW_ROWS) loom_linear_very_few_rows(y, ldy, x, ldx, &W, N, c1 - c0, in, beta);
    else if (N <= LOOM_FEW_ROWS && W.f32) loom_linear_few_rows(y, ldy, x, ldx, W.f32, N, c1 - c0, in, beta, t->xt);
    else loom_linear_fwd(y, ldy, x, ldx, &W, N, c1 - c0, in, beta, &t->how);
}

/* The same with its adapter. */
static void adapted(loom_decode *d, loom_decode_thread *t, loom_role role, float *y, int64_t ldy, const float *x,
                    int64_t ldx, int64_t c0, int64_t c1, int64_t in, float beta)
{
    int64_t R = d->R, i = d->l * LOOM_N_ADAPTABLE + (int64_t)role;

    if (c0 >= c1) return;
    product(d, t, d->packs ? &d->packed[i] : NULL, y, ldy, x, ldx, d->layers[d->l].w[role], d->n, c0, c1, in, beta);
    if (!d->lora || !d->packed_a[i].data) return;
    loom_packed_product(t->xa, R, x, ldx, &d->packed_a[i], d->n, 0, R, false);
    loom_packed_product(y, ldy, t->xa, R, &d->packed_b[i], d->n, c0, c1, true);
}

/* Thread's share of n columns, cut at multiples of `unit`. */
static void share(int64_t n, int64_t unit, int thread, int n_threads, int64_t *from, int64_t *to)
{
    int64_t units = (n + unit - 1) / unit;

    *from = loom_min_i64(n, units * thread / n_threads * unit);
    *to = loom_min_i64(n, units * (thread + 1) / n_threads * unit);
}

/* ---- phases of a layer ---- */

static void put(const loom_decode *d, char *base, int64_t at, float x)
{
    if (d->o.half_cache) ((uint16_t *)(void *)base)[at] = loom_f32_to_bf16(x);
    else ((float *)(void *)base)[at] = x;
}

/* Writes keys or values of the heads h0..h1-1 of one kind into the cache. */
static void keep_rows(loom_decode *d, const float *kv, bool keys, int64_t h0, int64_t h1)
{
    const loom_config *c = &d->m->config;
    int64_t D = c->D, ld = (c->H + 2 * c->K) * D;

    for (int64_t n = 0; n < d->n; n++) {
        int64_t at = d->position[n] % LOOM_KV_BLOCK;
        char *base = loom_kv_at(d, d->l, d->seqs[d->rows[n].seq].blocks[d->position[n] / LOOM_KV_BLOCK]);

        for (int64_t h = h0; h < h1; h++) {
            const float *from = kv + n * ld + h * D;

            for (int64_t i = 0; keys && i < D; i++) put(d, base, (h * D + i) * LOOM_KV_BLOCK + at, from[i]);
            for (int64_t i = 0; !keys && i < D; i++)
                put(d, base, loom_kv_keys(c) + h * loom_kv_padded(D) * 16 + i / 16 * 256 + at * 16 + i % 16, from[i]);
        }
    }
}

/* Heads a..b-1 of all H+2K; this thread's part of a group that starts at head `first` and has `count` heads. */
static void cut(int64_t a, int64_t b, int64_t first, int64_t count, int64_t *from, int64_t *to)
{
    *from = loom_min_i64(count, loom_max_i64(0, a - first));
    *to = loom_max_i64(*from, loom_min_i64(count, b - first));
}

/* Heads whose columns fill whole panels. */
static int64_t heads_of_panel(int64_t D)
{
    int64_t n = 1;

    while (n * D % LOOM_PANEL) n++;
    return n;
}

static void qkv_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    loom_decode_thread *t = &d->threads[thread];
    const loom_llama *m = d->m;
    const loom_llama_layer *w = &m->layers[d->l];
    const loom_config *c = &m->config;
    int64_t C = c->C, D = c->D, Q = c->H * D, E = c->K * D, ld = Q + 2 * E, a, b, h0, h1;

    share(c->H + 2 * c->K, heads_of_panel(D), thread, n_threads, &a, &b);
    loom_rmsnorm_fwd(t->h, t->r, d->x, w->norm_att, c->rms_eps, d->n, C);
    round_rows(d, t, t->h, C, d->n, C);
    cut(a, b, 0, c->H, &h0, &h1);
    adapted(d, t, LOOM_ROLE_Q, d->qkv + h0 * D, ld, t->h, C, h0 * D, h1 * D, C, 0.0f);
    loom_rope_fwd(d->qkv + h0 * D, ld, d->position, m->rope_cos, m->rope_sin, d->n, h1 - h0, D);
    cut(a, b, c->H, c->K, &h0, &h1);
    adapted(d, t, LOOM_ROLE_K, d->qkv + Q + h0 * D, ld, t->h, C, h0 * D, h1 * D, C, 0.0f);
    loom_rope_fwd(d->qkv + Q + h0 * D, ld, d->position, m->rope_cos, m->rope_sin, d->n, h1 - h0, D);
    keep_rows(d, d->qkv + Q, true, h0, h1);
    cut(a, b, c->H + c->K, c->K, &h0, &h1);
    adapted(d, t, LOOM_ROLE_V, d->qkv + Q + E + h0 * D, ld, t->h, C, h0 * D, h1 * D, C, 0.0f);
    keep_rows(d, d->qkv + Q + E, false, h0, h1);
}

static void o_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    int64_t C = d->m->config.C, Q = d->m->config.H * d->m->config.D, c0, c1;

    share(C, LOOM_PANEL, thread, n_threads, &c0, &c1);
    round_rows(d, &d->threads[thread], d->att, Q, d->n, Q);
    adapted(d, &d->threads[thread], LOOM_ROLE_O, d->x + c0, C, d->att, Q, c0, c1, Q, 1.0f);
}

static void gate_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    loom_decode_thread *t = &d->threads[thread];
    const loom_config *c = &d->m->config;
    const loom_llama_layer *w = &d->m->layers[d->l];
    int64_t C = c->C, F = c->F, f0, f1, width;
    float *gate = t->h + d->n * C, *up; /* behind the normed rows: (rows, width) each */

    share(F, LOOM_PANEL, thread, n_threads, &f0, &f1);
    if (f0 >= f1) return;
    width = f1 - f0;
    up = gate + d->n * width;
    loom_rmsnorm_fwd(t->h, t->r, d->x, w->norm_ffn, c->rms_eps, d->n, C);
    round_rows(d, t, t->h, C, d->n, C);
    adapted(d, t, LOOM_ROLE_GATE, gate, width, t->h, C, f0, f1, C, 0.0f);
    adapted(d, t, LOOM_ROLE_UP, up, width, t->h, C, f0, f1, C, 0.0f);
    for (int64_t n = 0; n < d->n; n++) {
        float *restrict to = d->prod + n * F + f0;
        const float *restrict z = gate + n * width, *restrict u = up + n * width;

#pragma omp simd
        for (int64_t f = 0; f < width; f++) to[f] = z[f] / (1.0f + loom_expf(-z[f])) * u[f];
    }
}

static void down_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    int64_t C = d->m->config.C, F = d->m->config.F, c0, c1;

    share(C, LOOM_PANEL, thread, n_threads, &c0, &c1);
    round_rows(d, &d->threads[thread], d->prod, F, d->n, F);
    adapted(d, &d->threads[thread], LOOM_ROLE_DOWN, d->x + c0, C, d->prod, F, c0, c1, F, 1.0f);
}

static void head_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    loom_decode_thread *t = &d->threads[thread];
    const loom_config *c = &d->m->config;
    int64_t C = c->C, V = c->V, v0, v1;

    share(V, LOOM_PANEL, thread, n_threads, &v0, &v1);
    loom_rmsnorm_fwd(t->h, t->r, d->out, d->m->norm_out, c->rms_eps, d->n_out, C);
    round_rows(d, t, t->h, C, d->n_out, C);
    product(d, t, d->packs ? &d->packed[c->L * LOOM_N_ADAPTABLE] : NULL, d->logits + v0, V, t->h, C, d->head, d->n_out,
            v0, v1, C, 0.0f);
}

/* ---- the run ---- */
static void start_rows(loom_decode *d)
{
    int64_t C = d->m->config.C;

    for (int64_t n = 0; n < d->n; n++) {
        loom_sequence *s = &d->seqs[d->rows[n].seq];
        int32_t token = d->rows[n].token;

        d->position[n] = (int32_t)s->len;
        loom_kv_append(d, s);
        loom_embed_fwd(d->x + n * C, &d->m->embed, &token, 1, C);
    }
}

static void gather_wanted(loom_decode *d)
{
    int64_t C = d->m->config.C;

    d->n_out = 0;
    for (int64_t n = 0; n < d->n; n++)
        if (d->rows[n].logits) memcpy(d->out + d->n_out++ * C, d->x + n * C, (size_t)C * sizeof(float));
}

loom_status loom_decode_run(loom_decode *d, const loom_decode_row *rows, int64_t n, float *logits, loom_err *err)
{
    loom_pool *pool = d->o.pool;

    d->rows = rows;
    d->n = n;
    d->logits = logits;
    LOOM_TRY(check_run(d, err));
    if (n == 0) return LOOM_OK;
    start_rows(d);
    loom_decode_team_up(d);
    for (d->l = 0; d->l < d->m->config.L; d->l++) {
        loom_pool_each(pool, qkv_phase, d);
        loom_decode_attend(d);
        loom_pool_each(pool, o_phase, d);
        loom_pool_each(pool, gate_phase, d);
        loom_pool_each(pool, down_phase, d);
    }
    gather_wanted(d);
    if (d->n_out) loom_pool_each(pool, head_phase, d);
    return LOOM_OK;
}
