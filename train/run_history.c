#include "train/run_history.h"

#include <stdlib.h>

#include "model/model_files.h"
#include "train/snapshot.h"

loom_status loom_run_history_start(loom_run_history *r, const char *start, loom_err *err)
{
    loom_model_kind kind;
    char *file = NULL;

    LOOM_TRY(loom_model_find(&file, &kind, start, err));
    loom_status st = kind == LOOM_MODEL_KIND_CKPT ? loom_training_find(&r->start, file, err) : LOOM_OK;
    free(file);
    return st;
}

void loom_run_history_restore(loom_run_history *r, const loom_ckpt *c)
{
    size_t len = 0;
    const char *list = c ? loom_ckpt_text(c, LOOM_SNAPSHOT_MACHINES, &len) : NULL;

    loom_buf_reset(&r->machines);
    loom_buf_str(&r->machines, list ? list : "[]");
}

loom_status loom_run_history_machine(loom_run_history *r, const loom_ckpt *c, int64_t threads, int ranks, loom_err *err)
{
    if (c) loom_run_history_restore(r, c);
    if (c && strcmp(loom_buf_text(&r->machines), "[]") == 0) return LOOM_OK;
    return loom_training_add_machine(&r->machines, threads, ranks, err);
}

loom_status loom_run_history_write(const loom_run_history *r, const char *checkpoint, loom_training *t, loom_err *err)
{
    if (r->machines.len > 2) t->machines = r->machines.data;
    if (r->start.len) t->start_training = r->start.data;
    return loom_training_write(checkpoint, t, err);
}

void loom_run_history_release(loom_run_history *r)
{
    loom_buf_release(&r->machines);
    loom_buf_release(&r->start);
}
