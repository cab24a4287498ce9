/* Names are data. What comes from a file, a path or a model may hold anything, also the sequences by which a terminal
 * takes orders; every text that people read goes through here.
 *
 * Escaped are bytes below blank and 0x7f (`\n`, `\t`, `\r`, `\x1b`), U+0080 to U+009F (`\u009b`), the marks that
 * turn the direction of writing or end a line unseen (U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069), and bytes
 * that are no UTF-8 (`\xff`). The backslash itself stays: the text is for reading, and escaping twice changes
 * nothing. */
#ifndef LOOM_CORE_ESCAPE_H
#define LOOM_CORE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

void loom_escape(loom_buf *into, const char *text, size_t len);
void loom_escape_lines(loom_buf *into, const char *text, size_t len); /* line ends and tabs stay */
/* The same, into text of cap bytes; what does not fit is cut off at a whole character, and "..." stands in its
 * place. */
void loom_escape_into(char *text, size_t cap, const char *from, size_t len);
/* For files that are read back: as loom_escape, the backslash too; and what it was before. Sequences of other kinds are
 * taken as they stand. */
void loom_quote(loom_buf *into, const char *text, size_t len);
void loom_unquote(loom_buf *into, const char *text, size_t len);
/* Does the text stay as it is? */
bool loom_is_plain(const char *text, size_t len);

#endif
