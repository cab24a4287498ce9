#include "core/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/escape.h"

static loom_log_level level_ = LOOM_LOG_NORMAL;
static const char *program_ = "loom";
static bool mute_;

void loom_log_set_level(loom_log_level level) { level_ = level; }
void loom_log_mute(void) { mute_ = true; }
void loom_log_unmute(void) { mute_ = false; }
const char *loom_log_program(void) { return program_; }
void loom_log_set_program(const char *name) { program_ = name; }

/* Lines may quote anything, and a terminal obeys what it finds in them. */
static void say(const char *prefix, const char *fmt, va_list args)
{
    char raw[4096], shown[4096];
    if (mute_) return;
    int n = vsnprintf(raw, sizeof raw, fmt, args);
    loom_escape_into(shown, sizeof shown, raw, n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1);
    flockfile(stderr);
    if (prefix) fprintf(stderr, "%s%s", program_, prefix);
    fputs(shown, stderr);
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
