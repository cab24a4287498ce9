/* One record a case: valid or not, the reasons in order, and what a valid graph says. */
#include "core/json.h"
#include "test.h"
#include "trace/graph/record.h"

static void check_reasons(const loom_json *want, const loom_verdict *why, const char *name)
{
    bool same = (int64_t)loom_json_len(want) == why->n;
    for (size_t i = 0; same && i < loom_json_len(want); i++)
        same = strcmp(loom_json_str(loom_json_at(want, i), NULL), loom_reason_name((loom_reason)why->reasons[i])) == 0;
    CHECK(same);
    if (same) return;
    loom_buf got = {0};
    loom_verdict_render(&got, why);
    fprintf(stderr, "  case \"%s\" gave %s\n", name, loom_buf_text(&got));
    loom_buf_release(&got);
}

static void check_valid(const loom_json *c, const loom_graph *g)
{
    loom_buf text = {0};
    loom_record_render_untimed(&text, g);
    CHECK_STR(text.data, loom_json_str(loom_json_get(c, "canonical"), NULL));
    CHECK_STR(g->service, loom_json_str(loom_json_get(c, "service"), NULL));
    CHECK_I64(g->n_calls, loom_json_i64(loom_json_get(c, "edges"), -1));
    CHECK_I64(loom_graph_depth(g), loom_json_i64(loom_json_get(c, "depth"), -1));
    CHECK_I64(g->calls[0].rt, loom_json_i64(loom_json_get(c, "latency_rt"), -1));
    CHECK_I64(loom_call_finish(&g->calls[0]), loom_json_i64(loom_json_get(c, "latency_finish"), -1));
    loom_buf_release(&text);
}

TEST(cases)
{
    loom_json *cases = NULL;
    loom_err err;
    loom_arena arena = {0};
    REQUIRE_OK(
        loom_json_read_file(&cases, LOOM_SOURCE_DIR "/tests/golden/spec/callgraph_check/cases.json", 1 << 24, &err),
        err);
    REQUIRE(loom_json_len(cases) >= 29);
    for (size_t i = 0; i < loom_json_len(cases); i++) {
        const loom_json *c = loom_json_at(cases, i);
        size_t len;
        const char *line = loom_json_str(loom_json_get(c, "line"), &len);
        loom_graph g;
        loom_verdict why;
        loom_arena_reset(&arena);
        bool valid = loom_record_read(&g, &why, line, len, &arena);
        CHECK(valid == loom_json_bool(loom_json_get(c, "valid"), !valid));
        check_reasons(loom_json_get(c, "reasons"), &why, loom_json_str(loom_json_get(c, "name"), NULL));
        if (valid) {
            loom_verdict repeated = {0};
            check_valid(c, &g);
            loom_graph_check_repeated(&repeated, &g, &arena);
            CHECK_I64(repeated.n, 0);
        }
    }
    loom_arena_release(&arena);
    loom_json_free(cases);
}

TEST_MAIN(RUN(cases))
