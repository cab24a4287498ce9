/* Dotted ids, names, sorting, records there and back, both validity checks, rows of a trace. */
#include "core/rng.h"
#include "test.h"
#include "trace/graph/record.h"
#include "trace/graph/rows.h"

static loom_arena arena;

TEST(id_parse)
{
    static const char *const bad[] = {"",   ".",    "0.", ".0",   "0..1",       "a",  "0.1a",
                                      "-1", "0.-1", "00", "0.01", "2147483648", " 0", "0 "};
    int32_t id[8];
    CHECK_I64(loom_id_parse(id, 8, "0.10.2147483647", 15), 3);
    CHECK(id[0] == 0 && id[1] == 10 && id[2] == 2147483647);
    CHECK_I64(loom_id_parse(id, 8, "0", 1), 1);
    CHECK_I64(loom_id_parse(id, 2, "0.1.2", 5), -1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_I64(loom_id_parse(id, 8, bad[i], strlen(bad[i])), -1);
}

TEST(id_order)
{
    static const char *const ascending[] = {"0", "0.1", "0.1.1", "0.1.2", "0.1.10", "0.2", "0.10", "1", "2.1"};
    enum { N = sizeof ascending / sizeof *ascending };
    int32_t ids[N][4], n[N];
    for (size_t i = 0; i < N; i++) n[i] = loom_id_parse(ids[i], 4, ascending[i], strlen(ascending[i]));
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++) {
            int c = loom_id_compare(ids[i], n[i], ids[k], n[k]);
            CHECK((c > 0) - (c < 0) == (i > k) - (i < k));
        }
    CHECK(loom_id_is_prefix(ids[1], n[1], ids[4], n[4]));
    CHECK(!loom_id_is_prefix(ids[5], n[5], ids[4], n[4]));
    CHECK(loom_id_is_prefix(ids[4], n[4], ids[4], n[4]));
}

TEST(names)
{
    static const char *const microservices[][2] = {
        {"MS_1", "MS_00001"}, {"MS_12345", "MS_12345"}, {"MS_123456", "MS_123456"},
        {"USER", "USER"},     {"MS_", "MS_"},           {"MS_1a", "MS_1a"},
        {"S_1", "S_1"},       {"frontend", "frontend"}, {"MS_000007", "MS_000007"},
        {"(?)", "(?)"}};
    for (size_t i = 0; i < sizeof microservices / sizeof *microservices; i++) {
        loom_buf b = {0};
        const char *from = microservices[i][0];
        CHECK_STR(loom_name_microservice(&arena, from, strlen(from)), microservices[i][1]);
        loom_name_append_microservice(&b, from, strlen(from));
        CHECK_STR(b.data, microservices[i][1]);
        loom_buf_release(&b);
    }
    CHECK_STR(loom_name_service(&arena, "S_42", 4), "S_000000042");
    CHECK_STR(loom_name_service(&arena, "S_1234567890", 12), "S_1234567890");
    CHECK_STR(loom_name_service(&arena, "S_-1", 4), "S_-1");
    CHECK(loom_name_is_unknown("UNKNOWN", 7) && loom_name_is_unknown("UNAVAILABLE", 11) &&
          !loom_name_is_unknown("UNKNOWN_", 8));
    CHECK(loom_name_fits_record("a/b:c", 5) && !loom_name_fits_record("a b", 3) && !loom_name_fits_record("a|b", 3));
    CHECK(!loom_name_fits_record("", 0) && !loom_name_fits_record("a\tb", 3));
}

static bool read_line(loom_graph *g, loom_verdict *why, const char *line)
{
    return loom_record_read(g, why, line, strlen(line), &arena);
}

#define ROOT "0|http|USER|MS_00001|ARRIVED_0|RT_20"

TEST(record_bad_edges)
{
    static const char *const edges[] = {
        "",
        "0|http|USER|MS_00001|ARRIVED_0",
        ROOT "||",
        "||" ROOT,
        ROOT "|x",
        "0|http|USER|MS_00001|ARRIVED_x|RT_1",
        "0|http|USER|MS_00001|ARRIVED_0|RT_",
        "0|http|USER|MS_00001|ARRIVED_-|RT_1",
        "0|http|USER|MS_00001|ARRIVED_0|RT_1.5",
        "0|ftp|USER|MS_00001|ARRIVED_0|RT_1",
        "|http|USER|MS_00001|ARRIVED_0|RT_1",
        "0|http||MS_00001|ARRIVED_0|RT_1",
        "0.01|http|USER|MS_00001|ARRIVED_0|RT_1",
        "0|http|USER|MS_00001|ARRIVED_0|RT_99999999999999999999",
        "0|http|USER|MS_00001|arrived_0|RT_1",
    };
    loom_graph g;
    loom_verdict why;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        loom_buf line = {0}, text = {0};
        loom_buf_printf(&line, "00h00m00s000ms S_000000001 %s", edges[i]);
        CHECK(!loom_record_parse(&g, &why, line.data, line.len, &arena));
        CHECK_I64(why.reasons[0], i == 0 ? LOOM_REASON_NUM_COLUMNS : LOOM_REASON_BAD_EDGE);
        CHECK_I64(g.n_calls, 0);
        loom_record_explain_bad_edge(&text, line.data, line.len);
        CHECK(text.len > 0);
        loom_buf_release(&line);
        loom_buf_release(&text);
    }
}

TEST(record_services_and_times)
{
    loom_graph g;
    loom_verdict why;
    CHECK(!read_line(&g, &why, "00h00m00s000ms S_-1 " ROOT));
    CHECK(why.n == 1 && why.reasons[0] == LOOM_REASON_BAD_SERVICE);
    CHECK(!read_line(&g, &why, "00h60m00s000ms S_1 " ROOT));
    CHECK(why.n == 1 && why.reasons[0] == LOOM_REASON_BAD_TIMESTAMP);
    CHECK(!read_line(&g, &why, "0h00m00s0000ms S_1 " ROOT));
    CHECK(read_line(&g, &why, "  23h59m59s999ms \t frontend:/api/v1/{id} " ROOT " \r\n"));
    CHECK_STR(g.service, "frontend:/api/v1/{id}");
    CHECK_I64(g.time_of_day, 86399999);
    CHECK(!read_line(&g, &why, ""));
    CHECK(why.n == 3 && why.reasons[0] == LOOM_REASON_NUM_COLUMNS);
}

TEST(several_absent_links)
{
    loom_graph g;
    loom_verdict why;
    /* absent with a present parent: 0.1 (two children below it), 0.3 and, below the present 0.1.1, 0.1.1.5 */
    CHECK(!read_line(
        &g, &why,
        "00h00m00s000ms S_1 " ROOT "||0.1.1|rpc|MS_2|MS_3|ARRIVED_1|RT_2||0.1.1.5.1|rpc|MS_4|MS_5|ARRIVED_1|RT_1"
        "||0.1.2|rpc|MS_2|MS_3|ARRIVED_1|RT_2||0.3.1.1|mc|MS_7|MS_8|ARRIVED_1|RT_1||2|rpc|MS_1|MS_2|ARRIVED_0|RT_1"));
    CHECK_I64(why.n, 4);
    for (int i = 0; i < 4; i++) CHECK_I64(why.reasons[i], LOOM_REASON_NOT_CONNECTED);
    loom_verdict repeated = {0};
    loom_graph_check_repeated(&repeated, &g, &arena);
    CHECK_I64(repeated.n, 4);
}

/* Random trees with faults: the fast check of sorted graphs and the general one must agree. */
TEST(two_checks_agree)
{
    loom_rng rng;
    loom_rng_seed(&rng, 7, "trees", 0);
    static const char *const names[] = {"MS_00001", "MS_00002", "MS_00003", "UNKNOWN"};
    int64_t seen[LOOM_REASONS] = {0};
    for (int round = 0; round < 3000; round++) {
        loom_arena_reset(&arena);
        loom_graph g = {.service = loom_rng_chance(&rng, .05) ? "S_-1" : "S_000000001"};
        g.n_calls = (int32_t)loom_rng_below(&rng, 9);
        g.calls = loom_arena_calloc(&arena, 9, sizeof *g.calls);
        for (int32_t i = 0; i < g.n_calls; i++) {
            int32_t *id = loom_arena_calloc(&arena, 4, sizeof *id);
            int32_t n = i ? 1 + (int32_t)loom_rng_below(&rng, 4) : 1;
            for (int32_t k = 1; k < n; k++) id[k] = 1 + (int32_t)loom_rng_below(&rng, 2);
            if (i && loom_rng_chance(&rng, .05)) id[0] = 1;
            g.calls[i] = (loom_call){id,
                                     n,
                                     LOOM_CALL_RPC,
                                     names[loom_rng_below(&rng, 16) / 5],
                                     names[loom_rng_below(&rng, 16) / 5],
                                     (int64_t)loom_rng_below(&rng, 5),
                                     20 - 4 * n + (int64_t)loom_rng_below(&rng, 5)};
        }
        loom_graph_sort_unique(&g);
        loom_verdict fast = {0}, general = {0};
        loom_graph_check(&fast, &g);
        loom_graph_check_repeated(&general, &g, &arena);
        bool same = fast.n == general.n;
        for (int32_t i = 0; i < fast.n && same; i++) {
            seen[fast.reasons[i]]++;
            /* the general check does not compare names that are missing */
            same = fast.reasons[i] == general.reasons[i];
        }
        if (!loom_verdict_has(&fast, LOOM_REASON_MISSING_INFO)) CHECK(same);
    }
    CHECK(seen[LOOM_REASON_NOT_CONNECTED] > 50 && seen[LOOM_REASON_CHILD_OUTLIVES_PARENT] > 50);
    CHECK(seen[LOOM_REASON_SRC_DEST_MISMATCH] > 50 && seen[LOOM_REASON_NO_ROOT] > 5);
}

TEST(repeated_ids)
{
    int32_t root[] = {0}, one[] = {0, 1};
    loom_call calls[] = {
        {root, 1, LOOM_CALL_HTTP, "USER", "MS_00001", 0, 20},
        {one, 2, LOOM_CALL_RPC, "MS_00001", "MS_00002", 1, 9},
        {one, 2, LOOM_CALL_RPC, "MS_00001", "MS_00003", 1, 30},
        {root, 1, LOOM_CALL_HTTP, "USER", "MS_00001", 0, 40},
    };
    loom_graph g = {"S_000000001", 0, calls, 4};
    loom_verdict v = {0};
    loom_graph_check_repeated(&v, &g, &arena); /* smallest parent finish 20, largest child finish 31; same names */
    CHECK(v.n == 1 && v.reasons[0] == LOOM_REASON_CHILD_OUTLIVES_PARENT);
    calls[2].rt = 3;
    calls[2].source = "MS_00009";
    loom_verdict_reset(&v);
    loom_graph_check_repeated(&v, &g, &arena);
    CHECK(v.n == 1 && v.reasons[0] == LOOM_REASON_MULTIPLE_SRC_DEST);
    g.n_calls = 0;
    loom_verdict_reset(&v);
    loom_graph_check_repeated(&v, &g, &arena);
    CHECK(v.n == 1 && v.reasons[0] == LOOM_REASON_NO_ROOT);
}

TEST(sorting_large_graphs)
{
    enum { N = 1000 };
    loom_rng rng;
    loom_rng_seed(&rng, 3, "sort", 0);
    loom_graph g = {.service = "S_000000001", .n_calls = N};
    g.calls = loom_arena_calloc(&arena, N, sizeof *g.calls);
    for (int32_t i = 0; i < N; i++) {
        int32_t *id = loom_arena_calloc(&arena, 2, sizeof *id);
        id[1] = (int32_t)loom_rng_below(&rng, 300);
        g.calls[i] =
            (loom_call){id, 2, LOOM_CALL_MC, "MS_00001", "MS_00002", i, 0}; /* arrived: the place in the file */
    }
    loom_graph copy;
    loom_graph_copy(&copy, &g, &arena);
    CHECK(loom_graph_equal(&copy, &g));
    loom_graph_sort(&g);
    for (int32_t i = 1; i < N; i++) {
        int c = loom_id_compare(g.calls[i - 1].id, 2, g.calls[i].id, 2);
        CHECK(c < 0 || (c == 0 && g.calls[i - 1].arrived < g.calls[i].arrived));
    }
    int32_t removed = loom_graph_sort_unique(&copy);
    CHECK(removed == N - copy.n_calls && copy.n_calls < 300);
    for (int32_t i = 0; i < copy.n_calls; i++) {
        CHECK_I64(loom_graph_find(&copy, copy.calls[i].id, 2), i);
        int32_t at = loom_graph_find(&g, copy.calls[i].id, 2);
        CHECK(at >= 0 && g.calls[at].arrived == copy.calls[i].arrived);
    }
    int32_t absent[] = {0, 300};
    CHECK_I64(loom_graph_find(&copy, absent, 2), -1);
    CHECK_I64(loom_graph_parent(&copy, 5), -1);
}

TEST(record_round_trip)
{
    static const char line[] =
        "01h02m03s004ms S_000000001 0|http|USER|MS_00001|ARRIVED_1|RT_20||0.1|rpc|MS_00001|MS_00001|ARRIVED_0|RT_-3"
        "||0.1.10|mq|MS_00001|MS_123456|ARRIVED_7|RT_0";
    loom_graph g, again;
    loom_verdict why;
    loom_buf text = {0}, shape = {0};
    REQUIRE(loom_record_parse(&g, &why, line, strlen(line), &arena));
    loom_record_render(&text, &g);
    CHECK_STR(text.data, line);
    REQUIRE(loom_record_parse(&again, &why, text.data, text.len, &arena));
    CHECK(loom_graph_equal(&g, &again));
    CHECK_I64(loom_graph_depth(&g), 3);
    CHECK_I64(loom_graph_parent(&g, 2), 1);
    loom_record_render_structure(&shape, &g);
    CHECK_STR(shape.data, "S_000000001 0|http|USER|MS_00001||0.1|rpc|MS_00001|MS_00001||0.1.10|mq|MS_00001|MS_123456");
    loom_buf_release(&text);
    loom_buf_release(&shape);
}

TEST(rows_of_a_trace)
{
    int32_t root[] = {0}, one[] = {0, 1}, ten[] = {0, 10};
    loom_row rows[] = {
        {90000007, 3, "0.1", one, 2, LOOM_CALL_RPC, "MS_00001", "MS_00003", "S_9"},
        {90000005, 9, "0", root, 1, LOOM_CALL_HTTP, "USER", "MS_00001", "S_9"},
        {90000006, 3, "0.1", one, 2, LOOM_CALL_RPC, "MS_00001", "MS_00002", "S_10"},
        {90000006, 1, "0.10", ten, 2, LOOM_CALL_MC, "MS_00001", "MS_00004", "S_9"},
    };
    loom_graph g;
    loom_buf text = {0};
    CHECK_I64(loom_rows_to_graph(&g, rows, 4, &arena), 1);
    loom_record_render(&text, &g);
    CHECK_STR(text.data,
              "01h00m00s005ms S_000000010 0|http|USER|MS_00001|ARRIVED_0|RT_9||0.1|rpc|MS_00001|MS_00002|ARRIVED_1|RT_3"
              "||0.10|mc|MS_00001|MS_00004|ARRIVED_1|RT_1");
    loom_buf_reset(&text);
    g.n_calls = 1;
    loom_rows_render_graph(&text, &g, "T_1", 5);
    CHECK_STR(text.data, "5,T_1,S_10,0,http,USER,UNKNOWN,UNKNOWN,MS_1,UNKNOWN,9.0\n");
    loom_buf_release(&text);
}

TEST_MAIN(RUN(id_parse) RUN(id_order) RUN(names) RUN(record_bad_edges) RUN(record_services_and_times)
              RUN(several_absent_links) RUN(two_checks_agree) RUN(repeated_ids) RUN(sorting_large_graphs)
                  RUN(record_round_trip) RUN(rows_of_a_trace) loom_arena_release(&arena);)
