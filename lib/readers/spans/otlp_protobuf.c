/* OTLP in protobuf (opentelemetry-proto, trace.proto): TracesData or ExportTraceServiceRequest, alone, one behind the
 * other, or each with its length in front (four bytes, the greatest first), as collectors write files. The same spans
 * as OTLP/JSON give the same graphs: what a field means is said in otlp_json.c. */
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "readers/spans/protobuf.h"
#include "readers/spans/span_attributes.h"
#include "readers/spans/span_doc.h"
#include "readers/spans/span_ids.h"

/* Numbers of the fields. */
enum { RESOURCE_SPANS = 1 };
enum { RESOURCE = 1, SCOPE_SPANS = 2, LIBRARY_SPANS = 1000 }; /* the last before version 0.16 */
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SPANS = 2 };
enum {
    TRACE_ID = 1,
    SPAN_ID = 2,
    PARENT_SPAN_ID = 4,
    NAME = 5,
    KIND = 6,
    START = 7,
    END = 8,
    ATTRIBUTES = 9,
    LINKS = 13
};
enum { KEY = 1, VALUE = 2 };
enum { STRING = 1, BOOL = 2, INT = 3, DOUBLE = 4 };

typedef struct pb_reader {
    loom_span_doc d;
    const unsigned char *file; /* where byte 0 is */
    loom_buf scratch;
} pb_reader;

/* Where in the file the next complaint is. */
static void stand_at(pb_reader *r, const unsigned char *at) { r->d.byte = at - r->file; }

static loom_status damaged(pb_reader *r, const unsigned char *at, const char *what, loom_err *err)
{
    stand_at(r, at);
    return loom_span_doc_left(&r->d, LOOM_LEFT_NOT_PROTOBUF, err, "%s is cut short or damaged, or no OTLP", what);
}

/* ---- values ---- */

static const char *text_of(pb_reader *r, const loom_pb_field *f)
{
    return loom_arena_strdup(&r->d.s->arena, (const char *)f->bytes, f->len);
}

/* Bytes as hexadecimal; NULL: none. */
static const char *id_of(pb_reader *r, const loom_pb_field *f)
{
    loom_buf_reset(&r->scratch);
    for (size_t i = 0; i < f->len; i++) loom_buf_printf(&r->scratch, "%02x", f->bytes[i]);
    return f->len ? loom_buf_text(&r->scratch) : NULL;
}

/* An AnyValue as the text that attributes are judged by; NULL: an array, a list, bytes, nothing. */
static const char *value_of(pb_reader *r, const loom_pb_field *value, bool *names)
{
    loom_pb m = loom_pb_of(value->bytes, value->len);
    const char *text = NULL;
    char digits[32];

    *names = false;
    for (loom_pb_field f; loom_pb_next(&m, &f);) {
        digits[0] = 0;
        if (f.number == STRING && f.type == LOOM_PB_BYTES) {
            text = text_of(r, &f);
            *names = true;
            continue;
        }
        if (f.number == BOOL && f.type == LOOM_PB_VARINT)
            snprintf(digits, sizeof digits, "%s", f.value ? "true" : "false");
        if (f.number == INT && f.type == LOOM_PB_VARINT) snprintf(digits, sizeof digits, "%lld", (long long)f.value);
        if (f.number == DOUBLE && f.type == LOOM_PB_FIXED64) {
            double v;
            memcpy(&v, &f.value, sizeof v);
            if (fabs(v) <= 9e15) snprintf(digits, sizeof digits, "%lld", (long long)v);
        }
        if (!digits[0]) continue;
        text = loom_arena_strdup(&r->d.s->arena, digits, strlen(digits));
        *names = f.number == INT;
    }
    return m.bad ? NULL : text;
}

typedef struct pb_pair {
    const char *key, *value; /* NULL: not there */
    bool names;              /* the value may name a service: whole numbers are texts in JSON, and so do they here */
} pb_pair;

static pb_pair pair_of(pb_reader *r, const loom_pb_field *attribute)
{
    loom_pb m = loom_pb_of(attribute->bytes, attribute->len);
    pb_pair p = {0};

    for (loom_pb_field f; loom_pb_next(&m, &f);) {
        if (f.number == KEY && f.type == LOOM_PB_BYTES) p.key = text_of(r, &f);
        if (f.number == VALUE && f.type == LOOM_PB_BYTES) p.value = value_of(r, &f, &p.names);
    }
    if (m.bad) p = (pb_pair){0};
    return p;
}

/* ---- spans ---- */

/* What is gathered before the ids are known, since fields come in any order. */
typedef struct pb_span {
    const char *trace, *id, *parent, *name;
    uint64_t start, end, kind;
    bool has_start, has_end;
    int64_t links;
} pb_span;

/* A field of a type that it cannot have: the message is of another kind. */
static bool is_odd(const loom_pb_field *f)
{
    switch (f->number) {
    case TRACE_ID:
    case SPAN_ID:
    case PARENT_SPAN_ID:
    case NAME:
    case ATTRIBUTES:
    case LINKS: return f->type != LOOM_PB_BYTES;
    case KIND: return f->type != LOOM_PB_VARINT;
    case START:
    case END: return f->type != LOOM_PB_FIXED64;
    default: return false;
    }
}

static const char *keep_id(pb_reader *r, const loom_pb_field *f) { return loom_span_doc_keep(&r->d, id_of(r, f)); }

static bool gather(pb_reader *r, pb_span *s, const loom_pb_field *message)
{
    loom_pb m = loom_pb_of(message->bytes, message->len);

    for (loom_pb_field f; loom_pb_next(&m, &f);) {
        if (is_odd(&f)) return false;
        switch (f.number) {
        case TRACE_ID: s->trace = keep_id(r, &f); break;
        case SPAN_ID: s->id = keep_id(r, &f); break;
        case PARENT_SPAN_ID: s->parent = keep_id(r, &f); break;
        case NAME: s->name = text_of(r, &f); break;
        case KIND: s->kind = f.value; break;
        case START: s->start = f.value, s->has_start = true; break;
        case END: s->end = f.value, s->has_end = true; break;
        case LINKS: s->links++; break;
        default: break;
        }
    }
    return !m.bad;
}

static void take_attributes(pb_reader *r, loom_span *span, const loom_pb_field *message)
{
    loom_pb m = loom_pb_of(message->bytes, message->len);

    for (loom_pb_field f; loom_pb_next(&m, &f);) {
        if (f.number != ATTRIBUTES) continue;
        pb_pair p = pair_of(r, &f);
        if (p.key && p.value) loom_span_attribute(span, p.key, p.value, &r->d.s->arena);
    }
}

static loom_left times_of(loom_span *span, const pb_span *s)
{
    if (!s->has_start || s->start > INT64_MAX) return LOOM_LEFT_NO_START;
    span->start = (int64_t)s->start;
    if (!s->has_end || s->end > INT64_MAX || (s->end == 0 && s->start > 0)) return LOOM_LEFT_NO_END;
    span->end = (int64_t)s->end;
    return LOOM_LEFT_KINDS;
}

static loom_status add_span(pb_reader *r, const loom_pb_field *message, const char *service, loom_err *err)
{
    loom_span_doc *d = &r->d;
    pb_span s = {0};
    loom_span span;
    bool usable;

    if (!gather(r, &s, message)) return damaged(r, message->bytes, "a span", err);
    stand_at(r, message->bytes);
    LOOM_TRY(loom_span_doc_begin(d, &span, &usable, s.trace, s.id, err));
    if (!usable) return LOOM_OK;
    span.parent = loom_span_id(&d->s->arena, s.parent);
    span.kind = s.kind >= LOOM_SPAN_INTERNAL && s.kind <= LOOM_SPAN_CONSUMER ? (loom_span_kind)s.kind : LOOM_SPAN_OTHER;
    span.service = service ? service : loom_span_doc_keep(d, "unknown_service");
    span.operation = s.name ? s.name : "";
    d->s->unnamed += !service;
    d->s->links += s.links;
    take_attributes(r, &span, message);
    loom_left fault = times_of(&span, &s);
    return loom_span_doc_end(
        d, &span, fault,
        fault == LOOM_LEFT_NO_START ? "has no start (start_time_unix_nano)" : "has no end (end_time_unix_nano)", err);
}

/* ---- what holds them ---- */

static loom_status add_scope(pb_reader *r, const loom_pb_field *scope, const char *service, loom_err *err)
{
    loom_pb m = loom_pb_of(scope->bytes, scope->len);

    for (loom_pb_field f; loom_pb_next(&m, &f);)
        if (f.number == SPANS && f.type == LOOM_PB_BYTES) LOOM_TRY(add_span(r, &f, service, err));
    return m.bad ? damaged(r, m.at, "a list of spans", err) : LOOM_OK;
}

/* The first service.name of a Resource, if it is a text; *found: it has one. */
static const char *service_in(pb_reader *r, const loom_pb_field *resource, bool *found)
{
    loom_pb m = loom_pb_of(resource->bytes, resource->len);

    for (loom_pb_field f; loom_pb_next(&m, &f);) {
        if (f.number != RESOURCE_ATTRIBUTES || f.type != LOOM_PB_BYTES) continue;
        pb_pair p = pair_of(r, &f);
        if (!p.key || strcmp(p.key, "service.name") != 0) continue;
        *found = true;
        return p.names ? p.value : NULL;
    }
    return NULL;
}

/* The resource may stand behind its spans. */
static const char *service_of(pb_reader *r, const loom_pb_field *resource_spans)
{
    loom_pb m = loom_pb_of(resource_spans->bytes, resource_spans->len);
    const char *service = NULL;
    bool found = false;

    for (loom_pb_field f; !found && loom_pb_next(&m, &f);)
        if (f.number == RESOURCE && f.type == LOOM_PB_BYTES) service = service_in(r, &f, &found);
    return service;
}

static loom_status add_scopes(pb_reader *r, const loom_pb_field *resource_spans, uint32_t number, const char *service,
                              loom_err *err)
{
    loom_pb m = loom_pb_of(resource_spans->bytes, resource_spans->len);

    for (loom_pb_field f; loom_pb_next(&m, &f);)
        if (f.number == number && f.type == LOOM_PB_BYTES) LOOM_TRY(add_scope(r, &f, service, err));
    if (!m.bad || number != SCOPE_SPANS) return LOOM_OK; /* told once */
    return damaged(r, m.at, "a resource with its spans", err);
}

static loom_status add_message(pb_reader *r, const unsigned char *bytes, size_t len, loom_err *err)
{
    loom_pb m = loom_pb_of(bytes, len);

    for (loom_pb_field f; loom_pb_next(&m, &f);) {
        if (f.number != RESOURCE_SPANS || f.type != LOOM_PB_BYTES) continue;
        const char *service = service_of(r, &f);
        LOOM_TRY(add_scopes(r, &f, SCOPE_SPANS, service, err));
        LOOM_TRY(add_scopes(r, &f, LIBRARY_SPANS, service, err));
        LOOM_TRY(loom_arena_check(&r->d.s->arena, "spans", err));
    }
    return m.bad ? damaged(r, m.at, "a message", err) : LOOM_OK;
}

/* A message whose end is not there: what is, and the fault, once. */
static loom_status add_cut(pb_reader *r, const unsigned char *at, size_t len, loom_err *err)
{
    const int64_t *faults = &r->d.s->left.n[LOOM_LEFT_NOT_PROTOBUF], before = *faults;

    LOOM_TRY(add_message(r, at, len, err));
    return *faults == before ? damaged(r, at, "a message", err) : LOOM_OK;
}

/* Messages with their length in front. */
static loom_status add_framed(pb_reader *r, const unsigned char *at, size_t len, loom_err *err)
{
    for (size_t n; len; at += n, len -= n) {
        if (len < 4) return damaged(r, at, "a length", err);
        n = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        at += 4;
        len -= 4;
        if (n > len) return add_cut(r, at, len, err);
        LOOM_TRY(add_message(r, at, n, err));
    }
    return LOOM_OK;
}

/* ---- is it OTLP at all? ---- */

/* Texts have no such bytes near their beginning; messages have, as tags and lengths. */
static bool has_control(const unsigned char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] < 9 || (at[i] > 13 && at[i] < 32)) return true;
    return false;
}

/* The tag of resource_spans, a length, and the tag of one of its fields. */
static bool begins_message(const unsigned char *at, size_t len)
{
    size_t i = 1;

    if (len < 4 || at[0] != (RESOURCE_SPANS << 3 | LOOM_PB_BYTES)) return false;
    while (i < len && i < 10 && at[i] >= 0x80) i++;
    i++;
    return i < len && (at[i] == 0x0a || at[i] == 0x12 || at[i] == 0x1a || at[i] == 0xc2);
}

static bool is_framed(const unsigned char *at, size_t len)
{
    return len > 8 && at[0] < 9 && begins_message(at + 4, len - 4);
}

bool loom_spans_are_protobuf(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text;

    return is_framed(at, len) || (begins_message(at, len) && has_control(at, len < 256 ? len : 256));
}

loom_status loom_spans_add_protobuf(loom_spans *s, const void *bytes, size_t len, const char *name, loom_err *err)
{
    pb_reader r = {.d = {.s = s, .name = name, .text = "", .binary = true}, .file = bytes};
    loom_status st;

    s->name = s->read++ ? NULL : loom_arena_strdup(&s->arena, name, strlen(name));
    st = (is_framed(bytes, len) ? add_framed : add_message)(&r, bytes, len, err);
    loom_buf_release(&r.scratch);
    return st;
}
