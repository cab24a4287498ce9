#include "preprocess/rows/graph_build.h"

#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/num.h"
#include "preprocess/rows/record_pairs.h"
#include "trace/graph/record.h"
#include "trace/graph/rows.h"

enum { TRACES_PER_ITEM = 512, ITEMS_PER_THREAD = 4 };

/* What one thread needs while building. */
typedef struct builder {
    loom_arena arena;
    loom_row *rows;
    size_t cap_rows;
    bool failed;               /* memory ran out */
    loom_graphs_counts counts; /* graphs, edges, repeated ids, rejected, reasons */
} builder;

typedef struct batch_item {
    loom_buf records, verdicts;
} batch_item;

/* Two sets of items: one is built while the other is written. */
typedef struct build_run {
    const loom_graph_build *conf;
    builder *builders; /* (n_threads) */
    int n_threads;
    batch_item *items[2]; /* (n_items) each */
    int64_t n_items;
    size_t first;       /* trace of item 0 of the set that is built */
    int set;            /* index of that set */
    loom_status status; /* of writing */
    loom_err err;
} build_run;

/* ---- one trace ---- */

static bool from_root(const loom_graph_build *b) { return b->join->conf.service_from_root; }

/* The rows of a trace with their names; returns the number of its smallest service. */
static uint32_t gather(const loom_graph_build *c, builder *b, const uint32_t *refs, size_t n)
{
    const loom_row_join *j = c->join;
    uint32_t service = loom_raw_row_at(c->chunks, refs[0])->service;
    for (size_t i = 0; i < n; i++) {
        const loom_raw_row *r = loom_raw_row_at(c->chunks, refs[i]);
        b->rows[i] = (loom_row){.timestamp = r->timestamp,
                                .rt = r->rt,
                                .id_text = j->id_texts[r->id],
                                .id = j->ids[r->id],
                                .n_id = j->id_lens[r->id],
                                .type = (loom_call_type)r->type,
                                .source = j->names[r->source],
                                .destination = j->names[r->destination],
                                .service = ""};
        if (r->service != service && !from_root(c) && strcmp(j->service_raw[r->service], j->service_raw[service]) < 0)
            service = r->service;
    }
    return service;
}

/* With --service-from root: the number of the destination of the first call in dotted-id order. */
static uint32_t root_callee(const loom_graph_build *c, const uint32_t *refs, size_t n, const loom_call *root)
{
    for (size_t i = 0; i < n; i++) {
        const loom_raw_row *r = loom_raw_row_at(c->chunks, refs[i]);
        if (c->join->ids[r->id] == root->id && c->join->names[r->destination] == root->destination)
            return r->destination;
    }
    return 0;
}

static void count_verdict(builder *b, const loom_verdict *v)
{
    bool seen[LOOM_REASONS] = {false};
    b->counts.rejected[v->reasons[0]]++;
    for (int32_t i = 0; i < v->n && i < LOOM_VERDICT_MAX; i++) {
        if (!seen[v->reasons[i]]) b->counts.reasons[v->reasons[i]]++;
        seen[v->reasons[i]] = true;
    }
}

/* Tables that name no service are those that tell the sides of a call by the sign of rt. */
static bool build_calls(const loom_graph_build *c, builder *b, loom_graph *g, int64_t n)
{
    loom_record_pairs pairs = {0};
    int64_t twins = from_root(c) ? loom_record_pairs_join(&pairs, b->rows, n, &b->arena) : 0;

    int64_t repeated = b->arena.failed ? -1 : loom_rows_to_graph(g, b->rows, n - twins, &b->arena);
    if (repeated < 0) return false;
    b->counts.repeated_ids += twins + repeated;
    b->counts.callee_twins += twins;
    b->counts.callee_only += pairs.callee_only;
    b->counts.moved_calls += loom_record_pairs_fit(&pairs, g, &b->arena);
    return !b->arena.failed;
}

static void reject_large(const loom_graph_build *c, builder *b, const char *traceid, batch_item *item)
{
    b->counts.rejected[LOOM_TRACE_TOO_LARGE]++;
    b->counts.reasons[LOOM_TRACE_TOO_LARGE]++;
    if (c->verdicts)
        loom_graphs_render_verdict(&item->verdicts, traceid, NULL, loom_trace_fault_name(LOOM_TRACE_TOO_LARGE), 0);
}

static void build_trace(const loom_graph_build *c, builder *b, uint32_t trace, batch_item *item)
{
    const uint32_t *starts = c->groups->starts + trace, *refs = c->groups->refs + starts[0];
    size_t n = starts[1] - starts[0];
    const char *traceid = loom_texts_at(&c->join->traces, trace);
    loom_graph g;
    loom_verdict v = {0};
    if (n > LOOM_TRACE_MAX_ROWS) {
        reject_large(c, b, traceid, item);
        return;
    }
    loom_arena_reset(&b->arena);
    b->failed |= loom_grow(&b->rows, &b->cap_rows, n, sizeof *b->rows, NULL) != LOOM_OK;
    if (b->failed) return;
    uint32_t service = gather(c, b, refs, n);
    if ((b->failed = !build_calls(c, b, &g, (int64_t)n))) return;
    if (from_root(c)) service = root_callee(c, refs, n, &g.calls[0]);
    g.service = c->join->service_out[service];
    loom_graph_check(&v, &g);
    if (c->verdicts) loom_graphs_render_verdict(&item->verdicts, traceid, &v, NULL, g.n_calls);
    if (v.n) {
        count_verdict(b, &v);
        return;
    }
    b->counts.graphs++;
    b->counts.edges += g.n_calls;
    loom_record_render(&item->records, &g);
    loom_buf_char(&item->records, '\n');
}

/* ---- all traces ---- */

static void build_item(build_run *build, int64_t item, int thread)
{
    const loom_trace_groups *groups = build->conf->groups;
    builder *b = &build->builders[thread];
    batch_item *to = &build->items[build->set][item];
    size_t first = build->first + (size_t)item * TRACES_PER_ITEM, end = first + TRACES_PER_ITEM;
    loom_buf_reset(&to->records);
    loom_buf_reset(&to->verdicts);
    for (size_t i = first; i < end && i < groups->n; i++) build_trace(build->conf, b, groups->order[i].trace, to);
    b->failed |= loom_buf_failed(&to->records) || loom_buf_failed(&to->verdicts);
}

static void write_set(build_run *build)
{
    batch_item *items = build->items[1 - build->set];
    loom_out *out = build->conf->out, *verdicts = build->conf->verdicts;
    for (int64_t i = 0; i < build->n_items && build->status == LOOM_OK; i++) {
        build->status = loom_out_write(out, items[i].records.data, items[i].records.len, &build->err);
        if (build->status == LOOM_OK && verdicts)
            build->status = loom_out_write(verdicts, items[i].verdicts.data, items[i].verdicts.len, &build->err);
        loom_buf_reset(&items[i].records);
        loom_buf_reset(&items[i].verdicts);
    }
}

/* Item 0 writes the set before, which is slow because of the compression; the others build. */
static void build_or_write(void *arg, int64_t item, int thread)
{
    build_run *build = arg;
    if (item == 0) write_set(build);
    else build_item(build, item - 1, thread);
}

static void release_run(build_run *build)
{
    for (int i = 0; build->builders && i < build->n_threads; i++) {
        loom_arena_release(&build->builders[i].arena);
        free(build->builders[i].rows);
    }
    for (int set = 0; set < 2; set++) {
        for (int64_t i = 0; build->items[set] && i < build->n_items; i++) {
            loom_buf_release(&build->items[set][i].records);
            loom_buf_release(&build->items[set][i].verdicts);
        }
        free(build->items[set]);
    }
    free(build->builders);
}

static loom_status build_sets(build_run *build, loom_err *err)
{
    size_t step = (size_t)build->n_items * TRACES_PER_ITEM;
    for (; build->first < build->conf->groups->n && build->status == LOOM_OK; build->first += step) {
        if (loom_stop_requested())
            return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        loom_pool_for(build->conf->pool, build->n_items + 1, build_or_write, build);
        build->set = 1 - build->set;
    }
    if (build->status == LOOM_OK) write_set(build);
    if (build->status != LOOM_OK && err) *err = build->err;
    return build->status;
}

loom_status loom_graph_build_run(const loom_graph_build *b, loom_graphs_counts *counts, loom_err *err)
{
    int n_threads = loom_pool_threads(b->pool);
    build_run build = {.conf = b, .n_threads = n_threads, .n_items = (int64_t)n_threads * ITEMS_PER_THREAD};
    build.builders = loom_calloc((size_t)n_threads, sizeof *build.builders);
    build.items[0] = loom_calloc((size_t)build.n_items, sizeof *build.items[0]);
    build.items[1] = loom_calloc((size_t)build.n_items, sizeof *build.items[1]);
    bool room = build.builders && build.items[0] && build.items[1];
    loom_status st = room ? build_sets(&build, err) : loom_fail_nomem(err, "building graphs");
    for (int i = 0; i < n_threads && st == LOOM_OK; i++) {
        loom_graphs_counts_add(counts, &build.builders[i].counts);
        if (build.builders[i].failed) st = loom_fail_nomem(err, "building graphs");
    }
    release_run(&build);
    return st;
}

/* ---- traces without rows ---- */

/* By trace id: their numbers depend on which thread saw them first. */
loom_status loom_graph_build_empty(const loom_graph_build *b, loom_err *err)
{
    const loom_texts *traces = &b->join->traces;
    const uint32_t *starts = b->groups->starts;
    loom_buf line = {0};
    loom_status st = LOOM_OK;
    size_t n = 0;
    const char **names = loom_alloc(traces->n, sizeof *names);
    if (!names) return loom_fail_nomem(err, "the list of verdicts");
    for (size_t t = 0; t < traces->n; t++)
        if (starts[t + 1] == starts[t]) names[n++] = loom_texts_at(traces, (uint32_t)t);
    qsort(names, n, sizeof *names, loom_compare_texts);
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        loom_buf_reset(&line);
        loom_graphs_render_verdict(&line, names[i], NULL, loom_trace_fault_name(LOOM_TRACE_NO_ROWS_LEFT), 0);
        if ((st = loom_buf_check(&line, "a verdict", err)) != LOOM_OK) break;
        st = loom_out_write(b->verdicts, line.data, line.len, err);
    }
    loom_buf_release(&line);
    free(names);
    return st;
}
