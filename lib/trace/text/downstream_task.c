#include "trace/text/downstream_task.h"

#include "core/num.h"

/* ---- pieces of a layer's text ---- */
static void put_first_line(loom_buf *b, const loom_downstream_view *v, const char *line)
{
    if (v->form != LOOM_MODE_INSTRUCTION) return;
    loom_buf_str(b, line);
    loom_buf_char(b, '\n');
}

/* The child of a missing call does not name its start node: that would be the answer. */
static void put_header(loom_buf *b, const loom_downstream_view *v, const loom_layer *l, bool with_start_node)
{
    loom_attrs a;
    loom_attrs_init(&a);
    a.id = v->graph->service;
    a.start_node = l->start_node;
    a.caller = l->caller;
    if (with_start_node) loom_attrs_put(&a, LOOM_ATTR_START_NODE);
    loom_attrs_put(&a, LOOM_ATTR_ID);
    loom_attrs_put(&a, LOOM_ATTR_CALLER);
    if (v->rng) loom_rng_shuffle(v->rng, a.order, a.n_order, sizeof *a.order);
    loom_attrs_render(b, &a);
    loom_buf_str(b, "\n" LOOM_TEXT_EDGES "\n");
}

static loom_edge_text *edges_of(const loom_downstream_view *v, const loom_layer *l, int32_t n)
{
    return loom_encode_edges(v->graph, l->calls, n, v->form == LOOM_MODE_TABULAR, v->listed ? NULL : v->rng, v->arena);
}

static void put_edge(loom_buf *b, const loom_edge_text *e)
{
    loom_edge_render(b, e);
    loom_buf_char(b, '\n');
}

static void put_end(loom_buf *b) { loom_buf_str(b, LOOM_TEXT_EDGES_END "\n"); }

static void drop_finish(loom_edge_text *e)
{
    int n = 0;
    for (int i = 0; i < e->n_items; i++)
        if (e->order[i] != LOOM_ITEM_FINISH) e->order[n++] = e->order[i];
    e->n_items = (uint8_t)n;
}

/* ---- the layers of each task ---- */
static int32_t render_prefix(loom_buf *into, const loom_downstream_view *v, const loom_layer *l, int32_t limit,
                             bool finish)
{
    int32_t n = l->n_calls < limit ? l->n_calls : limit;
    loom_edge_text *edges = edges_of(v, l, n);

    put_header(into, v, l, true);
    for (int32_t i = 0; i < n; i++) {
        if (!finish) drop_finish(&edges[i]);
        put_edge(into, &edges[i]);
    }
    put_end(into);
    return n;
}

int32_t loom_downstream_render_high_latency(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                            int32_t limit)
{
    return layer->split ? 0 : render_prefix(into, v, layer, limit, false);
}

int32_t loom_downstream_render_uncommon(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                        int32_t limit, bool first)
{
    if (layer->split) return 0;
    if (first) put_first_line(into, v, LOOM_TEXT_ASK_UNCOMMON);
    return render_prefix(into, v, layer, limit, true);
}

const char *loom_downstream_render_attribute(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                             int32_t target, bool destination)
{
    static const uint8_t order[] = {LOOM_ITEM_EDGE_ID, LOOM_ITEM_START, LOOM_ITEM_FINISH, LOOM_ITEM_TYPE,
                                    LOOM_ITEM_DESTINATION};
    loom_edge_text *edges = edges_of(v, layer, layer->n_calls), *e = &edges[target];
    const char *truth = destination ? e->destination : e->type;

    if (destination) e->destination = LOOM_TEXT_MISSING;
    else e->type = LOOM_TEXT_MISSING;
    memcpy(e->order, order, sizeof order);
    e->n_items = sizeof order;
    if (v->rng && !v->listed) loom_rng_shuffle(v->rng, e->order, e->n_items, sizeof *e->order);
    put_first_line(into, v, LOOM_TEXT_ASK_ATTRIBUTE);
    put_header(into, v, layer, true);
    for (int32_t i = 0; i < layer->n_calls; i++) put_edge(into, &edges[i]);
    put_end(into);
    return truth;
}

void loom_downstream_render_parent(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                   int32_t target)
{
    loom_edge_text *edges = edges_of(v, layer, layer->n_calls);
    put_first_line(into, v, LOOM_TEXT_ASK_PARENT);
    put_header(into, v, layer, true);
    for (int32_t i = 0; i < layer->n_calls; i++) {
        if (i == target) loom_buf_str(into, "(" LOOM_TEXT_MISSING ")\n");
        else put_edge(into, &edges[i]);
    }
    put_end(into);
}

void loom_downstream_render_child(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer)
{
    loom_edge_text *edges = edges_of(v, layer, layer->n_calls);
    put_first_line(into, v, LOOM_TEXT_ASK_CHILD);
    put_header(into, v, layer, false);
    for (int32_t i = 0; i < layer->n_calls; i++) put_edge(into, &edges[i]);
    put_end(into);
}

/* ---- whole questions ---- */
static bool is_rare(const loom_facts *f, const loom_graph *g, const loom_call *c)
{
    return f->is_rare && f->is_rare(f->ctx, g->service, c->source, c->type, c->destination);
}

static void put_answer(loom_buf *answer, bool yes) { loom_buf_str(answer, yes ? LOOM_TEXT_YES : LOOM_TEXT_NO); }

static bool make_high_latency(loom_buf *question, loom_buf *answer, const loom_downstream_view *v,
                              const loom_layers *layers, const loom_facts *facts, int32_t limit)
{
    if (!facts->has_latency) return false;
    for (int32_t i = 0; i < layers->n && limit > 0; i++)
        limit -= loom_downstream_render_high_latency(question, v, layers->all[i], limit);
    put_answer(answer, loom_is_high_latency(facts, loom_call_finish(&v->graph->calls[0])));
    return true;
}

/* Calls of a plain layer that may be shown: all before the first rare one. */
static int32_t common_prefix(const loom_downstream_view *v, const loom_layer *l, const loom_facts *facts)
{
    int32_t n = 0;
    while (n < l->n_calls && !is_rare(facts, v->graph, &v->graph->calls[l->calls[n]])) n++;
    return n;
}

static bool make_uncommon(loom_buf *question, loom_buf *answer, const loom_downstream_view *v,
                          const loom_layers *layers, const loom_facts *facts, int32_t limit)
{
    bool first = true, rare = false;
    if (!facts->is_rare || !facts->has_latency) return false; /* too few graphs to call anything rare */
    for (int32_t i = 0; i < v->graph->n_calls && !rare; i++) rare = is_rare(facts, v->graph, &v->graph->calls[i]);
    for (int32_t i = 0; i < layers->n && limit > 0; i++) {
        const loom_layer *l = layers->all[i];
        if (l->split) continue;
        int32_t shown = common_prefix(v, l, facts), n = shown < limit ? shown : limit;
        if (n) loom_downstream_render_uncommon(question, v, l, n, first);
        first = first && !n;
        limit -= n;
        if (shown < l->n_calls) break; /* here the rare call comes */
    }
    if (first) return false;
    put_answer(answer, rare);
    return true;
}

/* A call drawn from the whole graph, so that every call is asked for equally often. */
static bool make_attribute(loom_buf *question, loom_buf *answer, const loom_downstream_view *v,
                           const loom_layers *layers)
{
    int64_t target = (int64_t)loom_rng_below(v->rng, (uint64_t)v->graph->n_calls);
    bool destination = loom_rng_chance(v->rng, 0.5);
    for (int32_t i = 0; i < layers->n; i++) {
        const loom_layer *l = layers->all[i];
        if (l->split) continue;
        if (target < l->n_calls) {
            loom_buf_str(answer, loom_downstream_render_attribute(question, v, l, (int32_t)target, destination));
            return true;
        }
        target -= l->n_calls;
    }
    return false;
}

static int32_t parent_edge(const loom_downstream_view *v, const loom_layer *parent, const loom_layer *child)
{
    for (int32_t i = 0; i < parent->n_calls; i++) {
        const loom_call *c = &v->graph->calls[parent->calls[i]];
        if (c->id[c->n_id - 1] == child->subgraph_index) return i;
    }
    return -1;
}

static bool make_edge(loom_buf *question, loom_buf *answer, const loom_downstream_view *v, const loom_layers *layers)
{
    const loom_layer *parent = NULL, *child = NULL;
    uint64_t seen = 0;

    for (int32_t i = 0; i < layers->n; i++) {
        const loom_layer *l = layers->all[i];
        for (int32_t k = 0; !l->split && k < l->n_children; k++) {
            if (l->children[k]->split || loom_rng_below(v->rng, ++seen) != 0) continue; /* one of all, evenly */
            parent = l;
            child = l->children[k];
        }
    }
    if (!child) return false;
    int32_t target = parent_edge(v, parent, child);
    loom_downstream_render_parent(question, v, parent, target);
    loom_downstream_render_child(question, v, child);
    loom_edge_text *truth =
        loom_encode_edges(v->graph, parent->calls + target, 1, v->form == LOOM_MODE_TABULAR, NULL, v->arena);
    loom_edge_render(answer, truth);
    return true;
}

loom_status loom_downstream_make(loom_buf *question, loom_buf *answer, bool *made, loom_downstream_task task,
                                 const loom_downstream_view *v, const loom_facts *facts, int32_t limit, loom_err *err)
{
    loom_layers layers;
    LOOM_TRY(loom_layers_build(&layers, v->graph, &(loom_split_conf){.rng = v->rng}, v->arena, err));
    switch (task) {
    case LOOM_DOWNSTREAM_HIGH_LATENCY: *made = make_high_latency(question, answer, v, &layers, facts, limit); break;
    case LOOM_DOWNSTREAM_UNCOMMON: *made = make_uncommon(question, answer, v, &layers, facts, limit); break;
    case LOOM_DOWNSTREAM_ATTRIBUTE: *made = make_attribute(question, answer, v, &layers); break;
    default: *made = make_edge(question, answer, v, &layers); break;
    }
    return LOOM_OK;
}

/* Between question and answer, and behind the answer. */
#define ANSWER_FRAME "\n" LOOM_TEXT_ANSWER "\n"
#define FINISH_FRAME "\n" LOOM_TEXT_FINISH

void loom_downstream_render_sample(loom_buf *into, const char *question, const char *answer)
{
    loom_buf_str(into, LOOM_TEXT_QUESTION);
    loom_buf_str(into, question);
    loom_buf_str(into, ANSWER_FRAME);
    loom_buf_str(into, answer);
    loom_buf_str(into, FINISH_FRAME "\n");
}

bool loom_downstream_cut(loom_downstream_parts *out, const char *sample)
{
    size_t skip = strlen(LOOM_TEXT_QUESTION);
    const char *frame = strncmp(sample, LOOM_TEXT_QUESTION, skip) == 0 ? strstr(sample, ANSWER_FRAME) : NULL;

    if (!frame) return false;
    out->question = sample + skip;
    out->question_len = (size_t)(frame - out->question);
    out->answer = frame + strlen(ANSWER_FRAME);
    const char *finish = strstr(out->answer, FINISH_FRAME);
    out->finished = finish != NULL;
    out->answer_len = finish ? (size_t)(finish - out->answer) : strlen(out->answer);
    return true;
}
