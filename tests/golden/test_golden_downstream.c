/* Texts of the downstream tasks against the reference implementation, nothing shuffled. */
#include "trace/text/downstream_task.h"
#include "trace_cases.h"

/* {"1": [text, shown], "3": ..., "99": ...}; key "99" shows all. */
static void check_prefixes(const loom_json *want, const loom_downstream_view *v, const loom_layer *l, bool uncommon)
{
    static const char *const keys[] = {"1", "3", "99"};
    static const int32_t limits[] = {1, 3, 99};
    for (int i = 0; want && i < 3; i++) {
        const loom_json *pair = loom_json_get(want, keys[i]);
        loom_buf text = {0};
        int32_t shown = uncommon ? loom_downstream_render_uncommon(&text, v, l, limits[i], true)
                                 : loom_downstream_render_high_latency(&text, v, l, limits[i]);
        CHECK_STR(loom_buf_text(&text), loom_json_str(loom_json_at(pair, 0), NULL));
        CHECK_I64(shown, loom_json_i64(loom_json_at(pair, 1), -1));
        loom_buf_release(&text);
    }
}

static void check_attributes(const loom_json *want, const loom_downstream_view *v, const loom_layer *l)
{
    for (void *it = loom_json_iter(want); it; it = loom_json_iter_next(want, it)) {
        const char *key = loom_json_iter_key(it); /* edge12_type */
        const loom_json *pair = loom_json_iter_value(it);
        loom_buf text = {0};
        int target = 0;
        char what[32] = "";
        REQUIRE(sscanf(key, "edge%d_%31s", &target, what) == 2);
        const char *truth = loom_downstream_render_attribute(&text, v, l, target, strcmp(what, "destination") == 0);
        CHECK_STR(loom_buf_text(&text), loom_json_str(loom_json_at(pair, 0), NULL));
        CHECK_STR(truth, loom_json_str(loom_json_at(loom_json_at(pair, 1), 0), NULL));
        loom_buf_release(&text);
    }
}

static void check_layer(const loom_json *want, const loom_downstream_view *v, const loom_layer *l)
{
    loom_buf text = {0};
    check_prefixes(loom_json_get(want, "high_latency"), v, l, false);
    check_prefixes(loom_json_get(want, "uncommon"), v, l, true);
    if (!loom_json_is_null(loom_json_get(want, "infill_attribute")))
        check_attributes(loom_json_get(want, "infill_attribute"), v, l);
    if (loom_json_is_string(loom_json_get(want, "infill_parent_first_edge"))) {
        loom_downstream_render_parent(&text, v, l, 0);
        CHECK_STR(loom_buf_text(&text), case_str(want, "infill_parent_first_edge"));
    }
    if (loom_json_is_string(loom_json_get(want, "infill_child"))) {
        loom_buf_reset(&text);
        loom_downstream_render_child(&text, v, l);
        CHECK_STR(loom_buf_text(&text), case_str(want, "infill_child"));
    }
    loom_buf_release(&text);
}

static void check_case(const loom_json *one, loom_arena *arena)
{
    loom_graph g;
    loom_layers layers;
    loom_downstream_view v = {.graph = &g, .arena = arena};
    loom_err err = {0};
    const loom_json *want = loom_json_get(one, "layers");

    if (!case_graph(&g, one, arena)) return;
    REQUIRE(loom_mode_parse(&v.form, case_str(one, "task")));
    REQUIRE_OK(loom_layers_build(&layers, &g, &(loom_split_conf){0}, arena, &err), err);
    REQUIRE(loom_json_len(want) == (size_t)layers.n);
    for (int32_t i = 0; i < layers.n; i++) check_layer(loom_json_at(want, (size_t)i), &v, layers.all[i]);
}

TEST(downstream) { CHECK(trace_cases("downstream", check_case) >= 4); }

TEST_MAIN(RUN(downstream))
