#include "readers/spans/span_calls.h"

#include <stdlib.h>

#include "core/num.h"

enum { MAX_COMPONENTS = 1 << 26 }; /* of all dotted ids of a trace together */
#define NS_PER_MS 1000000

/* ---- which spans show calls ---- */

typedef struct walk {
    loom_span_calls *calls;
    loom_span_tree *t;
    loom_span_counts *counts;
    loom_arena *arena;
    loom_err *err;
} walk;

static bool same_service(const loom_span *a, const loom_span *b) { return strcmp(a->service, b->service) == 0; }

/* A client span that names its own service calls itself. */
static bool calls_itself(const loom_span *s)
{
    return s->kind == LOOM_SPAN_CLIENT && s->callee[0] && strcmp(s->callee, s->service) == 0;
}

static bool names_callee(const loom_span *s)
{
    return s->callee[0] && (s->kind == LOOM_SPAN_CLIENT || strcmp(s->callee, s->service) != 0);
}

/* Does the span enter a service: another one than its parent's, or the same one anew? */
static bool enters(const loom_span *parent, const loom_span *s)
{
    return !same_service(parent, s) || (calls_itself(parent) && loom_span_is_incoming(s));
}

/* Marks `at` and the spans above it in its service: a call that they could show is the one shown below. A call of a
 * service to itself stands for itself. */
static void cover(loom_span_tree *t, int32_t at)
{
    while (at >= 0 && !t->nodes[at].covered && !calls_itself(t->nodes[at].span)) {
        int32_t above = t->nodes[at].parent;
        t->nodes[at].covered = true;
        at = above >= 0 && same_service(t->nodes[above].span, t->nodes[at].span) ? above : -1;
    }
}

static void cover_all(loom_span_tree *t)
{
    for (int32_t i = 0; i < t->n; i++) {
        const loom_span_node *n = &t->nodes[i];
        if (n->parent < 0) continue;
        const loom_span *parent = t->nodes[n->parent].span;
        bool entered = enters(parent, n->span);
        if (entered && same_service(parent, n->span)) t->nodes[n->parent].covered = true;
        if (entered || names_callee(n->span)) cover(t, n->parent);
    }
}

loom_status loom_span_calls_add(loom_span_calls *calls, int32_t parent, const char *from, const char *to,
                                const loom_span *span, loom_arena *arena, loom_err *err)
{
    LOOM_TRY(loom_grow(&calls->items, &calls->cap, calls->n + 1, sizeof *calls->items, err));
    calls->items[calls->n] = (loom_found_call){.parent = parent,
                                               .start = span->start,
                                               .end = span->end,
                                               .order = (int32_t)calls->n,
                                               .call = {.type = span->type,
                                                        .source = loom_name_fit_record(arena, from),
                                                        .destination = loom_name_fit_record(arena, to)}};
    calls->n++;
    return LOOM_OK;
}

/* A call with the times of `timed` and the type that this span, or else `other` (NULL: none), tells. */
static loom_status add_call(walk *w, int32_t *call, const char *from, const char *to, loom_span_node *timed,
                            const loom_span *other, bool by_caller)
{
    LOOM_TRY(loom_span_calls_add(w->calls, *call, from, to, timed->span, w->arena, w->err));
    loom_call *c = &w->calls->items[w->calls->n - 1].call;
    if (c->type == LOOM_CALL_TYPES && other) c->type = other->type;
    w->counts->untyped += c->type == LOOM_CALL_TYPES;
    if (c->type == LOOM_CALL_TYPES) c->type = LOOM_CALL_RPC;
    *(by_caller ? &w->counts->caller_times : &w->counts->callee_times) += 1;
    *call = (int32_t)w->calls->n - 1;
    timed->shows++;
    return LOOM_OK;
}

/* The call into the span's service. The callee's span times it, unless that span itself calls out: then what came in
 * was not recorded, and the caller's span, if there is one, times the call once for all such spans below it. */
static loom_status enter(walk *w, loom_span_node *n, int32_t *call, const char *from)
{
    loom_span_node *up = n->parent >= 0 ? &w->t->nodes[n->parent] : NULL;
    const loom_span *caller = up && (loom_span_is_outgoing(up->span) || up->span->callee[0]) ? up->span : NULL;

    if (!caller || !loom_span_is_outgoing(n->span)) return add_call(w, call, from, n->span->service, n, caller, false);
    if (up->implied < 0 || strcmp(up->implied_in, n->span->service) != 0) {
        LOOM_TRY(add_call(w, call, from, n->span->service, up, n->span, true));
        up->implied = *call;
        up->implied_in = n->span->service;
        return LOOM_OK;
    }
    *call = up->implied;
    return LOOM_OK;
}

static loom_status visit(walk *w, loom_span_node *n, int32_t call, const char *in)
{
    const loom_span *s = n->span;

    n->seen = true;
    bool from_user = strcmp(s->service, LOOM_SPAN_USER) == 0;
    const loom_span *up = n->parent >= 0 ? w->t->nodes[n->parent].span : NULL;
    bool itself = up && same_service(up, s) && enters(up, s);
    if (!from_user && (itself || strcmp(in, s->service) != 0)) LOOM_TRY(enter(w, n, &call, in));
    n->in = s->service;
    n->call = call;
    if (names_callee(s) && !n->covered) {
        LOOM_TRY(add_call(w, &call, s->service, s->callee, n, NULL, true));
        if (calls_itself(s)) n->call = call;
    }
    return LOOM_OK;
}

static void count_shown(const loom_span_tree *t, loom_span_counts *counts)
{
    for (int32_t i = 0; i < t->n; i++) {
        const loom_span_node *n = &t->nodes[i];
        if (!n->seen) continue;
        counts->inside += n->shows == 0;
        counts->call_spans += n->shows > 0;
        counts->second_calls += n->shows > 1 ? n->shows - 1 : 0;
    }
}

/* Depth first without recursion: traces from outside may be deep. */
static loom_status walk_down(walk *w)
{
    loom_span_node *nodes = w->t->nodes;
    int32_t root = w->t->root, at = root;

    LOOM_TRY(visit(w, &nodes[at], -1, LOOM_SPAN_USER));
    for (int32_t down = nodes[at].child;;) {
        if (down >= 0) {
            LOOM_TRY(visit(w, &nodes[down], nodes[at].call, nodes[at].in));
            at = down;
            down = nodes[at].child;
            continue;
        }
        while (at != root && nodes[at].next < 0) at = nodes[at].parent;
        if (at == root) return LOOM_OK;
        down = nodes[at].next;
        at = nodes[at].parent;
    }
}

loom_status loom_span_calls_walk(loom_span_calls *calls, loom_span_tree *t, loom_span_counts *counts, loom_arena *arena,
                                 loom_err *err)
{
    walk w = {calls, t, counts, arena, err};

    cover_all(t);
    LOOM_TRY(walk_down(&w));
    count_shown(t, counts);
    return LOOM_OK;
}

/* ---- ids ---- */

static int by_parent_and_start(const void *a, const void *b)
{
    const loom_found_call *x = *(loom_found_call *const *)a, *y = *(loom_found_call *const *)b;
    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* In the order of parents every parent has its id in time. */
bool loom_span_calls_number(loom_span_calls *calls, loom_arena *arena)
{
    loom_found_call **order = loom_arena_alloc(arena, calls->n * sizeof *order);
    int32_t number = 0;
    int64_t components = 0;

    if (!order) return false;
    for (size_t i = 0; i < calls->n; i++) order[i] = &calls->items[i];
    qsort(order, calls->n, sizeof *order, by_parent_and_start);
    for (size_t i = 0; i < calls->n; i++) {
        loom_found_call *c = order[i];
        number = i && order[i - 1]->parent == c->parent ? number + 1 : 1;
        const loom_call *up = c->parent >= 0 ? &calls->items[c->parent].call : NULL;
        int32_t n = up ? up->n_id + 1 : 1;
        if (n > LOOM_ID_MAX_COMPONENTS || (components += n) > MAX_COMPONENTS) return false;
        int32_t *id = loom_arena_alloc(arena, (size_t)n * sizeof *id);
        if (!id) return false;
        if (up) memcpy(id, up->id, (size_t)up->n_id * sizeof *id);
        id[n - 1] = up ? number : 0;
        c->call.id = id;
        c->call.n_id = n;
    }
    return true;
}

/* ---- times ---- */

static int64_t to_ms(int64_t ns) { return (ns + NS_PER_MS / 2) / NS_PER_MS; }

int64_t loom_span_calls_cut(loom_span_calls *calls)
{
    int64_t n = 0;

    for (size_t i = 0; i < calls->n; i++) {
        loom_found_call *c = &calls->items[i];
        const loom_found_call *up = c->parent >= 0 ? &calls->items[c->parent] : NULL;
        if (!up || c->end <= up->end) continue;
        n += to_ms(c->end) > to_ms(up->end);
        c->end = up->end;
        c->start = loom_min_i64(c->start, c->end);
    }
    return n;
}

/* A duration rounded up beside a caller's that was rounded down may stick out by a millisecond: the call begins that
 * much earlier, or, where its caller's does not begin before it, is that much shorter. */
static void fit_into_caller(loom_call *c, const loom_call *up)
{
    int64_t excess = loom_call_finish(c) - loom_call_finish(up);

    if (excess <= 0) return;
    int64_t earlier = loom_min_i64(excess, loom_max_i64(c->arrived - up->arrived, 0));
    c->arrived -= earlier;
    c->rt -= excess - earlier;
}

int64_t loom_span_calls_time(loom_span_calls *calls)
{
    int64_t base = calls->items[0].start;

    for (size_t i = 0; i < calls->n; i++) base = loom_min_i64(base, calls->items[i].start);
    for (size_t i = 0; i < calls->n; i++) {
        loom_found_call *c = &calls->items[i];
        const loom_found_call *up = c->parent >= 0 ? &calls->items[c->parent] : NULL;
        c->call.arrived = to_ms(c->start - base);
        c->call.rt = to_ms(c->end - c->start);
        if (up && to_ms(c->end) <= to_ms(up->end)) fit_into_caller(&c->call, &up->call);
    }
    return to_ms(base);
}
