#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/escape.h"
#include "core/nomem.h"

/* Formats the sentence. It quotes names and pieces of files, so what a terminal would obey is escaped. */
static void set_sentence(loom_err *err, const char *fmt, va_list args)
{
    char raw[sizeof err->msg + 64]; /* longer than the sentence, so that a cut is seen */
    int n = vsnprintf(raw, sizeof raw, fmt, args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1;
    loom_escape_into(err->msg, sizeof err->msg, raw, len);
}

loom_status loom_fail(loom_err *err, loom_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        err->status = status;
        va_start(args, fmt);
        set_sentence(err, fmt, args);
        va_end(args);
    }
    return status;
}

loom_status loom_err_in(loom_err *err, const char *fmt, ...)
{
    if (!err) return LOOM_STATUS_IO;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list args;
    va_start(args, fmt);
    set_sentence(err, fmt, args);
    va_end(args);
    size_t n = strlen(err->msg);
    if (n + 3 <= sizeof err->msg) { /* as much of the old sentence as fits */
        memcpy(err->msg + n, ": ", 2);
        loom_escape_into(err->msg + n + 2, sizeof err->msg - n - 2, old, strnlen(old, sizeof old));
    }
    return err->status;
}

loom_status loom_fail_nomem(loom_err *err, const char *what)
{
    loom_nomem_note();
    return loom_fail(err, LOOM_STATUS_NOMEM, "out of memory for %s; free some memory and run the command again", what);
}

int loom_exit_code(loom_status status)
{
    switch (status) {
    case LOOM_OK: return 0;
    case LOOM_STATUS_ARG: return 2;
    case LOOM_STATUS_VERDICT: return 3;
    case LOOM_STATUS_INTERRUPT: return 130;
    case LOOM_STATUS_IO:
    case LOOM_STATUS_FORMAT:
    case LOOM_STATUS_NOMEM:
    case LOOM_STATUS_NUMERIC: return 1;
    }
    return 1;
}
