/* Decoding: forward.c for rows that each belong to some sequence, with keys and values kept in blocks.
 *
 * A block holds LOOM_KV_BLOCK = 16 positions of one sequence, for every layer:
 *
 *   cache[layer][block]:  keys    [K heads][D][16 positions]                 D vectors of 16 positions
 *                         values  [K heads][ceil(D/16)][16 positions][16]    16 columns of each position
 *
 * Keys lie transposed, so that the scores of 16 positions are one vector; everything is read in the order it lies in,
 * since streaming the cache is what attention costs here. Numbers are float32 or, at half the traffic, bfloat16.
 *
 * In a run every thread computes its share of the columns of each product for all rows: reading the weights once is
 * what products cost when rows are few. */
#include "model/decode.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "model/blas.h"
#include "model/half.h"
#include "model/ops.h"
#include "model/vmath.h"

typedef float vec16 __attribute__((vector_size(64)));
typedef uint32_t vec16u __attribute__((vector_size(64)));
typedef uint16_t vec16h __attribute__((vector_size(32)));

typedef struct sequence {
    bool open;
    int64_t len;
    int64_t pending; /* rows of the run being checked */
    int32_t *blocks; /* (blocks_per_seq), the first ceil(len / BLOCK) are in use */
} sequence;

typedef struct thread_scratch {
    float *h;  /* (rows, C) rows after the norm, which every thread computes; behind it (rows, 2 shares of F) */
    float *xa; /* (rows, R) */
    float *r;  /* (rows) */
    float *xt; /* loom_linear_skinny's */
    loom_products how;
    float *scores; /* (H, positions) */
    float *sums;   /* (H, ceil16(D)) */
} thread_scratch;

struct loom_decode {
    const loom_llama *m;
    const loom_lora *lora;
    const loom_llama_layer *layers; /* the model's, or rounded ones */
    loom_mat head;
    uint16_t *weights16; /* half_compute: all weights, rounded; NULL when the model's are bfloat16 already */
    loom_llama_layer *layers16;
    loom_half **halves; /* (n_threads) */
    loom_decode_options o;
    int n_threads;
    int64_t R, n_blocks, blocks_per_seq;
    sequence *seqs;
    int32_t *block_tables;
    int32_t *refs, *free_blocks;
    int64_t n_free;
    char *scratch;
    char *cache;
    size_t number; /* bytes of a number in the cache */
    thread_scratch *threads;
    float *x, *qkv, *att, *prod, *out; /* (rows,C) (rows,Q+2E) (rows,Q) (rows,F) (rows,C) */
    int32_t *position;
    /* the run at work */
    const loom_decode_row *rows;
    int64_t n, n_out, l;
    float *logits;
};

/* ---- sizes and memory ---- */
static int64_t padded(int64_t D) { return (D + 15) & ~INT64_C(15); }

/* Numbers of a block in one layer, and of its keys alone. */
static int64_t block_keys(const loom_config *c) { return c->K * c->D * LOOM_KV_BLOCK; }
static int64_t block_numbers(const loom_config *c) { return block_keys(c) + c->K * padded(c->D) * LOOM_KV_BLOCK; }

static int64_t count_blocks(const loom_decode_options *o) { return (o->positions + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK; }

typedef struct cursor {
    char *base;
    size_t used;
    bool overflow;
} cursor;

static void *take(cursor *c, int64_t n, int64_t m, size_t size)
{
    size_t bytes;
    void *p = c->base ? c->base + c->used : NULL;

    if (!loom_mul_size(&bytes, (size_t)n, (size_t)m) || !loom_mul_size(&bytes, bytes, size) ||
        !loom_add_size(&bytes, bytes, 63) || !loom_add_size(&c->used, c->used, bytes & ~(size_t)63))
        c->overflow = true;
    return p;
}

static void place(loom_decode *d, const loom_config *c, bool own, cursor *k)
{
    int64_t rows = d->o.max_rows, Q = c->H * c->D, E = c->K * c->D;
    int64_t widest = loom_max_i64(c->C, loom_max_i64(Q, c->F)), reach = loom_min_i64(c->max_positions, d->o.positions);

    d->number = d->o.half_cache ? sizeof(uint16_t) : sizeof(float);
    d->n_blocks = count_blocks(&d->o);
    d->blocks_per_seq = (reach + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK;
    d->seqs = take(k, d->o.max_seqs, 1, sizeof *d->seqs);
    d->block_tables = take(k, d->o.max_seqs, d->blocks_per_seq, sizeof *d->block_tables);
    d->refs = take(k, d->n_blocks, 1, sizeof *d->refs);
    d->free_blocks = take(k, d->n_blocks, 1, sizeof *d->free_blocks);
    d->position = take(k, rows, 1, sizeof *d->position);
    d->x = take(k, rows, c->C, sizeof(float));
    d->qkv = take(k, rows, Q + 2 * E, sizeof(float));
    d->att = take(k, rows, Q, sizeof(float));
    d->prod = take(k, rows, c->F, sizeof(float));
    d->out = take(k, rows, c->C, sizeof(float));
    d->threads = take(k, d->n_threads, 1, sizeof *d->threads);
    for (int i = 0; i < d->n_threads; i++) {
        thread_scratch none, *t = d->threads ? &d->threads[i] : &none;

        t->h = take(k, rows, c->C + 2 * (c->F / d->n_threads + 32), sizeof(float));
        t->xa = take(k, rows, d->R, sizeof(float));
        t->r = take(k, rows, 1, sizeof(float));
        t->how.rounded = take(k, d->o.half_compute ? LOOM_ROUND_ROWS : 0, widest, sizeof(uint16_t));
        t->how.widen = take(k, 1, loom_max_i64(LOOM_WIDEN_FLOATS, widest), sizeof(float));
        t->xt = take(k, 1, loom_linear_skinny_scratch(widest), sizeof(float));
        t->scores = take(k, c->H, d->blocks_per_seq * LOOM_KV_BLOCK, sizeof(float));
        t->sums = take(k, c->H, padded(c->D), sizeof(float));
    }
    d->halves = take(k, d->o.half_compute ? d->n_threads : 0, 1, sizeof *d->halves);
    d->weights16 = take(k, own ? (int64_t)(loom_llama_bytes(c) / sizeof(float)) : 0, 1, sizeof *d->weights16);
    d->layers16 = take(k, own ? c->L : 0, 1, sizeof *d->layers16);
    d->cache = take(k, c->L * d->n_blocks, block_numbers(c), d->number);
}

size_t loom_decode_bytes(const loom_config *c, const loom_decode_options *o)
{
    loom_decode d = {.o = *o, .n_threads = loom_pool_threads(o->pool)};
    cursor k = {0};

    place(&d, c, o->half_compute, &k);
    return k.overflow ? SIZE_MAX : k.used;
}

static loom_status check_options(const loom_decode_options *o, loom_err *err)
{
    if (o->max_rows < 1 || o->max_rows > INT32_MAX || o->max_seqs < 1 || o->max_seqs > INT32_MAX || o->positions < 1 ||
        o->positions > INT64_C(1) << 34)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "decoding needs at least one row, sequence and position, got %" PRId64 ", %" PRId64
                         ", %" PRId64,
                         o->max_rows, o->max_seqs, o->positions);
    return LOOM_OK;
}

#define ROUND_PIECE 65536

static void round_item(void *arg, int64_t item, int thread)
{
    const loom_decode *d = arg;
    int64_t from = item * ROUND_PIECE, n = loom_min_i64(ROUND_PIECE, (int64_t)d->m->table.floats - from);

    (void)thread;
    loom_half_round(d->weights16 + from, n, d->m->params + from, n, 1, n);
}

/* half_compute: products, and with `own` a rounded copy of the weights. */
static loom_status make_halves(loom_decode *d, bool own, loom_err *err)
{
    const loom_tensors *table = &d->m->table;

    for (int i = 0; i < d->n_threads; i++) {
        LOOM_TRY(loom_half_new(&d->halves[i], err));
        d->threads[i].how.half = d->halves[i];
    }
    if (!own) return LOOM_OK;
    loom_pool_for(d->o.pool, ((int64_t)table->floats + ROUND_PIECE - 1) / ROUND_PIECE, round_item, d);
    for (int64_t i = 0; i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];

        if (t->role < LOOM_N_ADAPTABLE) d->layers16[t->layer].w[t->role].bf16 = d->weights16 + t->offset;
    }
    d->layers = d->layers16; /* norms are read from the model */
    d->head = (loom_mat){.bf16 = d->weights16 + table->tensors[d->m->config.tied ? 0 : table->n - 1].offset};
    return LOOM_OK;
}

loom_status loom_decode_new(loom_decode **out, const loom_llama *m, const loom_lora *lora, const loom_decode_options *o,
                            loom_err *err)
{
    loom_decode *d;
    loom_status st = LOOM_OK;
    cursor k = {0};

    LOOM_TRY(check_options(o, err));
    d = loom_calloc(1, sizeof *d);
    if (!d) return loom_fail_nomem(err, "the decoder");
    d->m = m;
    d->lora = lora;
    d->o = *o;
    d->n_threads = loom_pool_threads(o->pool);
    d->R = lora ? lora->config.R : 0;
    d->layers = m->layers;
    d->head = m->head;
    place(d, &m->config, o->half_compute && !m->frozen, &k);
    if (!k.overflow) d->scratch = loom_alloc_aligned(k.used);
    if (!d->scratch) {
        char text[32];

        loom_format_bytes(text, sizeof text, (double)k.used);
        free(d);
        return loom_fail(err, LOOM_STATUS_NOMEM,
                         "not enough memory for the key/value cache (%s); ask for fewer positions", text);
    }
    k = (cursor){.base = d->scratch};
    place(d, &m->config, o->half_compute && !m->frozen, &k);
    for (int64_t i = 0; i < o->max_seqs; i++) d->seqs[i].blocks = d->block_tables + i * d->blocks_per_seq;
    for (d->n_free = 0; d->n_free < d->n_blocks; d->n_free++) /* taken from the end: block 0 first */
        d->free_blocks[d->n_free] = (int32_t)(d->n_blocks - 1 - d->n_free);
    if (o->half_compute) st = make_halves(d, o->half_compute && !m->frozen, err);
    if (st == LOOM_OK) *out = d;
    else loom_decode_free(d);
    return st;
}

void loom_decode_free(loom_decode *d)
{
    if (!d) return;
    for (int i = 0; d->o.half_compute && i < d->n_threads; i++) loom_half_free(d->halves[i]);
    free(d->scratch);
    free(d);
}

/* ---- sequences ---- */
static sequence *get(const loom_decode *d, int32_t seq)
{
    return seq >= 0 && seq < d->o.max_seqs && d->seqs[seq].open ? &d->seqs[seq] : NULL;
}

static int64_t blocks_of(int64_t len) { return (len + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK; }

static int32_t take_block(loom_decode *d)
{
    int32_t b = d->free_blocks[--d->n_free];

    d->refs[b] = 1;
    return b;
}

static void drop_block(loom_decode *d, int32_t b)
{
    if (--d->refs[b] == 0) d->free_blocks[d->n_free++] = b;
}

static char *block_at(const loom_decode *d, int64_t l, int32_t block)
{
    return d->cache + (size_t)((l * d->n_blocks + block) * block_numbers(&d->m->config)) * d->number;
}

static void copy_block(loom_decode *d, int32_t to, int32_t from)
{
    for (int64_t l = 0; l < d->m->config.L; l++)
        memcpy(block_at(d, l, to), block_at(d, l, from), (size_t)block_numbers(&d->m->config) * d->number);
}

int32_t loom_decode_open(loom_decode *d)
{
    for (int64_t i = 0; i < d->o.max_seqs; i++) {
        if (d->seqs[i].open) continue;
        d->seqs[i].open = true;
        d->seqs[i].len = 0;
        return (int32_t)i;
    }
    return -1;
}

int32_t loom_decode_fork(loom_decode *d, int32_t seq, int64_t len)
{
    const sequence *from = get(d, seq);
    sequence *to;
    int64_t whole = len / LOOM_KV_BLOCK;
    int32_t twin;

    if (!from || len < 0 || len > from->len || (len % LOOM_KV_BLOCK && !d->n_free)) return -1;
    if ((twin = loom_decode_open(d)) < 0) return -1;
    to = &d->seqs[twin];
    to->len = len;
    for (int64_t i = 0; i < whole; i++) {
        to->blocks[i] = from->blocks[i];
        d->refs[to->blocks[i]]++;
    }
    if (len % LOOM_KV_BLOCK) {
        to->blocks[whole] = take_block(d);
        copy_block(d, to->blocks[whole], from->blocks[whole]);
    }
    return twin;
}

void loom_decode_truncate(loom_decode *d, int32_t seq, int64_t len)
{
    sequence *s = get(d, seq);

    if (!s || len < 0 || len >= s->len) return;
    for (int64_t i = blocks_of(len); i < blocks_of(s->len); i++) drop_block(d, s->blocks[i]);
    s->len = len;
}

void loom_decode_close(loom_decode *d, int32_t seq)
{
    loom_decode_truncate(d, seq, 0);
    if (get(d, seq)) d->seqs[seq].open = false;
}

int64_t loom_decode_len(const loom_decode *d, int32_t seq)
{
    const sequence *s = get(d, seq);

    return s ? s->len : 0;
}

int64_t loom_decode_free_blocks(const loom_decode *d) { return d->n_free; }

int64_t loom_decode_need_blocks(const loom_decode *d, int32_t seq, int64_t n)
{
    const sequence *s = get(d, seq);
    int64_t need;

    if (!s || n <= 0) return 0;
    need = blocks_of(s->len + n) - blocks_of(s->len);
    /* a last block that is not full and that somebody shares is copied before it is written */
    if (s->len % LOOM_KV_BLOCK && d->refs[s->blocks[s->len / LOOM_KV_BLOCK]] > 1) need++;
    return need;
}

/* Makes room for position s->len and counts it. */
static void append(loom_decode *d, sequence *s)
{
    int64_t i = s->len / LOOM_KV_BLOCK;

    if (s->len % LOOM_KV_BLOCK == 0) {
        s->blocks[i] = take_block(d);
    } else if (d->refs[s->blocks[i]] > 1) {
        int32_t own = take_block(d);

        copy_block(d, own, s->blocks[i]);
        drop_block(d, s->blocks[i]);
        s->blocks[i] = own;
    }
    s->len++;
}

/* ---- the run: checks ---- */
static loom_status check_row(const loom_decode *d, int64_t i, loom_err *err)
{
    const loom_decode_row *row = &d->rows[i];
    sequence *s = get(d, row->seq);
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
static void product(thread_scratch *t, float *y, int64_t ldy, const float *x, int64_t ldx, loom_mat W, int64_t N,
                    int64_t c0, int64_t c1, int64_t in, float beta)
{
    if (c0 >= c1) return;
    if (W.f32) W.f32 += c0 * in;
    else W.bf16 += c0 * in;
    if (N <= LOOM_FEW_ROWS) loom_linear_few(y, ldy, x, ldx, &W, N, c1 - c0, in, beta);
    else if (N <= LOOM_SKINNY_ROWS && W.f32) loom_linear_skinny(y, ldy, x, ldx, W.f32, N, c1 - c0, in, beta, t->xt);
    else loom_linear_fwd(y, ldy, x, ldx, &W, N, c1 - c0, in, beta, &t->how);
}

/* The same with its adapter. */
static void adapted(loom_decode *d, thread_scratch *t, loom_role role, float *y, int64_t ldy, const float *x,
                    int64_t ldx, int64_t c0, int64_t c1, int64_t in, float beta)
{
    const loom_adapter *ad = d->lora ? &d->lora->adapters[d->l * LOOM_N_ADAPTABLE + (int64_t)role] : NULL;
    int64_t R = d->R;

    if (c0 >= c1) return;
    product(t, y, ldy, x, ldx, d->layers[d->l].w[role], d->n, c0, c1, in, beta);
    if (!ad || !ad->a) return;
    loom_gemm_nt(t->xa, R, x, ldx, ad->a, in, d->n, R, in, 1.0f, 0.0f);
    loom_gemm_nt(y, ldy, t->xa, R, ad->b + c0 * R, R, d->n, c1 - c0, R, d->lora->scale, 1.0f);
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
        char *base = block_at(d, d->l, d->seqs[d->rows[n].seq].blocks[d->position[n] / LOOM_KV_BLOCK]);

        for (int64_t h = h0; h < h1; h++) {
            const float *from = kv + n * ld + h * D;

            for (int64_t i = 0; keys && i < D; i++) put(d, base, (h * D + i) * LOOM_KV_BLOCK + at, from[i]);
            for (int64_t i = 0; !keys && i < D; i++)
                put(d, base, block_keys(c) + h * padded(D) * 16 + i / 16 * 256 + at * 16 + i % 16, from[i]);
        }
    }
}

/* Heads a..b-1 of all H+2K; this thread's part of a group that starts at head `first` and has `count` heads. */
static void cut(int64_t a, int64_t b, int64_t first, int64_t count, int64_t *from, int64_t *to)
{
    *from = loom_min_i64(count, loom_max_i64(0, a - first));
    *to = loom_max_i64(*from, loom_min_i64(count, b - first));
}

static void qkv_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    thread_scratch *t = &d->threads[thread];
    const loom_llama *m = d->m;
    const loom_llama_layer *w = &m->layers[d->l];
    const loom_config *c = &m->config;
    int64_t C = c->C, D = c->D, Q = c->H * D, E = c->K * D, ld = Q + 2 * E, a, b, h0, h1;

    share(c->H + 2 * c->K, 1, thread, n_threads, &a, &b);
    loom_rmsnorm_fwd(t->h, t->r, d->x, w->norm_att, c->rms_eps, d->n, C);
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

/* Vector number i of a stretch of the cache; loads of the next block are started alongside. */
#define LOAD(to, base, i, half)                                                                                        \
    do {                                                                                                               \
        if (half) {                                                                                                    \
            vec16u wide_ = __builtin_convertvector(((const vec16h *)(const void *)(base))[i], vec16u) << 16;           \
            memcpy(&(to), &wide_, sizeof(to));                                                                         \
        } else {                                                                                                       \
            (to) = ((const vec16 *)(const void *)(base))[i];                                                           \
        }                                                                                                              \
    } while (0)

/* s[0..16) = q . keys of one head and block, times scale */
static inline void score_block(float *s, const float *q, const char *keys, const char *next, int64_t D, float scale,
                               bool half)
{
    size_t step = half ? sizeof(vec16h) : sizeof(vec16);
    vec16 sum = {0}, other = {0}, row;

    for (int64_t i = 0; i < D; i += 2) { /* D is even; two sums hide the latency of one */
        __builtin_prefetch(next + (size_t)i * step);
        __builtin_prefetch(next + (size_t)(i + 1) * step);
        LOAD(row, keys, i, half);
        sum += row * q[i];
        LOAD(row, keys, i + 1, half);
        other += row * q[i + 1];
    }
    sum = (sum + other) * scale;
    memcpy(s, &sum, sizeof sum);
}

/* o[0..16) += sum_j p[j] * values[j][0..16) over the n positions of one block */
static inline void mix_block(float *o, const float *p, const char *values, const char *next, int64_t n, bool half)
{
    size_t step = half ? sizeof(vec16h) : sizeof(vec16);
    vec16 sum, row;

    memcpy(&sum, o, sizeof sum);
    for (int64_t j = 0; j < n; j++) {
        __builtin_prefetch(next + (size_t)j * step);
        LOAD(row, values, j, half);
        sum += row * p[j];
    }
    memcpy(o, &sum, sizeof sum);
}

/* s[0..n) -> exp(s - max); returns the reciprocal of their sum. */
static float softmax(float *restrict s, int64_t n)
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
    return 1.0f / sum;
}

/* Row n, key/value heads k0..k1-1: one stream over the keys, one over the values. */
static inline void attend(loom_decode *d, thread_scratch *t, int64_t n, int64_t k0, int64_t k1, bool half)
{
    const loom_config *c = &d->m->config;
    int64_t D = c->D, P = padded(D), G = c->H / c->K, reach = d->position[n] + 1,
            ld = d->blocks_per_seq * LOOM_KV_BLOCK;
    int64_t n_blocks = (reach + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK;
    const int32_t *blocks = d->seqs[d->rows[n].seq].blocks;
    const float *q = d->qkv + n * (c->H + 2 * c->K) * D;
    float *o = d->att + n * c->H * D, scale = (float)(1.0 / sqrt((double)D));
    size_t values = (size_t)block_keys(c) * d->number;

    for (int64_t b = 0; b < n_blocks; b++) {
        const char *base = block_at(d, d->l, blocks[b]), *next = block_at(d, d->l, blocks[b + (b + 1 < n_blocks)]);

        for (int64_t h = k0 * G; h < k1 * G; h++) {
            size_t at = (size_t)(h / G * D * LOOM_KV_BLOCK) * d->number;

            score_block(t->scores + h * ld + b * LOOM_KV_BLOCK, q + h * D, base + at, next + at, D, scale, half);
        }
    }
    memset(t->sums + k0 * G * P, 0, (size_t)((k1 - k0) * G * P) * sizeof(float));
    for (int64_t h = k0 * G; h < k1 * G; h++) {
        float *s = t->scores + h * ld, inv = softmax(s, reach);

        for (int64_t j = 0; j < reach; j++) s[j] *= inv;
    }
    for (int64_t b = 0; b < n_blocks; b++) {
        const char *base = block_at(d, d->l, blocks[b]) + values;
        const char *next = block_at(d, d->l, blocks[b + (b + 1 < n_blocks)]) + values;
        int64_t left = loom_min_i64(LOOM_KV_BLOCK, reach - b * LOOM_KV_BLOCK);

        for (int64_t h = k0 * G; h < k1 * G; h++) {
            for (int64_t i = 0; i < P; i += 16) {
                size_t at = (size_t)((h / G * P + i) * LOOM_KV_BLOCK) * d->number;

                mix_block(t->sums + h * P + i, t->scores + h * ld + b * LOOM_KV_BLOCK, base + at, next + at, left,
                          half);
            }
        }
    }
    for (int64_t h = k0 * G; h < k1 * G; h++) memcpy(o + h * D, t->sums + h * P, (size_t)D * sizeof *o);
}

/* Key/value heads of one work item: all of a row when there are rows enough for every thread. */
static int64_t heads_per_item(const loom_decode *d) { return d->n >= 2 * d->n_threads ? d->m->config.K : 1; }

static void attention_item(void *arg, int64_t item, int thread)
{
    loom_decode *d = arg;
    int64_t heads = heads_per_item(d), per_row = d->m->config.K / heads, k0 = item % per_row * heads;

    if (d->o.half_cache) attend(d, &d->threads[thread], item / per_row, k0, k0 + heads, true);
    else attend(d, &d->threads[thread], item / per_row, k0, k0 + heads, false);
}

static void o_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    int64_t C = d->m->config.C, Q = d->m->config.H * d->m->config.D, c0, c1;

    share(C, 16, thread, n_threads, &c0, &c1);
    adapted(d, &d->threads[thread], LOOM_ROLE_O, d->x + c0, C, d->att, Q, c0, c1, Q, 1.0f);
}

static void gate_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    thread_scratch *t = &d->threads[thread];
    const loom_config *c = &d->m->config;
    const loom_llama_layer *w = &d->m->layers[d->l];
    int64_t C = c->C, F = c->F, f0, f1, width;
    float *gate = t->h + d->n * C, *up; /* behind the normed rows: (rows, width) each */

    share(F, 16, thread, n_threads, &f0, &f1);
    if (f0 >= f1) return;
    width = f1 - f0;
    up = gate + d->n * width;
    loom_rmsnorm_fwd(t->h, t->r, d->x, w->norm_ffn, c->rms_eps, d->n, C);
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

    share(C, 16, thread, n_threads, &c0, &c1);
    adapted(d, &d->threads[thread], LOOM_ROLE_DOWN, d->x + c0, C, d->prod, F, c0, c1, F, 1.0f);
}

static void head_phase(void *arg, int thread, int n_threads)
{
    loom_decode *d = arg;
    thread_scratch *t = &d->threads[thread];
    const loom_config *c = &d->m->config;
    int64_t C = c->C, V = c->V, v0, v1;

    share(V, 16, thread, n_threads, &v0, &v1);
    loom_rmsnorm_fwd(t->h, t->r, d->out, d->m->norm_out, c->rms_eps, d->n_out, C);
    product(t, d->logits + v0, V, t->h, C, d->head, d->n_out, v0, v1, C, 0.0f);
}

/* ---- the run ---- */
static void start_rows(loom_decode *d)
{
    int64_t C = d->m->config.C;

    for (int64_t n = 0; n < d->n; n++) {
        sequence *s = &d->seqs[d->rows[n].seq];
        int32_t token = d->rows[n].token;

        d->position[n] = (int32_t)s->len;
        append(d, s);
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
    for (d->l = 0; d->l < d->m->config.L; d->l++) {
        loom_pool_each(pool, qkv_phase, d);
        loom_pool_for(pool, n * d->m->config.K / heads_per_item(d), attention_item, d);
        loom_pool_each(pool, o_phase, d);
        loom_pool_each(pool, gate_phase, d);
        loom_pool_each(pool, down_phase, d);
    }
    gather_wanted(d);
    if (d->n_out) loom_pool_each(pool, head_phase, d);
    return LOOM_OK;
}
