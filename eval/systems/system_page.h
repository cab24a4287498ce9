/* Pages about systems and traces: one look, light and dark, wide and narrow, that needs nothing else.
 *
 *   loom_page_begin(&html, "Title", script or NULL);
 *   ... loom_page_name(&html, name) for whatever comes from traces ...
 *   loom_page_end(&html); */
#ifndef LOOM_EVAL_SYSTEM_PAGE_H
#define LOOM_EVAL_SYSTEM_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

/* Head, style and heading. `script` is the one script that the page's own policy lets run. */
void loom_page_begin(loom_buf *html, const char *title, const char *script);
void loom_page_end(loom_buf *html, const char *script);
/* A name from traces: whatever it holds, it is text, shown as core/escape.h shows it. */
void loom_page_name(loom_buf *html, const char *name);
/* The same in an attribute or a <title>, cut to `most` bytes at a whole character. */
void loom_page_name_cut(loom_buf *html, const char *name, size_t most);
/* What may be wider than a screen: scrolls, also by keys. */
void loom_page_wide_begin(loom_buf *html, const char *label);
void loom_page_wide_end(loom_buf *html);
/* A table whose rows become cards on narrow screens: headings by '|', then for each row the cells. */
void loom_page_table_begin(loom_buf *html, const char *caption, const char *headings);
void loom_page_cell_begin(loom_buf *html, const char *heading, bool number);
void loom_page_cell_end(loom_buf *html);
void loom_page_table_end(loom_buf *html);

#endif
