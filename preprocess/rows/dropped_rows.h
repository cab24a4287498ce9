/* The listing of dropped rows: file,line,trace,reason, in the order of the files. */
#ifndef LOOM_PREPROCESS_ROWS_DROPPED_ROWS_H
#define LOOM_PREPROCESS_ROWS_DROPPED_ROWS_H

#include "core/file.h"
#include "preprocess/rows/row_join.h"

/* After loom_row_join_make with keep_trace_maps. `safe_csv`: a table for spreadsheets. */
loom_status loom_dropped_rows_write(loom_out *out, const loom_row_tables *t, const loom_row_join *j, bool safe_csv,
                                    loom_err *err);

#endif
