/* The whole generation loop with scripted answers against the reference implementation with its quirks mended. */
#include "trace/request/request.h"
#include "trace_cases.h"

static const loom_json *response_to(const loom_json *exchanges, const char *prompt, bool *used)
{
    for (size_t i = 0; i < loom_json_len(exchanges); i++) {
        const loom_json *e = loom_json_at(exchanges, i);
        if (used[i] || strcmp(case_str(e, "prompt"), prompt) != 0) continue;
        used[i] = true;
        return loom_json_get(e, "response");
    }
    return NULL;
}

static void answer_all(loom_request *r, const loom_json *exchanges)
{
    size_t n = loom_json_len(exchanges);
    bool *used = calloc(n + 1, sizeof *used);
    const loom_request_layer *l;
    loom_err err = {0};

    while (!loom_request_done(r) && (l = loom_request_take(r))) {
        size_t len = 0;
        const char *text = loom_json_str(response_to(exchanges, l->prompt, used), &len);
        CHECK(text != NULL);
        if (!text) fprintf(stderr, "no answer to the prompt\n%s\n", l->prompt);
        if (loom_request_answer(r, l->index, text ? text : "", len, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
    }
    for (size_t i = 0; i < n; i++)
        if (loom_request_outcome(r)->finished) CHECK(used[i]);
    free(used);
}

static void check_reasons(const loom_outcome *v, const loom_json *expected)
{
    const loom_json *reasons = loom_json_get(expected, "final_reasons");
    REQUIRE((size_t)v->graph.why.n == loom_json_len(reasons));
    for (size_t i = 0; i < loom_json_len(reasons); i++)
        CHECK_STR(loom_reason_name((loom_reason)v->graph.why.reasons[i]),
                  loom_json_str(loom_json_at(reasons, i), NULL));
}

static void check_outcome(loom_request *r, loom_mode mode, const loom_json *expected)
{
    const loom_outcome *v = loom_request_outcome(r);
    loom_buf trace = {0}, log = {0}, codes = {0};

    CHECK_I64(v->finished, loom_json_i64(loom_json_get(expected, "finished"), -1));
    CHECK_I64(v->valid, loom_json_i64(loom_json_get(expected, "valid"), -1));
    CHECK_I64(v->correct, loom_json_i64(loom_json_get(expected, "correct"), -1));
    CHECK_I64(v->valid ? v->graph.n_edges : 0, loom_json_i64(loom_json_get(expected, "sum_edges"), -1));
    CHECK_I64(v->valid ? v->graph.depth : 0, loom_json_i64(loom_json_get(expected, "sum_depth"), -1));
    loom_trace_line(&trace, -1, mode, v);
    loom_request_failures(r, -1, &log, &codes);
    if (loom_json_get(expected, "invalid_edges")) {
        check_reasons(v, expected);
        CHECK(strstr(loom_buf_text(&trace), case_str(expected, "invalid_edges")) != NULL);
    } else {
        CHECK_STR(loom_buf_text(&trace), case_str(expected, "trace"));
    }
    CHECK_STR(loom_buf_text(&log), case_str(expected, "failure_log"));
    CHECK_STR(loom_buf_text(&codes), case_str(expected, "error_codes"));
    loom_buf_release(&trace);
    loom_buf_release(&log);
    loom_buf_release(&codes);
}

/* What another process wrote down must be judged the same. */
static void check_replay(loom_request *r, const loom_request_conf *conf)
{
    int32_t n = loom_request_count(r);
    loom_replay_layer *layers = calloc((size_t)n, sizeof *layers);
    const loom_outcome *a = loom_request_outcome(r), *b;
    loom_request *again = NULL;
    loom_err err = {0};

    for (int32_t i = 0; i < n; i++) {
        const loom_request_layer *l = loom_request_at(r, i);
        layers[i] = (loom_replay_layer){.parent = l->parent,
                                        .prefix = l->prefix,
                                        .prompt = l->prompt,
                                        .prompt_len = l->prompt_len,
                                        .text = l->text,
                                        .text_len = l->text_len};
    }
    REQUIRE_OK(loom_request_replay(&again, conf, layers, n, &err), err);
    b = loom_request_outcome(again);
    CHECK(a->finished == b->finished && a->valid == b->valid && a->correct == b->correct && a->accurate == b->accurate);
    CHECK(a->n_edges == b->n_edges && a->rules == b->rules);
    loom_request_free(&again);
    free(layers);
}

static void check_case(const loom_json *one, loom_arena *arena)
{
    loom_request_conf conf = {0};
    loom_request *r = NULL;
    loom_err err = {0};
    const char *prompt = case_str(one, "root_prompt");

    (void)arena;
    REQUIRE(loom_mode_parse(&conf.mode, case_str(one, "task")));
    REQUIRE_OK(loom_request_new(&r, &conf, prompt, strlen(prompt), NULL, &err), err);
    answer_all(r, loom_json_get(one, "exchanges"));
    check_outcome(r, conf.mode, loom_json_get(one, "expected"));
    check_replay(r, &conf);
    loom_request_free(&r);
}

TEST(generation) { CHECK(trace_cases("generation", check_case) >= 6); }

TEST_MAIN(RUN(generation))
