/* The list of what a checkpoint holds, and the digest over it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/hash.h"
#include "store/ckpt_impl.h"

void loom_ckpt_entries_release(loom_ckpt_entries *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free((char *)(uintptr_t)list->items[i].e.name);
        free(list->items[i].text);
    }
    free(list->items);
    *list = (loom_ckpt_entries){0};
}

int loom_ckpt_by_name(const void *a, const void *b)
{
    return strcmp(((const loom_ckpt_item *)a)->e.name, ((const loom_ckpt_item *)b)->e.name);
}

uint64_t loom_ckpt_entries_digest(loom_ckpt_entries *list)
{
    loom_buf b = {0};
    uint64_t digest;

    if (list->n) qsort(list->items, list->n, sizeof *list->items, loom_ckpt_by_name);
    for (size_t i = 0; i < list->n; i++) {
        const loom_ckpt_entry *e = &list->items[i].e;
        loom_buf_printf(&b, "%s %s", e->name, e->is_text ? "text" : loom_dtype_name(e->dtype));
        for (int d = 0; d < e->rank; d++) loom_buf_printf(&b, " %" PRId64, e->shape[d]);
        loom_buf_printf(&b, " %zu %016" PRIx64 "\n", e->bytes, e->checksum);
    }
    digest = loom_hash64(loom_buf_text(&b), b.len, 0);
    loom_buf_release(&b);
    return digest;
}
