/* How llama.cpp would cut a text: its rule restated for the tokenizers that it can be taught (docs/FORMATS.md,
 * GGUF), to be compared with our own tokens before a model is handed over.
 *
 *   LOOM_TOK_KIND_DOMAIN  every token of more than one byte is cut out of the text, longest first; the rest is bytes
 *   LOOM_TOK_KIND_LLAMA2  characters, joined by score: the best pair first, the leftmost of equals; rests become bytes
 *   LOOM_TOK_KIND_LLAMA3  known to it by name; nothing to compare */
#ifndef LOOM_TOKENIZER_FOREIGN_H
#define LOOM_TOKENIZER_FOREIGN_H

#include "tokenizer/tokenizer.h"

typedef enum loom_tok_kind {
    LOOM_TOK_KIND_OTHER,
    LOOM_TOK_KIND_DOMAIN,
    LOOM_TOK_KIND_LLAMA2,
    LOOM_TOK_KIND_LLAMA3
} loom_tok_kind;

/* OTHER: llama.cpp has no name for its way of cutting. */
loom_tok_kind loom_tokenizer_kind(const loom_tokenizer *tok);

/* Fills scores (vocabulary) of a character tokenizer as published with Llama-2: -(id - 259), pieces of blanks alone
 * -1e9, the special tokens and bytes 0. False when the vocabulary is not the published one. */
bool loom_tokenizer_llama2_scores(float *scores, const loom_tokenizer *tok);

typedef struct loom_foreign loom_foreign;
/* Borrows tok and scores (LLAMA2; else NULL). NULL: no memory. */
loom_foreign *loom_foreign_new(const loom_tokenizer *tok, const float *scores);
void loom_foreign_free(loom_foreign *f);
/* Appends the tokens; no BOS. False: where equally long tokens overlap, the rule does not say which one wins. */
bool loom_foreign_encode(loom_tokens *into, loom_foreign *f, const char *text, size_t len);

#endif
