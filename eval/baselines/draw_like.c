#include "eval/baselines/draw_like.h"

loom_status loom_draw_like(bool *alike, loom_graph *g, loom_draw_fn draw, void *arg, int64_t edges, int64_t depth,
                           const char *service, int64_t tries, loom_rng *rng, loom_arena *arena, loom_err *err)
{
    loom_arena scratch = {0};
    loom_rng best_state = *rng;
    int64_t best = INT64_MAX;
    for (int64_t t = 0; t < tries && best > 0; t++) {
        loom_rng before = *rng;
        loom_graph drawn;
        loom_arena_reset(&scratch);
        loom_status st = draw(arg, &drawn, service, rng, &scratch, err);
        if (st != LOOM_OK) {
            loom_arena_release(&scratch);
            return st;
        }
        int64_t e = edges < 0 ? 0 : drawn.n_calls - edges, d = depth < 0 ? 0 : loom_graph_depth(&drawn) - depth;
        int64_t off = (e < 0 ? -e : e) + 5 * (d < 0 ? -d : d);
        if (off >= best) continue;
        best = off;
        best_state = before;
    }
    loom_arena_release(&scratch);
    LOOM_TRY(draw(arg, g, service, &best_state, arena, err)); /* the same draw again */
    if (service) g->service = service;
    *alike = best == 0;
    return LOOM_OK;
}
