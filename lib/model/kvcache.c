/* The memory of decoding: rounded weights, scratch, and the cache with its sequences. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/layout.h"
#include "core/num.h"
#include "model/decode_impl.h"

static int64_t count_blocks(const loom_decode_options *o) { return (o->positions + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK; }

static loom_packed packed_of(const loom_config *c, int64_t i, bool bf16)
{
    loom_packed p = {.bf16 = bf16};

    loom_role_size(c, i < c->L * LOOM_N_ADAPTABLE ? (loom_role)(i % LOOM_N_ADAPTABLE) : LOOM_ROLE_HEAD, &p.out, &p.in);
    return p;
}

static bool wants_packing(const loom_config *c, const loom_decode_options *o, bool bf16)
{
    size_t sum = 0;

    for (int64_t i = 0; i <= c->L * LOOM_N_ADAPTABLE; i++) {
        loom_packed p = packed_of(c, i, bf16);

        if (!loom_add_size(&sum, sum, loom_packed_bytes(p.out, p.in, bf16))) return false;
    }
    return !o->in_place && sum <= LOOM_PACK_MOST;
}

static void place_packed(loom_decode *d, const loom_config *c, bool bf16, loom_layout *k)
{
    int64_t n = c->L * LOOM_N_ADAPTABLE;

    d->packed = loom_layout_take(k, d->packs ? n + 1 : 0, 1, sizeof *d->packed);
    for (int64_t i = 0; d->packs && i <= n; i++) {
        loom_packed p = packed_of(c, i, bf16);

        p.data = loom_layout_take(k, 1, 1, loom_packed_bytes(p.out, p.in, bf16));
        if (k->base) d->packed[i] = p;
    }
    d->packed_a = loom_layout_take(k, d->lora ? n : 0, 1, sizeof *d->packed_a);
    d->packed_b = loom_layout_take(k, d->lora ? n : 0, 1, sizeof *d->packed_b);
    for (int64_t i = 0; d->lora && i < n; i++) {
        loom_packed w = packed_of(c, i, false), a = {.out = d->R, .in = w.in}, b = {.out = w.out, .in = d->R};
        bool there = d->lora->adapters[i].a != NULL;

        if (there) a.data = loom_layout_take(k, 1, 1, loom_packed_bytes(a.out, a.in, false));
        if (there) b.data = loom_layout_take(k, 1, 1, loom_packed_bytes(b.out, b.in, false));
        if (k->base) d->packed_a[i] = a, d->packed_b[i] = b;
    }
}

/* frozen: matrices are bfloat16 already */
static void place(loom_decode *d, const loom_config *c, bool frozen, loom_layout *k)
{
    bool bf16 = d->o.bf16_compute || frozen, own;
    int64_t rows = d->o.max_rows, Q = c->H * c->D, E = c->K * c->D;
    int64_t widest = loom_max_i64(c->C, loom_max_i64(Q, c->F)), reach = loom_min_i64(c->max_positions, d->o.positions);

    d->packs = wants_packing(c, &d->o, bf16);
    own = d->o.bf16_compute && !frozen && !d->packs;
    d->number = d->o.half_cache ? sizeof(uint16_t) : sizeof(float);
    d->n_blocks = count_blocks(&d->o);
    d->blocks_per_seq = (reach + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK;
    d->seqs = loom_layout_take(k, d->o.max_seqs, 1, sizeof *d->seqs);
    d->block_tables = loom_layout_take(k, d->o.max_seqs, d->blocks_per_seq, sizeof *d->block_tables);
    d->refs = loom_layout_take(k, d->n_blocks, 1, sizeof *d->refs);
    d->free_blocks = loom_layout_take(k, d->n_blocks, 1, sizeof *d->free_blocks);
    d->position = loom_layout_take(k, rows, 1, sizeof *d->position);
    d->teams = loom_layout_take(k, rows + 1, 1, sizeof *d->teams);
    d->x = loom_layout_take(k, rows, c->C, sizeof(float));
    d->qkv = loom_layout_take(k, rows, Q + 2 * E, sizeof(float));
    d->att = loom_layout_take(k, rows, Q, sizeof(float));
    d->prod = loom_layout_take(k, rows, c->F, sizeof(float));
    d->out = loom_layout_take(k, rows, c->C, sizeof(float));
    d->threads = loom_layout_take(k, d->n_threads, 1, sizeof *d->threads);
    for (int i = 0; i < d->n_threads; i++) {
        loom_decode_thread none, *t = d->threads ? &d->threads[i] : &none;

        t->h = loom_layout_take(k, rows, c->C + 2 * (c->F / d->n_threads + 2 * LOOM_PANEL), sizeof(float));
        t->xa = loom_layout_take(k, rows, d->R, sizeof(float));
        t->r = loom_layout_take(k, rows, 1, sizeof(float));
        t->x16 = loom_layout_take(k, d->packs && bf16 ? (rows + 15) / 16 * 16 : 0, loom_packed_width(widest),
                                  sizeof(uint16_t));
        t->how.rounded = loom_layout_take(k, d->packs || !bf16 ? 0 : LOOM_ROUND_ROWS, widest, sizeof(uint16_t));
        t->how.widen = loom_layout_take(k, d->packs ? 0 : 1, loom_max_i64(LOOM_WIDEN_FLOATS, widest), sizeof(float));
        t->xt = loom_layout_take(k, d->packs ? 0 : 1, loom_linear_few_rows_scratch(widest), sizeof(float));
        t->scores = loom_layout_take(k, LOOM_DECODE_TEAM * c->H, d->blocks_per_seq * LOOM_KV_BLOCK, sizeof(float));
        t->sums = loom_layout_take(k, LOOM_DECODE_TEAM * c->H, loom_kv_padded(c->D), sizeof(float));
    }
    d->engines = loom_layout_take(k, d->o.bf16_compute && !d->packs ? d->n_threads : 0, 1, sizeof *d->engines);
    d->weights16 =
        loom_layout_take(k, own ? (int64_t)(loom_llama_bytes(c) / sizeof(float)) : 0, 1, sizeof *d->weights16);
    d->layers16 = loom_layout_take(k, own ? c->L : 0, 1, sizeof *d->layers16);
    place_packed(d, c, bf16, k);
    d->cache = loom_layout_take(k, c->L * d->n_blocks, loom_kv_numbers(c), d->number);
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
    loom_bf16_round(d->weights16 + from, n, d->m->params + from, n, 1, n);
}

static void pack_item(void *arg, int64_t i, int thread)
{
    const loom_decode *d = arg;
    int64_t n = d->m->config.L * LOOM_N_ADAPTABLE;

    (void)thread;
    if (d->packs)
        loom_packed_fill(&d->packed[i],
                         i < n ? &d->m->layers[i / LOOM_N_ADAPTABLE].w[i % LOOM_N_ADAPTABLE] : &d->m->head, 1.0f);
    if (i == n || !d->lora || !d->packed_a[i].data) return;
    loom_packed_fill(&d->packed_a[i], &(loom_mat){.f32 = d->lora->adapters[i].a}, 1.0f);
    loom_packed_fill(&d->packed_b[i], &(loom_mat){.f32 = d->lora->adapters[i].b}, d->lora->scale);
}

/* bf16_compute of weights in place: products, and with `own` a rounded copy of the weights. */
static loom_status make_engines(loom_decode *d, bool own, loom_err *err)
{
    const loom_tensors *table = &d->m->table;

    for (int i = 0; i < d->n_threads; i++) {
        LOOM_TRY(loom_bf16_new(&d->engines[i], err));
        d->threads[i].how.bf16 = d->engines[i];
    }
    if (!own) return LOOM_OK;
    loom_pool_for(d->o.pool, ((int64_t)table->floats + ROUND_PIECE - 1) / ROUND_PIECE, round_item, d);
    for (int64_t i = 0; i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];

        if (t->role < LOOM_N_ADAPTABLE) d->layers16[t->layer].w[t->role].bf16 = d->weights16 + t->offset;
    }
    d->layers = d->layers16; /* norms are read from the model */
    d->head = (loom_mat){.bf16 = d->weights16 + loom_llama_tensor(d->m, -1, LOOM_ROLE_HEAD)->offset};
    return LOOM_OK;
}

loom_status loom_decode_new(loom_decode **out, const loom_llama *m, const loom_lora *lora, const loom_decode_options *o,
                            loom_err *err)
{
    loom_decode *d;
    loom_status st = LOOM_OK;
    loom_layout k = {0};

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
    place(d, &m->config, m->frozen, &k);
    /* zero pages that cost nothing until they are used: most of the cache may never be */
    if (!k.overflow && k.used <= SIZE_MAX - 64) d->memory = loom_calloc(k.used + 64, 1);
    if (!d->memory) {
        char text[32];

        loom_format_bytes(text, sizeof text, (double)k.used);
        free(d);
        return loom_fail(err, LOOM_STATUS_NOMEM,
                         "not enough memory for the key/value cache (%s); ask for fewer positions", text);
    }
    k = (loom_layout){.base = d->memory + (64 - (uintptr_t)d->memory % 64) % 64};
    place(d, &m->config, m->frozen, &k);
    for (int64_t i = 0; i < o->max_seqs; i++) d->seqs[i].blocks = d->block_tables + i * d->blocks_per_seq;
    for (d->n_free = 0; d->n_free < d->n_blocks; d->n_free++) /* taken from the end: block 0 first */
        d->free_blocks[d->n_free] = (int32_t)(d->n_blocks - 1 - d->n_free);
    d->least_free = d->n_free;
    loom_pool_for(o->pool, m->config.L * LOOM_N_ADAPTABLE + 1, pack_item, d);
    if (o->bf16_compute && !d->packs) st = make_engines(d, !m->frozen, err);
    if (st == LOOM_OK) *out = d;
    else loom_decode_free(d);
    return st;
}

void loom_decode_free(loom_decode *d)
{
    if (!d) return;
    for (int i = 0; d->o.bf16_compute && !d->packs && i < d->n_threads; i++) loom_bf16_free(d->engines[i]);
    free(d->memory);
    free(d);
}

/* ---- sequences ---- */
loom_sequence *loom_kv_sequence(const loom_decode *d, int32_t seq)
{
    return seq >= 0 && seq < d->o.max_seqs && d->seqs[seq].open ? &d->seqs[seq] : NULL;
}

static int64_t blocks_of(int64_t len) { return (len + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK; }

static int32_t take_block(loom_decode *d)
{
    int32_t b = d->free_blocks[--d->n_free];

    d->least_free = loom_min_i64(d->least_free, d->n_free);
    d->refs[b] = 1;
    return b;
}

static void drop_block(loom_decode *d, int32_t b)
{
    if (--d->refs[b] == 0) d->free_blocks[d->n_free++] = b;
}

static void copy_block(loom_decode *d, int32_t to, int32_t from)
{
    for (int64_t l = 0; l < d->m->config.L; l++)
        memcpy(loom_kv_at(d, l, to), loom_kv_at(d, l, from), (size_t)loom_kv_numbers(&d->m->config) * d->number);
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
    const loom_sequence *from = loom_kv_sequence(d, seq);
    loom_sequence *to;
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
    loom_sequence *s = loom_kv_sequence(d, seq);

    if (!s || len < 0 || len >= s->len) return;
    for (int64_t i = blocks_of(len); i < blocks_of(s->len); i++) drop_block(d, s->blocks[i]);
    s->len = len;
}

void loom_decode_close(loom_decode *d, int32_t seq)
{
    loom_decode_truncate(d, seq, 0);
    if (loom_kv_sequence(d, seq)) d->seqs[seq].open = false;
}

int64_t loom_decode_len(const loom_decode *d, int32_t seq)
{
    const loom_sequence *s = loom_kv_sequence(d, seq);

    return s ? s->len : 0;
}

int64_t loom_decode_free_blocks(const loom_decode *d) { return d->n_free; }

loom_cache_bytes loom_decode_cache(const loom_decode *d)
{
    int64_t layer = loom_kv_numbers(&d->m->config) * (int64_t)d->number, block = d->m->config.L * layer;

    return (loom_cache_bytes){.all = d->n_blocks * block,
                              .touched = (d->n_blocks - d->least_free) * block,
                              .read = d->n_read * (layer / LOOM_KV_BLOCK)};
}

int64_t loom_decode_need_blocks(const loom_decode *d, int32_t seq, int64_t n)
{
    const loom_sequence *s = loom_kv_sequence(d, seq);
    int64_t need;

    if (!s || n <= 0) return 0;
    need = blocks_of(s->len + n) - blocks_of(s->len);
    /* a last block that is not full and that somebody shares is copied before it is written */
    if (s->len % LOOM_KV_BLOCK && d->refs[s->blocks[s->len / LOOM_KV_BLOCK]] > 1) need++;
    return need;
}

/* Makes room for position s->len and counts it. */
void loom_kv_append(loom_decode *d, loom_sequence *s)
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
