/* A file turned into graphs by another rank (core/ranks.h): what it made goes in a parcel to rank 0,
 * whose job then stands as if it had read the file itself.
 *
 *   another rank: LOOM_TRY(loom_graphs_away_make(&bytes, &job, path, err));
 *   rank 0:       LOOM_TRY(loom_graphs_away_take(&job, &bytes, path, err));
 *
 * With renaming, names need to know those of the files before: rank 0 gives the graphs of spans and stores their
 * numbers, and a file that holds a table is left to it. */
#ifndef LOOM_PREPROCESS_ROWS_GRAPHS_AWAY_H
#define LOOM_PREPROCESS_ROWS_GRAPHS_AWAY_H

#include "preprocess/rows/csv_graphs.h"

/* job: its rules, threads and which outputs it has; nothing of it changes. */
loom_status loom_graphs_away_make(loom_buf *into, const loom_graphs_job *job, const char *path, loom_err *err);
loom_status loom_graphs_away_take(loom_graphs_job *job, const loom_buf *from, const char *path, loom_err *err);

#endif
