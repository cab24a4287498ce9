/* Calls by themselves, without the graphs that they belong to: what a generator of table rows makes (*.calls.zst).
 *
 *   source|destination|type|start|response_time          the first line, as it stands here
 *   USER|MS_00012|http|0|35                               one call a line; ms
 *
 * Names hold no '|' and no white space, so nothing is quoted. */
#ifndef LOOM_EVAL_CALL_TABLE_H
#define LOOM_EVAL_CALL_TABLE_H

#include <stdbool.h>

#include "core/file.h"
#include "trace/graph/callgraph.h"

#define LOOM_CALL_TABLE_HEADER "source|destination|type|start|response_time"

/* *is: the first line of the file, in any container, is the header. */
loom_status loom_call_table_is(bool *is, const char *path, loom_err *err);

typedef loom_status (*loom_call_table_fn)(void *arg, const loom_call *call, loom_err *err);
/* Calls fn for every call, whose id is "0"; a line that is none is a FORMAT error with its place. */
loom_status loom_call_table_read(const char *path, loom_call_table_fn fn, void *arg, loom_err *err);

loom_status loom_call_table_begin(loom_out *out, loom_err *err);
loom_status loom_call_table_write(loom_out *out, const loom_call *call, loom_err *err);

#endif
