/* Writing a model as adapt, average, export and merge do: with how it was made, as a checkpoint or as a Hugging Face
 * folder. */
#ifndef LOOM_TRAIN_WRITE_MODEL_H
#define LOOM_TRAIN_WRITE_MODEL_H

#include "core/cli.h"
#include "core/meta.h"
#include "train/hf.h"

/* --dtype of export and merge. */
#define WRITE_DTYPES "auto|f32|f16|bf16"
enum { WRITE_AUTO, WRITE_F32, WRITE_F16, WRITE_BF16 };
/* auto: as stored. */
loom_dtype loom_write_dtype(int choice, const loom_model_files *b);

/* Writes b to `path`: a checkpoint if the name ends in .h5 or `checkpoint` is set, else a folder. `made` says what
 * it was made of; how->meta is set from it. */
loom_status loom_write_model(const char *path, bool checkpoint, const loom_ctx *ctx, const loom_model_files *b,
                             loom_hf_how *how, loom_meta *made, loom_err *err);

#endif
