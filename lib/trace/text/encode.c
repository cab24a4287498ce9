#include "trace/text/encode.h"

#define MAX_CONDITIONS 16
#define TEXTS          "the text of a graph"

/* What one graph's encoding needs at every step. */
typedef struct encoder {
    const loom_graph *g;
    const loom_facts *facts;
    const loom_encode_conf *conf;
    loom_rng *rng;
    loom_arena *arena;
} encoder;

static const loom_facts nothing_known;

/* ---- draws ---- */
static bool chance(const encoder *e, double p)
{
    if (e->conf->policy == LOOM_DRAW_RANDOM) return loom_rng_chance(e->rng, p);
    return e->conf->policy == LOOM_DRAW_ALL;
}

static void shuffle(const encoder *e, void *array, size_t n, size_t size)
{
    if (e->conf->policy == LOOM_DRAW_RANDOM) loom_rng_shuffle(e->rng, array, n, size);
}

/* What an answer says and, word for word, what the next layer is asked. */
static void shuffle_items(const encoder *e, void *array, size_t n, size_t size)
{
    if (!e->conf->listed_items) shuffle(e, array, n, size);
}

/* ---- edges ---- */
static const char *number(int32_t value, loom_arena *arena)
{
    char digits[12];
    int n = snprintf(digits, sizeof digits, "%d", value);
    return loom_arena_strdup(arena, digits, (size_t)n);
}

static const char *dotted(const loom_call *c, loom_arena *arena)
{
    loom_buf text = {0};
    loom_id_render(&text, c->id, c->n_id);
    const char *copy = loom_arena_strdup(arena, loom_buf_text(&text), text.len);
    loom_buf_release(&text);
    return copy;
}

loom_edge_text *loom_encode_edges(const loom_graph *graph, const int32_t *calls, int32_t n, bool tabular, loom_rng *rng,
                                  loom_arena *arena)
{
    loom_edge_text *edges = loom_arena_alloc(arena, (size_t)n * sizeof *edges);
    if (!edges) return NULL;
    for (int32_t i = 0; i < n; i++) {
        const loom_call *c = &graph->calls[calls ? calls[i] : i];
        loom_edge_text *t = &edges[i];
        *t = (loom_edge_text){.edge_id = tabular ? dotted(c, arena) : number(c->id[c->n_id - 1], arena),
                              .type = loom_call_type_name(c->type),
                              .source = tabular ? c->source : "",
                              .destination = c->destination,
                              .start = c->arrived,
                              .finish = loom_call_finish(c)};
        for (int item = 0; item < LOOM_ITEMS; item++)
            if (tabular || item != LOOM_ITEM_SOURCE) t->order[t->n_items++] = (uint8_t)item;
        if (rng) loom_rng_shuffle(rng, t->order, t->n_items, sizeof *t->order);
    }
    return edges;
}

static loom_edge_text *edges_of(const encoder *e, const int32_t *calls, int32_t n, bool tabular)
{
    bool shuffled = e->conf->policy == LOOM_DRAW_RANDOM && !e->conf->listed_items;
    return loom_encode_edges(e->g, calls, n, tabular, shuffled ? e->rng : NULL, e->arena);
}

/* ---- attributes ---- */
static void fill_values(const encoder *e, loom_attrs *a, const loom_layer *l)
{
    loom_attrs_init(a);
    a->id = e->g->service;
    a->num_edges = l->num_edges;
    a->start_node = l->start_node;
    a->start_edge_id = number(l->start_edge_id, e->arena);
    a->start = l->start;
    a->latency = l->latency;
    a->num_subgraphs = l->n_children;
    a->remaining_depth = loom_layer_remaining_depth(l);
    a->num_current_edges = l->n_calls;
    a->caller = l->caller;
}

static void fill_all(const encoder *e, loom_attrs *a, const loom_layer *l)
{
    const uint8_t *which = e->conf->listed_items ? loom_attrs_listed : loom_attrs_other;

    fill_values(e, a, l);
    for (; *which != LOOM_ATTRS; which++) loom_attrs_put(a, (loom_attr)*which);
    shuffle_items(e, a->order, a->n_order, sizeof *a->order);
}

/* ---- conditions ---- */
typedef struct lines {
    loom_line *items; /* NULL: no memory, nothing is kept */
    int32_t n;
} lines;

static void add(lines *l, loom_line line)
{
    if (l->items) l->items[l->n++] = line;
}

static void maybe(const encoder *e, lines *l, loom_line line)
{
    if (chance(e, 0.9)) add(l, line);
}

static bool is_rare(const encoder *e, const loom_call *c)
{
    return e->facts->is_rare && e->facts->is_rare(e->facts->ctx, e->g->service, c->source, c->type, c->destination);
}

/* The call that a layer is asked for: its first uncommon one; with handed_down, where it has none, that of a layer
 * below. Where layers are asked for their first call, that is the only one they are asked for, if it is uncommon or
 * the draw says so: a model that is told to include what stands anywhere in the layer puts it off at every place, as
 * another call is likelier there, until there is no place left. NULL: none. */
static const loom_call *call_asked_for(const encoder *e, const loom_layer *l)
{
    const loom_call *below = NULL;
    int32_t n = e->facts->asked > 0 && l->n_calls > 1 ? 1 : l->n_calls;

    if (n > 0 && loom_asks_for_first(e->facts, l->calls[0])) return &e->g->calls[l->calls[0]];
    for (int32_t i = 0; i < n; i++) {
        const loom_call *c = &e->g->calls[l->calls[i]];
        if (is_rare(e, c)) return c;
    }
    for (int32_t i = 0; i < l->n_children && e->conf->handed_down && !below; i++)
        below = call_asked_for(e, l->children[i]);
    return below;
}

static void add_include(const encoder *e, lines *out, const loom_layer *l, const loom_line *forced)
{
    if (forced) {
        add(out, *forced);
        return;
    }
    const loom_call *c = call_asked_for(e, l);
    if (!c) return;
    add(out, (loom_line){.kind = LOOM_LINE_INCLUDE, .name = {c->source, c->destination, loom_call_type_name(c->type)}});
}

static void add_invariants(const encoder *e, lines *out, const loom_layer *l)
{
    shuffle(e, out->items, (size_t)out->n, sizeof *out->items);
    maybe(e, out, (loom_line){.kind = LOOM_LINE_START_BEFORE_FINISH});
    maybe(e, out, (loom_line){.kind = LOOM_LINE_COPY_CALLER, .name = {l->start_node}});
    shuffle(e, out->items, (size_t)out->n, sizeof *out->items);
}

static void latency_lines(const encoder *e, lines *out, int64_t latency)
{
    maybe(e, out, (loom_line){.kind = LOOM_LINE_START_WITHIN, .num = {latency}});
    maybe(e, out, (loom_line){.kind = LOOM_LINE_FINISH_WITHIN, .num = {latency}});
}

/* Draws whether a root attribute is shown, and if so the line that goes with it; if not, the line that says so. */
static void root_attr(const encoder *e, loom_attrs *a, loom_attr which, lines *out, const loom_line *with,
                      const loom_line *without)
{
    bool shown = chance(e, 0.9) || (e->conf->keep & LOOM_ATTR_BIT(which));
    const loom_line *line = shown ? with : without;
    if (shown) loom_attrs_put(a, which);
    if (line) maybe(e, out, *line);
}

static void root_latency(const encoder *e, loom_attrs *a, lines *out, bool high)
{
    if (high) return;
    if (chance(e, 0.5) || (e->conf->keep & LOOM_ATTR_BIT(LOOM_ATTR_LATENCY))) {
        loom_attrs_put(a, LOOM_ATTR_LATENCY);
        latency_lines(e, out, a->latency);
    } else if (chance(e, 0.5)) {
        add(out, (loom_line){.kind = LOOM_LINE_DISTRIBUTIONS});
    }
}

/* The least latency that a root is asked for, ms; 0: none is said. */
static int64_t latency_from(const encoder *e, int64_t latency, bool high)
{
    if (high && e->conf->latency_from > 0) return e->conf->latency_from;
    if (e->conf->bounded <= 0) return 0;
    if (high) return chance(e, 0.75) ? e->facts->p90 : 0;
    if (latency < 1 || !chance(e, e->conf->bounded)) return 0;
    return latency - (int64_t)loom_rng_below(e->rng, (uint64_t)latency / 2 + 1);
}

static void root_requirement(const encoder *e, loom_block *b, const loom_layer *l, const loom_line *include)
{
    loom_attrs *a = &b->req;
    lines out = {.items = loom_arena_alloc(e->arena, MAX_CONDITIONS * sizeof *out.items)};
    bool high = loom_is_high_latency(e->facts, l->latency);
    int64_t from = latency_from(e, l->latency, high);

    fill_values(e, a, l);
    loom_line no_edges = {.kind = LOOM_LINE_NO_NUM_EDGES}, no_subs = {.kind = LOOM_LINE_SUBGRAPHS_IF_NEEDED},
              no_depth = {.kind = LOOM_LINE_NO_DEPTH},
              first_id = {.kind = LOOM_LINE_FIRST_EDGE_ID, .name = {a->start_edge_id}},
              first_start = {.kind = LOOM_LINE_FIRST_START, .num = {a->start}},
              count = {.kind = LOOM_LINE_NUM_EDGES, .num = {a->num_current_edges}};
    loom_attrs_put(a, LOOM_ATTR_ID);
    root_attr(e, a, LOOM_ATTR_START_NODE, &out, NULL, NULL);
    root_attr(e, a, LOOM_ATTR_NUM_EDGES, &out, NULL, &no_edges);
    root_attr(e, a, LOOM_ATTR_START_EDGE_ID, &out, &first_id, NULL);
    root_attr(e, a, LOOM_ATTR_START, &out, &first_start, NULL);
    root_latency(e, a, &out, high || from);
    root_attr(e, a, LOOM_ATTR_NUM_SUBGRAPHS, &out, NULL, &no_subs);
    root_attr(e, a, LOOM_ATTR_REMAINING_DEPTH, &out, NULL, &no_depth);
    root_attr(e, a, LOOM_ATTR_NUM_CURRENT_EDGES, &out, &count, NULL);
    shuffle(e, a->order, a->n_order, sizeof *a->order);
    add_include(e, &out, l, include);
    if (from) add(&out, (loom_line){.kind = LOOM_LINE_LATENCY_FROM, .num = {from}});
    else if (high) add(&out, (loom_line){.kind = LOOM_LINE_HIGH_LATENCY});
    add_invariants(e, &out, l);
    b->conds = out.items;
    b->n_conds = out.n;
}

static void plain_conditions(const encoder *e, loom_block *b, const loom_layer *l, const loom_line *include)
{
    const loom_attrs *a = &b->req;
    lines out = {.items = loom_arena_alloc(e->arena, MAX_CONDITIONS * sizeof *out.items)};

    maybe(e, &out, (loom_line){.kind = LOOM_LINE_FIRST_EDGE_ID, .name = {a->start_edge_id}});
    maybe(e, &out, (loom_line){.kind = LOOM_LINE_FIRST_START, .num = {a->start}});
    latency_lines(e, &out, a->latency);
    maybe(e, &out,
          l->n_children ? (loom_line){.kind = LOOM_LINE_SUBGRAPHS, .num = {l->n_children}}
                        : (loom_line){.kind = LOOM_LINE_NO_SUBGRAPHS});
    maybe(e, &out, (loom_line){.kind = LOOM_LINE_NUM_EDGES, .num = {a->num_current_edges}});
    add_include(e, &out, l, include);
    add_invariants(e, &out, l);
    b->conds = out.items;
    b->n_conds = out.n;
}

static void split_conditions(const encoder *e, loom_block *b, const loom_layer *l)
{
    lines out = {.items = loom_arena_alloc(e->arena, 4 * sizeof *out.items)};

    add(&out, (loom_line){.kind = LOOM_LINE_SPLIT});
    add(&out, (loom_line){.kind = LOOM_LINE_SPLIT_START_NODE, .name = {l->start_node}});
    add(&out, (loom_line){.kind = LOOM_LINE_SPLIT_LATENCY});
    add(&out, (loom_line){.kind = LOOM_LINE_SPLIT_START});
    if (out.items) shuffle(e, out.items + 1, 3, sizeof *out.items);
    b->conds = out.items;
    b->n_conds = out.n;
}

/* ---- subgraphs ---- */
static const char *destination_of(const encoder *e, const loom_layer *l, int32_t edge_id)
{
    for (int32_t i = 0; i < l->n_calls; i++) {
        const loom_call *c = &e->g->calls[l->calls[i]];
        if (c->id[c->n_id - 1] == edge_id) return c->destination;
    }
    return "";
}

static void sub_lines(const encoder *e, loom_sub_text *sub, const loom_layer *l, const loom_layer *child, int64_t left)
{
    lines out = {.items = loom_arena_alloc(e->arena, 3 * sizeof *out.items)};
    int32_t depth = loom_layer_remaining_depth(l);
    bool one_less = loom_layer_remaining_depth(child) == depth - 1;

    add(&out, (loom_line){.kind = LOOM_LINE_SUB_NUM_EDGES, .num = {left}});
    if (one_less && l->split) /* the opposite of what is meant, kept as published (spec, quirk E4) */
        add(&out, (loom_line){.kind = LOOM_LINE_SUB_SPLIT_DEPTH, .num = {depth}});
    if (one_less && !l->split) add(&out, (loom_line){.kind = LOOM_LINE_SUB_DEPTH, .num = {depth, depth - 1}});
    if (!l->split)
        add(&out, (loom_line){.kind = LOOM_LINE_SUB_START_NODE,
                              .name = {sub->index, destination_of(e, l, child->subgraph_index)}});
    shuffle_items(e, out.items, (size_t)out.n, sizeof *out.items);
    sub->lines = out.items;
    sub->n_lines = out.n;
}

static void fill_subs(const encoder *e, loom_block *b, const loom_layer *l)
{
    loom_sub_text *subs = loom_arena_calloc(e->arena, (size_t)l->n_children + 1, sizeof *subs);
    int64_t left = l->num_edges - (l->split ? 0 : l->n_calls);

    for (int32_t i = 0; subs && i < l->n_children; i++) {
        const loom_layer *child = l->children[i];
        subs[i].index = number(child->subgraph_index, e->arena);
        if (b->counted) sub_lines(e, &subs[i], l, child, left);
        fill_all(e, &subs[i].attrs, child);
        left -= child->num_edges;
    }
    b->subs = subs;
    b->n_subs = subs ? l->n_children : 0;
}

/* ---- blocks ---- */
/* What a user calls is a request: attributes are left out of it. Every other layer, the first one of a graph that no
 * user began included, shows them all, as the public program has it. */
static bool is_request(const loom_layer *l) { return strcmp(l->start_node, LOOM_TEXT_USER) == 0; }

static void fill_block(const encoder *e, loom_block *b, const loom_layer *l, const loom_line *include)
{
    bool instruction = e->conf->mode == LOOM_MODE_INSTRUCTION;

    *b = (loom_block){.split = l->split,
                      .total = l->num_edges,
                      .counted = instruction && !e->conf->no_intermediate,
                      .finish = instruction && !e->conf->no_finish,
                      .generate = !instruction && l->index == 0};
    if (is_request(l)) {
        root_requirement(e, b, l, include);
    } else {
        fill_all(e, &b->req, l);
        if (instruction && l->split) split_conditions(e, b, l);
        if (instruction && !l->split) plain_conditions(e, b, l, include);
    }
    if (!l->split) {
        b->edges = edges_of(e, l->calls, l->n_calls, false);
        b->n_edges = b->edges ? l->n_calls : 0;
    }
    fill_subs(e, b, l);
}

static void fill_tabular(const encoder *e, loom_block *b)
{
    const loom_graph *g = e->g;
    loom_attrs *a = &b->req;

    *b = (loom_block){.generate = true};
    loom_attrs_init(a);
    a->id = g->service;
    a->num_edges = g->n_calls;
    a->latency = g->calls[0].rt;
    a->remaining_depth = loom_graph_depth(g);
    for (const uint8_t *which = loom_attrs_tabular; *which != LOOM_ATTRS; which++)
        if (*which == LOOM_ATTR_ID || chance(e, 0.9) || (e->conf->keep & LOOM_ATTR_BIT(*which)))
            loom_attrs_put(a, (loom_attr)*which);
    shuffle(e, a->order, a->n_order, sizeof *a->order);
    b->edges = edges_of(e, NULL, g->n_calls, true);
    b->n_edges = b->edges ? g->n_calls : 0;
}

static loom_status build_layers(const encoder *e, loom_layers *layers, loom_err *err)
{
    loom_split_conf split = {.rng = e->conf->policy == LOOM_DRAW_RANDOM ? e->rng : NULL,
                             .balanced = e->conf->balanced_split};
    return loom_layers_build(layers, e->g, &split, e->arena, err);
}

loom_status loom_encode_texts(loom_text **texts, int32_t *n, const loom_graph *graph, const loom_facts *facts,
                              const loom_encode_conf *conf, loom_rng *rng, loom_arena *arena, loom_err *err)
{
    encoder e = {.g = graph, .facts = facts ? facts : &nothing_known, .conf = conf, .rng = rng, .arena = arena};
    loom_layers layers = {0};
    int32_t n_blocks = 1;

    if (conf->mode != LOOM_MODE_TABULAR) {
        LOOM_TRY(build_layers(&e, &layers, err));
        n_blocks = layers.n;
    } else if (graph->n_calls < 1) {
        return loom_fail(err, LOOM_STATUS_FORMAT, "a graph of %s has no calls, so it has no text", graph->service);
    }
    loom_block *blocks = loom_arena_calloc(arena, (size_t)n_blocks, sizeof *blocks);
    LOOM_TRY(loom_arena_check(arena, TEXTS, err));
    if (conf->mode == LOOM_MODE_TABULAR) fill_tabular(&e, blocks);
    for (int32_t i = 0; i < layers.n; i++) fill_block(&e, &blocks[i], layers.all[i], NULL);

    bool one_each = conf->mode == LOOM_MODE_INSTRUCTION;
    *n = one_each ? n_blocks : 1;
    *texts = loom_arena_calloc(arena, (size_t)*n, sizeof **texts);
    LOOM_TRY(loom_arena_check(arena, TEXTS, err));
    for (int32_t i = 0; i < *n; i++)
        (*texts)[i] = (loom_text){.mode = conf->mode, .blocks = blocks + i, .n_blocks = one_each ? 1 : n_blocks};
    return LOOM_OK;
}

loom_status loom_encode_graph(loom_buf *into, const loom_graph *graph, const loom_facts *facts,
                              const loom_encode_conf *conf, loom_rng *rng, loom_arena *arena, loom_err *err)
{
    loom_text *texts;
    int32_t n;

    loom_arena_reset(arena);
    LOOM_TRY(loom_encode_texts(&texts, &n, graph, facts, conf, rng, arena, err));
    for (int32_t i = 0; i < n; i++) {
        loom_text_render(into, &texts[i]);
        if (into->len && into->data[into->len - 1] != '\n') loom_buf_char(into, '\n');
    }
    return loom_buf_check(into, TEXTS, err);
}

loom_status loom_encode_root(loom_block *out, const loom_graph *graph, const loom_facts *facts,
                             const loom_encode_conf *conf, const loom_line *include, loom_rng *rng, loom_arena *arena,
                             loom_err *err)
{
    encoder e = {.g = graph, .facts = facts ? facts : &nothing_known, .conf = conf, .rng = rng, .arena = arena};
    loom_layers layers;

    if (conf->mode == LOOM_MODE_TABULAR) {
        if (graph->n_calls < 1)
            return loom_fail(err, LOOM_STATUS_FORMAT, "a graph of %s has no calls, so it has no text", graph->service);
        fill_tabular(&e, out);
        return loom_arena_check(arena, TEXTS, err);
    }
    LOOM_TRY(build_layers(&e, &layers, err));
    fill_block(&e, out, layers.all[0], include);
    return loom_arena_check(arena, TEXTS, err);
}
