#include "system/topology_draw.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"

typedef struct dependency_draw {
    loom_time_draw own[2], gap, offset;
} dependency_draw;

struct loom_topology_drawing {
    const loom_topology *t;
    dependency_draw *deps;
    int32_t n_roots; /* dependencies 0 .. n_roots - 1 are those of USER */
};

static bool init_dependency(dependency_draw *d, const loom_topology_dependency *from)
{
    return loom_time_draw_init(&d->own[0], &from->own[0]) && loom_time_draw_init(&d->own[1], &from->own[1]) &&
           loom_time_draw_init(&d->gap, &from->gap) && loom_time_draw_init(&d->offset, &from->offset);
}

loom_status loom_topology_drawing_new(loom_topology_drawing **out, const loom_topology *t, loom_err *err)
{
    loom_topology_drawing *d = loom_calloc(1, sizeof *d);
    bool ok = d != NULL;
    if (ok) {
        d->t = t;
        d->deps = loom_calloc((size_t)t->n_dependencies, sizeof *d->deps);
        ok = d->deps != NULL;
    }
    for (int32_t i = 0; ok && i < t->n_dependencies; i++) {
        ok = init_dependency(&d->deps[i], &t->dependencies[i]);
        d->n_roots += t->dependencies[i].caller < 0;
    }
    if (!ok) {
        loom_topology_drawing_free(d);
        return loom_fail_nomem(err, "the topology's distributions");
    }
    *out = d;
    return LOOM_OK;
}

void loom_topology_drawing_free(loom_topology_drawing *d)
{
    if (!d) return;
    for (int32_t i = 0; d->deps && i < d->t->n_dependencies; i++) {
        loom_time_draw_release(&d->deps[i].own[0]);
        loom_time_draw_release(&d->deps[i].own[1]);
        loom_time_draw_release(&d->deps[i].gap);
        loom_time_draw_release(&d->deps[i].offset);
    }
    free(d->deps);
    free(d);
}

/* ---- what is called ---- */

typedef struct drawn {
    loom_call *calls; /* in order of drawing: callers before what they call */
    int32_t *parent, *dep, *stage, *n_children;
    size_t n, cap;
    const loom_topology_drawing *d;
    loom_rng *rng;
    loom_arena *arena;
} drawn;

/* Doubles the room for calls; the old arrays stay in the arena. */
static bool make_room(drawn *w)
{
    if (w->n < w->cap) return true;
    size_t cap = w->cap ? 2 * w->cap : 64;
    loom_call *calls = loom_arena_alloc(w->arena, cap * sizeof *calls);
    int32_t *numbers = loom_arena_alloc(w->arena, 4 * cap * sizeof *numbers),
            *old[] = {w->parent, w->dep, w->stage, w->n_children};
    if (!calls || !numbers) return false;
    if (w->n) memcpy(calls, w->calls, w->n * sizeof *calls);
    for (size_t k = 0; k < 4 && w->n; k++) memcpy(numbers + k * cap, old[k], w->n * sizeof *numbers);
    w->calls = calls;
    w->parent = numbers;
    w->dep = numbers + cap;
    w->stage = numbers + 2 * cap;
    w->n_children = numbers + 3 * cap;
    w->cap = cap;
    return true;
}

static bool add_call(drawn *w, int32_t parent, int32_t dep, int32_t stage)
{
    const loom_topology *t = w->d->t;
    const loom_topology_operation *o = &t->operations[t->dependencies[dep].callee];
    if (!make_room(w)) return false;
    int32_t n_id = parent < 0 ? 1 : w->calls[parent].n_id + 1;
    int32_t *id = loom_arena_alloc(w->arena, (size_t)n_id * sizeof *id);
    if (!id) return false;
    if (parent >= 0) memcpy(id, w->calls[parent].id, (size_t)(n_id - 1) * sizeof *id);
    id[n_id - 1] = parent < 0 ? 0 : ++w->n_children[parent];
    w->calls[w->n] = (loom_call){.id = id,
                                 .n_id = n_id,
                                 .type = o->type,
                                 .destination = o->name,
                                 .source = parent < 0 ? "USER" : w->calls[parent].destination};
    w->parent[w->n] = parent;
    w->dep[w->n] = dep;
    w->stage[w->n] = stage;
    w->n_children[w->n++] = 0;
    return true;
}

static int32_t pick(const int64_t *until, int32_t n, loom_rng *rng)
{
    int64_t u = (int64_t)loom_rng_below(rng, (uint64_t)until[n - 1]);
    int32_t lo = 0, hi = n - 1;
    while (lo < hi) {
        int32_t mid = (lo + hi) / 2;
        if (until[mid] > u) hi = mid;
        else lo = mid + 1;
    }
    return lo;
}

static const loom_stage *pick_stage(const loom_topology_state *s, loom_rng *rng)
{
    if (s->n_stages == 1) return &s->stages[0];
    int64_t sum = 0;
    for (int32_t k = 0; k < s->n_stages; k++) sum += s->stages[k].n;
    int64_t u = sum > 0 ? (int64_t)loom_rng_below(rng, (uint64_t)sum) : 0;
    for (int32_t k = 0; k < s->n_stages; k++) {
        if (u < s->stages[k].n) return &s->stages[k];
        u -= s->stages[k].n;
    }
    return &s->stages[s->n_stages - 1];
}

/* Walks the automaton of call i's operation. */
static bool expand(drawn *w, int32_t i)
{
    const loom_topology *t = w->d->t;
    int32_t op = t->dependencies[w->dep[i]].callee;
    const loom_topology_operation *o = &t->operations[op];
    const loom_topology_state *s = &o->start;
    if (w->calls[i].n_id >= t->depth) return true;
    for (int32_t stage = 0; s->n_next && w->n < LOOM_TOPOLOGY_MOST_CALLS; stage++) {
        int32_t to = s->next[pick(s->until, s->n_next, w->rng)];
        if (to < 0) break;
        s = &o->states[to];
        const loom_stage *what = pick_stage(s, w->rng);
        for (int32_t k = 0; k < what->n_calls; k++)
            if (!add_call(w, i, loom_topology_dependency_of(t, op, what->calls[k]), stage)) return false;
    }
    return true;
}

/* ---- how long it takes ---- */

static int64_t draw_lead(const loom_topology_operation *o, int64_t own, loom_rng *rng)
{
    int64_t until[LOOM_LEAD_PARTS + 1], sum = 0;
    for (int p = 0; p <= LOOM_LEAD_PARTS; p++) until[p] = sum += o->lead[p];
    if (sum == 0 || own == 0) return 0;
    return (own * pick(until, LOOM_LEAD_PARTS + 1, rng) + LOOM_LEAD_PARTS / 2) / LOOM_LEAD_PARTS;
}

/* The start of child c after `before` (-1: it is the first of its caller); *left is what own time is left for
 * waiting. */
static int64_t child_start(drawn *w, int32_t c, int32_t before, int64_t finish, int64_t *left)
{
    const dependency_draw *d = &w->d->deps[w->dep[c]];
    if (before >= 0 && w->stage[c] == w->stage[before]) {
        int64_t start = w->calls[before].arrived + loom_time_draw_one(&d->offset, w->rng);
        return loom_max_i64(w->calls[before].arrived, loom_min_i64(start, finish - 1));
    }
    int64_t gap = before < 0 ? 0 : loom_min_i64(*left, loom_time_draw_one(&d->gap, w->rng));
    *left -= gap;
    return finish + gap;
}

/* Children of call i, in order, are `child[0 .. n)`; all times are relative to the start of i. Those of the children
 * themselves are known already. */
static void lay_out(drawn *w, int32_t i, const int32_t *child, int32_t n)
{
    const loom_topology *t = w->d->t;
    loom_call *c = &w->calls[i];
    int64_t own = loom_time_draw_one(&w->d->deps[w->dep[i]].own[n > 0], w->rng), left = own, lead = 0;
    if (n > 0) lead = loom_min_i64(own, draw_lead(&t->operations[t->dependencies[w->dep[i]].callee], own, w->rng));
    left -= lead;
    int64_t finish = lead;
    for (int32_t k = 0; k < n; k++) {
        loom_call *one = &w->calls[child[k]];
        one->arrived = child_start(w, child[k], k ? child[k - 1] : -1, finish, &left);
        finish = loom_max_i64(finish, one->arrived + one->rt);
    }
    c->rt = finish + left;
}

/* From the deepest up: how long a call takes is known when that of its children is. Then from the root down: when. */
static bool draw_times(drawn *w)
{
    size_t n = w->n;
    int32_t *first = loom_arena_calloc(w->arena, n + 1, sizeof *first),
            *child = loom_arena_alloc(w->arena, n * sizeof *child);
    if (!first || !child) return false;
    for (size_t i = 1; i < n; i++) first[w->parent[i] + 1]++;
    for (size_t i = 0; i < n; i++) first[i + 1] += first[i];
    for (size_t i = 1; i < n; i++) child[first[w->parent[i]] + w->calls[i].id[w->calls[i].n_id - 1] - 1] = (int32_t)i;
    for (size_t i = n; i-- > 0;) lay_out(w, (int32_t)i, child + first[i], first[i + 1] - first[i]);
    w->calls[0].arrived = 0;
    for (size_t i = 1; i < n; i++) w->calls[i].arrived += w->calls[w->parent[i]].arrived;
    return true;
}

/* ---- graphs ---- */

static int32_t pick_root(const loom_topology_drawing *d, const char *service, loom_rng *rng)
{
    const loom_topology *t = d->t;
    for (int pass = service ? 0 : 1; pass < 2; pass++) {
        int64_t sum = 0, u;
        for (int32_t i = 0; i < d->n_roots; i++)
            if (pass || strcmp(t->operations[t->dependencies[i].callee].service, service) == 0)
                sum += t->dependencies[i].calls;
        if (sum == 0) continue;
        u = (int64_t)loom_rng_below(rng, (uint64_t)sum);
        for (int32_t i = 0; i < d->n_roots; i++) {
            if (!pass && strcmp(t->operations[t->dependencies[i].callee].service, service) != 0) continue;
            if (u < t->dependencies[i].calls) return i;
            u -= t->dependencies[i].calls;
        }
    }
    return 0;
}

loom_status loom_topology_draw(loom_graph *g, const loom_topology_drawing *d, const char *service, loom_rng *rng,
                               loom_arena *arena, loom_err *err)
{
    drawn w = {.d = d, .rng = rng, .arena = arena};
    int32_t root = pick_root(d, service, rng);
    bool ok = add_call(&w, -1, root, 0);
    for (size_t i = 0; ok && i < w.n; i++) ok = expand(&w, (int32_t)i);
    if (!ok || !draw_times(&w)) return loom_fail_nomem(err, "a drawn graph");
    *g = (loom_graph){.service = service ? service : d->t->operations[d->t->dependencies[root].callee].service,
                      .calls = w.calls,
                      .n_calls = (int32_t)w.n};
    loom_graph_sort(g);
    return loom_arena_check(arena, "a drawn graph", err);
}
