/* Errors: a status to branch on and a sentence for a person.
 *
 * Library code never prints and never exits. A function that can fail returns a loom_status and, on failure,
 * leaves in *err one sentence that names the thing, the place and the cure. `err` may be NULL where the caller
 * does not care for the sentence. Out-parameters are untouched on failure unless a header says otherwise. */
#ifndef LOOM_CORE_ERR_H
#define LOOM_CORE_ERR_H

typedef enum loom_status {
    LOOM_OK = 0,
    LOOM_STATUS_ARG,      /* wrong use: option, configuration key, request         -> exit 2 */
    LOOM_STATUS_IO,       /* the world: file missing, disk full, read error        -> exit 1 */
    LOOM_STATUS_FORMAT,   /* a file or text is not what it should be               -> exit 1 */
    LOOM_STATUS_NOMEM,    /* memory                                                -> exit 1 */
    LOOM_STATUS_NUMERIC,  /* NaN or infinity where a number was needed             -> exit 1 */
    LOOM_STATUS_VERDICT,  /* ran, but the verdict is negative                      -> exit 3 */
    LOOM_STATUS_INTERRUPT /* stopped by SIGINT or SIGTERM after tidying up         -> exit 130 */
} loom_status;

typedef struct loom_err {
    loom_status status;
    char msg[1024];
} loom_err;

/* Records status and sentence, returns the status:  return loom_fail(err, LOOM_STATUS_IO, "cannot open %s", path);
 * Control characters in it are escaped (core/escape.h), so that any name or piece of a file can be quoted. */
loom_status loom_fail(loom_err *err, loom_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<fmt>: " in front of the recorded sentence; returns the recorded status. */
loom_status loom_err_in(loom_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* loom_fail with LOOM_STATUS_NOMEM and a standard sentence; sets the mark of core/nomem.h, so that a caller which
 * goes on without what failed cannot make a result of it. */
loom_status loom_fail_nomem(loom_err *err, const char *what);

/* The process exit code that belongs to a status (see the enum). */
int loom_exit_code(loom_status status);

/* Return on failure; only where nothing is owned yet. */
#define LOOM_TRY(expr)                                                                                                 \
    do {                                                                                                               \
        loom_status loom_try_status_ = (expr);                                                                         \
        if (loom_try_status_ != LOOM_OK) return loom_try_status_;                                                      \
    } while (0)

#endif
