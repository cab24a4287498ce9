/* A model from files: configuration, weights, adapter and tokenizer, whatever container they come in.
 *
 *   loom_model_files b = {0};
 *   loom_model_files_options o = {.frozen = true};
 *   LOOM_TRY(loom_model_files_load(&b, "checkpoints/demo", NULL, &o, err));
 *   ... b.model, b.lora (or NULL), b.tokenizer (JSON text) ...
 *   loom_model_files_release(&b);
 *
 * A model is given by one path:
 *   a checkpoint of loom-train (*.h5) with weights; or one with an adapter only: its base is found at the path recorded
 * in it (text/base), and must be the very base it was trained on (same digest); a run folder: model.h5 or adapter.h5 in
 * it when the run has ended, else the newest intact step-*.h5; a Hugging Face folder: config.json, model.safetensors
 * (or shards with an index), tokenizer.json if there. An adapter is given by a second path (NULL: none): an adapter
 * checkpoint, a run folder holding one, or a PEFT folder (adapter_config.json, adapter_model.safetensors). Missing,
 * left-over or wrongly shaped tensors are FORMAT errors. */
#ifndef LOOM_MODEL_MODEL_FILES_H
#define LOOM_MODEL_MODEL_FILES_H

#include "core/buf.h"
#include "model/llama.h"
#include "model/lora.h"
#include "store/ckpt.h"
#include "store/safetensors.h"

#define LOOM_MODEL_FILES_NAMES "text/names.txt" /* where a checkpoint keeps them; a folder: names.txt */

typedef struct loom_model_files_options {
    bool frozen;      /* keep matrices that are stored as bfloat16 in the mapped file (no training of them, no merge) */
    const char *base; /* overrides the base path recorded in an adapter checkpoint; NULL: as recorded */
} loom_model_files_options;

typedef struct loom_model_files {
    loom_llama *model;
    loom_lora *lora; /* NULL: no adapter */
    char *tokenizer; /* tokenizer.json, NUL-terminated; NULL: the files have none */
    size_t tokenizer_len;
    char tokenizer_digest[33]; /* loom_text_digest; "" without tokenizer */
    char *names;               /* names of the training data (trace/names.h), NUL-terminated; NULL: none are known */
    size_t names_len;
    char *path;                /* of the weights: the file or folder really read */
    char *adapter_path;        /* NULL: no adapter */
    char *meta;                /* how the checkpoint was made (JSON); NULL: unknown */
    char digest[17];           /* of the base weights (names, types, checksums); "" for Hugging Face folders */
    int64_t step;              /* training steps behind it; -1 unknown */
    loom_ckpt *ckpt;           /* kept open while weights are mapped */
    loom_safetensors *st;
    char note[256]; /* something a person may want to know about the files; "" nothing */
} loom_model_files;

loom_status loom_model_files_load(loom_model_files *out, const char *model, const char *adapter, const loom_model_files_options *o,
                             loom_err *err);
void loom_model_files_release(loom_model_files *b); /* zero-initialised is fine */

/* What a path is, without reading weights. */
typedef enum loom_model_kind { LOOM_MODEL_KIND_CKPT, LOOM_MODEL_KIND_HF } loom_model_kind;
/* Finds the file that a model path stands for: the checkpoint file, or the Hugging Face folder itself. The caller frees
 * *file. */
loom_status loom_model_find(char **file, loom_model_kind *kind, const char *path, loom_err *err);

/* Weights of one checkpoint into a model (float32 copies; both must have the same table) and back. */
loom_status loom_model_weights_read(loom_llama *m, loom_ckpt *c, loom_err *err);
loom_status loom_model_weights_put(loom_ckpt_writer *w, const loom_llama *m, loom_dtype dtype, loom_err *err);
/* Checks that a safetensors model holds exactly the tensors of the configuration (those that Llama files may carry
 * beside them are passed over); FORMAT names the first five that do not fit. */
loom_status loom_model_weights_check(loom_safetensors *st, const loom_config *config, const char *path, loom_err *err);

/* The configuration that a checkpoint holds. */
loom_status loom_model_config_of(loom_config *out, const loom_ckpt *c, loom_err *err);

/* Digest of the weights in a checkpoint: the same for every checkpoint with these weights. "" when it has none. */
void loom_model_weights_digest(char digest[17], const loom_ckpt *c);

/* The same for "adapter/..." and text/adapter. base_path: for adapter_config.json. */
loom_status loom_adapter_file_put(loom_ckpt_writer *w, const loom_lora *lora, const char *base_path,
                                    const char *base_digest, loom_err *err);
/* Makes the adapter from text/adapter and, if `weights`, reads its tensors. */
loom_status loom_adapter_file_read(loom_lora **out, const loom_config *base, loom_ckpt *c, bool weights,
                                     loom_err *err);

/* PEFT's adapter_config.json: reading (leniently, docs/TRAINING.md) and writing. */
loom_status loom_peft_config_parse(loom_lora_config *out, const char *json, size_t len, const char *name,
                                             loom_err *err);
void loom_peft_config_write(const loom_lora_config *c, const char *base_path, loom_buf *into);

#endif
