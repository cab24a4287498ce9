/* Calls of graphs as rows of a table (learn/tvae.h): source, destination and type as classes, start and response
 * time as numbers; a random sample of them where there are more than wanted. */
#ifndef LOOM_EVAL_CALL_ROWS_H
#define LOOM_EVAL_CALL_ROWS_H

#include "core/hash.h"
#include "learn/tvae.h"
#include "trace/graph/callgraph.h"

enum { LOOM_CALL_ROWS_DISCRETE = 3, LOOM_CALL_ROWS_CONTINUOUS = 2 };

typedef struct loom_call_rows {
    loom_intern sources, destinations;
    int32_t *discrete;  /* (n, 3): source, destination, type */
    double *continuous; /* (n, 2): start, response time; ms */
    int32_t classes[LOOM_CALL_ROWS_DISCRETE];
    int64_t n, seen; /* rows kept; calls seen */
} loom_call_rows;    /* zero-initialised is ready */

/* A sample of `most` calls of the valid graphs of a file, every call equally likely (reservoir sampling). FORMAT
 * when there is none. */
loom_status loom_call_rows_load(loom_call_rows *r, const char *path, int64_t most, uint64_t seed, loom_err *err);
loom_table loom_call_rows_table(const loom_call_rows *r);
/* The call that a row means; its names are borrowed from r. Times are rounded, and 0 where they are below. */
loom_call loom_call_rows_call(const loom_call_rows *r, const int32_t *discrete, const double *continuous);
void loom_call_rows_release(loom_call_rows *r);

#endif
