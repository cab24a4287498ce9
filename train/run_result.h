/* What a run leaves when it is done: the model, training.json beside it, the drawn curve, and the result on stdout. */
#ifndef LOOM_TRAIN_RUN_RESULT_H
#define LOOM_TRAIN_RUN_RESULT_H

#include "train/run_history.h"
#include "train/run_loop.h"

/* base_sum: checksum of the weights that the run started from, "" for random ones. */
loom_status loom_run_result(const loom_run_loop *r, const loom_run_history *told, const char *base_sum, loom_err *err);

#endif
