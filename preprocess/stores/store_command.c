#include "preprocess/stores/store_command.h"

#include "core/file.h"
#include "core/log.h"
#include "core/ranks.h"

static bool is_up_to_date(const loom_store_command *c, const loom_meta *meta)
{
    if (!loom_ranks_lead()) return false; /* rank 0 looks */
    return loom_meta_up_to_date(meta, c->ctx, c->outputs[0]) &&
           (!c->outputs[1] || loom_meta_up_to_date(meta, c->ctx, c->outputs[1]));
}

loom_status loom_store_command_run(const loom_store_command *c, loom_meta *meta, bool *ran, loom_err *err)
{
    loom_store_stream *s = c->stream;
    char **paths = NULL;
    size_t n = 0;
    bool idle;
    loom_status st;

    *ran = false;
    LOOM_TRY(loom_pool_new(&s->pool, (int)c->ctx->common.threads, err));
    if ((st = loom_store_stream_inputs(&paths, &n, c->ctx, meta, err)) != LOOM_OK) goto done;
    idle = is_up_to_date(c, meta);
    if ((st = loom_ranks_share(&idle, meta, c->ctx, err)) != LOOM_OK || idle) goto done;
    if (c->ctx->common.dry_run) {
        loom_info("%zu graph stores would be read, %s", n, c->would);
        goto done;
    }
    st = loom_store_stream_run(s, (const char *const *)paths, (int64_t)n, err);
    *ran = st == LOOM_OK;
done:
    loom_free_list(paths, n);
    loom_pool_free(s->pool);
    s->pool = NULL;
    return st;
}
