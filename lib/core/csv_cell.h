/* Cells of the CSV tables that the toolkit writes (RFC 4180). */
#ifndef LOOM_CORE_CSV_CELL_H
#define LOOM_CORE_CSV_CELL_H

#include "core/buf.h"

/* Appends a cell, in double quotes where it needs them. */
void loom_csv_cell(loom_buf *into, const char *text, size_t len);

/* Appends CSV text with an apostrophe before every cell that a spreadsheet would take for a formula: one that
 * begins with = + - @, a tab or a carriage return and is no number (--safe-csv). */
void loom_csv_guard(loom_buf *into, const char *text, size_t len);

#endif
