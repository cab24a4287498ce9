/* Batches from token shards: shuffled, packed, resumable at any step.
 *
 *   loom_loader *l = NULL;
 *   loom_loader_options o = {.context = 1024, .budget = 4096, .seed = 1, .shuffle = true};
 *   LOOM_TRY(loom_loader_new(&l, paths, n, &o, err));
 *   LOOM_TRY(loom_loader_next(l, &batch, err));           one step's worth of sequences
 *   loom_position p = loom_loader_tell(l);                ... saved, and later:
 *   loom_loader_seek(l, &p);
 *   loom_loader_free(l);
 *
 * Two ways to pack:
 *
 *   samples (default)   Every sample is a sequence of its own: attention stays within it. A sample of n tokens makes
 *                       n-1 rows (row i sees tokens 0..i and predicts token i+1); one longer than the context is cut
 *                       into pieces of `context` rows that overlap by one token, so that each token is predicted once.
 *                       A step takes whole pieces in shuffled order until the next would exceed `budget` rows.
 *   joined (the paper)  Samples, without their BOS, are concatenated in shuffled order and cut into sequences of
 *                       `context` tokens; the last row of each predicts nothing; a shorter rest at the end of the
 *                       epoch is dropped.
 *
 * The order of epoch e depends on (seed, e) only: position plus options are the whole state. */
#ifndef LOOM_TRAIN_LOADER_H
#define LOOM_TRAIN_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "model/step.h"
#include "store/shard.h"

typedef struct loom_loader_options {
    int64_t context; /* longest sequence, in rows */
    int64_t budget;  /* rows of a step, at least `context` */
    uint64_t seed;
    bool shuffle;      /* false: file order (validation) */
    bool joined;       /* the paper's packing */
    bool answers_only; /* labels before answer_start do not count; refuses samples without any that counts */
    double
        prompt_weight; /* without answers_only and joined: what a label before answer_start counts; 0: as much as any */
    bool drop_long;    /* samples longer than the context are left out and counted, not cut */
    int64_t limit;     /* use the first `limit` samples only (0: all) */
    int64_t memory;    /* tokens are kept in memory when they take at most this many bytes, else read as needed */
} loom_loader_options;

typedef struct loom_position {
    int64_t epoch;  /* from 0 */
    int64_t sample; /* next in this epoch's order */
    int64_t offset; /* tokens of it that are used up */
} loom_position;

typedef struct loom_loader loom_loader;

/* Opens the shards; all must carry the same tokenizer. */
loom_status loom_loader_new(loom_loader **out, char *const *paths, int64_t n_paths, const loom_loader_options *o,
                            loom_err *err);
void loom_loader_free(loom_loader *l); /* NULL is fine */

/* The next step: batch->N <= budget rows, arrays borrowed until the next call. */
loom_status loom_loader_next(loom_loader *l, loom_batch *batch, loom_err *err);

/* A batch out of chosen samples instead, 0..samples-1 in the order of the files, which leaves the position alone:
 * begin, then append each; a sample makes one row less than it has tokens. All must be within the context (drop_long),
 * and the rows within the budget. */
void loom_loader_begin(loom_loader *l, loom_batch *batch);
loom_status loom_loader_append(loom_loader *l, loom_batch *batch, int64_t i, loom_err *err);
int64_t loom_loader_rows(const loom_loader *l, int64_t i);
/* Which sample of its shard it is. */
int64_t loom_loader_number(const loom_loader *l, int64_t i);

loom_position loom_loader_tell(const loom_loader *l);
void loom_loader_seek(loom_loader *l, const loom_position *p);
bool loom_loader_at_end(const loom_loader *l); /* the next step would begin another epoch */

/* Steps that `epochs` whole passes take (the last one may be short); walks the lengths, reads no tokens. */
int64_t loom_loader_steps(loom_loader *l, int64_t epochs);

const loom_shard_info *loom_loader_info(const loom_loader *l); /* of the first shard: tokenizer, vocabulary, mode */
int64_t loom_loader_shards(const loom_loader *l);
const loom_shard_info *loom_loader_shard(const loom_loader *l, int64_t i); /* of each, 0..shards-1 */
int64_t loom_loader_samples(const loom_loader *l);                         /* used ones */
int64_t loom_loader_tokens(const loom_loader *l);                          /* in them */
int64_t loom_loader_dropped(const loom_loader *l); /* samples left out because they were too long */
size_t loom_loader_bytes(const loom_loader *l);    /* memory taken */

#endif
