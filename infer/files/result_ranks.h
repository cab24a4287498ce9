/* Results of a run that several ranks share (core/ranks.h): each has made a stretch of the graphs, the first ones
 * rank 0, which writes those of all, one after the other: the files of a single process. */
#ifndef LOOM_INFER_RESULT_RANKS_H
#define LOOM_INFER_RESULT_RANKS_H

#include "infer/engine/engine.h"
#include "infer/files/result_files.h"

/* Of `count` results from *first on: those of this rank. */
void loom_result_ranks_cut(int64_t *first, int64_t *count);
/* Collective, after the last result. Adds to rank 0's totals, and puts into *others what the engines of the others
 * counted. */
loom_status loom_result_ranks_join(loom_result_files *r, loom_gen_totals *totals, loom_engine_counts *others,
                                   const loom_engine_counts *mine, loom_err *err);

#endif
