/* Which matrices PEFT's target_modules mean: a name ("q_proj"), a dotted path ("self_attn.q_proj"), "all-linear",
 * or one regular expression that the whole name of a matrix must match ("model.layers.0.self_attn.q_proj"). */
#ifndef LOOM_MODEL_PEFT_TARGETS_H
#define LOOM_MODEL_PEFT_TARGETS_H

#include <stdbool.h>

#include "core/err.h"

/* Bits of loom_role. `text` is an element of a list, or with `whole` the only text, which PEFT takes for a regular
 * expression. FORMAT, naming the text, when it matches none of a Llama's matrices, matches other weights, or is not the
 * same for all layers; `name` is how messages call the file. */
loom_status loom_peft_targets(unsigned *out, const char *text, bool whole, const char *name, loom_err *err);

#endif
