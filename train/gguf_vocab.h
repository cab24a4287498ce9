/* A tokenizer as the facts of a GGUF file, and whether llama.cpp will cut texts with it as we do. */
#ifndef LOOM_TRAIN_GGUF_VOCAB_H
#define LOOM_TRAIN_GGUF_VOCAB_H

#include "model/model_files.h"
#include "store/gguf.h"
#include "tokenizer/foreign.h"

typedef struct loom_gguf_vocab {
    loom_tokenizer *tok;
    loom_tok_kind kind;
    float *scores; /* of each id, LLAMA2; else NULL */
} loom_gguf_vocab;

/* Of the model's own tokenizer. FORMAT when there is none, llama.cpp has no way of cutting like it, or a Llama-2
 * kind is not the published one and its folder has no tokenizer.model with the scores. */
loom_status loom_gguf_vocab_init(loom_gguf_vocab *v, const loom_model_files *b, loom_err *err);
void loom_gguf_vocab_release(loom_gguf_vocab *v);
/* The facts tokenizer.ggml.*. Ids from the tokenizer's size to V are unused. */
loom_status loom_gguf_vocab_put(loom_gguf *g, const loom_gguf_vocab *v, const loom_config *c, bool add_bos,
                                loom_err *err);

/* What a comparison found. */
typedef struct loom_gguf_check {
    int64_t texts, differ;
    char first[200]; /* beginning of the first text that differs */
} loom_gguf_check;

/* Compares the tokens of the model's names (names: its names.txt; NULL: none are known), as a text would show them. */
loom_status loom_gguf_check_names(loom_gguf_check *k, const loom_gguf_vocab *v, const loom_model_files *b,
                                  loom_err *err);
/* The same for the first `most` samples of a file of encoded text. */
loom_status loom_gguf_check_texts(loom_gguf_check *k, const loom_gguf_vocab *v, const char *path, int64_t most,
                                  loom_err *err);

#endif
