/* Systems from traces: histograms, trees in time, automata, the file and what is drawn from it. */
#include "system/topology_draw.h"
#include "system/topology_export.h"
#include "test.h"
#include "trace/graph/record.h"

static loom_arena arena;

static loom_graph graph(const char *line)
{
    loom_graph g;
    loom_verdict why;
    if (!loom_record_read(&g, &why, line, strlen(line), &arena)) {
        fprintf(stderr, "not valid: %s\n", line);
        exit(1);
    }
    return g;
}

static void add(loom_system_tally *t, const char *line)
{
    loom_graph g = graph(line);
    CHECK(loom_system_tally_add(t, &g, NULL) == LOOM_OK);
}

TEST(bins_are_exact_below_256_and_narrow_above)
{
    for (int64_t v = 0; v < 256; v++) CHECK_I64(loom_time_bin_value(loom_time_bin(v)), v);
    for (int64_t v = 256; v < (INT64_C(1) << 39); v = v * 9 / 8 + 1) {
        int64_t back = loom_time_bin_value(loom_time_bin(v));
        CHECK(llabs(back - v) * 128 <= v);
        CHECK(loom_time_bin(v + v / 64) > loom_time_bin(v));
    }
    CHECK(loom_time_bin(INT64_MAX) < LOOM_TIME_BINS && loom_time_bin(INT64_C(1) << 40) == loom_time_bin(INT64_MAX));
    CHECK_I64(loom_time_bin(-5), 0);
}

TEST(counts_merge_to_the_same_in_any_order)
{
    loom_time_counts all = {0}, a = {0}, b = {0};
    loom_rng rng;
    int64_t x[LOOM_TIME_BINS], y[LOOM_TIME_BINS], sum = 0;
    loom_rng_seed(&rng, 1, "test", 0);
    for (int i = 0; i < 5000; i++) { /* over the border between few and many values */
        int64_t v = (int64_t)(loom_rng_f64(&rng) * loom_rng_f64(&rng) * (i < 20 ? 30 : 100000));
        sum += v;
        CHECK(loom_time_counts_add(&all, v, 1) && loom_time_counts_add(i < 30 ? &b : &a, v, 1));
    }
    CHECK(!b.dense && a.dense && loom_time_counts_merge(&b, &a));
    loom_time_counts_spread(&all, x);
    loom_time_counts_spread(&b, y);
    CHECK(memcmp(x, y, sizeof x) == 0 && all.sum == b.sum && all.sum == sum && b.total == 5000);
    CHECK(loom_time_counts_quantile(&all, 0) <= loom_time_counts_quantile(&all, .5));
    loom_time_counts_release(&a);
    loom_time_counts_release(&b);
    loom_time_counts_release(&all);
    CHECK(isnan(loom_time_counts_quantile(&all, .5)) && isnan(loom_time_counts_mean(&all)));
}

TEST(an_empty_count_takes_another_ones_memory)
{
    loom_time_counts a = {0}, b = {0}, c = {0};
    for (int i = 0; i < 300; i++) CHECK(loom_time_counts_add(&a, i, 1) && loom_time_counts_add(&b, i, 2));
    const uint64_t *cells = a.cells;
    CHECK(loom_time_counts_take(&c, &a) && c.cells == cells && !a.cells && a.total == 0);
    CHECK(loom_time_counts_take(&c, &b) && !b.cells && b.total == 0);
    CHECK_I64(c.total, 900);
    CHECK_I64(c.sum, 3 * 299 * 150);
    CHECK(loom_time_counts_take(&c, &a)); /* nothing */
    CHECK_I64(c.total, 900);
    loom_time_counts_release(&a);
    loom_time_counts_release(&b);
    loom_time_counts_release(&c);
}

TEST(quantiles_and_the_lognormal_fit)
{
    loom_time_counts t = {0};
    double mu, sigma;
    for (int i = 0; i < 100; i++) CHECK(loom_time_counts_add(&t, i, 1));
    CHECK(loom_time_counts_quantile(&t, .5) == 50 && loom_time_counts_quantile(&t, 1) == 99 &&
          loom_time_counts_quantile(&t, 0) == 0);
    CHECK(loom_time_counts_mean(&t) == 49.5);
    loom_time_counts_release(&t);
    CHECK(loom_time_counts_add(&t, 0, 7) && loom_time_counts_add(&t, 10, 1) && loom_time_counts_add(&t, 100, 1));
    loom_time_counts_lognormal(&t, &mu, &sigma);
    CHECK(fabs(mu - log(1000) / 2) < 1e-12 && fabs(sigma - log(10) / 2) < 1e-12);
    loom_time_counts_release(&t);
}

TEST(stages_and_own_time)
{
    loom_call_tree t = {0};
    /* 0.1 and 0.2 overlap, 0.3 follows, 0.4 starts when 0.3 ends; 0.5 stands first by its start */
    loom_graph g = graph(
        "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_100||0.1|rpc|MS_1|MS_2|ARRIVED_10|RT_20||"
        "0.2|rpc|MS_1|MS_3|ARRIVED_20|RT_20||0.3|rpc|MS_1|MS_4|ARRIVED_50|RT_10||0.4|mc|MS_1|MS_5|ARRIVED_60|RT_0||"
        "0.5|db|MS_1|MS_6|ARRIVED_5|RT_5");
    CHECK(loom_call_tree_fill(&t, &g));
    CHECK_I64(t.own[0], 100 - 30 - 10 - 5);
    CHECK_I64(loom_call_tree_children(&t, 0), 5);
    CHECK_I64(t.child[0], 5);
    CHECK(t.stage[5] == 0 && t.stage[1] == 1 && t.stage[2] == 1 && t.stage[3] == 2 && t.stage[4] == 3);
    CHECK_I64(t.parent[0], -1);
    g = graph(
        "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9||0.1|rpc|MS_1|MS_2|ARRIVED_1|RT_8||0.1.1|rpc|MS_2|MS_3|ARRIVED_1|RT_3||"
        "0.1.10|rpc|MS_2|MS_3|ARRIVED_4|RT_5||0.2|rpc|MS_1|MS_3|ARRIVED_9|RT_0");
    CHECK(loom_call_tree_fill(&t, &g));
    CHECK(t.parent[3] == 1 && t.parent[4] == 0 && t.own[0] == 1 && t.own[1] == 0 && t.own[2] == 3);
    loom_call_tree_release(&t);
}

#define CACHE "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_10||0.1|mc|MS_1|MS_2|ARRIVED_2|RT_1"
#define MISS  CACHE "||0.2|db|MS_1|MS_3|ARRIVED_3|RT_4"
#define LEFT  "00h00m00s000ms S_2 0|http|USER|MS_4|ARRIVED_0|RT_5||0.1|rpc|MS_4|MS_5|ARRIVED_1|RT_2"
#define RIGHT "00h00m00s000ms S_2 0|http|USER|MS_4|ARRIVED_0|RT_5||0.1|rpc|MS_4|MS_6|ARRIVED_1|RT_3"

static loom_system_tally small_system(void)
{
    loom_system_tally t = {0};
    for (int i = 0; i < 85; i++) add(&t, CACHE);
    for (int i = 0; i < 15; i++) add(&t, MISS);
    for (int i = 0; i < 40; i++) add(&t, LEFT);
    for (int i = 0; i < 60; i++) add(&t, RIGHT);
    return t;
}

static loom_topology *topology_of(const loom_system_tally *t, int64_t min_count, loom_buf *text)
{
    loom_topology *out = NULL;
    loom_err err = {0};
    loom_topology_conf conf = {.min_count = min_count};
    loom_buf_reset(text);
    if (loom_topology_render(text, t, &conf, NULL, &err) != LOOM_OK ||
        loom_topology_parse(&out, text->data, text->len, "test", &err) != LOOM_OK)
        fprintf(stderr, "%s\n", err.msg);
    return out;
}

static int32_t operation(const loom_topology *t, const char *name)
{
    for (int32_t i = 0; i < t->n_operations; i++)
        if (strcmp(t->operations[i].name, name) == 0) return i;
    return -1;
}

TEST(rules_survive_in_the_automaton)
{
    loom_buf text = {0};
    loom_system_tally tally = small_system();
    loom_topology *t = topology_of(&tally, 5, &text);
    REQUIRE(t);
    CHECK(t->graphs == 200 && t->n_operations == 6 && t->depth == 2);
    int32_t front = operation(t, "MS_00001"), cache = operation(t, "MS_00002"), base = operation(t, "MS_00003");
    const loom_topology_operation *o = &t->operations[front];
    CHECK(o->n_states == 2 && o->start.n_next == 1);
    const loom_topology_dependency *d = &t->dependencies[loom_topology_dependency_of(t, front, base)];
    CHECK(loom_topology_share(t, d) == .15 && d->sequential == 15 && d->overlapping == 0 && d->gap.total == 15);
    CHECK(loom_topology_share(t, &t->dependencies[loom_topology_dependency_of(t, front, cache)]) == 1);
    CHECK_I64(loom_topology_dependency_of(t, cache, base), -1);
    /* drawn graphs: the database never without the cache, left or right and never both */
    loom_topology_drawing *draw = NULL;
    loom_rng rng;
    loom_arena scratch = {0};
    CHECK(loom_topology_drawing_new(&draw, t, NULL) == LOOM_OK);
    int64_t misses = 0, caches = 0;
    for (int i = 0; i < 4000; i++) {
        loom_graph g;
        loom_verdict why = {0};
        loom_arena_reset(&scratch);
        loom_rng_seed(&rng, 3, "test", (uint64_t)i);
        REQUIRE(loom_topology_draw(&g, draw, i % 2 ? "S_000000001" : NULL, &rng, &scratch, NULL) == LOOM_OK);
        loom_graph_check(&why, &g);
        CHECK(why.n == 0);
        bool first = strcmp(g.service, "S_000000001") == 0;
        CHECK(first || i % 2 == 0);
        if (first)
            CHECK(g.n_calls >= 2 && g.calls[1].type == LOOM_CALL_MC &&
                  (g.n_calls == 2 || g.calls[2].type == LOOM_CALL_DB));
        else CHECK_I64(g.n_calls, 2);
        caches += first;
        misses += first && g.n_calls == 3;
    }
    CHECK(fabs((double)misses / (double)caches - .15) < 4 * sqrt(.15 * .85 / (double)caches));
    CHECK(caches > 2000 + 850 && caches < 2000 + 1150);
    loom_topology_drawing_free(draw);
    loom_topology_free(t);
    loom_system_tally_release(&tally);
    loom_buf_release(&text);
    loom_arena_release(&scratch);
}

/* What a call takes is known when all has a single outcome. */
TEST(drawn_times_are_those_that_were_seen)
{
    static const char line[] =
        "00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_90||0.1|rpc|MS_00001|MS_00002|ARRIVED_15|RT_20||"
        "0.1.1|mc|MS_00002|MS_00003|ARRIVED_20|RT_6||0.2|db|MS_00001|MS_00004|ARRIVED_40|RT_10||"
        "0.3|db|MS_00001|MS_00005|ARRIVED_45|RT_30";
    loom_system_tally tally = {0};
    loom_buf text = {0}, record = {0};
    loom_topology_drawing *draw = NULL;
    loom_rng rng;
    loom_graph g;
    for (int i = 0; i < 9; i++) add(&tally, line);
    loom_topology *t = topology_of(&tally, 5, &text);
    REQUIRE(t && loom_topology_drawing_new(&draw, t, NULL) == LOOM_OK);
    loom_rng_seed(&rng, 3, "test", 0);
    CHECK(loom_topology_draw(&g, draw, NULL, &rng, &arena, NULL) == LOOM_OK);
    loom_record_render_untimed(&record, &g);
    /* the lead is kept to a 32nd of the own time: 15 of 35 ms */
    CHECK_STR(loom_buf_text(&record), line);
    loom_topology_drawing_free(draw);
    loom_topology_free(t);
    loom_system_tally_release(&tally);
    loom_buf_release(&text);
    loom_buf_release(&record);
}

TEST(tallies_join_to_the_same_bytes)
{
    loom_system_tally whole = small_system(), a = {0}, b = {0};
    loom_buf one = {0}, two = {0};
    loom_topology_conf conf = {.min_count = 20};
    for (int i = 0; i < 60; i++) add(&b, RIGHT);
    for (int i = 0; i < 15; i++) add(&b, MISS);
    for (int i = 0; i < 40; i++) add(&a, LEFT);
    for (int i = 0; i < 85; i++) add(&a, CACHE);
    CHECK(loom_system_tally_join(&a, &b, NULL) == LOOM_OK);
    CHECK(loom_topology_render(&one, &whole, &conf, NULL, NULL) == LOOM_OK);
    CHECK(loom_topology_render(&two, &a, &conf, NULL, NULL) == LOOM_OK);
    CHECK_STR(one.data, two.data);
    CHECK(strstr(one.data, "\"other\"")); /* the misses, fewer than 20 */
    loom_system_tally_release(&whole);
    loom_system_tally_release(&a);
    loom_system_tally_release(&b);
    loom_buf_release(&one);
    loom_buf_release(&two);
}

/* Which graph came first, and to which thread, leaves no trace in the numbers. */
TEST(joined_into_an_empty_one_numbers_follow_from_the_content)
{
    loom_system_tally all[2] = {0}, from = {0};
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 2; i++) {
            add(&from, turn ? MISS : RIGHT);
            add(&from, turn ? RIGHT : CACHE);
            add(&from, turn ? CACHE : MISS);
        }
        CHECK(loom_system_tally_join(&all[turn], &from, NULL) == LOOM_OK);
        loom_system_tally_release(&from);
    }
    const loom_system_tally *a = &all[0], *b = &all[1];
    REQUIRE(a->ops.keys.n > 2 && a->ops.keys.n == b->ops.keys.n && a->pairs.n == b->pairs.n &&
            a->states.n == b->states.n && a->steps.n == b->steps.n && a->shares.n == b->shares.n);
    for (int64_t i = 0; i < (int64_t)a->ops.keys.n; i++)
        CHECK(loom_intern_find(&b->ops.keys, loom_intern_text(&a->ops.keys, i), loom_intern_len(&a->ops.keys, i)) == i);
    for (int64_t i = 0; i < (int64_t)a->states.n; i++)
        CHECK(loom_intern_find(&b->states, loom_intern_text(&a->states, i), loom_intern_len(&a->states, i)) == i);
    CHECK(memcmp(a->pairs.keys, b->pairs.keys, a->pairs.n * sizeof *a->pairs.keys) == 0);
    CHECK(memcmp(a->steps.keys, b->steps.keys, a->steps.n * sizeof *a->steps.keys) == 0);
    CHECK(memcmp(a->shares.keys, b->shares.keys, a->shares.n * sizeof *a->shares.keys) == 0);
    loom_system_tally_release(&all[0]);
    loom_system_tally_release(&all[1]);
}

TEST(repetitions_keep_their_distribution)
{
    loom_system_tally tally = {0};
    loom_buf text = {0}, line = {0};
    loom_rng rng;
    loom_topology_drawing *draw = NULL;
    int64_t seen[4] = {0};
    for (int i = 0; i < 30; i++) { /* one call or three, never two */
        loom_buf_reset(&line);
        loom_buf_str(&line, "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_10");
        for (int k = 1; k <= (i % 3 ? 1 : 3); k++)
            loom_buf_printf(&line, "||0.%d|mc|MS_1|MS_2|ARRIVED_%d|RT_1", k, 2 * k);
        add(&tally, line.data);
    }
    loom_topology *t = topology_of(&tally, 5, &text);
    REQUIRE(t && loom_topology_drawing_new(&draw, t, NULL) == LOOM_OK);
    for (int i = 0; i < 900; i++) {
        loom_graph g;
        loom_rng_seed(&rng, 3, "test", (uint64_t)i);
        CHECK(loom_topology_draw(&g, draw, NULL, &rng, &arena, NULL) == LOOM_OK);
        REQUIRE(g.n_calls >= 2 && g.n_calls <= 4);
        seen[g.n_calls - 1]++;
    }
    CHECK(seen[2] == 0 && seen[1] > 540 && seen[1] < 660);
    loom_topology_drawing_free(draw);
    loom_topology_free(t);
    loom_system_tally_release(&tally);
    loom_buf_release(&text);
    loom_buf_release(&line);
}

/* A file that is not what it says is refused with a sentence; nothing is built on it. */
TEST(damaged_topologies_are_refused)
{
    static const char *const damage[][2] = {
        {"spanloom-topology-1", "spanloom-topology-9"},
        {"\"graphs\":200", "\"graphs\":-1"},
        {"\"deepest\":2", "\"deepest\":2000"},
        {"\"type\":\"mc\"", "\"type\":\"xx\""},
        {"\"calls\":[", "\"calls\":[99,"},
        {"\"calls\":[", "\"calls\":[-1,"},
        {"\"caller\":", "\"caller\":7"},
        {"\"callee\":", "\"callee\":-"},
        {"\"counts\":[", "\"counts\":[1,"},
        {"\"root\":true", "\"root\":false"},
        {"\"microservice\":\"M", "\"microservice\":\"a b|"},
        {"\"steps\":[[-1,0", "\"steps\":[[-1,9"},
        {"\"with\":", "\"with\":-"},
        {"\"number\":[1", "\"number\":[-1"},
    };
    loom_system_tally tally = small_system();
    loom_buf text = {0}, bad = {0};
    loom_topology *t = topology_of(&tally, 5, &text), *none = NULL;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        loom_err err = {0};
        const char *at = strstr(text.data, damage[i][0]);
        REQUIRE(at);
        loom_buf_reset(&bad);
        loom_buf_append(&bad, text.data, (size_t)(at - text.data));
        loom_buf_str(&bad, damage[i][1]);
        loom_buf_str(&bad, at + strlen(damage[i][0]));
        if (loom_topology_parse(&none, bad.data, bad.len, "bad.json", &err) != LOOM_STATUS_FORMAT)
            TEST_FAIL_("%s is taken", damage[i][1]);
        CHECK(!none && strstr(err.msg, "bad.json"));
    }
    for (size_t n = 0; n < text.len; n += 37)
        CHECK(loom_topology_parse(&none, text.data, n, "cut.json", NULL) != LOOM_OK && !none);
    loom_topology_free(t);
    loom_system_tally_release(&tally);
    loom_buf_release(&text);
    loom_buf_release(&bad);
}

TEST(exports_name_services_apart)
{
    loom_system_tally tally = {0};
    loom_buf text = {0}, names = {0}, out = {0};
    loom_export_left left = {0};
    add(&tally,
        "00h00m00s000ms S_1 0|http|USER|Front_End|ARRIVED_0|RT_9||0.1|rpc|Front_End|front-end|ARRIVED_1|RT_3||"
        "0.2|rpc|Front_End|\xc3\xa9\xc3\xa9|ARRIVED_2|RT_3||0.3|rpc|Front_End|9<\"&|ARRIVED_6|RT_1||0.4|mc|Front_End|9<\"&|ARRIVED_8|RT_1");
    loom_topology *t = topology_of(&tally, 1, &text);
    REQUIRE(t);
    CHECK(loom_topology_mubench(&out, &names, t, &left, NULL) == LOOM_OK);
    CHECK_STR(loom_buf_text(&names),
              "label,microservice\ns9,\"9<\"\"&\"\nfront-end,Front_End\nfront-end-2,front-end\ns,\xc3\xa9\xc3\xa9\n");
    CHECK(strstr(out.data, "\"front-end-2\": {"));
    loom_buf_reset(&out);
    CHECK(loom_topology_dot(&out, t, NULL) == LOOM_OK && strstr(out.data, "label=\"9<\\\"& rpc\""));
    loom_topology_free(t);
    loom_system_tally_release(&tally);
    loom_buf_release(&text);
    loom_buf_release(&names);
    loom_buf_release(&out);
}

TEST_MAIN(RUN(bins_are_exact_below_256_and_narrow_above) RUN(counts_merge_to_the_same_in_any_order)
              RUN(an_empty_count_takes_another_ones_memory) RUN(quantiles_and_the_lognormal_fit)
                  RUN(stages_and_own_time) RUN(rules_survive_in_the_automaton) RUN(drawn_times_are_those_that_were_seen)
                      RUN(tallies_join_to_the_same_bytes) RUN(joined_into_an_empty_one_numbers_follow_from_the_content)
                          RUN(repetitions_keep_their_distribution) RUN(damaged_topologies_are_refused)
                              RUN(exports_name_services_apart) loom_arena_release(&arena);)
