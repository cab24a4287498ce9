/* The shape of a training sample: what `balance` evens out. Samples of one shape have as many calls and subgraphs, and
 * are asked for alike. */
#ifndef LOOM_PREPROCESS_TEXTS_TEXT_SHAPE_H
#define LOOM_PREPROCESS_TEXTS_TEXT_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "preprocess/texts/text_batch.h"
#include "trace/text/grammar.h"

#define LOOM_TEXT_SHAPE 64 /* bytes that hold any shape */

/* What stands behind "name:" in a text; NULL without it. */
const char *loom_text_value(const char *text, const char *end, loom_attr which);

bool loom_text_asks_for_slow(const char *prompt, size_t len);

/* Both write the shape of a sample into out[size] and return its length. The first is by calls, subgraphs and what the
 * prompt asks for; the second is for samples that ask for high latency where these have a share of their own: there the
 * service is all that matters. */
size_t loom_text_shape(char *out, size_t size, const char *text, const loom_text_item *item);
size_t loom_text_shape_slow(char *out, size_t size, const char *prompt, size_t len);

#endif
