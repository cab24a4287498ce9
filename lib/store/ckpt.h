/* Checkpoints (*.h5): named tensors and texts, each with its checksum, written whole or not at all.
 *
 * Names are paths of one group and one name. What the toolkit's own checkpoints hold:
 *
 *   tensors/NAME       model weights under Hugging Face names ("tensors/model.norm.weight"); absent in a pure adapter
 *   adapter/NAME       LoRA weights under PEFT names
 *                      ("adapter/base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
 *   adam_m/NAME, adam_v/NAME, muon_m/NAME, ema/NAME
 *                      moments and moving average of the trained tensors; only in files to go on from
 *   state/NAME         the training state: step, tokens, position in the data (arrays of int64 or float64)
 *   text/config        Hugging Face config.json of the model
 *   text/adapter       PEFT adapter_config.json (adapters)
 *   text/tokenizer     tokenizer.json
 *   text/meta          how the file was made
 *   text/...           whatever else a command keeps (text/train: the options that must not change)
 *
 * Root attributes: format "spanloom-checkpoint", version 1, digest (over all names and checksums).
 *
 * Writing:
 *   LOOM_TRY(loom_ckpt_create(&w, path, force, expected_bytes, err));
 *   st = loom_ckpt_put(w, "tensors/model.norm.weight", LOOM_DTYPE_F32, data, 1, (int64_t[]){C}, err);
 *   st = loom_ckpt_put_text(w, "text/config", json, strlen(json), err);
 *   st = loom_ckpt_commit(&w, err);                    or loom_ckpt_abandon(&w)
 *
 * Reading:
 *   LOOM_TRY(loom_ckpt_open(&c, path_or_folder, err));
 *   const char *config = loom_ckpt_text(c, "text/config", NULL);
 *   st = loom_ckpt_read_f32(c, "tensors/model.norm.weight", out, C, err);        checks the checksum
 *   st = loom_ckpt_map(c, "tensors/model.norm.weight", &view, err);              no copy, for frozen bf16 weights
 *   loom_ckpt_close(&c);
 *
 * One thread at a time (HDF5). */
#ifndef LOOM_STORE_CKPT_H
#define LOOM_STORE_CKPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "store/dtype.h"

/* ---- writing ---- */
typedef struct loom_ckpt_writer loom_ckpt_writer;

/* Refuses to replace a file unless `force`. expected_bytes: about what will be written (0: unknown); a disk with less
 * room is an IO error now, before anything is written. */
loom_status loom_ckpt_create(loom_ckpt_writer **out, const char *path, bool force, int64_t expected_bytes,
                             loom_err *err);
loom_status loom_ckpt_put(loom_ckpt_writer *w, const char *name, loom_dtype dtype, const void *data, int rank,
                          const int64_t *shape, loom_err *err);
loom_status loom_ckpt_put_i64(loom_ckpt_writer *w, const char *name, int64_t value, loom_err *err);
loom_status loom_ckpt_put_f64(loom_ckpt_writer *w, const char *name, double value, loom_err *err);
loom_status loom_ckpt_put_text(loom_ckpt_writer *w, const char *name, const char *text, size_t len, loom_err *err);
/* Flush, sync, rename; frees *w also on failure (then an older file of that name is untouched). */
loom_status loom_ckpt_commit(loom_ckpt_writer **w, loom_err *err);
void loom_ckpt_abandon(loom_ckpt_writer **w);

/* ---- reading ---- */
typedef struct loom_ckpt loom_ckpt;

typedef struct loom_ckpt_entry {
    const char *name; /* "tensors/model.norm.weight" */
    loom_dtype dtype;
    int rank;
    int64_t shape[LOOM_TENSOR_MAX_RANK];
    int64_t count;
    size_t bytes;
    bool is_text;
    uint64_t checksum; /* XXH3-64 of the bytes */
} loom_ckpt_entry;

/* A file; or a folder of checkpoints, whose newest intact one is opened (see loom_ckpt_newest). Reads texts (checked)
 * and the table of tensors, not the tensors. */
loom_status loom_ckpt_open(loom_ckpt **out, const char *path, loom_err *err);
void loom_ckpt_close(loom_ckpt **c);
const char *loom_ckpt_path(const loom_ckpt *c);   /* the file really opened */
const char *loom_ckpt_digest(const loom_ckpt *c); /* 16 hex digits over all names and checksums: which file it is */

size_t loom_ckpt_count(const loom_ckpt *c);                                  /* entries, in name order */
const loom_ckpt_entry *loom_ckpt_at(const loom_ckpt *c, size_t i);           /* borrowed until close */
const loom_ckpt_entry *loom_ckpt_find(const loom_ckpt *c, const char *name); /* NULL when absent */

/* NULL when absent; NUL-terminated, borrowed until close. len may be NULL. */
const char *loom_ckpt_text(const loom_ckpt *c, const char *name, size_t *len);
/* The tensor as it is stored; it must be there with exactly `bytes` bytes. Checks the checksum. */
loom_status loom_ckpt_read(loom_ckpt *c, const char *name, void *out, size_t bytes, loom_err *err);
/* The tensor as float32 (F32, F16, BF16, F64); it must have exactly `count` elements. Checks the checksum. */
loom_status loom_ckpt_read_f32(loom_ckpt *c, const char *name, float *out, int64_t count, loom_err *err);
loom_status loom_ckpt_read_i64(loom_ckpt *c, const char *name, int64_t *out, loom_err *err);
loom_status loom_ckpt_read_f64(loom_ckpt *c, const char *name, double *out, loom_err *err);
/* Points into the file, mapped read-only until close. The checksum is NOT checked (that would read all of it). */
loom_status loom_ckpt_map(loom_ckpt *c, const char *name, loom_tensor_view *out, loom_err *err);
/* Reads everything and checks every checksum. */
loom_status loom_ckpt_verify(loom_ckpt *c, loom_err *err);

/* ---- folders of checkpoints: DIR/step-00001000.h5 ---- */

/* "DIR/step-00001000.h5"; the caller frees. */
char *loom_ckpt_step_path(const char *dir, int64_t step);
/* Path of the newest checkpoint that passes loom_ckpt_verify; the caller frees; NULL when there is none at all (that is
 * no error). Damaged newer ones are passed over: `note` (if not NULL) is told a sentence for each. All damaged: error.
 */
loom_status loom_ckpt_newest(char **path, const char *dir, void (*note)(void *arg, const char *sentence), void *arg,
                             loom_err *err);
/* Deletes all but the newest `keep` (>= 1) step files of the folder. */
loom_status loom_ckpt_prune(const char *dir, int64_t keep, loom_err *err);
/* Removes temporary files of checkpoints and curves that a killed run left in the folder. Never those of a living
 * process, nor of anybody else. */
void loom_ckpt_sweep(const char *dir);

#endif
