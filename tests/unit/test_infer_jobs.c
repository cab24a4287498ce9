/* Jobs of an engine one by one: taking one back leaves the others as they are, whatever it was doing; texts end at
 * token ids; the likeliest tokens of a place are those of its logits. */
#include "test.h"

#include "core/num.h"
#include "infer/engine/engine.h"
#include "infer/loop/generate.h"
#include "model/blas.h"
#include "unit/domain_rig.h"

enum { JOBS = 6 };

static loom_status build(rig *r, loom_err *err) { return rig_build(r, NULL, rig_small(200), 2, 5, err); }

static void fill(loom_job *job, const loom_buf *prompt, int i)
{
    *job = (loom_job){.prompt = prompt->data,
                      .prompt_len = prompt->len,
                      .max_tokens = 20 + i,
                      .temperature = 0.9,
                      .top_k = 20,
                      .party = job};
    loom_rng_seed(&job->rng, 3, "job", (uint64_t)i);
}

/* All jobs but number `gone`, which is taken back after `steps` steps; -1: none. */
static void run(loom_buf *texts, const rig *r, const loom_buf *prompts, int64_t batch, int gone, int steps)
{
    loom_engine_options o = {.batch = batch, .pool = r->pool, .cache_bytes = 1};
    loom_engine *e = NULL;
    loom_job jobs[JOBS];
    loom_err err = {0};
    int ended = 0;

    REQUIRE_OK(loom_engine_new(&e, r->model, NULL, r->tok, &o, &err), err);
    loom_completer *c = loom_engine_completer(e);
    for (int i = 0; i < JOBS; i++) {
        fill(&jobs[i], &prompts[i], i);
        REQUIRE_OK(c->submit(c, &jobs[i], &err), err);
    }
    CHECK_I64(c->room, batch - JOBS);
    for (int k = 0; ended < JOBS - (gone >= 0); k++) {
        loom_job *done = NULL;
        if (k == steps && gone >= 0) c->cancel(c, &jobs[gone]);
        REQUIRE_OK(c->step(c, &done, &err), err);
        for (; done; done = done->next) {
            CHECK(done->party == done);
            CHECK(done != &jobs[gone >= 0 ? gone : 0] || gone < 0);
            ended++;
        }
    }
    CHECK_I64(c->room, batch);
    for (int i = 0; i < JOBS; i++) {
        loom_buf_reset(&texts[i]);
        loom_buf_append(&texts[i], loom_buf_text(&jobs[i].text), jobs[i].text.len);
        loom_job_release(&jobs[i]);
    }
    loom_engine_free(e);
}

TEST(a_job_taken_back_changes_no_other)
{
    loom_buf prompts[JOBS] = {{0}}, all[JOBS] = {{0}}, some[JOBS] = {{0}};
    loom_err err = {0};
    rig r;

    REQUIRE_OK(build(&r, &err), err);
    for (int i = 0; i < JOBS; i++)
        loom_buf_printf(&prompts[i], "id:S_00000001/num_edges:4/latency:70\nnum_edges:%d\n", i);
    run(all, &r, prompts, 8, -1, 0);
    for (int gone = 0; gone < JOBS; gone++)
        for (int steps = 0; steps < 12; steps += 4)           /* waiting, reading its prompt, writing */
            for (int64_t batch = 2; batch <= 8; batch += 6) { /* with 2, most wait all the time */
                run(some, &r, prompts, batch, gone, steps);
                for (int i = 0; i < JOBS; i++)
                    if (i != gone) CHECK_STR(loom_buf_text(&some[i]), loom_buf_text(&all[i]));
            }
    for (int i = 0; i < JOBS; i++) {
        loom_buf_release(&prompts[i]);
        loom_buf_release(&all[i]);
        loom_buf_release(&some[i]);
    }
    release(&r);
}

static void complete(loom_job *job, loom_engine *e)
{
    loom_completer *c = loom_engine_completer(e);
    loom_job *done = NULL;
    loom_err err = {0};

    REQUIRE_OK(c->submit(c, job, &err), err);
    while (!done) REQUIRE_OK(c->step(c, &done, &err), err);
}

TEST(token_ids_end_a_text_and_the_likeliest_are_told)
{
    loom_engine_options o = {.batch = 1};
    loom_engine *e = NULL;
    loom_job job = {.prompt = "id:S_1\n", .prompt_len = 7, .max_tokens = 12, .want_logprobs = true, .n_top = 3};
    loom_job same = job;
    loom_err err = {0};
    rig r;

    REQUIRE_OK(build(&r, &err), err);
    REQUIRE_OK(loom_engine_new(&e, r.model, NULL, r.tok, &o, &err), err);
    complete(&job, e);
    REQUIRE(job.n_ids == 12);
    for (size_t i = 0; i < job.n_ids; i++) { /* greedy: the first is the one that was taken */
        const float *p = job.top_logprobs + 3 * i;
        CHECK_I64(job.top_ids[3 * i], job.ids[i]);
        CHECK(p[0] == job.logprobs[i] && p[0] >= p[1] && p[1] >= p[2]);
        CHECK(job.top_ids[3 * i + 1] != job.top_ids[3 * i] && job.top_ids[3 * i + 2] != job.top_ids[3 * i + 1]);
    }
    size_t at = 5;
    for (size_t i = 0; i < at; i++)
        if (job.ids[i] == job.ids[at]) at = i; /* where it comes first */
    same.stop_ids = &job.ids[at];
    same.n_stop_ids = 1;
    complete(&same, e);
    CHECK_I64(same.n_tokens, (int64_t)at + 1);
    CHECK(same.stop == LOOM_STOP_EOS);
    CHECK(same.text.len < job.text.len && memcmp(loom_buf_text(&same.text), job.text.data, same.text.len) == 0);
    loom_job_release(&job);
    loom_job_release(&same);
    loom_engine_free(e);
    release(&r);
}

TEST_THREADED;
TEST_MAIN(loom_blas_start(argc, argv);
          RUN(a_job_taken_back_changes_no_other) RUN(token_ids_end_a_text_and_the_likeliest_are_told))
