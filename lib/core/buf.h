/* Growable byte buffer; always NUL-terminated, so data can be used as a C string.
 *
 *   loom_buf b = {0};
 *   loom_buf_printf(&b, "%s:%d", name, line);
 *   ...
 *   loom_buf_release(&b);
 *
 * Appending hands up no status. When memory runs out, the buffer keeps what it held, is marked as failed until its
 * release, and drops what would not fit. Who makes a result of the content asks first: loom_buf_check, or
 * loom_buf_failed. A forgotten question cannot do harm (core/nomem.h): no output gets its name any more. */
#ifndef LOOM_CORE_BUF_H
#define LOOM_CORE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/err.h"

typedef struct loom_buf {
    char *data; /* NULL until the first append; then data[len] == 0 */
    size_t len, cap;
    bool failed; /* memory ran out: something is missing */
} loom_buf;

void loom_buf_release(loom_buf *b);
/* Room for `extra` more bytes, to be written at data + len; false: no memory. */
bool loom_buf_reserve(loom_buf *b, size_t extra) __attribute__((warn_unused_result));
bool loom_buf_grow_(loom_buf *b, size_t extra); /* slow path of the inlines below */
void loom_buf_printf(loom_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void loom_buf_vprintf(loom_buf *b, const char *fmt, va_list args);
void loom_buf_i64(loom_buf *b, int64_t value); /* decimal */
void loom_buf_f64(loom_buf *b, double value);  /* shortest text that reads back the same; value is finite */

static inline void loom_buf_reset(loom_buf *b)
{
    b->len = 0;
    if (b->data) b->data[0] = 0;
}

static inline void loom_buf_append(loom_buf *b, const void *bytes, size_t n)
{
    if (b->cap - b->len <= n && !loom_buf_grow_(b, n)) return;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
}

static inline void loom_buf_str(loom_buf *b, const char *text) { loom_buf_append(b, text, strlen(text)); }
static inline void loom_buf_char(loom_buf *b, char c) { loom_buf_append(b, &c, 1); }

/* The text, "" when nothing was appended. Borrowed until the next append. */
static inline const char *loom_buf_text(const loom_buf *b) { return b->data ? b->data : ""; }

static inline bool loom_buf_failed(const loom_buf *b) { return b->failed; }
/* LOOM_STATUS_NOMEM with a sentence when something is missing in the buffer. `what`: "the report". */
loom_status loom_buf_check(const loom_buf *b, const char *what, loom_err *err);

/* The text as a block of its own for free(), the buffer empty again; NULL when memory ran out, now or before. */
char *loom_buf_take(loom_buf *b);

#include "core/banned.h"
#endif
