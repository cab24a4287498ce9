#include "eval/pages/html.h"

#include <stdbool.h>
#include <string.h>

#include "core/num.h"

void loom_html_textn(loom_buf *into, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '&': loom_buf_str(into, "&amp;"); break;
        case '<': loom_buf_str(into, "&lt;"); break;
        case '>': loom_buf_str(into, "&gt;"); break;
        case '"': loom_buf_str(into, "&quot;"); break;
        default: loom_buf_char(into, text[i]);
        }
    }
}

void loom_html_text(loom_buf *into, const char *text) { loom_html_textn(into, text, strlen(text)); }

/* ---- SVG ---- */

/* Is `text` one of the places after which an id stands? Returns its length, 0 if not. */
static size_t id_place(const char *text)
{
    static const char *const places[] = {"id='", "id=\"", "href='#", "href=\"#", "url(#"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strncmp(text, places[i], strlen(places[i])) == 0) return strlen(places[i]);
    return 0;
}

/* viewBox="X Y W H" also says how wide the picture may grow. */
static void copy_view_box(loom_buf *into, const char *tag, const char *end)
{
    const char *at = strstr(tag, "viewBox=\"");
    const char *close = at && at < end ? strchr(at + 9, '"') : NULL;
    double width;
    if (!close || close >= end) return;
    loom_buf_printf(into, " viewBox=\"%.*s\"", (int)(close - at - 9), at + 9);
    const char *third = at + 9;
    for (int i = 0; i < 2 && third < close; i++) third += strcspn(third, " ") + 1;
    size_t n = strcspn(third, " \"");
    if (third < close && loom_parse_f64(third, n, &width) && width > 0)
        loom_buf_printf(into, " style=\"max-width:%.0fpx\"", width);
}

void loom_html_svg(loom_buf *into, const char *svg, const char *title, const char *prefix)
{
    const char *tag = strstr(svg, "<svg"), *end = tag ? strchr(tag, '>') : NULL, *body, *old;
    if (!end) return;
    body = end + 1;
    old = strstr(body, "</title>");
    if (old) body = old + 8;
    old = strstr(body, "</desc>");
    if (old) body = old + 7;
    loom_buf_str(into,
                 "<svg role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"");
    copy_view_box(into, tag, end);
    loom_buf_str(into, "><title>");
    loom_html_text(into, title);
    loom_buf_str(into, "</title>");
    while (*body) {
        size_t n = id_place(body);
        if (n && strchr(" :\"'\t", body[-1])) {
            loom_buf_append(into, body, n);
            loom_buf_str(into, prefix);
            body += n;
        } else {
            loom_buf_char(into, *body++);
        }
    }
}

/* ---- CSV ---- */

/* Takes one field off *text (RFC 4180) into `field`; *last says whether the row ends after it. */
static void take_field(const char **text, loom_buf *field, bool *last)
{
    const char *c = *text;
    loom_buf_reset(field);
    if (*c == '"') {
        for (c++; *c && !(*c == '"' && c[1] != '"'); c++) {
            if (*c == '"') c++;
            loom_buf_char(field, *c);
        }
        if (*c) c++;
    }
    for (; *c && *c != ',' && *c != '\n'; c++)
        if (*c != '\r') loom_buf_char(field, *c);
    *last = *c != ',';
    if (*c) c++;
    *text = c;
}

static bool is_named(const char *list, const char *name)
{
    size_t n = strlen(name);
    if (n == 0) return false; /* a column without a name, as at the end of "a,b," */
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += n)
        if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == 0)) return true;
    return false;
}

void loom_html_label(loom_buf *into, const char *heading)
{
    if (heading[0]) {
        loom_buf_str(into, " data-l=\"");
        loom_html_text(into, heading);
        loom_buf_char(into, '"');
    }
    loom_buf_char(into, '>');
}

int64_t loom_html_csv(loom_buf *into, const char *csv, const char *skip, int64_t max_rows)
{
    loom_buf field = {0}, heads = {0}; /* names of the first 64 columns, each with its NUL */
    bool skipped[64] = {false};
    size_t head[64] = {0};
    int64_t row = 0;
    loom_buf_str(into, "<table class=\"cards\">\n");
    for (const char *text = csv; *text; row++) {
        bool last = false, shown = row <= max_rows;
        if (shown) loom_buf_str(into, row == 0 ? "<tr class=\"h\">" : "<tr>");
        for (int column = 0; !last; column++) {
            double number;
            take_field(&text, &field, &last);
            if (row == 0 && column < 64) {
                skipped[column] = is_named(skip, loom_buf_text(&field));
                head[column] = heads.len;
                loom_buf_append(&heads, loom_buf_text(&field), field.len + 1);
            }
            if (!shown || (column < 64 && skipped[column])) continue;
            bool right = loom_parse_f64(loom_buf_text(&field), field.len, &number);
            loom_buf_str(into, row == 0 ? "<th>" : right ? "<td class=\"n\"" : "<td");
            if (row > 0)
                loom_html_label(into, column < 64 && head[column] < heads.len ? heads.data + head[column] : "");
            loom_html_text(into, loom_buf_text(&field));
            loom_buf_str(into, row == 0 ? "</th>" : "</td>");
        }
        if (shown) loom_buf_str(into, "</tr>\n");
    }
    loom_buf_str(into, "</table>\n");
    loom_buf_release(&field);
    loom_buf_release(&heads);
    return row > 0 ? row - 1 : 0;
}
