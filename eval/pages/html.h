/* Pieces of a page: escaped text, pictures set inline, tables from CSV text. */
#ifndef LOOM_EVAL_HTML_H
#define LOOM_EVAL_HTML_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/* Appends text with & < > " escaped. */
void loom_html_text(loom_buf *into, const char *text);
void loom_html_textn(loom_buf *into, const char *text, size_t len);

/* Appends an SVG file's text for use inside a page: prolog and fixed size removed, `title` as its title, every id made
 * unique by `prefix`. Appends nothing when the text holds no <svg>. */
void loom_html_svg(loom_buf *into, const char *svg, const char *title, const char *prefix);

/* Ends the tag of a cell that is open, with its column's heading as data-l: on narrow screens rows of a table of class
 * "cards" stand one below the other, and each cell tells what it is. "": without. */
void loom_html_label(loom_buf *into, const char *heading);

/* Appends the first `max_rows` rows of CSV text as a table; columns named in `skip` (comma-separated) are left out.
 * Returns the number of rows in the text. Numbers are set right. */
int64_t loom_html_csv(loom_buf *into, const char *csv, const char *skip, int64_t max_rows);

#endif
