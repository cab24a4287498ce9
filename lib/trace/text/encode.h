/* From a call graph to its text (docs/FORMATS.md): which attributes and conditions are shown, and in what order.
 *
 *   loom_rng rng;
 *   loom_rng_seed(&rng, seed, "encode", key);
 *   LOOM_TRY(loom_encode_graph(&buf, graph, &facts, &conf, &rng, &arena, err));
 *
 * All randomness comes from the given stream, so that the text of a graph depends on nothing else.
 *
 * Probabilities. Every attribute of a layer below the root is shown. Of a root: id always; latency 0.5, but never when
 * it is a high one; the others 0.9 each. Tabular: id always; num_edges, latency, depth 0.9 each. Then the order is
 * shuffled.
 * Conditions (instruction), each drawn by itself with 0.9:
 *   root    for each attribute shown its line (start_edge_id, start_communication_at, latency two lines,
 *           num_current_edges); for each hidden one of num_edges, num_subgraphs, remaining_depth the line that says so;
 *           latency hidden and not high: "... based on distributions" with 0.5; high latency: always
 *           bounded: high latency says from which on, with 0.75; of the others a share says one between half the
 *           latency and all of it, which is then hidden
 *   others  the same lines, always with attribute, and the number of subgraphs
 *   both    an uncommon call of the layer (or, if handed_down, below it): always, the first only; start before finish;
 *           copy the caller
 * A split has its four fixed lines. Then the order is shuffled. */
#ifndef LOOM_TRACE_TEXT_ENCODE_H
#define LOOM_TRACE_TEXT_ENCODE_H

#include "core/rng.h"
#include "trace/text/facts.h"
#include "trace/text/layer.h"
#include "trace/text/text.h"

/* How draws are made. The deterministic policies (tests) shuffle nothing and split with k = 13. */
typedef enum loom_draw_policy { LOOM_DRAW_RANDOM, LOOM_DRAW_ALL, LOOM_DRAW_NONE } loom_draw_policy;
#define LOOM_DRAW_CHOICES "random|all|none"

typedef struct loom_encode_conf {
    loom_mode mode;
    loom_draw_policy policy;
    bool no_intermediate; /* instruction: answer without counting (ablation) */
    bool no_finish;       /* instruction: leave out " ### Finish", as the published example file does */
    bool balanced_split;
    bool listed_items; /* items of edges, subgraph lines and requirements below the root: listed order, not shuffled */
    bool handed_down;  /* an uncommon call is asked for in the layers above its own as well, as the sampler does */
    double bounded;    /* share of the graphs without high latency that are asked for a least latency; 0: none, and high
                          ones do not say theirs */
    int64_t latency_from; /* what high latency is said to begin at, ms; 0: as `bounded` says */
    uint32_t keep;        /* attributes of the root that are always shown, LOOM_ATTR_BIT(...) (id always is) */
} loom_encode_conf;

/* Fills the samples of one graph: one text for tabular and recursive, one per layer for instruction (pre-order).
 * Everything lives in `arena`; names are borrowed from the graph. Errors: those of loom_layers_build. */
loom_status loom_encode_texts(loom_text **texts, int32_t *n, const loom_graph *graph, const loom_facts *facts,
                              const loom_encode_conf *conf, loom_rng *rng, loom_arena *arena, loom_err *err);

/* Appends all samples of the graph, each ending with LF. Resets `arena` first. */
loom_status loom_encode_graph(loom_buf *into, const loom_graph *graph, const loom_facts *facts,
                              const loom_encode_conf *conf, loom_rng *rng, loom_arena *arena, loom_err *err);

/* Edge texts of n calls (indices into graph->calls; NULL: the first n). Tabular edges have the whole id and the source.
 * Items in an order drawn from `rng` (NULL: listed order). Returned in `arena`; names are borrowed from the graph. */
loom_edge_text *loom_encode_edges(const loom_graph *graph, const int32_t *calls, int32_t n, bool tabular, loom_rng *rng,
                                  loom_arena *arena);

/* The root layer's block alone (requirement, conditions, edges): what a root prompt is made of. `include` (NULL: none)
 * forces an include line. */
loom_status loom_encode_root(loom_block *out, const loom_graph *graph, const loom_facts *facts,
                             const loom_encode_conf *conf, const loom_line *include, loom_rng *rng, loom_arena *arena,
                             loom_err *err);

#endif
