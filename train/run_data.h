/* The shards of a run: those it trains on and the one it is validated on. */
#ifndef LOOM_TRAIN_RUN_DATA_H
#define LOOM_TRAIN_RUN_DATA_H

#include "train/graph_units.h"
#include "train/loader.h"
#include "train/run_plan.h"

typedef struct loom_run_data {
    loom_loader *train;
    loom_loader *valid;     /* NULL without --valid */
    loom_graph_units units; /* with --dp */
} loom_run_data;            /* zero-initialised is ready */

/* Opens them; all must be made with one tokenizer. Says how much there is, and how much is left out.
 * With --dp: finds the graphs and tells p->privacy of them. */
loom_status loom_run_data_open(loom_run_data *d, loom_run_plan *p, char *const *paths, int64_t n_paths, loom_err *err);
/* Steps that `epochs` passes take, the last one perhaps a part. */
int64_t loom_run_data_steps(const loom_run_data *d, double epochs);
size_t loom_run_data_bytes(const loom_run_data *d); /* held in memory */
double loom_run_data_epoch(const loom_run_data *d); /* passes done */
void loom_run_data_release(loom_run_data *d);

#endif
