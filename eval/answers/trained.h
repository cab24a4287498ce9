/* How the model behind a file of answers was trained, as one line for a picture or a table:
 *
 *   from the base model (digest 1a2b3c4d), 3.0 min on 2 threads of AMD EPYC, 1.8 M tokens, 1,021 steps, bf16
 *
 * It comes from the answers' .meta.json, where loom-infer put training.json of the model, or what the model itself
 * says of its making. What is not known is left out. */
#ifndef LOOM_EVAL_TRAINED_H
#define LOOM_EVAL_TRAINED_H

#include "core/buf.h"
#include "core/json.h"

/* Appends the line for an answers file; nothing when its .meta.json is missing, does not fit it or says nothing. */
void loom_trained_line(loom_buf *into, const char *answers);
/* The same from the root of such a .meta.json. */
void loom_trained_from_meta(loom_buf *into, const loom_json *meta);

/* "1,021" into text[cap]. */
const char *loom_group_digits(char *text, size_t cap, int64_t v);

#endif
