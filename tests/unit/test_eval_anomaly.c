/* Anomalies put into a graph, and graphs as trees, by hand. */
#include <math.h>

#include "test.h"

#include "eval/management/anomaly.h"
#include "eval/management/forest.h"
#include "trace/graph/record.h"
#include "trace/graph/validity.h"

static loom_arena arena;

/*   A  |0 ------------------------------------------------ 100|
 *   B      |10 ------- 40|          C |30 ---- 60|   D |60 ---- 95|
 *   E        |12 - 20|                               F  |61 -- 90|       */
static loom_graph six(void)
{
    static const char record[] =
        "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_100||0.1|rpc|MS_1|MS_2|ARRIVED_10|RT_30||"
        "0.1.1|rpc|MS_2|MS_5|ARRIVED_12|RT_8||0.2|rpc|MS_1|MS_3|ARRIVED_30|RT_30||"
        "0.3|rpc|MS_1|MS_4|ARRIVED_60|RT_35||0.4|rpc|MS_1|MS_6|ARRIVED_61|RT_29";
    loom_graph g = {0};
    loom_verdict why = {0};
    test_checks_++;
    if (!loom_record_read(&g, &why, record, strlen(record), &arena) || g.n_calls != 6) TEST_FAIL_("not valid");
    return g;
}

static bool is_valid(const loom_graph *g)
{
    loom_verdict v;
    loom_verdict_reset(&v);
    loom_graph_check(&v, g);
    return v.n == 0;
}

/* E takes 50 ms longer: B ends at 90; D and F, which started after B's end, follow; C, which ran beside it, does
 * not. */
TEST(slow_call)
{
    loom_graph g = six();
    const int64_t arrived[] = {0, 10, 12, 30, 110, 111}, rt[] = {150, 80, 58, 30, 35, 29};
    loom_anomaly_slow(&g, 2, 50);
    for (int i = 0; i < 6; i++) {
        CHECK(g.calls[i].arrived == arrived[i]);
        CHECK(g.calls[i].rt == rt[i]);
    }
    CHECK(is_valid(&g));
}

/* A later sibling may have the smaller id; what hangs from it comes later too. */
TEST(later_sibling_first)
{
    loom_graph g = six();
    g.calls[1].arrived += 50, g.calls[2].arrived += 50; /* B is at 60, E below it at 62: after C has ended */
    loom_anomaly_slow(&g, 3, 7);
    CHECK(g.calls[1].arrived == 67 && g.calls[2].arrived == 69 && g.calls[3].rt == 37 && g.calls[4].arrived == 67);
    CHECK(g.calls[0].rt == 107 && is_valid(&g));
}

TEST(dropped_call)
{
    loom_graph g = six();
    loom_anomaly_drop(&g, 1);
    CHECK(g.n_calls == 4 && is_valid(&g));
    CHECK(strcmp(g.calls[1].destination, loom_name_microservice(&arena, "MS_3", 4)) == 0);
    loom_anomaly_drop(&g, 3);
    CHECK(g.n_calls == 3 && is_valid(&g));
}

TEST(trees)
{
    loom_graph g[2] = {six(), six()};
    const int64_t usual[] = {0, 0, 0, 0, 0, 1};
    const int32_t parents[] = {-1, 0, 0, 0, 0, 1};
    loom_node_types types = {0};
    loom_forest f = {0};
    loom_err err;
    g[1].n_calls = 1; /* seen once more: the root */
    REQUIRE_OK(loom_node_types_of(&types, g, usual, 6, &err), err);
    CHECK(types.n == 6 + LOOM_CALL_TYPES); /* and calls of each kind */
    REQUIRE_OK(loom_forest_add(&f, &types, &g[0], &err), err);
    g[1] = six();
    loom_anomaly_slow(&g[1], 2, 50);
    g[1].calls[5].destination = "MS_77777";
    REQUIRE_OK(loom_forest_add(&f, &types, &g[1], &err), err);
    loom_trees t = loom_forest_trees(&f);
    CHECK(t.n == 2 && t.first[1] == 6 && t.first[2] == 12 && f.cut == 0);
    for (int i = 0; i < 6; i++)
        CHECK(t.parent[i] == parents[i] && t.type[i] >= LOOM_CALL_TYPES && fabsf(t.value[i]) < 1e-6F);
    CHECK(t.type[11] == t.type[5] && t.type[10] == LOOM_CALL_RPC); /* breadth-first: F is the last but one */
    /* log(1 + 29 ms) against all rpc calls: 30, 8, 30, 35 and 29 ms, as often as each other */
    double mean = (2 * log(31) + log(9) + log(36) + log(30)) / 5;
    double std = sqrt(
        (2 * pow(log(31) - mean, 2) + pow(log(9) - mean, 2) + pow(log(36) - mean, 2) + pow(log(30) - mean, 2)) / 5);
    CHECK_NEAR(t.value[10], (log(30) - mean) / std, 1e-5);
    CHECK_NEAR(loom_forest_farthest(&f, 0), 0, 1e-6);
    CHECK_NEAR(t.value[11], (log(59) - log(9)) / 0.3, 1e-4);
    loom_forest_release(&f);
    loom_node_types_release(&types);
}

/* A root and 40 calls below it: 31 of them are kept. */
TEST(cut)
{
    char record[4096];
    int at = snprintf(record, sizeof record, "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_100");
    loom_graph g = {0};
    loom_verdict why = {0};
    loom_node_types types = {0};
    loom_forest f = {0};
    const int64_t index[] = {0};
    loom_err err;
    for (int i = 1; i <= 40; i++)
        at += snprintf(record + at, sizeof record - (size_t)at, "||0.%d|mc|MS_1|MS_2|ARRIVED_1|RT_%d", i, i % 3);
    REQUIRE(loom_record_read(&g, &why, record, strlen(record), &arena));
    REQUIRE_OK(loom_node_types_of(&types, &g, index, 1, &err), err);
    CHECK(types.n == 1 + LOOM_CALL_TYPES && types.of[0] == -1); /* the root was seen once */
    CHECK_NEAR(types.mean[LOOM_CALL_TYPES], (14 * log(2) + 13 * log(3)) / 40, 1e-9);
    CHECK_NEAR(types.std_ms[LOOM_CALL_TYPES], 1, 0);
    CHECK_NEAR(types.std_ms[LOOM_CALL_HTTP], 1, 0);
    CHECK_NEAR(types.mean[LOOM_CALL_HTTP], log(101), 1e-9);
    REQUIRE_OK(loom_forest_add(&f, &types, &g, &err), err);
    CHECK(f.first[1] == LOOM_TREE_MOST && f.cut == 1);
    loom_forest_release(&f);
    loom_node_types_release(&types);
}

TEST_MAIN(RUN(slow_call) RUN(later_sibling_first) RUN(dropped_call) RUN(trees) RUN(cut) loom_arena_release(&arena);)
