/* Orders that do not depend on which thread saw a thing first. Counts of several threads are joined in them, so that
 * joining all of them into an empty one gives the same numbers to the same things however the graphs were shared out.
 *  */
#ifndef LOOM_SYSTEM_IN_ORDER_H
#define LOOM_SYSTEM_IN_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"
#include "system/pair_map.h"

/* Places of the texts by their bytes; the caller frees. NULL: no memory. */
int32_t *loom_names_in_order(const loom_intern *names);

/* Places of the pairs (a, b) by (new_a[a], new_b[b]); NULL instead of an array: numbers as they are, and numbers below
 * 0 or not below `n_b` always are. The caller frees. NULL: no memory. */
int32_t *loom_pairs_in_order(const loom_pair_map *m, const int32_t *new_a, const int32_t *new_b, size_t n_b);

#endif
