#include "system/graph_feed.h"

#include <stdlib.h>

#include "core/num.h"
#include "trace/graph/record.h"

enum { BLOCKS_A_THREAD = 8 };

/* What a thread makes of its lines. */
typedef struct worker {
    loom_arena arena;
    int64_t records, graphs, rejected[LOOM_REASONS];
    loom_status st;
    loom_err err;
} worker;

typedef struct feeding {
    loom_feed *f;
    loom_pool *pool;
    loom_source *source;
    worker *workers;
    int n_workers;
    const char *text;
    const size_t *ends; /* of the blocks of `text` */
} feeding;

static void *tally_of(const feeding *w, int thread) { return (char *)w->f->tallies + (size_t)thread * w->f->size; }

static void take_line(feeding *w, worker *me, int thread, const char *line, size_t len)
{
    loom_graph g;
    loom_verdict why;

    loom_arena_reset(&me->arena);
    me->records++;
    if (!loom_record_read(&g, &why, line, len, &me->arena)) {
        me->rejected[why.n ? why.reasons[0] : LOOM_REASON_NUM_COLUMNS]++;
        return;
    }
    me->graphs++;
    me->st = loom_arena_check(&me->arena, "a graph", &me->err);
    if (me->st == LOOM_OK) me->st = w->f->add(tally_of(w, thread), &g, &me->err);
}

static void take_block(void *arg, int64_t block, int thread)
{
    feeding *w = arg;
    worker *me = &w->workers[thread];
    size_t at = block ? w->ends[block - 1] : 0, end = w->ends[block];

    while (at < end && me->st == LOOM_OK) {
        const char *lf = memchr(w->text + at, '\n', end - at);
        size_t n = lf ? (size_t)(lf - w->text) - at : end - at;
        size_t bare = n && w->text[at + n - 1] == '\r' ? n - 1 : n;
        if (bare) take_line(w, me, thread, w->text + at, bare);
        at += n + 1;
    }
}

static loom_status take_lines(void *arg, const char *text, size_t len, loom_err *err)
{
    feeding *w = arg;
    size_t ends[64 * BLOCKS_A_THREAD], n = (size_t)w->n_workers * BLOCKS_A_THREAD, blocks = 0;

    if (n > 64 * BLOCKS_A_THREAD) n = 64 * BLOCKS_A_THREAD;
    for (size_t b = 0, from = 0; b < n && from < len; b++) {
        size_t wish = loom_max_i64((int64_t)(len / n * (b + 1)), (int64_t)from + 1) > (int64_t)len || b + 1 == n
                          ? len
                          : (size_t)loom_max_i64((int64_t)(len / n * (b + 1)), (int64_t)from + 1);
        const char *lf = wish < len ? memchr(text + wish, '\n', len - wish) : NULL;
        from = ends[blocks++] = lf ? (size_t)(lf - text) + 1 : len;
    }
    w->text = text;
    w->ends = ends;
    loom_pool_for(w->pool, (int64_t)blocks, take_block, w);
    w->f->done = 0;
    for (int t = 0; t < w->n_workers; t++) {
        w->f->done += w->workers[t].graphs;
        if (w->workers[t].st == LOOM_OK) continue;
        if (err) *err = w->workers[t].err;
        return w->workers[t].st;
    }
    return LOOM_OK;
}

static loom_status take_graph(void *arg, const loom_graph *g, loom_err *err)
{
    feeding *w = arg;
    return w->f->add(tally_of(w, 0), g, err);
}

static void add_counts(const feeding *w)
{
    for (int t = 0; t < w->n_workers; t++) {
        w->source->records += w->workers[t].records;
        w->source->graphs += w->workers[t].graphs;
        for (int r = 0; r < LOOM_REASONS; r++) w->source->rejected[r] += w->workers[t].rejected[r];
        loom_arena_release(&w->workers[t].arena);
    }
}

static loom_status fail_empty(const loom_source *source, char *const *paths, int n_paths, loom_err *err)
{
    loom_buf counts = {0};
    loom_source_render_counts(source, &counts);
    loom_status st = loom_fail(err, LOOM_STATUS_FORMAT, "%s%s: no valid call graph in the input: %s", paths[0],
                               n_paths > 1 ? ", ..." : "", loom_buf_text(&counts));
    loom_buf_release(&counts);
    return st;
}

loom_status loom_feed_read(loom_feed *f, char *const *paths, int n_paths, loom_pool *pool, loom_source *source,
                           loom_err *err)
{
    feeding w = {.f = f, .pool = pool, .source = source, .n_workers = loom_pool_threads(pool)};
    loom_status st = LOOM_OK;

    w.workers = loom_calloc((size_t)w.n_workers, sizeof *w.workers);
    if (!w.workers) return loom_fail_nomem(err, "the threads' counts");
    source->take_lines = take_lines;
    for (int i = 0; st == LOOM_OK && i < n_paths; i++) st = loom_source_read(source, paths[i], take_graph, &w, err);
    if (st == LOOM_OK) st = loom_source_finish(source, take_graph, &w, err);
    add_counts(&w);
    free(w.workers);
    if (st == LOOM_OK && source->graphs == 0) st = fail_empty(source, paths, n_paths, err);
    return st;
}
