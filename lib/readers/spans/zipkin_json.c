/* Zipkin v2: spans alone, each with its service. The two sides of a call may share a span id (span_tree.c). */
#include "readers/spans/span_attributes.h"
#include "readers/spans/span_doc.h"
#include "readers/spans/span_ids.h"

static loom_left zipkin_times(loom_span *span, const loom_json *node)
{
    int64_t duration;

    if (!loom_span_doc_us(loom_json_get(node, "timestamp"), &span->start)) return LOOM_LEFT_NO_START;
    if (!loom_span_doc_us(loom_json_get(node, "duration"), &duration)) return LOOM_LEFT_NO_END;
    bool small = span->start >= 0 && span->start < INT64_MAX && duration >= 0 && duration < INT64_MAX;
    if (!small || __builtin_add_overflow(span->start, duration, &span->end)) span->end = -1;
    return LOOM_LEFT_KINDS;
}

static void remote(loom_span_doc *d, loom_span *span, const loom_json *endpoint)
{
    const char *service = loom_json_str(loom_json_get(endpoint, "serviceName"), NULL);

    if (service && service[0]) loom_span_attribute(span, "peer.service", service, &d->s->arena);
    loom_span_doc_attribute(d, span, "peer.ipv4", loom_json_get(endpoint, "ipv4"));
    loom_span_doc_attribute(d, span, "peer.ipv6", loom_json_get(endpoint, "ipv6"));
}

loom_status loom_zipkin_span(loom_span_doc *d, const loom_json *node, loom_err *err)
{
    const loom_json *tags = loom_json_get(node, "tags");
    const char *service = loom_json_str(loom_json_get(loom_json_get(node, "localEndpoint"), "serviceName"), NULL);
    loom_span span;
    bool usable;

    LOOM_TRY(loom_span_doc_begin(d, &span, &usable, loom_json_str(loom_json_get(node, "traceId"), NULL),
                                 loom_json_str(loom_json_get(node, "id"), NULL), err));
    if (!usable) return LOOM_OK;
    span.parent = loom_span_id(&d->s->arena, loom_json_str(loom_json_get(node, "parentId"), NULL));
    span.kind = loom_span_kind_of(loom_json_str(loom_json_get(node, "kind"), NULL));
    span.service = loom_span_doc_keep(d, service);
    span.operation = loom_span_doc_keep(d, loom_json_str(loom_json_get(node, "name"), NULL));
    remote(d, &span, loom_json_get(node, "remoteEndpoint"));
    for (void *it = loom_json_iter(tags); it; it = loom_json_iter_next(tags, it))
        loom_span_doc_attribute(d, &span, loom_json_iter_key(it), loom_json_iter_value(it));
    loom_left fault = zipkin_times(&span, node);
    const char *why = fault == LOOM_LEFT_NO_START ? "has no start (timestamp)" : "has no end (duration)";
    if (!service || !service[0]) fault = LOOM_LEFT_NO_SERVICE, why = "has no localEndpoint.serviceName";
    return loom_span_doc_end(d, &span, fault, why, err);
}
