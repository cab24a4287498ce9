#include "trace/text/layer.h"

#include "core/num.h"
#include "trace/text/grammar.h"

#define LAYERS "the layers of a graph"

/* Working state of one build: the tree of calls in compressed form, then layers bottom up. */
typedef struct builder {
    const loom_graph *g;
    const loom_split_conf *conf;
    loom_arena *arena;
    int32_t *parent;      /* of each call; -1 for the root */
    int32_t *first_child; /* n + 1 offsets into child */
    int32_t *child;       /* calls grouped by parent, id order */
    int32_t n_layers;
} builder;

static loom_status find_parents(builder *b, loom_err *err)
{
    const loom_graph *g = b->g;
    int32_t n = g->n_calls, *path = loom_arena_calloc(b->arena, LOOM_ID_MAX_COMPONENTS + 1, sizeof *path);

    LOOM_TRY(loom_arena_check(b->arena, LAYERS, err));
    for (int32_t i = 0; i < n; i++) {
        const loom_call *c = &g->calls[i];
        if (c->n_id < 1 || c->n_id > LOOM_ID_MAX_COMPONENTS || (c->n_id == 1) != (i == 0) || c->id[0] != 0)
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "call %d of a graph of %s: a valid graph starts with call 0 and "
                             "has no second root; run it through loom-preprocess dedupe first",
                             i, g->service);
        path[c->n_id] = i;
        b->parent[i] = -1;
        if (i == 0) continue;
        /* in id order the latest call one level up is the parent, if the parent is there at all */
        int32_t p = path[c->n_id - 1];
        if (!loom_id_is_prefix(g->calls[p].id, g->calls[p].n_id, c->id, c->n_id) || g->calls[p].n_id != c->n_id - 1)
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "call %d of a graph of %s has no parent in the graph; run it "
                             "through loom-preprocess dedupe first",
                             i, g->service);
        b->parent[i] = p;
    }
    return LOOM_OK;
}

static loom_status group_children(builder *b, loom_err *err)
{
    int32_t n = b->g->n_calls;
    int32_t *fill = loom_arena_calloc(b->arena, (size_t)n, sizeof *fill);
    LOOM_TRY(loom_arena_check(b->arena, LAYERS, err));
    for (int32_t i = 1; i < n; i++) b->first_child[b->parent[i] + 1]++;
    for (int32_t i = 0; i < n; i++) b->first_child[i + 1] += b->first_child[i];
    for (int32_t i = 1; i < n; i++) {
        int32_t p = b->parent[i];
        b->child[b->first_child[p] + fill[p]++] = i;
    }
    return LOOM_OK;
}

/* What plain layers and splits have in common: everything but latency and children. NULL, as for all that build layers
 * here: no memory. */
static loom_layer *new_layer(builder *b, const int32_t *calls, int32_t n, const char *caller)
{
    const loom_call *first = &b->g->calls[calls[0]];
    loom_layer *l = loom_arena_calloc(b->arena, 1, sizeof *l);

    if (!l) return NULL;
    *l = (loom_layer){.calls = calls,
                      .n_calls = n,
                      .caller = caller,
                      .start_node = first->source,
                      .start_edge_id = first->id[first->n_id - 1],
                      .subgraph_index = first->n_id > 1 ? first->id[first->n_id - 2] : 0,
                      .start = first->arrived,
                      .level = first->n_id,
                      .depth = first->n_id};
    b->n_layers++;
    return l;
}

static void take_children(loom_layer *l, loom_layer **children, int32_t n)
{
    l->children = children;
    l->n_children = n;
    for (int32_t i = 0; i < n; i++) {
        l->num_edges += children[i]->num_edges;
        if (children[i]->depth > l->depth) l->depth = children[i]->depth;
    }
}

static loom_layer *plain_layer(builder *b, const int32_t *calls, int32_t n, loom_layer **children, int32_t n_children,
                               const char *caller, int64_t given)
{
    loom_layer *l = new_layer(b, calls, n, caller);
    if (!l) return NULL;
    l->latency = given;
    for (int32_t i = 0; i < n; i++) l->latency = loom_max_i64(l->latency, loom_call_finish(&b->g->calls[calls[i]]));
    l->num_edges = n;
    take_children(l, children, n_children);
    return l;
}

static loom_layer *split_layer(builder *b, loom_layer **parts, int32_t n)
{
    int32_t n_calls = 0;
    for (int32_t i = 0; i < n; i++) n_calls += parts[i]->n_calls;
    loom_layer *l = new_layer(b, parts[0]->calls, n_calls, parts[0]->caller);
    if (!l) return NULL;
    l->split = true;
    for (int32_t i = 0; i < n; i++) l->latency = i ? loom_max_i64(l->latency, parts[i]->latency) : parts[i]->latency;
    take_children(l, parts, n);
    return l;
}

/* First item of run r when n items are cut into n_runs: of `size` each and a shorter last one, or evenly. */
static int32_t run_start(int32_t n, int32_t size, int32_t n_runs, int32_t r, bool balanced)
{
    if (r >= n_runs) return n;
    return balanced ? (int32_t)((int64_t)n * r / n_runs) : r * size;
}

static loom_layer *merge(builder *b, loom_layer **parts, int32_t n)
{
    for (;;) {
        int32_t n_groups = (n + LOOM_SPLIT_MAX_PARTS - 1) / LOOM_SPLIT_MAX_PARTS;
        loom_layer **groups = loom_arena_calloc(b->arena, (size_t)n_groups, sizeof *groups);
        if (!groups) return NULL;
        for (int32_t i = 0; i < n_groups; i++) {
            int32_t from = run_start(n, LOOM_SPLIT_MAX_PARTS, n_groups, i, b->conf->balanced);
            int32_t to = run_start(n, LOOM_SPLIT_MAX_PARTS, n_groups, i + 1, b->conf->balanced);
            if (!(groups[i] = split_layer(b, parts + from, to - from))) return NULL;
        }
        if (n_groups == 1) return groups[0];
        if (n_groups <= LOOM_SPLIT_MAX_PARTS) return split_layer(b, groups, n_groups);
        parts = groups;
        n = n_groups;
    }
}

static loom_layer *cut(builder *b, const int32_t *calls, int32_t n, loom_layer **children, int32_t n_children,
                       const char *caller, int64_t given)
{
    int32_t k = LOOM_LAYER_MAX_EDGES - 2 + (b->conf->rng ? (int32_t)loom_rng_below(b->conf->rng, 3) : 0);
    int32_t n_parts = (n + k - 1) / k, used = 0;
    loom_layer **parts = loom_arena_calloc(b->arena, (size_t)n_parts, sizeof *parts);

    if (!parts) return NULL;
    for (int32_t i = 0; i < n_parts; i++) {
        int32_t from = run_start(n, k, n_parts, i, b->conf->balanced);
        int32_t to = run_start(n, k, n_parts, i + 1, b->conf->balanced), own = used;
        while (own < n_children && b->parent[children[own]->calls[0]] <= calls[to - 1]) own++;
        parts[i] = plain_layer(b, calls + from, to - from, children + used, own - used, caller, given);
        if (!parts[i]) return NULL;
        used = own;
    }
    return merge(b, parts, n_parts);
}

static loom_layer *layer_of(builder *b, const int32_t *calls, int32_t n, const char *caller, int64_t given)
{
    loom_layer **children = loom_arena_calloc(b->arena, (size_t)n, sizeof *children);
    int32_t n_children = 0;

    if (!children) return NULL;
    for (int32_t i = 0; i < n; i++) {
        int32_t p = calls[i], from = b->first_child[p], n_below = b->first_child[p + 1] - from;
        const loom_call *c = &b->g->calls[p];
        if (!n_below) continue;
        loom_layer *l = layer_of(b, b->child + from, n_below, c->source, p == 0 ? c->rt : loom_call_finish(c));
        if (!l) return NULL;
        children[n_children++] = l;
    }
    if (n > LOOM_LAYER_MAX_EDGES) return cut(b, calls, n, children, n_children, caller, given);
    return plain_layer(b, calls, n, children, n_children, caller, given);
}

static void list(loom_layers *out, loom_layer *l)
{
    l->index = out->n;
    out->all[out->n++] = l;
    for (int32_t i = 0; i < l->n_children; i++) list(out, l->children[i]);
}

loom_status loom_layers_build(loom_layers *out, const loom_graph *graph, const loom_split_conf *conf, loom_arena *arena,
                              loom_err *err)
{
    static const int32_t root_call[1] = {0};
    size_t n = (size_t)graph->n_calls;
    builder b = {.g = graph, .conf = conf, .arena = arena};

    if (graph->n_calls < 1)
        return loom_fail(err, LOOM_STATUS_FORMAT, "a graph of %s has no calls, so it has no layers", graph->service);
    b.parent = loom_arena_alloc(arena, n * sizeof *b.parent);
    b.child = loom_arena_alloc(arena, n * sizeof *b.child);
    b.first_child = loom_arena_calloc(arena, n + 1, sizeof *b.first_child);
    LOOM_TRY(loom_arena_check(arena, LAYERS, err));
    LOOM_TRY(find_parents(&b, err));
    LOOM_TRY(group_children(&b, err));
    loom_layer *root = layer_of(&b, root_call, 1, LOOM_TEXT_NO_CALLER, graph->calls[0].rt);
    *out = (loom_layers){.graph = graph, .all = loom_arena_calloc(arena, (size_t)b.n_layers, sizeof *out->all)};
    LOOM_TRY(loom_arena_check(arena, LAYERS, err));
    list(out, root);
    return LOOM_OK;
}
