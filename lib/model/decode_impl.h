/* Inside of loom_decode, shared by kvcache.c (memory, sequences, blocks), decode.c (the run) and decode_attention.c
 * only.
 *
 * A block holds LOOM_KV_BLOCK = 16 positions of one sequence, for every layer:
 *
 *   cache[layer][block]:  keys    [K heads][D][16 positions]                 D vectors of 16 positions
 *                         values  [K heads][ceil(D/16)][16 positions][16]    16 columns of each position
 *
 * Keys lie transposed, so that the scores of 16 positions are one vector; everything is read in the order it lies in,
 * since streaming the cache is what attention costs here. Numbers are float32 or, at half the traffic, bfloat16. */
#ifndef LOOM_MODEL_DECODE_IMPL_H
#define LOOM_MODEL_DECODE_IMPL_H

#include "model/bf16.h"
#include "model/decode.h"
#include "model/ops.h"
#include "model/packed.h"

#define LOOM_DECODE_TEAM 4 /* rows that read keys and values together */

typedef struct loom_sequence {
    bool open;
    int64_t len;
    int64_t pending; /* rows of the run being checked */
    int32_t *blocks; /* (blocks_per_seq), the first ceil(len / BLOCK) are in use */
} loom_sequence;

typedef struct loom_decode_thread {
    float *h;      /* (rows, C) rows after the norm, which every thread computes; behind it (rows, 2 shares of F) */
    float *xa;     /* (rows, R) */
    float *r;      /* (rows) */
    float *xt;     /* loom_linear_few_rows's */
    uint16_t *x16; /* packed in bfloat16: the rows of the next products, rounded */
    loom_products how;
    float *scores; /* (TEAM, H, positions) */
    float *sums;   /* (TEAM, H, ceil16(D)) */
} loom_decode_thread;

struct loom_decode {
    const loom_llama *m;
    const loom_lora *lora;
    const loom_llama_layer *layers; /* the model's, or rounded ones */
    loom_mat head;
    bool packs;                       /* weights are packed; else read where they are, by the members below */
    loom_packed *packed;              /* (L * LOOM_N_ADAPTABLE + 1) by layer and role, the head last */
    loom_packed *packed_a, *packed_b; /* (L * LOOM_N_ADAPTABLE) of the adapter, its scale in b; data NULL: none */
    uint16_t *weights16; /* bf16_compute: all weights, rounded; NULL when the model's are bfloat16 already */
    loom_llama_layer *layers16;
    loom_bf16_engine **engines; /* (n_threads) */
    loom_decode_options o;
    int n_threads;
    int64_t R, n_blocks, blocks_per_seq;
    loom_sequence *seqs;
    int32_t *block_tables;
    int32_t *refs, *free_blocks;
    int64_t n_free, least_free;
    int64_t n_read; /* positions that attention has read, of all layers */
    char *memory;   /* everything below the handle */
    char *cache;
    size_t number; /* bytes of a number in the cache */
    loom_decode_thread *threads;
    float *x, *qkv, *att, *prod, *out; /* (rows,C) (rows,Q+2E) (rows,Q) (rows,F) (rows,C) */
    int32_t *position;
    int32_t *teams; /* (rows + 1) first row of each, and the end */
    int64_t n_teams;
    /* the run at work */
    const loom_decode_row *rows;
    int64_t n, n_out, l;
    float *logits;
};

static inline int64_t loom_kv_padded(int64_t D) { return (D + 15) & ~INT64_C(15); }

/* Numbers of a block in one layer that are keys, and all of them. */
static inline int64_t loom_kv_keys(const loom_config *c) { return c->K * c->D * LOOM_KV_BLOCK; }
static inline int64_t loom_kv_numbers(const loom_config *c)
{
    return loom_kv_keys(c) + c->K * loom_kv_padded(c->D) * LOOM_KV_BLOCK;
}

static inline char *loom_kv_at(const loom_decode *d, int64_t l, int32_t block)
{
    return d->cache + (size_t)((l * d->n_blocks + block) * loom_kv_numbers(&d->m->config)) * d->number;
}

/* decode_attention.c: who reads together in this run, rows being in their places; then one layer of it. */
void loom_decode_team_up(loom_decode *d);
void loom_decode_attend(loom_decode *d);

/* The open sequence of that number, or NULL. */
loom_sequence *loom_kv_sequence(const loom_decode *d, int32_t seq);
/* Makes room for one more position, which the caller has checked to be there, and counts it. */
void loom_kv_append(loom_decode *d, loom_sequence *s);

#endif
