/* Graphs that every rule lets pass and of which no record is made. */
#include "test.h"
#include "trace/request/request.h"

#define EDGE(id, to, from, until)                                                                                      \
    "(edge_id is " id ",type is rpc,destination is " to ",communication starts at " from                               \
    " milliseconds,communication finishes at " until " milliseconds)\n"
#define PROMPT "id:S_000000001/start_node:USER/num_edges:3/remaining_depth:1\n<layer>\n<edges>\n"

/* The outcome of a root layer that calls `to`, and of one layer below it with the service `service` and these edges. */
static const loom_outcome *outcome(loom_request **r, const char *to, const char *service, const char *edges)
{
    loom_request_conf conf = {.mode = LOOM_MODE_RECURSIVE};
    loom_buf root = {0}, below = {0};
    loom_err err;

    loom_buf_printf(&root,
                    "(edge_id is 0,type is http,destination is %s,communication starts at 0 milliseconds,communication "
                    "finishes at 9 milliseconds)\n</edges>\n<subgraph of edge_id 0>id:%s/num_edges:2/start_node:%s/"
                    "start_edge_id:1/start_communication_at:0/latency:9/num_subgraphs:0/remaining_depth:0/"
                    "num_current_edges:2/caller:USER</subgraph>\n",
                    to, service, to);
    loom_buf_printf(&below, "<layer>\n<edges>\n%s</edges>\n", edges);
    *r = NULL;
    if (loom_request_new(r, &conf, PROMPT, strlen(PROMPT), NULL, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
    CHECK(loom_request_take(*r) != NULL);
    CHECK(loom_request_answer(*r, 0, root.data, root.len, &err) == LOOM_OK);
    CHECK(loom_request_take(*r) != NULL);
    CHECK(loom_request_answer(*r, 1, below.data, below.len, &err) == LOOM_OK);
    loom_buf_release(&root);
    loom_buf_release(&below);
    return loom_request_outcome(*r);
}

static void check_odd(const char *to, const char *service, const char *edges, uint32_t odd, int32_t in_record)
{
    loom_request *r;
    const loom_outcome *v = outcome(&r, to, service, edges);

    CHECK(v->valid && v->correct); /* as the public program has it */
    CHECK_I64(v->graph.n_edges, 3);
    CHECK_I64(v->graph.graph.n_calls, in_record);
    CHECK_I64(v->odd, odd);
    CHECK(loom_outcome_has_record(v) == (odd == 0));
    loom_request_free(&r);
}

#define PLAIN EDGE("1", "MS_00002", "1", "4") EDGE("2", "MS_00003", "5", "8")

TEST(oddities)
{
    check_odd("MS_00001", "S_000000001", PLAIN, 0, 3);
    check_odd("MS_00001", "S_1", PLAIN, 0, 3); /* the same service, short */
    check_odd("MS_00001", "S_000000001", EDGE("1", "MS_00002", "1", "4") EDGE("1", "MS_00002", "5", "8"),
              LOOM_ODD_BIT(LOOM_ODD_DUPLICATE_IDS), 2);
    check_odd("MS_00001", "S_000000002", PLAIN, LOOM_ODD_BIT(LOOM_ODD_SERVICE), 3);
    check_odd("MS_00001", "S_000000001", EDGE("1", "rpc", "1", "4") EDGE("2", "MS_00003", "5", "8"),
              LOOM_ODD_BIT(LOOM_ODD_TYPE_NAME), 3);
}

TEST(a_system_may_have_a_db)
{
    check_odd("cart", "S_000000001", EDGE("1", "db", "1", "4") EDGE("2", "mc", "5", "8"), 0, 3);
}

/* An empty answer breaks no rule where the request says no number of calls; a refused layer has no answer at all. */
TEST(a_refused_layer_is_not_finished)
{
    static const char prompt[] = "id:S_000000001/start_node:USER/num_edges:0\n<layer>\n<edges>\n";
    loom_request_conf conf = {.mode = LOOM_MODE_RECURSIVE};
    loom_request *r = NULL;
    loom_err err;

    REQUIRE_OK(loom_request_new(&r, &conf, prompt, strlen(prompt), NULL, &err), err);
    CHECK(loom_request_refuse(r, 0, &err) == LOOM_STATUS_ARG); /* not taken */
    CHECK(loom_request_take(r) != NULL);
    REQUIRE_OK(loom_request_refuse(r, 0, &err), err);
    CHECK(loom_request_done(r));
    const loom_outcome *v = loom_request_outcome(r);
    CHECK(!v->finished && !v->valid && v->failed_layer == 0);
    loom_request_free(&r);
}

TEST_MAIN(RUN(oddities) RUN(a_system_may_have_a_db) RUN(a_refused_layer_is_not_finished))
