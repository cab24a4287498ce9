#include "core/escape.h"

#include <stdio.h>

#include "core/utf8.h"

/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069 */
static bool is_hidden_mark(const unsigned char *s)
{
    if (s[0] != 0xe2) return false;
    return s[1] == 0x80 ? s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae)
                        : s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

enum { ESCAPED_MAX = 8 };

/* The next character of text[0..len), escaped where it must be, into out; returns the bytes taken. */
static size_t next_shown(char out[ESCAPED_MAX], size_t *n_out, const char *text, size_t len, bool lines)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = loom_utf8_length(text, len);
    int length;
    if (lines && (s[0] == '\n' || s[0] == '\t')) out[0] = text[0], length = 1;
    else if (n == 0) length = snprintf(out, ESCAPED_MAX, "\\x%02x", s[0]), n = 1;
    else if (s[0] == '\n' || s[0] == '\t' || s[0] == '\r')
        length = snprintf(out, ESCAPED_MAX, "\\%c", s[0] == '\n' ? 'n' : s[0] == '\t' ? 't' : 'r');
    else if (s[0] < ' ' || s[0] == 0x7f) length = snprintf(out, ESCAPED_MAX, "\\x%02x", s[0]);
    else if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0) length = snprintf(out, ESCAPED_MAX, "\\u00%02x", s[1]);
    else if (n == 3 && is_hidden_mark(s))
        length = snprintf(out, ESCAPED_MAX, "\\u20%02x", (unsigned)((s[1] & 3) << 6 | (s[2] & 0x3f)));
    else {
        memcpy(out, s, n);
        length = (int)n;
    }
    *n_out = (size_t)length;
    return n;
}

bool loom_is_plain(const char *text, size_t len)
{
    char out[ESCAPED_MAX];
    size_t n;
    for (size_t at = 0; at < len;) {
        size_t taken = next_shown(out, &n, text + at, len - at, false);
        if (n != taken || memcmp(out, text + at, n) != 0) return false;
        at += taken;
    }
    return true;
}

static void escape(loom_buf *into, const char *text, size_t len, bool lines)
{
    char out[ESCAPED_MAX];
    size_t n;
    for (size_t at = 0; at < len;) {
        at += next_shown(out, &n, text + at, len - at, lines);
        loom_buf_append(into, out, n);
    }
}

void loom_escape(loom_buf *into, const char *text, size_t len) { escape(into, text, len, false); }
void loom_escape_lines(loom_buf *into, const char *text, size_t len) { escape(into, text, len, true); }

void loom_escape_into(char *text, size_t cap, const char *from, size_t len)
{
    static const char dots[] = "...";
    char out[ESCAPED_MAX];
    size_t n, used = 0, whole = 0; /* whole: what leaves room for the dots */
    for (size_t at = 0; at < len;) {
        at += next_shown(out, &n, from + at, len - at, false);
        if (used + n >= cap) {
            if (whole + sizeof dots <= cap) memcpy(text + whole, dots, sizeof dots - 1), whole += sizeof dots - 1;
            text[whole] = 0;
            return;
        }
        memcpy(text + used, out, n);
        used += n;
        if (used + sizeof dots <= cap) whole = used;
    }
    if (cap) text[used] = 0;
}

void loom_quote(loom_buf *into, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(text + at, '\\', len - at);
        size_t n = slash ? (size_t)(slash - text) - at : len - at;
        loom_escape(into, text + at, n);
        if (slash) loom_buf_str(into, "\\\\");
        at += n + (slash != NULL);
    }
}

static bool hex_digits(unsigned *value, const char *text, size_t n)
{
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        const char *digits = "0123456789abcdef", *d = text[i] ? strchr(digits, text[i]) : NULL;
        if (!d) return false;
        *value = *value << 4 | (unsigned)(d - digits);
    }
    return true;
}

/* One sequence that loom_quote writes, text[0] being a backslash; returns the bytes taken, 0 when it is none. */
static size_t unquote_one(loom_buf *into, const char *text, size_t len)
{
    static const char letters[] = "\\ntr", meant[] = "\\\n\t\r";
    const char *letter = len >= 2 && text[1] ? strchr(letters, text[1]) : NULL;
    unsigned c;
    if (letter) {
        loom_buf_char(into, meant[letter - letters]);
        return 2;
    }
    if (len >= 4 && text[1] == 'x' && hex_digits(&c, text + 2, 2)) {
        loom_buf_char(into, (char)c);
        return 4;
    }
    if (len < 6 || text[1] != 'u' || !hex_digits(&c, text + 2, 4) || c < 0x80) return 0;
    char utf8[4];
    loom_buf_append(into, utf8, loom_utf8_put(utf8, c));
    return 6;
}

void loom_unquote(loom_buf *into, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t n = text[at] == '\\' ? unquote_one(into, text + at, len - at) : 0;
        if (n == 0) loom_buf_char(into, text[at]);
        at += n ? n : 1;
    }
}
