#include "readers/spans/span_doc.h"

#include "core/num.h"
#include "readers/spans/span_attributes.h"
#include "readers/spans/span_ids.h"

#define NS_PER_US 1000

void loom_span_doc_key(loom_span_doc *d, const char *key)
{
    if (d->depth < LOOM_SPAN_DOC_STEPS) d->path[d->depth] = (loom_json_step){.key = key};
    d->depth++;
}

void loom_span_doc_index(loom_span_doc *d, size_t index)
{
    if (d->depth < LOOM_SPAN_DOC_STEPS) d->path[d->depth] = (loom_json_step){.index = index};
    d->depth++;
}

void loom_span_doc_back(loom_span_doc *d) { d->depth--; }

static int64_t line_at_hand(const loom_span_doc *d)
{
    return d->line + loom_json_lines_before(d->text, d->len, d->path, (int)loom_min_i64(d->depth, LOOM_SPAN_DOC_STEPS));
}

loom_status loom_span_doc_left(loom_span_doc *d, loom_left kind, loom_err *err, const char *fmt, ...)
{
    loom_buf text = {0};
    loom_status st = LOOM_OK;
    bool first = d->s->left.n[kind] == 0;

    if (d->binary) loom_buf_printf(&text, "%s, byte %lld", d->name, (long long)d->byte);
    else if (first || d->s->strict) loom_buf_printf(&text, "%s:%lld", d->name, (long long)line_at_hand(d));
    if (d->s->strict) {
        va_list args;
        loom_buf_str(&text, ": ");
        va_start(args, fmt);
        loom_buf_vprintf(&text, fmt, args);
        va_end(args);
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s", text.data);
    } else {
        loom_left_add(&d->s->left, kind, loom_buf_text(&text));
    }
    loom_buf_release(&text);
    return st;
}

const char *loom_span_doc_keep(loom_span_doc *d, const char *text)
{
    return text ? loom_arena_strdup(&d->s->arena, text, strlen(text)) : "";
}

loom_span loom_span_empty(void)
{
    return (loom_span){.id = "",
                       .parent = "",
                       .service = "",
                       .operation = "",
                       .callee = "",
                       .type = LOOM_CALL_TYPES,
                       .edge_id = "",
                       .caller = "",
                       .service_id = "",
                       .arrived = LOOM_SPAN_UNTOLD,
                       .rt = LOOM_SPAN_UNTOLD};
}

loom_status loom_span_doc_begin(loom_span_doc *d, loom_span *span, bool *usable, const char *trace, const char *id,
                                loom_err *err)
{
    *span = loom_span_empty();
    d->s->met++;
    const char *number = loom_span_id(&d->s->arena, trace);
    span->id = loom_span_id(&d->s->arena, id);
    if (!span->id[0] && id && id[0]) span->id = "0";
    *usable = number[0] && span->id[0];
    if (!*usable)
        return loom_span_doc_left(d, LOOM_LEFT_NO_ID, err, "a span without %s", number[0] ? "a span id" : "a trace id");
    span->trace = loom_intern_add(&d->s->traces, number, strlen(number));
    if (span->trace < 0) return loom_fail_nomem(err, "spans");
    return loom_arena_check(&d->s->arena, "spans", err);
}

static bool times_can_be(const loom_span *span)
{
    return span->start >= 0 && span->end >= span->start && span->end <= LOOM_TIME_MAX_MS * NS_PER_US;
}

loom_status loom_span_doc_end(loom_span_doc *d, loom_span *span, loom_left fault, const char *why, loom_err *err)
{
    loom_spans *s = d->s;

    if (fault == LOOM_LEFT_KINDS && !times_can_be(span)) { /* a measurement, not a damaged record: never an error */
        fault = LOOM_LEFT_BAD_TIMES;
        bool strict = s->strict;
        s->strict = false;
        loom_span_doc_left(d, fault, NULL, "times");
        s->strict = strict;
    } else if (fault != LOOM_LEFT_KINDS) {
        LOOM_TRY(loom_span_doc_left(d, fault, err, "span %s %s", span->id, why));
    }
    span->lost = fault != LOOM_LEFT_KINDS;
    loom_span_settle(span);
    LOOM_TRY(loom_grow(&s->items, &s->cap, (size_t)s->n + 1, sizeof *s->items, err));
    s->items[s->n++] = *span;
    return LOOM_OK;
}

const loom_json *loom_span_doc_either(const loom_json *object, const char *camel, const char *snake)
{
    const loom_json *found = loom_json_get(object, camel);
    return found ? found : loom_json_get(object, snake);
}

const char *loom_span_doc_text(const loom_json *object, const char *camel, const char *snake)
{
    return loom_json_str(loom_span_doc_either(object, camel, snake), NULL);
}

bool loom_span_doc_whole(const loom_json *n, int64_t *out)
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

bool loom_span_doc_us(const loom_json *n, int64_t *ns)
{
    int64_t us;

    if (loom_json_is_number(n) && !loom_json_is_int(n)) {
        double v = loom_json_f64(n, 0);
        bool can_be = v >= -(double)LOOM_TIME_MAX_MS && v <= (double)LOOM_TIME_MAX_MS;
        *ns = can_be ? (int64_t)(v * NS_PER_US) : INT64_MAX;
        return true;
    }
    if (!loom_span_doc_whole(n, &us)) return false;
    *ns = us >= -LOOM_TIME_MAX_MS && us <= LOOM_TIME_MAX_MS ? us * NS_PER_US : INT64_MAX;
    return true;
}

void loom_span_doc_attribute(loom_span_doc *d, loom_span *span, const char *key, const loom_json *value)
{
    const char *text = loom_json_str(value, NULL);
    char digits[24];
    int64_t v;

    if (!key) return;
    if (!text && loom_span_doc_whole(value, &v)) {
        snprintf(digits, sizeof digits, "%lld", (long long)v);
        text = digits;
    }
    if (!text && loom_json_is_bool(value)) text = loom_json_bool(value, false) ? "true" : "false";
    if (text) loom_span_attribute(span, key, text, &d->s->arena);
}
