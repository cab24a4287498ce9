/* The parts of an answer as wide as they get, for who reserves room in a context: the largest numbers and longest
 * names that traces have, every part with its line end. The words are those of grammar.h. */
#ifndef LOOM_TRACE_TEXT_WIDEST_H
#define LOOM_TRACE_TEXT_WIDEST_H

#include "core/buf.h"

#define LOOM_WIDEST_NAME "MS_999999999"

void loom_widest_edge(loom_buf *into);  /* one edge, with its whole id and its source */
void loom_widest_sub(loom_buf *into);   /* one subgraph: its conditions, attributes, count, and its place in the list */
void loom_widest_frame(loom_buf *into); /* what every layer has: its markers, counting lines and end */

#endif
