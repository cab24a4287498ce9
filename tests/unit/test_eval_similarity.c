/* Corpora, earth mover's distance, memorisation and the probabilistic generator on graphs small enough to count by
 * hand. */
#include <unistd.h>

#include "core/file.h"
#include "eval/accuracy/grid.h"
#include "eval/answers/graphs.h"
#include "eval/baselines/probabilistic.h"
#include "eval/likeness/similarity.h"
#include "eval/pages/table.h"
#include "eval/privacy/training_digests.h"
#include "test.h"
#include "trace/graph/record.h"

#define A "00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_10"
#define B A "||0.1|mc|MS_00001|MS_00002|ARRIVED_1|RT_2||0.2|mc|MS_00001|MS_00002|ARRIVED_3|RT_4"
#define C A "||0.1|rpc|MS_00001|MS_00001|ARRIVED_1|RT_5||0.1.1|db|MS_00001|MS_00003|ARRIVED_2|RT_1"

static loom_arena arena;

static loom_graph graph(const char *record)
{
    loom_graph g = {0};
    loom_verdict why = {0};
    CHECK(loom_record_read(&g, &why, record, strlen(record), &arena));
    return g;
}

static void add(loom_graph_counts *c, loom_vocabulary *words, const char *record, bool with_user)
{
    loom_graph g = graph(record);
    CHECK(loom_graph_counts_add(c, words, &g, with_user, NULL) == LOOM_OK);
}

TEST(corpus_by_hand)
{
    loom_vocabulary words = {0};
    loom_graph_counts c = {0};
    add(&c, &words, A, false);
    add(&c, &words, B, false);
    add(&c, &words, C, false);
    CHECK_I64(c.n_graphs, 3);
    CHECK_I64(c.n_edges, 7);
    CHECK_I64(words.nodes.n, 3);
    CHECK_I64(words.calls.n, 4);

    /* in: A {1}; B MS1 1, MS2 2; C MS1 2 (from USER and itself), MS3 1 */
    double in[] = {1, 1, 2, 2, 1}, out[] = {0, 2, 0, 2, 0}, time[] = {10, 10, 2, 4, 10, 5, 1};
    REQUIRE(c.field[LOOM_FIELD_IN].n == 5 && c.field[LOOM_FIELD_OUT].n == 5 && c.field[LOOM_FIELD_TIME].n == 7);
    for (int i = 0; i < 5; i++) CHECK_NEAR(c.field[LOOM_FIELD_IN].v[i], in[i], 0);
    for (int i = 0; i < 5; i++) CHECK_NEAR(c.field[LOOM_FIELD_OUT].v[i], out[i], 0);
    for (int i = 0; i < 7; i++) CHECK_NEAR(c.field[LOOM_FIELD_TIME].v[i], time[i], 0);
    CHECK_I64(c.field[LOOM_FIELD_IN].first[1], 1);
    CHECK_I64(c.field[LOOM_FIELD_IN].first[2], 3);
    CHECK_I64(c.field[LOOM_FIELD_IN].first[3], 5);

    int64_t calls[4], top[4], nodes[3], index[2] = {1, 1};
    loom_graph_counts_calls(&c, NULL, 0, calls, 4);
    CHECK_I64(loom_graph_counts_top_calls(&words, calls, top, 4), 4);
    CHECK_STR(loom_intern_text(&words.calls, top[0]), "USER,MS_00001,http");
    CHECK_STR(loom_intern_text(&words.calls, top[1]), "MS_00001,MS_00002,mc");
    CHECK_STR(loom_intern_text(&words.calls, top[2]), "MS_00001,MS_00001,rpc"); /* one each: bytewise order */
    CHECK_STR(loom_intern_text(&words.calls, top[3]), "MS_00001,MS_00003,db");
    loom_graph_counts_nodes(&c, NULL, 0, nodes, 3);
    CHECK_I64(nodes[0], 4);
    CHECK_I64(nodes[1], 2);
    CHECK_I64(nodes[2], 1);
    loom_graph_counts_nodes(&c, index, 2, nodes, 3); /* graph B twice */
    CHECK_I64(nodes[1], 4);
    CHECK_I64(nodes[2], 0);
    loom_graph_counts_release(&c);

    add(&c, &words, B, true); /* USER's own call counts now */
    CHECK_I64(c.field[LOOM_FIELD_OUT].n, 3);
    loom_graph_counts_release(&c);
    loom_vocabulary_release(&words);
}

/* The same graphs as one corpus: A, B, C make 7 calls; divided by 3 graphs. */
TEST(corpus_degrees_by_hand)
{
    loom_vocabulary words = {0};
    loom_graph_counts c = {0};
    double v[4];
    add(&c, &words, A, true);
    add(&c, &words, B, true);
    add(&c, &words, C, true);
    /* received: MS1 from USER three times and from itself, MS2 twice, MS3 once */
    REQUIRE(loom_graph_counts_degrees(&c, NULL, 0, LOOM_FIELD_IN, v, 3) == 3);
    loom_metrics_sort(v, 3);
    CHECK_NEAR(v[0], 1.0 / 3, 1e-12);
    CHECK_NEAR(v[1], 2.0 / 3, 1e-12);
    CHECK_NEAR(v[2], 4.0 / 3, 1e-12);
    /* made: MS1 2 + 2, MS2 0, MS3 0, USER 3 */
    REQUIRE(loom_graph_counts_degrees(&c, NULL, 0, LOOM_FIELD_OUT, v, 3) == 4);
    loom_metrics_sort(v, 4);
    CHECK_NEAR(v[1], 0, 0);
    CHECK_NEAR(v[2], 1, 1e-12);
    CHECK_NEAR(v[3], 4.0 / 3, 1e-12);
    /* graph A alone: MS1 received one call, MS2 and MS3 do not occur */
    int64_t only[1] = {0};
    REQUIRE(loom_graph_counts_degrees(&c, only, 1, LOOM_FIELD_IN, v, 3) == 1);
    CHECK_NEAR(v[0], 1, 0);

    loom_graph_counts head = loom_graph_counts_head(&c, 2);
    CHECK_I64(head.n_graphs, 2);
    CHECK_I64(head.n_edges, 4);
    CHECK_I64(head.field[LOOM_FIELD_TIME].n, 4);
    CHECK_I64(loom_graph_counts_head(&c, 9).n_graphs, 3);
    loom_graph_counts_release(&c);
    loom_vocabulary_release(&words);
}

/* Every graph is in one group, groups differ by a graph at most, and few graphs are their own groups. */
TEST(bootstrap_groups)
{
    loom_graph_counts_groups g;
    int64_t n = 2 * LOOM_GRAPH_COUNTS_GROUPS + 345, sum = 0;
    loom_graph_counts_group(&g, n, 1);
    CHECK_I64(g.n, LOOM_GRAPH_COUNTS_GROUPS);
    CHECK_I64(g.first[g.n], n);
    for (int64_t k = 0; k < g.n; k++) CHECK(g.first[k + 1] - g.first[k] == 2 || g.first[k + 1] - g.first[k] == 3);
    for (int64_t i = 0; i < n; i++) sum += g.order[i];
    CHECK_I64(sum, n * (n - 1) / 2);
    loom_graph_counts_groups_release(&g);
    loom_graph_counts_group(&g, 7, 1);
    CHECK_I64(g.n, 7);
    for (int64_t i = 0; i < 7; i++) CHECK(g.order[i] == i && g.first[i] == i);
    loom_graph_counts_groups_release(&g);
}

TEST(distances_by_hand)
{
    loom_vocabulary words = {0};
    loom_graph_counts real = {0}, made = {0};
    add(&real, &words, B, false);
    add(&made, &words, A, false);
    /* times real {2, 4, 10}, made {10}: (8 + 6 + 0) / 3; range 8 */
    loom_emd e = loom_similarity_emd(&real, &made, LOOM_FIELD_TIME);
    CHECK_NEAR(e.w1, 14.0 / 3, 1e-12);
    CHECK_NEAR(e.range, 14.0 / 24, 1e-12);
    double mean = 16.0 / 3, var = ((2 - mean) * (2 - mean) + (4 - mean) * (4 - mean) + (10 - mean) * (10 - mean)) / 3;
    CHECK_NEAR(e.std, 14.0 / 3 / sqrt(var), 1e-12);
    /* in-degrees real {1, 2}, made {1}: 1/2 over a range of 1; out-degrees {2, 0} and {0}: 1 */
    CHECK_NEAR(loom_similarity_emd(&real, &made, LOOM_FIELD_IN).w1, 0.5, 1e-12);
    CHECK_NEAR(loom_similarity_emd(&real, &made, LOOM_FIELD_OUT).w1, 1, 1e-12);
    e = loom_similarity_emd(&made, &real, LOOM_FIELD_IN); /* all real values equal: nothing to divide by */
    CHECK_NEAR(e.w1, 0.5, 1e-12);
    CHECK(isnan(e.range));
    CHECK_NEAR(loom_similarity_emd(&real, &real, LOOM_FIELD_TIME).w1, 0, 0);
    loom_graph_counts_release(&real);
    loom_graph_counts_release(&made);
    loom_vocabulary_release(&words);
}

static void write_lines(char *path, const char *text)
{
    loom_err err;
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    close(fd);
    REQUIRE_OK(loom_file_write(path, text, strlen(text), true, &err), err);
}

TEST(memory_by_hand)
{
    char path[] = "/tmp/loom-memory-XXXXXX";
    loom_training_digests *m = loom_training_digests_new();
    loom_copy_report r = {0};
    loom_err err;
    loom_graph a = graph(A), b = graph(B);
    REQUIRE_OK(loom_training_digests_add(m, &a, &err), err);
    REQUIRE_OK(loom_training_digests_add(m, &a, &err), err);
    REQUIRE_OK(loom_training_digests_add(m, &b, &err), err);
    CHECK_I64(loom_training_digests_graphs(m), 3);
    CHECK_I64(loom_training_digests_shapes(m), 2);
    /* a copy at another time of day; the shape of B with another time, twice; C is new, and so is MS_00003 */
    write_lines(path, "09h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_10\n" A
                      "||0.1|mc|MS_00001|MS_00002|ARRIVED_1|RT_2||0.2|mc|MS_00001|MS_00002|ARRIVED_4|RT_4\n" A
                      "||0.1|mc|MS_00001|MS_00002|ARRIVED_1|RT_2||0.2|mc|MS_00001|MS_00002|ARRIVED_4|RT_4\n" C "\n" B
                      "\nnonsense\n");
    REQUIRE_OK(loom_copy_check(&r, &(loom_known_sets){.train = m}, path, 5, &err), err);
    CHECK_I64(r.n_requested, 6);
    CHECK_I64(r.n_rejected, 1);
    CHECK_I64(r.all.n, 5);
    CHECK_I64(r.all.of[LOOM_KNOWN_TRAIN].exact, 2);
    CHECK_I64(r.all.of[LOOM_KNOWN_TRAIN].structure, 4);
    CHECK_I64(r.all.unique_structure, 3); /* the shape of A stands for two training graphs */
    CHECK_I64(r.n_distinct, 4);
    CHECK_I64(r.bucket[0].n, 1);
    CHECK_I64(r.bucket[1].n, 4);
    CHECK_I64(r.bucket[1].of[LOOM_KNOWN_TRAIN].exact, 1);
    CHECK_I64(r.new_services, 0);
    CHECK_I64(r.new_nodes, 1);
    CHECK_I64(r.n_calls, 13);
    CHECK_I64(r.new_calls, 2); /* MS_00001 > MS_00001 and > MS_00003 */
    CHECK_I64(r.n_examples, 2);
    CHECK_STR(r.examples[0], B); /* the larger one first */
    CHECK_STR(r.examples[1], A);
    CHECK_I64(loom_copy_large(&r).n, 0);
    loom_copy_report_release(&r);
    loom_training_digests_free(m);
    unlink(path);
    CHECK_I64(loom_copy_bucket(1), 0);
    CHECK_I64(loom_copy_bucket(3), 1);
    CHECK_I64(loom_copy_bucket(4), 2);
    CHECK_I64(loom_copy_bucket(30), 4);
    CHECK_I64(loom_copy_bucket(31), 5);
}

TEST(formats_are_told_apart)
{
    static const char *const texts[] = {
        A "\n",
        "<-1><s> id:S_000000001/max depth:1/num edges:1[0|http|USER|MS_00001|ARRIVED_0|RT_10]</s>\n",
        "timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt\n"
        "5000,T_1,S_1,0,http,USER,x,y,MS_1,z,10.0\n5001,T_1,S_1,0.1,mc,MS_1,x,\"a,b\",UNKNOWN,z,1.0\n",
    };
    static const char *const formats[] = {"records", "reference output", "CSV"};
    for (int i = 0; i < 3; i++) {
        char path[] = "/tmp/loom-graphs-XXXXXX";
        loom_graphs *in = NULL;
        loom_graph g;
        loom_buf text = {0};
        bool more = false;
        loom_err err;
        write_lines(path, texts[i]);
        REQUIRE_OK(loom_graphs_open(&in, path, &err), err);
        REQUIRE_OK(loom_graphs_next(in, &g, &more, &err), err);
        REQUIRE(more);
        loom_record_render_untimed(&text, &g);
        CHECK_STR(text.data, A);
        CHECK_STR(loom_graphs_format(in), formats[i]);
        REQUIRE_OK(loom_graphs_next(in, &g, &more, &err), err);
        CHECK(!more);
        loom_graphs_close(&in);
        loom_buf_release(&text);
        unlink(path);
    }
}

TEST(probabilistic)
{
    loom_prob *p = loom_prob_new();
    loom_graph a = graph(A), b = graph(B), c = graph(C), g;
    loom_prob_conf conf = {0};
    loom_rng rng;
    loom_arena scratch = {0};
    int64_t sizes[10] = {0}, users = 0;
    for (int i = 0; i < 20; i++) {
        CHECK(loom_prob_add(p, &a, NULL) == LOOM_OK);
        CHECK(loom_prob_add(p, &b, NULL) == LOOM_OK);
        CHECK(loom_prob_add(p, &c, NULL) == LOOM_OK);
    }
    CHECK_I64(loom_prob_graphs(p), 60);
    for (int i = 0; i < 600; i++) {
        loom_verdict why = {0};
        loom_arena_reset(&scratch);
        loom_rng_seed(&rng, 1, "prob", (uint64_t)i);
        CHECK(loom_prob_draw(&g, p, &conf, &rng, &scratch, NULL) == LOOM_OK);
        loom_graph_check(&why, &g);
        CHECK(why.n == 0);
        sizes[g.n_calls < 9 ? g.n_calls : 9]++;
        users += strcmp(g.calls[0].source, "USER") == 0;
    }
    CHECK_I64(users, 600);
    /* two roots in three call others: a third stay alone (200 of 600, four standard deviations 46) */
    CHECK(sizes[1] > 150 && sizes[1] < 250);
    CHECK_I64(sizes[9], 0); /* no type below depth 3 calls anything, and no call makes more than two */

    loom_arena_reset(&scratch);
    loom_rng_seed(&rng, 1, "prob", 0);
    bool alike;
    CHECK(loom_prob_draw_like(&alike, &g, p, &conf, 3, 2, "S_000000077", 200, &rng, &scratch, NULL) == LOOM_OK &&
          alike);
    CHECK_I64(g.n_calls, 3);
    CHECK_I64(loom_graph_depth(&g), 2);
    CHECK_STR(g.service, "S_000000077");
    CHECK(loom_prob_draw_like(&alike, &g, p, &conf, 40, 9, NULL, 50, &rng, &scratch, NULL) == LOOM_OK);
    CHECK(!alike); /* never seen: the closest */
    CHECK(g.n_calls >= 3);
    loom_arena_release(&scratch);
    loom_prob_free(p);
}

TEST(grid_and_tables)
{
    loom_grid g = LOOM_GRID_PAPER;
    int64_t possible = 0, lo, hi;
    for (int64_t c = 0; c < loom_grid_cells(&g); c++) {
        int64_t e = loom_grid_edges(&g, c), d = loom_grid_depth(&g, c);
        possible += loom_grid_possible(e, d);
        CHECK_I64(loom_grid_cell(&g, e, d), c);
    }
    CHECK_I64(possible, 136);
    CHECK_I64(loom_grid_cell(&g, 31, 2), -1);
    CHECK_I64(loom_grid_cell(&g, 3, 0), -1);
    CHECK(loom_grid_range(&lo, &hi, "4:9", "x", NULL) == LOOM_OK && lo == 4 && hi == 9);
    CHECK(loom_grid_range(&lo, &hi, "7", "x", NULL) == LOOM_OK && lo == 7 && hi == 7);
    static const char *const bad[] = {"", ":", "0:3", "5:4", "1:1001", "1:2:3", "a", "1: 2", "-1:3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(loom_grid_range(&lo, &hi, bad[i], "x", NULL) == LOOM_STATUS_ARG);

    loom_csv_table t;
    loom_csv_table_init(&t, "a,b,c,d");
    loom_csv_table_str(&t, "x,\"y\"");
    loom_csv_table_i64(&t, -3);
    loom_csv_table_f64(&t, 1.0 / 3);
    loom_csv_table_f64(&t, NAN);
    loom_csv_table_end_row(&t);
    CHECK_STR(t.text.data, "a,b,c,d\n\"x,\"\"y\"\"\",-3,0.3333333,\n");
    loom_csv_table_release(&t);
}

TEST_MAIN(RUN(corpus_by_hand) RUN(corpus_degrees_by_hand) RUN(bootstrap_groups) RUN(distances_by_hand)
              RUN(memory_by_hand) RUN(formats_are_told_apart) RUN(probabilistic) RUN(grid_and_tables)
                  loom_arena_release(&arena);)
