#include "core/buf.h"

#include <math.h>

#include "core/nomem.h"

/* What a buffer points to that never got memory: readers of `data` need not ask for NULL once they have appended.
 * Nothing but its NUL is ever written to it. */
static char nothing[1];

static bool fail(loom_buf *b)
{
    loom_nomem_note();
    b->failed = true;
    b->cap = b->len; /* later appends are dropped too: never a text with a hole in it */
    if (!b->data) b->data = nothing;
    return false;
}

void loom_buf_release(loom_buf *b)
{
    if (b->data != nothing) free(b->data);
    *b = (loom_buf){0};
}

bool loom_buf_grow_(loom_buf *b, size_t extra)
{
    size_t need, cap = b->cap < 64 ? 64 : b->cap;
    if (b->failed) return false;
    if (__builtin_add_overflow(b->len, extra, &need) || need > SIZE_MAX / 4) return fail(b);
    while (cap <= need) cap += cap / 2;
    char *data = realloc(b->data, cap);
    if (!data) return fail(b);
    b->data = data;
    b->cap = cap;
    return true;
}

bool loom_buf_reserve(loom_buf *b, size_t extra)
{
    if (b->cap - b->len <= extra && !loom_buf_grow_(b, extra)) return false;
    b->data[b->len] = 0;
    return true;
}

loom_status loom_buf_check(const loom_buf *b, const char *what, loom_err *err)
{
    return b->failed ? loom_fail_nomem(err, what) : LOOM_OK;
}

char *loom_buf_take(loom_buf *b)
{
    char *data = NULL;
    if (loom_buf_reserve(b, 0) && !b->failed) {
        data = b->data;
        b->data = NULL;
    }
    loom_buf_release(b);
    return data;
}

void loom_buf_vprintf(loom_buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = 0;
    if (loom_buf_reserve(b, 128) && (n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args)) > 0 &&
        (size_t)n >= b->cap - b->len) {
        b->data[b->len] = 0; /* not the beginning alone */
        if (loom_buf_reserve(b, (size_t)n)) vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
        else n = 0;
    }
    va_end(again);
    if (n < 0) fail(b); /* vsnprintf itself had no memory */
    if (n > 0) b->len += (size_t)n;
}

void loom_buf_printf(loom_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    loom_buf_vprintf(b, fmt, args);
    va_end(args);
}

void loom_buf_i64(loom_buf *b, int64_t value)
{
    char digits[24];
    size_t i = sizeof digits;
    uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (value < 0) digits[--i] = '-';
    loom_buf_append(b, digits + i, sizeof digits - i);
}

void loom_buf_f64(loom_buf *b, double value)
{
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    /* 30, not the equally short 3e+01 */
    if (strchr(text, 'e') && fabs(value) >= 1 && fabs(value) < 1e15) snprintf(text, sizeof text, "%.0f", value);
    loom_buf_str(b, text);
}
