/* Continuous batching and constrained decoding on small models with random weights: what a job returns does not depend
 * on its company, and an untrained model under `full` still meets every request, with any tokenizer. */
#include "test.h"

#include "core/hash.h"
#include "core/num.h"
#include "infer/engine/engine.h"
#include "infer/files/promptlist.h"
#include "infer/loop/budget.h"
#include "infer/loop/generate.h"
#include "model/blas.h"
#include "unit/domain_rig.h"

/* ---- a model ---- */
static loom_status build(rig *r, const char *tokenizer, int64_t context, int threads, loom_err *err)
{
    return rig_build(r, tokenizer, rig_small(context), threads, 5, err);
}

/* ---- free text: company does not matter ---- */
enum { JOBS = 14 };

typedef struct batch_case {
    int64_t batch, cache_bytes, prompt_rows;
    bool no_sharing;
} batch_case;

static loom_status complete_all(loom_job *jobs, const rig *r, const batch_case *bc, const loom_buf *prompts,
                                loom_engine_counts *counts, loom_err *err)
{
    loom_engine_options o = {.batch = bc->batch,
                             .cache_bytes = bc->cache_bytes,
                             .prompt_rows = bc->prompt_rows,
                             .no_sharing = bc->no_sharing,
                             .pool = r->pool};
    static const char *const stops[] = {"##", "</edges>"};
    loom_engine *e = NULL;
    int64_t submitted = 0, ended = 0;
    loom_status st = loom_engine_new(&e, r->model, NULL, r->tok, &o, err);

    for (int i = 0; st == LOOM_OK && i < JOBS; i++) {
        jobs[i] = (loom_job){.prompt = prompts[i].data,
                             .prompt_len = prompts[i].len,
                             .stops = stops,
                             .n_stops = 2,
                             .max_tokens = 30 + 5 * i,
                             .temperature = i % 3 ? 0.9 : 0,
                             .top_k = 20,
                             .want_logprobs = i == 1};
        loom_rng_seed(&jobs[i].rng, 3, "job", (uint64_t)i);
    }
    while (st == LOOM_OK && ended < JOBS) {
        loom_completer *c = loom_engine_completer(e);
        loom_job *done = NULL;
        while (st == LOOM_OK && submitted < JOBS && c->room > 0) st = c->submit(c, &jobs[submitted++], err);
        if (st == LOOM_OK) st = c->step(c, &done, err);
        for (; done; done = done->next) ended++;
    }
    if (st == LOOM_OK) *counts = loom_engine_count(e);
    loom_engine_free(e);
    return st;
}

TEST(company_does_not_matter)
{
    static const batch_case cases[] = {{1, 0, 0, false}, {14, 0, 0, false}, {5, 0, 3, false},
                                       {14, 0, 0, true}, {14, 1, 16, true}, {14, 60000, 64, false}};
    loom_job first[JOBS], other[JOBS];
    loom_buf prompts[JOBS] = {{0}};
    loom_engine_counts counts;
    loom_err err = {0};
    rig r;

    REQUIRE_OK(build(&r, NULL, 300, 2, &err), err);
    for (int i = 0; i < JOBS; i++)
        for (int k = 0; k < 6 + i % 5; k++)
            loom_buf_printf(&prompts[i], "id:S_0000000%d/num_edges:%d/latency:%d\n", 10 + (k < 5 ? 0 : i), k, 7 * k);
    REQUIRE_OK(complete_all(first, &r, &cases[0], prompts, &counts, &err), err);
    CHECK(counts.shared > 0);
    CHECK_I64(first[1].n_ids, first[1].n_tokens);
    CHECK(first[1].logprob < 0);
    int64_t tokens = 0;
    for (int i = 0; i < JOBS; i++) tokens += first[i].n_tokens;
    CHECK(tokens > 200);
    for (size_t k = 1; k < sizeof cases / sizeof *cases; k++) {
        REQUIRE_OK(complete_all(other, &r, &cases[k], prompts, &counts, &err), err);
        for (int i = 0; i < JOBS; i++) {
            CHECK_STR(loom_buf_text(&other[i].text), loom_buf_text(&first[i].text));
            CHECK_I64(other[i].n_tokens, first[i].n_tokens);
            CHECK(other[i].stop == first[i].stop);
            loom_job_release(&other[i]);
        }
        if (cases[k].cache_bytes == 1) CHECK(counts.steps > tokens / 14);
        CHECK(cases[k].no_sharing ? counts.shared == 0 : counts.shared > 0);
    }
    for (int i = 0; i < JOBS; i++) {
        loom_job_release(&first[i]);
        loom_buf_release(&prompts[i]);
    }
    release(&r);
}

TEST(the_context_ends_a_text)
{
    loom_engine_options o = {.batch = 2, .context = 64};
    loom_engine *e = NULL;
    loom_job jobs[2] = {{.prompt = "latency:1\n", .max_tokens = 1000}, {.prompt = "", .max_tokens = 1000}};
    loom_buf longer = {0};
    loom_err err = {0};
    loom_job *done;
    rig r;
    int ended = 0;

    REQUIRE_OK(build(&r, NULL, 300, 1, &err), err);
    for (int i = 0; i < 100; i++) loom_buf_str(&longer, "latency:1\n");
    jobs[0].prompt_len = strlen(jobs[0].prompt);
    jobs[1].prompt = longer.data;
    jobs[1].prompt_len = longer.len;
    REQUIRE_OK(loom_engine_new(&e, r.model, NULL, r.tok, &o, &err), err);
    loom_completer *c = loom_engine_completer(e);
    for (int i = 0; i < 2; i++) REQUIRE_OK(c->submit(c, &jobs[i], &err), err);
    for (int i = 0; i < 200 && ended < 2; i++) {
        REQUIRE_OK(c->step(c, &done, &err), err);
        for (; done; done = done->next) ended++;
    }
    CHECK_I64(ended, 2);
    if (jobs[0].stop == LOOM_STOP_LENGTH) CHECK_I64(jobs[0].n_tokens + jobs[0].n_prompt, 64);
    CHECK(jobs[1].stop == LOOM_STOP_LENGTH);
    CHECK_I64(jobs[1].n_tokens, 0);
    for (int i = 0; i < 2; i++) loom_job_release(&jobs[i]);
    loom_buf_release(&longer);
    loom_engine_free(e);
    release(&r);
}

/* ---- constrained ---- */
typedef struct verdicts {
    int64_t n, correct, accurate, refused;
    loom_hash128 texts;
} verdicts;

static loom_status judge(void *arg, const loom_gen_result *r, loom_err *err)
{
    verdicts *v = arg;
    (void)err;
    v->n++;
    v->correct += r->outcome->correct && r->outcome->graph.n_edges == r->prompt->edges &&
                  r->outcome->graph.depth == r->prompt->depth;
    v->accurate += r->outcome->accurate;
    v->refused += r->refused != NULL;
    if (r->refused && v->refused == 1) fprintf(stderr, "refused: %s\n", r->refused);
    if (!r->outcome->correct && v->n - v->correct == 1) {
        const loom_request_layer *l =
            loom_request_at(r->tree, r->outcome->failed_layer >= 0 ? r->outcome->failed_layer : 0);
        fprintf(stderr, "not correct, code %d: %s\nprompt: %s\ntext: %s\n", l->codes.n ? l->codes.items[0].code : -1,
                l->codes.n ? l->codes.items[0].message : "", l->prompt, l->text);
    }
    loom_buf b = {0};
    loom_buf_append(&b, &v->texts, sizeof v->texts);
    for (int32_t i = 0; i < r->outcome->n_edges; i++) loom_edge_render(&b, &r->outcome->edges[i]);
    v->texts = loom_hash128_of(b.data, b.len);
    loom_buf_release(&b);
    return LOOM_OK;
}

static loom_status wish_all(loom_prompts *p, loom_mode mode, int64_t most, loom_err *err)
{
    for (int64_t edges = 1; edges <= most; edges = edges < 6 ? edges + 1 : edges * 2)
        for (int64_t depth = edges > 1 ? 2 : 1; depth <= 6 && depth <= edges; depth++) {
            loom_wish w = {
                .service = "S_7", .edges = edges, .depth = depth, .latency = edges % 2 ? -1 : 40, .children = -1};
            LOOM_TRY(loom_prompts_wish(p, &w, mode, true, 1, 1, err));
        }
    return LOOM_OK;
}

typedef struct full_case {
    double temperature;
    int64_t top_k, batch;
    bool no_jump;
} full_case;

static loom_status grow_full(verdicts *v, const rig *r, loom_mode mode, int64_t most, const full_case *fc,
                             loom_gen_totals *t, loom_err *err)
{
    loom_engine_options eo = {.batch = fc->batch, .pool = r->pool, .no_jump = fc->no_jump};
    loom_gen_options o = {.match_training = true,
                          .constrain = LOOM_CONSTRAIN_FULL,
                          .seed = 2,
                          .samples = 1,
                          .max_tokens = 4096,
                          .temperature = fc->temperature,
                          .top_k = fc->top_k};
    loom_engine *e = NULL;
    loom_prompts p = {0};
    loom_status st = wish_all(&p, mode, most, err);

    *v = (verdicts){0};
    if (st == LOOM_OK) st = loom_engine_new(&e, r->model, NULL, r->tok, &eo, err);
    if (st == LOOM_OK) {
        loom_budget_conf bc = {.context = loom_engine_context(e), .max_tokens = 4096, .match_training = true};
        loom_budget budget = {0};
        st = loom_budget_of_prompts(&budget, r->tok, p.items, p.n, &bc, err);
        o.max_subs = budget.max_subs;
        o.time_cap = budget.time_cap;
        if (st == LOOM_OK) st = loom_generate(loom_engine_completer(e), p.items, p.n, &o, judge, v, t, err);
    }
    loom_engine_free(e);
    loom_prompts_release(&p);
    return st;
}

static void check_full(const char *tokenizer, int64_t context, int64_t most, const full_case *cases, size_t n_cases)
{
    loom_err err = {0};
    rig r;

    if (TEST_RACES) {
        most = 4;
        n_cases = 1;
    }
    REQUIRE_OK(build(&r, tokenizer, context, TEST_RACES ? 3 : 1, &err), err);
    for (int mode = 0; mode < LOOM_MODES; mode++)
        for (size_t k = 0; k < n_cases; k++) {
            verdicts v;
            loom_gen_totals t;
            REQUIRE_OK(grow_full(&v, &r, (loom_mode)mode, most, &cases[k], &t, &err), err);
            CHECK(v.n >= 4);
            CHECK_I64(v.correct, v.n);
            CHECK_I64(v.accurate, v.n);
            CHECK_I64(v.refused, 0);
            CHECK_I64(t.refused, 0);
            CHECK(t.mask.changed > 0 && t.mask.removed > 0 && t.mask.removed <= (double)t.mask.changed);
            CHECK(cases[k].no_jump ? t.mask.forced < t.mask.tokens / 4 : t.mask.forced > 0);
        }
    release(&r);
}

TEST(untrained_models_meet_every_request)
{
    static const full_case cases[] = {{0, 50, 8, false}, {1, 0, 3, false}, {5, 50, 8, true}};
    check_full(NULL, 2048, 24, cases, 3);
}

TEST(small_contexts_are_enough)
{
    static const full_case cases[] = {{1, 50, 16, false}};
    check_full(NULL, 1300, 24, cases, 1);
}

/* A context in which a layer of 15 edges does not fit is refused before anything is generated; smaller graphs may
 * fit. */
TEST(contexts_too_small_are_refused)
{
    loom_gen_prompt p = {.mode = LOOM_MODE_INSTRUCTION, .edges = 16, .depth = 2};
    loom_budget_conf bc = {.context = 4096, .max_tokens = 4096, .match_training = true};
    loom_budget b;
    loom_err err = {0};
    rig r;

    REQUIRE_OK(build(&r, NULL, 300, 1, &err), err);
    REQUIRE_OK(loom_budget_of_prompts(&b, r.tok, &p, 1, &bc, &err), err);
    CHECK_I64(b.max_subs, 15);
    CHECK_I64(b.time_cap, 99999999);
    bc.context = 500;
    CHECK(loom_budget_of_prompts(&b, r.tok, &p, 1, &bc, &err) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "a layer of 15 edges") && strstr(err.msg, "the context has 500"));
    bc.context = 4096;
    bc.max_tokens = 200;
    CHECK(loom_budget_of_prompts(&b, r.tok, &p, 1, &bc, &err) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--max-tokens is 200") != NULL);
    p.edges = 4;
    REQUIRE_OK(loom_budget_of_prompts(&b, r.tok, &p, 1, &bc, &err), err);
    CHECK(b.max_subs >= 1);
    p.mode = LOOM_MODE_TABULAR;
    bc.context = 5;
    REQUIRE_OK(loom_budget_of_prompts(&b, r.tok, &p, 1, &bc, &err), err);
    release(&r);
}

TEST(batches_of_any_size_grow_the_same_graphs)
{
    static const full_case cases[] = {{0.8, 30, 1, false}, {0.8, 30, 9, false}};
    loom_err err = {0};
    verdicts v[2];
    rig r;

    REQUIRE_OK(build(&r, NULL, 2048, 2, &err), err);
    for (int k = 0; k < 2; k++) {
        REQUIRE_OK(grow_full(&v[k], &r, LOOM_MODE_RECURSIVE, TEST_RACES ? 4 : 12, &cases[k], NULL, &err), err);
    }
    CHECK(v[0].texts.lo == v[1].texts.lo && v[0].texts.hi == v[1].texts.hi);
    release(&r);
}

static void check_published(const char *name)
{
    static const full_case cases[] = {{1, 50, 8, false}};
    const char *shared = test_shared();
    char path[4096];

    if (TEST_RACES) SKIP("threads know nothing of the vocabulary, and a large one takes minutes");
    if (!shared) SKIP("no shared data");
    snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", shared, name);
    check_full(path, 4096, 3, cases, 1);
}

TEST(llama_2_tokens) { check_published("llama-2"); }
TEST(llama_3_tokens) { check_published("llama-3"); }

TEST(what_cannot_be_is_refused)
{
    loom_err err = {0};
    loom_prompts p = {0};
    loom_wish deep = {.edges = 3, .depth = 4, .latency = -1, .children = -1},
              flat = {.edges = 3, .depth = 1, .latency = -1, .children = -1};
    loom_automaton *a = NULL;
    const char *bad = "id:S_1/start_node:USER/num_edges:2/remaining_depth:3\n<layer>\n<edges>\n";
    loom_automaton_conf conf = {
        .mode = LOOM_MODE_RECURSIVE, .full = true, .root = true, .prompt = bad, .prompt_len = strlen(bad)};

    CHECK(loom_prompts_wish(&p, &deep, LOOM_MODE_INSTRUCTION, true, 1, 1, &err) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "deeper") != NULL);
    CHECK(loom_prompts_wish(&p, &flat, LOOM_MODE_TABULAR, true, 1, 1, &err) == LOOM_STATUS_ARG);
    CHECK(loom_automaton_new(&a, &conf, &err) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "deeper") != NULL);
    loom_prompts_release(&p);
}

TEST_THREADED;
TEST_MAIN(loom_blas_start(argc, argv); RUN(company_does_not_matter) RUN(the_context_ends_a_text)
              RUN(untrained_models_meet_every_request) RUN(small_contexts_are_enough)
                  RUN(contexts_too_small_are_refused) RUN(batches_of_any_size_grow_the_same_graphs) RUN(llama_2_tokens)
                      RUN(llama_3_tokens) RUN(what_cannot_be_is_refused))
