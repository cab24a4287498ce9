/* What a long run has done so far: FILE.partial, one line for each result, in order. A run that is stopped, by Ctrl-C
 * or by kill -9, finds its lines again and goes on behind them.
 *
 *   loom_partial *p = NULL;
 *   LOOM_TRY(loom_partial_open(&p, "x.answers.jsonl", key, err));      finds lines of the same run, or begins
 *   int64_t done = loom_partial_count(p);
 *   LOOM_TRY(loom_partial_each(p, again, &state, err));                the lines that are there
 *   LOOM_TRY(loom_partial_add(p, line, len, err));                     whole lines, LF included; reach the disk soon
 *   LOOM_TRY(loom_partial_copy(p, out, err));                          all lines, at the end of the run
 *   loom_partial_close(&p, true);                                      true: remove the file
 *
 * The first line names the run by `key`, a hash of everything its results depend on. */
#ifndef LOOM_INFER_RESUME_LOG_H
#define LOOM_INFER_RESUME_LOG_H

#include "core/file.h"
#include "core/hash.h"

typedef struct loom_partial loom_partial;

/* ARG when there is a partial file of another run, IO when another process is at work on it (it is locked until close). A
 * line cut off by a crash is forgotten. */
loom_status loom_partial_open(loom_partial **out, const char *path, loom_hash128 key, loom_err *err);
int64_t loom_partial_count(const loom_partial *p);
loom_status loom_partial_each(loom_partial *p,
                              loom_status (*fn)(void *arg, const char *line, size_t len, loom_err *err), void *arg,
                              loom_err *err);
loom_status loom_partial_add(loom_partial *p, const char *line, size_t len, loom_err *err);
loom_status loom_partial_copy(loom_partial *p, loom_out *out, loom_err *err);
void loom_partial_close(loom_partial **p, bool remove);

#endif
