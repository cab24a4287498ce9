/* Tokenizers: text <-> token ids, from a Hugging Face tokenizer.json.
 *
 *   loom_tokenizer *tok = NULL;
 *   LOOM_TRY(loom_tokenizer_load(&tok, "tokenizer.json", err));
 *   loom_tok_scratch *scratch = loom_tok_scratch_new(tok);          // one per thread
 *   loom_tokens tokens = {0};
 *   loom_tokenizer_encode(&tokens, tok, scratch, text, len, 0);     // tokens.ids[0..tokens.n)
 *   loom_buf back = {0};
 *   loom_tokenizer_decode(&back, tok, tokens.ids, tokens.n, 0);     // back.data == text
 *   loom_buf_release(&back);
 *   loom_tokens_release(&tokens);
 *   loom_tok_scratch_free(scratch);
 *   loom_tokenizer_free(tok);
 *
 * Two families are reproduced exactly (docs/FORMATS.md); anything else is refused by the name of the component:
 *   character BPE with byte fallback (Llama-2): blanks become U+2581, unknown characters become <0xHH> tokens;
 *   byte-level BPE (Llama-3, and our own domain tokenizer, see toktrain.h): a regular expression cuts the text into
 *   pieces, each piece is a byte string that is merged on its own.
 *
 * A loom_tokenizer never changes after loading: any number of threads may use it, each with its own scratch.
 * Encoding works on bytes and cannot fail: text that is not UTF-8 is spelt by byte tokens, so that
 * decode(encode(x)) = x for every byte string without added tokens in it (Llama-2: and without U+2581, which it cannot
 * tell from a blank). */
#ifndef LOOM_TOKENIZER_TOKENIZER_H
#define LOOM_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

typedef struct loom_tokenizer loom_tokenizer;

/* ---- loading ---- */

/* Files of more than 64 MiB are refused. FORMAT errors name the file, the component and the cure. */
loom_status loom_tokenizer_load(loom_tokenizer **out, const char *path, loom_err *err);
/* From JSON text (checkpoints and shards carry it); copies the text; `name` stands in messages. */
loom_status loom_tokenizer_parse(loom_tokenizer **out, const char *json, size_t len, const char *name, loom_err *err);
void loom_tokenizer_free(loom_tokenizer *tok);

/* The JSON text it was loaded from, byte for byte. Borrowed from tok; NUL-terminated; len may be NULL. */
const char *loom_tokenizer_json(const loom_tokenizer *tok, size_t *len);
/* XXH3-128 of that text as 32 hex digits: equal digests mean equal tokenizers. */
void loom_tokenizer_digest(const loom_tokenizer *tok, char text[33]);

/* ---- vocabulary ---- */

/* Largest id + 1 (added tokens included); a model may have more rows than this, never fewer. */
int64_t loom_tokenizer_vocab_size(const loom_tokenizer *tok);
/* -1 where the tokenizer has none. bos, eos: the template's token, else by name: <s>, </s>, <|begin_of_text|>, ... */
int32_t loom_tokenizer_bos(const loom_tokenizer *tok);
int32_t loom_tokenizer_eos(const loom_tokenizer *tok);
int32_t loom_tokenizer_unk(const loom_tokenizer *tok);

/* The bytes that the token stands for in decoded text (U+2581 as blank, <0x0A> as LF; an added token as its content).
 * Borrowed from tok, not NUL-terminated. Empty for an id that has no token (holes, ids out of range). */
const char *loom_tokenizer_bytes(const loom_tokenizer *tok, int32_t id, size_t *len);
/* The token as tokenizer.json spells it; borrowed, NUL-terminated. NULL for an id without token. */
const char *loom_tokenizer_text(const loom_tokenizer *tok, int32_t id);
/* Id of a token by its spelling in tokenizer.json ("<s>", "<0x0A>"), -1 when there is none. */
int32_t loom_tokenizer_find(const loom_tokenizer *tok, const char *text, size_t len);
/* True for added tokens marked special (BOS, EOS, reserved ones). */
bool loom_tokenizer_is_special(const loom_tokenizer *tok, int32_t id);

/* ---- encoding ---- */

/* Growing list of tokens; zero-initialised is ready. */
typedef struct loom_tokens {
    int32_t *ids;
    int64_t *offsets; /* kept only when with_offsets: first byte of each token in the text it was encoded from */
    int64_t n, cap;
    bool with_offsets; /* set before the first append */
    bool failed;       /* memory ran out, tokens are missing: ask before they are used */
} loom_tokens;

void loom_tokens_push(loom_tokens *tokens, int32_t id, int64_t offset);
static inline void loom_tokens_reset(loom_tokens *tokens) { tokens->n = 0; }
void loom_tokens_release(loom_tokens *tokens);

/* Working memory of one thread: merge queue and the cache of words already encoded. Ids do not depend on its history.
 * Bound to the tokenizer it was made for. */
typedef struct loom_tok_scratch loom_tok_scratch;
loom_tok_scratch *loom_tok_scratch_new(const loom_tokenizer *tok); /* NULL: no memory */
void loom_tok_scratch_free(loom_tok_scratch *scratch);

enum {
    /* The text goes on where other text ended: no blank is put in front (Llama-2 would). For what follows a prompt. */
    LOOM_ENCODE_CONTINUE = 1,
    /* Added tokens spelt out in the text ("</s>") are ordinary text: for text from outside. */
    LOOM_ENCODE_PLAIN = 2
};

/* Appends the ids of text[0..len). Adds no BOS or EOS. `flags`: LOOM_ENCODE_... or 0.
 * Offsets grow (not strictly: the blank put in front and the first letter may share one); the bytes of token i are
 * text[offsets[i] .. offsets[i+1]).
 * Prompts: with the domain tokenizer no token reaches over a line end, or over the end of a tag, so that a prompt has
 * the tokens it had in training. Llama-2 keeps that for our prompts too. Llama-3 joins ">" and the line end after it:
 * where a prompt ends in "<edges>", training text has another token there. */
void loom_tokenizer_encode(loom_tokens *into, const loom_tokenizer *tok, loom_tok_scratch *scratch, const char *text,
                           size_t len, unsigned flags);

/* ---- decoding ---- */
enum {
    LOOM_DECODE_SKIP_SPECIAL = 1, /* leave special tokens out */
    LOOM_DECODE_CONTINUE = 2,     /* keep the leading blank: the tokens go on where others ended */
    LOOM_DECODE_UTF8 = 4          /* U+FFFD for bytes that are not UTF-8, as Hugging Face puts it; else raw bytes */
};

/* Appends the text of ids[0..n). Ids without token give nothing. */
void loom_tokenizer_decode(loom_buf *into, const loom_tokenizer *tok, const int32_t *ids, int64_t n, unsigned flags);

/* One token at a time:
 *   loom_tok_stream s = loom_tok_stream_start(false);   // false: after a prompt; true: at the start of a text
 *   loom_tok_stream_push(&s, &text, tok, id);           // appends raw bytes; special tokens give nothing
 * Without LOOM_DECODE_UTF8: a character spelt by several byte tokens is whole only after the last of them. */
typedef struct loom_tok_stream {
    bool at_start;
} loom_tok_stream;

static inline loom_tok_stream loom_tok_stream_start(bool at_start) { return (loom_tok_stream){.at_start = at_start}; }
void loom_tok_stream_push(loom_tok_stream *stream, loom_buf *into, const loom_tokenizer *tok, int32_t id);

#endif
