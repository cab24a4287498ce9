/* SipHash-2-4 (Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012): a hash that says nothing of its input
 * to who does not have the key. For names that shall not be guessed; hash.h is faster, and not for that. */
#ifndef LOOM_CORE_SIPHASH_H
#define LOOM_CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct loom_siphash_key {
    uint64_t k0, k1; /* bytes 0..7 and 8..15, little-endian */
} loom_siphash_key;

uint64_t loom_siphash(loom_siphash_key key, const void *bytes, size_t len);

#endif
