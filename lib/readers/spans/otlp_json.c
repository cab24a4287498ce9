/* OTLP/JSON: resources of scopes of spans, as collectors and SDKs write them. Keys in camelCase or snake_case, ids in
 * hexadecimal or base64, numbers as numbers or strings, kinds as numbers or names. */
#include "readers/spans/span_attributes.h"
#include "readers/spans/span_doc.h"
#include "readers/spans/span_ids.h"

static const loom_json *any_value(const loom_json *attribute)
{
    static const char *const kinds[][2] = {{"stringValue", "string_value"},
                                           {"intValue", "int_value"},
                                           {"doubleValue", "double_value"},
                                           {"boolValue", "bool_value"}};
    const loom_json *value = loom_json_get(attribute, "value");

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const loom_json *found = loom_span_doc_either(value, kinds[i][0], kinds[i][1]);
        if (found) return found;
    }
    return NULL;
}

static const char *service_of(const loom_json *resource)
{
    const loom_json *list = loom_json_get(loom_json_get(resource, "resource"), "attributes");

    for (size_t i = 0; i < loom_json_len(list); i++) {
        const char *key = loom_json_str(loom_json_get(loom_json_at(list, i), "key"), NULL);
        if (key && strcmp(key, "service.name") == 0) return loom_json_str(any_value(loom_json_at(list, i)), NULL);
    }
    return NULL;
}

static loom_span_kind kind_of(const loom_json *node)
{
    int64_t number = loom_json_i64(node, LOOM_SPAN_OTHER);

    if (loom_json_is_string(node)) return loom_span_kind_of(loom_json_str(node, NULL));
    return number >= LOOM_SPAN_INTERNAL && number <= LOOM_SPAN_CONSUMER ? (loom_span_kind)number : LOOM_SPAN_OTHER;
}

/* An end of 0 is none: the field was never set. */
static loom_left otlp_times(loom_span *span, const loom_json *node)
{
    const loom_json *start = loom_span_doc_either(node, "startTimeUnixNano", "start_time_unix_nano");
    const loom_json *end = loom_span_doc_either(node, "endTimeUnixNano", "end_time_unix_nano");

    if (!loom_span_doc_whole(start, &span->start)) return LOOM_LEFT_NO_START;
    if (!loom_span_doc_whole(end, &span->end) || (span->end == 0 && span->start > 0)) return LOOM_LEFT_NO_END;
    return LOOM_LEFT_KINDS;
}

static loom_status otlp_span(loom_span_doc *d, const loom_json *node, const char *service, loom_err *err)
{
    const loom_json *attributes = loom_json_get(node, "attributes");
    loom_span span;
    bool usable;

    LOOM_TRY(loom_span_doc_begin(d, &span, &usable, loom_span_doc_text(node, "traceId", "trace_id"),
                                 loom_span_doc_text(node, "spanId", "span_id"), err));
    if (!usable) return LOOM_OK;
    span.parent = loom_span_id(&d->s->arena, loom_span_doc_text(node, "parentSpanId", "parent_span_id"));
    span.kind = kind_of(loom_json_get(node, "kind"));
    span.service = loom_span_doc_keep(d, service ? service : "unknown_service");
    span.operation = loom_span_doc_keep(d, loom_json_str(loom_json_get(node, "name"), NULL));
    d->s->unnamed += !service;
    d->s->links += (int64_t)loom_json_len(loom_json_get(node, "links"));
    for (size_t i = 0; i < loom_json_len(attributes); i++) {
        const loom_json *a = loom_json_at(attributes, i);
        loom_span_doc_attribute(d, &span, loom_json_str(loom_json_get(a, "key"), NULL), any_value(a));
    }
    loom_left fault = otlp_times(&span, node);
    return loom_span_doc_end(
        d, &span, fault,
        fault == LOOM_LEFT_NO_START ? "has no start (startTimeUnixNano)" : "has no end (endTimeUnixNano)", err);
}

static loom_status otlp_scope(loom_span_doc *d, const loom_json *scope, const char *service, loom_err *err)
{
    const loom_json *spans = loom_json_get(scope, "spans");

    loom_span_doc_key(d, "spans");
    for (size_t i = 0; i < loom_json_len(spans); i++) {
        loom_span_doc_index(d, i);
        LOOM_TRY(otlp_span(d, loom_json_at(spans, i), service, err));
        loom_span_doc_back(d);
    }
    loom_span_doc_back(d);
    return LOOM_OK;
}

loom_status loom_otlp_resource(loom_span_doc *d, const loom_json *resource, loom_err *err)
{
    static const char *const keys[] = {"scopeSpans", "scope_spans", "instrumentationLibrarySpans",
                                       "instrumentation_library_spans"}; /* before 0.16 */
    const char *service = service_of(resource);

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const loom_json *scopes = loom_json_get(resource, keys[k]);
        loom_span_doc_key(d, keys[k]);
        for (size_t i = 0; i < loom_json_len(scopes); i++) {
            loom_span_doc_index(d, i);
            LOOM_TRY(otlp_scope(d, loom_json_at(scopes, i), service, err));
            loom_span_doc_back(d);
        }
        loom_span_doc_back(d);
    }
    return LOOM_OK;
}
