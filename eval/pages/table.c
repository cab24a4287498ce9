#include "eval/pages/table.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/csv_cell.h"

void loom_csv_table_init(loom_csv_table *t, const char *columns)
{
    *t = (loom_csv_table){.n_columns = 1};
    for (const char *c = columns; *c; c++) t->n_columns += *c == ',';
    loom_buf_str(&t->text, columns);
    loom_buf_char(&t->text, '\n');
}

static void next_field(loom_csv_table *t)
{
    assert(t->column < t->n_columns);
    if (t->column++ > 0) loom_buf_char(&t->text, ',');
}

void loom_csv_table_str(loom_csv_table *t, const char *text)
{
    next_field(t);
    loom_csv_cell(&t->text, text, strlen(text));
}

void loom_csv_table_i64(loom_csv_table *t, int64_t v)
{
    next_field(t);
    loom_buf_i64(&t->text, v);
}

void loom_csv_table_f64(loom_csv_table *t, double v)
{
    next_field(t);
    if (isfinite(v)) loom_buf_printf(&t->text, "%.7g", v);
    else if (isinf(v)) loom_buf_str(&t->text, v > 0 ? "inf" : "-inf");
}

void loom_csv_table_none(loom_csv_table *t) { next_field(t); }

void loom_csv_table_end_row(loom_csv_table *t)
{
    assert(t->column == t->n_columns);
    loom_buf_char(&t->text, '\n');
    t->column = 0;
}

void loom_csv_table_release(loom_csv_table *t) { loom_buf_release(&t->text); }
