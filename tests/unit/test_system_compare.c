/* Tests of two samples against known values, and where changes are put. */
#include "system/contrast.h"
#include "test.h"
#include "trace/graph/record.h"

static loom_arena arena;

static void add(loom_contrast_tally *t, const char *line, int times)
{
    loom_graph g;
    loom_verdict why;
    for (int i = 0; i < times; i++) {
        REQUIRE(loom_record_read(&g, &why, line, strlen(line), &arena));
        g.time_of_day = i; /* graphs of one content would draw alike */
        CHECK(loom_contrast_add(t, &g, NULL) == LOOM_OK);
    }
}

/* Fisher's tea: 3 of 4 against 1 of 4 gives 34/70. 1/9 against 11/3 is the textbook's .00276. */
TEST(shares)
{
    CHECK_NEAR(loom_share_test(3, 4, 1, 4), 34.0 / 70, 1e-12);
    CHECK_NEAR(loom_share_test(1, 10, 11, 14), 0.002759456, 1e-8);
    CHECK_NEAR(loom_share_test(11, 14, 1, 10), 0.002759456, 1e-8);
    CHECK_NEAR(loom_share_test(0, 10, 0, 10), 1, 0);
    CHECK_NEAR(loom_share_test(10, 10, 4, 4), 1, 0);
    CHECK(isnan(loom_share_test(0, 0, 1, 2)));
    /* Yates: n (|ad - bc| - n/2)^2 / (...) of 300/700, 360/640 is 7.8738..., p = .00501 */
    CHECK_NEAR(loom_share_test(300, 1000, 360, 1000),
               erfc(sqrt(2000.0 * 59000 * 59000 / (1000.0 * 1000 * 660 * 1340) / 2)), 1e-12);
    CHECK(loom_share_test(5000, 5000, 250, 500) < 1e-100 && loom_share_test(0, 1000000, 30, 1000) < 1e-60);
    loom_log_ratio r = loom_share_ratio(10, 100, 20, 100);
    CHECK(fabs(r.value - log(20.5 / 10.5)) < 1e-12 && r.lo < r.value && r.hi > r.value);
    r = loom_share_ratio(0, 100, 0, 100);
    CHECK(isfinite(r.lo) && isfinite(r.hi) && r.value == 0);
}

/* Exact shares of all tables sum to one, and p is never below what a table of these margins can have. */
TEST(exact_tests_hold_their_level)
{
    for (int64_t n1 = 1; n1 <= 12; n1++)
        for (int64_t k = 0; k <= n1 + 7; k++) {
            double below = 0, all = 0;
            for (int64_t k1 = k > 7 ? k - 7 : 0; k1 <= k && k1 <= n1; k1++) {
                double p = exp(lgamma((double)n1 + 1) - lgamma((double)k1 + 1) - lgamma((double)(n1 - k1) + 1) +
                               lgamma(8) - lgamma((double)(k - k1) + 1) - lgamma((double)(7 - k + k1) + 1) -
                               lgamma((double)n1 + 8) + lgamma((double)k + 1) + lgamma((double)(n1 + 7 - k) + 1));
                all += p;
                if (loom_share_test(k1, n1, k - k1, 7) <= .05) below += p;
            }
            CHECK_NEAR(all, 1, 1e-9);
            CHECK(below <= .05 + 1e-9);
        }
}

TEST(ranks)
{
    loom_time_counts a = {0}, b = {0};
    double s;
    for (int i = 0; i < 20; i++) CHECK(loom_time_counts_add(&a, i, 1) && loom_time_counts_add(&b, i + 10, 1));
    /* U = 350 of 400; ties: 10 pairs; z = (150 - .5) / sqrt(400/12 (41 - 60/1560)) */
    double p = loom_times_test(&a, &b, &s);
    CHECK_NEAR(s, 350.0 / 400, 1e-12);
    CHECK_NEAR(p, erfc(149.5 / sqrt(400.0 / 12 * (41 - 60.0 / (40 * 39))) / sqrt(2)), 1e-12);
    CHECK_NEAR(loom_times_test(&b, &a, &s), p, 1e-12);
    CHECK_NEAR(loom_times_test(&a, &a, &s), 1, 0.01);
    loom_time_counts_release(&b);
    CHECK(isnan(loom_times_test(&a, &b, &s)) && isnan(s));
    CHECK(loom_time_counts_add(&b, 3, 5));
    CHECK(isnan(loom_times_test(&a, &b, &s)) && !isnan(s)); /* too few */
    loom_time_counts_release(&a);
    CHECK(loom_time_counts_add(&a, 0, 1000) && loom_time_counts_add(&b, 0, 20) && loom_time_counts_add(&a, 1, 9));
    CHECK(isnan(loom_times_test(&a, &b, &s))); /* nearly all alike: the normal limit says too much */
    loom_time_counts_release(&a);
    loom_time_counts_release(&b);
}

/* Answers of a cache in 1 to 8 ms, of what is behind it in seconds; three times slower, both. Ranks of all hardly see
 * it. */
TEST(ranks_within_two_kinds)
{
    loom_time_counts a = {0}, b = {0}, few = {0};
    double all, kinds;
    for (int i = 0; i < 1000; i++) CHECK(loom_time_counts_add(&a, i % 2 ? 1 + i % 8 : 200 + (i * 37) % 1000 * 8, 1));
    for (int i = 0; i < 100; i++)
        CHECK(loom_time_counts_add(&b, 3 * (i % 2 ? 1 + i % 8 : 200 + (i * 37) % 100 * 80), 1));
    double p_all = loom_times_test(&a, &b, &all), p_kinds = loom_kinds_test(&a, &b, &kinds);
    CHECK(p_kinds < 1e-12 && p_kinds < 1e-4 * p_all);
    CHECK(kinds > all && kinds > .7);
    CHECK_NEAR(loom_kinds_test(&b, &a, &all), p_kinds, 1e-12);
    CHECK_NEAR(all, 1 - kinds, 1e-12);
    CHECK_NEAR(loom_kinds_test(&a, &a, &all), 1, 1e-9);
    CHECK_NEAR(all, .5, 1e-12);
    CHECK(loom_time_counts_add(&few, 5, 30) && loom_time_counts_add(&few, 3000, 4)); /* four long ones say nothing */
    CHECK(isnan(loom_kinds_test(&a, &few, &all)) && isnan(all));
    loom_time_counts_release(&few);
    CHECK(isnan(loom_kinds_test(&a, &few, &all)));
    loom_time_counts_release(&a);
    loom_time_counts_release(&b);
}

TEST(discoveries_are_those_of_benjamini_and_hochberg)
{
    double p[] = {.01, .02, NAN, .03, .5, .04}, q[6];
    CHECK_I64(loom_discoveries(q, p, 6, .05), 4);
    CHECK_NEAR(q[0], .05, 1e-12);
    CHECK_NEAR(q[5], .05, 1e-12);
    CHECK_NEAR(q[4], .5, 1e-12);
    CHECK(isnan(q[2]));
    CHECK_I64(loom_discoveries(q, p, 6, .049), 0);
}

#define FRONT "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_%d||0.1|rpc|MS_1|MS_2|ARRIVED_2|RT_%d"

/* A callee that got slower makes its caller slower: the callee is the place, the caller is explained. */
TEST(a_change_is_put_where_it_comes_from)
{
    loom_contrast_tally before = {.path_depth = 3}, after = {.path_depth = 3};
    loom_contrast c = {0};
    loom_contrast_conf conf = {.fdr = .01, .min_graphs = 10};
    char line[256];
    for (int i = 0; i < 300; i++) {
        snprintf(line, sizeof line, FRONT, 10 + i % 7, 4 + i % 7);
        add(&before, line, 1);
        snprintf(line, sizeof line, FRONT, 18 + i % 7, 12 + i % 7);
        add(&after, line, 1);
    }
    CHECK(loom_contrast_compare(&c, &before, &after, &conf, NULL) == LOOM_OK);
    REQUIRE(c.n_places == 1);
    const loom_change *x = &c.changes[c.places[0].change];
    CHECK(x->kind == LOOM_CHANGE_OPERATION && strcmp(loom_operation_name(&c.ops, x->callee), "MS_00002") == 0);
    CHECK_STR(c.places[0].what, "slower");
    CHECK(!x->explained && x->tests[LOOM_TEST_OWN].found);
    int64_t explained = 0;
    for (int64_t i = 0; i < c.n_changes; i++) {
        explained += c.changes[i].explained;
        if (c.changes[i].kind == LOOM_CHANGE_OPERATION && c.changes[i].callee != x->callee)
            CHECK(c.changes[i].explained && !c.changes[i].tests[LOOM_TEST_OWN].found &&
                  c.changes[i].tests[LOOM_TEST_RESPONSE].found);
    }
    CHECK(explained >= 3); /* the root, the call, the service, the path */
    loom_contrast_free(&c);
    loom_contrast_release(&before);
    loom_contrast_release(&after);
}

/* Calls that vanish with their caller are explained by whoever stopped calling that. */
TEST(the_lowest_caller_that_is_still_invoked)
{
    static const char whole[] =
        "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9||0.1|rpc|MS_1|MS_2|ARRIVED_2|RT_5||0.1.1|rpc|MS_2|MS_3|ARRIVED_3|RT_3||"
        "0.1.1.1|db|MS_3|MS_4|ARRIVED_4|RT_1";
    static const char cut[] = "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9||0.1|rpc|MS_1|MS_2|ARRIVED_2|RT_5";
    loom_contrast_tally before = {.path_depth = 5}, after = {.path_depth = 5}, part = {.path_depth = 5};
    loom_contrast c = {0};
    loom_contrast_conf conf = {.fdr = .01, .min_graphs = 10};
    add(&before, whole, 200);
    add(&after, whole, 60);
    add(&part, cut, 40);
    CHECK(loom_contrast_join(&after, &part, NULL) == LOOM_OK);
    CHECK(loom_contrast_compare(&c, &before, &after, &conf, NULL) == LOOM_OK);
    REQUIRE(c.n_places >= 1);
    const loom_change *x = &c.changes[c.places[0].change];
    CHECK(x->kind == LOOM_CHANGE_DEPENDENCY && strcmp(loom_operation_name(&c.ops, x->callee), "MS_00003") == 0);
    CHECK_STR(c.places[0].what, "fewer calls");
    CHECK_NEAR(c.places[0].affected, 40, 1e-9);
    for (int64_t i = 0; i < c.n_places; i++)
        CHECK(strcmp(loom_operation_name(&c.ops, c.changes[c.places[i].change].callee), "MS_00004") != 0);
    loom_contrast_free(&c);
    loom_contrast_release(&before);
    loom_contrast_release(&after);
    loom_contrast_release(&part);
}

/* Called twice or four times, now once or three times: as many invocations as before call it, and more than the
 * median. */
TEST(numbers_of_calls)
{
    static const char root[] = "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9";
    static const struct {
        int calls, times;
    } made[] = {{2, 110}, {4, 90}, {1, 55}, {3, 45}};
    loom_contrast_tally before = {0}, after = {0};
    loom_contrast c = {0};
    loom_contrast_conf conf = {.fdr = .01, .min_graphs = 10};
    for (int i = 0; i < 4; i++) {
        char line[512];
        int n = snprintf(line, sizeof line, "%s", root);
        for (int k = 1; k <= made[i].calls; k++)
            n += snprintf(line + n, sizeof line - (size_t)n, "||0.%d|mc|MS_1|MS_2|ARRIVED_%d|RT_0", k, k);
        add(i < 2 ? &before : &after, line, made[i].times);
    }
    CHECK(loom_contrast_compare(&c, &before, &after, &conf, NULL) == LOOM_OK);
    REQUIRE(c.n_places == 1);
    const loom_tested *t = &c.changes[c.places[0].change].tests[LOOM_TEST_NUMBER];
    CHECK(c.places[0].test == LOOM_TEST_NUMBER && !c.places[0].mixed);
    CHECK_STR(c.places[0].what, "fewer calls");
    CHECK_NEAR(t->before, 2.9, 1e-12);
    CHECK_NEAR(t->after, 1.9, 1e-12);
    CHECK_NEAR(c.places[0].affected, 50.5, 1e-9); /* 100 times 2 P - 1, P = .45 x .55: three beat two */
    CHECK(loom_test_unit_of(LOOM_TEST_NUMBER) == LOOM_TEST_CALLS &&
          loom_test_unit_of(LOOM_TEST_OFTEN) == LOOM_TEST_SHARE &&
          loom_test_unit_of(LOOM_TEST_OWN_KINDS) == LOOM_TEST_MS);
    loom_contrast_free(&c);
    loom_contrast_release(&before);
    loom_contrast_release(&after);
}

/* Two services ask the same operation for different things, and one of them asks it less: the operation itself has not
 * changed, though what it calls on the whole has, by more graphs. */
TEST(who_is_asked_by_others_now)
{
    static const char one[] = "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9||0.1|rpc|MS_1|MS_3|ARRIVED_1|RT_5||"
                              "0.1.1|db|MS_3|MS_4|ARRIVED_2|RT_1";
    static const char none[] = "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_4";
    static const char two[] = "00h00m00s000ms S_2 0|http|USER|MS_2|ARRIVED_0|RT_9||0.1|rpc|MS_2|MS_3|ARRIVED_1|RT_5||"
                              "0.1.1|mc|MS_3|MS_5|ARRIVED_2|RT_1";
    loom_contrast_tally before = {0}, after = {0};
    loom_contrast c = {0};
    loom_contrast_conf conf = {.fdr = .01, .min_graphs = 10};
    add(&before, one, 500);
    add(&before, two, 1500);
    add(&after, one, 50);
    add(&after, none, 75);
    add(&after, two, 375);
    CHECK(loom_contrast_compare(&c, &before, &after, &conf, NULL) == LOOM_OK);
    REQUIRE(c.n_places == 3);
    CHECK_STR(loom_operation_name(&c.ops, c.changes[c.places[0].change].callee), "MS_00003");
    CHECK(!c.places[0].mixed && c.places[1].mixed && c.places[2].mixed);
    loom_contrast_free(&c);
    loom_contrast_release(&before);
    loom_contrast_release(&after);
}

TEST_MAIN(RUN(shares) RUN(exact_tests_hold_their_level) RUN(ranks) RUN(ranks_within_two_kinds)
              RUN(discoveries_are_those_of_benjamini_and_hochberg) RUN(a_change_is_put_where_it_comes_from)
                  RUN(the_lowest_caller_that_is_still_invoked) RUN(numbers_of_calls) RUN(who_is_asked_by_others_now)
                      loom_arena_release(&arena);)
