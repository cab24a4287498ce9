/* The tolerant parser and the codes 0..19 against the reference implementation with its quirks mended. */
#include "trace/check/check.h"
#include "trace_cases.h"

static void check_request(const loom_attrs *a, const loom_json *want)
{
    CHECK_STR(a->id, case_str(want, "id"));
    CHECK_STR(a->start_edge_id, case_str(want, "start_edge_id"));
    CHECK_STR(a->start_node, case_str(want, "start_node"));
    CHECK_I64(a->num_edges, loom_json_i64(loom_json_get(want, "num_edges"), -2));
    CHECK_I64(a->remaining_depth, loom_json_i64(loom_json_get(want, "depth"), -2));
    CHECK_I64(a->latency, loom_json_i64(loom_json_get(want, "latency"), -2));
    CHECK_I64(a->start, loom_json_i64(loom_json_get(want, "start_communication_at"), -2));
    CHECK_I64(a->num_subgraphs, loom_json_i64(loom_json_get(want, "num_subgraphs"), -2));
    CHECK_I64(a->num_current_edges, loom_json_i64(loom_json_get(want, "num_current_edges"), -2));
}

static void check_edge(const loom_edge_text *e, const loom_json *want)
{
    if (loom_json_is_string(want)) { /* tabular cases give records */
        loom_buf text = {0};
        loom_buf_printf(&text, "%s|%s|%s|%s|ARRIVED_%lld|RT_%lld", e->edge_id, e->type, e->source, e->destination,
                        (long long)e->start, (long long)(e->finish - e->start));
        CHECK_STR(loom_buf_text(&text), loom_json_str(want, NULL));
        loom_buf_release(&text);
        return;
    }
    CHECK_STR(e->edge_id, case_str(want, "edge_id"));
    CHECK_STR(e->type, case_str(want, "type"));
    CHECK_STR(e->source, case_str(want, "source"));
    CHECK_STR(e->destination, case_str(want, "destination"));
    CHECK_I64(e->start, loom_json_i64(loom_json_get(want, "start"), -2));
    CHECK_I64(e->finish, loom_json_i64(loom_json_get(want, "finish"), -2));
}

static void check_parsed(const loom_parsed *p, const loom_json *want)
{
    const loom_json *edges = loom_json_get(want, "edges"), *subs = loom_json_get(want, "subgraphs");
    REQUIRE(p->ok && loom_json_len(edges) == (size_t)p->n_edges && loom_json_len(subs) == (size_t)p->n_subs);
    for (int32_t i = 0; i < p->n_edges; i++) check_edge(&p->edges[i], loom_json_at(edges, (size_t)i));
    for (int32_t i = 0; i < p->n_subs; i++) {
        const loom_json *pair = loom_json_at(subs, (size_t)i);
        CHECK_STR(p->subs[i].index, loom_json_str(loom_json_at(pair, 0), NULL));
        CHECK_STR(p->subs[i].text, loom_json_str(loom_json_at(pair, 1), NULL));
    }
}

/* Messages are compared but for the free text of codes 0 and 14 and the reasons of 15, which we name otherwise. */
static void check_codes(const loom_codes *codes, const loom_json *one)
{
    const loom_json *want = loom_json_get(one, "codes"), *texts = loom_json_get(one, "details_informative");
    REQUIRE(loom_json_len(want) == (size_t)codes->n);
    for (int32_t i = 0; i < codes->n; i++) {
        int64_t code = loom_json_i64(loom_json_at(want, (size_t)i), -1);
        CHECK_I64(codes->items[i].code, code);
        if (code != LOOM_CODE_BAD_SUB && code != LOOM_CODE_PARSE && code != LOOM_CODE_GRAPH)
            CHECK_STR(codes->items[i].message, loom_json_str(loom_json_at(texts, (size_t)i), NULL));
    }
}

static void check_case(const loom_json *one, loom_arena *arena)
{
    loom_mode mode;
    loom_parsed p;
    loom_parsed_prompt head;
    loom_codes codes;
    const char *prompt = case_str(one, "prompt"), *output = case_str(one, "output");

    REQUIRE(loom_mode_parse(&mode, case_str(one, "task")));
    loom_parse_answer(&p, mode, prompt, strlen(prompt), output, strlen(output), arena);
    loom_check_layer_codes(&codes, &p, arena);
    check_codes(&codes, one);
    if (loom_json_is_object(loom_json_get(one, "instruction"))) {
        check_request(&p.req, loom_json_get(one, "instruction"));
        CHECK(loom_parse_prompt(&head, mode, prompt, strlen(prompt), arena) == NULL);
        check_request(&head.req, loom_json_get(one, "instruction"));
    }
    if (loom_json_is_object(loom_json_get(one, "parsed"))) check_parsed(&p, loom_json_get(one, "parsed"));
    else CHECK(!p.ok);
}

TEST(layer_texts) { CHECK(trace_cases("layer_texts", check_case) >= 38); }

TEST_MAIN(RUN(layer_texts))
