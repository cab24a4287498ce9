/* Arrays that grow inside an arena: the old copy stays there until the arena dies, at most as much again as is used. */
#ifndef LOOM_CORE_ARENA_ARRAY_H
#define LOOM_CORE_ARENA_ARRAY_H

#include "core/arena.h"
#include "core/num.h"

/* Room for one more element of `size` bytes after n; returns the array, moved or not. Start: old = NULL, *cap = 0.
 * NULL when memory is out: the old array and *cap are as they were. */
static inline void *loom_arena_array_more(loom_arena *arena, void *old, size_t n, size_t *cap, size_t size)
{
    size_t bytes, want = *cap ? *cap * 2 : 4;
    if (n < *cap) return old;
    if (!loom_mul_size(&bytes, want, size)) bytes = SIZE_MAX; /* the arena reports that memory is out */
    void *grown = loom_arena_alloc(arena, bytes);
    if (!grown) return NULL;
    if (n) memcpy(grown, old, n * size);
    *cap = want;
    return grown;
}

#endif
