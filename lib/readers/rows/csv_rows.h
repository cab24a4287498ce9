/* CallGraph tables in memory as graphs, for every stage alike: the rows that loom-preprocess graphs would keep,
 * read by the same reader (row_reader.h). What it would drop is counted, nothing is mapped or renamed.
 *
 *   loom_csv_rows c = {0};
 *   LOOM_TRY(loom_csv_rows_add(&c, text, len, "rows.csv", &left, &known, err));   one call for each file
 *   while ((st = loom_csv_rows_next(&c, &g, &why, &more, &arena, err)) == LOOM_OK && more) use(&g, &why);
 *   loom_csv_rows_release(&c);
 */
#ifndef LOOM_READERS_ROWS_CSV_ROWS_H
#define LOOM_READERS_ROWS_CSV_ROWS_H

#include "readers/counts/left_out.h"
#include "readers/rows/row_reader.h"
#include "trace/graph/rows.h"
#include "trace/graph/validity.h"

typedef struct loom_csv_row {
    int64_t trace, order;
    loom_row row;
} loom_csv_row;

/* The texts that a reader has numbered, as graphs hold them. */
typedef struct loom_csv_names {
    const char **texts;
    size_t n, cap;
} loom_csv_names;

typedef struct loom_csv_rows {
    loom_row_reader_rules rules; /* columns: of the file at hand */
    loom_row_reader reader;
    loom_raw_row *room; /* (LOOM_CHUNK_ROWS) where the reader puts rows; they move to `items` */
    loom_csv_names microservices, services;
    const int32_t **ids; /* by number of the reader */
    int32_t *id_lens;
    size_t n_ids, cap_ids, cap_id_lens;
    loom_csv_row *items;
    size_t n, cap;
    int64_t files;
    loom_intern traces; /* those with rows, in order of first appearance */
    size_t next;        /* item of the trace that is given next */
    bool sorted;
    loom_row *rows; /* of a trace */
    size_t cap_rows;
    loom_arena arena;
} loom_csv_rows; /* zero-initialised is ready */

/* All rows of a file; what cannot be used is a BAD_ROW. *known = false: no CallGraph table, *err says what its
 * header lacks. */
loom_status loom_csv_rows_add(loom_csv_rows *c, const char *text, size_t len, const char *name, loom_left_out *left,
                              bool *known, loom_err *err);
int64_t loom_csv_rows_met(const loom_csv_rows *c); /* rows in the files, with those left out */
/* The next trace, in order of first appearance; *more = false behind the last one. The graph is valid where why->n
 * is 0; it lives in `arena` and in `c`. No rows may be added any more. */
loom_status loom_csv_rows_next(loom_csv_rows *c, loom_graph *g, loom_verdict *why, bool *more, loom_arena *arena,
                               loom_err *err);
void loom_csv_rows_release(loom_csv_rows *c);

#endif
