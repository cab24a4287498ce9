/* Named tensors, whatever they lie in: a group of a checkpoint, or a safetensors file. Used inside lib/model only.
 *
 *   loom_tensor_source s = {.ckpt = c, .group = "tensors/", .path = loom_ckpt_path(c)};
 *                                                                           or {.st = file, .path = dir}
 *   if (loom_tensor_source_find(&view, &s, "model.norm.weight"))
 *       st = loom_tensor_source_read(out, &s, &view, err); */
#ifndef LOOM_MODEL_TENSOR_SOURCE_H
#define LOOM_MODEL_TENSOR_SOURCE_H

#include "core/buf.h"
#include "model/llama.h"
#include "store/ckpt.h"
#include "store/safetensors.h"

typedef struct loom_tensor_source {
    loom_ckpt *ckpt;   /* borrowed; NULL: st is read */
    const char *group; /* "tensors/" or "adapter/" */
    loom_safetensors *st;
    const char *path; /* for messages */
} loom_tensor_source;

size_t loom_tensor_source_count(const loom_tensor_source *s);
/* Name of tensor i without its group; NULL for what is not in the group. */
const char *loom_tensor_source_name(const loom_tensor_source *s, size_t i);
/* Type and shape; data is NULL for a checkpoint until loom_tensor_source_map. */
bool loom_tensor_source_find(loom_tensor_view *out, const loom_tensor_source *s, const char *name);
/* Values as float32, and the place of the bytes in the mapped file; v as found. */
loom_status loom_tensor_source_read(float *out, const loom_tensor_source *s, const loom_tensor_view *v, loom_err *err);
loom_status loom_tensor_source_map(loom_tensor_view *v, const loom_tensor_source *s, loom_err *err);
/* FORMAT when v does not have the shape of t. */
loom_status loom_tensor_source_check_shape(const loom_tensor *t, const loom_tensor_view *v, const char *path,
                                           loom_err *err);

/* The first five names of a list that may be long. */
typedef struct loom_tensor_names {
    loom_buf text;
    int64_t n;
} loom_tensor_names;
void loom_tensor_names_add(loom_tensor_names *list, const char *name);
/* OK when both lists are empty, else FORMAT with the names that are missing or too many; releases both. */
loom_status loom_tensor_names_fail(loom_tensor_names *missing, loom_tensor_names *extra, const char *path,
                                   loom_err *err);

#endif
