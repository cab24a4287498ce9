/* What is said to people goes to stderr through here (never from library floors above core: they return errors).
 * Levels: quiet (errors and warnings only), normal, verbose. */
#ifndef LOOM_CORE_LOG_H
#define LOOM_CORE_LOG_H

typedef enum loom_log_level { LOOM_LOG_QUIET, LOOM_LOG_NORMAL, LOOM_LOG_VERBOSE } loom_log_level;

void loom_log_set_level(loom_log_level level);                                 /* once, in main */
void loom_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   /* always, "program: ..." */
void loom_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* always, "program: warning: ..." */
void loom_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* not with --quiet */
void loom_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* only with --verbose */
void loom_log_mute(void); /* nothing from now on, not even errors: another process says it */
void loom_log_unmute(void);
const char *loom_log_program(void);
void loom_log_set_program(const char *name);

#endif
