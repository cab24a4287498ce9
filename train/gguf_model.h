/* A model or an adapter as a GGUF file for llama.cpp, and what ollama needs beside it. */
#ifndef LOOM_TRAIN_GGUF_MODEL_H
#define LOOM_TRAIN_GGUF_MODEL_H

#include "trace/text/grammar.h"
#include "train/gguf_vocab.h"

typedef struct loom_gguf_how {
    loom_gguf_type matrices; /* vectors are F32 always */
    bool merge;              /* with the adapter's part (train/hf.h) */
    bool add_bos;            /* texts begin with it */
    const char *name;        /* general.name */
    const char *meta;        /* JSON: how it was made; NULL: it does not say */
} loom_gguf_how;

bool loom_gguf_is_name(const char *path); /* ends in .gguf */

/* *n_f16: matrices whose rows Q8_0's blocks do not fit, written as F16. */
loom_status loom_gguf_write_model(loom_out *out, const loom_model_files *b, const loom_gguf_vocab *v,
                                  const loom_gguf_how *how, int64_t *n_f16, loom_err *err);
/* The bundle's adapter, for a GGUF file of its base. */
loom_status loom_gguf_write_adapter(loom_out *out, const loom_model_files *b, const loom_gguf_how *how, loom_err *err);

/* Appends a Modelfile: the file, the prompt as it is, the context, and where texts of this form end. `gguf` is the
 * file's path; ARG when its last part cannot stand in a Modelfile. */
loom_status loom_gguf_modelfile(loom_buf *into, const char *gguf, const loom_config *c, loom_mode form, loom_err *err);

#endif
