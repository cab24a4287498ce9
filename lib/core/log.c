#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>

static loom_log_level level_ = LOOM_LOG_NORMAL;
static const char *program_ = "loom";

void loom_log_set_level(loom_log_level level) { level_ = level; }
void loom_log_set_program(const char *name) { program_ = name; }

static void say(const char *prefix, const char *fmt, va_list args)
{
    flockfile(stderr);
    if (prefix) fprintf(stderr, "%s%s", program_, prefix);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    funlockfile(stderr);
}

#define SAY(prefix)                                                                                                    \
    va_list args;                                                                                                      \
    va_start(args, fmt);                                                                                               \
    say(prefix, fmt, args);                                                                                            \
    va_end(args)

void loom_error(const char *fmt, ...) { SAY(": "); }
void loom_warn(const char *fmt, ...) { SAY(": warning: "); }

void loom_info(const char *fmt, ...)
{
    if (level_ < LOOM_LOG_NORMAL) return;
    SAY(NULL);
}

void loom_verbose(const char *fmt, ...)
{
    if (level_ < LOOM_LOG_VERBOSE) return;
    SAY(NULL);
}
