#include "tokenizer/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/num.h"
#include "tokenizer/tok_internal.h"

enum {
    CACHE_SLOTS = 1 << 16, /* words kept per thread; all are forgotten when the table is half full */
    CACHE_WORD = 256,      /* longest word kept, bytes */
    STRETCH_MAX = 1 << 30  /* symbol counts fit an int32_t; longer stretches are encoded in parts */
};

/* ---- life and vocabulary ---- */

loom_status loom_tokenizer_parse(loom_tokenizer **out, const char *json, size_t len, const char *name, loom_err *err)
{
    loom_tokenizer *tok = loom_calloc(1, sizeof *tok);
    if (!tok) return loom_fail_nomem(err, "a tokenizer");
    loom_buf_append(&tok->json, json, len);
    loom_status st = loom_buf_check(&tok->json, "a tokenizer", err);
    if (st == LOOM_OK) st = loom_tokenizer_build(tok, name, err);
    if (st == LOOM_OK) *out = tok;
    else loom_tokenizer_free(tok);
    return st;
}

loom_status loom_tokenizer_load(loom_tokenizer **out, const char *path, loom_err *err)
{
    loom_buf text = {0};
    loom_status st = loom_file_read(&text, path, LOOM_BOUND_JSON, err);
    if (st == LOOM_OK) st = loom_tokenizer_parse(out, loom_buf_text(&text), text.len, path, err);
    loom_buf_release(&text);
    return st;
}

void loom_tokenizer_free(loom_tokenizer *tok)
{
    if (!tok) return;
    loom_pretok_free(tok->pretok);
    loom_merge_map_release(&tok->merges);
    loom_tok_map_release(&tok->by_text);
    loom_tok_map_release(&tok->by_bytes);
    free(tok->texts);
    free(tok->bytes);
    free(tok->flags);
    free(tok->added);
    loom_buf_release(&tok->json);
    loom_arena_release(&tok->arena);
    free(tok);
}

const char *loom_tokenizer_json(const loom_tokenizer *tok, size_t *len)
{
    if (len) *len = tok->json.len;
    return loom_buf_text(&tok->json);
}

void loom_tokenizer_digest(const loom_tokenizer *tok, char text[33])
{
    loom_hash128_text(loom_hash128_of(tok->json.data, tok->json.len), text);
}

int64_t loom_tokenizer_vocab_size(const loom_tokenizer *tok) { return tok->n_ids; }
int32_t loom_tokenizer_bos(const loom_tokenizer *tok) { return tok->bos; }
int32_t loom_tokenizer_eos(const loom_tokenizer *tok) { return tok->eos; }
int32_t loom_tokenizer_unk(const loom_tokenizer *tok) { return tok->unk; }

static bool has_token(const loom_tokenizer *tok, int32_t id)
{
    return id >= 0 && id < tok->n_ids && tok->texts[id].data;
}

const char *loom_tokenizer_bytes(const loom_tokenizer *tok, int32_t id, size_t *len)
{
    bool there = has_token(tok, id);
    *len = there ? tok->bytes[id].len : 0;
    return there ? tok->bytes[id].data : "";
}

const char *loom_tokenizer_text(const loom_tokenizer *tok, int32_t id)
{
    return has_token(tok, id) ? tok->texts[id].data : NULL;
}

bool loom_tokenizer_is_special(const loom_tokenizer *tok, int32_t id)
{
    return has_token(tok, id) && (tok->flags[id] & LOOM_TOK_SPECIAL);
}

/* ---- token lists ---- */

static bool tokens_grow(loom_tokens *t)
{
    int64_t cap = t->cap ? 2 * t->cap : 256;
    int32_t *ids = loom_realloc(t->ids, (size_t)cap, sizeof *ids);
    if (ids) t->ids = ids;
    int64_t *offsets = ids && t->with_offsets ? loom_realloc(t->offsets, (size_t)cap, sizeof *offsets) : NULL;
    if (offsets) t->offsets = offsets;
    t->failed |= !ids || (t->with_offsets && !offsets);
    if (!t->failed) t->cap = cap;
    return !t->failed;
}

static inline void push(loom_tokens *t, int32_t id, int64_t offset)
{
    if (t->n == t->cap && !tokens_grow(t)) return;
    t->ids[t->n] = id;
    if (t->with_offsets) t->offsets[t->n] = offset;
    t->n++;
}

void loom_tokens_push(loom_tokens *tokens, int32_t id, int64_t offset) { push(tokens, id, offset); }

void loom_tokens_release(loom_tokens *tokens)
{
    free(tokens->ids);
    free(tokens->offsets);
    *tokens = (loom_tokens){.with_offsets = tokens->with_offsets};
}

/* ---- scratch ---- */

/* Word cache: bytes of a word -> its tokens with their lengths. */
typedef struct cache_slot {
    uint64_t hash;
    uint32_t key, key_len;       /* in keys; key_len 0: empty */
    uint32_t symbols, n_symbols; /* in symbols */
} cache_slot;

struct loom_tok_scratch {
    const loom_tokenizer *tok;
    loom_pretok_scratch *pretok;
    loom_buf symbols;  /* loom_symbol: the word being merged */
    loom_buf work;     /* of the merging */
    loom_buf prefixed; /* stretch of text with a blank in front */
    cache_slot *cache;
    int64_t n_cached;
    loom_buf keys, kept; /* bytes of the cached words, loom_symbol of their tokens */
    /* the encoding under way */
    loom_tokens *into;
    int64_t base; /* offset of the stretch in the text */
};

loom_tok_scratch *loom_tok_scratch_new(const loom_tokenizer *tok)
{
    loom_tok_scratch *s = loom_calloc(1, sizeof *s);
    if (!s) return NULL;
    s->tok = tok;
    s->cache = loom_calloc(CACHE_SLOTS, sizeof *s->cache);
    if (tok->pretok) s->pretok = loom_pretok_scratch_new(tok->pretok);
    if (s->cache && (s->pretok || !tok->pretok)) return s;
    loom_tok_scratch_free(s);
    return NULL;
}

void loom_tok_scratch_free(loom_tok_scratch *s)
{
    if (!s) return;
    loom_pretok_scratch_free(s->pretok);
    loom_buf_release(&s->symbols);
    loom_buf_release(&s->work);
    loom_buf_release(&s->prefixed);
    loom_buf_release(&s->keys);
    loom_buf_release(&s->kept);
    free(s->cache);
    free(s);
}

static cache_slot *cache_probe(loom_tok_scratch *s, const char *word, size_t len, uint64_t hash)
{
    for (size_t i = hash & (CACHE_SLOTS - 1);; i = (i + 1) & (CACHE_SLOTS - 1)) {
        cache_slot *c = &s->cache[i];
        if (c->key_len == 0) return c;
        if (c->hash == hash && c->key_len == len && memcmp(s->keys.data + c->key, word, len) == 0) return c;
    }
}

static void cache_keep(loom_tok_scratch *s, const char *word, size_t len, uint64_t hash, const loom_symbol *symbols,
                       int64_t n)
{
    if (s->n_cached >= CACHE_SLOTS / 2) { /* forgetting all is simple, rare, and cannot change any result */
        memset(s->cache, 0, CACHE_SLOTS * sizeof *s->cache);
        s->n_cached = 0;
        loom_buf_reset(&s->keys);
        loom_buf_reset(&s->kept);
    }
    cache_slot *c = cache_probe(s, word, len, hash);
    cache_slot fresh = {hash, (uint32_t)s->keys.len, (uint32_t)len, (uint32_t)(s->kept.len / sizeof *symbols),
                        (uint32_t)n};
    loom_buf_append(&s->keys, word, len);
    loom_buf_append(&s->kept, symbols, (size_t)n * sizeof *symbols);
    if (loom_buf_failed(&s->keys) || loom_buf_failed(&s->kept)) return;
    *c = fresh;
    s->n_cached++;
}

/* ---- words ---- */

static void push_symbols(loom_tok_scratch *s, const loom_symbol *symbols, int64_t n, int64_t offset)
{
    for (int64_t i = 0; i < n; i++) {
        push(s->into, symbols[i].id, offset);
        offset += symbols[i].len;
    }
}

/* A word as the symbols that merging starts from. Returns their number. */
static int64_t split_bytes(loom_symbol *out, const loom_tokenizer *tok, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) out[i] = (loom_symbol){tok->byte_ids[(unsigned char)word[i]], 1};
    return (int64_t)len;
}

static int64_t split_chars(loom_symbol *out, const loom_tokenizer *tok, const char *word, size_t len)
{
    int64_t n = 0;
    for (size_t i = 0, k; i < len; i += k) {
        unsigned char c = (unsigned char)word[i];
        k = c < 128 ? 1 : loom_utf8_get(word + i, len - i, NULL);
        int32_t id = c < 128 ? tok->char_ids[c] : k ? loom_tokenizer_find(tok, word + i, k) : -1;
        if (id >= 0) out[n++] = (loom_symbol){id, (uint32_t)k};
        else {
            if (k == 0) k = 1; /* not UTF-8: one byte */
            for (size_t j = 0; j < k; j++) out[n++] = (loom_symbol){tok->byte_ids[(unsigned char)word[i + j]], 1};
        }
    }
    return n;
}

static void encode_word(loom_tok_scratch *s, const char *word, size_t len, int64_t offset)
{
    const loom_tokenizer *tok = s->tok;
    if (len == 1 && tok->family == LOOM_TOK_BYTES) {
        push(s->into, tok->byte_ids[(unsigned char)*word], offset);
        return;
    }
    uint64_t hash = loom_hash64(word, len, 0);
    if (tok->ignore_merges) {
        int32_t id = loom_tok_map_find_hashed(&tok->by_bytes, tok->bytes, word, len, hash);
        if (id >= 0) {
            push(s->into, id, offset);
            return;
        }
    }
    if (len <= CACHE_WORD) {
        const cache_slot *c = cache_probe(s, word, len, hash);
        if (c->key_len) {
            push_symbols(s, (const loom_symbol *)(const void *)s->kept.data + c->symbols, c->n_symbols, offset);
            return;
        }
    }
    loom_buf_reset(&s->symbols);
    if (!loom_buf_reserve(&s->symbols, len * sizeof(loom_symbol))) {
        s->into->failed = true;
        return;
    }
    loom_symbol *symbols = (loom_symbol *)(void *)s->symbols.data;
    bool bytes = tok->family == LOOM_TOK_BYTES;
    int64_t n = bytes ? split_bytes(symbols, tok, word, len) : split_chars(symbols, tok, word, len);
    n = loom_bpe_merge(symbols, n, &tok->merges, &s->work);
    s->into->failed |= loom_buf_failed(&s->work);
    push_symbols(s, symbols, n, offset);
    if (len <= CACHE_WORD) cache_keep(s, word, len, hash, symbols, n);
}

/* ---- stretches: text between added tokens ---- */

static void piece(void *arg, const char *text, size_t start, size_t len)
{
    loom_tok_scratch *s = arg;
    encode_word(s, text + start, len, s->base + (int64_t)start);
}

/* Bytes of the character at text[0] and its class. */
static size_t char_class(const char *text, size_t len, int *class)
{
    unsigned char c = (unsigned char)*text;
    *class = c;
    if (c < 128) return 1;
    size_t n = loom_utf8_get(text, len, NULL);
    *class = n == 3 && memcmp(text, LOOM_TOK_BLANK, 3) == 0 ? ' ' : LOOM_TOK_OTHER;
    return n ? n : 1;
}

/* Cuts a stretch where no token reaches over, and encodes the words between. */
static void encode_chars(loom_tok_scratch *s, const char *text, size_t len)
{
    const loom_tokenizer *tok = s->tok;
    int left = 0, right;
    for (size_t start = 0, at = 0; at < len; left = right) {
        size_t n = char_class(text + at, len - at, &right);
        if (at > start && tok->cut[left][right]) {
            encode_word(s, text + start, at - start, s->base + (int64_t)start);
            start = at;
        }
        at += n;
        if (at == len) encode_word(s, text + start, at - start, s->base + (int64_t)start);
    }
}

static bool begins_with_blank(const char *text, size_t len)
{
    return text[0] == ' ' || (len >= 3 && memcmp(text, LOOM_TOK_BLANK, 3) == 0);
}

static void encode_stretch(loom_tok_scratch *s, const char *text, size_t len, int64_t base, bool first, unsigned flags)
{
    const loom_tokenizer *tok = s->tok;
    for (; len > STRETCH_MAX; text += STRETCH_MAX, len -= STRETCH_MAX, base += STRETCH_MAX) {
        encode_stretch(s, text, STRETCH_MAX, base, first, flags);
        first = false;
        flags |= LOOM_ENCODE_CONTINUE;
    }
    s->base = base;
    if (len == 0) return;
    if (tok->family == LOOM_TOK_BYTES) {
        loom_pretok_run(tok->pretok, s->pretok, text, len, piece, s);
        return;
    }
    bool prefix = tok->prefix == LOOM_PREFIX_ALWAYS || (tok->prefix == LOOM_PREFIX_FIRST && first);
    if (first && (flags & LOOM_ENCODE_CONTINUE)) prefix = false;
    if (prefix && tok->prefix_if_missing && begins_with_blank(text, len)) prefix = false;
    if (!prefix) {
        encode_chars(s, text, len);
        return;
    }
    int64_t from = s->into->n;
    loom_buf_reset(&s->prefixed);
    loom_buf_char(&s->prefixed, ' ');
    loom_buf_append(&s->prefixed, text, len);
    s->base = base - 1;
    encode_chars(s, s->prefixed.data, s->prefixed.len);
    s->into->failed |= loom_buf_failed(&s->prefixed);
    if (s->into->with_offsets && s->into->n > from) s->into->offsets[from] = base; /* the blank is not in the text */
}

/* The longest added token at text[at], -1 when there is none. */
static int32_t added_at(const loom_tokenizer *tok, const char *text, size_t len, size_t at)
{
    unsigned char b = (unsigned char)text[at];
    int32_t first = tok->added_first[b], last = tok->added_first[b + 1];
    size_t room = len - at, common = tok->added_common[b];
    if (first == last || room < common || memcmp(text + at, tok->texts[tok->added[first]].data, common) != 0) return -1;
    for (int32_t i = first; i < last; i++) {
        const loom_tok_text *t = &tok->texts[tok->added[i]];
        if (t->len <= room && memcmp(text + at, t->data, t->len) == 0) return tok->added[i];
    }
    return -1;
}

static size_t skip_to_added(const loom_tokenizer *tok, const char *text, size_t len, size_t at, int32_t *id)
{
    for (*id = -1; at < len; at++) {
        if (tok->added_byte >= 0) {
            const char *p = memchr(text + at, tok->added_byte, len - at);
            if (!p) return len;
            at = (size_t)(p - text);
        }
        *id = added_at(tok, text, len, at);
        if (*id >= 0) return at;
    }
    return len;
}

void loom_tokenizer_encode(loom_tokens *into, const loom_tokenizer *tok, loom_tok_scratch *scratch, const char *text,
                           size_t len, unsigned flags)
{
    scratch->into = into;
    if ((flags & LOOM_ENCODE_PLAIN) || tok->n_added == 0) {
        encode_stretch(scratch, text, len, 0, true, flags);
        return;
    }
    for (size_t at = 0; at < len;) {
        int32_t id;
        size_t end = skip_to_added(tok, text, len, at, &id);
        encode_stretch(scratch, text + at, end - at, (int64_t)at, at == 0, flags);
        at = end;
        if (id < 0) break;
        push(into, id, (int64_t)at);
        at += tok->texts[id].len;
    }
}
