/* A JSON document with one thing in it changed: every key misspelt, every value in turn another one. A reader of
 * outside files takes each of them or refuses it with a sentence, and gives all memory back.
 *
 *   json_variants("a topology", text, len, read_topology);
 *
 * returns how many were refused. */
#ifndef LOOM_TESTS_JSON_VARIANTS_H
#define LOOM_TESTS_JSON_VARIANTS_H

#include <ctype.h>

#include "core/buf.h"
#include "unit/failing_memory.h"

/* `text` is NUL-terminated. */
typedef loom_status (*variant_reader)(const char *text, size_t len, loom_err *err);

static const char *const variant_values_[] = {
    "null", "true",  "-1", "0",   "1",  "0.5",  "1e300",     "9223372036854775807", "-9223372036854775808",
    "\"\"", "\"x\"", "[]", "[1]", "{}", "[[]]", "{\"x\": 1}"};

static inline size_t variant_string_(const char *text, size_t at)
{
    for (at++; text[at] && text[at] != '"'; at++) at += text[at] == '\\';
    return at + 1;
}

/* The end of the value that begins at `at`. */
static inline size_t variant_end_(const char *text, size_t at)
{
    int depth = 0;
    if (text[at] == '"') return variant_string_(text, at);
    if (text[at] != '{' && text[at] != '[') {
        while (isalnum((unsigned char)text[at]) || strchr("+-.", text[at])) at++;
        return at;
    }
    do {
        depth += text[at] == '{' || text[at] == '[';
        depth -= text[at] == '}' || text[at] == ']';
        at = text[at] == '"' ? variant_string_(text, at) : at + 1;
    } while (depth > 0);
    return at;
}

typedef struct variants {
    const char *what, *text;
    size_t len;
    variant_reader read;
    loom_buf now;
    int64_t tried, refused;
} variants;

/* text[from..to) as `value`. */
static inline void variant_try_(variants *v, size_t from, size_t to, const char *value)
{
    loom_err err = {0};
    loom_buf_reset(&v->now);
    loom_buf_append(&v->now, v->text, from);
    loom_buf_str(&v->now, value);
    loom_buf_append(&v->now, v->text + to, v->len - to);
    long long live = memory_live_;
    loom_status st = v->read(v->now.data, v->now.len, &err);
    test_checks_++;
    v->tried++;
    v->refused += st != LOOM_OK;
    if (st == LOOM_OK && getenv("VARIANTS_SAY"))
        printf("%s takes %.*s <%s> %.*s\n", v->what, (int)(from < 50 ? from : 50),
               v->text + (from < 50 ? 0 : from - 50), value, (int)(to - from < 30 ? to - from : 30), v->text + from);
    if (st != LOOM_OK && (!err.msg[0] || st == LOOM_STATUS_NOMEM))
        TEST_FAIL_("%s with %s at %zu: status %d, \"%s\"", v->what, value, from, (int)st, err.msg);
    if (memory_live_ != live) TEST_FAIL_("%s with %s at %zu: memory was not given back", v->what, value, from);
}

static inline int64_t json_variants(const char *what, const char *text, size_t len, variant_reader read)
{
    variants v = {.what = what, .text = text, .len = len, .read = read};
    loom_err err = {0};
    loom_status whole = read(text, len, &err);
    if (whole != LOOM_OK) TEST_FAIL_("%s: %s", what, err.msg);
    for (size_t at = 0; at < len && test_failed_ < 20;) {
        if (strchr(" \n\t,:}]", text[at])) {
            at++;
            continue;
        }
        size_t end = variant_end_(text, at), next = end;
        while (text[next] == ' ') next++;
        if (text[at] == '"' && text[next] == ':') { /* a key */
            variant_try_(&v, at + 1, at + 1, "no");
            at = next + 1;
            continue;
        }
        for (size_t i = 0; i < sizeof variant_values_ / sizeof *variant_values_; i++)
            variant_try_(&v, at, end, variant_values_[i]);
        at = text[at] == '{' || text[at] == '[' ? at + 1 : end;
    }
    loom_buf_release(&v.now);
    CHECK(v.tried > 50);
    if (getenv("VARIANTS_SAY")) printf("%s: %d variants, %d refused\n", what, (int)v.tried, (int)v.refused);
    return v.refused;
}

#endif
