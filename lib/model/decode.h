/* Generation: many sequences at once over one pool of key/value blocks.
 *
 *   loom_decode *d = NULL;
 *   loom_decode_options o = {.max_rows = 256, .max_seqs = 64, .positions = 64 * 1024, .pool = pool};
 *   LOOM_TRY(loom_decode_new(&d, model, lora, &o, err));
 *   int32_t s = loom_decode_open(d);                              an empty sequence
 *   loom_decode_row rows[] = {{s, BOS, false}, {s, 17, false}, {s, 5, true}};
 *   LOOM_TRY(loom_decode_run(d, rows, 3, logits, err));           prompt; logits (1,V) of the last row
 *   ... choose a token (model/sampler.h), append it, and so on; rows of many sequences go into one run ...
 *   int32_t twin = loom_decode_fork(d, s, loom_decode_len(d, s)); shares what it has in common
 *   loom_decode_close(d, s);
 *
 * Every row appends one token to its sequence; several rows of one sequence in one run are appended in their order, so
 * prompts (many rows of one sequence) and decoding (one row of each of many sequences) mix freely. The results of a row
 * do not depend on what else is in the run beyond the rounding of the matrix product.
 *
 * Keys and values live in blocks of LOOM_KV_BLOCK positions, counted by reference: a fork shares whole blocks and
 * copies at most one. Not thread-safe: one caller; the pool does the parallel work. */
#ifndef LOOM_MODEL_DECODE_H
#define LOOM_MODEL_DECODE_H

#include <stdbool.h>

#include "core/pool.h"
#include "model/llama.h"
#include "model/lora.h"

#define LOOM_KV_BLOCK  16                /* positions in a block */
#define LOOM_PACK_MOST ((size_t)2 << 30) /* bytes of weights that are held a second time, packed */

typedef struct loom_decode loom_decode;

typedef struct loom_decode_options {
    int64_t max_rows;  /* most rows of one run */
    int64_t max_seqs;  /* most open sequences */
    int64_t positions; /* size of the cache: positions of all sequences together (shared ones once) */
    bool half_cache;   /* keys and values as bfloat16: half the memory and traffic, results differ in the third digit */
    bool bf16_compute; /* products in bfloat16, on weights rounded once, here: less to read, faster */
    bool in_place;     /* do not pack weights, read them where they are, however small (tests) */
    loom_pool *pool;   /* borrowed; NULL: one thread */
} loom_decode_options;

typedef struct loom_decode_row {
    int32_t seq;   /* from loom_decode_open or _fork */
    int32_t token; /* appended at position loom_decode_len(seq) */
    bool logits;   /* this row's logits are wanted */
} loom_decode_row;

/* Borrows model and adapter (NULL: none) until loom_decode_free. */
loom_status loom_decode_new(loom_decode **out, const loom_llama *m, const loom_lora *lora, const loom_decode_options *o,
                            loom_err *err);
void loom_decode_free(loom_decode *d);

/* New sequence: empty, or sharing the first `len` positions of `seq` (0 <= len <= its length). -1 when max_seqs are
 * open, or when the one block that a fork must copy is not free. */
int32_t loom_decode_open(loom_decode *d);
int32_t loom_decode_fork(loom_decode *d, int32_t seq, int64_t len);
void loom_decode_close(loom_decode *d, int32_t seq);                 /* its blocks go back when nobody shares them */
void loom_decode_truncate(loom_decode *d, int32_t seq, int64_t len); /* forgets positions len, len+1, ... */

int64_t loom_decode_len(const loom_decode *d, int32_t seq); /* positions in the cache */
int64_t loom_decode_free_blocks(const loom_decode *d);
/* Blocks that appending n tokens to the sequence would take from the free ones. */
int64_t loom_decode_need_blocks(const loom_decode *d, int32_t seq, int64_t n);

/* Bytes of keys and values: in the whole cache; those that were in use at once at most, which is what it has touched
 * of its memory; and what attention has read so far, rows that read together counted once. */
typedef struct loom_cache_bytes {
    int64_t all, touched, read;
} loom_cache_bytes;
loom_cache_bytes loom_decode_cache(const loom_decode *d);

/* Appends all rows and fills logits (W,V), W = rows with .logits, in row order. ARG before anything is changed when a
 * row names no open sequence, a token is outside the vocabulary, a sequence would pass max_positions, n > max_rows or
 * the free blocks do not suffice (message says how many are missing). */
loom_status loom_decode_run(loom_decode *d, const loom_decode_row *rows, int64_t n, float *logits, loom_err *err);

#endif
