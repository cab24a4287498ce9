/* Reading Jaeger and OTLP documents into spans. */
#include <stdlib.h>

#include "core/num.h"
#include "readers/spans.h"

static const char *keep(loom_spans *s, const char *text)
{
    return text ? loom_arena_strdup(&s->arena, text, strlen(text)) : "";
}

/* Numbers come as numbers or, in OTLP, as decimal strings. */
static bool whole_number(const loom_json *n, int64_t *out)
{
    size_t len = 0;
    const char *text = loom_json_str(n, &len);

    if (text) return loom_parse_i64(text, len, out);
    if (!loom_json_is_number(n)) return false;
    double v = loom_json_f64(n, 0);
    if (loom_json_is_int(n)) *out = loom_json_i64(n, 0);
    else if (v >= -9e15 && v <= 9e15) *out = (int64_t)v;
    else return false;
    return true;
}

static loom_status add_span(loom_spans *s, loom_span *span, loom_err *err)
{
    bool outgoing = span->kind == LOOM_SPAN_CLIENT || span->kind == LOOM_SPAN_PRODUCER;
    bool incoming = span->kind == LOOM_SPAN_SERVER || span->kind == LOOM_SPAN_CONSUMER;

    if (outgoing && !span->callee[0]) span->callee = span->host;
    if (incoming) span->callee = "";
    LOOM_TRY(loom_grow(&s->items, &s->cap, (size_t)s->n + 1, sizeof *s->items, err));
    s->items[s->n++] = *span;
    return LOOM_OK;
}

/* ---- attributes ---- */

/* Times in microseconds that a calendar has; a span with others is counted and left out. */
static bool times_can_be(loom_spans *s, int64_t start, int64_t end)
{
    if (start >= 0 && end >= start && end <= LOOM_TIME_MAX_MS) return true;
    s->bad_times++;
    return false;
}

static loom_span empty_span(void)
{
    return (loom_span){.callee = "", .host = "", .type = LOOM_CALL_TYPES, .edge_id = "", .caller = "", .service_id = "",
                       .arrived = LOOM_SPAN_UNTOLD, .rt = LOOM_SPAN_UNTOLD};
}

static void take_ms(int64_t *out, const char *text)
{
    int64_t v;
    if (loom_parse_i64(text, strlen(text), &v) && v >= -LOOM_TIME_MAX_MS && v <= LOOM_TIME_MAX_MS) *out = v;
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0) return true;
    return false;
}

/* "http://host:8080/path" -> "host" */
static const char *host_of(loom_spans *s, const char *url)
{
    const char *from = strstr(url, "://");
    if (!from) return "";
    from += 3;
    return loom_arena_strdup(&s->arena, from, strcspn(from, ":/?#"));
}

static void hint_type(loom_span *span, loom_call_type type)
{
    if (span->type == LOOM_CALL_TYPES) span->type = type;
}

static void db_attribute(loom_spans *s, loom_span *span, const char *system)
{
    static const char *const caches[] = {"redis", "memcached", "memcache", "valkey", NULL};

    span->type = is_one_of(system, caches) ? LOOM_CALL_MC : LOOM_CALL_DB;
    if (!span->callee[0]) span->callee = keep(s, system);
}

/* Explicit attributes of ours win over hints; callees by name win over hosts. */
static void take_attribute(loom_spans *s, loom_span *span, const char *key, const char *text)
{
    static const char *const peers[] = {"peer.service", "callgraph.callee", NULL};
    static const char *const hosts[] = {"server.address", "net.peer.name", "peer.hostname", NULL};
    static const char *const urls[] = {"http.url", "url.full", NULL};
    static const char *const services[] = {"callgraph.service_id", "alibaba.service", NULL};

    if (strcmp(key, "callgraph.edge_id") == 0) span->edge_id = keep(s, text);
    else if (strcmp(key, "callgraph.caller") == 0) span->caller = keep(s, text);
    else if (strcmp(key, "callgraph.arrived") == 0) take_ms(&span->arrived, text);
    else if (strcmp(key, "callgraph.rt") == 0) take_ms(&span->rt, text);
    else if (is_one_of(key, services)) span->service_id = keep(s, text);
    else if (strcmp(key, "callgraph.type") == 0) span->type = loom_call_type_of(text, strlen(text));
    else if (is_one_of(key, peers)) span->callee = keep(s, text);
    else if (is_one_of(key, hosts)) span->host = keep(s, text);
    else if (is_one_of(key, urls)) {
        if (!span->host[0]) span->host = host_of(s, text);
        hint_type(span, LOOM_CALL_HTTP);
    } else if (strncmp(key, "http.", 5) == 0) {
        hint_type(span, LOOM_CALL_HTTP);
    } else if (strcmp(key, "db.system") == 0 || strcmp(key, "db.type") == 0) {
        db_attribute(s, span, text);
    } else if (strcmp(key, "messaging.system") == 0) {
        span->type = LOOM_CALL_MQ;
    } else if (strcmp(key, "rpc.system") == 0) {
        loom_call_type type = loom_call_type_of(text, strlen(text));
        span->type = type == LOOM_CALL_TYPES ? LOOM_CALL_RPC : type;
    } else if (strcmp(key, "component") == 0 && strcmp(text, "gRPC") == 0) {
        hint_type(span, LOOM_CALL_RPC);
    }
}

static void take_value(loom_spans *s, loom_span *span, const char *key, const loom_json *value)
{
    const char *text = loom_json_str(value, NULL);
    char digits[24];
    int64_t v;

    if (!text && whole_number(value, &v)) {
        snprintf(digits, sizeof digits, "%lld", (long long)v);
        text = digits;
    }
    if (text) take_attribute(s, span, key, text);
}

/* ---- Jaeger ---- */

static loom_span_kind kind_by_name(const char *name)
{
    static const char *const names[] = {"", "internal", "server", "client", "producer", "consumer"};
    for (int i = 1; i <= LOOM_SPAN_CONSUMER; i++)
        if (name && strcmp(name, names[i]) == 0) return (loom_span_kind)i;
    return LOOM_SPAN_OTHER;
}

static const char *jaeger_parent(const loom_json *span)
{
    const loom_json *refs = loom_json_get(span, "references");
    const char *parent = loom_json_str(loom_json_get(span, "parentSpanID"), NULL);

    for (size_t i = 0; i < loom_json_len(refs); i++) {
        const loom_json *r = loom_json_at(refs, i);
        const char *type = loom_json_str(loom_json_get(r, "refType"), NULL);
        const char *id = loom_json_str(loom_json_get(r, "spanID"), NULL);
        if (id && type && strcmp(type, "CHILD_OF") == 0) return id;
        if (id && !parent) parent = id;
    }
    return parent;
}

static loom_status jaeger_span(loom_spans *s, const loom_json *node, const loom_json *processes, loom_err *err)
{
    loom_span span = empty_span();
    const char *trace = NULL, *id = NULL, *process = NULL;
    const loom_json *tags = loom_json_get(node, "tags");
    int64_t duration = 0;

    LOOM_TRY(loom_json_need_str(node, "traceID", &trace, err));
    LOOM_TRY(loom_json_need_str(node, "spanID", &id, err));
    LOOM_TRY(loom_json_need_str(node, "processID", &process, err));
    if (!whole_number(loom_json_get(node, "startTime"), &span.start) ||
        !whole_number(loom_json_get(node, "duration"), &duration))
        return loom_fail(err, LOOM_STATUS_FORMAT, "span %s has no startTime and duration in microseconds", id);
    const char *service = loom_json_str(loom_json_get(loom_json_get(processes, process), "serviceName"), NULL);
    if (!service)
        return loom_fail(err, LOOM_STATUS_FORMAT, "span %s names process %s, which has no serviceName", id, process);
    bool small = span.start <= LOOM_TIME_MAX_MS && duration <= LOOM_TIME_MAX_MS && duration >= 0;
    span.end = small ? span.start + duration : -1;
    if (!times_can_be(s, span.start, span.end)) return LOOM_OK;
    span.trace = loom_intern_add(&s->traces, trace, strlen(trace));
    span.id = keep(s, id);
    span.parent = keep(s, jaeger_parent(node));
    span.service = keep(s, service);
    span.operation = keep(s, loom_json_str(loom_json_get(node, "operationName"), NULL));
    for (size_t i = 0; i < loom_json_len(tags); i++) {
        const loom_json *tag = loom_json_at(tags, i);
        const char *key = loom_json_str(loom_json_get(tag, "key"), NULL);
        if (!key) continue;
        if (strcmp(key, "span.kind") == 0) span.kind = kind_by_name(loom_json_str(loom_json_get(tag, "value"), NULL));
        else take_value(s, &span, key, loom_json_get(tag, "value"));
    }
    return add_span(s, &span, err);
}

static loom_status jaeger_trace(loom_spans *s, const loom_json *trace, loom_err *err)
{
    const loom_json *spans = loom_json_get(trace, "spans"), *processes = loom_json_get(trace, "processes");

    if (!loom_json_is_array(spans) || !loom_json_is_object(processes))
        return loom_fail(err, LOOM_STATUS_FORMAT, "a Jaeger trace without \"spans\" and \"processes\"");
    for (size_t i = 0; i < loom_json_len(spans); i++) LOOM_TRY(jaeger_span(s, loom_json_at(spans, i), processes, err));
    return LOOM_OK;
}

/* ---- OTLP ---- */

static const loom_json *any_value(const loom_json *attribute)
{
    static const char *const kinds[] = {"stringValue", "intValue", "doubleValue", NULL};
    const loom_json *value = loom_json_get(attribute, "value");

    for (int i = 0; kinds[i]; i++)
        if (loom_json_get(value, kinds[i])) return loom_json_get(value, kinds[i]);
    return NULL;
}

static const char *otlp_attribute(const loom_json *list, const char *key)
{
    for (size_t i = 0; i < loom_json_len(list); i++) {
        const char *name = loom_json_str(loom_json_get(loom_json_at(list, i), "key"), NULL);
        if (name && strcmp(name, key) == 0) return loom_json_str(any_value(loom_json_at(list, i)), NULL);
    }
    return NULL;
}

static loom_status otlp_span(loom_spans *s, const loom_json *node, const char *service, loom_err *err)
{
    loom_span span = empty_span();
    const loom_json *attributes = loom_json_get(node, "attributes");
    const char *trace = NULL, *id = NULL;
    int64_t kind = loom_json_i64(loom_json_get(node, "kind"), 0);

    LOOM_TRY(loom_json_need_str(node, "traceId", &trace, err));
    LOOM_TRY(loom_json_need_str(node, "spanId", &id, err));
    if (!whole_number(loom_json_get(node, "startTimeUnixNano"), &span.start) ||
        !whole_number(loom_json_get(node, "endTimeUnixNano"), &span.end))
        return loom_fail(err, LOOM_STATUS_FORMAT, "span %s has no startTimeUnixNano and endTimeUnixNano", id);
    span.start = span.start < 0 ? -1 : span.start / 1000;
    span.end /= 1000;
    if (!times_can_be(s, span.start, span.end)) return LOOM_OK;
    span.kind = kind >= 1 && kind <= LOOM_SPAN_CONSUMER ? (loom_span_kind)kind : LOOM_SPAN_OTHER;
    span.trace = loom_intern_add(&s->traces, trace, strlen(trace));
    span.id = keep(s, id);
    span.parent = keep(s, loom_json_str(loom_json_get(node, "parentSpanId"), NULL));
    span.service = keep(s, service);
    span.operation = keep(s, loom_json_str(loom_json_get(node, "name"), NULL));
    for (size_t i = 0; i < loom_json_len(attributes); i++) {
        const char *key = loom_json_str(loom_json_get(loom_json_at(attributes, i), "key"), NULL);
        if (key) take_value(s, &span, key, any_value(loom_json_at(attributes, i)));
    }
    return add_span(s, &span, err);
}

static loom_status otlp_resource(loom_spans *s, const loom_json *resource, loom_err *err)
{
    const char *service =
        otlp_attribute(loom_json_get(loom_json_get(resource, "resource"), "attributes"), "service.name");
    const loom_json *scopes = loom_json_get(resource, "scopeSpans");

    if (!scopes) scopes = loom_json_get(resource, "instrumentationLibrarySpans"); /* before OTLP 0.16 */
    for (size_t i = 0; i < loom_json_len(scopes); i++) {
        const loom_json *spans = loom_json_get(loom_json_at(scopes, i), "spans");
        for (size_t j = 0; j < loom_json_len(spans); j++)
            LOOM_TRY(otlp_span(s, loom_json_at(spans, j), service ? service : "unknown_service", err));
    }
    return LOOM_OK;
}

/* ---- documents ---- */

static loom_status add_document(loom_spans *s, const loom_json *root, loom_err *err)
{
    const loom_json *data = loom_json_get(root, "data"), *resources = loom_json_get(root, "resourceSpans");

    if (loom_json_is_array(resources)) {
        for (size_t i = 0; i < loom_json_len(resources); i++)
            LOOM_TRY(otlp_resource(s, loom_json_at(resources, i), err));
        return LOOM_OK;
    }
    if (loom_json_is_array(data)) {
        for (size_t i = 0; i < loom_json_len(data); i++) LOOM_TRY(jaeger_trace(s, loom_json_at(data, i), err));
        return LOOM_OK;
    }
    if (loom_json_get(root, "spans") && loom_json_get(root, "processes")) return jaeger_trace(s, root, err);
    return loom_fail(err, LOOM_STATUS_FORMAT, "neither Jaeger JSON (\"data\") nor OTLP/JSON (\"resourceSpans\")");
}

loom_status loom_spans_add_json(loom_spans *s, const loom_json *root, const char *name, loom_err *err)
{
    loom_status st = LOOM_OK;

    if (loom_json_is_array(root))
        for (size_t i = 0; st == LOOM_OK && i < loom_json_len(root); i++)
            st = add_document(s, loom_json_at(root, i), err);
    else
        st = add_document(s, root, err);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "%s", name);
}

void loom_spans_release(loom_spans *s)
{
    free(s->items);
    loom_intern_release(&s->traces);
    loom_arena_release(&s->arena);
    *s = (loom_spans){0};
}
