/* Files of one JSON object a line (prompts), read the same way everywhere.
 *
 *   static loom_status take(void *job, const loom_json *root, int64_t number, loom_err *err);
 *   LOOM_TRY(loom_jsonl_read(path, "prompts", "loom-eval prompts", take, &job, err));
 */
#ifndef LOOM_EVAL_JSONL_H
#define LOOM_EVAL_JSONL_H

#include "core/json.h"

/* `root` is borrowed until the call returns; `number` is the line's, from 1. */
typedef loom_status (*loom_jsonl_fn)(void *arg, const loom_json *root, int64_t number, loom_err *err);

/* A reader of usual lines that builds no tree: false leaves the line to loom_jsonl_fn, true ends it with *st. */
typedef bool (*loom_jsonl_quick_fn)(void *arg, const char *line, size_t len, int64_t number, loom_status *st,
                                    loom_err *err);

/* Calls `take` for every line that `quick` (may be NULL) leaves. `what` ("prompts") and `maker` (the command that
 * writes such files) go into messages. A line that is no JSON and a file without a line are FORMAT errors. */
loom_status loom_jsonl_read(const char *path, const char *what, const char *maker, loom_jsonl_quick_fn quick,
                            loom_jsonl_fn take, void *arg, loom_err *err);

#endif
