#include "readers/rows/csv.h"

#include <string.h>

#include "core/num.h"

void loom_csv_release(loom_csv *csv) { loom_buf_release(&csv->scratch); }

static void add_field(loom_csv *csv, const char *at, size_t len)
{
    if (csv->n_fields < LOOM_CSV_MAX_COLUMNS) csv->fields[csv->n_fields] = (loom_csv_field){at, len};
    csv->n_fields++;
}

static void split_plain(loom_csv *csv, const char *at, const char *end)
{
    csv->n_fields = 0;
    for (;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        add_field(csv, at, (size_t)((comma ? comma : end) - at));
        if (!comma) return;
        at = comma + 1;
    }
}

typedef enum quoted_result { QUOTED_OK, QUOTED_OPEN, QUOTED_BAD } quoted_result;

/* The quoted field whose text starts at *at (behind the quote); afterwards *at stands behind the closing quote. */
static quoted_result take_quoted(loom_csv *csv, const char **at, const char *end)
{
    const char *p = *at, *start = p;
    char *copy = NULL; /* only when a doubled quote has to be undone */
    size_t n_copy = 0;
    for (;;) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (!quote) return QUOTED_OPEN;
        bool doubled = quote + 1 < end && quote[1] == '"';
        if (copy || doubled) {
            size_t n = (size_t)(quote - p) + doubled;
            if (!copy) copy = csv->scratch.data + csv->scratch.len;
            memcpy(copy + n_copy, p, n);
            n_copy += n;
        }
        p = quote + 1 + doubled;
        if (!doubled) break;
    }
    if (p < end && *p != ',') return QUOTED_BAD;
    if (copy) csv->scratch.len += n_copy;
    add_field(csv, copy ? copy : start, copy ? n_copy : (size_t)(p - 1 - start));
    *at = p;
    return QUOTED_OK;
}

static quoted_result split_quoted(loom_csv *csv, const char *at, const char *end)
{
    csv->n_fields = 0;
    loom_buf_reset(&csv->scratch);
    /* no growth below: fields point into it. Without memory the record is bad, which core/nomem.h keeps from every
     * result. */
    if (!loom_buf_reserve(&csv->scratch, (size_t)(end - at) + 1)) return QUOTED_BAD;
    for (;;) {
        if (at < end && *at == '"') {
            at++;
            quoted_result r = take_quoted(csv, &at, end);
            if (r != QUOTED_OK) return r;
        } else {
            const char *comma = memchr(at, ',', (size_t)(end - at));
            add_field(csv, at, (size_t)((comma ? comma : end) - at));
            at = comma ? comma : end;
        }
        if (at == end) return QUOTED_OK;
        at++; /* the comma */
    }
}

/* The end of the line at `at`, without CR; *next is where the following line starts. NULL: not in the text yet. */
static const char *line_end(const char *at, const char *end, bool last, const char **next)
{
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    if (!lf && !last) return NULL;
    *next = lf ? lf + 1 : end;
    const char *stop = lf ? lf : end;
    return stop > at && stop[-1] == '\r' ? stop - 1 : stop;
}

/* A record whose first line [at, stop) holds quotes; *next is where the second line starts. */
static loom_csv_kind next_quoted(loom_csv *csv, const char *at, const char *stop, const char **next, const char *end,
                                 bool last, int64_t *n_lines)
{
    const char *after = *next;
    for (int64_t lines = 1;; lines++) {
        quoted_result r = split_quoted(csv, at, stop);
        if (r == QUOTED_OK) {
            if (lines > 1 && csv->n_fields != csv->n_columns) return LOOM_CSV_BAD_QUOTES;
            *next = after;
            *n_lines = lines;
            return LOOM_CSV_RECORD;
        }
        if (r == QUOTED_BAD || lines == LOOM_CSV_JOIN_LINES || after - at > LOOM_CSV_JOIN_BYTES)
            return LOOM_CSV_BAD_QUOTES;
        if (after == end) return last ? LOOM_CSV_BAD_QUOTES : LOOM_CSV_MORE;
        stop = line_end(after, end, last, &after);
        if (!stop) return end - at > LOOM_CSV_JOIN_BYTES ? LOOM_CSV_BAD_QUOTES : LOOM_CSV_MORE;
        if (after - at > LOOM_CSV_JOIN_BYTES) return LOOM_CSV_BAD_QUOTES;
    }
}

loom_csv_kind loom_csv_next(loom_csv *csv, const char **at, const char *end, bool last, int64_t *n_lines)
{
    const char *line = *at, *next = end;
    if (line == end) return LOOM_CSV_END;
    const char *stop = line_end(line, end, last, &next);
    if (!stop) return LOOM_CSV_MORE;

    size_t len = (size_t)(stop - line);
    loom_csv_kind kind = LOOM_CSV_RECORD;
    *n_lines = 1;
    if (len > LOOM_CSV_MAX_LINE) kind = LOOM_CSV_TOO_LONG;
    else if (len == 0) kind = LOOM_CSV_BLANK;
    else if (!memchr(line, '"', len)) split_plain(csv, line, stop);
    else kind = next_quoted(csv, line, stop, &next, end, last, n_lines);
    if (kind == LOOM_CSV_MORE) return kind;
    if (kind == LOOM_CSV_RECORD && memchr(line, 0, (size_t)(next - line))) kind = LOOM_CSV_BAD_BYTES;
    *at = next;
    return kind;
}

/* ---- blocks ---- */

void loom_csv_reader_release(loom_csv_reader *r)
{
    loom_buf_release(&r->carry);
    loom_csv_release(&r->probe);
}

static loom_status fill(loom_csv_reader *r, loom_buf *block, size_t want, loom_err *err)
{
    if (!loom_buf_reserve(block, want > block->len ? want - block->len : 1))
        return loom_fail_nomem(err, "a block of the file");
    while (block->len < want && !r->ended) {
        size_t n;
        LOOM_TRY(loom_in_read(r->in, block->data + block->len, want - block->len, &n, err));
        block->len += n;
        r->bytes += (int64_t)n;
        r->ended = n == 0;
    }
    block->data[block->len] = 0;
    return LOOM_OK;
}

/* The block is one line without an end and longer than allowed: keeps as much of it as makes it too long, and drops
 * the rest of it from the input; what follows the line goes to the carry. */
static loom_status skip_long_line(loom_csv_reader *r, loom_buf *block, loom_err *err)
{
    loom_buf rest = {0};
    loom_status st = LOOM_OK;
    block->len = LOOM_CSV_MAX_LINE + 2;
    while (!r->ended) {
        loom_buf_reset(&rest);
        if ((st = fill(r, &rest, 256 << 10, err)) != LOOM_OK) break;
        char *lf = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
        if (!lf) continue;
        loom_buf_append(&r->carry, lf + 1, rest.len - (size_t)(lf + 1 - rest.data));
        loom_buf_char(block, '\n');
        break;
    }
    loom_buf_release(&rest);
    return st;
}

/* Length of the whole records at the front of the block. */
static size_t whole_records(loom_csv_reader *r, const loom_buf *block)
{
    const char *end = block->data + block->len;
    if (!memchr(block->data, '"', block->len)) {
        const char *lf = memrchr(block->data, '\n', block->len);
        return lf ? (size_t)(lf + 1 - block->data) : 0;
    }
    const char *at = block->data;
    int64_t lines;
    r->probe.n_columns = r->n_columns;
    for (;;) {
        loom_csv_kind kind = loom_csv_next(&r->probe, &at, end, false, &lines);
        if (kind == LOOM_CSV_MORE || kind == LOOM_CSV_END) return (size_t)(at - block->data);
    }
}

loom_status loom_csv_reader_header(loom_csv_reader *r, loom_csv *csv, loom_csv_kind *kind, int64_t *n_lines,
                                   loom_err *err)
{
    LOOM_TRY(fill(r, &r->carry, LOOM_CSV_MAX_LINE + LOOM_CSV_JOIN_BYTES, err));
    const char *at = r->carry.data, *end = at + r->carry.len;
    int64_t taken = 0;
    if (r->carry.len >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3;
    *n_lines = 0;
    do {
        *kind = loom_csv_next(csv, &at, end, r->ended, &taken);
        if (*kind == LOOM_CSV_MORE || *kind == LOOM_CSV_END) break;
        *n_lines += taken;
    } while (*kind == LOOM_CSV_BLANK);
    r->used = (size_t)(at - r->carry.data);
    r->n_columns = csv->n_columns = csv->n_fields;
    return LOOM_OK;
}

loom_status loom_csv_reader_block(loom_csv_reader *r, loom_buf *block, size_t *whole, bool *last, loom_err *err)
{
    loom_buf_reset(block);
    loom_buf_append(block, loom_buf_text(&r->carry) + r->used, r->carry.len - r->used);
    loom_buf_reset(&r->carry);
    r->used = 0;
    LOOM_TRY(fill(r, block, LOOM_CSV_BLOCK, err));
    *last = r->ended;
    *whole = block->len;
    if (r->ended) return LOOM_OK;
    *whole = whole_records(r, block);
    if (*whole == 0) {
        LOOM_TRY(skip_long_line(r, block, err));
        *whole = block->len;
        *last = r->ended && r->carry.len == 0;
        return LOOM_OK;
    }
    loom_buf_append(&r->carry, block->data + *whole, block->len - *whole);
    return LOOM_OK;
}
