/* Numbers that names are replaced by: a keyed hash of each (12 digits), or 1, 2, 3, ... in an order that is drawn.
 *
 * The hash of a name is the same in every run with the same key, so that sets that were anonymised apart still fit
 * together; two names with the same hash are an error, with a chance of one in a million at a thousand names. */
#ifndef LOOM_PREPROCESS_PRIVATE_HIDE_NAMES_H
#define LOOM_PREPROCESS_PRIVATE_HIDE_NAMES_H

#include "core/rng.h"
#include "core/siphash.h"
#include "trace/graph/rename.h"

#define LOOM_HIDDEN_RARE "(rare)" /* the name that rare ones are pooled under; it has number 0 */

/* 32 hex digits, from a file (blanks around them are fine). */
loom_status loom_hide_key_read(loom_siphash_key *key, const char *path, loom_err *err);
/* From the kernel's generator. */
loom_status loom_hide_key_draw(loom_siphash_key *key, loom_err *err);

/* Give a number to every name of `names`: key NULL: drawn from `seed`. */
loom_status loom_hide_names(loom_rename *r, loom_rename_kind kind, const loom_intern *names,
                            const loom_siphash_key *key, uint64_t seed, loom_err *err);

#endif
