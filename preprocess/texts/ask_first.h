/* A graph in which every layer that is asked for a call has that call first, whichever it was: the model learns to
 * begin with what it is told to include, and that any call can be meant.
 *
 * Asked are the layers of which loom_asks_for_first (trace/text/facts.h) says so; of their calls one is drawn. It takes
 * the first one's number and start, keeps its response time, and takes its subtree along; those before it move up by
 * one number. Left as they are: layers that texts split, and a call that began before the first one. */
#ifndef LOOM_PREPROCESS_TEXTS_ASK_FIRST_H
#define LOOM_PREPROCESS_TEXTS_ASK_FIRST_H

#include "trace/text/facts.h"

/* Fills *out, in dotted-id order, with a graph whose arrays live in `arena` and whose names are those of `g` (valid,
 * sorted). False: no memory. */
bool loom_ask_first(loom_graph *out, const loom_graph *g, const loom_facts *facts, loom_arena *arena);

#endif
