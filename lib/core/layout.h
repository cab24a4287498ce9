/* Many arrays in one block: a walk over all of them that is run twice, once to measure and once to place.
 *
 *   loom_layout l = {0};
 *   place(thing, &l);                        calls loom_layout_take for every array; the pointers are NULL
 *   if (!l.overflow) thing->block = loom_alloc_aligned(l.used);
 *   l = (loom_layout){.base = thing->block};
 *   place(thing, &l);                        the same calls give the places
 *
 * Every array begins on a 64-byte boundary. */
#ifndef LOOM_CORE_LAYOUT_H
#define LOOM_CORE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct loom_layout {
    char *base;    /* 64-byte aligned; NULL: measuring */
    size_t used;   /* bytes so far */
    bool overflow; /* the sizes do not fit a size_t */
} loom_layout;

/* Room for (rows, width) elements of `size` bytes; NULL while measuring, for no elements, and after an overflow, which
 * negative counts are, too. */
void *loom_layout_take(loom_layout *l, int64_t rows, int64_t width, size_t size);

#endif
