/* What a tokenizer is made of; only for lib/tokenizer. */
#ifndef LOOM_TOKENIZER_TOK_INTERNAL_H
#define LOOM_TOKENIZER_TOK_INTERNAL_H

#include "core/arena.h"
#include "core/utf8.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pretok.h"
#include "tokenizer/tokenizer.h"

typedef struct loom_tok_text {
    const char *data; /* NULL: absent */
    uint32_t len;
} loom_tok_text;

/* Byte strings -> token ids; the strings stay in an array indexed by id. Open addressing, at most half full. */
typedef struct loom_tok_map_slot {
    uint32_t tag; /* upper hash bits: spares most compares */
    int32_t id;   /* -1: empty */
} loom_tok_map_slot;
typedef struct loom_tok_map {
    loom_tok_map_slot *slots;
    size_t mask;
} loom_tok_map;

bool loom_tok_map_init(loom_tok_map *m, size_t n); /* room for n strings; false when memory is out */
void loom_tok_map_release(loom_tok_map *m);
/* Puts spans[id]; returns the id that already had this string (then nothing changes), or -1. */
int32_t loom_tok_map_put(loom_tok_map *m, const loom_tok_text *spans, int32_t id);
int32_t loom_tok_map_find(const loom_tok_map *m, const loom_tok_text *spans, const char *data, size_t len);
/* The same with the hash at hand (loom_hash64, seed 0). */
int32_t loom_tok_map_find_hashed(const loom_tok_map *m, const loom_tok_text *spans, const char *data, size_t len,
                                 uint64_t hash);

typedef enum loom_tok_family { LOOM_TOK_CHARS, LOOM_TOK_BYTES } loom_tok_family;
/* When a blank goes in front of a stretch of text between added tokens (character family). */
typedef enum loom_tok_prefix { LOOM_PREFIX_NEVER, LOOM_PREFIX_FIRST, LOOM_PREFIX_ALWAYS } loom_tok_prefix;

enum { LOOM_TOK_SPECIAL = 1, LOOM_TOK_ADDED = 2, LOOM_TOK_BYTE = 4 /* <0xHH> of the character family */ };

#define LOOM_TOK_BLANK "\xE2\x96\x81" /* U+2581, how the character family spells a blank */

/* Classes of characters for safe cuts: ASCII is itself, U+2581 counts as blank, all others are one class. */
enum { LOOM_TOK_OTHER = 128, LOOM_TOK_CLASSES = 129 };

struct loom_tokenizer {
    loom_arena arena; /* all strings */
    loom_buf json;    /* the text it was loaded from */
    loom_tok_family family;

    int64_t n_ids;        /* largest id + 1 */
    loom_tok_text *texts; /* as spelt in the file */
    loom_tok_text *bytes; /* as decoded */
    uint8_t *flags;       /* LOOM_TOK_... */
    int32_t bos, eos, unk;

    loom_tok_map by_text;  /* all tokens */
    loom_tok_map by_bytes; /* tokens that merging or the whole-piece rule may give: no special ones */
    loom_merge_map merges;
    int32_t byte_ids[256]; /* byte family: the token of one byte; character family: <0xHH> */

    /* byte family */
    loom_pretok *pretok;
    bool ignore_merges; /* a piece in the vocabulary is one token, whatever the merges say */

    /* character family */
    loom_tok_prefix prefix;
    bool prefix_if_missing;                          /* Metaspace: only where the text does not begin with a blank */
    bool strip_first_blank;                          /* decoder takes one blank off the front */
    int32_t char_ids[128];                           /* ASCII characters (blank as U+2581), -1: spelt by bytes */
    uint8_t cut[LOOM_TOK_CLASSES][LOOM_TOK_CLASSES]; /* 1: no token holds this pair, so words end between the two */

    /* added tokens by first byte, longest first */
    int32_t *added;
    int32_t n_added;
    int32_t added_first[257];   /* added[added_first[b] .. added_first[b + 1]) begin with byte b */
    uint32_t added_common[256]; /* bytes that all of a group have in common at the front */
    int added_byte;             /* first byte when it is the same for all, else -1 */
};

/* Fills a zeroed tokenizer from its json. On failure the caller frees it. `name` stands in messages. */
loom_status loom_tokenizer_build(loom_tokenizer *tok, const char *name, loom_err *err);

/* Byte-level alphabet: byte <-> printable character. */
uint32_t loom_byte_char(unsigned char byte); /* code point for a byte */
int loom_char_byte(uint32_t code);           /* byte for a code point, -1 when it is not in the alphabet */

#endif
