/* Texts for /generate and /v1/completions. */
#include <stdlib.h>
#include <time.h>

#include "core/num.h"
#include "infer/serve/error_json.h"
#include "infer/serve/text_answer.h"

typedef struct text_task {
    loom_task base;
    loom_text_request ask;
    loom_text_answer answer;
    size_t submitted, ended;
} text_task;

static loom_status submit(loom_task *task, bool *submitted, loom_err *err)
{
    text_task *t = (text_task *)task;
    loom_completer *c = task->at->model->completer;

    *submitted = t->submitted < t->answer.n;
    if (!*submitted) return LOOM_OK;
    loom_text_choice *text = &t->answer.texts[t->submitted++];
    text->out = true;
    return c->submit(c, &text->job, err);
}

static loom_status take(loom_task *task, loom_job *job, loom_err *err)
{
    text_task *t = (text_task *)task;
    loom_text_choice *text = job->owner;
    (void)err;

    text->out = false;
    text->ended = true;
    t->ended++;
    task->at->counts->texts++;
    return LOOM_OK;
}

static bool ended(const loom_task *task)
{
    const text_task *t = (const text_task *)task;
    return t->ended == t->answer.n;
}

static void send_more(text_task *t, bool end)
{
    loom_buf text = {0};

    loom_text_answer_more(&text, &t->answer);
    if (end) loom_text_answer_end(&text, &t->answer);
    if (text.len && !t->base.begun) {
        t->base.begun = true;
        loom_http_begin(t->base.http, 200, t->ask.openai ? "text/event-stream" : "application/x-ndjson");
    }
    if (text.len) loom_http_put(t->base.http, text.data, text.len);
    loom_buf_release(&text);
}

static void progress(loom_task *task)
{
    text_task *t = (text_task *)task;
    if (t->ask.stream) send_more(t, false);
}

static void reply(loom_task *task)
{
    text_task *t = (text_task *)task;
    loom_buf text = {0};

    if (t->ask.stream) {
        send_more(t, true);
        loom_http_end(task->http);
        task->http = NULL;
        return;
    }
    loom_text_answer_whole(&text, &t->answer);
    loom_task_reply(task, 200, "application/json", &text);
}

static void fail(loom_task *task, const char *sentence)
{
    text_task *t = (text_task *)task;
    loom_buf text = {0};

    loom_buf_str(&text, t->ask.openai ? "data: " : "");
    loom_error_json(&text, 500, sentence);
    if (t->ask.openai) loom_buf_str(&text, "\n");
    loom_http_put(task->http, loom_buf_text(&text), text.len);
    loom_http_end(task->http);
    task->http = NULL;
    loom_buf_release(&text);
}

static void free_task(loom_task *task)
{
    text_task *t = (text_task *)task;
    loom_completer *c = task->at->model->completer;

    for (size_t i = 0; t->answer.texts && i < t->answer.n; i++) {
        if (t->answer.texts[i].out) c->cancel(c, &t->answer.texts[i].job);
        loom_job_release(&t->answer.texts[i].job);
    }
    free(t->answer.texts);
    loom_text_request_release(&t->ask);
    free(t);
}

static const loom_task_kind kind = {.submit = submit,
                                    .take = take,
                                    .ended = ended,
                                    .progress = progress,
                                    .reply = reply,
                                    .fail = fail,
                                    .free = free_task};

static bool wants_bos(const loom_task *t, const loom_text_prompt *p)
{
    loom_model_loader_conf conf = {.bos = t->at->bos};
    return loom_model_loader_bos(&conf, p->text, p->len);
}

/* The prompt must leave room for a token; max_tokens beyond the context only ends the text there. */
static loom_status check_room(const text_task *t, const loom_job *job, loom_err *err)
{
    loom_engine *e = t->base.at->model->engine;
    int64_t have = loom_engine_context(e), need = loom_engine_prompt_tokens(e, job);

    if (need < have) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "the prompt has %lld tokens, and the context %lld: it must be shorter",
                     (long long)need, (long long)have);
}

static loom_status make_jobs(text_task *t, loom_err *err)
{
    const loom_text_request *ask = &t->ask;
    size_t n = ask->n_prompts * (size_t)ask->n;

    t->answer.texts = loom_calloc(n, sizeof *t->answer.texts);
    if (!t->answer.texts) return loom_fail_nomem(err, "texts");
    t->answer.n = n;
    for (size_t i = 0; i < n; i++) {
        const loom_text_prompt *p = &ask->prompts[i / (size_t)ask->n];
        loom_text_choice *text = &t->answer.texts[i];
        text->job = (loom_job){.prompt = p->text,
                               .prompt_len = p->len,
                               .stops = ask->stops,
                               .n_stops = ask->n_stops,
                               .max_tokens = ask->max_tokens,
                               .temperature = ask->temperature,
                               .top_k = ask->top_k,
                               .top_p = ask->top_p,
                               .min_p = ask->min_p,
                               .bos = wants_bos(&t->base, p),
                               .want_logprobs = ask->logprobs >= 0,
                               .n_top = loom_max_i64(ask->logprobs, 0),
                               .stop_ids = ask->stop_ids,
                               .n_stop_ids = ask->n_stop_ids,
                               .owner = text,
                               .party = t};
        loom_rng_seed(&text->job.rng, ask->seed, "complete", (uint64_t)i);
        if (i % (size_t)ask->n == 0) LOOM_TRY(check_room(t, &text->job, err));
    }
    return LOOM_OK;
}

loom_status loom_text_task_new(loom_task **out, const loom_task *task, loom_err *err)
{
    text_task *t = loom_calloc(1, sizeof *t);

    if (!t) return loom_fail_nomem(err, "a request");
    t->base = *task;
    t->base.kind = &kind;
    loom_status st = loom_text_request_read(&t->ask, task, err);
    t->base.seed = t->ask.seed;
    t->answer = (loom_text_answer){.ask = &t->ask, .task = &t->base, .created = (int64_t)time(NULL)};
    snprintf(t->answer.id, sizeof t->answer.id, "cmpl-%016llx", (unsigned long long)task->seed);
    if (st == LOOM_OK) st = make_jobs(t, err);
    if (st != LOOM_OK) free_task(&t->base);
    if (st == LOOM_OK) *out = &t->base;
    return st;
}
