/* Critical paths and FIRM's samples on graphs whose answers are known. */
#include "test.h"

#include "core/num.h"
#include "eval/management/firm.h"
#include "trace/graph/record.h"

static loom_arena arena;

static loom_graph graph_of(const char *record)
{
    loom_graph g = {0};
    loom_verdict why = {0};

    test_checks_++;
    if (!loom_record_read(&g, &why, record, strlen(record), &arena)) TEST_FAIL_("not valid: %s", record);
    return g;
}

/* A waits for B (who waits for E) and C, then for D; F runs beside D and ends before it.
 *
 *   A  |0 ------------------------------------------------ 100|
 *   B      |10 ------- 40|          C |30 ---- 60|   D |60 ---- 95|
 *   E        |12 - 20|                               F  |61 -- 90|       */
TEST(path_by_hand)
{
    loom_graph g = graph_of("00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_100||0.1|rpc|MS_1|MS_2|ARRIVED_10|RT_30||"
                            "0.1.1|rpc|MS_2|MS_5|ARRIVED_12|RT_8||0.2|rpc|MS_1|MS_3|ARRIVED_30|RT_30||"
                            "0.3|rpc|MS_1|MS_4|ARRIVED_60|RT_35||0.4|rpc|MS_1|MS_6|ARRIVED_61|RT_29");
    const double want[] = {15, 22, 8, 30, 35, 0};
    bool on[6];
    double own[6];
    loom_err err;

    REQUIRE(g.n_calls == 6);
    REQUIRE_OK(loom_critical_path(on, own, &g, &err), err);
    for (int i = 0; i < 6; i++) {
        CHECK(on[i] == (i != 5));
        CHECK_NEAR(own[i], want[i], 0);
    }
}

/* Root A costs 10 ms, its call B what is said. */
static void add_pair(loom_critical_paths *p, loom_intern *nodes, int ms)
{
    char record[200];
    loom_err err;

    snprintf(record, sizeof record,
             "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_%d||0.1|rpc|MS_1|MS_2|ARRIVED_5|RT_%d", ms + 10, ms);
    loom_graph g = graph_of(record);
    if (loom_critical_paths_add(p, nodes, &g, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
}

typedef struct rig {
    loom_critical_paths usual, seen;
    loom_intern nodes;
    loom_firm_norms norms;
    int64_t index[LOOM_FIRM_WINDOW];
} rig;

/* Usual: B takes 10 ms in 95 of 100 graphs; seen: 100 ms in 5 of a window. */
static bool set_up(rig *r, int slow)
{
    loom_err err;

    for (int i = 0; i < 100; i++) add_pair(&r->usual, &r->nodes, i < 95 ? 10 : 100);
    for (int i = 0; i < LOOM_FIRM_WINDOW; i++) {
        add_pair(&r->seen, &r->nodes, i < slow ? 100 : 10);
        r->index[i] = i;
    }
    return loom_firm_norms_of(&r->norms, &r->usual, (int64_t)r->nodes.n, &err) == LOOM_OK;
}

static void tear_down(rig *r)
{
    loom_critical_paths_release(&r->usual);
    loom_critical_paths_release(&r->seen);
    loom_intern_release(&r->nodes);
    loom_firm_norms_release(&r->norms);
}

TEST(norms_and_windows)
{
    rig r = {0};
    loom_firm_samples s = {0};
    loom_err err;

    REQUIRE(set_up(&r, 5));
    CHECK_NEAR(r.norms.objective, 20, 0);
    CHECK_NEAR(r.norms.median_total, 20, 0);
    CHECK_NEAR(r.norms.median[1], 10, 0);
    REQUIRE_OK(loom_firm_samples_of(&s, LOOM_FIRM_BY_WINDOW, &r.seen, r.index, LOOM_FIRM_WINDOW, &r.norms, &err), err);
    REQUIRE(s.n == 2);
    CHECK_NEAR(s.x[0], 0, 1e-12); /* A costs the same in every graph */
    CHECK_NEAR(s.x[1], 1, 1e-6);
    CHECK(!s.y[0]);
    CHECK_NEAR(s.x[2], 1, 1e-6); /* B's time moves with the response time */
    CHECK_NEAR(s.x[3], 10, 1e-6);
    CHECK(s.y[1]);
    loom_firm_samples_release(&s);
    tear_down(&r);
}

/* Two slow graphs are too few for a window to have a critical component. */
TEST(few_violations)
{
    rig r = {0};
    loom_firm_samples s = {0};
    loom_err err;

    REQUIRE(set_up(&r, 2));
    REQUIRE_OK(loom_firm_samples_of(&s, LOOM_FIRM_BY_WINDOW, &r.seen, r.index, LOOM_FIRM_WINDOW, &r.norms, &err), err);
    CHECK_I64(s.n, 2);
    CHECK_I64(s.positive, 0);
    loom_firm_samples_release(&s);
    REQUIRE_OK(loom_firm_samples_of(&s, LOOM_FIRM_BY_WINDOW, &r.seen, r.index, LOOM_FIRM_WINDOW - 1, &r.norms, &err),
               err);
    CHECK_I64(s.n, 0); /* no whole window */
    loom_firm_samples_release(&s);
    tear_down(&r);
}

TEST(traces)
{
    rig r = {0};
    loom_firm_samples s = {0};
    loom_err err;

    REQUIRE(set_up(&r, 1));
    REQUIRE_OK(loom_firm_samples_of(&s, LOOM_FIRM_BY_TRACE, &r.seen, r.index, 2, &r.norms, &err), err);
    REQUIRE(s.n == 4);
    CHECK_NEAR(s.x[0], 10.0 / 110, 1e-6); /* A of the slow graph: its share, and its usual time; at its p90 */
    CHECK_NEAR(s.x[1], 1, 1e-6);
    CHECK_NEAR(s.x[2], 100.0 / 110, 1e-6);
    CHECK_NEAR(s.x[3], 10, 1e-6);
    CHECK(s.y[0] && s.y[1] && !s.y[2] && !s.y[3]);
    loom_firm_samples_release(&s);
    tear_down(&r);
}

/* A machine that can be right is right, and the four counts are those of its answers. */
TEST(judge)
{
    enum { N = 60 };
    float x[2 * N];
    bool y[N];
    loom_firm_samples s = {.x = x, .y = y, .n = N, .positive = N / 3};
    loom_firm_score score;
    loom_err err;

    for (int i = 0; i < N; i++) {
        y[i] = i % 3 == 0;
        x[2 * i] = (float)(y[i] ? 0.9 : 0.1) + 0.001f * (float)(i % 7);
        x[2 * i + 1] = (float)(y[i] ? 8 : 2) + 0.01f * (float)(i % 5);
    }
    for (int rbf = 0; rbf < 2; rbf++) {
        REQUIRE_OK(loom_firm_judge(&score, &s, &s, rbf, 1, &err), err);
        CHECK_NEAR(score.accuracy, 1, 0);
        CHECK_NEAR(score.balanced, 1, 0);
        CHECK_NEAR(score.majority, 2.0 / 3, 1e-12);
        CHECK_NEAR(score.auc, 1, 0);
        CHECK(score.tp == N / 3 && score.tn == N - N / 3 && score.fp == 0 && score.fn == 0);
    }
}

TEST_MAIN(RUN(path_by_hand) RUN(norms_and_windows) RUN(few_violations) RUN(traces) RUN(judge)
              loom_arena_release(&arena);)
