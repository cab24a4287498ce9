/* The names that a trained model carries: those of its training shards, and of the model that it was tuned from. */
#ifndef LOOM_TRAIN_RUN_NAMES_H
#define LOOM_TRAIN_RUN_NAMES_H

#include "core/buf.h"
#include "train/loader.h"

/* Appends the text (trace/names.h) of the names of all shards and of `base` (NULL: none). Nothing when no file has
 * any: they were made by an older version. */
loom_status loom_run_names(loom_buf *into, const loom_loader *shards, const char *base, size_t base_len, loom_err *err);

#endif
