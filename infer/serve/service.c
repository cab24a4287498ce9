#include "infer/serve/service.h"

#include <stdlib.h>
#include <time.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/nomem.h"
#include "core/num.h"
#include "core/usage.h"
#include "infer/loop/naming.h"
#include "infer/serve/error_json.h"
#include "infer/serve/page.h"
#include "infer/serve/task.h"

#define LOOK_SECONDS 0.25 /* how often clients are looked after and the clock is read */
#define TIDY_SECONDS 5.0  /* how often memory of requests that have gone is given back */
enum { IDLE_MS = 100 };

const char *const loom_service_open_paths[] = {"/", "/health", NULL};

typedef struct task_list {
    loom_task *first, *last;
    int64_t n;
} task_list;

typedef struct service {
    const loom_service_conf *conf;
    loom_task_context at;
    loom_naming naming;
    loom_http_server *http;
    loom_service_counts counts;
    task_list waiting, active; /* active is a ring: its first is the next that may submit */
    int64_t in_flight, n_requests;
    int64_t started_at; /* seconds since 1970 */
    double looked, tidied, stopping_since;
    bool stopping;
} service;

static void list_add(task_list *l, loom_task *t)
{
    t->next = NULL;
    if (l->last) l->last->next = t;
    else l->first = t;
    l->last = t;
    l->n++;
}

static loom_task *list_take(task_list *l)
{
    loom_task *t = l->first;

    if (!t) return NULL;
    l->first = t->next;
    if (!l->first) l->last = NULL;
    l->n--;
    return t;
}

/* ---- answers ---- */

void loom_task_reply(loom_task *t, int status, const char *type, loom_buf *body)
{
    loom_count_answer(t->at->counts, t->endpoint, status, loom_time_now() - t->arrived);
    loom_http_reply(t->http, status, type, body);
    t->http = NULL;
}

void loom_task_refuse(loom_task *t, int status, const char *sentence)
{
    loom_buf text = {0};

    loom_error_json(&text, status, sentence);
    if (status == 503) loom_http_header(t->http, "Retry-After", "5");
    loom_task_reply(t, status, "application/json", &text);
}

loom_status loom_request_json(loom_json **out, const loom_task *t, loom_err *err)
{
    size_t len = 0;
    const char *body = loom_http_body(t->http, &len);

    LOOM_TRY(loom_json_parse(out, body, len, "the body", err));
    if (loom_json_is_object(*out)) return LOOM_OK;
    loom_json_free(*out);
    *out = NULL;
    return loom_fail(err, LOOM_STATUS_FORMAT, "the body is no JSON object: send {\"...\": ...}");
}

static void reply_models(const service *s, loom_task *t)
{
    loom_buf text = {0};
    loom_jw w;

    loom_jw_init(&w, &text, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "object", "list");
    loom_jw_key(&w, "data");
    loom_jw_begin_array(&w);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "id", s->at.name);
    loom_jw_kv_str(&w, "object", "model");
    loom_jw_kv_i64(&w, "created", s->started_at);
    loom_jw_kv_str(&w, "owned_by", "spanloom");
    loom_jw_kv_i64(&w, "max_model_len", loom_engine_context(s->at.model->engine));
    loom_jw_end_object(&w);
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(&text, '\n');
    loom_task_reply(t, 200, "application/json", &text);
}

static void reply_metrics(const service *s, loom_task *t)
{
    loom_engine_counts e = loom_engine_count(s->at.model->engine);
    loom_service_now now = {.queued = s->waiting.n,
                            .active = s->active.n,
                            .in_flight = s->in_flight,
                            .open = loom_http_open(s->http),
                            .refused = loom_http_refused(s->http),
                            .stopping = s->stopping};
    loom_buf text = {0};

    loom_counts_render(&text, &s->counts, &e, &now);
    loom_task_reply(t, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static void reply_health(const service *s, loom_task *t)
{
    loom_buf text = {0};

    loom_buf_printf(&text, "{\"status\":\"%s\"}\n", s->stopping ? "stopping" : "ok");
    loom_task_reply(t, s->stopping ? 503 : 200, "application/json", &text);
}

static void reply_page(loom_task *t)
{
    loom_buf text = {0};

    loom_buf_str(&text, loom_page);
    loom_http_header(t->http, "Content-Security-Policy", loom_page_policy);
    loom_task_reply(t, 200, "text/html; charset=utf-8", &text);
}

/* ---- arrivals ---- */

static loom_endpoint endpoint_of(const loom_http_request *r)
{
    int e = 0;
    while (e < LOOM_ENDPOINT_OTHER && strcmp(loom_endpoint_paths[e], loom_http_path(r)) != 0) e++;
    return (loom_endpoint)e;
}

static bool method_fits(const loom_task *t)
{
    const char *method = loom_http_method(t->http);
    if (t->endpoint <= LOOM_ENDPOINT_CALLGRAPHS) return strcmp(method, "POST") == 0;
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Texts and graphs: into the queue, or back with what is wrong. */
static loom_status enqueue(service *s, loom_task *arrived, loom_err *err)
{
    loom_task *t = NULL;
    loom_err why = {0};

    if (s->stopping) {
        loom_task_refuse(arrived, 503, "the server is about to stop");
        return LOOM_OK;
    }
    if (s->waiting.n >= s->conf->queue && s->active.n >= s->conf->batch) {
        loom_task_refuse(arrived, 503, "too many requests wait already (--queue): try again later");
        return LOOM_OK;
    }
    loom_status st = arrived->endpoint == LOOM_ENDPOINT_CALLGRAPHS ? loom_graph_task_new(&t, arrived, &why)
                                                                   : loom_text_task_new(&t, arrived, &why);
    if (st == LOOM_STATUS_NOMEM || loom_nomem_seen()) return loom_fail_nomem(err, "a request");
    if (st != LOOM_OK) loom_task_refuse(arrived, 400, why.msg);
    else list_add(&s->waiting, t);
    return LOOM_OK;
}

static loom_status route(service *s, loom_http_request *r, loom_err *err)
{
    loom_task t = {.at = &s->at, .http = r, .arrived = loom_time_now(), .endpoint = endpoint_of(r)};
    loom_rng rng;

    loom_rng_seed(&rng, s->conf->seed, "serve", (uint64_t)s->n_requests++);
    t.seed = loom_rng_u64(&rng) >> 11; /* a number that JSON can bring back */
    if (t.endpoint != LOOM_ENDPOINT_OTHER && !method_fits(&t)) {
        loom_http_header(r, "Allow", t.endpoint <= LOOM_ENDPOINT_CALLGRAPHS ? "POST" : "GET");
        loom_task_refuse(&t, 405,
                         t.endpoint <= LOOM_ENDPOINT_CALLGRAPHS ? "this path takes POST" : "this path takes GET");
        return LOOM_OK;
    }
    switch (t.endpoint) {
    case LOOM_ENDPOINT_MODELS: reply_models(s, &t); return LOOM_OK;
    case LOOM_ENDPOINT_HEALTH: reply_health(s, &t); return LOOM_OK;
    case LOOM_ENDPOINT_METRICS: reply_metrics(s, &t); return LOOM_OK;
    case LOOM_ENDPOINT_PAGE: reply_page(&t); return LOOM_OK;
    case LOOM_ENDPOINT_OTHER:
        loom_task_refuse(
            &t, 404,
            "there is nothing at this path; there are POST /generate, /v1/completions, /v1/callgraphs, and "
            "GET /v1/models, /health, /metrics, /");
        return LOOM_OK;
    default: return enqueue(s, &t, err);
    }
}

/* ---- work ---- */

static void count_stream(service *s, const loom_task *t, int status)
{
    loom_count_answer(&s->counts, t->endpoint, status, loom_time_now() - t->arrived);
}

static void end_task(service *s, loom_task *t)
{
    bool streamed = t->begun;

    t->kind->reply(t);
    if (streamed || t->begun) count_stream(s, t, 200);
    t->kind->free(t);
}

/* Ends a task that will not be answered as it wished. */
static void fail_task(service *s, loom_task *t, int status, const char *sentence)
{
    if (status == 499) {
        count_stream(s, t, status);
        loom_http_drop(t->http);
    } else if (t->begun) {
        count_stream(s, t, status);
        t->kind->fail(t, sentence);
    } else {
        loom_task_refuse(t, status, sentence);
    }
    t->kind->free(t);
}

/* Fills the engine: tasks in turn, one job each; new tasks as long as there is room. */
static loom_status fill(service *s, loom_err *err)
{
    loom_completer *c = s->at.model->completer;
    int64_t idle = 0; /* tasks in a row that had nothing to submit */

    while (c->room > 0) {
        bool submitted = false;
        if (idle >= s->active.n) {
            if (!s->waiting.first || s->active.n >= s->conf->batch) break;
            list_add(&s->active, list_take(&s->waiting));
            /* it comes last in the ring; those before it have just had nothing to submit */
            for (int64_t i = 1; i < s->active.n; i++) list_add(&s->active, list_take(&s->active));
            idle = 0;
        }
        loom_task *t = list_take(&s->active);
        LOOM_TRY(t->kind->submit(t, &submitted, err));
        list_add(&s->active, t);
        idle = submitted ? 0 : idle + 1;
    }
    return LOOM_OK;
}

static loom_status take_done(service *s, loom_job *done, loom_err *err)
{
    for (loom_job *next; done; done = next) {
        next = done->next;
        loom_task *t = done->party;
        LOOM_TRY(t->kind->take(t, done, err));
    }
    (void)s;
    return LOOM_OK;
}

/* Sends what is new, answers what has ended. */
static void answer(service *s)
{
    for (int64_t i = s->active.n; i > 0; i--) {
        loom_task *t = list_take(&s->active);
        if (t->kind->progress) t->kind->progress(t);
        if (t->kind->ended(t)) end_task(s, t);
        else list_add(&s->active, t);
    }
}

/* Clients that have gone, requests that have taken too long. */
static void look_after(service *s, task_list *l, double now)
{
    for (int64_t i = l->n; i > 0; i--) {
        loom_task *t = list_take(l);
        if (loom_http_gone(t->http)) fail_task(s, t, 499, "");
        else if (now - t->arrived > (double)s->conf->limit_seconds)
            fail_task(s, t, 504, "the request took longer than it may (--time-limit)");
        else list_add(l, t);
    }
}

static void fail_all(service *s, task_list *l, int status, const char *sentence)
{
    for (loom_task *t; (t = list_take(l));) fail_task(s, t, status, sentence);
}

static void begin_stop(service *s)
{
    loom_info("stopping: %lld requests that were begun are finished first, %lld that wait are told so",
              (long long)s->active.n, (long long)s->waiting.n);
    s->stopping = true;
    s->stopping_since = loom_time_now();
    loom_http_close_door(s->http);
    fail_all(s, &s->waiting, 503, "the server is about to stop");
}

static loom_status one_round(service *s, loom_err *err)
{
    loom_completer *c = s->at.model->completer;
    loom_http_request *r;
    loom_job *done = NULL;
    int wait = s->active.n || s->waiting.n ? 0 : IDLE_MS;

    for (; (r = loom_http_next(s->http, wait)); wait = 0) LOOM_TRY(route(s, r, err));
    if (loom_stop_requested() && !s->stopping) begin_stop(s);
    double now = loom_time_now();
    if (now - s->looked > LOOK_SECONDS) {
        s->looked = now;
        look_after(s, &s->waiting, now);
        look_after(s, &s->active, now);
        if (s->stopping && now - s->stopping_since > (double)s->conf->grace_seconds)
            fail_all(s, &s->active, 503, "the server stops");
    }
    if (now - s->tidied > TIDY_SECONDS) {
        s->tidied = now;
        loom_give_memory_back();
    }
    LOOM_TRY(fill(s, err));
    s->in_flight = s->conf->batch - c->room;
    if (s->in_flight > 0) LOOM_TRY(c->step(c, &done, err));
    LOOM_TRY(take_done(s, done, err));
    answer(s);
    return loom_nomem_check("a request", err);
}

/* Every answer is on its way; the last bytes need a moment, slow readers get no more than that. */
static void drain(service *s)
{
    enum { DRAIN_ROUNDS = 50 };
    loom_http_request *r;

    for (int i = 0; i < DRAIN_ROUNDS && loom_http_open(s->http) > 0; i++)
        if ((r = loom_http_next(s->http, IDLE_MS))) loom_http_drop(r);
}

loom_status loom_service_run(const loom_service_conf *conf, loom_model_loader *model, loom_err *err)
{
    service *s = loom_calloc(1, sizeof *s);
    loom_status st;

    if (!s) return loom_fail_nomem(err, "the service");
    s->conf = conf;
    s->counts.started = loom_time_now();
    s->started_at = (int64_t)time(NULL);
    s->at = (loom_task_context){.model = model,
                                .name = conf->name,
                                .max_tokens = conf->max_tokens,
                                .max_texts = conf->max_texts,
                                .bos = conf->bos,
                                .naming = &s->naming,
                                .counts = &s->counts};
    if ((st = loom_naming_open(&s->naming, NULL, model->bundle.names, model->bundle.names_len, true, err)) != LOOM_OK)
        goto done;
    if ((st = loom_http_start(&s->http, &conf->http, err)) != LOOM_OK) goto done;
    if (conf->started) conf->started(conf, loom_http_port(s->http));
    while (st == LOOM_OK && !(s->stopping && s->active.n == 0)) st = one_round(s, err);
    if (st != LOOM_OK) {
        loom_http_close_door(s->http);
        fail_all(s, &s->active, 500, "the server has failed");
        fail_all(s, &s->waiting, 500, "the server has failed");
    }
    drain(s);
    loom_http_stop(&s->http);
done:
    loom_naming_release(&s->naming);
    free(s);
    return st;
}
