/* Arena: many small allocations that die together. Chunks are kept on reset, so a loop allocates only in its first
 * rounds. Not thread-safe: one arena per thread. */
#ifndef LOOM_CORE_ARENA_H
#define LOOM_CORE_ARENA_H

#include <stddef.h>

typedef struct loom_arena_chunk loom_arena_chunk;
typedef struct loom_arena {
    loom_arena_chunk *first, *current;
    size_t used; /* bytes used in the current chunk */
} loom_arena; /* zero-initialised is ready to use */

/* 16-byte aligned, not zeroed. Ends the process with a message when memory is out (see core/buf.h). */
void *loom_arena_alloc(loom_arena *a, size_t bytes);
void *loom_arena_calloc(loom_arena *a, size_t n, size_t size);
char *loom_arena_strdup(loom_arena *a, const char *text, size_t len); /* NUL-terminated copy */
void loom_arena_reset(loom_arena *a);                                 /* forgets, keeps the memory */
void loom_arena_release(loom_arena *a);

#endif
