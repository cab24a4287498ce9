#include "infer/serve/service_counts.h"

#include "core/usage.h"

const char *const loom_endpoint_paths[] = {
    "/generate", "/v1/completions", "/v1/callgraphs", "/v1/models", "/health", "/metrics", "/", "other"};
static const double bounds[LOOM_DURATIONS - 1] = {0.05, 0.2, 1, 5, 20, 60, 300};

void loom_count_answer(loom_service_counts *c, loom_endpoint at, int status, double seconds)
{
    c->answers[at][status > 0 && status < LOOM_STATUSES ? status : 0]++;
    c->seconds[at] += seconds;
    for (int i = 0; i < LOOM_DURATIONS - 1; i++) c->took[at][i] += seconds <= bounds[i];
    c->took[at][LOOM_DURATIONS - 1]++;
}

static void head(loom_buf *b, const char *name, const char *type, const char *help)
{
    loom_buf_printf(b, "# HELP spanloom_%s %s\n# TYPE spanloom_%s %s\n", name, help, name, type);
}

static void number(loom_buf *b, const char *name, const char *type, const char *help, double value)
{
    head(b, name, type, help);
    loom_buf_printf(b, "spanloom_%s ", name);
    loom_buf_f64(b, value);
    loom_buf_char(b, '\n');
}

static void durations(loom_buf *b, const loom_service_counts *c)
{
    head(b, "request_seconds", "histogram", "Time from a request to its answer, by path.");
    for (int e = 0; e < LOOM_ENDPOINTS; e++) {
        const char *path = loom_endpoint_paths[e];
        if (!c->took[e][LOOM_DURATIONS - 1]) continue;
        for (int i = 0; i < LOOM_DURATIONS - 1; i++)
            loom_buf_printf(b, "spanloom_request_seconds_bucket{path=\"%s\",le=\"%g\"} %lld\n", path, bounds[i],
                            (long long)c->took[e][i]);
        loom_buf_printf(b, "spanloom_request_seconds_bucket{path=\"%s\",le=\"+Inf\"} %lld\n", path,
                        (long long)c->took[e][LOOM_DURATIONS - 1]);
        loom_buf_printf(b, "spanloom_request_seconds_sum{path=\"%s\"} %.6f\n", path, c->seconds[e]);
        loom_buf_printf(b, "spanloom_request_seconds_count{path=\"%s\"} %lld\n", path,
                        (long long)c->took[e][LOOM_DURATIONS - 1]);
    }
}

void loom_counts_render(loom_buf *b, const loom_service_counts *c, const loom_engine_counts *e,
                        const loom_service_now *now)
{
    head(b, "requests_total", "counter", "Answers by path and status; 499: the client had gone.");
    for (int at = 0; at < LOOM_ENDPOINTS; at++)
        for (int s = 0; s < LOOM_STATUSES; s++)
            if (c->answers[at][s])
                loom_buf_printf(b, "spanloom_requests_total{path=\"%s\",status=\"%d\"} %lld\n", loom_endpoint_paths[at],
                                s, (long long)c->answers[at][s]);
    durations(b, c);
    number(b, "refused_total", "counter", "Requests refused by their headers alone: no token, too large, other origin.",
           (double)now->refused);
    number(b, "queued_requests", "gauge", "Requests that wait for their first text.", (double)now->queued);
    number(b, "active_requests", "gauge", "Requests that are being answered.", (double)now->active);
    number(b, "texts_in_flight", "gauge", "Texts that are decoded together now.", (double)now->in_flight);
    number(b, "open_requests", "gauge", "Requests whose answer has not gone out.", (double)now->open);
    number(b, "texts_total", "counter", "Texts that were completed.", (double)c->texts);
    number(b, "graphs_total", "counter", "Call graphs that were written.", (double)c->graphs);
    head(b, "tokens_total", "counter",
         "Tokens chosen by the model, appended without asking it, and of prompts computed or shared.");
    loom_buf_printf(b, "spanloom_tokens_total{kind=\"chosen\"} %lld\n", (long long)e->decoded);
    loom_buf_printf(b, "spanloom_tokens_total{kind=\"forced\"} %lld\n", (long long)e->forced);
    loom_buf_printf(b, "spanloom_tokens_total{kind=\"prompt\"} %lld\n", (long long)e->prefilled);
    loom_buf_printf(b, "spanloom_tokens_total{kind=\"prompt_shared\"} %lld\n", (long long)e->shared);
    number(b, "preempted_total", "counter", "Texts computed again because the cache was full.", (double)e->preempted);
    number(b, "model_seconds_total", "counter", "Time in the model.", e->model_seconds);
    number(b, "cache_bytes", "gauge", "Memory that keys and values may take.", (double)e->cache.all);
    number(b, "cache_touched_bytes", "gauge",
           "Memory that they have taken: as much as texts in flight ever had at once, never less again.",
           (double)e->cache.touched);
    number(b, "resident_bytes", "gauge", "Memory of the process.", (double)loom_resident_bytes());
    number(b, "cpu_seconds_total", "counter", "Processor time of the process.", loom_cpu_seconds());
    number(b, "uptime_seconds", "gauge", "Time since the start.", loom_time_now() - c->started);
    number(b, "stopping", "gauge", "1 while requests are finished before the end.", now->stopping);
}
