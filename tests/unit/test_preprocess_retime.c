/* Other times of a sample: their order stays, nothing else changes, and what was valid is valid. */
#include "preprocess/texts/retime.h"
#include "test.h"
#include "trace/check/check.h"
#include "trace/text/encode.h"
#include "trace_random.h"

static loom_arena arena, scratch;
static loom_retime retime = {.seed = 3};

static void make(loom_graph *g, uint64_t i, loom_rng *rng)
{
    loom_arena_reset(&arena);
    loom_rng_seed(rng, 12, "graph", i);
    random_graph_fill(g, rng, &arena, 1 + (int32_t)(i % 5), i % 5 ? 6 : 40);
}

#define MOST_TIMES 2000

typedef struct times {
    int64_t all[MOST_TIMES];
    int32_t n;
    loom_buf rest; /* the text without them */
} times;

static void take_times(times *t, const char *text, size_t len)
{
    size_t done = 0, digits = 0;

    t->n = 0;
    loom_buf_reset(&t->rest);
    for (size_t at; (at = loom_time_next(text, done, len, &digits)) < len; done = at + digits) {
        REQUIRE(t->n < MOST_TIMES);
        t->all[t->n++] = strtoll(text + at, NULL, 10);
        loom_buf_append(&t->rest, text + done, at - done);
    }
    loom_buf_append(&t->rest, text + done, len - done);
}

static void check_order(const times *a, const times *b)
{
    int32_t moved = 0;

    REQUIRE(a->n == b->n);
    for (int32_t i = 0; i < a->n; i++)
        for (int32_t j = i + 1; j < a->n; j++) {
            int64_t before = a->all[i] - a->all[j], after = b->all[i] - b->all[j];
            moved += before < 0 ? after > 0 : before > 0 ? after < 0 : after != 0;
        }
    CHECK_I64(moved, 0);
}

static void check_valid(const char *text)
{
    loom_parsed p;
    loom_codes codes;
    const char *layer = strstr(text, LOOM_TEXT_ANSWER "\n"), *end = strstr(text, LOOM_TEXT_FINISH);
    const char *body = layer + strlen(LOOM_TEXT_ANSWER "\n");

    loom_parse_answer(&p, LOOM_MODE_INSTRUCTION, text, (size_t)(body - text), body, (size_t)(end - body), &scratch);
    REQUIRE(p.ok);
    loom_check_layer_codes(&codes, &p, &scratch);
    CHECK_I64(codes.n, 0);
    CHECK_I64(loom_check_layer_rules(&p), 0);
    CHECK_I64(loom_check_conditions(&p, text, (size_t)(body - text), &scratch).broken, 0);
}

static times before, after;

static void check_text(const loom_text *text, loom_mode mode, uint64_t number, int32_t *other)
{
    loom_buf b = {0};
    loom_text back;
    loom_err err = {0};

    loom_text_render(&b, text);
    if (loom_retime_sample(&retime, loom_buf_text(&b), b.len, number)) {
        take_times(&before, b.data, b.len);
        take_times(&after, retime.text.data, retime.text.len);
        CHECK_STR(loom_buf_text(&after.rest), loom_buf_text(&before.rest));
        check_order(&before, &after);
        REQUIRE_OK(loom_text_parse(&back, mode, retime.text.data, retime.text.len, &scratch, &err), err);
        if (mode == LOOM_MODE_INSTRUCTION) check_valid(loom_buf_text(&retime.text));
        *other += strcmp(loom_buf_text(&b), loom_buf_text(&retime.text)) != 0;
    } else {
        CHECK(!strstr(b.data, loom_item_words[LOOM_ITEM_START]) || strstr(b.data, LOOM_TEXT_HIGH_LATENCY));
    }
    loom_buf_release(&b);
}

TEST(order_and_validity_stay)
{
    static const loom_facts facts = {.has_latency = true, .p90 = 2500, .mean = 100};
    int32_t texts_seen = 0, other = 0;

    for (uint64_t i = 0; i < 150; i++)
        for (int mode = 0; mode < LOOM_MODES; mode++) {
            loom_graph g;
            loom_rng rng;
            loom_err err = {0};
            loom_encode_conf conf = {.mode = (loom_mode)mode};
            loom_text *texts;
            int32_t n;
            make(&g, i, &rng);
            loom_arena_reset(&scratch);
            REQUIRE_OK(loom_encode_texts(&texts, &n, &g, &facts, &conf, &rng, &scratch, &err), err);
            for (int32_t k = 0; k < n; k++) check_text(&texts[k], conf.mode, i * 7 + (uint64_t)k, &other);
            texts_seen += n;
        }
    CHECK(other > texts_seen / 2);
}

#define EDGE(from, to)                                                                                                 \
    "(edge_id is 1,type is rpc,destination is MS_00007,communication starts at " from                                  \
    " milliseconds,communication finishes at " to " milliseconds)\n"

/* Zero stays zero, the last time is the window's, and a number decides alone. */
TEST(windows_are_small_and_large)
{
    static const char text[] = "[GENERATE GRAPH]id:S_1/start_communication_at:0/latency:90\n<edges>\n" EDGE("0", "90")
        EDGE("30", "60") "</edges>\n";
    int32_t narrow = 0, wide = 0, full = 0;

    for (uint64_t number = 0; number < 1000; number++) {
        times *t = &after;
        REQUIRE(loom_retime_sample(&retime, text, strlen(text), number));
        take_times(t, retime.text.data, retime.text.len);
        REQUIRE(t->n == 6);
        CHECK_I64(t->all[0], 0);
        CHECK_I64(t->all[1], t->all[3]);
        narrow += t->all[1] < 10;
        wide += t->all[1] >= 1000;
        full += t->all[1] > 0 && t->all[5] == t->all[1];
        loom_buf again = {0};
        loom_buf_append(&again, retime.text.data, retime.text.len);
        REQUIRE(loom_retime_sample(&retime, text, strlen(text), number));
        CHECK_STR(loom_buf_text(&retime.text), loom_buf_text(&again));
        loom_buf_release(&again);
    }
    CHECK(narrow > 200 && wide > 50 && full > 50);
}

TEST(left_as_it_is)
{
    static const char split[] = "id:S_1/start_communication_at:0/latency:90\n<split>\n";
    static const char slow[] = LOOM_TEXT_HIGH_LATENCY "\n" EDGE("0", "90");
    loom_buf many = {0};

    CHECK(!loom_retime_sample(&retime, split, strlen(split), 1));
    CHECK(!loom_retime_sample(&retime, slow, strlen(slow), 1));
    for (int i = 0; i < LOOM_RETIME_MOST; i++) loom_buf_printf(&many, EDGE("%d", "%d"), i, i);
    CHECK(loom_retime_sample(&retime, loom_buf_text(&many), many.len, 1));
    loom_buf_str(&many, EDGE("5", "1000"));
    CHECK(!loom_retime_sample(&retime, loom_buf_text(&many), many.len, 1));
    loom_buf_release(&many);
}

static void release(void)
{
    loom_retime_release(&retime);
    loom_buf_release(&before.rest);
    loom_buf_release(&after.rest);
    loom_arena_release(&arena);
    loom_arena_release(&scratch);
}

TEST_MAIN(RUN(order_and_validity_stay) RUN(windows_are_small_and_large) RUN(left_as_it_is) release();)
