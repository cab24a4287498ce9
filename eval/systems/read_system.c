#include "eval/systems/read_system.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/num.h"

/* What was read and what could not be used, to the user and into the provenance. */
static void report(const loom_source *s, loom_meta *meta, const char *key)
{
    loom_buf text = {0};
    loom_jw w;

    loom_source_render_counts(s, &text);
    loom_verbose("%s", loom_buf_text(&text));
    if (loom_source_rejected(s) || s->seen_spans || s->seen_csv) loom_info("%s", loom_buf_text(&text));
    if (s->split_traces)
        loom_warn(
            "%lld traces came back in a later file (first: %s): their pieces are graphs of their own, or lost; give --merge "
            "to put them together",
            (long long)s->split_traces, loom_buf_text(&s->first_split));
    loom_buf_reset(&text);
    loom_jw_init(&w, &text, false);
    loom_source_json_counts(s, &w);
    if (meta) loom_meta_json(meta, key, loom_buf_text(&text));
    loom_buf_release(&text);
}

loom_status loom_read_tally(void *tally, const loom_tally_kind *kind, const loom_ctx *ctx, char *const *paths,
                            int n_paths, bool merge, loom_meta *meta, const char *key, loom_err *err)
{
    loom_pool *pool = NULL;
    loom_source source = {.merge = merge};
    LOOM_TRY(loom_pool_new(&pool, (int)ctx->common.threads, err));
    int n = loom_pool_threads(pool);
    char *all = loom_calloc((size_t)n, kind->size);
    loom_status st = all ? LOOM_OK : loom_fail_nomem(err, "the threads' counts");
    for (int t = 0; st == LOOM_OK && t < n; t++)
        memcpy(all + (size_t)t * kind->size, tally, kind->size); /* its settings */
    loom_feed feed = {.tallies = all, .size = kind->size, .add = kind->add};
    if (st == LOOM_OK) st = loom_feed_read(&feed, paths, n_paths, pool, &source, err);
    for (int t = 1; t < n && all; t++) {
        if (st == LOOM_OK) st = kind->join(all, all + (size_t)t * kind->size, err);
        kind->release(all + (size_t)t * kind->size);
    }
    if (st == LOOM_OK) st = kind->join(tally, all, err); /* into an empty one: in an order that no thread has made */
    if (all) kind->release(all);
    if (st == LOOM_OK) report(&source, meta, key);
    loom_source_release(&source);
    loom_pool_free(pool);
    free(all);
    return st;
}

static loom_status add(void *tally, const loom_graph *g, loom_err *err) { return loom_system_tally_add(tally, g, err); }
static loom_status join(void *into, void *from, loom_err *err) { return loom_system_tally_join(into, from, err); }
static void release(void *tally) { loom_system_tally_release(tally); }

loom_status loom_read_system(loom_system_tally *tally, const loom_ctx *ctx, char *const *paths, int n_paths,
                             bool per_service, bool merge, loom_meta *meta, loom_err *err)
{
    const loom_tally_kind kind = {sizeof *tally, add, join, release};
    tally->ops.per_service = per_service;
    return loom_read_tally(tally, &kind, ctx, paths, n_paths, merge, meta, "counts", err);
}
