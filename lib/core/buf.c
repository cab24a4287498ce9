#include "core/buf.h"

#include <math.h>

static void out_of_memory(void)
{
    static const char text[] = "out of memory for text; free some memory and run the command again\n";
    fwrite(text, 1, sizeof text - 1, stderr);
    abort();
}

void loom_buf_release(loom_buf *b)
{
    free(b->data);
    *b = (loom_buf){0};
}

void loom_buf_grow_(loom_buf *b, size_t extra)
{
    size_t need, cap = b->cap < 64 ? 64 : b->cap;
    if (__builtin_add_overflow(b->len, extra, &need) || need > SIZE_MAX / 4) out_of_memory();
    while (cap <= need) cap += cap / 2;
    char *data = realloc(b->data, cap);
    if (!data) out_of_memory();
    b->data = data;
    b->cap = cap;
}

void loom_buf_reserve(loom_buf *b, size_t extra)
{
    if (b->cap - b->len <= extra) loom_buf_grow_(b, extra);
    b->data[b->len] = 0;
}

void loom_buf_vprintf(loom_buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    loom_buf_reserve(b, 128);
    int n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
    if (n > 0 && (size_t)n >= b->cap - b->len) {
        loom_buf_reserve(b, (size_t)n);
        vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
    }
    va_end(again);
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
