/* Graph stores, block by block: read, worked on in parallel, taken in order.
 *
 * While the threads work on one set of blocks, one of them takes the results of the set before (writing, compressing)
 * and reads the set after (decompressing), so that the serial parts hide behind the parallel one. Results do not depend
 * on the number of threads as long as `work` looks at nothing but its block.
 *
 * Ranks share the blocks: all read all of them, each works on its own, rank 0 takes. Turns go round by files and, in
 * large files, by stretches. */
#ifndef LOOM_PREPROCESS_STORES_STORE_STREAM_H
#define LOOM_PREPROCESS_STORES_STORE_STREAM_H

#include "core/buf.h"
#include "core/cli.h"
#include "core/err.h"
#include "core/meta.h"
#include "core/pool.h"
#include "trace/graph/callgraph.h"

typedef struct loom_store_block {
    const char *path;   /* the file, for messages */
    int64_t first_line; /* number of the first line, from 1 */
    loom_buf text;      /* whole lines */
    void *result;       /* result_size bytes of the user, zeroed once, kept from use to use */
    int64_t turn;       /* whose work it is where several processes share the blocks (core/ranks.h) */
} loom_store_block;

typedef struct loom_store_stream {
    loom_pool *pool; /* NULL: one thread */
    size_t result_size;
    void (*work)(void *arg, loom_store_block *block, int thread);           /* any thread, any order */
    loom_status (*take)(void *arg, loom_store_block *block, loom_err *err); /* one thread, in order; may be NULL */
    /* for commands that ranks may share (core/ranks.h): what `take` needs of a result, from one process to another */
    loom_status (*pack)(const void *result, loom_buf *into, loom_err *err);
    loom_status (*unpack)(void *result, const loom_buf *from, loom_err *err);
    void (*release)(void *result);              /* NULL: nothing to release */
    void (*progress)(void *arg, int64_t bytes); /* NULL: none */
    void *arg;
} loom_store_stream;

/* Runs through the files in the order given. */
loom_status loom_store_stream_run(const loom_store_stream *s, const char *const *paths, int64_t n_paths, loom_err *err);

/* The lines of a block:  for (const char *at = NULL, *end; loom_store_block_line(block, &at, &end);) ... [at, end) */
bool loom_store_block_line(const loom_store_block *block, const char **at, const char **end);

/* The same for the valid graphs of a block, each in `arena` until the next: lines that hold none add to *invalid, empty
 * ones do not count. */
bool loom_store_block_graph(const loom_store_block *block, const char **at, const char **end, loom_graph *g,
                            loom_arena *arena, int64_t *invalid);

/* Input files of a command: its arguments, folders replaced by the graph stores in them (sorted by name), each recorded
 * in `meta`. Free with loom_free_list. */
loom_status loom_store_stream_inputs(char ***paths, size_t *n, const loom_ctx *ctx, loom_meta *meta, loom_err *err);

#endif
