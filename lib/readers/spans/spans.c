/* The traces among the spans, one after the other. */
#include "readers/spans/spans.h"

#include <stdlib.h>

#include "core/num.h"
#include "readers/spans/span_calls.h"
#include "trace/graph/rows.h"

enum { MAX_SPANS = 1000000 }; /* of a trace */

typedef struct mapping {
    const loom_spans *s;
    loom_span_tree tree;
    loom_span_calls calls;
    int64_t began; /* ms, told by spans of our own; LOOM_SPAN_UNTOLD: at the earliest call */
    loom_arena arena;
    loom_intern ids;
    loom_span_counts here; /* of the trace at hand; joined to the others' when it is a graph */
} mapping;

/* ---- spans of our own making say it all ---- */

static bool all_ours(const loom_span_tree *t)
{
    for (int32_t i = 0; i < t->n; i++)
        if (!t->nodes[i].span->edge_id[0] || !t->nodes[i].span->caller[0]) return false;
    return t->n > 0;
}

/* False when an id cannot be read: then the spans are taken like those of others. */
static loom_status own_call(mapping *m, const loom_span *s, bool *readable, loom_err *err)
{
    int32_t id[LOOM_ID_MAX_COMPONENTS];
    int32_t n = loom_id_parse(id, LOOM_ID_MAX_COMPONENTS, s->edge_id, strlen(s->edge_id));

    *readable = n >= 1;
    if (!*readable) return LOOM_OK;
    LOOM_TRY(loom_span_calls_add(&m->calls, -1, s->caller, s->service, s, &m->arena, err));
    loom_call *c = &m->calls.items[m->calls.n - 1].call;
    int32_t *own = loom_arena_alloc(&m->arena, (size_t)n * sizeof *own);
    LOOM_TRY(loom_arena_check(&m->arena, "the spans of a trace", err));
    memcpy(own, id, (size_t)n * sizeof *own);
    c->id = own;
    c->n_id = n;
    m->here.untyped += c->type == LOOM_CALL_TYPES;
    if (c->type == LOOM_CALL_TYPES) c->type = LOOM_CALL_RPC;
    return LOOM_OK;
}

static loom_status own_calls(mapping *m, bool *ours, loom_err *err)
{
    const loom_span_tree *t = &m->tree;

    *ours = all_ours(t);
    for (int32_t i = 0; *ours && i < t->n; i++) LOOM_TRY(own_call(m, t->nodes[i].span, ours, err));
    if (!*ours) {
        m->calls.n = 0;
        m->here.untyped = 0;
        return LOOM_OK;
    }
    m->here.call_spans = m->here.callee_times = t->n;
    return LOOM_OK;
}

/* Times of our own, in ms; the spans are in the order of the calls. */
static int64_t own_times(mapping *m)
{
    int64_t base = loom_span_calls_time(&m->calls);

    for (size_t i = 0; i < m->calls.n; i++) {
        const loom_span *s = m->tree.nodes[i].span;
        loom_call *c = &m->calls.items[i].call;
        if (s->rt != LOOM_SPAN_UNTOLD) c->rt = s->rt;
        if (s->arrived != LOOM_SPAN_UNTOLD) m->began = base + c->arrived - s->arrived;
    }
    if (m->began == LOOM_SPAN_UNTOLD) return base;
    for (size_t i = 0; i < m->calls.n; i++) m->calls.items[i].call.arrived += base - m->began;
    return m->began;
}

/* ---- graphs ---- */

static void fill_graph(mapping *m, loom_graph *g, int64_t base)
{
    g->calls = loom_arena_alloc(&m->arena, m->calls.n * sizeof *g->calls);
    if (!g->calls) return; /* the arena tells */
    g->n_calls = (int32_t)m->calls.n;
    for (size_t i = 0; i < m->calls.n; i++) g->calls[i] = m->calls.items[i].call;
    g->time_of_day = (base % LOOM_MS_PER_DAY + LOOM_MS_PER_DAY) % LOOM_MS_PER_DAY;
    loom_graph_sort(g);
}

/* The service of a graph: told, or the first span's service and operation. */
static const char *graph_service(mapping *m)
{
    const loom_span_tree *t = &m->tree;
    loom_buf b = {0};

    for (int32_t i = 0; i < t->n; i++) {
        const char *told = t->nodes[i].span->service_id;
        if (told[0]) return loom_name_service(&m->arena, told, strlen(told));
    }
    const loom_span *s = t->nodes[t->root < 0 ? 0 : t->root].span;
    loom_buf_printf(&b, "%s:%s", s->service, s->operation);
    const char *name = loom_name_fit_record(&m->arena, loom_buf_text(&b));
    m->arena.failed |= loom_buf_failed(&b);
    loom_buf_release(&b);
    return name;
}

/* Counts a span that a trace cannot use, with the place of the first. */
static void leave_out(const mapping *m, loom_left_out *left, loom_left kind, const loom_span *s)
{
    loom_buf place = {0};

    if (!left->n[kind] && m->s->name) loom_buf_printf(&place, "%s, ", m->s->name);
    if (!left->n[kind]) loom_buf_printf(&place, "trace %s, span %s", loom_intern_text(&m->s->traces, s->trace), s->id);
    loom_left_add(left, kind, loom_buf_text(&place));
    loom_buf_release(&place);
}

/* What hangs on no first span, by reason. */
static void count_unreached(mapping *m)
{
    for (int32_t i = 0; i < m->tree.n; i++) {
        const loom_span_node *n = &m->tree.nodes[i];
        if (n->seen) continue;
        loom_left kind = n->parent == LOOM_NODE_NO_PARENT ? LOOM_LEFT_ORPHAN
                         : n->parent == LOOM_NODE_FIRST   ? LOOM_LEFT_EXTRA_ROOT
                                                          : LOOM_LEFT_BELOW;
        leave_out(m, &m->here.left, kind, n->span);
    }
}

/* The calls of another system's trace; *fault is why it is no graph. */
static loom_status found_calls(mapping *m, int *fault, loom_err *err)
{
    const loom_span_tree *t = &m->tree;
    int32_t roots = 0;

    *fault = t->orphans ? LOOM_SPANS_PARENTS_NOT_EXPORTED : LOOM_REASON_NO_ROOT;
    if (t->root < 0) return LOOM_OK;
    LOOM_TRY(loom_span_calls_walk(&m->calls, &m->tree, &m->here, &m->arena, err));
    count_unreached(m);
    m->here.not_exported = t->root_orphaned;
    for (size_t i = 0; i < m->calls.n; i++) roots += m->calls.items[i].parent < 0;
    *fault = roots ? LOOM_REASON_NOT_CONNECTED : LOOM_REASON_NO_ROOT;
    if (roots != 1) return LOOM_OK;
    *fault = LOOM_SPANS_TOO_LARGE;
    if (m->s->cut_outliving) m->here.cut = loom_span_calls_cut(&m->calls);
    if (loom_span_calls_number(&m->calls, &m->arena)) *fault = -1;
    return loom_arena_check(&m->arena, "the spans of a trace", err);
}

static void reset_trace(mapping *m)
{
    loom_left_out left = m->here.left;

    loom_left_reset(&left);
    m->here = (loom_span_counts){.left = left};
    loom_arena_reset(&m->arena);
    m->calls.n = 0;
    m->began = LOOM_SPAN_UNTOLD;
}

static loom_status make_graph(mapping *m, loom_graph *g, int *fault, loom_err *err)
{
    loom_verdict why;
    bool ours;

    *fault = LOOM_REASON_NO_ROOT;
    if (m->tree.n == 0) return LOOM_OK;
    LOOM_TRY(own_calls(m, &ours, err));
    if (!ours) {
        LOOM_TRY(found_calls(m, fault, err));
        if (*fault >= 0) return LOOM_OK;
    }
    fill_graph(m, g, ours ? own_times(m) : loom_span_calls_time(&m->calls));
    g->service = graph_service(m);
    LOOM_TRY(loom_arena_check(&m->arena, "the spans of a trace", err));
    loom_verdict_reset(&why);
    loom_graph_check(&why, g);
    *fault = why.n ? why.reasons[0] : -1;
    return LOOM_OK;
}

static loom_status map_trace(mapping *m, const loom_span *const *spans, int64_t n, loom_take_graph take, void *arg,
                             loom_span_counts *counts, loom_err *err)
{
    loom_graph g = {0};
    int fault = LOOM_SPANS_TOO_LARGE;

    reset_trace(m);
    counts->traces++;
    if (n > MAX_SPANS) {
        counts->rejected[fault]++;
        for (int64_t i = 0; i < n; i++) counts->rejected_spans[fault] += !spans[i]->lost;
        return LOOM_OK;
    }
    LOOM_TRY(loom_span_tree_build(&m->tree, spans, n, &m->arena, &m->ids, err));
    for (int32_t i = 0; i < m->tree.repeated; i++)
        leave_out(m, &counts->left, LOOM_LEFT_REPEATED_ID, m->tree.first_repeated);
    LOOM_TRY(make_graph(m, &g, &fault, err));
    if (fault >= 0) {
        counts->rejected[fault]++;
        counts->rejected_spans[fault] += m->tree.n;
        return LOOM_OK;
    }
    m->here.graphs = 1;
    m->here.calls = g.n_calls;
    loom_span_counts_join(counts, &m->here);
    return take(arg, &g, err);
}

static int by_trace(const void *a, const void *b)
{
    const loom_span *x = *(const loom_span *const *)a, *y = *(const loom_span *const *)b;
    if (x->trace != y->trace) return x->trace < y->trace ? -1 : 1;
    return (x > y) - (x < y); /* file order */
}

loom_status loom_spans_graphs(loom_spans *s, loom_take_graph take, void *arg, loom_span_counts *counts, loom_err *err)
{
    const loom_span **order = loom_alloc((size_t)s->n + 1, sizeof *order);
    mapping m = {.s = s};
    loom_status st = LOOM_OK;

    if (!order) return loom_fail_nomem(err, "spans");
    for (int64_t i = 0; i < s->n; i++) order[i] = &s->items[i];
    qsort(order, (size_t)s->n, sizeof *order, by_trace);
    counts->spans += s->met;
    counts->links += s->links;
    counts->unnamed += s->unnamed;
    loom_left_join(&counts->left, &s->left);
    for (int64_t i = 0, end; st == LOOM_OK && i < s->n; i = end) {
        for (end = i + 1; end < s->n && order[end]->trace == order[i]->trace; end++) {
        }
        st = map_trace(&m, order + i, end - i, take, arg, counts, err);
    }
    free(order);
    free(m.calls.items);
    loom_left_release(&m.here.left);
    loom_intern_release(&m.ids);
    loom_arena_release(&m.arena);
    return st;
}
