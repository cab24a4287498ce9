/* loom-train export with a name in .gguf: checked vocabulary, file, Modelfile, and how they were made. */
#ifndef LOOM_TRAIN_WRITE_GGUF_H
#define LOOM_TRAIN_WRITE_GGUF_H

#include "core/meta.h"
#include "train/gguf_model.h"

typedef struct loom_write_gguf_conf {
    const char *output;
    loom_gguf_type matrices;
    const char *check; /* file of encoded text; NULL: none */
    int64_t samples;   /* of it */
    loom_mode form;
    bool accept; /* texts that llama.cpp cuts otherwise are a warning, not an error */
} loom_write_gguf_conf;

/* A bundle with an adapter gives the adapter alone, without a Modelfile. */
loom_status loom_write_gguf(const loom_write_gguf_conf *conf, const loom_ctx *ctx, const loom_model_files *b,
                            loom_meta *made, loom_err *err);

#endif
