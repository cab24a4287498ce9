/* Every phrase of the texts, once, for what learns them whole: the tokenizer.
 *
 * The text has each marker, attribute, edge item, condition, counting line, call type and downstream question of the
 * grammar, with the neighbours that it has in samples and zeros or USER for values. It is no sample. It is the same for
 * every system; its order is the order of the grammar's tables. */
#ifndef LOOM_TRACE_TEXT_PHRASES_H
#define LOOM_TRACE_TEXT_PHRASES_H

#include "core/buf.h"

/* Appends the text; lines end with LF. */
void loom_phrases_render(loom_buf *into);

#endif
