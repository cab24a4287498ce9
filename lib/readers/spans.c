/* From the spans of a trace to its calls. */
#include "readers/spans.h"

#include <stdlib.h>

#include "core/num.h"
#include "trace/rows.h"

enum { MAX_SPANS = 1000000, MAX_COMPONENTS = 1 << 26 }; /* of a trace; the latter of all its dotted ids together */

/* A span in its trace. */
typedef struct node {
    const loom_span *span;
    int32_t parent;          /* node, -1: first span, -2: not there */
    int32_t child, next;     /* first child, next sibling; -1 none */
    int32_t call;            /* call that is on when its children start */
    const char *in;          /* service that its children start from */
    bool seen;
} node;

typedef struct found_call {
    int32_t parent;          /* call, -1 for the root */
    int64_t start, end;      /* ms */
    int32_t order;           /* of discovery: settles equal starts */
    loom_call call;
} found_call;

typedef struct mapping {
    node *nodes;
    int32_t n_nodes;
    found_call *calls;
    size_t n_calls, cap_calls;
    int64_t began;           /* ms, told by spans of our own; LOOM_SPAN_UNTOLD: at the earliest call */
    loom_arena arena;
    loom_intern ids;
    loom_span_counts *counts;
} mapping;

/* Microseconds to milliseconds, rounded half up. */
static int64_t to_ms(int64_t us) { return (us + 500) / 1000; }

/* Names stand in records: no blanks, bars or control bytes. */
static const char *fit_name(loom_arena *arena, const char *text)
{
    char *copy = loom_arena_strdup(arena, text[0] ? text : "unknown", text[0] ? strlen(text) : 7);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == '|' || *p == 0x7f) *p = '_';
    return loom_name_microservice(arena, copy, strlen(copy));
}

static loom_status add_call(mapping *m, int32_t parent, const char *from, const char *to, const loom_span *span,
                            loom_err *err)
{
    loom_status st = loom_grow(&m->calls, &m->cap_calls, m->n_calls + 1, sizeof *m->calls, err);

    if (st != LOOM_OK) return st;
    found_call *c = &m->calls[m->n_calls];
    *c = (found_call){
        .parent = parent, .start = to_ms(span->start), .end = to_ms(span->end), .order = (int32_t)m->n_calls};
    m->counts->untyped += span->type == LOOM_CALL_TYPES;
    c->call = (loom_call){.type = span->type == LOOM_CALL_TYPES ? LOOM_CALL_RPC : span->type,
                          .source = fit_name(&m->arena, from), .destination = fit_name(&m->arena, to)};
    m->n_calls++;
    return LOOM_OK;
}

/* Is the callee that a client span names on its own, without a span that would show the call again? */
static bool names_callee(const mapping *m, const node *n)
{
    const loom_span *s = n->span;
    bool crossing = false, same = false;

    if (!s->callee[0]) return false;
    if (strcmp(s->callee, s->service) == 0 && s->kind != LOOM_SPAN_CLIENT) return false;
    for (int32_t c = n->child; c >= 0; c = m->nodes[c].next) {
        const char *service = m->nodes[c].span->service;
        same = same || strcmp(service, s->callee) == 0;
        crossing = crossing || strcmp(service, s->service) != 0;
    }
    return !crossing || same;
}

static loom_status visit(mapping *m, node *n, int32_t call, const char *in, loom_err *err)
{
    const loom_span *s = n->span;
    size_t before = m->n_calls;

    n->seen = true;
    bool from_user = strcmp(s->service, LOOM_SPAN_USER) == 0;
    if (!from_user && strcmp(in, s->service) != 0) {
        LOOM_TRY(add_call(m, call, in, s->service, s, err));
        call = (int32_t)m->n_calls - 1;
    }
    n->in = s->service;
    if (names_callee(m, n)) {
        LOOM_TRY(add_call(m, call, s->service, s->callee, s, err));
        call = (int32_t)m->n_calls - 1;
        n->in = s->callee;
    }
    n->call = call;
    m->counts->inside += m->n_calls == before;
    return LOOM_OK;
}

/* Depth first without recursion: traces from outside may be deep. */
static loom_status walk(mapping *m, int32_t root, loom_err *err)
{
    int32_t at = root;

    LOOM_TRY(visit(m, &m->nodes[root], -1, LOOM_SPAN_USER, err));
    for (int32_t down = m->nodes[root].child;;) {
        if (down >= 0) {
            LOOM_TRY(visit(m, &m->nodes[down], m->nodes[at].call, m->nodes[at].in, err));
            at = down;
            down = m->nodes[at].child;
            continue;
        }
        while (at != root && m->nodes[at].next < 0) at = m->nodes[at].parent;
        if (at == root) return LOOM_OK;
        down = m->nodes[at].next;
        at = m->nodes[at].parent;
    }
}

/* Parent and child links; returns the first span, -1 when there is none. */
static int32_t link_nodes(mapping *m)
{
    int32_t root = -1;

    for (int32_t i = 0; i < m->n_nodes; i++) {
        node *n = &m->nodes[i];
        int64_t known = n->span->parent[0] ? loom_intern_find(&m->ids, n->span->parent, strlen(n->span->parent)) : -1;
        n->parent = !n->span->parent[0] ? -1 : known < 0 ? -2 : (int32_t)known;
        m->counts->orphans += n->parent == -2;
        if (n->parent != -1) continue;
        if (root >= 0) m->counts->extra_roots++;
        if (root < 0 || n->span->start < m->nodes[root].span->start) root = i;
    }
    for (int32_t i = m->n_nodes - 1; i >= 0; i--) { /* backwards: siblings end up in file order */
        node *n = &m->nodes[i];
        if (n->parent < 0) continue;
        n->next = m->nodes[n->parent].child;
        m->nodes[n->parent].child = i;
    }
    return root;
}

static int by_parent_and_start(const void *a, const void *b)
{
    const found_call *x = *(found_call *const *)a, *y = *(found_call *const *)b;
    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Dotted ids: a parent is found before its children, so in the order of parents every parent has its id in time. False:
 * no record holds as deep or as many ids. */
static bool number_calls(mapping *m)
{
    found_call **order = loom_arena_alloc(&m->arena, m->n_calls * sizeof *order);
    int32_t number = 0;
    int64_t components = 0;

    for (size_t i = 0; i < m->n_calls; i++) order[i] = &m->calls[i];
    qsort(order, m->n_calls, sizeof *order, by_parent_and_start);
    for (size_t i = 0; i < m->n_calls; i++) {
        found_call *c = order[i];
        number = i && order[i - 1]->parent == c->parent ? number + 1 : 1;
        const loom_call *up = c->parent >= 0 ? &m->calls[c->parent].call : NULL;
        int32_t n = up ? up->n_id + 1 : 1;
        if (n > LOOM_ID_MAX_COMPONENTS || (components += n) > MAX_COMPONENTS) return false;
        int32_t *id = loom_arena_alloc(&m->arena, (size_t)n * sizeof *id);
        if (up) memcpy(id, up->id, (size_t)up->n_id * sizeof *id);
        id[n - 1] = up ? number : 0;
        c->call.id = id;
        c->call.n_id = n;
    }
    return true;
}

/* Spans of our own making say it all. */
static bool own_calls(mapping *m, loom_err *err)
{
    for (int32_t i = 0; i < m->n_nodes; i++)
        if (!m->nodes[i].span->edge_id[0] || !m->nodes[i].span->caller[0]) return false;
    for (int32_t i = 0; i < m->n_nodes; i++) {
        const loom_span *s = m->nodes[i].span;
        int32_t id[LOOM_ID_MAX_COMPONENTS];
        int32_t n = loom_id_parse(id, LOOM_ID_MAX_COMPONENTS, s->edge_id, strlen(s->edge_id));
        if (n < 1 || add_call(m, -1, s->caller, s->service, s, err) != LOOM_OK) {
            m->n_calls = 0;
            return false;
        }
        found_call *c = &m->calls[m->n_calls - 1];
        int32_t *own = loom_arena_alloc(&m->arena, (size_t)n * sizeof *own);
        memcpy(own, id, (size_t)n * sizeof *own);
        c->call.id = own;
        c->call.n_id = n;
        if (s->rt != LOOM_SPAN_UNTOLD) c->end = c->start + s->rt;
        if (s->arrived != LOOM_SPAN_UNTOLD) m->began = c->start - s->arrived;
    }
    return true;
}

static void fill_graph(mapping *m, loom_graph *g)
{
    int64_t base = m->calls[0].start;

    for (size_t i = 0; i < m->n_calls; i++) base = loom_min_i64(base, m->calls[i].start);
    if (m->began != LOOM_SPAN_UNTOLD) base = m->began;
    g->n_calls = (int32_t)m->n_calls;
    g->calls = loom_arena_alloc(&m->arena, m->n_calls * sizeof *g->calls);
    for (size_t i = 0; i < m->n_calls; i++) {
        g->calls[i] = m->calls[i].call;
        g->calls[i].arrived = m->calls[i].start - base;
        g->calls[i].rt = m->calls[i].end - m->calls[i].start;
    }
    g->time_of_day = (base % LOOM_MS_PER_DAY + LOOM_MS_PER_DAY) % LOOM_MS_PER_DAY;
    loom_graph_sort(g);
}

/* The service of a graph: told, or the first span's service and operation. */
static const char *graph_service(mapping *m, int32_t root)
{
    loom_buf b = {0};

    for (int32_t i = 0; i < m->n_nodes; i++) {
        const char *told = m->nodes[i].span->service_id;
        if (told[0]) return loom_name_service(&m->arena, told, strlen(told));
    }
    const loom_span *s = m->nodes[root].span;
    loom_buf_printf(&b, "%s:%s", s->service, s->operation);
    const char *name = fit_name(&m->arena, b.data);
    loom_buf_release(&b);
    return name;
}

static void collect_nodes(mapping *m, const loom_span *const *spans, int64_t n)
{
    m->nodes = loom_arena_alloc(&m->arena, (size_t)n * sizeof *m->nodes);
    m->n_nodes = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t known = (int64_t)m->ids.n;
        if (loom_intern_add(&m->ids, spans[i]->id, strlen(spans[i]->id)) != known) {
            m->counts->repeated_ids++;
            continue;
        }
        m->nodes[m->n_nodes++] = (node){.span = spans[i], .parent = -1, .child = -1, .next = -1, .call = -1};
    }
}

static loom_status map_trace(mapping *m, const loom_span *const *spans, int64_t n, loom_take_graph take, void *arg,
                             loom_err *err)
{
    loom_graph g = {0};
    loom_verdict why;

    loom_arena_reset(&m->arena);
    loom_intern_release(&m->ids);
    m->n_calls = 0;
    m->began = LOOM_SPAN_UNTOLD;
    if (n > MAX_SPANS) {
        m->counts->too_large++;
        return LOOM_OK;
    }
    collect_nodes(m, spans, n);
    int32_t root = link_nodes(m);
    if (!own_calls(m, err)) {
        if (root < 0) {
            m->counts->rejected[LOOM_REASON_NO_ROOT]++;
            return LOOM_OK;
        }
        LOOM_TRY(walk(m, root, err));
        for (int32_t i = 0; i < m->n_nodes; i++)
            m->counts->below_orphans += !m->nodes[i].seen && m->nodes[i].parent != -2;
        int32_t roots = 0;
        for (size_t i = 0; i < m->n_calls; i++) roots += m->calls[i].parent < 0;
        if (roots != 1) {
            m->counts->rejected[roots ? LOOM_REASON_NOT_CONNECTED : LOOM_REASON_NO_ROOT]++;
            return LOOM_OK;
        }
        if (!number_calls(m)) {
            m->counts->too_large++;
            return LOOM_OK;
        }
    }
    fill_graph(m, &g);
    g.service = graph_service(m, root < 0 ? 0 : root);
    loom_verdict_reset(&why);
    loom_graph_check(&why, &g);
    if (why.n) {
        m->counts->rejected[why.reasons[0]]++;
        return LOOM_OK;
    }
    m->counts->graphs++;
    m->counts->calls += g.n_calls;
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
    mapping m = {.counts = counts};
    loom_status st = LOOM_OK;

    if (!order) return loom_fail_nomem(err, "spans");
    for (int64_t i = 0; i < s->n; i++) order[i] = &s->items[i];
    qsort(order, (size_t)s->n, sizeof *order, by_trace);
    counts->spans += s->n + s->bad_times;
    counts->bad_times += s->bad_times;
    for (int64_t i = 0, end; st == LOOM_OK && i < s->n; i = end) {
        for (end = i + 1; end < s->n && order[end]->trace == order[i]->trace; end++) {
        }
        counts->traces++;
        st = map_trace(&m, order + i, end - i, take, arg, err);
    }
    free(order);
    free(m.calls);
    loom_intern_release(&m.ids);
    loom_arena_release(&m.arena);
    return st;
}
