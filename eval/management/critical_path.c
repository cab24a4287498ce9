#include "eval/management/critical_path.h"

#include <string.h>

#include "core/num.h"

typedef struct tree {
    const loom_graph *g;
    int32_t *child, *next; /* first child and next sibling of each call, -1: none */
    bool *on;
} tree;

static int64_t finish(const tree *t, int32_t i) { return loom_call_finish(&t->g->calls[i]); }

/* As deep as a dotted id is long: LOOM_ID_MAX_COMPONENTS. */
static void walk(tree *t, int32_t i)
{
    int32_t last = t->child[i];

    t->on[i] = true;
    if (last < 0) return;
    for (int32_t c = t->next[last]; c >= 0; c = t->next[c])
        if (finish(t, c) >= finish(t, last)) last = c;
    walk(t, last);
    for (int32_t c = t->child[i]; c >= 0; c = t->next[c])
        if (c != last && finish(t, c) <= t->g->calls[last].arrived) walk(t, c);
}

typedef struct span {
    int64_t from, to;
} span;

static int by_start(const void *a, const void *b)
{
    int64_t x = ((const span *)a)->from, y = ((const span *)b)->from;
    return (x > y) - (x < y);
}

/* Span of call i without the union of its children on the path. */
static double exclusive(const tree *t, int32_t i, span *spans)
{
    int64_t from = t->g->calls[i].arrived, to = finish(t, i), own = to - from, at = from;
    int32_t n = 0;

    for (int32_t c = t->child[i]; c >= 0; c = t->next[c])
        if (t->on[c]) spans[n++] = (span){t->g->calls[c].arrived, finish(t, c)};
    qsort(spans, (size_t)n, sizeof *spans, by_start);
    for (int32_t k = 0; k < n; k++) {
        int64_t lo = loom_max_i64(spans[k].from, at), hi = loom_min_i64(spans[k].to, to);
        if (hi > lo) own -= hi - lo, at = hi;
    }
    return (double)loom_max_i64(own, 0);
}

static void link_children(tree *t)
{
    for (int32_t i = 0; i < t->g->n_calls; i++) t->child[i] = t->next[i] = -1;
    for (int32_t i = t->g->n_calls; i-- > 0;) { /* from the back, so that children stand in order */
        int32_t parent = loom_graph_parent(t->g, i);
        if (parent < 0) continue;
        t->next[i] = t->child[parent];
        t->child[parent] = i;
    }
}

loom_status loom_critical_path(bool *on, double *own, const loom_graph *g, loom_err *err)
{
    size_t n = (size_t)g->n_calls;
    tree t = {.g = g, .child = loom_alloc(n, sizeof *t.child), .next = loom_alloc(n, sizeof *t.next), .on = on};
    span *spans = loom_alloc(n, sizeof *spans);
    loom_status st = LOOM_OK;

    if (t.child && t.next && spans) {
        memset(on, 0, n * sizeof *on);
        link_children(&t);
        if (n) walk(&t, 0);
        for (int32_t i = 0; i < g->n_calls; i++) own[i] = on[i] ? exclusive(&t, i, spans) : 0;
    } else st = loom_fail_nomem(err, "a critical path");
    free(t.child);
    free(t.next);
    free(spans);
    return st;
}

/* Adds to the entry of the microservice in the graph that is being added, or makes one. */
static loom_status add_own(loom_critical_paths *p, int64_t begin, int64_t *end, int64_t node, double own, loom_err *err)
{
    for (int64_t k = begin; k < *end; k++)
        if (p->node[k] == node) {
            p->own[k] += own;
            return LOOM_OK;
        }
    LOOM_TRY(loom_grow(&p->node, &p->cap_node, (size_t)*end + 1, sizeof *p->node, err));
    LOOM_TRY(loom_grow(&p->own, &p->cap_own, (size_t)*end + 1, sizeof *p->own, err));
    p->node[*end] = (int32_t)node;
    p->own[(*end)++] = own;
    return LOOM_OK;
}

static loom_status add_path(loom_critical_paths *p, loom_intern *nodes, const loom_graph *g, const bool *on,
                            const double *own, loom_err *err)
{
    int64_t begin = p->n ? p->first[p->n] : 0, end = begin;

    LOOM_TRY(loom_grow(&p->first, &p->cap_first, (size_t)p->n + 2, sizeof *p->first, err));
    LOOM_TRY(loom_grow(&p->total, &p->cap_total, (size_t)p->n + 1, sizeof *p->total, err));
    for (int32_t i = 0; i < g->n_calls; i++) {
        if (!on[i]) continue;
        int64_t node = loom_intern_add(nodes, g->calls[i].destination, strlen(g->calls[i].destination));
        if (node < 0) return loom_fail_nomem(err, "names");
        LOOM_TRY(add_own(p, begin, &end, node, own[i], err));
    }
    p->first[p->n] = begin;
    p->total[p->n] = (double)g->calls[0].rt;
    p->first[++p->n] = end;
    return LOOM_OK;
}

loom_status loom_critical_paths_add(loom_critical_paths *p, loom_intern *nodes, const loom_graph *g, loom_err *err)
{
    bool *on = loom_alloc((size_t)g->n_calls, sizeof *on);
    double *own = loom_alloc((size_t)g->n_calls, sizeof *own);
    loom_status st = on && own ? loom_critical_path(on, own, g, err) : loom_fail_nomem(err, "a critical path");

    if (st == LOOM_OK && g->n_calls > 0) st = add_path(p, nodes, g, on, own, err);
    free(on);
    free(own);
    return st;
}

void loom_critical_paths_release(loom_critical_paths *p)
{
    free(p->first);
    free(p->node);
    free(p->own);
    free(p->total);
    *p = (loom_critical_paths){0};
}
