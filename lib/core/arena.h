/* Arena: many small allocations that die together. Chunks are kept on reset, so a loop allocates only in its first
 * rounds. Not thread-safe: one arena per thread.
 *
 * When memory runs out the arena is marked as failed until its release: who filled it with many small pieces asks
 * once at the end (loom_arena_check), and need not after every piece of text. */
#ifndef LOOM_CORE_ARENA_H
#define LOOM_CORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

typedef struct loom_arena_chunk loom_arena_chunk;
typedef struct loom_arena {
    loom_arena_chunk *first, *current;
    size_t used; /* bytes used in the current chunk */
    bool failed; /* an allocation did not succeed */
} loom_arena;    /* zero-initialised is ready to use */

/* 16-byte aligned, not zeroed. NULL when memory is out (see also core/nomem.h). */
void *loom_arena_alloc(loom_arena *a, size_t bytes);
void *loom_arena_calloc(loom_arena *a, size_t n, size_t size);
const char *loom_arena_strdup(loom_arena *a, const char *text, size_t len); /* NUL-terminated copy; "": no memory */
loom_status loom_arena_check(const loom_arena *a, const char *what,
                             loom_err *err); /* NOMEM with a sentence if it failed */
void loom_arena_reset(loom_arena *a);        /* forgets, keeps the memory */
void loom_arena_release(loom_arena *a);

#endif
