/* Stage 1: rows of CallGraph tables to call graphs (docs/VALIDITY.md, section 1), one file after the other,
 * several threads within a file. The output does not depend on the number of threads. What is no table, told by its
 * content, goes to other_traces.
 *
 *   row_tables    blocks of the file are read under a lock and taken apart into rows in parallel
 *   row_join      the tables of names of the threads become one
 *   trace_groups  rows are grouped by trace, traces put in the order of the output
 *   graph_build   graphs are built, checked and rendered in parallel batches, written in order
 *
 * with graphs_report below them (what became of rows and traces) and dropped_rows beside (the listing of rows). */
#ifndef LOOM_PREPROCESS_ROWS_CSV_GRAPHS_H
#define LOOM_PREPROCESS_ROWS_CSV_GRAPHS_H

#include "core/file.h"
#include "core/parcel.h"
#include "core/pool.h"
#include "preprocess/rows/graphs_report.h"
#include "preprocess/rows/other_traces.h"
#include "preprocess/rows/split_traces.h"
#include "readers/rows/row_reader.h"
#include "trace/graph/rename.h"

/* What `graphs` may need: a base and this much for every row kept of the largest file (with merge: of all files).
 * Traces of one row each need half as much again. */
#define LOOM_GRAPHS_ROW_BYTES  64
#define LOOM_GRAPHS_BASE_BYTES (256LL << 20)

typedef struct loom_graphs_job {
    loom_row_reader_rules rules; /* type maps, any_case, free_names, keep_dropped; columns are found by the run */
    bool service_from_root;
    bool merge;   /* all inputs are one table: traces may straddle files */
    bool several; /* there is more than one input: traces that come back are counted, unless merged */
    loom_pool *pool;
    loom_rename *rename;                        /* NULL: names stay */
    loom_out *out;                              /* the graph store */
    loom_out *dropped, *verdicts;               /* listings, NULL: none */
    bool safe_csv;                              /* `dropped` is a table for spreadsheets */
    void (*progress)(void *arg, int64_t bytes); /* bytes of text read so far; NULL: none */
    void *progress_arg;
    loom_other_traces other; /* its source's rules are set */
    /* work shared out (graphs_away.h) */
    bool list_dropped, list_verdicts; /* rank 0 writes such listings */
    loom_buf *tables_to;              /* on another rank: what rank 0's report needs of each table; NULL: here */
    bool no_tables;                   /* there: names of tables need to know those of the files before */
    bool left_to_lead;                /* result there: the file holds what only rank 0 can read */
    /* results */
    loom_graphs_report report;
    bool estimated, unknown;        /* report.most_rows is; it cannot be told (standard input) */
    loom_split_traces ids;          /* traces of the files so far */
    loom_buf first_split;           /* "file, trace T" of the first trace that came back */
    char odd_name[64];              /* a name that the text encodings cannot carry, "" when there is none */
    struct loom_graphs_run *merged; /* with merge: what was read so far */
} loom_graphs_job;

/* Reads one input: a plain or compressed file, every member of a tar file, "-". Its graphs are written, unless they
 * have to wait for the other files (merge). Members that are neither .csv nor JSON nor a store are counted as files
 * of other kinds. */
loom_status loom_graphs_add_file(loom_graphs_job *job, const char *path, loom_err *err);
/* After the last file. */
loom_status loom_graphs_finish(loom_graphs_job *job, loom_err *err);
/* Opens the input, reads the headers and a block of rows, and estimates how many there are (report.most_rows). */
loom_status loom_graphs_check_file(loom_graphs_job *job, const char *path, loom_err *err);
/* The report of a table that another rank has read, out of its `tables_to`. */
loom_status loom_graphs_table_enter(loom_graphs_job *job, loom_parcel *tables, loom_err *err);
void loom_graphs_job_release(loom_graphs_job *job);

#endif
