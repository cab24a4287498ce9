#include "readers/spans/span_tree.h"

#include "core/num.h"

/* Zipkin's two sides of a call may share an id: the client's half and the server's. */
typedef struct halves {
    int32_t out, in; /* of all spans of the trace, -1 none; alone: whichever it is, in `out` */
} halves;

typedef struct builder {
    loom_span_tree *t;
    const loom_span *const *spans;
    int32_t n;
    halves *of_id;
    int32_t *id, *up, *node; /* by span: its id's number, parent span or LOOM_NODE_..., node (-1: lost) */
} builder;

static bool complement(const loom_span *out, const loom_span *in)
{
    return (out->kind == LOOM_SPAN_CLIENT && in->kind == LOOM_SPAN_SERVER) ||
           (out->kind == LOOM_SPAN_PRODUCER && in->kind == LOOM_SPAN_CONSUMER);
}

/* False: another span has the id. */
static bool claim_id(builder *b, int32_t i, halves *h)
{
    const loom_span *s = b->spans[i];

    if (h->out < 0) {
        h->out = i;
        return true;
    }
    if (h->in >= 0) return false;
    const loom_span *other = b->spans[h->out];
    if (complement(other, s)) h->in = i;
    else if (complement(s, other)) h->in = h->out, h->out = i;
    else return false;
    return true;
}

static bool claim_ids(builder *b, loom_intern *ids)
{
    for (int32_t i = 0; i < b->n; i++) {
        int64_t known = (int64_t)ids->n;
        b->id[i] = (int32_t)loom_intern_add(ids, b->spans[i]->id, strlen(b->spans[i]->id));
        if (b->id[i] < 0) return false;
        if (b->id[i] == known) b->of_id[known] = (halves){-1, -1};
        if (claim_id(b, i, &b->of_id[b->id[i]])) continue;
        b->id[i] = -1;
        if (b->spans[i]->lost) continue;
        if (b->t->repeated++ == 0) b->t->first_repeated = b->spans[i];
    }
    return true;
}

/* Which half of an id is a span's parent: the server's, unless the span is in the client's service. */
static int32_t parent_half(const builder *b, int32_t i, const halves *h)
{
    const loom_span *s = b->spans[i];

    if (h->in < 0 || h->out == i) return h->out;
    bool at_client = strcmp(s->service, b->spans[h->out]->service) == 0;
    bool at_server = strcmp(s->service, b->spans[h->in]->service) == 0;
    return at_client && !at_server ? h->out : h->in;
}

static int32_t parent_span(const builder *b, int32_t i, const loom_intern *ids)
{
    const loom_span *s = b->spans[i];
    const halves *own = &b->of_id[b->id[i]];

    if (own->in == i) return own->out;
    if (!s->parent[0]) return LOOM_NODE_FIRST;
    int64_t id = loom_intern_find(ids, s->parent, strlen(s->parent));
    return id < 0 ? LOOM_NODE_NO_PARENT : parent_half(b, i, &b->of_id[id]);
}

/* Spans that are lost stand for their parents: what hangs on them hangs on the next one above that is there. Each chain
 * is walked once; one that leads into itself, or to a lost span without a parent, ends in nothing. */
static void pass_lost(builder *b)
{
    for (int32_t i = 0; i < b->n; i++) b->node[i] = -1;
    for (int32_t i = 0; i < b->n; i++) {
        int32_t at = i;
        if (!b->spans[i]->lost || b->id[i] < 0) continue;
        while (at >= 0 && b->spans[at]->lost && b->node[at] != i) {
            b->node[at] = i; /* been here */
            at = b->up[at];
        }
        int32_t end = at < 0 || b->spans[at]->lost ? LOOM_NODE_NO_PARENT : at;
        for (at = i; at >= 0 && b->spans[at]->lost && b->up[at] != end;) {
            int32_t above = b->up[at];
            b->up[at] = end;
            at = above;
        }
    }
    for (int32_t i = 0; i < b->n; i++)
        if (b->up[i] >= 0 && !b->spans[i]->lost && b->spans[b->up[i]]->lost) b->up[i] = b->up[b->up[i]];
}

static void make_nodes(builder *b)
{
    loom_span_tree *t = b->t;

    for (int32_t i = 0; i < b->n; i++) {
        b->node[i] = b->spans[i]->lost || b->id[i] < 0 ? -1 : t->n++;
        if (b->node[i] >= 0)
            t->nodes[b->node[i]] =
                (loom_span_node){.span = b->spans[i], .child = -1, .next = -1, .call = -1, .implied = -1};
    }
    for (int32_t i = 0; i < b->n; i++)
        if (b->node[i] >= 0) t->nodes[b->node[i]].parent = b->up[i] < 0 ? b->up[i] : b->node[b->up[i]];
    for (int32_t i = t->n - 1; i >= 0; i--) { /* backwards: siblings end up in the order of the file */
        loom_span_node *n = &t->nodes[i];
        if (n->parent < 0) continue;
        n->next = t->nodes[n->parent].child;
        t->nodes[n->parent].child = i;
    }
}

/* The earliest span without a parent; else the only one whose parent was never exported. */
static void find_root(loom_span_tree *t)
{
    int32_t orphan = -1;

    t->root = -1;
    for (int32_t i = 0; i < t->n; i++) {
        const loom_span_node *n = &t->nodes[i];
        if (n->parent == LOOM_NODE_NO_PARENT) t->orphans++, orphan = i;
        if (n->parent != LOOM_NODE_FIRST) continue;
        if (t->root < 0 || n->span->start < t->nodes[t->root].span->start) t->root = i;
    }
    if (t->root >= 0 || t->orphans != 1) return;
    t->root = orphan;
    t->root_orphaned = true;
    t->orphans = 0;
}

loom_status loom_span_tree_build(loom_span_tree *t, const loom_span *const *spans, int64_t n, loom_arena *arena,
                                 loom_intern *ids, loom_err *err)
{
    size_t count = (size_t)n + 1;
    builder b = {.t = t, .spans = spans, .n = (int32_t)n};

    if (n < 0 || n > INT32_MAX - 1) return loom_fail(err, LOOM_STATUS_ARG, "a trace of %lld spans", (long long)n);
    *t = (loom_span_tree){.nodes = loom_arena_alloc(arena, count * sizeof *t->nodes)};
    b.of_id = loom_arena_alloc(arena, count * sizeof *b.of_id);
    b.id = loom_arena_alloc(arena, count * sizeof *b.id);
    b.up = loom_arena_alloc(arena, count * sizeof *b.up);
    b.node = loom_arena_alloc(arena, count * sizeof *b.node);
    loom_intern_release(ids);
    if (arena->failed || !claim_ids(&b, ids)) return loom_fail_nomem(err, "the spans of a trace");
    for (int32_t i = 0; i < b.n; i++) b.up[i] = b.id[i] < 0 ? LOOM_NODE_NO_PARENT : parent_span(&b, i, ids);
    pass_lost(&b);
    make_nodes(&b);
    find_root(t);
    return LOOM_OK;
}
