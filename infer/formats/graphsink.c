#include "infer/formats/graphsink_impl.h"

#include <stdlib.h>

#include "core/cli.h"
#include "core/csv_cell.h"
#include "core/escape.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "core/utf8.h"
#include "infer/engine/completion.h"
#include "readers/spans/span.h"
#include "trace/graph/record.h"
#include "trace/graph/rows.h"

loom_format loom_format_of_name(const char *path)
{
    static const struct {
        const char *end;
        loom_format format;
    } endings[] = {{".graphs", LOOM_FORMAT_RECORDS}, {".csv", LOOM_FORMAT_CSV},        {".jsonl", LOOM_FORMAT_OTLP},
                   {".ndjson", LOOM_FORMAT_OTLP},    {".json", LOOM_FORMAT_JAEGER},    {".dot", LOOM_FORMAT_DOT},
                   {".gv", LOOM_FORMAT_DOT},         {".graphml", LOOM_FORMAT_GRAPHML}};
    size_t n = strlen(path);
    char name[64];

    if (loom_path_ends_in(path, ".zst")) n -= 4;
    size_t keep = n < sizeof name - 1 ? n : sizeof name - 1;
    memcpy(name, path + n - keep, keep);
    name[keep] = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (loom_path_ends_in(name, endings[i].end)) return endings[i].format;
    return LOOM_FORMATS;
}

/* ---- spans ---- */

loom_span_ids loom_sink_make_ids(const loom_sink *k)
{
    loom_span_ids ids = {.seed = 0};
    uint64_t key[2] = {k->conf.seed, (uint64_t)k->n};
    loom_hash128 h = loom_hash128_of(key, sizeof key);

    if (!h.hi && !h.lo) h.lo = 1;
    loom_hash128_text(h, ids.trace);
    ids.seed = h.lo;
    return ids;
}

void loom_sink_span_id(char text[17], const loom_span_ids *ids, const loom_call *c)
{
    loom_buf name = {0};

    loom_buf_str(&name, ids->trace);
    loom_buf_char(&name, '/');
    loom_id_render(&name, c->id, c->n_id);
    uint64_t h = loom_hash64(name.data, name.len, 0);
    snprintf(text, 17, "%016llx", (unsigned long long)(h ? h : 1));
    loom_buf_release(&name);
}

/* A graph that does not begin with its first call, and a call that ends before it starts, cannot be told by start and
 * duration alone: the two numbers are added then. */
int loom_sink_call_attributes(loom_sink_attribute out[LOOM_SINK_ATTRIBUTES], const loom_sink *k, const loom_graph *g,
                              const loom_call *c, bool late, loom_buf *edge_id)
{
    int n = 0;

    loom_buf_reset(edge_id);
    loom_id_render(edge_id, c->id, c->n_id);
    out[n++] = (loom_sink_attribute){"callgraph.service_id", g->service, 0, false};
    out[n++] = (loom_sink_attribute){"callgraph.edge_id", edge_id->data, 0, false};
    out[n++] = (loom_sink_attribute){"callgraph.depth", NULL, c->n_id, false};
    out[n++] = (loom_sink_attribute){"callgraph.type", loom_call_type_name(c->type), 0, false};
    out[n++] = (loom_sink_attribute){"callgraph.caller", c->source, 0, false};
    out[n++] = (loom_sink_attribute){"callgraph.sample", NULL, k->n, false};
    if (late) out[n++] = (loom_sink_attribute){"callgraph.arrived", NULL, c->arrived, false};
    if (c->rt < 0) out[n++] = (loom_sink_attribute){"callgraph.rt", NULL, c->rt, false};
    if (k->conf.synthetic) out[n++] = (loom_sink_attribute){"callgraph.synthetic", NULL, 0, true};
    return n;
}

bool loom_sink_begins_late(const loom_graph *g)
{
    int64_t first = g->calls[0].arrived;
    for (int32_t i = 1; i < g->n_calls; i++) first = loom_min_i64(first, g->calls[i].arrived);
    return first != 0;
}

const char *loom_sink_kind_name(loom_call_type type)
{
    loom_span_kind kind = loom_span_kind_of_call(type);
    return kind == LOOM_SPAN_CLIENT ? "client" : kind == LOOM_SPAN_CONSUMER ? "consumer" : "server";
}

int64_t loom_sink_base_ms(const loom_sink *k, const loom_graph *g)
{
    return k->conf.epoch_ms + g->time_of_day + k->n * k->conf.gap_ms;
}

void loom_sink_operation(loom_buf *into, const loom_call *c)
{
    loom_buf_reset(into);
    loom_buf_printf(into, "%s->%s", c->source, c->destination);
}

void loom_sink_parent_id(char text[17], const loom_span_ids *ids, const loom_graph *g, int32_t i)
{
    int32_t p = loom_graph_parent(g, i);
    text[0] = 0;
    if (p >= 0) loom_sink_span_id(text, ids, &g->calls[p]);
}

/* Fills k->process: one process for each service, named after its first call. */
static loom_status find_processes(loom_sink *k, const loom_graph *g, loom_err *err)
{
    loom_intern services = {0};
    size_t n = (size_t)g->n_calls;
    loom_status st = loom_grow(&k->process, &k->cap_process, 2 * n, sizeof *k->process, err);

    if (st != LOOM_OK) return st;
    int32_t *first = k->process + n; /* call of each service, in the second half */
    for (int32_t i = 0; i < g->n_calls; i++) {
        size_t known = services.n;
        int64_t id = loom_intern_add(&services, g->calls[i].destination, strlen(g->calls[i].destination));
        if (id < 0) {
            st = loom_fail_nomem(err, "the services of a graph");
            break;
        }
        if (services.n > known) first[id] = i;
        k->process[i] = first[id];
    }
    loom_intern_release(&services);
    return st;
}

/* Both formats count from 1970 and upwards; Jaeger's microseconds are numbers that JavaScript must hold. */
static loom_status check_times(const loom_sink *k, const loom_graph *g, loom_err *err)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        int64_t start = loom_sink_base_ms(k, g) + g->calls[i].arrived;
        if (start >= 0 && start + loom_max_i64(g->calls[i].rt, 0) <= LOOM_TIME_MAX_MS / 1000) continue;
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "graph %lld has a call at %lld ms since 1970, which spans cannot say (0 to %lld); choose another "
            "--epoch or --gap",
            (long long)k->n, (long long)start, (long long)LOOM_TIME_MAX_MS / 1000);
    }
    return LOOM_OK;
}

static void jaeger_tag(loom_jw *w, const loom_sink_attribute *a)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "key", a->key);
    loom_jw_kv_str(w, "type", a->text ? "string" : a->is_flag ? "bool" : "int64");
    loom_jw_key(w, "value");
    if (a->text) loom_jw_str(w, a->text);
    else if (a->is_flag) loom_jw_bool(w, true);
    else loom_jw_i64(w, a->number);
    loom_jw_end_object(w);
}

static void jaeger_span(loom_jw *w, const loom_sink *k, const loom_graph *g, int32_t i, const loom_span_ids *ids,
                        bool late, loom_buf *scratch)
{
    const loom_call *c = &g->calls[i];
    loom_sink_attribute a[LOOM_SINK_ATTRIBUTES];
    char id[17], parent[17], process[16];

    loom_sink_span_id(id, ids, c);
    loom_sink_parent_id(parent, ids, g, i);
    snprintf(process, sizeof process, "p%d", k->process[i] + 1);
    loom_sink_operation(scratch, c);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "traceID", ids->trace);
    loom_jw_kv_str(w, "spanID", id);
    loom_jw_kv_str(w, "operationName", scratch->data);
    loom_jw_key(w, "references");
    loom_jw_begin_array(w);
    if (parent[0]) {
        loom_jw_begin_object(w);
        loom_jw_kv_str(w, "refType", "CHILD_OF");
        loom_jw_kv_str(w, "traceID", ids->trace);
        loom_jw_kv_str(w, "spanID", parent);
        loom_jw_end_object(w);
    }
    loom_jw_end_array(w);
    loom_jw_kv_i64(w, "startTime", (loom_sink_base_ms(k, g) + c->arrived) * 1000);
    loom_jw_kv_i64(w, "duration", loom_max_i64(c->rt, 0) * 1000);
    loom_jw_key(w, "tags");
    loom_jw_begin_array(w);
    jaeger_tag(w, &(loom_sink_attribute){"span.kind", loom_sink_kind_name(c->type), 0, false});
    int n = loom_sink_call_attributes(a, k, g, c, late, scratch);
    for (int t = 0; t < n; t++) jaeger_tag(w, &a[t]);
    loom_jw_end_array(w);
    loom_jw_key(w, "logs");
    loom_jw_begin_array(w);
    loom_jw_end_array(w);
    loom_jw_kv_str(w, "processID", process);
    loom_jw_key(w, "warnings");
    loom_jw_null(w);
    loom_jw_end_object(w);
}

static void render_jaeger(loom_sink *k, const loom_graph *g)
{
    loom_buf scratch = {0};
    loom_span_ids ids = loom_sink_make_ids(k);
    bool late = loom_sink_begins_late(g);
    loom_jw jw, *w = &jw;

    if (k->n) loom_buf_str(&k->one, ",\n");
    loom_jw_init(w, &k->one, false);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "traceID", ids.trace);
    loom_jw_key(w, "spans");
    loom_jw_begin_array(w);
    for (int32_t i = 0; i < g->n_calls; i++) jaeger_span(w, k, g, i, &ids, late, &scratch);
    loom_jw_end_array(w);
    loom_jw_key(w, "processes");
    loom_jw_begin_object(w);
    for (int32_t i = 0; i < g->n_calls; i++) {
        char process[16];
        if (k->process[i] != i) continue;
        snprintf(process, sizeof process, "p%d", i + 1);
        loom_jw_key(w, process);
        loom_jw_begin_object(w);
        loom_jw_kv_str(w, "serviceName", g->calls[i].destination);
        loom_jw_key(w, "tags");
        loom_jw_begin_array(w);
        loom_jw_end_array(w);
        loom_jw_end_object(w);
    }
    loom_jw_end_object(w);
    loom_jw_key(w, "warnings");
    loom_jw_null(w);
    loom_jw_end_object(w);
    loom_buf_release(&scratch);
}

static void otlp_attribute(loom_jw *w, const loom_sink_attribute *a)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%lld", (long long)a->number);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "key", a->key);
    loom_jw_key(w, "value");
    loom_jw_begin_object(w);
    if (a->text) loom_jw_kv_str(w, "stringValue", a->text);
    else if (a->is_flag) loom_jw_kv_bool(w, "boolValue", true);
    else loom_jw_kv_str(w, "intValue", digits); /* 64-bit integers are strings */
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

static void otlp_time(loom_jw *w, const char *key, int64_t ms)
{
    char text[40];
    snprintf(text, sizeof text, "%lld000000", (long long)ms);
    loom_jw_kv_str(w, key, ms ? text : "0");
}

static void otlp_span(loom_jw *w, const loom_sink *k, const loom_graph *g, int32_t i, const loom_span_ids *ids,
                      bool late, loom_buf *scratch)
{
    const loom_call *c = &g->calls[i];
    loom_sink_attribute a[LOOM_SINK_ATTRIBUTES];
    char id[17], parent[17];
    int64_t start = loom_sink_base_ms(k, g) + c->arrived;

    loom_sink_span_id(id, ids, c);
    loom_sink_parent_id(parent, ids, g, i);
    loom_sink_operation(scratch, c);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "traceId", ids->trace);
    loom_jw_kv_str(w, "spanId", id);
    loom_jw_kv_str(w, "parentSpanId", parent);
    loom_jw_kv_str(w, "name", scratch->data);
    loom_jw_kv_i64(w, "kind", loom_span_kind_of_call(c->type));
    otlp_time(w, "startTimeUnixNano", start);
    otlp_time(w, "endTimeUnixNano", start + loom_max_i64(c->rt, 0));
    loom_jw_key(w, "attributes");
    loom_jw_begin_array(w);
    int n = loom_sink_call_attributes(a, k, g, c, late, scratch);
    for (int t = 0; t < n; t++) otlp_attribute(w, &a[t]);
    loom_jw_end_array(w);
    loom_jw_key(w, "status");
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "code", 0);
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

static void otlp_resource(loom_jw *w, const loom_sink *k, const loom_graph *g, int32_t first, const loom_span_ids *ids,
                          bool late, loom_buf *scratch)
{
    loom_jw_begin_object(w);
    loom_jw_key(w, "resource");
    loom_jw_begin_object(w);
    loom_jw_key(w, "attributes");
    loom_jw_begin_array(w);
    otlp_attribute(w, &(loom_sink_attribute){"service.name", g->calls[first].destination, 0, false});
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_jw_key(w, "scopeSpans");
    loom_jw_begin_array(w);
    loom_jw_begin_object(w);
    loom_jw_key(w, "scope");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "name", "spanloom");
    loom_jw_kv_str(w, "version", LOOM_VERSION);
    loom_jw_end_object(w);
    loom_jw_key(w, "spans");
    loom_jw_begin_array(w);
    for (int32_t i = first; i < g->n_calls; i++)
        if (k->process[i] == first) otlp_span(w, k, g, i, ids, late, scratch);
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_jw_end_array(w);
    loom_jw_end_object(w);
}

static void render_otlp(loom_sink *k, const loom_graph *g)
{
    loom_buf scratch = {0};
    loom_span_ids ids = loom_sink_make_ids(k);
    bool late = loom_sink_begins_late(g);
    loom_jw w;

    loom_jw_init(&w, &k->one, false);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "resourceSpans");
    loom_jw_begin_array(&w);
    for (int32_t i = 0; i < g->n_calls; i++)
        if (k->process[i] == i) otlp_resource(&w, k, g, i, &ids, late, &scratch);
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(&k->one, '\n');
    loom_buf_release(&scratch);
}

/* ---- files ---- */

static void render_head(loom_sink *k)
{
    if (k->conf.format == LOOM_FORMAT_CSV) loom_rows_render_header(&k->text);
    if (k->conf.format == LOOM_FORMAT_JAEGER) loom_buf_str(&k->text, "{\"data\":[\n");
    loom_sink_table_head(k);
}

static void render_tail(loom_sink *k)
{
    loom_sink_table_tail(k);
    if (k->conf.format == LOOM_FORMAT_JAEGER)
        loom_buf_str(&k->text, "\n],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}\n");
}

static loom_status open_sink(loom_sink **out, const char *path, loom_buf *into, const loom_sink_conf *conf,
                             loom_err *err)
{
    loom_sink *k = loom_calloc(1, sizeof *k);

    if (!k) return loom_fail_nomem(err, "an output file");
    k->conf = *conf;
    k->into = into;
    loom_status st = !path                             ? LOOM_OK
                     : conf->format == LOOM_FORMAT_NPY ? loom_npy_sink_open(&k->npy, path, conf->force, err)
                                                       : loom_out_open(&k->out, path, conf->force, err);
    if (st != LOOM_OK) {
        free(k);
        return st;
    }
    render_head(k);
    *out = k;
    return LOOM_OK;
}

loom_status loom_sink_open(loom_sink **out, const char *path, const loom_sink_conf *conf, loom_err *err)
{
    return open_sink(out, path, NULL, conf, err);
}

loom_status loom_sink_open_text(loom_sink **out, loom_buf *text, const loom_sink_conf *conf, loom_err *err)
{
    return open_sink(out, NULL, text, conf, err);
}

void loom_sink_set_epoch(loom_sink *k, int64_t epoch_ms) { k->conf.epoch_ms = epoch_ms; }

static loom_status flush(loom_sink *k, size_t least, loom_err *err)
{
    if (!k->text.len || (k->out && k->text.len < least)) return LOOM_OK;
    bool guard = k->conf.safe_csv && (k->conf.format == LOOM_FORMAT_CSV || k->conf.format == LOOM_FORMAT_FLAT);
    loom_buf_reset(&k->one);
    if (guard) loom_csv_guard(&k->one, k->text.data, k->text.len);
    const loom_buf *text = guard ? &k->one : &k->text;
    if (k->into) loom_buf_append(k->into, text->data, text->len);
    else LOOM_TRY(loom_out_write(k->out, text->data, text->len, err));
    loom_buf_reset(&k->text);
    return k->into ? loom_buf_check(k->into, "graphs", err) : LOOM_OK;
}

/* Names may hold any bytes, JSON may not. */
static loom_status put_spans(loom_sink *k, const loom_graph *g, loom_err *err)
{
    LOOM_TRY(check_times(k, g, err));
    LOOM_TRY(find_processes(k, g, err));
    loom_buf_reset(&k->one);
    if (k->conf.format == LOOM_FORMAT_JAEGER) render_jaeger(k, g);
    else if (k->conf.format == LOOM_FORMAT_OTLP) render_otlp(k, g);
    else if (k->conf.format == LOOM_FORMAT_ZIPKIN) loom_sink_zipkin(k, g);
    else loom_sink_chrome(k, g);
    loom_utf8_mend(k->one.data, k->one.len);
    loom_buf_append(&k->text, k->one.data, k->one.len);
    return LOOM_OK;
}

loom_status loom_sink_put(loom_sink *k, const loom_graph *g, loom_err *err)
{
    char trace[32];

    switch (k->conf.format) {
    case LOOM_FORMAT_RECORDS:
        if (k->conf.untimed) loom_record_render_untimed(&k->text, g);
        else loom_record_render(&k->text, g);
        loom_buf_char(&k->text, '\n');
        break;
    case LOOM_FORMAT_CSV:
        snprintf(trace, sizeof trace, "T_%011lld", (long long)k->n);
        loom_rows_render_graph(&k->text, g, trace, loom_sink_base_ms(k, g));
        break;
    case LOOM_FORMAT_GRAPHML: loom_sink_graphml(k, g); break;
    case LOOM_FORMAT_FLAT: loom_sink_flat(k, g); break;
    case LOOM_FORMAT_NPY: LOOM_TRY(loom_npy_sink_put(k->npy, g, err)); break;
    case LOOM_FORMAT_ZIPKIN:
    case LOOM_FORMAT_CHROME:
    case LOOM_FORMAT_JAEGER:
    case LOOM_FORMAT_OTLP: LOOM_TRY(put_spans(k, g, err)); break;
    default: loom_sink_dot(k, g); break;
    }
    k->n++;
    return flush(k, (size_t)1 << 16, err);
}

int64_t loom_sink_count(const loom_sink *k) { return k->n; }

loom_status loom_sink_commit(loom_sink **sink, const loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    loom_sink *k = *sink;

    render_tail(k);
    loom_status st = flush(k, 0, err);
    if (st == LOOM_OK && k->npy) st = loom_npy_sink_commit(&k->npy, meta, ctx, err);
    else if (st == LOOM_OK) st = loom_meta_commit(meta, ctx, &k->out, 1, meta != NULL, err);
    loom_sink_abandon(sink);
    return st;
}

loom_status loom_sink_finish_text(loom_sink **sink, loom_err *err)
{
    loom_sink *k = *sink;

    render_tail(k);
    loom_status st = flush(k, 0, err);
    loom_sink_abandon(sink);
    return st;
}

void loom_sink_abandon(loom_sink **sink)
{
    loom_sink *k = *sink;

    if (!k) return;
    loom_out_abandon(&k->out);
    loom_npy_sink_abandon(&k->npy);
    loom_buf_release(&k->text);
    loom_buf_release(&k->one);
    free(k->process);
    free(k);
    *sink = NULL;
}
