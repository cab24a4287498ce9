/* The two parts of a domain tokenizer (tokenizer/toktrain.h): the format part, the same for every system, and the names
 * of one system behind it. */
#ifndef LOOM_TOKENIZER_TOKFORMAT_H
#define LOOM_TOKENIZER_TOKFORMAT_H

#include "tokenizer/tokenizer.h"

typedef enum loom_tok_name {
    LOOM_TOK_NAME_NONE,
    LOOM_TOK_NAME_MICROSERVICE,
    LOOM_TOK_NAME_SERVICE,
    LOOM_TOK_NAME_KINDS
} loom_tok_name;

enum { LOOM_TOK_NAME_MAX = 64 /* bytes; longer names are spelt */ };

/* "MS_12345" and "S_000000012": which kind of name the whole text is. */
loom_tok_name loom_tok_name_of(const char *text, size_t len);
/* The same of a token; LOOM_TOK_NAME_NONE for ids of the format part and ids without a token. */
loom_tok_name loom_tokenizer_name_kind(const loom_tokenizer *tok, int32_t id);

/* Ids 0 .. n-1 are the format part, all others are names. 0: no tokenizer of this kind. */
int64_t loom_tokenizer_format_size(const loom_tokenizer *tok);
/* XXH3-128 of the spellings of the format part's tokens in their order, as 32 hex digits. */
void loom_tokenizer_format_digest(const loom_tokenizer *tok, char text[33]);

#endif
