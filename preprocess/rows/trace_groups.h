/* Rows grouped by trace, and the traces in the order of the output. Knows rows only by their trace and timestamp.
 *
 *   starts    [ 0 | 2 | 2 | 5 ]                 trace 0 has two rows, trace 1 none, trace 2 three
 *   refs      [ . . | . . . ]                   its rows, in the order of the file
 *   order     [ {time of day, 2}, {.., 0} ]     traces that have rows: by time of day, then by id */
#ifndef LOOM_PREPROCESS_ROWS_TRACE_GROUPS_H
#define LOOM_PREPROCESS_ROWS_TRACE_GROUPS_H

#include "readers/rows/row_reader.h"

/* A trace in the order of the output. */
typedef struct loom_trace_key {
    uint32_t time_of_day, trace; /* time_of_day: of its first timestamp, ms */
} loom_trace_key;

typedef struct loom_trace_groups {
    uint32_t *starts;      /* (n_traces + 1): rows starts[t] .. starts[t + 1] - 1 of `refs` belong to trace t */
    uint32_t *refs;        /* (rows) chunk << 16 | row, see row_tables.h */
    loom_trace_key *order; /* (n) */
    size_t n;              /* traces with rows */
    int64_t bytes;         /* memory that the grouping took, with the rows */
} loom_trace_groups;       /* zero-initialised may be released */

static inline const loom_raw_row *loom_raw_row_at(const loom_chunks *chunks, uint32_t ref)
{
    return &chunks->items[ref >> 16].rows[ref & 0xffff];
}

/* `segments` in the order of the file; `traces` are the ids of the traces that rows name by number, sealed. NOMEM. */
loom_status loom_trace_groups_make(loom_trace_groups *g, const loom_chunks *chunks, const loom_segment *segments,
                                   size_t n_segments, const loom_texts *traces, loom_err *err);
void loom_trace_groups_release(loom_trace_groups *g);

#endif
