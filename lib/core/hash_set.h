/* Set of 128-bit hashes, to tell what was seen before: at most 27 bytes a key, also while it grows.
 *
 * 256 parts by the top bits, each an open-addressing table of its own that grows by a third when it is four fifths
 * full; only one small part is ever held twice. */
#ifndef LOOM_CORE_HASH_SET_H
#define LOOM_CORE_HASH_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"

#define LOOM_HASH_SET_PARTS 256

typedef struct loom_hash_set {
    struct loom_hash_set_part {
        loom_hash128 *slots; /* {0, 0}: empty */
        size_t n_slots, n;
    } parts[LOOM_HASH_SET_PARTS];
    bool has_zero;
    size_t n;
} loom_hash_set; /* zero-initialised is ready */

/* *fresh: it was not there. False: no memory. */
bool loom_hash_set_add(loom_hash_set *s, loom_hash128 key, bool *fresh) __attribute__((warn_unused_result));
bool loom_hash_set_has(const loom_hash_set *s, loom_hash128 key);
void loom_hash_set_prefetch(const loom_hash_set *s, loom_hash128 key);
size_t loom_hash_set_bytes(const loom_hash_set *s);
void loom_hash_set_release(loom_hash_set *s);

#endif
