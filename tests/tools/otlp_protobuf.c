/* otlp_protobuf [framed] [backwards] [library] FILE: the OTLP/JSON documents of FILE, one a line (or an archive of
 * such), as protobuf on standard output: a message for each, one behind the other.
 *
 *   framed      each with its length in front (four bytes, the greatest first)
 *   backwards   fields in the reverse order of their numbers: the resource behind its spans, attributes before ids
 *   library     scopes are instrumentation libraries, as before version 0.16 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"

static bool framed, backwards, library;

static void varint(loom_buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) loom_buf_char(b, (char)(v | 0x80));
    loom_buf_char(b, (char)v);
}

static void tag(loom_buf *b, uint32_t number, uint32_t type) { varint(b, (uint64_t)number << 3 | type); }

static void bytes(loom_buf *b, uint32_t number, const void *data, size_t len)
{
    tag(b, number, 2);
    varint(b, len);
    loom_buf_append(b, data, len);
}

static void text(loom_buf *b, uint32_t number, const loom_json *n)
{
    size_t len = 0;
    const char *s = loom_json_str(n, &len);

    if (s) bytes(b, number, s, len);
}

static void fixed64(loom_buf *b, uint32_t number, const loom_json *n)
{
    size_t len = 0;
    const char *s = loom_json_str(n, &len);
    int64_t v = loom_json_i64(n, 0);

    if (!n || (s && !loom_parse_i64(s, len, &v))) return;
    tag(b, number, 1);
    for (int i = 0; i < 8; i++) loom_buf_char(b, (char)((uint64_t)v >> (8 * i)));
}

static int digit(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

/* Hexadecimal, of any length. */
static void id(loom_buf *b, uint32_t number, const loom_json *n)
{
    size_t len = 0;
    const char *s = loom_json_str(n, &len);
    loom_buf raw = {0};

    if (!s) return;
    for (size_t i = len % 2 ? 0 : 1; i < len; i += 2) /* an odd one has a zero in front */
        loom_buf_char(&raw, (char)((i ? digit(s[i - 1]) : 0) << 4 | digit(s[i])));
    bytes(b, number, loom_buf_text(&raw), raw.len);
    loom_buf_release(&raw);
}

/* Appends the fields of `part` before or behind those of `b`. */
static void join(loom_buf *b, loom_buf *part)
{
    loom_buf both = {0};

    loom_buf_append(&both, backwards ? part->data : b->data, backwards ? part->len : b->len);
    loom_buf_append(&both, backwards ? b->data : part->data, backwards ? b->len : part->len);
    loom_buf_release(b);
    loom_buf_release(part);
    *b = both;
}

static void attribute(loom_buf *into, uint32_t number, const loom_json *a)
{
    const loom_json *v = loom_json_get(a, "value"), *n;
    loom_buf value = {0}, pair = {0}, part = {0};
    int64_t whole;
    double real;

    text(&value, 1, loom_json_get(v, "stringValue"));
    if ((n = loom_json_get(v, "boolValue"))) tag(&value, 2, 0), varint(&value, loom_json_bool(n, false));
    if ((n = loom_json_get(v, "intValue"))) {
        size_t len = 0;
        const char *s = loom_json_str(n, &len);
        whole = loom_json_i64(n, 0);
        if (s && !loom_parse_i64(s, len, &whole)) exit(1);
        tag(&value, 3, 0), varint(&value, (uint64_t)whole);
    }
    if ((n = loom_json_get(v, "doubleValue"))) {
        real = loom_json_f64(n, 0);
        tag(&value, 4, 1), loom_buf_append(&value, &real, sizeof real);
    }
    text(&pair, 1, loom_json_get(a, "key"));
    bytes(&part, 2, loom_buf_text(&value), value.len);
    join(&pair, &part);
    bytes(into, number, loom_buf_text(&pair), pair.len);
    loom_buf_release(&pair);
    loom_buf_release(&value);
}

static void attributes(loom_buf *into, uint32_t number, const loom_json *list)
{
    for (size_t i = 0; i < loom_json_len(list); i++) attribute(into, number, loom_json_at(list, i));
}

static void span(loom_buf *into, const loom_json *s)
{
    loom_buf b = {0}, part = {0};

    id(&b, 1, loom_json_get(s, "traceId"));
    id(&part, 2, loom_json_get(s, "spanId")), join(&b, &part);
    bytes(&part, 3, "vendor=1", 8), join(&b, &part);
    id(&part, 4, loom_json_get(s, "parentSpanId")), join(&b, &part);
    text(&part, 5, loom_json_get(s, "name")), join(&b, &part);
    tag(&part, 6, 0), varint(&part, (uint64_t)loom_json_i64(loom_json_get(s, "kind"), 0)), join(&b, &part);
    fixed64(&part, 7, loom_json_get(s, "startTimeUnixNano")), join(&b, &part);
    fixed64(&part, 8, loom_json_get(s, "endTimeUnixNano")), join(&b, &part);
    attributes(&part, 9, loom_json_get(s, "attributes")), join(&b, &part);
    for (size_t i = 0; i < loom_json_len(loom_json_get(s, "events")); i++) bytes(&part, 11, "", 0);
    join(&b, &part);
    for (size_t i = 0; i < loom_json_len(loom_json_get(s, "links")); i++) bytes(&part, 13, "", 0);
    join(&b, &part);
    bytes(&part, 15, "\x18\x02", 2), join(&b, &part); /* status: code 2 */
    tag(&part, 16, 5), loom_buf_append(&part, "\x01\0\0\0", 4), join(&b, &part);
    bytes(into, 2, loom_buf_text(&b), b.len);
    loom_buf_release(&b);
}

static void resource_spans(loom_buf *into, const loom_json *r)
{
    const loom_json *scopes = loom_json_get(r, "scopeSpans");
    loom_buf b = {0}, part = {0}, inner = {0};

    attributes(&inner, 1, loom_json_get(loom_json_get(r, "resource"), "attributes"));
    bytes(&b, 1, loom_buf_text(&inner), inner.len);
    for (size_t i = 0; i < loom_json_len(scopes); i++) {
        const loom_json *spans = loom_json_get(loom_json_at(scopes, i), "spans");
        loom_buf_reset(&inner);
        for (size_t j = 0; j < loom_json_len(spans); j++) span(&inner, loom_json_at(spans, j));
        bytes(&part, library ? 1000 : 2, loom_buf_text(&inner), inner.len);
    }
    join(&b, &part);
    bytes(into, 1, loom_buf_text(&b), b.len);
    loom_buf_release(&b);
    loom_buf_release(&inner);
}

static bool put(const loom_buf *message)
{
    const unsigned char size[4] = {(unsigned char)(message->len >> 24), (unsigned char)(message->len >> 16),
                                   (unsigned char)(message->len >> 8), (unsigned char)message->len};

    if (framed && fwrite(size, 4, 1, stdout) != 1) return false;
    return fwrite(loom_buf_text(message), 1, message->len, stdout) == message->len;
}

int main(int argc, char **argv)
{
    loom_lines *lines = NULL;
    loom_err err = {0};
    char *line;
    size_t len;
    int i = 1;

    for (; i + 1 < argc; i++) {
        framed |= strcmp(argv[i], "framed") == 0;
        backwards |= strcmp(argv[i], "backwards") == 0;
        library |= strcmp(argv[i], "library") == 0;
    }
    if (i >= argc || loom_lines_open(&lines, argv[i], &err) != LOOM_OK) {
        fprintf(stderr, "otlp_protobuf: %s\n", err.msg);
        return 1;
    }
    while (loom_lines_next(lines, &line, &len, &err) == LOOM_OK && line) {
        loom_json *root = NULL;
        loom_buf message = {0};
        if (len == 0) continue;
        if (loom_json_parse(&root, line, len, argv[i], &err) != LOOM_OK) return 1;
        const loom_json *list = loom_json_get(root, "resourceSpans");
        for (size_t j = 0; j < loom_json_len(list); j++) resource_spans(&message, loom_json_at(list, j));
        if (!put(&message)) return 1;
        loom_buf_release(&message);
        loom_json_free(root);
    }
    loom_lines_close(&lines);
    return fflush(stdout) ? 1 : 0;
}
