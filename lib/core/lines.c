/* Lines of a stream. */
#include "core/file_impl.h"
#include "core/num.h"

struct loom_lines {
    loom_in *in;
    loom_buf block; /* unread bytes are data[start..len) */
    size_t start;
    int64_t number;
    size_t bound, taken; /* bytes of all lines: at most bound, unless that is 0 */
    bool ended;
};

loom_status loom_lines_open(loom_lines **out, const char *path, loom_err *err)
{
    loom_lines *lines = loom_calloc(1, sizeof *lines);
    if (!lines) return loom_fail_nomem(err, "a line reader");
    loom_status st = loom_in_open(&lines->in, path, err);
    if (st != LOOM_OK) {
        free(lines);
        return st;
    }
    *out = lines;
    return LOOM_OK;
}

void loom_lines_bound(loom_lines *lines, size_t bound) { lines->bound = bound; }

static loom_status too_long(const loom_lines *lines, loom_err *err)
{
    char text[32];
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: a line of more than %s; is it the right file?",
                     loom_in_path(lines->in), (long long)lines->number + 1,
                     loom_format_bytes(text, sizeof text, (double)LOOM_BOUND_LINE));
}

/* Appends one more block; goes on to the next member at the end of one. */
static loom_status lines_fill(loom_lines *lines, loom_err *err)
{
    enum { BLOCK = 256 << 10 };
    if (lines->start > 0) {
        memmove(lines->block.data, lines->block.data + lines->start, lines->block.len - lines->start);
        lines->block.len -= lines->start;
        lines->start = 0;
    }
    if (!loom_buf_reserve(&lines->block, BLOCK)) return loom_fail_nomem(err, "a line");
    for (;;) {
        size_t n;
        bool more;
        LOOM_TRY(loom_in_read(lines->in, lines->block.data + lines->block.len, BLOCK, &n, err));
        if (n > 0) {
            lines->block.len += n;
            lines->block.data[lines->block.len] = 0;
            return LOOM_OK;
        }
        LOOM_TRY(loom_in_next_member(lines->in, &more, err));
        if (!more) {
            lines->ended = true;
            return LOOM_OK;
        }
    }
}

loom_status loom_lines_next(loom_lines *lines, char **line, size_t *len, loom_err *err)
{
    size_t searched = 0;
    for (;;) {
        size_t have = lines->block.len - lines->start;
        char *text = lines->block.data ? lines->block.data + lines->start : NULL;
        char *end = have > searched ? memchr(text + searched, '\n', have - searched) : NULL;
        if (!end && lines->bound && lines->taken + have > lines->bound)
            return loom_fail_bound(err, loom_in_path(lines->in), lines->bound);
        if (!end && have > LOOM_BOUND_LINE) return too_long(lines, err);
        if (!end && !lines->ended) {
            searched = have;
            LOOM_TRY(lines_fill(lines, err));
            continue;
        }
        if (!end && have == 0) {
            *line = NULL;
            *len = 0;
            return LOOM_OK;
        }
        size_t n = end ? (size_t)(end - text) : have;
        lines->start += n + (end != NULL);
        lines->taken += n + 1;
        if (lines->bound && lines->taken > lines->bound)
            return loom_fail_bound(err, loom_in_path(lines->in), lines->bound);
        if (n > 0 && text[n - 1] == '\r') n--;
        text[n] = 0;
        lines->number++;
        *line = text;
        *len = n;
        return LOOM_OK;
    }
}

int64_t loom_lines_number(const loom_lines *lines) { return lines->number; }

void loom_lines_close(loom_lines **lines)
{
    if (!*lines) return;
    loom_in_close(&(*lines)->in);
    loom_buf_release(&(*lines)->block);
    free(*lines);
    *lines = NULL;
}
