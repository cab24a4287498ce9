/* CSV tables: UTF-8, header row, "." decimal point, RFC 4180 quoting; a number that is not defined is an empty field.
 *
 *   loom_csv_table t;
 *   loom_csv_table_init(&t, "experiment,method,seed,k,n,value");
 *   loom_csv_table_str(&t, "fig03"); ... loom_csv_table_f64(&t, value);
 *   loom_csv_table_end_row(&t);                     asserts that every column was filled
 *   loom_file_write(path, t.text.data, t.text.len, force, err);
 *   loom_csv_table_release(&t);
 */
#ifndef LOOM_EVAL_TABLE_H
#define LOOM_EVAL_TABLE_H

#include <stdint.h>

#include "core/buf.h"

typedef struct loom_csv_table {
    loom_buf text;
    int n_columns, column;
} loom_csv_table;

void loom_csv_table_init(loom_csv_table *t, const char *columns);
void loom_csv_table_str(loom_csv_table *t, const char *text);
void loom_csv_table_i64(loom_csv_table *t, int64_t v);
void loom_csv_table_f64(loom_csv_table *t, double v); /* seven significant digits */
void loom_csv_table_none(loom_csv_table *t);          /* an empty field */
void loom_csv_table_end_row(loom_csv_table *t);
void loom_csv_table_release(loom_csv_table *t);

#endif
