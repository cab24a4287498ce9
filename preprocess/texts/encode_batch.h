/* A batch of call-graph records turned into text by all threads, the output in input order.
 *
 * The text of a graph is drawn from a stream seeded with (seed, canonical text of the graph, copy), so it depends
 * neither on the threads nor on where in the store the graph stands. */
#ifndef LOOM_PREPROCESS_TEXTS_ENCODE_BATCH_H
#define LOOM_PREPROCESS_TEXTS_ENCODE_BATCH_H

#include "core/pool.h"
#include "trace/graph/stats.h"
#include "trace/text/downstream_task.h"
#include "trace/text/encode.h"

/* Why a record gives no text. */
typedef struct loom_encode_counts {
    int64_t records;   /* read */
    int64_t invalid;   /* no valid call graph */
    int64_t too_large; /* over max_edges or max_depth */
    int64_t no_sample; /* valid, but the task makes no question of it */
    int64_t graphs;    /* encoded, each once per copy */
    int64_t samples, bytes;
} loom_encode_counts;

typedef struct loom_encode_batch_conf {
    loom_encode_conf encode;
    const loom_stats *stats; /* NULL: nothing known of any service */
    double asked;            /* share of the layers that are asked for their first call */
    bool ask_any;            /* instruction: for any call, which then is the first one (ask_first.h) */
    uint64_t seed;
    int64_t max_edges, max_depth; /* 0: any */
    int task;      /* loom_downstream_task: questions instead of encodings, the encoding's mode is their form; -1 */
    int32_t limit; /* edges a question shows (binary tasks) */
} loom_encode_batch_conf;

/* One piece of work: a record and which copy of its text is wanted. */
typedef struct loom_encode_batch_line {
    const char *record; /* borrowed until the run is over */
    size_t len;
    int64_t copy;
} loom_encode_batch_line;

typedef struct loom_encode_batch loom_encode_batch;

loom_status loom_encode_batch_new(loom_encode_batch **out, const loom_encode_batch_conf *conf, loom_pool *pool,
                                  loom_err *err);
void loom_encode_batch_free(loom_encode_batch **batch);
/* Encodes n lines; afterwards text i of *n_texts (loom_encode_batch_text) holds whole samples, each ending with LF. */
loom_status loom_encode_batch_run(loom_encode_batch *batch, const loom_encode_batch_line *lines, int64_t n,
                                  int64_t *n_texts, loom_err *err);
/* The texts of the run and what was counted since the last time, for another process (core/ranks.h); and there, as if
 * it had been its own run. */
void loom_encode_batch_pack(loom_encode_batch *batch, int64_t n_texts, loom_buf *into);
loom_status loom_encode_batch_unpack(loom_encode_batch *batch, int64_t *n_texts, const loom_buf *from, loom_err *err);
const loom_buf *loom_encode_batch_text(const loom_encode_batch *batch, int64_t i); /* borrowed until the next run */
loom_encode_counts loom_encode_batch_counts(const loom_encode_batch *batch);       /* over all runs */

#endif
