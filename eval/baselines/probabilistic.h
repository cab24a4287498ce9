/* The probabilistic generator, a baseline without a model (Luo et al., SoCC'21, as its first author's public graph
 * generator does it, fitted to the training graphs): every choice is drawn from counts, independent of all others.
 *
 *   loom_prob *p = loom_prob_new();
 *   for each training graph: LOOM_TRY(loom_prob_add(p, &graph, err));
 *   LOOM_TRY(loom_prob_draw(&graph, p, &conf, &rng, &arena, err));
 *   loom_prob_free(p);
 *
 * Tables, by depth d (above 15: as 15): share of rpc, http and mq calls that call others; how many they call then;
 * types given d and the number of siblings (at most 20; below 50 observations: given d alone); destinations given type
 * and d, whoever calls; response times given type, d and whether the call calls others; offsets of first and of later
 * children. */
#ifndef LOOM_EVAL_PROBABILISTIC_H
#define LOOM_EVAL_PROBABILISTIC_H

#include "core/arena.h"
#include "core/rng.h"
#include "trace/graph/callgraph.h"

typedef struct loom_prob_conf {
    bool uniform_names; /* destinations uniform over those seen, not by frequency */
    bool raw_times;     /* leave calls that outlive their callers; default: callers grow to cover their calls */
    int64_t max_calls;  /* of a graph; 0: 1000 */
} loom_prob_conf;

typedef struct loom_prob loom_prob;

loom_prob *loom_prob_new(void);                                              /* NULL: no memory */
loom_status loom_prob_add(loom_prob *p, const loom_graph *g, loom_err *err); /* valid graphs */
int64_t loom_prob_graphs(const loom_prob *p);
void loom_prob_free(loom_prob *p);

/* Fills *g, sorted, memory in `arena`; names are borrowed from p. Needs at least one graph added. */
loom_status loom_prob_draw(loom_graph *g, const loom_prob *p, const loom_prob_conf *conf, loom_rng *rng,
                           loom_arena *arena, loom_err *err);
/* loom_draw_like (eval/draw_like.h) with it; `service` replaces the drawn one. */
loom_status loom_prob_draw_like(bool *alike, loom_graph *g, const loom_prob *p, const loom_prob_conf *conf,
                                int64_t edges, int64_t depth, const char *service, int64_t tries, loom_rng *rng,
                                loom_arena *arena, loom_err *err);

#endif
