/* Stage 1: rows of CallGraph tables to call graphs (docs/VALIDITY.md), one file after the other, several threads
 * within a file. The output does not depend on the number of threads.
 *
 * Within a file: blocks are read under a lock and taken apart in parallel (lib/readers/rows/row_reader.h); the tables of the
 * threads are joined; rows are grouped by trace with a counting sort that keeps the order of the file; traces are put
 * in the order of the output; graphs are built, checked and rendered in parallel batches, written in order. */
#ifndef LOOM_PREPROCESS_ROWS_CSV_GRAPHS_H
#define LOOM_PREPROCESS_ROWS_CSV_GRAPHS_H

#include "core/json.h"
#include "core/pool.h"
#include "readers/rows/row_reader.h"
#include "preprocess/rows/rename.h"
#include "preprocess/rows/split_traces.h"
#include "trace/graph/validity.h"

/* Rejections of a whole trace beyond those of loom_reason. */
enum {
    LOOM_TRACE_NO_ROWS_LEFT = LOOM_REASONS, /* every row was dropped */
    LOOM_TRACE_TOO_LARGE,                   /* more than LOOM_TRACE_MAX_ROWS rows */
    LOOM_TRACE_FAULTS
};
#define LOOM_TRACE_MAX_ROWS 1000000

const char *loom_trace_fault_name(int fault);

/* What `graphs` may need: a base and this much for every row kept of the largest file (with merge: of all files). Traces
 * of one row each need half as much again. */
#define LOOM_GRAPHS_ROW_BYTES 64
#define LOOM_GRAPHS_BASE_BYTES (256LL << 20)

typedef struct loom_graphs_counts {
    int64_t bytes, rows, kept, short_rows, blank_lines, other_case, repeated_ids;
    int64_t callee_twins, callee_only, moved_calls; /* with service_from_root: see preprocess/rows/record_pairs.h */
    int64_t table_bytes;                 /* memory of the rows kept and their traces; of several files, the most */
    int64_t dropped[LOOM_DROPS];
    int64_t first_line[LOOM_DROPS];      /* of the first such row, 0: none; only for one file */
    int64_t traces, graphs, edges;
    int64_t split_traces;                /* traces that came back in a later file: in pieces, each by itself */
    int64_t rejected[LOOM_TRACE_FAULTS]; /* traces, by their first reason: adds up to traces - graphs */
    int64_t reasons[LOOM_TRACE_FAULTS];  /* traces that have this reason among theirs */
} loom_graphs_counts;

typedef struct loom_graphs_job {
    loom_row_reader_rules rules;        /* type maps, any_case, free_names, keep_dropped; columns are found by the run */
    bool service_from_root;
    bool merge;                     /* all inputs are one table: traces may straddle files */
    bool several;                   /* there is more than one input: traces that come back are counted, unless merged */
    loom_pool *pool;
    loom_rename *rename;            /* NULL: names stay */
    loom_out *out;                  /* the graph store */
    loom_out *dropped, *verdicts;   /* listings, NULL: none */
    bool safe_csv;                  /* `dropped` is a table for spreadsheets */
    void (*progress)(void *arg, int64_t bytes); /* bytes of text read so far; NULL: none */
    void *progress_arg;
    /* results */
    loom_graphs_counts total;
    loom_buf files;                 /* JSON array members, one object for each file */
    int64_t n_files, n_empty_files; /* n_empty_files: gave no graph */
    int64_t most_rows;              /* kept of one file; after loom_graphs_check_file an estimate of its rows */
    bool estimated, unknown;        /* most_rows is; it cannot be told (standard input) */
    loom_intern unlisted;           /* types that were not listed, all files */
    int64_t *unlisted_counts;
    size_t cap_unlisted;
    loom_split_traces ids;          /* traces of the files so far */
    loom_buf first_split;           /* "file, trace T" of the first trace that came back */
    char odd_name[64];              /* a name that the text encodings cannot carry, "" when there is none */
    struct loom_graphs_run *merged; /* with merge: what was read so far */
} loom_graphs_job;

/* Reads one input: a plain or compressed CSV file, every .csv member of a tar file, "-". Its graphs are written, unless
 * they have to wait for the other files (merge). */
loom_status loom_graphs_add_file(loom_graphs_job *job, const char *path, loom_err *err);
/* After the last file. */
loom_status loom_graphs_finish(loom_graphs_job *job, loom_err *err);
/* Opens the input, reads the headers and a block of rows, and estimates how many there are (most_rows). */
loom_status loom_graphs_check_file(loom_graphs_job *job, const char *path, loom_err *err);
/* {"files":[...],"total":{...},"types_not_listed":{...}} */
void loom_graphs_render_report(const loom_graphs_job *job, loom_buf *into);
/* "3 rows: TYPE_NOT_LISTED 2, RT_NULL 1; 1 trace: NO_ROOT 1" for messages. */
void loom_graphs_render_reasons(const loom_graphs_counts *c, loom_buf *into);
void loom_graphs_job_release(loom_graphs_job *job);

#endif
