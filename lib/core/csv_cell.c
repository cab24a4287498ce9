#include "core/csv_cell.h"

#include "core/num.h"

void loom_csv_cell(loom_buf *into, const char *text, size_t len)
{
    bool plain = true;
    for (size_t i = 0; i < len && plain; i++) plain = !strchr(",\"\r\n", text[i]) || !text[i];
    if (plain) {
        loom_buf_append(into, text, len);
        return;
    }
    loom_buf_char(into, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') loom_buf_char(into, '"');
        loom_buf_char(into, text[i]);
    }
    loom_buf_char(into, '"');
}

/* Bytes of the cell at text, without the comma or line end behind it. */
static size_t cell_length(const char *text, size_t len)
{
    size_t n = 0;
    if (len && text[0] == '"') {
        for (n = 1; n < len && (text[n] != '"' || (n + 1 < len && text[n + 1] == '"')); n++) n += text[n] == '"';
        if (n > len) n = len;
    }
    while (n < len && text[n] != ',' && text[n] != '\n') n++;
    return n;
}

static bool is_formula(const char *cell, size_t len)
{
    double number;
    return len && cell[0] && strchr("=+-@\t\r", cell[0]) && !loom_parse_f64(cell, len, &number);
}

void loom_csv_guard(loom_buf *into, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t n = cell_length(text + at, len - at), quote = n && text[at] == '"';
        loom_buf_append(into, text + at, quote);
        if (is_formula(text + at + quote, n - quote)) loom_buf_char(into, '\'');
        loom_buf_append(into, text + at + quote, n - quote);
        at += n;
        if (at < len) loom_buf_char(into, text[at++]);
    }
}
