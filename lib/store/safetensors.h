/* safetensors: the file format of Hugging Face weights (u64 header length, JSON header, packed tensors).
 *
 *   loom_safetensors *st = NULL;
 *   LOOM_TRY(loom_safetensors_open(&st, "llama-7b", err));            a .safetensors file or a model folder
 *   const loom_tensor_view *w = loom_safetensors_find(st, "model.norm.weight");
 *   if (w) loom_dtype_to_f32(out, w->data, w->dtype, w->count);
 *   loom_safetensors_close(&st);
 *
 * Files are mapped read-only: a 13 GB model costs no memory until its pages are touched, and those can be given back.
 * Everything in the header is treated as hostile: JSON, UTF-8, duplicate names, sizes that overflow, holes, overlaps
 * and trailing bytes are FORMAT errors that name the file and the tensor. */
#ifndef LOOM_STORE_SAFETENSORS_H
#define LOOM_STORE_SAFETENSORS_H

#include "core/err.h"
#include "store/dtype.h"

typedef struct loom_safetensors loom_safetensors;

/* `path`: one .safetensors file; a *.index.json; or a folder with model.safetensors or model.safetensors.index.json
 * (then also adapter_model.safetensors, if it is the only one). */
loom_status loom_safetensors_open(loom_safetensors **out, const char *path, loom_err *err);
/* Opens the bytes of one file that the caller keeps alive; `name` is used in messages. */
loom_status loom_safetensors_open_bytes(loom_safetensors **out, const void *bytes, size_t len, const char *name,
                                        loom_err *err);
void loom_safetensors_close(loom_safetensors **st); /* NULL and pointer to NULL are fine */

/* Tensors in name order; views and their data are borrowed until close. Data may be unaligned for its type: read it
 * through loom_dtype_to_f32 or memcpy. */
size_t loom_safetensors_count(const loom_safetensors *st);
const loom_tensor_view *loom_safetensors_at(const loom_safetensors *st, size_t i);
const loom_tensor_view *loom_safetensors_find(const loom_safetensors *st, const char *name); /* NULL when absent */
/* A string of __metadata__, NULL when absent; borrowed until close. */
const char *loom_safetensors_metadata(const loom_safetensors *st, const char *key);

/* Tells the kernel that a tensor's pages will not be needed again soon. */
void loom_safetensors_forget(const loom_safetensors *st, const loom_tensor_view *t);

/* ---- writing ---- */

/* One tensor to be written as `view.dtype`. Its values come from view.data, of type `from` (equal to view.dtype:
 * copied; else F32, converted); or, when view.data is NULL, from `fetch`, which fills `count` floats (view.shape, C
 * order). */
typedef struct loom_safetensors_item {
    loom_tensor_view view; /* name, dtype, rank, shape, data; count and bytes are filled in here */
    loom_dtype from;
    loom_status (*fetch)(void *arg, const struct loom_safetensors_item *item, float *values, loom_err *err);
    void *arg;
} loom_safetensors_item;

/* Writes one file, whole or not at all. Items are reordered (by alignment, then name, as the reference writer does).
 * metadata: n_metadata pairs key, value; {"format": "pt"} is always written. */
loom_status loom_safetensors_write(const char *path, bool force, loom_safetensors_item *items, size_t n,
                                   const char *const (*metadata)[2], size_t n_metadata, loom_err *err);

/* Writes DIR/model.safetensors, or model-0000i-of-0000n.safetensors with an index once the tensors exceed max_bytes. */
loom_status loom_safetensors_write_model(const char *dir, bool force, loom_safetensors_item *items, size_t n,
                                         int64_t max_bytes, const char *const (*metadata)[2], size_t n_metadata,
                                         loom_err *err);

#endif
