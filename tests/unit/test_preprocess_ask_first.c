/* Graphs whose layers begin with the call that they are asked for: valid still, with the same calls below them. */
#include "core/buf.h"
#include "preprocess/texts/ask_first.h"
#include "test.h"
#include "trace/graph/record.h"
#include "trace/text/encode.h"

#define HEAD "00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_90"
#define TREE                                                                                                           \
    HEAD "||0.1|mc|MS_00001|MS_00002|ARRIVED_1|RT_2||0.2|rpc|MS_00001|MS_00003|ARRIVED_10|RT_20"                       \
         "||0.2.1|db|MS_00003|MS_00004|ARRIVED_12|RT_3||0.2.4|db|MS_00003|MS_00005|ARRIVED_15|RT_5"                    \
         "||0.5|mq|MS_00001|MS_00006|ARRIVED_40|RT_9"
#define MANY 300

static loom_arena arena;

static loom_graph read_graph(const char *record)
{
    loom_graph g;
    loom_verdict why;
    CHECK(loom_record_read(&g, &why, record, strlen(record), &arena));
    return g;
}

/* The graph in which the draw has put calls first, as a record; checked to be valid and in order. */
static const char *reordered(const char *record, double share, uint64_t draw)
{
    loom_facts facts = {.asked = share, .draw = draw};
    loom_graph g = read_graph(record), out, again;
    loom_buf text = {0};

    CHECK(loom_ask_first(&out, &g, &facts, &arena));
    loom_record_render(&text, &out);
    const char *copy = loom_arena_strdup(&arena, loom_buf_text(&text), text.len);
    again = read_graph(copy);
    CHECK(loom_graph_equal(&again, &out));
    loom_buf_release(&text);
    return copy;
}

TEST(nothing_asked)
{
    for (uint64_t draw = 0; draw < MANY; draw++) CHECK_STR(reordered(TREE, 0, draw), TREE);
    loom_arena_reset(&arena);
}

/* What each of the three calls gives, with the layer below it in either order. */
TEST(any_call_of_a_layer)
{
    static const char *const firsts[] = {
        "||0.1|mc|MS_00001|MS_00002|ARRIVED_1|RT_2||0.2|rpc|MS_00001|MS_00003|ARRIVED_10|RT_20||0.2.1|db",
        "||0.1|rpc|MS_00001|MS_00003|ARRIVED_1|RT_20||0.1.1|db|MS_00003|MS_00004|ARRIVED_3|RT_3||0.1.4|db|MS_00003|MS_00005|"
        "ARRIVED_6|RT_5||0.2|mc|MS_00001|MS_00002|ARRIVED_1|RT_2||0.5|mq|MS_00001|MS_00006|ARRIVED_40|RT_9",
        "||0.1|mq|MS_00001|MS_00006|ARRIVED_1|RT_9||0.2|mc|MS_00001|MS_00002|ARRIVED_1|RT_2||0.5|rpc|MS_00001|MS_00003|"
        "ARRIVED_10|RT_20||0.5.1|db|MS_00003|MS_00004|ARRIVED_12|RT_3||0.5.4|db|MS_00003|MS_00005|ARRIVED_15|RT_5"};
    int seen[3] = {0}, below = 0;

    for (uint64_t draw = 0; draw < MANY; draw++) {
        const char *record = reordered(TREE, 1, draw);
        for (int i = 0; i < 3; i++) seen[i] += strstr(record, firsts[i]) != NULL;
        below += strstr(record, "1|db|MS_00003|MS_00005|ARRIVED_") != NULL;
    }
    CHECK(seen[0] > MANY / 5 && seen[1] > MANY / 10 && seen[2] > MANY / 10);
    CHECK(below > MANY / 3 && below < MANY * 2 / 3);
    loom_arena_reset(&arena);
}

/* Some layers are asked and some not; a layer that was not asked is as it was. */
TEST(a_share_of_the_layers)
{
    int same = 0;

    for (uint64_t draw = 0; draw < MANY; draw++) same += strcmp(reordered(TREE, 0.2, draw), TREE) == 0;
    CHECK(same > MANY / 2 && same < MANY);
    loom_arena_reset(&arena);
}

TEST(layers_that_stay)
{
    static const char earlier[] =
        HEAD "||0.1|mc|MS_00001|MS_00002|ARRIVED_9|RT_2||0.2|rpc|MS_00001|MS_00003|ARRIVED_1|RT_2";
    loom_buf wide = {0};

    loom_buf_printf(&wide, "%s", HEAD);
    for (int i = 1; i <= 16; i++) loom_buf_printf(&wide, "||0.%d|mc|MS_00001|MS_000%d|ARRIVED_%d|RT_1", i, 10 + i, i);
    for (uint64_t draw = 0; draw < MANY; draw++) {
        CHECK_STR(reordered(earlier, 1, draw), earlier);
        CHECK_STR(reordered(loom_buf_text(&wide), 1, draw), loom_buf_text(&wide));
    }
    loom_buf_release(&wide);
    loom_arena_reset(&arena);
}

/* The text asks each of these layers for the call that now comes first. */
TEST(the_text_asks_for_it)
{
    loom_encode_conf conf = {.mode = LOOM_MODE_INSTRUCTION, .listed_items = true, .handed_down = true};
    loom_arena scratch = {0};
    loom_buf text = {0};
    int mq = 0;

    for (uint64_t draw = 0; draw < MANY; draw++) {
        loom_facts facts = {.asked = 1, .draw = draw};
        loom_graph g = read_graph(TREE), out;
        loom_rng rng;

        loom_rng_seed(&rng, draw, "test", 0);
        CHECK(loom_ask_first(&out, &g, &facts, &arena));
        loom_buf_reset(&text);
        CHECK(loom_encode_graph(&text, &out, &facts, &conf, &rng, &scratch, NULL) == LOOM_OK);
        bool is_first = out.calls[1].type == LOOM_CALL_MQ;
        CHECK(is_first ==
              (strstr(loom_buf_text(&text), "Include an edge from MS_00001 to MS_00006 with mq type") != NULL));
        mq += is_first;
    }
    CHECK(mq > MANY / 5);
    loom_buf_release(&text);
    loom_arena_release(&scratch);
}

static void release(void) { loom_arena_release(&arena); }

TEST_MAIN(RUN(nothing_asked) RUN(any_call_of_a_layer) RUN(a_share_of_the_layers) RUN(layers_that_stay)
              RUN(the_text_asks_for_it) release();)
