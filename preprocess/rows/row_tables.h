/* Tables read into memory: blocks of a file are taken under a lock and turned into rows in parallel.
 *
 *   loom_row_tables t;
 *   LOOM_TRY(loom_row_tables_init(&t, &conf, err));
 *   LOOM_TRY(loom_row_tables_read(&t, in, path, err));          once, or for every file that is merged
 *   LOOM_TRY(loom_row_tables_finish(&t, &counts, &report, err));
 *   loom_row_tables_release(&t);                                 also after a failed init
 *
 * A row stands in a chunk, which never moves. A segment says which rows of a chunk a block of the file gave, so the
 * order of the file can be told whatever thread read which block:
 *
 *   file      | block 0 | block 1 | block 2 | block 3 |           about 2 MiB of text each
 *                  |          \       /          |
 *               thread 0     thread 1         thread 0
 *
 *   chunk 0   [ rows of block 0 | rows of block 3 ...  ]          thread 0's; LOOM_CHUNK_ROWS rows
 *   chunk 1   [ rows of block 1 | rows of block 2 ...  ]          thread 1's
 *
 *   segments  {block 0, chunk 0, first 0, n} {block 3, chunk 0, first n, ...}      thread 0's, in its blocks' order
 *             {block 1, chunk 1, ...} {block 2, chunk 1, ...}                      thread 1's
 *
 *   a ref     chunk << 16 | row within the chunk: 32 bits name any row, so a run holds 4 billion at most */
#ifndef LOOM_PREPROCESS_ROWS_ROW_TABLES_H
#define LOOM_PREPROCESS_ROWS_ROW_TABLES_H

#include <pthread.h>

#include "core/pool.h"
#include "preprocess/rows/graphs_report.h"
#include "readers/rows/row_reader.h"

typedef struct loom_row_block {
    int64_t n_lines;
    int64_t first_line; /* of the file, from 1; after loom_row_tables_finish */
    uint32_t table;
} loom_row_block;

/* A file or member that was read; more than one where tables are merged. */
typedef struct loom_row_table {
    char *place; /* "file" or "file(member)" for messages */
    int64_t header_lines;
} loom_row_table;

typedef struct loom_row_tables_conf {
    loom_row_reader_rules *rules; /* borrowed; the columns are found with every header */
    loom_pool *pool;
    bool service_optional;                      /* service_from_root: a service column is not needed, and not read */
    void (*progress)(void *arg, int64_t bytes); /* NULL: none */
    void *progress_arg;
    int64_t bytes_before; /* of earlier runs, for progress */
} loom_row_tables_conf;

typedef struct loom_row_tables {
    loom_row_tables_conf conf;
    loom_row_table *items;
    size_t n, cap;
    int n_threads;
    loom_row_reader *readers; /* (n_threads) */
    loom_chunks chunks;
    loom_csv_reader csv; /* of the table at hand */
    loom_row_block *blocks;
    size_t n_blocks, cap_blocks;
    int64_t bytes; /* of the tables that were read */
    double seconds;
    pthread_mutex_t lock; /* chunks, blocks, csv, and what follows */
    loom_status status;   /* first failure of any thread */
    loom_err err;
    bool stopping;
} loom_row_tables;

loom_status loom_row_tables_init(loom_row_tables *t, const loom_row_tables_conf *conf, loom_err *err);
/* Opens the member that `in` stands at, and reads its header. */
loom_status loom_row_tables_open(loom_row_tables *t, loom_in *in, const char *path, loom_err *err);
/* The same, and its rows. */
loom_status loom_row_tables_read(loom_row_tables *t, loom_in *in, const char *path, loom_err *err);
/* After the last table: blocks know their lines, chunks how many rows they hold; adds what was kept and dropped. */
loom_status loom_row_tables_finish(loom_row_tables *t, loom_graphs_counts *counts, loom_graphs_report *report,
                                   loom_err *err);
/* About how many rows the table has that was opened, from the lines of its first block; *sure when that block is
 * all. */
loom_status loom_row_tables_estimate(loom_row_tables *t, const char *path, int64_t *rows, bool *sure, loom_err *err);
/* All segments in the order of the blocks; returns them, free() them. NULL: no memory. */
loom_segment *loom_row_tables_segments(const loom_row_tables *t, size_t *n);
const char *loom_row_tables_place(const loom_row_tables *t); /* of the last table */
void loom_row_tables_release(loom_row_tables *t);

#endif
