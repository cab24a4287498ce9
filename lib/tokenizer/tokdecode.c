#include "tokenizer/tok_internal.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* Length of the longest front of text[0..len) that could begin a valid character; at least 1. What Unicode calls the
 * maximal subpart: one U+FFFD stands for it. */
static size_t broken_length(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t want = s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 1;
    for (size_t n = 1; n < want; n++) {
        if (n == len || (s[n] & 0xC0) != 0x80) return n;
        if (n == 1 && ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] >= 0xA0) ||
                       (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] >= 0x90)))
            return 1;
    }
    return want;
}

static void append_lossy(loom_buf *into, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = loom_utf8_get(text + i, len - i, NULL);
        if (n) loom_buf_append(into, text + i, n);
        else {
            loom_buf_str(into, replacement);
            n = broken_length(text + i, len - i);
        }
    }
}

/* A run of byte tokens is text when all of it is UTF-8, else every byte of it is U+FFFD. */
static void flush_bytes(loom_buf *into, loom_buf *run)
{
    size_t i = 0, n = 1;
    while (i < run->len && n) i += n = loom_utf8_get(run->data + i, run->len - i, NULL);
    if (i >= run->len && n) loom_buf_append(into, loom_buf_text(run), run->len);
    else
        for (size_t k = 0; k < run->len; k++) loom_buf_str(into, replacement);
    loom_buf_reset(run);
}

static bool skipped(const loom_tokenizer *tok, int32_t id, unsigned flags)
{
    if (id < 0 || id >= tok->n_ids || !tok->texts[id].data) return true;
    return (flags & LOOM_DECODE_SKIP_SPECIAL) && (tok->flags[id] & LOOM_TOK_SPECIAL);
}

/* Appends the text with U+FFFD for broken characters. */
static void decode_utf8(loom_buf *into, const loom_tokenizer *tok, const int32_t *ids, int64_t n, unsigned flags)
{
    loom_buf run = {0}; /* byte family: all of it; character family: the byte tokens in a row */
    for (int64_t i = 0; i < n; i++) {
        if (skipped(tok, ids[i], flags)) continue;
        const loom_tok_text *b = &tok->bytes[ids[i]];
        if (tok->family == LOOM_TOK_BYTES || (tok->flags[ids[i]] & LOOM_TOK_BYTE))
            loom_buf_append(&run, b->data, b->len);
        else {
            flush_bytes(into, &run);
            loom_buf_append(into, b->data, b->len);
        }
    }
    if (tok->family == LOOM_TOK_BYTES) append_lossy(into, loom_buf_text(&run), run.len);
    else flush_bytes(into, &run);
    loom_buf_release(&run);
}

void loom_tokenizer_decode(loom_buf *into, const loom_tokenizer *tok, const int32_t *ids, int64_t n, unsigned flags)
{
    size_t from = into->len;
    if (flags & LOOM_DECODE_UTF8) decode_utf8(into, tok, ids, n, flags);
    else
        for (int64_t i = 0; i < n; i++)
            if (!skipped(tok, ids[i], flags)) loom_buf_append(into, tok->bytes[ids[i]].data, tok->bytes[ids[i]].len);
    if (tok->strip_first_blank && !(flags & LOOM_DECODE_CONTINUE) && into->len > from && into->data[from] == ' ') {
        memmove(into->data + from, into->data + from + 1, into->len - from); /* the closing NUL moves along */
        into->len--;
    }
}

void loom_tok_stream_push(loom_tok_stream *stream, loom_buf *into, const loom_tokenizer *tok, int32_t id)
{
    if (skipped(tok, id, LOOM_DECODE_SKIP_SPECIAL)) return;
    const loom_tok_text *b = &tok->bytes[id];
    size_t skip = stream->at_start && tok->strip_first_blank && b->data[0] == ' ';
    stream->at_start = false;
    loom_buf_append(into, b->data + skip, b->len - skip);
}
