/* The raw rows of a trace as a collector would have written them: second records, duplicates, lost and damaged rows
 * (quirks), and the order in which they reach the files. */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_ROWS_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preprocess/samples/sample_trace.h"

typedef enum loom_sample_quirk {
    LOOM_SAMPLE_Q_CALLEE_VIEW,  /* an rpc call recorded again by the callee, inside the caller's record */
    LOOM_SAMPLE_Q_DUPLICATE,    /* identical second row */
    LOOM_SAMPLE_Q_COLLISION,    /* two different calls share an rpc_id */
    LOOM_SAMPLE_Q_REPEATED_ID,  /* an rpc_id seen three or four times */
    LOOM_SAMPLE_Q_UM_UNKNOWN,   /* caller unknown */
    LOOM_SAMPLE_Q_DM_UNKNOWN,   /* callee unknown */
    LOOM_SAMPLE_Q_TYPE_UNKNOWN, /* rpctype unknown */
    LOOM_SAMPLE_Q_NO_ROOT,      /* the root's rows are missing */
    LOOM_SAMPLE_Q_HOLE,         /* the rows of an inner call are missing */
    LOOM_SAMPLE_Q_SKEW,         /* a call ends after its parent */
    LOOM_SAMPLE_Q_UM_MISMATCH,  /* the caller is not the parent's callee */
    LOOM_SAMPLE_Q_MALFORMED,    /* too few or too many columns */
    LOOM_SAMPLE_Q_NEGATIVE_RT,
    LOOM_SAMPLE_Q_EMPTY_RT,
    LOOM_SAMPLE_Q_STRADDLE, /* rows in two files */
    LOOM_SAMPLE_QUIRKS
} loom_sample_quirk;
extern const char *const loom_sample_quirk_names[LOOM_SAMPLE_QUIRKS];

typedef struct loom_sample_row {
    int32_t call;    /* what it records */
    int32_t id_call; /* whose rpc_id it carries: the same unless ids collide */
    int32_t um;      /* name, LOOM_SAMPLE_USER for the root */
    int32_t um_pod;
    int64_t timestamp, rt;
    int64_t written; /* when it reaches the file: timestamp + 0 .. 50 ms */
    int32_t file;
    int32_t columns; /* of 11 that are written; 12: one too many */
    bool um_unknown, dm_unknown, type_unknown, no_rt;
    bool um_unavailable; /* how the unknown caller is spelt */
} loom_sample_row;

typedef struct loom_sample_rows {
    loom_sample_row *rows; /* in the order they were made: ties of `written` keep it */
    int32_t n, cap;
    uint32_t quirks; /* bit per loom_sample_quirk seen in this trace */
} loom_sample_rows;  /* zero-initialised is ready; reused from trace to trace */

/* Fills *rows from a drawn trace. Without conf.quirks: one faithful row per call. */
void loom_sample_rows_make(const loom_sample_world *world, const loom_sample_trace *trace, loom_sample_rows *rows);
void loom_sample_rows_release(loom_sample_rows *rows);

/* The file that a moment (ms since the start of the window) falls into: equal parts of the window, the last open-ended.
 */
int32_t loom_sample_file_at(const loom_sample_conf *conf, int64_t ms);

/* True when cleaning drops this row for what is written in it (docs/VALIDITY.md section 1, steps 1 to 6). */
bool loom_sample_row_unusable(const loom_sample_row *row);

#define LOOM_SAMPLE_HEADER "timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt\n"
/* Appends the CSV line with LF. */
void loom_sample_row_text(loom_buf *into, const loom_sample_world *world, const loom_sample_trace *trace,
                          const loom_sample_row *row);

#endif
