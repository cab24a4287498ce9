#include "preprocess/texts/ask_first.h"

#include <string.h>

#include "core/hash.h"
#include "trace/text/grammar.h"

/* The graph that is made, call by call in dotted-id order. */
typedef struct reorder {
    const loom_graph *g;
    const loom_facts *facts;
    loom_arena *arena;
    int32_t *next;  /* of each call: the next one of the same layer; 0: none */
    int32_t *below; /* of each call: the first one that its callee makes; 0: none */
    loom_call *calls;
    int32_t n;
} reorder;

static bool link_layers(reorder *r)
{
    int32_t n = r->g->n_calls;
    int32_t *last = loom_arena_calloc(r->arena, (size_t)n, sizeof *last);

    if (!last) return false;
    for (int32_t i = 1; i < n; i++) {
        int32_t p = loom_graph_parent(r->g, i);
        if (p < 0) continue;
        *(last[p] ? &r->next[last[p]] : &r->below[p]) = i;
        last[p] = i;
    }
    return true;
}

/* The call of the layer, from `first` on, that is asked for. */
static int32_t drawn_call(const reorder *r, int32_t first)
{
    int32_t n = 0, asked = first;

    for (int32_t i = first; i; i = r->next[i]) n++;
    if (n > LOOM_LAYER_MAX_EDGES || !loom_asks_for_first(r->facts, r->n)) return first;
    int32_t k = (int32_t)(loom_hash64(&r->n, sizeof r->n, ~r->facts->draw) % (uint64_t)n);
    while (k--) asked = r->next[asked];
    return r->g->calls[asked].arrived < r->g->calls[first].arrived ? first : asked;
}

/* Among the calls of its layer. */
static int32_t number_of(const reorder *r, int32_t call) { return r->g->calls[call].id[r->g->calls[call].n_id - 1]; }

static bool put_layer(reorder *r, int32_t first, int32_t parent, int64_t later);

static bool put_call(reorder *r, int32_t from, int32_t number, int32_t parent, int64_t later)
{
    const loom_call *old = &r->g->calls[from], *above = &r->calls[parent];
    int32_t *id = loom_arena_alloc(r->arena, (size_t)old->n_id * sizeof *id), at = r->n;

    if (!id) return false;
    memcpy(id, above->id, (size_t)above->n_id * sizeof *id);
    id[old->n_id - 1] = number;
    r->calls[at] = *old;
    r->calls[at].id = id;
    r->calls[at].arrived += later;
    r->n++;
    return !r->below[from] || put_layer(r, r->below[from], at, later);
}

/* `later`: how much later than in the graph before, ms, never above 0. */
static bool put_layer(reorder *r, int32_t first, int32_t parent, int64_t later)
{
    int32_t asked = drawn_call(r, first), place = first;
    int64_t sooner = r->g->calls[first].arrived - r->g->calls[asked].arrived;

    if (asked != first) {
        if (!put_call(r, asked, number_of(r, place), parent, later + sooner)) return false;
        place = r->next[place];
    }
    for (int32_t i = first; i; i = r->next[i]) {
        if (i == asked && asked != first) continue;
        if (!put_call(r, i, number_of(r, place), parent, later)) return false;
        place = r->next[place];
    }
    return true;
}

bool loom_ask_first(loom_graph *out, const loom_graph *g, const loom_facts *facts, loom_arena *arena)
{
    size_t n = (size_t)g->n_calls;
    reorder r = {.g = g, .facts = facts, .arena = arena};

    *out = *g;
    r.next = loom_arena_calloc(arena, n, sizeof *r.next);
    r.below = loom_arena_calloc(arena, n, sizeof *r.below);
    r.calls = loom_arena_alloc(arena, n * sizeof *r.calls);
    if (!r.next || !r.below || !r.calls || !link_layers(&r)) return false;
    r.calls[r.n++] = g->calls[0];
    if (r.below[0] && !put_layer(&r, r.below[0], 0, 0)) return false;
    out->calls = r.calls;
    out->n_calls = r.n;
    return true;
}
