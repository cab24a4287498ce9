/* Set of 128-bit hashes for counting what was seen: at most 27 bytes a key, also while it grows.
 *
 * 256 parts by the top bits, each an open-addressing table of its own that grows by a third when it is four fifths
 * full; only one small part is ever held twice. */
#ifndef LOOM_CORE_HASH_SET_H
#define LOOM_CORE_HASH_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"

#define LOOM_SEEN_PARTS 256

typedef struct loom_seen {
    struct loom_seen_part {
        loom_hash128 *slots; /* {0, 0}: empty */
        size_t n_slots, n;
    } parts[LOOM_SEEN_PARTS];
    bool has_zero;
    size_t n;
} loom_seen; /* zero-initialised is ready */

/* *fresh: it was not there. False: no memory. */
bool loom_seen_add(loom_seen *s, loom_hash128 key, bool *fresh) __attribute__((warn_unused_result));
bool loom_seen_has(const loom_seen *s, loom_hash128 key);
void loom_seen_prefetch(const loom_seen *s, loom_hash128 key);
size_t loom_seen_bytes(const loom_seen *s);
void loom_seen_release(loom_seen *s);

#endif
