#include "infer/push/push_spans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/escape.h"
#include "core/file.h"
#include "core/gzip.h"
#include "core/json.h"
#include "core/log.h"
#include "core/num.h"
#include "core/rng.h"
#include "core/usage.h"
#include "infer/formats/graphsink.h"
#include "infer/push/http_post.h"

#define FIRST_PAUSE   0.25 /* seconds before the second try; twice as long each time */
#define LONGEST_PAUSE 30.0
#define MOST_ASKED    300.0 /* seconds of a Retry-After that are waited */
#define FLUSH_BEFORE  0.05  /* a pause longer than this is none to leave spans waiting in */

struct loom_push {
    loom_push_conf conf;
    loom_http_post *post;
    loom_http_answer answer;
    loom_sink *sink;
    loom_buf graph, batch, packed; /* spans of the last graph, those to be sent, the same as they are sent */
    int64_t waiting; /* spans in the batch */
    loom_push_counts counts;
    loom_rng rng;
    double started;
    int64_t first_of_day; /* time of day of the first graph */
};

loom_status loom_push_open(loom_push **out, const loom_push_conf *conf, loom_err *err)
{
    loom_sink_conf sc = {.format = LOOM_FORMAT_OTLP, .synthetic = conf->synthetic, .seed = conf->seed};
    loom_push *p = loom_calloc(1, sizeof *p);
    loom_status st;

    if (!p) return loom_fail_nomem(err, "what is to be sent");
    p->conf = *conf;
    sc.epoch_ms = conf->epoch_ms;
    loom_rng_seed(&p->rng, conf->seed, "push-pauses", 0);
    p->started = loom_time_now();
    if ((st = loom_http_post_open(&p->post, conf->url, conf->timeout_s, err)) == LOOM_OK)
        st = loom_sink_open_text(&p->sink, &p->graph, &sc, err);
    if (st == LOOM_OK) *out = p;
    else loom_push_close(&p);
    return st;
}

void loom_push_close(loom_push **push)
{
    loom_push *p = *push;

    if (!p) return;
    loom_http_post_close(&p->post);
    loom_http_answer_release(&p->answer);
    loom_sink_abandon(&p->sink);
    loom_buf_release(&p->graph);
    loom_buf_release(&p->batch);
    loom_buf_release(&p->packed);
    free(p);
    *push = NULL;
}

loom_push_counts loom_push_counts_of(const loom_push *p)
{
    loom_push_counts c = p->counts;

    c.unsent = c.spans - c.accepted - c.refused;
    c.seconds = loom_time_now() - p->started;
    return c;
}

/* ---- what the collector says ---- */

int64_t loom_push_refused(const char *body, size_t len, char *why, size_t cap)
{
    loom_json *root = NULL;
    const loom_json *partial, *number;
    const char *text, *words;
    int64_t refused = 0;

    if (len == 0 || loom_json_parse(&root, body, len, "answer", NULL) != LOOM_OK) return 0;
    partial = loom_json_get(root, "partialSuccess");
    number = loom_json_get(partial, "rejectedSpans");
    if ((text = loom_json_str(number, NULL))) { /* 64-bit integers are strings */
        if (!loom_parse_i64(text, strlen(text), &refused)) refused = 0;
    } else {
        refused = loom_json_i64(number, 0);
    }
    words = loom_json_str(loom_json_get(partial, "errorMessage"), NULL);
    if (words && why && !why[0]) loom_escape_into(why, cap, words, strlen(words));
    loom_json_free(root);
    return loom_max_i64(refused, 0);
}

/* Whether the same request may be taken another time: what the specification lists, and no answer at all. */
static bool may_try_again(const loom_http_answer *a)
{
    return a->status == 0 || a->status == 429 || a->status == 502 || a->status == 503 || a->status == 504;
}

/* The beginning of what it said, on one line. */
static void words_of(char *text, size_t cap, const loom_http_answer *a)
{
    size_t len = a->body.len;

    while (len && (a->body.data[len - 1] == '\n' || a->body.data[len - 1] == ' ')) len--;
    loom_escape_into(text, cap, loom_buf_text(&a->body), len);
}

static loom_status gave_up(const loom_push *p, loom_err *err)
{
    const loom_http_answer *a = &p->answer;
    char words[120];
    int64_t tries = p->conf.retries + 1;

    if (a->status == 0)
        return loom_fail(err, LOOM_STATUS_IO,
                         "%s does not answer (%s), tried %lld time%s; is a collector listening there? %lld spans were "
                         "accepted, %lld were not sent",
                         p->conf.url, a->why, (long long)tries, tries == 1 ? "" : "s", (long long)p->counts.accepted,
                         (long long)(p->counts.spans - p->counts.accepted - p->counts.refused));
    words_of(words, sizeof words, a);
    return loom_fail(
        err, LOOM_STATUS_IO,
        "%s goes on answering %lld (%s), tried %lld time%s; send more slowly (--rate) or later; %lld spans "
        "were accepted",
        p->conf.url, (long long)a->status, words, (long long)tries, tries == 1 ? "" : "s",
        (long long)p->counts.accepted);
}

static loom_status refused_whole(loom_push *p, loom_err *err)
{
    char words[160];

    p->counts.refused += p->waiting;
    words_of(words, sizeof words, &p->answer);
    return loom_fail(err, LOOM_STATUS_IO,
                     "%s refuses: %lld (%s); expected is OTLP/HTTP, usually on port 4318 under /v1/traces; %lld spans "
                     "were accepted",
                     p->conf.url, (long long)p->answer.status, words, (long long)p->counts.accepted);
}

/* ---- pauses ---- */

/* Sleeps until `when`, awake to a stop. */
static loom_status wait_until(double when, loom_err *err)
{
    for (double left; (left = when - loom_time_now()) > 0;) {
        double nap = fmin(left, 0.1);

        if (loom_stop_requested()) return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
        nanosleep(&(struct timespec){.tv_nsec = (long)(nap * 1e9)}, NULL);
    }
    return loom_stop_requested() ? loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted") : LOOM_OK;
}

/* Before try number `tries` + 1. Half of it is left to chance, so that several senders do not come back together. */
static double pause_after(loom_push *p, int64_t tries)
{
    double asked = fmin((double)p->answer.retry_after, MOST_ASKED);
    double usual = fmin(ldexp(FIRST_PAUSE, (int)loom_min_i64(tries - 1, 30)), LONGEST_PAUSE);

    return fmax(asked, usual * (0.5 + 0.5 * loom_rng_f64(&p->rng)));
}

/* ---- sending ---- */

static void accepted(loom_push *p, size_t bytes)
{
    loom_push_counts *c = &p->counts;
    int64_t refused = loom_push_refused(loom_buf_text(&p->answer.body), p->answer.body.len, c->why, sizeof c->why);

    refused = loom_min_i64(refused, p->waiting);
    c->refused += refused;
    c->accepted += p->waiting - refused;
    c->requests++;
    c->bytes += (int64_t)p->batch.len;
    c->sent += (int64_t)bytes;
}

static void say_retry(const loom_push *p, double pause)
{
    char status[24];

    snprintf(status, sizeof status, "answered %lld", (long long)p->answer.status);
    if (p->counts.retried == 0)
        loom_info("%s %s%s%s; trying again in %.1f s", p->conf.url, p->answer.status ? status : "does not answer (",
                  p->answer.why, p->answer.status ? "" : ")", pause);
}

static loom_status deliver(loom_push *p, const loom_http_payload *body, loom_err *err)
{
    for (int64_t tries = 1;; tries++) {
        LOOM_TRY(loom_http_post_send(p->post, body, &p->answer, err));
        if (p->answer.status >= 200 && p->answer.status < 300) break;
        if (!may_try_again(&p->answer)) return refused_whole(p, err);
        if (tries > p->conf.retries) return gave_up(p, err);
        double pause = pause_after(p, tries);
        say_retry(p, pause);
        p->counts.retried++;
        LOOM_TRY(wait_until(loom_time_now() + pause, err));
    }
    accepted(p, body->len);
    return LOOM_OK;
}

static loom_status flush(loom_push *p, loom_err *err)
{
    loom_http_payload body = {.type = "application/json", .gzip = p->conf.gzip};

    if (p->waiting == 0) return LOOM_OK;
    loom_buf_str(&p->batch, "]}");
    LOOM_TRY(loom_buf_check(&p->batch, "a request", err));
    if (p->conf.gzip) {
        loom_buf_reset(&p->packed);
        LOOM_TRY(loom_gzip(&p->packed, p->batch.data, p->batch.len, err));
    }
    body.data = p->conf.gzip ? p->packed.data : p->batch.data;
    body.len = p->conf.gzip ? p->packed.len : p->batch.len;
    LOOM_TRY(deliver(p, &body, err));
    loom_buf_reset(&p->batch);
    p->waiting = 0;
    return LOOM_OK;
}

loom_status loom_push_finish(loom_push *p, loom_err *err) { return flush(p, err); }

/* ---- graphs ---- */

/* When the graph is to be sent, by --rate or --speed. */
static double due(const loom_push *p, const loom_graph *g)
{
    if (p->conf.rate > 0) return p->started + (double)p->counts.graphs / p->conf.rate;
    if (p->conf.speed > 0) return p->started + (double)(g->time_of_day - p->first_of_day) / 1000 / p->conf.speed;
    return 0;
}

static int64_t milliseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The epoch with which the last call of the graph ends now. */
static int64_t epoch_now(const loom_graph *g)
{
    int64_t end = 0;

    for (int32_t i = 0; i < g->n_calls; i++)
        end = loom_max_i64(end, g->calls[i].arrived + loom_max_i64(g->calls[i].rt, 0));
    return milliseconds_now() - g->time_of_day - end;
}

/* Into the batch: {"resourceSpans":[ of one request around those of all its graphs. */
static void add_to_batch(loom_push *p, const loom_buf *line)
{
    static const char head[] = "{\"resourceSpans\":[", tail[] = "]}\n";
    size_t skip = sizeof head - 1, end = sizeof tail - 1;

    loom_buf_str(&p->batch, p->batch.len ? "," : head);
    loom_buf_append(&p->batch, line->data + skip, line->len - skip - end);
}

loom_status loom_push_graph(loom_push *p, const loom_graph *g, loom_err *err)
{
    double when;

    if (p->counts.graphs == 0) p->first_of_day = g->time_of_day;
    when = due(p, g);
    if (when > loom_time_now() + FLUSH_BEFORE) LOOM_TRY(flush(p, err));
    LOOM_TRY(wait_until(when, err));
    if (!p->conf.keep_times) loom_sink_set_epoch(p->sink, epoch_now(g));
    LOOM_TRY(loom_sink_put(p->sink, g, err));
    p->counts.graphs++;
    p->counts.spans += g->n_calls;
    p->waiting += g->n_calls;
    add_to_batch(p, &p->graph);
    loom_buf_reset(&p->graph);
    return p->waiting >= p->conf.batch ? flush(p, err) : LOOM_OK;
}
