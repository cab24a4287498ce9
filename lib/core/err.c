#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

loom_status loom_fail(loom_err *err, loom_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        err->status = status;
        va_start(args, fmt);
        vsnprintf(err->msg, sizeof err->msg, fmt, args);
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
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 3 <= sizeof err->msg) { /* as much of the old sentence as fits */
        char *to = err->msg + n;
        size_t len = strnlen(old, sizeof err->msg - (size_t)n - 3);
        memcpy(to, ": ", 2);
        memcpy(to + 2, old, len);
        to[2 + len] = 0;
    }
    return err->status;
}

loom_status loom_fail_nomem(loom_err *err, const char *what)
{
    return loom_fail(err, LOOM_STATUS_NOMEM, "not enough memory for %s", what);
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
