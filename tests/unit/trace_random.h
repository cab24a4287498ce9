/* Random valid call graphs for property tests: nested times, sources that fit, gaps in the sibling numbers. */
#ifndef LOOM_TEST_TRACE_RANDOM_H
#define LOOM_TEST_TRACE_RANDOM_H

#include "core/rng.h"
#include "trace/graph/callgraph.h"

typedef struct random_graph {
    loom_rng *rng;
    loom_arena *arena;
    loom_graph *g;
    int32_t max_depth, max_width, cap;
} random_graph;

static inline const char *random_name(random_graph *r)
{
    char text[16];
    snprintf(text, sizeof text, "MS_%05d", (int)loom_rng_below(r->rng, 90));
    return loom_arena_strdup(r->arena, text, strlen(text));
}

static inline void random_call(random_graph *r, const int32_t *parent_id, int32_t n, int32_t number, const char *source,
                               int64_t from, int64_t to)
{
    if (r->g->n_calls >= r->cap) return;
    loom_call *c = &r->g->calls[r->g->n_calls++];
    int32_t *id = loom_arena_alloc(r->arena, (size_t)(n + 1) * sizeof *id);
    for (int32_t i = 0; i < n; i++) id[i] = parent_id[i];
    id[n] = number;
    *c = (loom_call){.id = id,
                     .n_id = n + 1,
                     .type = (loom_call_type)loom_rng_below(r->rng, LOOM_CALL_TYPES),
                     .source = source,
                     .destination = random_name(r),
                     .arrived = from,
                     .rt = to - from};
    const char *me = c->destination;
    if (n + 1 >= r->max_depth || (n && loom_rng_chance(r->rng, 0.6))) return;
    int32_t width = 1 + (int32_t)loom_rng_below(r->rng, (uint64_t)r->max_width), next = 1;
    int64_t before = from;
    for (int32_t i = 0; i < width; i++) {
        int64_t start = before + (int64_t)loom_rng_below(r->rng, (uint64_t)((to - before) / width + 1));
        before = start; /* the paper wants no call before the first of its layer */
        int64_t end = start + (to > start ? (int64_t)loom_rng_below(r->rng, (uint64_t)(to - start + 1)) : 0);
        next += loom_rng_chance(r->rng, 0.1);
        random_call(r, id, n + 1, next++, me, start, end);
    }
}

static inline void random_graph_fill(loom_graph *g, loom_rng *rng, loom_arena *arena, int32_t max_depth,
                                     int32_t max_width)
{
    random_graph r = {.rng = rng, .arena = arena, .g = g, .max_depth = max_depth, .max_width = max_width, .cap = 400};
    *g = (loom_graph){.service = "S_000000042", .calls = loom_arena_calloc(arena, 401, sizeof *g->calls)};
    random_call(&r, NULL, 0, 0, "USER", 0, (int64_t)loom_rng_below(rng, 5000));
    loom_graph_sort(g);
}

#endif
