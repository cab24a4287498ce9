/* Samples of text files in batches, cut into chunks of similar size for the thread pool.
 *
 *   loom_text_batch b = {0};
 *   while ((st = loom_text_batch_fill(&b, file, path, &err)) == LOOM_OK && b.n > 0)
 *       loom_pool_for(pool, b.n_chunks, fn, arg);     // fn: samples loom_text_batch_chunk(&b, i, &first, &n)
 *   loom_text_batch_release(&b);
 */
#ifndef LOOM_PREPROCESS_TEXTS_TEXT_BATCH_H
#define LOOM_PREPROCESS_TEXTS_TEXT_BATCH_H

#include "trace/text/textfile.h"

typedef struct loom_text_item {
    size_t at, len; /* in loom_text_batch.text */
    size_t answer;  /* byte of the sample where the answer begins, 0: all of it counts */
    loom_mode mode;
    int64_t line; /* of the file, from 1 */
} loom_text_item;

typedef struct loom_text_batch {
    bool apart; /* set by the caller: every layer of a recursive sample becomes an item */
    loom_buf text;
    loom_text_item *items;
    size_t n, cap;
    size_t *chunks; /* first sample of each chunk; one more for the end */
    int64_t n_chunks;
    size_t cap_chunks;
} loom_text_batch;

/* Replaces the contents by the next samples of the file: about 16 MiB, or one sample that is larger; n = 0 at the end.
 * `path` stands in messages. */
loom_status loom_text_batch_fill(loom_text_batch *b, loom_textfile *file, const char *path, loom_err *err);
void loom_text_batch_chunk(const loom_text_batch *b, int64_t chunk, size_t *first, size_t *n);
void loom_text_batch_release(loom_text_batch *b);

#endif
