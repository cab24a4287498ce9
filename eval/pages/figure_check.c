/* Is a script one of ours? A gnuplot script may run any program, so a folder from elsewhere must not bring its own.
 * Checked is what the script says, not a mark in it that anybody could put there: every line that draws is the one
 * written here, and in between stand only values, each a number or a string in which nothing can be hidden. */
#include <string.h>

#include "core/num.h"
#include "eval/pages/figure.h"

/* The values that a script may set. A list goes through gnuplot's `eval`, so its words hold no quote. */
typedef enum value_kind { VALUE_TEXT, VALUE_LIST, VALUE_NUMBER } value_kind;
static const struct {
    const char *name;
    value_kind kind;
} known_values[] = {{"title", VALUE_TEXT},        {"caption", VALUE_TEXT},        {"validity", VALUE_TEXT},
                    {"who", VALUE_TEXT},          {"axis", VALUE_TEXT},           {"x_label", VALUE_TEXT},
                    {"series", VALUE_LIST},       {"labels", VALUE_LIST},         {"panels", VALUE_LIST},
                    {"temperatures", VALUE_LIST}, {"trained", VALUE_LIST},        {"edges_lo", VALUE_NUMBER},
                    {"edges_hi", VALUE_NUMBER},   {"depth_lo", VALUE_NUMBER},     {"depth_hi", VALUE_NUMBER},
                    {"min_train", VALUE_NUMBER},  {"has_coverage", VALUE_NUMBER}, {"log_scale", VALUE_NUMBER},
                    {"x_lo", VALUE_NUMBER},       {"x_hi", VALUE_NUMBER},         {"x_step", VALUE_NUMBER},
                    {"shades", VALUE_NUMBER},     {"shown", VALUE_NUMBER},        {"y_most", VALUE_NUMBER}};

/* The inside of a double-quoted string as loom_figure_str writes it: of backslashes only those before a quote or
 * another. */
static bool is_text(const char *c, const char *end)
{
    for (; c < end; c++) {
        if (*c == '`' || *c == '"' || (unsigned char)*c < ' ') return false;
        if (*c == '\\' && (++c == end || (*c != '"' && *c != '\\'))) return false;
    }
    return true;
}

/* Words in \" \", one blank between them, as loom_figure_list writes them. */
static bool is_list(const char *c, const char *end)
{
    if (!is_text(c, end)) return false;
    for (bool first = true; c < end; first = false) {
        if (!first && *c++ != ' ') return false;
        if (end - c < 4 || c[0] != '\\' || c[1] != '"') return false;
        for (c += 2; c < end && *c != '\\'; c++) {
        }
        if (end - c < 2 || c[1] != '"') return false;
        c += 2;
    }
    return true;
}

static bool is_value(const char *line, size_t len)
{
    const char *equals = memmem(line, len, " = ", 3), *end = line + len;
    if (!equals) return false;
    for (size_t i = 0; i < sizeof known_values / sizeof *known_values; i++) {
        double number;
        const char *c = equals + 3;
        size_t n = strlen(known_values[i].name);
        if (n != (size_t)(equals - line) || memcmp(known_values[i].name, line, n) != 0) continue;
        if (known_values[i].kind == VALUE_NUMBER) return loom_parse_f64(c, (size_t)(end - c), &number);
        if (end - c < 2 || *c != '"' || end[-1] != '"') return false;
        return known_values[i].kind == VALUE_LIST ? is_list(c + 1, end - 1) : is_text(c + 1, end - 1);
    }
    return false;
}

bool loom_figure_is_ours(const char *name, const char *text, size_t len)
{
    const loom_figure *f = loom_figure_find(name);
    loom_buf head = {0}, tail = {0};
    if (!f) return false;
    loom_figure_head(&head, f);
    loom_figure_tail(&tail, f);
    bool ours = len >= head.len + tail.len && memcmp(text, head.data, head.len) == 0 &&
                memcmp(text + len - tail.len, tail.data, tail.len) == 0;
    for (size_t at = head.len; ours && at < len - tail.len;) {
        const char *lf = memchr(text + at, '\n', len - tail.len - at);
        size_t n = lf ? (size_t)(lf - text) - at : 0;
        ours = lf && is_value(text + at, n);
        at += n + 1;
    }
    loom_buf_release(&head);
    loom_buf_release(&tail);
    return ours;
}
