#include "readers/spans/json_place.h"

#include <string.h>

/* Behind the string whose opening quote is at `at`; `len` when it does not end on its line. */
static size_t string_end(const char *text, size_t len, size_t at)
{
    for (at++; at < len; at++) {
        if (text[at] == '\\') at++;
        else if (text[at] == '"') return at + 1;
        else if (text[at] == '\n') return len;
    }
    return len;
}

size_t loom_json_value_end(const char *text, size_t len, size_t at)
{
    int64_t depth = 0;

    while (at < len) {
        char c = text[at];
        if (c == '"') {
            at = string_end(text, len, at);
            continue;
        }
        at++;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth <= 0) return at;
    }
    return len;
}

static size_t skip_blanks(const char *text, size_t len, size_t at)
{
    while (at < len && strchr(" \t\r\n", text[at]) && text[at]) at++;
    return at;
}

static size_t any_value_end(const char *text, size_t len, size_t at)
{
    if (at >= len) return len;
    if (text[at] == '"') return string_end(text, len, at);
    if (text[at] == '{' || text[at] == '[') return loom_json_value_end(text, len, at);
    while (at < len && !strchr(",]} \t\r\n", text[at])) at++;
    return at;
}

/* Start of the wanted member or element of the container at `at`, or `at` itself. */
static size_t take_step(const char *text, size_t len, size_t at, const loom_json_step *step)
{
    size_t p = skip_blanks(text, len, at + 1);

    for (size_t i = 0; p < len && text[p] != '}' && text[p] != ']'; i++) {
        bool here = !step->key && i == step->index;
        if (step->key) {
            size_t end = any_value_end(text, len, p), n = strlen(step->key);
            here = end == p + n + 2 && memcmp(text + p + 1, step->key, n) == 0;
            p = skip_blanks(text, len, end);
            if (p < len && text[p] == ':') p = skip_blanks(text, len, p + 1);
        }
        if (here) return p;
        p = skip_blanks(text, len, any_value_end(text, len, p));
        if (p < len && text[p] == ',') p = skip_blanks(text, len, p + 1);
        else break;
    }
    return at;
}

int64_t loom_json_lines_before(const char *text, size_t len, const loom_json_step *steps, int n)
{
    size_t at = skip_blanks(text, len, 0);
    int64_t lines = 0;

    for (int i = 0; i < n && at < len; i++) {
        size_t to = take_step(text, len, at, &steps[i]);
        if (to == at) break;
        at = to;
    }
    for (size_t i = 0; i < at; i++) lines += text[i] == '\n';
    return lines;
}
