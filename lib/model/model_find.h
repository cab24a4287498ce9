/* Where a model's files are: what a path that a person gives stands for, without reading weights.
 *
 *   a checkpoint of loom-train (*.h5)                      that file
 *   a run folder                                           model.h5 or adapter.h5 in it when the run has ended,
 *                                                          else the newest intact step-*.h5
 *   a Hugging Face folder (config.json in it)              that folder */
#ifndef LOOM_MODEL_MODEL_FIND_H
#define LOOM_MODEL_MODEL_FIND_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

typedef enum loom_model_kind { LOOM_MODEL_KIND_CKPT, LOOM_MODEL_KIND_HF } loom_model_kind;

/* The caller frees *file. IO when there is none. */
loom_status loom_model_find(char **file, loom_model_kind *kind, const char *path, loom_err *err);

/* Puts dir/name into *path; is it there? */
bool loom_model_file_in(loom_buf *path, const char *dir, const char *name);

#endif
