/* loom-infer push: call graphs to an OpenTelemetry collector. */
#include <string.h>

#include "core/json.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"
#include "infer/commands/infer_cmds.h"
#include "infer/push/push_spans.h"
#include "readers/files/graphsource.h"
#include "trace/graph/real_names.h"

typedef struct push_conf {
    const char *collector, *names_from;
    int64_t limit, batch, retries, timeout, epoch;
    double rate, speed;
    int times;
    bool gzip, synthetic, strict, merge, cut_outliving;
} push_conf;

enum { TIMES_NOW, TIMES_KEPT };

static const loom_opt push_opts[] = {
    LOOM_OPT_GROUP("Where to"),
    LOOM_OPT_STR("collector", 0, push_conf, collector, "http://127.0.0.1:4318/v1/traces", "URL",
                 "OTLP/HTTP of a collector"),
    LOOM_OPT_I64("batch", 0, push_conf, batch, "4000", 1, 1000000, "N", "spans of a request; a graph is never split"),
    LOOM_OPT_FLAG_ON("gzip", 0, push_conf, gzip, "compress requests"),
    LOOM_OPT_I64(
        "retries", 0, push_conf, retries, "5", 0, 1000, "N",
        "how often a request is sent again where nobody answers or 429, 502, 503 or 504 comes, after pauses that "
        "double from a quarter of a second, or as long as Retry-After says"),
    LOOM_OPT_I64("timeout", 0, push_conf, timeout, "10", 1, 86400, "S", "seconds that a try may take"),
    LOOM_OPT_GROUP("When"),
    LOOM_OPT_F64("rate", 0, push_conf, rate, "0", 0, 1e9, "N", "graphs a second; 0: as fast as they are taken"),
    LOOM_OPT_F64("speed", 0, push_conf, speed, "0", 0, 1e9, "X",
                 "one after the other as their times of day say, X times as fast; 0: at once"),
    LOOM_OPT_ENUM("times", 0, push_conf, times, "now", "now|kept",
                  "now: a graph ends when it is sent; kept: spans have the times that convert writes"),
    LOOM_OPT_I64("epoch", 0, push_conf, epoch, "1640995200000", 0, 1e13, "MS",
                 "--times kept: milliseconds since 1970 at which the day of the graphs begins"),
    LOOM_OPT_GROUP("What"),
    LOOM_OPT_I64("limit", 0, push_conf, limit, "0", 0, 1e15, "N", "only the first N graphs; 0: all"),
    LOOM_OPT_IN("names-from", 0, push_conf, names_from, NULL, "MAPPING",
                "send the real names for MS_n and S_n: the private file that graphs --rename keeps"),
    LOOM_OPT_FLAG_ON("synthetic", 0, push_conf, synthetic, "mark the spans callgraph.synthetic"),
    LOOM_OPT_FLAG("strict", 0, push_conf, strict,
                  "what cannot be read is an error; otherwise it is counted and left out"),
    LOOM_OPT_FLAG("merge", 0, push_conf, merge, "traces may be spread over the inputs: all are read first"),
    LOOM_OPT_FLAG("cut-outliving", 0, push_conf, cut_outliving,
                  "spans: a call that goes on after its caller's has ended ends with it"),
    LOOM_OPT_END};

typedef struct pushing {
    const push_conf *conf;
    loom_push *push; /* NULL: --dry-run */
    loom_push_counts planned;
    loom_real_names names;
    loom_arena arena; /* of one graph under its real names */
} pushing;

static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    pushing *p = arg;
    loom_graph real;

    if (p->conf->limit > 0 && p->planned.graphs >= p->conf->limit) return LOOM_OK;
    p->planned.graphs++;
    p->planned.spans += g->n_calls;
    if (!p->push) return LOOM_OK;
    if (!p->conf->names_from) return loom_push_graph(p->push, g, err);
    loom_arena_reset(&p->arena);
    LOOM_TRY(loom_real_names_graph(&real, &p->names, g, &p->arena, err));
    return loom_push_graph(p->push, &real, err);
}

static loom_status open_push(pushing *p, const loom_ctx *ctx, loom_err *err)
{
    const push_conf *c = p->conf;
    loom_push_conf conf = {.url = c->collector,
                           .batch = c->batch,
                           .retries = c->retries,
                           .timeout_s = c->timeout,
                           .rate = c->rate,
                           .speed = c->speed,
                           .keep_times = c->times == TIMES_KEPT,
                           .gzip = c->gzip,
                           .synthetic = c->synthetic,
                           .seed = (uint64_t)ctx->common.seed,
                           .epoch_ms = c->epoch};

    if (c->rate > 0 && c->speed > 0)
        return loom_fail(err, LOOM_STATUS_ARG, "--rate and --speed both say when; give one");
    if (c->names_from) LOOM_TRY(loom_real_names_load(&p->names, c->names_from, err));
    return ctx->common.dry_run ? LOOM_OK : loom_push_open(&p->push, &conf, err);
}

static loom_status send_all(pushing *p, loom_source *s, const loom_ctx *ctx, loom_err *err)
{
    for (int i = 0; i < ctx->n_args; i++) LOOM_TRY(loom_source_read(s, ctx->args[i], take, p, err));
    LOOM_TRY(loom_source_finish(s, take, p, err));
    return p->push ? loom_push_finish(p->push, err) : LOOM_OK;
}

static void say_counts(const loom_push_counts *c)
{
    char bytes[2][32];
    double rate = (double)c->accepted / (c->seconds > 1e-9 ? c->seconds : 1e-9);

    loom_info("%lld spans of %lld graphs: %lld accepted, %lld refused, %lld not sent; %lld requests, %lld tried again; "
              "%s of JSON as %s, %.0f spans/s",
              (long long)c->spans, (long long)c->graphs, (long long)c->accepted, (long long)c->refused,
              (long long)c->unsent, (long long)c->requests, (long long)c->retried,
              loom_format_bytes(bytes[0], 32, (double)c->bytes), loom_format_bytes(bytes[1], 32, (double)c->sent),
              rate);
}

static loom_status print_counts(const loom_push_counts *c, const loom_source *s, loom_err *err)
{
    loom_buf text = {0};
    loom_jw w;

    loom_jw_init(&w, &text, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "graphs", c->graphs);
    loom_jw_kv_i64(&w, "spans", c->spans);
    loom_jw_kv_i64(&w, "accepted", c->accepted);
    loom_jw_kv_i64(&w, "refused", c->refused);
    loom_jw_kv_i64(&w, "unsent", c->unsent);
    loom_jw_kv_i64(&w, "requests", c->requests);
    loom_jw_kv_i64(&w, "retried", c->retried);
    loom_jw_kv_i64(&w, "bytes", c->bytes);
    loom_jw_kv_i64(&w, "sent_bytes", c->sent);
    loom_jw_kv_f64(&w, "seconds", c->seconds);
    loom_jw_key(&w, "input");
    loom_source_json_counts(s, &w);
    loom_jw_end_object(&w);
    loom_buf_char(&text, '\n');
    loom_status st = loom_stdout_write(text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

/* What was sent is told whatever came after. */
static loom_status report(const pushing *p, const loom_source *s, const loom_ctx *ctx, loom_status st, loom_err *err)
{
    loom_push_counts c = p->push ? loom_push_counts_of(p->push) : p->planned;
    loom_buf text = {0};

    if (st != LOOM_OK && st != LOOM_STATUS_IO && st != LOOM_STATUS_INTERRUPT) return st;
    loom_source_render_counts(s, &text);
    loom_info("%s", loom_buf_text(&text));
    loom_buf_release(&text);
    if (ctx->common.dry_run)
        loom_info("would send %lld spans of %lld graphs to %s", (long long)c.spans, (long long)c.graphs,
                  p->conf->collector);
    else say_counts(&c);
    if (ctx->common.json) {
        loom_status told = print_counts(&c, s, st == LOOM_OK ? err : NULL);
        if (st == LOOM_OK) st = told;
    }
    if (p->names.n_unknown)
        loom_warn("%lld names of calls are not in %s and stayed as they were", (long long)p->names.n_unknown,
                  p->conf->names_from);
    if (st == LOOM_STATUS_INTERRUPT)
        return loom_fail(err, st, "interrupted; %lld of %lld spans were accepted", (long long)c.accepted,
                         (long long)c.spans);
    if (st == LOOM_OK && c.refused)
        return loom_fail(err, LOOM_STATUS_VERDICT, "%s refused %lld of %lld spans%s%s", p->conf->collector,
                         (long long)c.refused, (long long)c.spans, c.why[0] ? ": " : "", c.why);
    return st;
}

static loom_status run_push(const loom_ctx *ctx, loom_err *err)
{
    const push_conf *conf = ctx->conf;
    pushing p = {.conf = conf};
    loom_source source = {.strict = conf->strict, .merge = conf->merge, .cut_outliving = conf->cut_outliving};
    loom_status st = open_push(&p, ctx, err);

    if (st == LOOM_OK) {
        st = send_all(&p, &source, ctx, err);
        if (st == LOOM_OK && p.planned.graphs == 0)
            st = loom_fail(err, LOOM_STATUS_FORMAT, "%s%s: no valid call graph in the input", ctx->args[0],
                           ctx->n_args > 1 ? ", ..." : "");
        st = report(&p, &source, ctx, st, err);
    }
    loom_push_close(&p.push);
    loom_real_names_release(&p.names);
    loom_arena_release(&p.arena);
    loom_source_release(&source);
    return st;
}

const loom_cmd loom_cmd_push = {
    .name = "push",
    .summary = "send call graphs to an OpenTelemetry collector",
    .args = "INPUT...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads what convert reads and sends it as OTLP/HTTP (JSON, gzip) to a collector, Jaeger, Tempo or whatever takes\n"
        "it. Times are moved so that each graph ends when it is sent. What the collector refuses is counted, and ends\n"
        "the command with 3; a collector that is not there or refuses a whole request with 1. A request that is sent\n"
        "again holds the same ids.\n"
        "\n"
        "  loom-infer push new.graphs.zst\n"
        "  loom-infer push new.graphs.zst --rate 50 --collector http://collector:4318/v1/traces     a steady load\n"
        "  loom-infer push new.graphs.zst --speed 10                     ten times as fast as the day went",
    .opts = push_opts,
    .conf_size = sizeof(push_conf),
    .run = run_push,
};
