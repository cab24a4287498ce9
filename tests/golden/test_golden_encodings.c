/* Texts against the reference implementation: every draw succeeds ("all") or fails ("none"), nothing is shuffled. */
#include "trace/text/encode.h"
#include "trace_cases.h"

static const loom_json *rare_list;

static bool is_rare(const void *ctx, const char *service, const char *source, loom_call_type type,
                    const char *destination)
{
    (void)ctx, (void)service;
    for (size_t i = 0; i < loom_json_len(rare_list); i++) {
        const loom_json *t = loom_json_at(rare_list, i);
        if (strcmp(loom_json_str(loom_json_at(t, 0), NULL), source) == 0 &&
            strcmp(loom_json_str(loom_json_at(t, 1), NULL), loom_call_type_name(type)) == 0 &&
            strcmp(loom_json_str(loom_json_at(t, 2), NULL), destination) == 0)
            return true;
    }
    return false;
}

static void check_text(const loom_text *text, const char *want, loom_arena *arena)
{
    loom_buf got = {0}, again = {0};
    loom_text back;
    loom_err err = {0};
    const char *skip = LOOM_TEXT_GENERATE;

    loom_text_render(&got, text);
    CHECK_STR(loom_buf_text(&got) + (text->mode == LOOM_MODE_INSTRUCTION ? 0 : strlen(skip)), want);
    REQUIRE_OK(loom_text_parse(&back, text->mode, got.data, got.len, arena, &err), err);
    loom_text_render(&again, &back);
    CHECK_STR(loom_buf_text(&again), loom_buf_text(&got));
    loom_buf_release(&got);
    loom_buf_release(&again);
}

static void check_texts(const loom_graph *g, const loom_facts *facts, const loom_encode_conf *conf,
                        const loom_json *want, loom_arena *arena)
{
    loom_text *texts;
    int32_t n;
    loom_err err = {0};

    REQUIRE(want != NULL);
    REQUIRE_OK(loom_encode_texts(&texts, &n, g, facts, conf, NULL, arena, &err), err);
    if (loom_json_is_array(want)) {
        REQUIRE(loom_json_len(want) == (size_t)n);
        for (int32_t i = 0; i < n; i++)
            check_text(&texts[i], loom_json_str(loom_json_at(want, (size_t)i), NULL), arena);
    } else {
        REQUIRE(n == 1);
        check_text(texts, loom_json_str(want, NULL), arena);
    }
}

static void check_case(const loom_json *one, loom_arena *arena)
{
    static const char *const names[] = {"tabular", "recursive", "instruction", "instruction_nocot"};
    loom_graph g;
    loom_facts facts = {.is_rare = is_rare};
    const loom_json *stats = loom_json_get(one, "latency_stats"), *texts = loom_json_get(one, "texts");

    if (!case_graph(&g, one, arena)) return;
    rare_list = loom_json_get(one, "rare");
    facts.p90 = loom_json_i64(loom_json_get(stats, "p90"), 0);
    facts.mean = loom_json_f64(loom_json_get(stats, "mean"), 0);
    facts.has_latency = loom_json_i64(loom_json_get(stats, "max"), 0) != 0;
    for (int i = 0; i < 8; i++) {
        char key[64];
        loom_encode_conf conf = {.mode = i / 2 < 3 ? (loom_mode)(i / 2) : LOOM_MODE_INSTRUCTION,
                                 .policy = i % 2 ? LOOM_DRAW_NONE : LOOM_DRAW_ALL,
                                 .no_intermediate = i / 2 == 3};
        snprintf(key, sizeof key, "%s_%s", names[i / 2], i % 2 ? "none" : "all");
        check_texts(&g, &facts, &conf, loom_json_get(texts, key), arena);
    }
}

TEST(encodings) { CHECK(trace_cases("encodings", check_case) >= 8); }

TEST_MAIN(RUN(encodings))
