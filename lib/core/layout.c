/* Placing arrays one after the other. */
#include "core/layout.h"

#include "core/num.h"

void *loom_layout_take(loom_layout *l, int64_t rows, int64_t width, size_t size)
{
    size_t bytes, at = l->used;

    if (l->overflow || rows < 0 || width < 0 || !loom_mul_size(&bytes, (size_t)rows, (size_t)width) ||
        !loom_mul_size(&bytes, bytes, size) || !loom_add_size(&bytes, bytes, 63) ||
        !loom_add_size(&l->used, l->used, bytes & ~(size_t)63)) {
        l->overflow = true;
        return NULL;
    }
    return l->base && rows && width ? l->base + at : NULL;
}
