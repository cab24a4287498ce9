/* The generation loop with scripted answers instead of a model: the golden loops run through the
 * very code that a model runs through, in any order of completion. */
#include "test.h"

#include "core/file.h"
#include "core/json.h"
#include "infer/files/result_files.h"
#include "infer/loop/generate.h"
#include "trace/graph/record.h"

/* ---- a completer that answers from a table ---- */
typedef struct script {
    loom_completer face;
    const loom_json *exchanges; /* [{prompt, response}] */
    loom_job *held[64];         /* given back later, in the order that `order` says */
    int n_held, order;          /* 0 first in first out, 1 last in first out, 2 one of both in turn */
    int64_t asked, unknown, most_held;
} script;

static const char *response_to(const script *s, const char *prompt, size_t len)
{
    for (size_t i = 0; i < loom_json_len(s->exchanges); i++) {
        const loom_json *x = loom_json_at(s->exchanges, i);
        size_t n = 0;
        const char *text = loom_json_str(loom_json_get(x, "prompt"), &n);
        if (n == len && memcmp(text, prompt, n) == 0) return loom_json_str(loom_json_get(x, "response"), NULL);
    }
    return NULL;
}

static loom_status submit(loom_completer *c, loom_job *job, loom_err *err)
{
    script *s = (script *)c;
    (void)err;
    s->held[s->n_held++] = job;
    if (s->n_held > s->most_held) s->most_held = s->n_held;
    c->room--;
    return LOOM_OK;
}

static loom_status step(loom_completer *c, loom_job **done, loom_err *err)
{
    script *s = (script *)c;
    (void)err;
    *done = NULL;
    if (!s->n_held) return LOOM_OK;
    int at = s->order == 0 ? 0 : s->order == 1 ? s->n_held - 1 : (int)(s->asked % 2) * (s->n_held - 1);
    loom_job *job = s->held[at];
    memmove(&s->held[at], &s->held[at + 1], (size_t)(s->n_held - at - 1) * sizeof(loom_job *));
    s->n_held--;
    const char *text = response_to(s, job->prompt, job->prompt_len);
    s->unknown += text == NULL;
    s->asked++;
    loom_buf_str(&job->text, text ? text : "");
    job->n_tokens = (int64_t)job->text.len;
    job->stop = LOOM_STOP_STRING;
    job->next = NULL;
    *done = job;
    c->room++;
    return LOOM_OK;
}

static void cancel(loom_completer *c, loom_job *job)
{
    script *s = (script *)c;
    int n = 0;

    for (int i = 0; i < s->n_held; i++)
        if (s->held[i] != job) s->held[n++] = s->held[i];
    s->face.room += s->n_held - n;
    s->n_held = n;
}

static script script_of(const loom_json *exchanges, int order, int64_t room)
{
    return (script){.face = {.room = room, .submit = submit, .step = step, .cancel = cancel},
                    .exchanges = exchanges,
                    .order = order};
}

/* ---- the golden loops ---- */
typedef struct kept {
    loom_buf trace, log, codes, answers;
    int64_t n, finished, valid, correct;
} kept;

static loom_status keep(void *arg, const loom_gen_result *r, loom_err *err)
{
    kept *k = arg;
    loom_result_files_conf conf = {.constrain = "off"};
    (void)err;
    k->n++;
    k->finished += r->outcome->finished;
    k->valid += r->outcome->valid;
    k->correct += r->outcome->correct;
    loom_trace_line(&k->trace, -1, r->prompt->mode, r->outcome);
    loom_request_failures(r->tree, -1, &k->log, &k->codes);
    loom_answer_line(&k->answers, &conf, r);
    return LOOM_OK;
}

static void release(kept *k)
{
    loom_buf_release(&k->trace);
    loom_buf_release(&k->log);
    loom_buf_release(&k->codes);
    loom_buf_release(&k->answers);
}

static void run_case(const loom_json *c, int order, kept *k)
{
    const loom_json *want = loom_json_get(c, "expected");
    script s = script_of(loom_json_get(c, "exchanges"), order, 3);
    loom_gen_prompt prompt = {.id = 5, .edges = -1, .depth = -1, .service = ""};
    loom_gen_options o = {.samples = 2, .listed_order = true};
    loom_gen_totals totals;
    loom_err err = {0};

    REQUIRE(loom_mode_parse(&prompt.mode, loom_json_str(loom_json_get(c, "task"), NULL)));
    prompt.text = loom_json_str(loom_json_get(c, "root_prompt"), &prompt.len);
    REQUIRE_OK(loom_generate(&s.face, &prompt, 1, &o, keep, k, &totals, &err), err);
    CHECK_I64(s.unknown, 0);
    CHECK_I64(k->finished, 2 * loom_json_i64(loom_json_get(want, "finished"), -1));
    CHECK_I64(k->valid, 2 * loom_json_i64(loom_json_get(want, "valid"), -1));
    CHECK_I64(k->correct, 2 * loom_json_i64(loom_json_get(want, "correct"), -1));
    CHECK_I64(totals.layers, 2 * (int64_t)loom_json_len(loom_json_get(c, "exchanges")));
    const char *trace = loom_json_str(loom_json_get(want, "trace"), NULL);
    if (trace && *trace) {
        size_t n = strlen(trace);
        REQUIRE(k->trace.len == 2 * n);
        CHECK(memcmp(k->trace.data, trace, n) == 0 && memcmp(k->trace.data + n, trace, n) == 0);
    }
    CHECK_I64(k->n, 2);
    CHECK(s.most_held <= 3);
}

TEST(golden_loops_in_any_order)
{
    loom_json *root = NULL;
    loom_err err = {0};

    REQUIRE_OK(loom_json_read_file(&root, LOOM_SOURCE_DIR "/tests/golden/spec/generation/cases.json", 1 << 24, &err),
               err);
    for (size_t i = 0; i < loom_json_len(root); i++) {
        const loom_json *c = loom_json_at(root, i);
        kept k[3] = {0};
        for (int order = 0; order < 3; order++) run_case(c, order, &k[order]);
        for (int order = 1; order < 3; order++)
            CHECK_STR(loom_buf_text(&k[order].answers), loom_buf_text(&k[0].answers));
        for (int order = 0; order < 3; order++) release(&k[order]);
    }
    CHECK_I64(loom_json_len(root), 6);
    loom_json_free(root);
}

/* ---- streams ---- */
typedef struct seen {
    uint64_t first[64]; /* first number of each job's stream, by (sample, layer as told by the prompt) */
    char names[64][96];
    int n;
} seen;

typedef struct watcher {
    script script;
    seen *seen;
} watcher;

static loom_status watch(loom_completer *c, loom_job *job, loom_err *err)
{
    watcher *w = (watcher *)c;
    loom_rng copy = job->rng;
    w->seen->first[w->seen->n++ % 64] = loom_rng_u64(&copy);
    return submit(c, job, err);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

TEST(streams_depend_on_the_layer_only)
{
    loom_json *root = NULL;
    loom_err err = {0};
    seen all[2] = {0};

    REQUIRE_OK(loom_json_read_file(&root, LOOM_SOURCE_DIR "/tests/golden/spec/generation/cases.json", 1 << 24, &err),
               err);
    const loom_json *c = loom_json_at(root, 0);
    for (int i = 0; i < 2; i++) {
        watcher w = {.script = script_of(loom_json_get(c, "exchanges"), i, i ? 1 : 8), .seen = &all[i]};
        w.script.face.submit = watch;
        loom_gen_prompt prompt = {.id = 5, .mode = LOOM_MODE_RECURSIVE, .service = ""};
        loom_gen_options o = {.samples = 3, .seed = 9};
        kept k = {0};
        prompt.text = loom_json_str(loom_json_get(c, "root_prompt"), &prompt.len);
        REQUIRE_OK(loom_generate(&w.script.face, &prompt, 1, &o, keep, &k, NULL, &err), err);
        release(&k);
    }
    REQUIRE(all[0].n == all[1].n && all[0].n == 18);
    qsort(all[0].first, 18, sizeof(uint64_t), by_number);
    qsort(all[1].first, 18, sizeof(uint64_t), by_number);
    for (int i = 0; i < 18; i++) CHECK(all[0].first[i] == all[1].first[i]);
    for (int i = 1; i < 18; i++) CHECK(all[0].first[i] != all[0].first[i - 1]);
    loom_json_free(root);
}

/* A layer that failed is asked again with other draws: the same would give the same text. */
TEST(another_attempt_has_another_stream)
{
    seen all = {0};
    watcher w = {.script = script_of(NULL, 0, 8), .seen = &all};
    w.script.face.submit = watch;
    loom_json *root = NULL;
    loom_gen_prompt prompt = {.id = 5, .mode = LOOM_MODE_RECURSIVE, .service = ""};
    loom_gen_options o = {.samples = 2, .seed = 9, .max_trials = 3};
    loom_err err = {0};
    kept k = {0};
    REQUIRE_OK(loom_json_read_file(&root, LOOM_SOURCE_DIR "/tests/golden/spec/generation/cases.json", 1 << 24, &err),
               err);
    prompt.text = loom_json_str(loom_json_get(loom_json_at(root, 0), "root_prompt"), &prompt.len);
    REQUIRE_OK(loom_generate(&w.script.face, &prompt, 1, &o, keep, &k, NULL, &err), err);
    CHECK_I64(all.n, 6);
    qsort(all.first, 6, sizeof(uint64_t), by_number);
    for (int i = 1; i < 6; i++) CHECK(all.first[i] != all.first[i - 1]);
    CHECK_I64(k.finished, 0);
    release(&k);
    loom_json_free(root);
}

/* What the options say of decoding reaches every job. */
typedef struct overseer {
    script script;
    const loom_gen_options *want;
    int64_t n;
} overseer;

static loom_status oversee(loom_completer *c, loom_job *job, loom_err *err)
{
    overseer *v = (overseer *)c;
    const loom_gen_options *o = v->want;
    v->n++;
    CHECK_I64(job->max_tokens, o->max_tokens);
    CHECK_I64(job->top_k, o->top_k);
    CHECK_NEAR(job->temperature, o->temperature, 0);
    CHECK_NEAR(job->top_p, o->top_p, 0);
    CHECK_NEAR(job->min_p, o->min_p, 0);
    CHECK(job->bos == o->bos[LOOM_MODE_RECURSIVE]);
    CHECK(job->n_stops > 0);
    return submit(c, job, err);
}

TEST(options_reach_every_job)
{
    loom_json *root = NULL;
    loom_err err = {0};
    kept k = {0};
    loom_gen_prompt prompt = {.id = 5, .mode = LOOM_MODE_RECURSIVE, .service = ""};
    loom_gen_options o = {.samples = 2, .temperature = 0.7, .top_k = 9, .top_p = 0.8, .min_p = 0.05, .max_tokens = 321};
    o.bos[LOOM_MODE_RECURSIVE] = true;

    REQUIRE_OK(loom_json_read_file(&root, LOOM_SOURCE_DIR "/tests/golden/spec/generation/cases.json", 1 << 24, &err),
               err);
    overseer v = {.script = script_of(loom_json_get(loom_json_at(root, 0), "exchanges"), 0, 4), .want = &o};
    v.script.face.submit = oversee;
    prompt.text = loom_json_str(loom_json_get(loom_json_at(root, 0), "root_prompt"), &prompt.len);
    REQUIRE_OK(loom_generate(&v.script.face, &prompt, 1, &o, keep, &k, NULL, &err), err);
    CHECK(v.n > 2);
    release(&k);
    loom_json_free(root);
}

TEST(stopping_leaves_nothing_behind)
{
    loom_json *root = NULL;
    loom_err err = {0};
    kept k = {0};

    REQUIRE_OK(loom_json_read_file(&root, LOOM_SOURCE_DIR "/tests/golden/spec/generation/cases.json", 1 << 24, &err),
               err);
    script s = script_of(loom_json_get(loom_json_at(root, 0), "exchanges"), 0, 4);
    loom_gen_prompt prompt = {.mode = LOOM_MODE_RECURSIVE, .service = ""};
    loom_gen_options o = {.samples = 3};
    prompt.text = loom_json_str(loom_json_get(loom_json_at(root, 0), "root_prompt"), &prompt.len);
    loom_stop_set(true);
    CHECK(loom_generate(&s.face, &prompt, 1, &o, keep, &k, NULL, &err) == LOOM_STATUS_INTERRUPT);
    loom_stop_set(false);
    CHECK_I64(k.n, 0);
    CHECK_I64(s.n_held, 0);
    release(&k);
    loom_json_free(root);
}

TEST(stop_strings_are_cut)
{
    static const char *const stops[] = {"##", "finish generation", "</layer>"};
    loom_buf b = {0};

    loom_buf_str(&b, "abc</lay");
    CHECK(!loom_cut_at_stop(&b, 0, stops, 3));
    loom_buf_str(&b, "er>\nxyz##");
    CHECK(loom_cut_at_stop(&b, 8, stops, 3));
    CHECK_STR(b.data, "abc");
    loom_buf_str(&b, "#");
    CHECK(!loom_cut_at_stop(&b, 3, stops, 3));
    loom_buf_str(&b, "#");
    CHECK(loom_cut_at_stop(&b, 4, stops, 3));
    CHECK_STR(b.data, "abc");
    loom_buf_release(&b);
}

TEST_MAIN(RUN(golden_loops_in_any_order) RUN(streams_depend_on_the_layer_only) RUN(another_attempt_has_another_stream)
              RUN(options_reach_every_job) RUN(stopping_leaves_nothing_behind) RUN(stop_strings_are_cut))
