/* Hashing through XXH3, and the table that numbers texts. */
#ifndef LOOM_CORE_HASH_H
#define LOOM_CORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct loom_hash128 {
    uint64_t lo, hi;
} loom_hash128;

uint64_t loom_hash64(const void *bytes, size_t len, uint64_t seed);
loom_hash128 loom_hash128_of(const void *bytes, size_t len);
void loom_hash128_text(loom_hash128 h, char text[33]); /* 32 hex digits */

/* XXH3-128 of a file's bytes as 32 hex digits (text[33]). */
loom_status loom_hash_file(char text[33], const char *path, loom_err *err);

/* Interned strings: each distinct byte string gets the next id 0, 1, 2, ...
 * Strings are copied; loom_intern_text stays valid until release. Not thread-safe. Zero-initialised is ready. */
typedef struct loom_intern {
    struct loom_intern_slot *slots; /* open addressing, power of two */
    size_t n_slots, n, cap;
    const char **texts;
    uint32_t *lens;
    struct loom_intern_block *blocks;
} loom_intern;

/* id, new or old; -1: no memory */
int64_t loom_intern_add(loom_intern *t, const char *text, size_t len) __attribute__((warn_unused_result));
int64_t loom_intern_find(const loom_intern *t, const char *text, size_t len); /* id or -1 */
static inline const char *loom_intern_text(const loom_intern *t, int64_t id) { return t->texts[id]; }
static inline size_t loom_intern_len(const loom_intern *t, int64_t id) { return t->lens[id]; }
void loom_intern_release(loom_intern *t);

#endif
