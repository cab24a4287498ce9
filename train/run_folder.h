/* The folder of a run: locked while it is at work, and the checkpoint in it to go on from.
 *
 * step-*.h5 (to go on), model.h5 or adapter.h5 (the result), best.h5 (lowest validation loss), curve.csv and its
 * picture, training.json; run.lock while a run is at work. */
#ifndef LOOM_TRAIN_RUN_FOLDER_H
#define LOOM_TRAIN_RUN_FOLDER_H

#include "train/run_identity.h"

typedef struct loom_run_folder {
    const char *dir; /* borrowed; NULL: not opened */
    int lock;        /* of run.lock while dir is set */
    bool made;       /* it was not there before */
    char *newest;    /* the checkpoint to go on from; NULL: a new run */
} loom_run_folder;   /* zero-initialised is ready */

/* Makes and locks the folder: one run at a time; the lock dies with the process. */
loom_status loom_run_folder_open(loom_run_folder *f, const char *dir, loom_err *err);
/* Opens the newest intact checkpoint, which must be one of this run; *c stays NULL for a new one. With `force` what the
 * folder holds is thrown away if it cannot be gone on with; what is done is not repeated. */
loom_status loom_run_folder_find(loom_run_folder *f, loom_ckpt **c, const loom_run_identity *id,
                                 const loom_shard_info *train, bool force, loom_err *err);
/* Unlocks; leaves nothing of a run that failed before it wrote anything. */
void loom_run_folder_close(loom_run_folder *f);

#endif
