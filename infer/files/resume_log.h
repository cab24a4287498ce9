/* What a long run has done so far: FILE.partial, one line for each result, in order. A run that is stopped, by Ctrl-C
 * or by kill -9, finds its lines again and goes on behind them.
 *
 *   loom_resume_log *p = NULL;
 *   LOOM_TRY(loom_resume_log_open(&p, "x.answers.jsonl", key, err));      finds lines of the same run, or begins
 *   int64_t done = loom_resume_log_count(p);
 *   LOOM_TRY(loom_resume_log_each(p, again, &state, err));                the lines that are there
 *   LOOM_TRY(loom_resume_log_add(p, line, len, err));                     whole lines, LF included; reach the disk soon
 *   LOOM_TRY(loom_resume_log_copy(p, out, err));                          all lines, at the end of the run
 *   loom_resume_log_close(&p, true);                                      true: remove the file
 *
 * The first line names the run by `key`, a hash of everything its results depend on. */
#ifndef LOOM_INFER_RESUME_LOG_H
#define LOOM_INFER_RESUME_LOG_H

#include "core/file.h"
#include "core/hash.h"

typedef struct loom_resume_log loom_resume_log;

/* ARG when there is a partial file of another run, IO when another process is at work on it (it is locked until
 * close). A line cut off by a crash is forgotten. */
loom_status loom_resume_log_open(loom_resume_log **out, const char *path, loom_hash128 key, loom_err *err);
int64_t loom_resume_log_count(const loom_resume_log *p);
loom_status loom_resume_log_each(loom_resume_log *p,
                                 loom_status (*fn)(void *arg, const char *line, size_t len, loom_err *err), void *arg,
                                 loom_err *err);
loom_status loom_resume_log_add(loom_resume_log *p, const char *line, size_t len, loom_err *err);
loom_status loom_resume_log_copy(loom_resume_log *p, loom_out *out, loom_err *err);
void loom_resume_log_close(loom_resume_log **p, bool remove);

#endif
