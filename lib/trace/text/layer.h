/* Layers of a call graph (docs/FORMATS.md, encoded text).
 *
 * A layer = all calls with the same parent. Wide layers (more than LOOM_LAYER_MAX_EDGES calls) become a tree of splits:
 * chunks of k calls, k drawn from {13, 14, 15} (13 without a random stream), merged in groups of up to five.
 *
 *   loom_layers layers;
 *   LOOM_TRY(loom_layers_build(&layers, graph, &(loom_split_conf){.rng = &rng}, &arena, err));
 *   for (int32_t i = 0; i < layers.n; i++) use(layers.all[i]);          pre-order, all[0] is the root layer
 */
#ifndef LOOM_TRACE_TEXT_LAYER_H
#define LOOM_TRACE_TEXT_LAYER_H

#include "core/rng.h"
#include "trace/graph/callgraph.h"

typedef struct loom_layer loom_layer;
struct loom_layer {
    bool split;             /* no calls of its own text; children are its parts */
    const int32_t *calls;   /* indices into graph->calls, id order; a split counts the calls of all its parts */
    int32_t n_calls;        /* = num_current_edges */
    loom_layer **children;  /* plain: child layers in order of their parent call; split: parts */
    int32_t n_children;     /* = num_subgraphs */
    const char *start_node; /* source of the first call */
    const char *caller;     /* source of the parent call, "None" for the root layer */
    int32_t start_edge_id;  /* last id component of the first call */
    int32_t subgraph_index; /* number of the parent call under its own parent, 0 for the root layer */
    int64_t start;          /* arrived of the first call, ms */
    int64_t latency;        /* max(given, latest finish), ms */
    int32_t num_edges;      /* calls of this layer and all below */
    int32_t depth, level;   /* deepest level below; own level (components of the first call's id) */
    int32_t index;          /* place in the pre-order */
};

static inline int32_t loom_layer_remaining_depth(const loom_layer *l) { return l->depth - l->level; }

typedef struct loom_layers {
    const loom_graph *graph; /* borrowed */
    loom_layer **all;        /* pre-order */
    int32_t n;
} loom_layers;

typedef struct loom_split_conf {
    loom_rng *rng; /* draws k for every split layer; NULL: k = 13 */
    bool balanced; /* chunks and groups of even size, so that no split has a single part */
} loom_split_conf;

/* The graph must be valid (trace/validity.h) with calls in dotted-id order; a call without its parent, another first
 * call than "0" is a FORMAT error. Everything lives in `arena`. */
loom_status loom_layers_build(loom_layers *out, const loom_graph *graph, const loom_split_conf *conf, loom_arena *arena,
                              loom_err *err);

#endif
