#include "eval/baselines/probabilistic.h"

#include <string.h>

#include "core/hash.h"
#include "core/num.h"
#include "eval/baselines/draw_like.h"

#define MAX_DEPTH    15
#define MAX_SIBLINGS 20
#define MIN_SEEN     50

/* Values to draw from, with repeats: their frequency is the distribution. */
typedef struct bag {
    int32_t *v;
    size_t n, cap;
} bag;

struct loom_prob {
    int64_t n_graphs;
    loom_intern names, services;
    bag service;                                     /* ids in `services` */
    int64_t may[MAX_DEPTH + 1], does[MAX_DEPTH + 1]; /* calls that may call others, that do */
    bag children[MAX_DEPTH + 1];                     /* how many */
    bag types_of[MAX_DEPTH + 1][MAX_SIBLINGS + 1];   /* of a child, by depth of the caller (0: USER) and siblings */
    bag types[MAX_DEPTH + 1];
    bag destinations[LOOM_CALL_TYPES][MAX_DEPTH + 1]; /* ids in `names`, by depth of the call */
    bag seen[LOOM_CALL_TYPES][MAX_DEPTH + 1];         /* the same without repeats, sorted */
    bag time[LOOM_CALL_TYPES][MAX_DEPTH + 1][2];      /* ms; with children or not */
    bag offset[MAX_DEPTH + 1][2];                     /* ms; first child after its caller, later after its sibling */
};

/* False, here and below: no memory. */
static bool put(bag *b, int64_t v)
{
    int32_t small = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
    if (loom_grow(&b->v, &b->cap, b->n + 1, sizeof *b->v, NULL) != LOOM_OK) return false;
    b->v[b->n++] = small;
    return true;
}

static int64_t pick(const bag *b, loom_rng *rng, int64_t otherwise)
{
    return b->n ? b->v[loom_rng_below(rng, b->n)] : otherwise;
}

static int at_depth(int64_t d) { return (int)(d > MAX_DEPTH ? MAX_DEPTH : d); }

loom_prob *loom_prob_new(void) { return loom_calloc(1, sizeof(loom_prob)); }
int64_t loom_prob_graphs(const loom_prob *p) { return p->n_graphs; }

void loom_prob_free(loom_prob *p)
{
    if (!p) return;
    free(p->service.v);
    for (int d = 0; d <= MAX_DEPTH; d++) {
        free(p->children[d].v);
        free(p->types[d].v);
        for (int k = 0; k <= MAX_SIBLINGS; k++) free(p->types_of[d][k].v);
        for (int t = 0; t < LOOM_CALL_TYPES; t++) {
            free(p->destinations[t][d].v);
            free(p->seen[t][d].v);
            free(p->time[t][d][0].v);
            free(p->time[t][d][1].v);
        }
        free(p->offset[d][0].v);
        free(p->offset[d][1].v);
    }
    loom_intern_release(&p->names);
    loom_intern_release(&p->services);
    free(p);
}

/* ---- fitting ---- */

static bool put_seen(bag *b, int32_t v)
{
    size_t lo = 0, hi = b->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (b->v[mid] < v) lo = mid + 1;
        else hi = mid;
    }
    if (lo < b->n && b->v[lo] == v) return true;
    if (!put(b, v)) return false;
    memmove(b->v + lo + 1, b->v + lo, (b->n - 1 - lo) * sizeof *b->v);
    b->v[lo] = v;
    return true;
}

static bool add_call(loom_prob *p, const loom_graph *g, int32_t i, int32_t parent, int32_t previous, int32_t siblings,
                     int32_t n_children)
{
    const loom_call *c = &g->calls[i];
    int d = at_depth(c->n_id), above = at_depth(c->n_id - 1), k = siblings > MAX_SIBLINGS ? MAX_SIBLINGS : siblings;
    int32_t name = (int32_t)loom_intern_add(&p->names, c->destination, strlen(c->destination));
    if (name < 0 || !put(&p->types[above], c->type) || !put(&p->types_of[above][k], c->type) ||
        !put(&p->destinations[c->type][d], name) || !put_seen(&p->seen[c->type][d], name) ||
        !put(&p->time[c->type][d][n_children > 0], c->rt))
        return false;
    if (c->type == LOOM_CALL_RPC || c->type == LOOM_CALL_HTTP || c->type == LOOM_CALL_MQ) {
        p->may[d]++;
        p->does[d] += n_children > 0;
    }
    if (n_children > 0 && !put(&p->children[d], n_children)) return false;
    if (previous >= 0) return put(&p->offset[above][1], c->arrived - loom_call_finish(&g->calls[previous]));
    return parent < 0 || put(&p->offset[above][0], c->arrived - g->calls[parent].arrived);
}

static bool add_service(loom_prob *p, const char *name)
{
    int64_t id = loom_intern_add(&p->services, name, strlen(name));
    return id >= 0 && put(&p->service, id);
}

loom_status loom_prob_add(loom_prob *p, const loom_graph *g, loom_err *err)
{
    size_t n = (size_t)g->n_calls;
    int32_t *parent = loom_alloc(n, sizeof *parent), *children = loom_calloc(n, sizeof *children);
    int32_t *last = loom_alloc(n, sizeof *last); /* the child of a call that was seen last */
    bool ok = parent && children && last && add_service(p, g->service);
    p->n_graphs++;
    for (int32_t i = 0; i < g->n_calls && ok; i++) {
        parent[i] = loom_graph_parent(g, i);
        last[i] = -1;
        if (parent[i] >= 0) children[parent[i]]++;
    }
    for (int32_t i = 0; i < g->n_calls && ok; i++) {
        int32_t up = parent[i];
        ok = add_call(p, g, i, up, up < 0 ? -1 : last[up], up < 0 ? 1 : children[up], children[i]);
        if (up >= 0) last[up] = i;
    }
    free(parent);
    free(children);
    free(last);
    return ok ? LOOM_OK : loom_fail_nomem(err, "the baseline's distributions");
}

/* ---- drawing ---- */

typedef struct growing {
    loom_call *calls;
    int32_t *parent;
    int64_t n, cap;
    const loom_prob *p;
    const loom_prob_conf *conf;
    loom_rng *rng;
    loom_arena *arena;
} growing;

static loom_call_type draw_type(growing *w, int above, int64_t siblings)
{
    const bag *fine = &w->p->types_of[above][siblings > MAX_SIBLINGS ? MAX_SIBLINGS : siblings];
    return (loom_call_type)pick(fine->n >= MIN_SEEN ? fine : &w->p->types[above], w->rng, LOOM_CALL_RPC);
}

static const char *draw_name(growing *w, loom_call_type type, int depth)
{
    const bag *b = w->conf->uniform_names ? w->p->seen[type] : w->p->destinations[type];
    int d = depth;
    while (d > 0 && b[d].n == 0) d--; /* a type never seen this deep: as seen above */
    for (; d <= MAX_DEPTH && b[d].n == 0;) d++;
    if (d > MAX_DEPTH) return loom_intern_text(&w->p->names, 0);
    return loom_intern_text(&w->p->names, pick(&b[d], w->rng, 0));
}

/* Appends a call; its times are drawn once it is known whether it has children. */
static bool add_draw(growing *w, int64_t parent, int32_t number, loom_call_type type)
{
    loom_call *c = &w->calls[w->n];
    int32_t n_id = parent < 0 ? 1 : w->calls[parent].n_id + 1;
    int32_t *id = loom_arena_alloc(w->arena, (size_t)n_id * sizeof *id);
    if (!id) return false;
    if (parent >= 0) memcpy(id, w->calls[parent].id, (size_t)(n_id - 1) * sizeof *id);
    id[n_id - 1] = number;
    *c =
        (loom_call){.id = id, .n_id = n_id, .type = type, .source = parent < 0 ? "USER" : w->calls[parent].destination};
    c->destination = draw_name(w, type, at_depth(n_id));
    w->parent[w->n++] = (int32_t)parent;
    return true;
}

static bool expands(growing *w, const loom_call *c)
{
    int d = at_depth(c->n_id);
    if (c->type == LOOM_CALL_MC || c->type == LOOM_CALL_DB || c->n_id >= MAX_DEPTH || w->p->may[d] == 0) return false;
    return loom_rng_chance(w->rng, (double)w->p->does[d] / (double)w->p->may[d]);
}

static int64_t draw_time(growing *w, const loom_call *c, bool has_children)
{
    const bag *b = w->p->time[c->type][at_depth(c->n_id)];
    if (b[has_children].n == 0) has_children = !has_children;
    return pick(&b[has_children], w->rng, 0);
}

/* Calls stand in breadth-first order, so a caller's times are drawn before those of its calls. */
static void draw_times(growing *w, const int32_t *n_children)
{
    int32_t *previous = loom_arena_alloc(w->arena, (size_t)w->n * sizeof *previous);
    if (!previous) return;
    for (int64_t i = 0; i < w->n; i++) {
        loom_call *c = &w->calls[i];
        int32_t up = w->parent[i];
        previous[i] = -1;
        c->rt = draw_time(w, c, n_children[i] > 0);
        if (up < 0) continue;
        int above = at_depth(c->n_id - 1);
        int32_t before = previous[up];
        int64_t offset = pick(&w->p->offset[above][before >= 0], w->rng, 0);
        c->arrived = offset + (before >= 0 ? loom_call_finish(&w->calls[before]) : w->calls[up].arrived);
        if (!w->conf->raw_times && c->arrived < w->calls[up].arrived) c->arrived = w->calls[up].arrived;
        previous[up] = (int32_t)i;
    }
    if (w->conf->raw_times) return;
    for (int64_t i = w->n - 1; i > 0; i--) { /* callers grow to cover their calls, deepest first */
        loom_call *c = &w->calls[i], *up = &w->calls[w->parent[i]];
        if (c->rt < 0) c->rt = 0;
        if (loom_call_finish(c) > loom_call_finish(up)) up->rt = loom_call_finish(c) - up->arrived;
    }
    if (w->calls[0].rt < 0) w->calls[0].rt = 0;
}

loom_status loom_prob_draw(loom_graph *g, const loom_prob *p, const loom_prob_conf *conf, loom_rng *rng,
                           loom_arena *arena, loom_err *err)
{
    int64_t most = conf->max_calls > 0 ? conf->max_calls : 1000;
    growing w = {.p = p, .conf = conf, .rng = rng, .arena = arena};
    w.calls = loom_arena_alloc(arena, (size_t)most * sizeof *w.calls);
    w.parent = loom_arena_alloc(arena, (size_t)most * sizeof *w.parent);
    int32_t *n_children = loom_arena_calloc(arena, (size_t)most, sizeof *n_children);
    LOOM_TRY(loom_arena_check(arena, "a drawn graph", err));
    add_draw(&w, -1, 0, draw_type(&w, 0, 1));
    for (int64_t i = 0; i < w.n; i++) {
        if (!expands(&w, &w.calls[i])) continue;
        int64_t k = pick(&p->children[at_depth(w.calls[i].n_id)], rng, 1);
        for (int64_t c = 0; c < k && w.n < most; c++, n_children[i]++)
            if (!add_draw(&w, i, (int32_t)c + 1, draw_type(&w, at_depth(w.calls[i].n_id), k))) break;
    }
    LOOM_TRY(loom_arena_check(arena, "a drawn graph", err));
    draw_times(&w, n_children);
    *g = (loom_graph){.service = loom_intern_text(&p->services, pick(&p->service, rng, 0)),
                      .calls = w.calls,
                      .n_calls = (int32_t)w.n};
    loom_graph_sort(g);
    return loom_arena_check(arena, "a drawn graph", err);
}

typedef struct drawing {
    const loom_prob *p;
    const loom_prob_conf *conf;
} drawing;

static loom_status draw(void *arg, loom_graph *g, const char *service, loom_rng *rng, loom_arena *arena, loom_err *err)
{
    const drawing *d = arg;
    (void)service; /* is as independent of the rest as everything else */
    return loom_prob_draw(g, d->p, d->conf, rng, arena, err);
}

loom_status loom_prob_draw_like(bool *alike, loom_graph *g, const loom_prob *p, const loom_prob_conf *conf,
                                int64_t edges, int64_t depth, const char *service, int64_t tries, loom_rng *rng,
                                loom_arena *arena, loom_err *err)
{
    drawing d = {p, conf};
    return loom_draw_like(alike, g, draw, &d, edges, depth, service, tries, rng, arena, err);
}
