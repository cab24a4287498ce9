/* What a run tells of itself in training.json: the machines that it ran on, gathered over its parts, and where it
 * began. */
#ifndef LOOM_TRAIN_RUN_HISTORY_H
#define LOOM_TRAIN_RUN_HISTORY_H

#include "model/training.h"
#include "store/ckpt.h"

typedef struct loom_run_history {
    loom_buf machines; /* JSON list; "[]": not known of all parts */
    loom_buf start;    /* the start's training.json; empty: not known */
} loom_run_history;    /* zero-initialised is ready */

/* Reads training.json of the model that the run starts from, as it lies there now. */
loom_status loom_run_history_start(loom_run_history *r, const char *start, loom_err *err);
/* Before the first step of a part: `c` is the checkpoint it goes on from, NULL at the beginning. One of an older
 * version does not say what computed it; then the list stays empty for good. */
loom_status loom_run_history_machine(loom_run_history *r, const loom_ckpt *c, int64_t threads, int ranks,
                                     loom_err *err);
/* The same when there is nothing left to compute: the machines as the checkpoint has them. */
void loom_run_history_restore(loom_run_history *r, const loom_ckpt *c);
/* Fills in machines and the start's training of *t and writes the file. */
loom_status loom_run_history_write(const loom_run_history *r, const char *checkpoint, loom_training *t, loom_err *err);
void loom_run_history_release(loom_run_history *r);

#endif
