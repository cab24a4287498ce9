#include "train/run_names.h"

#include "trace/text/names.h"

loom_status loom_run_names(loom_buf *into, const loom_loader *shards, const char *base, size_t base_len, loom_err *err)
{
    loom_names names = {0};
    loom_status st = base ? loom_names_parse(&names, base, base_len, "names of the model", err) : LOOM_OK;

    for (int64_t i = 0; shards && i < loom_loader_shards(shards) && st == LOOM_OK; i++) {
        const loom_shard_info *info = loom_loader_shard(shards, i);
        st = loom_names_parse(&names, info->names, info->names_len, info->path, err);
    }
    if (st == LOOM_OK && names.microservices.n && (st = loom_names_sort(&names, err)) == LOOM_OK)
        loom_names_render(into, &names);
    loom_names_release(&names);
    return st;
}
