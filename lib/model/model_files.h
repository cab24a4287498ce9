/* A model from files: configuration, weights, adapter and tokenizer, whatever container they come in.
 *
 *   loom_model_files b = {0};
 *   loom_model_files_options o = {.frozen = true};
 *   LOOM_TRY(loom_model_files_load(&b, "checkpoints/demo", NULL, &o, err));
 *   ... b.model, b.lora (or NULL), b.tokenizer (JSON text) ...
 *   loom_model_files_release(&b);
 *
 * A model is given by one path (model/model_find.h): a checkpoint, a run folder or a Hugging Face folder with
 * config.json, model.safetensors (or shards with an index) and, if it is there, tokenizer.json. A checkpoint may hold
 * an adapter only: its base is then found at the path recorded in it (text/base), and must be the very base it was
 * trained on (same digest).
 *
 * An adapter is given by a second path (NULL: none): an adapter checkpoint, a run folder holding one, or a PEFT folder
 * (adapter_config.json, adapter_model.safetensors). */
#ifndef LOOM_MODEL_MODEL_FILES_H
#define LOOM_MODEL_MODEL_FILES_H

#include "model/adapter_file.h"
#include "model/model_find.h"
#include "model/model_weights.h"
#include "model/peft_config.h"

#define LOOM_MODEL_FILES_NAMES "text/names.txt" /* where a checkpoint keeps them; a folder: names.txt */

typedef struct loom_model_files_options {
    bool frozen;      /* keep matrices that are stored as bfloat16 in the mapped file (no training of them, no merge) */
    const char *base; /* overrides the base path recorded in an adapter checkpoint; NULL: as recorded */
    int64_t positions; /* the model gets at least so many: rotary positions have no weights. 0: as its file says */
} loom_model_files_options;

typedef struct loom_model_files {
    loom_llama *model;
    loom_lora *lora; /* NULL: no adapter */
    char *tokenizer; /* tokenizer.json, NUL-terminated; NULL: the files have none */
    size_t tokenizer_len;
    char tokenizer_digest[33]; /* loom_text_digest; "" without tokenizer */
    char *names;               /* names of the training data (trace/names.h), NUL-terminated; NULL: none are known */
    size_t names_len;
    char *path;         /* of the weights: the file or folder really read */
    char *adapter_path; /* NULL: no adapter */
    char *meta;         /* how the checkpoint was made (JSON); NULL: unknown */
    char digest[17];    /* of the base weights (names, types, checksums); "" for Hugging Face folders */
    int64_t step;       /* training steps behind it; -1 unknown */
    loom_ckpt *ckpt;    /* kept open while weights are mapped */
    loom_safetensors *st;
    char note[256]; /* something a person may want to know about the files; "" nothing */
} loom_model_files;

loom_status loom_model_files_load(loom_model_files *out, const char *model, const char *adapter,
                                  const loom_model_files_options *o, loom_err *err);
void loom_model_files_release(loom_model_files *b); /* zero-initialised is fine */

/* The configuration that a checkpoint holds. */
loom_status loom_model_config_of(loom_config *out, const loom_ckpt *c, loom_err *err);

#endif
