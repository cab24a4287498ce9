/* Answers judged anew: golden scripted generations, perfect and damaged answers, tampering, bad lines. */
#include <unistd.h>

#include "core/json.h"
#include "eval/accuracy/tally.h"
#include "eval/answers/answer_scan.h"
#include "eval/answers/answers.h"
#include "eval/answers/instruction_prompts.h"
#include "eval/answers/oracle.h"
#include "test.h"
#include "trace/graph/record.h"

/* One layer of a scripted case answered from its exchanges; true when every prompt was known. */
static bool play_script(loom_request *r, const loom_json *exchanges)
{
    for (const loom_request_layer *l; (l = loom_request_take(r)) != NULL;) {
        size_t i, n = loom_json_len(exchanges);
        for (i = 0; i < n; i++)
            if (strcmp(loom_json_str(loom_json_get(loom_json_at(exchanges, i), "prompt"), NULL), l->prompt) == 0) break;
        if (i == n) return false;
        size_t len;
        const char *text = loom_json_str(loom_json_get(loom_json_at(exchanges, i), "response"), &len);
        if (loom_request_answer(r, l->index, text, len, NULL) != LOOM_OK) return false;
    }
    return true;
}

static loom_status score_line(loom_score *score, loom_answer *answer, const loom_buf *line, loom_arena *arena,
                              loom_err *err)
{
    LOOM_TRY(loom_answer_parse(answer, line->data, line->len - 1, "x.jsonl", 3, arena, err));
    return loom_answer_score(score, answer, err);
}

TEST(golden_generations)
{
    loom_err err;
    loom_json *cases = NULL;
    REQUIRE_OK(loom_json_read_file(&cases, LOOM_SOURCE_DIR "/tests/golden/spec/generation/cases.json", 10 << 20, &err),
               err);
    CHECK(loom_json_len(cases) >= 5);
    for (size_t i = 0; i < loom_json_len(cases); i++) {
        const loom_json *c = loom_json_at(cases, i), *want = loom_json_get(c, "expected");
        loom_request_conf conf = {0};
        loom_request *r = NULL;
        loom_buf line = {0};
        loom_arena arena = {0};
        loom_answer answer;
        loom_score score = {0};
        size_t len;
        REQUIRE(loom_mode_parse(&conf.mode, loom_json_str(loom_json_get(c, "task"), NULL)));
        const char *prompt = loom_json_str(loom_json_get(c, "root_prompt"), &len);
        REQUIRE_OK(loom_request_new(&r, &conf, prompt, len, NULL, &err), err);
        CHECK(play_script(r, loom_json_get(c, "exchanges")));
        loom_answer head = {.id = 7, .mode = conf.mode, .edges = -1, .depth = -1, .temperature = 0.8, .seed = 5};
        loom_answer_render(&line, &head, r);
        REQUIRE_OK(score_line(&score, &answer, &line, &arena, &err), err);
        CHECK_I64(answer.id, 7);
        CHECK_I64(answer.seed, 5);
        CHECK_NEAR(answer.temperature, 0.8, 0);
        CHECK_I64(score.finished, loom_json_i64(loom_json_get(want, "finished"), -1));
        CHECK_I64(score.valid, loom_json_i64(loom_json_get(want, "valid"), -1));
        CHECK_I64(score.correct, loom_json_i64(loom_json_get(want, "correct"), -1));
        if (score.valid) {
            CHECK_I64(score.n_edges, loom_json_i64(loom_json_get(want, "sum_edges"), -1));
            CHECK_I64(score.depth, loom_json_i64(loom_json_get(want, "sum_depth"), -1));
        }
        CHECK(!score.accurate || score.correct);
        loom_score_release(&score);
        loom_arena_release(&arena);
        loom_buf_release(&line);
        loom_request_free(&r);
    }
    loom_json_free(cases);
}

/* Graphs of the golden store; calls fn for each graph and mode with a prompt made from it. */
typedef void (*graph_fn)(loom_mode mode, const loom_graph *g, const char *record, const loom_buf *prompt);
static void each_graph(graph_fn fn)
{
    loom_lines *lines = NULL;
    loom_arena arena = {0}, scratch = {0};
    loom_err err;
    char *line;
    size_t len;
    REQUIRE_OK(loom_lines_open(&lines, LOOM_SOURCE_DIR "/tests/golden/spec/dedupe/expected.txt", &err), err);
    while (loom_lines_next(lines, &line, &len, &err) == LOOM_OK && line) {
        loom_graph g;
        loom_verdict why = {0};
        loom_arena_reset(&arena);
        REQUIRE(loom_record_read(&g, &why, line, len, &arena));
        for (int m = 0; m < LOOM_MODES; m++) {
            loom_prompt_conf conf = {.mode = (loom_mode)m};
            loom_facts facts = {0};
            loom_buf prompt = {0};
            loom_rng rng;
            loom_rng_seed(&rng, 11, "test", (uint64_t)m);
            REQUIRE_OK(loom_request_root_prompt(&prompt, &g, &facts, &conf, &rng, &scratch, &err), err);
            fn((loom_mode)m, &g, line, &prompt);
            loom_buf_release(&prompt);
        }
    }
    loom_lines_close(&lines);
    loom_arena_release(&arena);
    loom_arena_release(&scratch);
}

static int64_t n_damaged, n_noticed;

static void perfect_and_damaged(loom_mode mode, const loom_graph *g, const char *record, const loom_buf *prompt)
{
    for (int d = LOOM_DAMAGE_NONE; d < LOOM_DAMAGES; d++) {
        loom_request *r = NULL;
        loom_err err;
        loom_rng rng;
        loom_buf line = {0};
        loom_arena arena = {0};
        loom_answer answer;
        loom_score score = {0};
        loom_rng_seed(&rng, 5, "damage", (uint64_t)g->n_calls);
        REQUIRE_OK(loom_oracle_answer(&r, mode, prompt->data, prompt->len, record, (loom_damage)d, &rng, &err), err);
        loom_answer head = {.mode = mode, .edges = g->n_calls, .depth = loom_graph_depth(g)};
        loom_answer_render(&line, &head, r);
        REQUIRE_OK(score_line(&score, &answer, &line, &arena, &err), err);
        if (d == LOOM_DAMAGE_NONE) {
            CHECK(score.correct);
            loom_buf want = {0}, got = {0};
            loom_record_render_untimed(&want, g);
            if (score.valid) loom_record_render_untimed(&got, &score.outcome->graph.graph);
            CHECK_STR(loom_buf_text(&got), want.data); /* the very graph, times and names */
            loom_buf_release(&want);
            loom_buf_release(&got);
            score.rules = 0;
        } else {
            n_damaged++;
            n_noticed += !score.correct;
        }
        CHECK(score.correct || score.rules || score.codes[LOOM_CODE_PARSE]);
        loom_score_release(&score);
        loom_buf_release(&line);
        loom_arena_release(&arena);
        loom_request_free(&r);
    }
}

TEST(oracle)
{
    each_graph(perfect_and_damaged);
    CHECK(n_damaged > 30);
    CHECK(n_noticed > n_damaged / 2); /* a changed name may well stay a valid graph */
}

/* Every way in which an answer could talk itself up must fail. */
static void no_trust(loom_mode mode, const loom_graph *g, const char *record, const loom_buf *prompt)
{
    loom_request *r = NULL;
    loom_err err;
    loom_rng rng;
    loom_score score = {0};
    if (mode == LOOM_MODE_TABULAR || loom_graph_depth(g) < 3) return;
    loom_rng_seed(&rng, 5, "damage", 0);
    REQUIRE_OK(loom_oracle_answer(&r, mode, prompt->data, prompt->len, record, LOOM_DAMAGE_NONE, &rng, &err), err);
    int32_t n = loom_request_count(r);
    loom_replay_layer *layers = calloc((size_t)n, sizeof *layers);
    for (int32_t i = 0; i < n; i++) {
        const loom_request_layer *l = loom_request_at(r, i);
        layers[i] = (loom_replay_layer){l->parent, NULL, l->prompt, l->prompt_len, l->text, l->text_len};
    }
    loom_answer answer = {
        .mode = mode, .edges = g->n_calls, .depth = loom_graph_depth(g), .layers = layers, .n_layers = n};
    REQUIRE_OK(loom_answer_score(&score, &answer, &err), err);
    CHECK(score.correct);
    loom_score_release(&score);

    answer.edges++; /* another size was asked for */
    REQUIRE_OK(loom_answer_score(&score, &answer, &err), err);
    CHECK(!score.correct && !score.accurate && score.valid);
    CHECK(score.rules & LOOM_RULE_BIT(LOOM_RULE_TOTAL_EDGES));
    loom_score_release(&score);
    answer.edges--;

    answer.n_layers = n - 1; /* a layer is missing */
    REQUIRE_OK(loom_answer_score(&score, &answer, &err), err);
    CHECK(!score.finished && !score.correct);
    loom_score_release(&score);
    answer.n_layers = n;

    /* the sampler asked for something else than the parent's text says: another start node */
    loom_buf changed = {0};
    loom_buf_append(&changed, layers[n - 1].prompt, layers[n - 1].prompt_len);
    char *at = strstr(changed.data, "latency:");
    REQUIRE(at != NULL);
    at[8] = at[8] == '9' ? '8' : '9';
    layers[n - 1].prompt = changed.data;
    REQUIRE_OK(loom_answer_score(&score, &answer, &err), err);
    CHECK(!score.finished && !score.correct && !score.accurate);
    loom_score_release(&score);
    loom_buf_release(&changed);

    answer.n_layers = 0; /* refused */
    REQUIRE_OK(loom_answer_score(&score, &answer, &err), err);
    CHECK(!score.finished && score.rules == LOOM_RULE_BIT(LOOM_RULE_UNFINISHED));
    loom_score_release(&score);
    free(layers);
    loom_request_free(&r);
}

TEST(nothing_is_believed) { each_graph(no_trust); }

static void expect_error(const char *line, const char *part)
{
    loom_answer answer;
    loom_arena arena = {0};
    loom_err err = {0};
    CHECK(loom_answer_parse(&answer, line, strlen(line), "a.jsonl", 12, &arena, &err) == LOOM_STATUS_FORMAT);
    if (!strstr(err.msg, part) || !strstr(err.msg, "a.jsonl:12: ")) {
        CHECK_STR(err.msg, part);
    }
    loom_arena_release(&arena);
}

TEST(bad_lines)
{
    expect_error("", "not a line of JSON");
    expect_error("{\"id\":1,", "not a line of JSON");
    expect_error("[1]", "not a line of JSON");
    expect_error("{\"id\":1,\"mode\":\"tabular\",\"prompt\":\"x\"}", "this is a prompts file");
    expect_error("{\"id\":1,\"mode\":\"tabular\"}", "it has no \"layers\"");
    expect_error("{\"id\":1,\"mode\":\"baseline\",\"layers\":[]}", "mode is \"baseline\"");
    expect_error("{\"id\":1,\"layers\":[]}", "mode is missing");
    expect_error("{\"mode\":\"tabular\",\"layers\":[3]}", "layer 0 is no object");
    expect_error("{\"mode\":\"tabular\",\"layers\":[{\"parent\":0,\"prompt\":\"x\",\"text\":\"y\"}]}",
                 "layer 0 has parent 0");
    expect_error("{\"mode\":\"tabular\",\"layers\":[{\"parent\":-1,\"text\":\"y\"}]}", "has no \"prompt\"");
    expect_error("{\"mode\":\"tabular\",\"layers\":[{\"parent\":-1,\"prompt\":\"x\",\"text\":5}]}", "is no text");
    expect_error(
        "{\"mode\":\"tabular\",\"layers\":[{\"prompt\":\"x\",\"text\":\"y\"},{\"parent\":1,\"prompt\":\"x\"}]}",
        "layer 1 has parent 1");
}

static bool same_text(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && !a == !b && (!a || memcmp(a, b, n) == 0);
}

static bool same_answer(const loom_answer *a, const loom_answer *b)
{
    if (a->id != b->id || a->sample != b->sample || a->edges != b->edges || a->depth != b->depth ||
        a->mode != b->mode || a->temperature != b->temperature || a->seed != b->seed ||
        a->constrained != b->constrained || a->refused != b->refused || a->n_layers != b->n_layers)
        return false;
    for (int32_t i = 0; i < a->n_layers; i++) {
        const loom_replay_layer *x = &a->layers[i], *y = &b->layers[i];
        if (x->parent != y->parent || !same_text(x->prompt, x->prompt_len, y->prompt, y->prompt_len) ||
            !same_text(x->text, x->text ? x->text_len : 0, y->text, y->text ? y->text_len : 0))
            return false;
    }
    return true;
}

/* `fast`: the fast reader must take the line itself. What it takes must be what the general one reads. */
static void both_readers(const char *line, bool fast)
{
    loom_arena arena = {0};
    loom_answer a, b;
    loom_err err = {0};
    size_t len = strlen(line);
    bool taken = loom_answer_scan(&a, line, len, &arena);
    if (fast && !taken) CHECK_STR(line, "a line that the fast reader takes");
    if (!fast && taken) CHECK_STR(line, "a line that the fast reader leaves to the general one");
    if (taken) {
        REQUIRE_OK(loom_answer_parse_general(&b, line, len, "a.jsonl", 1, &arena, &err), err);
        CHECK(same_answer(&a, &b));
    }
    loom_arena_release(&arena);
}

static void oracle_by_both(loom_mode mode, const loom_graph *g, const char *record, const loom_buf *prompt)
{
    loom_request *r = NULL;
    loom_err err;
    loom_rng rng;
    loom_buf line = {0};
    loom_rng_seed(&rng, 5, "damage", 0);
    REQUIRE_OK(loom_oracle_answer(&r, mode, prompt->data, prompt->len, record, LOOM_DAMAGE_NONE, &rng, &err), err);
    loom_answer head = {.id = 3,
                        .sample = 2,
                        .mode = mode,
                        .seed = -7,
                        .edges = g->n_calls,
                        .depth = loom_graph_depth(g),
                        .temperature = 0.25};
    loom_answer_render(&line, &head, r);
    line.data[line.len - 1] = 0;
    both_readers(line.data, true);
    loom_request_free(&r);
    loom_buf_release(&line);
}

TEST(both_readers_agree)
{
    each_graph(oracle_by_both);
    const char *const layer = "{\"parent\":-1,\"prompt\":\"a\\n\\\"b\\\"\\\\c\\td\\/\",\"text\":null}";
    char line[512];
#define LINE(head, l) (snprintf(line, sizeof line, "{%s,\"mode\":\"recursive\",\"layers\":[%s]}", head, l), line)
    both_readers(LINE("\"id\":0", layer), true);
    both_readers(LINE("\"id\": 12 , \"constrain\":\"full\", \"temperature\":1.5e-1", layer), true);
    both_readers(LINE("\"refused\":\"too long\"", ""), true);
    both_readers(LINE("\"id\":01", layer), false);         /* not JSON */
    both_readers(LINE("\"id\":1,\"id\":2", layer), false); /* twice */
    both_readers(LINE("\"id\":1.5", layer), false);
    both_readers(LINE("\"temperature\":1.", layer), false);
    both_readers(LINE("\"temperature\":.5", layer), false);
    both_readers(LINE("\"temperature\":1e", layer), false);
    both_readers(LINE("\"more\":1", layer), false); /* another key: valid, but not this reader's */
    both_readers(LINE("\"constrain\":true", layer), false);
    both_readers(LINE("\"id\":1", "{\"parent\":-1,\"prompt\":\"\\u0041\"}"), false);
    both_readers(LINE("\"id\":1", "{\"parent\":-1,\"prompt\":\"\xc3\xa4\"}"), false);
    both_readers(LINE("\"id\":1", "{\"parent\":-1,\"prompt\":\"a\nb\"}"), false);
    both_readers(LINE("\"id\":1", "{\"prompt\":\"a\"}"), false);
    both_readers("{\"id\":1,\"mode\":\"recursive\",\"layers\":[]} x", false);
    both_readers("{\"id\":1,\"mode\":\"recursive\",\"layers\":[]", false);
    both_readers("", false);
#undef LINE
}

/* `fast` as in both_readers; what the fast reader takes is what a tree of the line holds. */
static void both_prompt_readers(const char *line, bool fast)
{
    loom_arena arena = {0};
    loom_prompt_line l;
    loom_json *root = NULL;
    loom_err err = {0};
    size_t n;
    bool taken = loom_prompt_scan(&l, line, strlen(line), &arena);
    if (fast != taken) CHECK_STR(line, fast ? "a line that the fast reader takes" : "a line that it leaves");
    if (taken) {
        REQUIRE_OK(loom_json_parse(&root, line, strlen(line), "p.jsonl", &err), err);
        CHECK_I64(l.id, loom_json_i64(loom_json_get(root, "id"), -1));
        CHECK_I64(l.edges, loom_json_i64(loom_json_get(root, "edges"), -1));
        CHECK_I64(l.depth, loom_json_i64(loom_json_get(root, "depth"), -1));
        CHECK_STR(l.mode ? l.mode : "-", loom_json_str(loom_json_get(root, "mode"), NULL)
                                             ? loom_json_str(loom_json_get(root, "mode"), NULL)
                                             : "-");
        const char *prompt = loom_json_str(loom_json_get(root, "prompt"), &n);
        CHECK(same_text(l.prompt, l.prompt ? l.prompt_len : 0, prompt, prompt ? n : 0));
        loom_json_free(root);
    }
    loom_arena_release(&arena);
}

TEST(both_readers_of_prompts_agree)
{
    both_prompt_readers(
        "{\"id\":7,\"mode\":\"tabular\",\"edges\":3,\"depth\":2,\"service\":\"S_1\",\"prompt\":\"id:S_000000001/num_edges:3 and so on, "
        "longer than one block\",\"record\":\"00h\"}",
        true);
    both_prompt_readers("{\"id\":7,\"prompt\":\"sixteen letters.\\nand again sixteen letters\\\\\\\"\\tx\"}", true);
    both_prompt_readers("{\"prompt\":\"0123456789abcde\\n0123456789abcdef\\n\"}", true);
    both_prompt_readers("{\"id\":7,\"ask\":\"both\"}", false);
    both_prompt_readers("{\"id\":7,\"id\":8}", false);
    both_prompt_readers("{\"id\":7,\"prompt\":\"0123456789abcdef0123\xc3\xa4\"}", false);
    both_prompt_readers("{\"id\":7,\"prompt\":\"0123456789abcdef0123\\u0041\"}", false);
    both_prompt_readers("{\"id\":7,\"prompt\":\"0123456789abcdef0123", false);
    both_prompt_readers("{\"id\":7} x", false);
    both_prompt_readers("{\"id\":7", false);
}

/* A latency of exactly p90 follows the instruction, but for the strict reading. */
TEST(high_latency_at_the_bound)
{
    loom_call call = {.source = "USER", .destination = "MS_1", .rt = 30};
    loom_graph g = {.calls = &call, .n_calls = 1};
    loom_instruction asked = {.ask = LOOM_ASK_HIGH_LATENCY, .p90 = loom_call_finish(&call)};

    CHECK(loom_instruction_followed(&asked, &g, false) && !loom_instruction_followed(&asked, &g, true));
    asked.p90++;
    CHECK(!loom_instruction_followed(&asked, &g, false));
    asked.p90 -= 2;
    CHECK(loom_instruction_followed(&asked, &g, true));
}

TEST_MAIN(RUN(high_latency_at_the_bound) RUN(both_readers_of_prompts_agree) RUN(golden_generations) RUN(oracle)
              RUN(nothing_is_believed) RUN(bad_lines) RUN(both_readers_agree))
