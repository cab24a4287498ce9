/* Graphs of a wished size from a generator that cannot be told: draws until one fits. */
#ifndef LOOM_EVAL_DRAW_LIKE_H
#define LOOM_EVAL_DRAW_LIKE_H

#include "core/arena.h"
#include "core/rng.h"
#include "trace/graph/callgraph.h"

/* Fills *g, sorted, memory in `arena`; the same again from the same state of `rng`. `service` NULL: any. */
typedef loom_status (*loom_draw_fn)(void *arg, loom_graph *g, const char *service, loom_rng *rng, loom_arena *arena,
                                    loom_err *err);

/* Up to `tries` draws until edges and depth are as wished (-1: any); else the closest by |edges| + 5 |depth|.
 * *alike: they are as wished. `service` replaces the drawn one (NULL: drawn). */
loom_status loom_draw_like(bool *alike, loom_graph *g, loom_draw_fn draw, void *arg, int64_t edges, int64_t depth,
                           const char *service, int64_t tries, loom_rng *rng, loom_arena *arena, loom_err *err);

#endif
