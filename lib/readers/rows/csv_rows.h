/* Rows of CallGraph tables as graphs, taken as they are: types and names must be known, others are counted. Cleaning
 * raw tables is the work of loom-preprocess graphs. */
#ifndef LOOM_READERS_ROWS_CSV_ROWS_H
#define LOOM_READERS_ROWS_CSV_ROWS_H

#include "readers/spans/spans.h"
#include "trace/graph/rows.h"

enum { LOOM_CSV_COLUMNS = 8 };

typedef struct loom_csv_row {
    int64_t trace, order;
    loom_row row;
} loom_csv_row;

typedef struct loom_csv_rows {
    int place[LOOM_CSV_COLUMNS]; /* of the columns in the file at hand */
    loom_csv_row *items;
    size_t n, cap;
    int64_t met;                 /* rows in the files, with those left out */
    loom_intern traces;
    loom_arena arena;
} loom_csv_rows; /* zero-initialised is ready */

/* All rows of a file (text[len] is 0); what cannot be used is a BAD_ROW. *known = false: no CallGraph table. */
loom_status loom_csv_rows_add(loom_csv_rows *c, const char *text, size_t len, const char *name, loom_left_out *left,
                              bool *known, loom_err *err);
/* One graph for each trace, in order of first appearance; adds to `rejected`, by first reason. */
loom_status loom_csv_rows_graphs(loom_csv_rows *c, loom_take_graph take, void *arg, int64_t *rejected, int64_t *graphs,
                                 loom_err *err);
void loom_csv_rows_release(loom_csv_rows *c);

#endif
