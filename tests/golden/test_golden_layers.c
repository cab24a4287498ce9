/* Layer trees against the reference implementation (deterministic: k = 13). */
#include "trace/text/layer.h"
#include "trace_cases.h"

static void check_layer(const loom_graph *g, const loom_layer *l, const loom_json *want)
{
    char text[16];
    loom_buf id = {0};
    const loom_json *ids = loom_json_get(want, "edge_ids"), *children = loom_json_get(want, "children");

    CHECK_I64(l->index, loom_json_i64(loom_json_get(want, "index"), -1));
    CHECK_STR(l->split ? "split" : "layer", case_str(want, "kind"));
    CHECK_STR(l->caller, case_str(want, "caller"));
    CHECK_STR(l->start_node, case_str(want, "start_node"));
    snprintf(text, sizeof text, "%d", l->start_edge_id);
    CHECK_STR(text, case_str(want, "start_edge_id"));
    CHECK_I64(l->start, loom_json_i64(loom_json_get(want, "start_communication_at"), -1));
    CHECK_I64(l->latency, loom_json_i64(loom_json_get(want, "latency"), -1));
    CHECK_I64(l->num_edges, loom_json_i64(loom_json_get(want, "num_edges"), -1));
    CHECK_I64(l->n_calls, loom_json_i64(loom_json_get(want, "num_current_edges"), -1));
    CHECK_I64(l->n_children, loom_json_i64(loom_json_get(want, "num_subgraphs"), -1));
    CHECK_I64(l->depth, loom_json_i64(loom_json_get(want, "depth"), -1));
    CHECK_I64(l->level, loom_json_i64(loom_json_get(want, "current_depth"), -1));
    CHECK_I64(loom_layer_remaining_depth(l), loom_json_i64(loom_json_get(want, "remaining_depth"), -1));
    snprintf(text, sizeof text, "%d", l->subgraph_index);
    CHECK_STR(text, case_str(want, "subgraph_index"));
    REQUIRE(loom_json_len(ids) == (size_t)l->n_calls && loom_json_len(children) == (size_t)l->n_children);
    for (int32_t i = 0; i < l->n_calls; i++) {
        const loom_call *c = &g->calls[l->calls[i]];
        loom_buf_reset(&id);
        loom_id_render(&id, c->id, c->n_id);
        CHECK_STR(loom_buf_text(&id), loom_json_str(loom_json_at(ids, (size_t)i), NULL));
    }
    loom_buf_release(&id);
    for (int32_t i = 0; i < l->n_children; i++) check_layer(g, l->children[i], loom_json_at(children, (size_t)i));
}

static void check_case(const loom_json *one, loom_arena *arena)
{
    loom_graph g;
    loom_layers layers;
    loom_err err = {0};

    if (!case_graph(&g, one, arena)) return;
    CHECK_I64(g.n_calls, loom_json_i64(loom_json_get(one, "edges"), -1));
    CHECK_I64(loom_graph_depth(&g), loom_json_i64(loom_json_get(one, "depth"), -1));
    REQUIRE_OK(loom_layers_build(&layers, &g, &(loom_split_conf){0}, arena, &err), err);
    check_layer(&g, layers.all[0], loom_json_get(one, "root_layer"));
    for (int32_t i = 0; i < layers.n; i++) CHECK(layers.all[i]->index == i);
}

TEST(layers) { CHECK(trace_cases("layers", check_case) >= 5); }

TEST_MAIN(RUN(layers))
