/* span_variants VARIANT INPUT: the Jaeger or OTLP documents of INPUT (a file or an archive of them), written
 * differently, one a line on standard output: the same traces. Variants may be joined with '+'.
 *
 *   links    each first span refers to a span of another trace, before all else
 *   zeros    each first span names a parent of zeros
 *   names    attributes have the names of the current semantic conventions
 *   otlp     Jaeger becomes OTLP
 *   text     OTLP: kinds as text, keys in snake_case
 *   base64   OTLP: ids in base64
 *   ids      ids upper case, and padded to 128 bits where they are traces' */
#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"

typedef struct variant {
    bool links, zeros, names, otlp, text, base64, ids;
} variant;

static const struct {
    const char *old, *now;
} renamed[] = {{"http.method", "http.request.method"},
               {"http.url", "url.full"},
               {"http.status_code", "http.response.status_code"},
               {"rpc.system", "rpc.system.name"},
               {"db.system", "db.system.name"},
               {"net.peer.name", "server.address"}};

static const char *str(const loom_json *o, const char *key)
{
    const char *text = loom_json_str(loom_json_get(o, key), NULL);
    return text ? text : "";
}

static const char *attribute_name(const variant *v, const char *key)
{
    for (size_t i = 0; v->names && i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(renamed[i].old, key) == 0) return renamed[i].now;
    return key;
}

/* camelCase to snake_case where it is wanted; one key at a time. */
static const char *key_of(const variant *v, const char *camel)
{
    static char snake[64];
    size_t n = 0;

    if (!v->text) return camel;
    for (; *camel && n < sizeof snake - 2; camel++) {
        bool upper = *camel >= 'A' && *camel <= 'Z';
        if (upper) snake[n++] = '_';
        snake[n++] = upper ? (char)(*camel - 'A' + 'a') : *camel;
    }
    snake[n] = 0;
    return snake;
}

/* Hexadecimal to the bytes it says, in base64. */
static void base64_of(char *out, const char *hex)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int n_bits = 0, n = 0;

    for (; *hex; hex++) {
        bits = bits << 4 | (uint32_t)(*hex <= '9' ? *hex - '0' : (*hex | 32) - 'a' + 10);
        for (n_bits += 4; n_bits >= 6; n_bits -= 6) out[n++] = digits[bits >> (n_bits - 6) & 63];
    }
    if (n_bits) out[n++] = digits[bits << (6 - n_bits) & 63];
    while (n % 4) out[n++] = '=';
    out[n] = 0;
}

static const char *id_of(const variant *v, const char *id, int digits)
{
    static char text[128];
    char hex[64];

    if (!id[0] || (!v->ids && !v->base64)) return id;
    snprintf(hex, sizeof hex, "%.*s%s", (int)loom_max_i64(0, digits - (int64_t)strlen(id)),
             "00000000000000000000000000000000", id);
    if (v->base64) {
        base64_of(text, hex);
        return text;
    }
    for (char *p = hex; *p; p++)
        if (*p >= 'a' && *p <= 'f') *p = (char)(*p - 'a' + 'A');
    snprintf(text, sizeof text, "%s", hex);
    return text;
}

/* ---- Jaeger ---- */

static void reference(loom_jw *w, const variant *v, const char *type, const char *trace, const char *span)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "refType", type);
    loom_jw_kv_str(w, "traceID", id_of(v, trace, 32));
    loom_jw_kv_str(w, "spanID", id_of(v, span, 16));
    loom_jw_end_object(w);
}

static void references(loom_jw *w, const variant *v, const loom_json *span)
{
    const loom_json *refs = loom_json_get(span, "references");

    loom_jw_key(w, "references");
    loom_jw_begin_array(w);
    if (v->links && loom_json_len(refs) == 0) reference(w, v, "CHILD_OF", "abcdef0123456789", "1234567890abcdef");
    if (v->zeros && loom_json_len(refs) == 0) reference(w, v, "CHILD_OF", str(span, "traceID"), "0000000000000000");
    for (size_t i = 0; i < loom_json_len(refs); i++) {
        const loom_json *r = loom_json_at(refs, i);
        reference(w, v, str(r, "refType"), str(r, "traceID"), str(r, "spanID"));
    }
    loom_jw_end_array(w);
}

static void jaeger_span(loom_jw *w, const variant *v, const loom_json *span)
{
    const loom_json *tags = loom_json_get(span, "tags");

    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "traceID", id_of(v, str(span, "traceID"), 32));
    loom_jw_kv_str(w, "spanID", id_of(v, str(span, "spanID"), 16));
    loom_jw_kv_str(w, "operationName", str(span, "operationName"));
    references(w, v, span);
    loom_jw_key(w, "startTime");
    loom_jw_copy(w, loom_json_get(span, "startTime"));
    loom_jw_key(w, "duration");
    loom_jw_copy(w, loom_json_get(span, "duration"));
    loom_jw_key(w, "tags");
    loom_jw_begin_array(w);
    for (size_t i = 0; i < loom_json_len(tags); i++) {
        loom_jw_begin_object(w);
        loom_jw_kv_str(w, "key", attribute_name(v, str(loom_json_at(tags, i), "key")));
        loom_jw_key(w, "value");
        loom_jw_copy(w, loom_json_get(loom_json_at(tags, i), "value"));
        loom_jw_end_object(w);
    }
    loom_jw_end_array(w);
    loom_jw_kv_str(w, "processID", str(span, "processID"));
    loom_jw_end_object(w);
}

static void jaeger(loom_jw *w, const variant *v, const loom_json *root)
{
    const loom_json *data = loom_json_get(root, "data");

    loom_jw_begin_object(w);
    loom_jw_key(w, "data");
    loom_jw_begin_array(w);
    for (size_t t = 0; t < loom_json_len(data); t++) {
        const loom_json *spans = loom_json_get(loom_json_at(data, t), "spans");
        loom_jw_begin_object(w);
        loom_jw_key(w, "spans");
        loom_jw_begin_array(w);
        for (size_t i = 0; i < loom_json_len(spans); i++) jaeger_span(w, v, loom_json_at(spans, i));
        loom_jw_end_array(w);
        loom_jw_key(w, "processes");
        loom_jw_copy(w, loom_json_get(loom_json_at(data, t), "processes"));
        loom_jw_end_object(w);
    }
    loom_jw_end_array(w);
    loom_jw_end_object(w);
}

/* ---- OTLP ---- */

static void string_attribute(loom_jw *w, const variant *v, const char *key, const char *value)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "key", attribute_name(v, key));
    loom_jw_key(w, "value");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, key_of(v, "stringValue"), value);
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

static void nanoseconds(loom_jw *w, const char *key, int64_t ns)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)ns);
    loom_jw_kv_str(w, key, text);
}

/* What both kinds of input have in common. */
typedef struct plain_span {
    const char *trace, *id, *parent, *name;
    int64_t kind, start, end;
} plain_span;

static void begin_span(loom_jw *w, const variant *v, const plain_span *s)
{
    static const char *const kinds[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
                                        "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"};
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, key_of(v, "traceId"), id_of(v, s->trace, 32));
    loom_jw_kv_str(w, key_of(v, "spanId"), id_of(v, s->id, 16));
    const char *parent = !s->parent[0] && v->zeros ? "0000000000000000" : s->parent;
    if (parent[0]) loom_jw_kv_str(w, key_of(v, "parentSpanId"), id_of(v, parent, 16));
    loom_jw_kv_str(w, "name", s->name);
    if (v->text) loom_jw_kv_str(w, "kind", kinds[s->kind]);
    else loom_jw_kv_i64(w, "kind", s->kind);
    nanoseconds(w, key_of(v, "startTimeUnixNano"), s->start);
    nanoseconds(w, key_of(v, "endTimeUnixNano"), s->end);
    if (v->links && !s->parent[0]) {
        loom_jw_key(w, "links");
        loom_jw_begin_array(w);
        loom_jw_begin_object(w);
        loom_jw_kv_str(w, key_of(v, "traceId"), "abcdef0123456789abcdef0123456789");
        loom_jw_kv_str(w, key_of(v, "spanId"), "1234567890abcdef");
        loom_jw_end_object(w);
        loom_jw_end_array(w);
    }
    loom_jw_key(w, "attributes");
    loom_jw_begin_array(w);
}

static void end_span(loom_jw *w)
{
    loom_jw_end_array(w);
    loom_jw_end_object(w);
}

static void begin_resource(loom_jw *w, const variant *v, const char *service)
{
    loom_jw_begin_object(w);
    loom_jw_key(w, "resource");
    loom_jw_begin_object(w);
    loom_jw_key(w, "attributes");
    loom_jw_begin_array(w);
    string_attribute(w, v, "service.name", service);
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_jw_key(w, key_of(v, "scopeSpans"));
    loom_jw_begin_array(w);
    loom_jw_begin_object(w);
    loom_jw_key(w, "spans");
    loom_jw_begin_array(w);
}

static void end_resource(loom_jw *w)
{
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_jw_end_array(w);
    loom_jw_end_object(w);
}

static int64_t jaeger_kind(const loom_json *tags)
{
    static const char *const names[] = {"", "internal", "server", "client", "producer", "consumer"};

    for (size_t i = 0; i < loom_json_len(tags); i++)
        for (int k = 1; k < 6 && strcmp(str(loom_json_at(tags, i), "key"), "span.kind") == 0; k++)
            if (strcmp(str(loom_json_at(tags, i), "value"), names[k]) == 0) return k;
    return 0;
}

static void jaeger_span_as_otlp(loom_jw *w, const variant *v, const loom_json *span, const loom_json *processes)
{
    const loom_json *tags = loom_json_get(span, "tags"), *ref = loom_json_at(loom_json_get(span, "references"), 0);
    int64_t start = loom_json_i64(loom_json_get(span, "startTime"), 0) * 1000;
    plain_span s = {str(span, "traceID"),
                    str(span, "spanID"),
                    str(ref, "spanID"),
                    str(span, "operationName"),
                    jaeger_kind(tags),
                    start,
                    start + loom_json_i64(loom_json_get(span, "duration"), 0) * 1000};

    begin_resource(w, v, str(loom_json_get(processes, str(span, "processID")), "serviceName"));
    begin_span(w, v, &s);
    for (size_t i = 0; i < loom_json_len(tags); i++)
        if (loom_json_is_string(loom_json_get(loom_json_at(tags, i), "value")))
            string_attribute(w, v, str(loom_json_at(tags, i), "key"), str(loom_json_at(tags, i), "value"));
    end_span(w);
    end_resource(w);
}

static void otlp_span(loom_jw *w, const variant *v, const loom_json *span)
{
    const loom_json *attributes = loom_json_get(span, "attributes");
    plain_span s = {str(span, "traceId"),
                    str(span, "spanId"),
                    str(span, "parentSpanId"),
                    str(span, "name"),
                    loom_json_i64(loom_json_get(span, "kind"), 0),
                    strtoll(str(span, "startTimeUnixNano"), NULL, 10),
                    strtoll(str(span, "endTimeUnixNano"), NULL, 10)};

    begin_span(w, v, &s);
    for (size_t i = 0; i < loom_json_len(attributes); i++) {
        const loom_json *a = loom_json_at(attributes, i);
        string_attribute(w, v, str(a, "key"), str(loom_json_get(a, "value"), "stringValue"));
    }
    end_span(w);
}

static const char *service_name(const loom_json *resource)
{
    const loom_json *list = loom_json_get(loom_json_get(resource, "resource"), "attributes");

    for (size_t i = 0; i < loom_json_len(list); i++)
        if (strcmp(str(loom_json_at(list, i), "key"), "service.name") == 0)
            return str(loom_json_get(loom_json_at(list, i), "value"), "stringValue");
    return "";
}

static void otlp(loom_jw *w, const variant *v, const loom_json *root)
{
    const loom_json *data = loom_json_get(root, "data"), *resources = loom_json_get(root, "resourceSpans");

    loom_jw_begin_object(w);
    loom_jw_key(w, key_of(v, "resourceSpans"));
    loom_jw_begin_array(w);
    for (size_t t = 0; t < loom_json_len(data); t++) {
        const loom_json *spans = loom_json_get(loom_json_at(data, t), "spans");
        for (size_t i = 0; i < loom_json_len(spans); i++)
            jaeger_span_as_otlp(w, v, loom_json_at(spans, i), loom_json_get(loom_json_at(data, t), "processes"));
    }
    for (size_t i = 0; i < loom_json_len(resources); i++) {
        const loom_json *resource = loom_json_at(resources, i), *scopes = loom_json_get(resource, "scopeSpans");
        const loom_json *spans = loom_json_get(loom_json_at(scopes, 0), "spans");
        begin_resource(w, v, service_name(resource));
        for (size_t k = 0; k < loom_json_len(spans); k++) otlp_span(w, v, loom_json_at(spans, k));
        end_resource(w);
    }
    loom_jw_end_array(w);
    loom_jw_end_object(w);
}

/* ---- files ---- */

static loom_status write_document(const variant *v, const char *text, size_t len, loom_err *err)
{
    loom_json *root = NULL;
    loom_buf out = {0};
    loom_jw w;

    LOOM_TRY(loom_json_parse(&root, text, len, "document", err));
    loom_jw_init(&w, &out, false);
    (v->otlp || loom_json_get(root, "resourceSpans") ? otlp : jaeger)(&w, v, root);
    puts(out.data);
    loom_json_free(root);
    loom_buf_release(&out);
    return LOOM_OK;
}

/* A file of lines has one document in each, else it is one document. */
static loom_status write_all(const variant *v, const loom_buf *text, loom_err *err)
{
    const char *first = strchr(text->data, '\n');

    if (!first || first[-1] != '}') return write_document(v, text->data, text->len, err);
    for (size_t at = 0; at < text->len;) {
        size_t len = strcspn(text->data + at, "\n");
        if (len) LOOM_TRY(write_document(v, text->data + at, len, err));
        at += len + 1;
    }
    return LOOM_OK;
}

static loom_status convert(const variant *v, const char *input, loom_err *err)
{
    loom_in *in = NULL;
    loom_buf text = {0};
    bool more = true;
    loom_status st = loom_in_open(&in, input, err);

    while (st == LOOM_OK && more) {
        size_t got = 1;
        loom_buf_reset(&text);
        while (st == LOOM_OK && got) {
            if (!loom_buf_reserve(&text, 1 << 16)) {
                st = loom_fail_nomem(err, input);
                break;
            }
            st = loom_in_read(in, text.data + text.len, 1 << 16, &got, err);
            text.len += st == LOOM_OK ? got : 0;
            text.data[text.len] = 0;
        }
        if (st == LOOM_OK && text.len) st = write_all(v, &text, err);
        if (st == LOOM_OK) st = loom_in_next_member(in, &more, err);
    }
    loom_in_close(&in);
    loom_buf_release(&text);
    return st;
}

int main(int argc, char **argv)
{
    variant v = {0};
    loom_err err = {0};

    if (argc != 3) {
        fprintf(stderr, "span_variants VARIANT INPUT\n");
        return 2;
    }
    v.links = strstr(argv[1], "links");
    v.zeros = strstr(argv[1], "zeros");
    v.names = strstr(argv[1], "names");
    v.otlp = strstr(argv[1], "otlp");
    v.text = strstr(argv[1], "text");
    v.base64 = strstr(argv[1], "base64");
    v.ids = strstr(argv[1], "ids");
    if (convert(&v, argv[2], &err) == LOOM_OK && fflush(stdout) == 0) return 0;
    fprintf(stderr, "span_variants: %s\n", err.msg);
    return 1;
}
