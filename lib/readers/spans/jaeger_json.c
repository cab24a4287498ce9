/* Jaeger: traces of spans and processes, as the UI and the query service write them; single spans with their process
 * inside, as its stores keep them. */
#include "readers/spans/span_attributes.h"
#include "readers/spans/span_doc.h"
#include "readers/spans/span_ids.h"

/* References in order of worth: a parent in this trace, the deprecated field, what the span follows. A reference to
 * another trace is a link, and so is every further one. */
static const char *jaeger_parent(loom_span_doc *d, const loom_json *node, const loom_span *span)
{
    const loom_json *refs = loom_json_get(node, "references");
    const char *own = loom_intern_text(&d->s->traces, span->trace), *best = "";
    bool child = false;

    for (size_t i = 0; i < loom_json_len(refs); i++) {
        const loom_json *r = loom_json_at(refs, i);
        const char *type = loom_json_str(loom_json_get(r, "refType"), NULL);
        const char *trace = loom_span_id(&d->s->arena, loom_json_str(loom_json_get(r, "traceID"), NULL));
        const char *id = loom_span_id(&d->s->arena, loom_json_str(loom_json_get(r, "spanID"), NULL));
        bool is_child = type && strcmp(type, "CHILD_OF") == 0;
        if (!id[0]) continue;
        bool elsewhere = trace[0] && strcmp(trace, own) != 0;
        bool better = !elsewhere && (!best[0] || (is_child && !child));
        d->s->links += elsewhere || best[0];
        if (!better) continue;
        best = id;
        child = is_child;
    }
    const char *field = loom_span_id(&d->s->arena, loom_json_str(loom_json_get(node, "parentSpanID"), NULL));
    return field[0] && !child ? field : best;
}

static loom_left jaeger_times(loom_span *span, const loom_json *node)
{
    int64_t duration;

    if (!loom_span_doc_us(loom_json_get(node, "startTime"), &span->start)) return LOOM_LEFT_NO_START;
    if (!loom_span_doc_us(loom_json_get(node, "duration"), &duration)) return LOOM_LEFT_NO_END;
    bool small = span->start >= 0 && span->start < INT64_MAX && duration >= 0 && duration < INT64_MAX;
    if (!small || __builtin_add_overflow(span->start, duration, &span->end)) span->end = -1;
    return LOOM_LEFT_KINDS;
}

static void jaeger_tags(loom_span_doc *d, loom_span *span, const loom_json *tags)
{
    for (size_t i = 0; i < loom_json_len(tags); i++) {
        const loom_json *tag = loom_json_at(tags, i), *value = loom_json_get(tag, "value");
        const char *key = loom_json_str(loom_json_get(tag, "key"), NULL);
        if (key && strcmp(key, "span.kind") == 0) span->kind = loom_span_kind_of(loom_json_str(value, NULL));
        else loom_span_doc_attribute(d, span, key, value);
    }
}

loom_status loom_jaeger_span(loom_span_doc *d, const loom_json *node, const loom_json *processes, loom_err *err)
{
    const char *id = loom_json_str(loom_json_get(node, "processID"), NULL);
    const loom_json *process = id ? loom_json_get(processes, id) : loom_json_get(node, "process");
    const char *service = loom_json_str(loom_json_get(process, "serviceName"), NULL), *why = "has no start (startTime)";
    loom_span span;
    bool usable;

    LOOM_TRY(loom_span_doc_begin(d, &span, &usable, loom_json_str(loom_json_get(node, "traceID"), NULL),
                                 loom_json_str(loom_json_get(node, "spanID"), NULL), err));
    if (!usable) return LOOM_OK;
    span.parent = jaeger_parent(d, node, &span);
    span.service = loom_span_doc_keep(d, service);
    span.operation = loom_span_doc_keep(d, loom_json_str(loom_json_get(node, "operationName"), NULL));
    loom_left fault = jaeger_times(&span, node);
    if (fault == LOOM_LEFT_NO_END) why = "has no end (duration)";
    if (!service) fault = LOOM_LEFT_NO_SERVICE, why = "names a process that has no serviceName, or none";
    jaeger_tags(d, &span, loom_json_get(node, "tags"));
    return loom_span_doc_end(d, &span, fault, why, err);
}

loom_status loom_jaeger_trace(loom_span_doc *d, const loom_json *trace, loom_err *err)
{
    const loom_json *spans = loom_json_get(trace, "spans"), *processes = loom_json_get(trace, "processes");

    if (!loom_json_is_array(spans))
        return loom_span_doc_left(d, LOOM_LEFT_BAD_TRACE, err, "a Jaeger trace without \"spans\" and \"processes\"");
    loom_span_doc_key(d, "spans");
    for (size_t i = 0; i < loom_json_len(spans); i++) {
        loom_span_doc_index(d, i);
        LOOM_TRY(loom_jaeger_span(d, loom_json_at(spans, i), processes, err));
        loom_span_doc_back(d);
    }
    loom_span_doc_back(d);
    return LOOM_OK;
}
