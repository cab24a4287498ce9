#include "tokenizer/foreign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/num.h"
#include "tokenizer/tok_internal.h"
#include "tokenizer/tokformat.h"

enum { LLAMA2_IDS = 32000, LLAMA2_FIRST_PIECE = 259 };
/* XXH3-128 of the published spellings in their order, each with a line end. */
static const char llama2_digest[] = "b8946f956ef0c52ab93c34b6c547fb62";

struct loom_foreign {
    const loom_tokenizer *tok;
    const float *scores;
    loom_tok_kind kind;
    bool lengths[LOOM_TOK_NAME_MAX * 8]; /* of tokens to be cut out, in bytes */
    int32_t *cut;                        /* per byte of a text: the token that begins here, FREE, or INSIDE one */
    size_t cap;
    loom_buf text; /* LLAMA2: with blanks as they are spelt */
};
enum { FREE = -1, INSIDE = -2 };

/* ---- what kind it is ---- */

loom_tok_kind loom_tokenizer_kind(const loom_tokenizer *tok)
{
    if (tok->family == LOOM_TOK_CHARS)
        return tok->prefix == LOOM_PREFIX_ALWAYS ? LOOM_TOK_KIND_LLAMA2 : LOOM_TOK_KIND_OTHER;
    if (loom_tokenizer_format_size(tok) > 0) return LOOM_TOK_KIND_DOMAIN;
    return tok->pretok && loom_pretok_is_llama3(tok->pretok) && tok->ignore_merges ? LOOM_TOK_KIND_LLAMA3
                                                                                   : LOOM_TOK_KIND_OTHER;
}

static void digest_of_spellings(char text[33], const loom_tokenizer *tok)
{
    loom_buf all = {0};

    for (int64_t id = 0; id < tok->n_ids; id++) {
        loom_buf_append(&all, tok->texts[id].data, tok->texts[id].len);
        loom_buf_char(&all, '\n');
    }
    loom_hash128_text(loom_hash128_of(loom_buf_text(&all), all.len), text);
    loom_buf_release(&all);
}

static bool only_blanks(const loom_tok_text *t)
{
    for (uint32_t i = 0; i < t->len; i += 3)
        if (t->len - i < 3 || memcmp(t->data + i, LOOM_TOK_BLANK, 3) != 0) return false;
    return true;
}

bool loom_tokenizer_llama2_scores(float *scores, const loom_tokenizer *tok)
{
    char digest[33];

    if (tok->n_ids != LLAMA2_IDS) return false;
    for (int64_t id = 0; id < tok->n_ids; id++)
        if (!tok->texts[id].data) return false;
    digest_of_spellings(digest, tok);
    if (strcmp(digest, llama2_digest) != 0) return false;
    for (int64_t id = 0; id < tok->n_ids; id++)
        scores[id] = id < LLAMA2_FIRST_PIECE        ? 0
                     : only_blanks(&tok->texts[id]) ? -1e9f
                                                    : -(float)(id - LLAMA2_FIRST_PIECE);
    return true;
}

/* ---- life ---- */

loom_foreign *loom_foreign_new(const loom_tokenizer *tok, const float *scores)
{
    loom_foreign *f = loom_calloc(1, sizeof *f);

    if (!f) return NULL;
    f->tok = tok;
    f->scores = scores;
    f->kind = loom_tokenizer_kind(tok);
    for (int64_t id = 0; id < tok->n_ids; id++) {
        size_t len = tok->bytes[id].len;
        if (len > 1 && len < sizeof f->lengths && !(tok->flags[id] & LOOM_TOK_SPECIAL)) f->lengths[len] = true;
    }
    return f;
}

void loom_foreign_free(loom_foreign *f)
{
    if (!f) return;
    free(f->cut);
    loom_buf_release(&f->text);
    free(f);
}

/* ---- the domain's tokens: cut out, longest first ---- */

static bool is_free(const int32_t *cut, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (cut[i] != FREE) return false;
    return true;
}

static int32_t token_at(const loom_foreign *f, const char *text, size_t at, size_t len)
{
    if (!is_free(f->cut + at, len)) return -1;
    return loom_tok_map_find(&f->tok->by_bytes, f->tok->bytes, text + at, len);
}

static bool cut_length(loom_foreign *f, const char *text, size_t len, size_t n)
{
    bool clear = true;

    for (size_t i = 0; i + n <= len; i++) {
        int32_t id = token_at(f, text, i, n);
        if (id < 0) continue;
        for (size_t j = i + 1; clear && j < i + n && j + n <= len; j++) clear = token_at(f, text, j, n) < 0;
        f->cut[i] = id;
        for (size_t j = 1; j < n; j++) f->cut[i + j] = INSIDE;
        i += n - 1;
    }
    return clear;
}

static bool encode_domain(loom_tokens *into, loom_foreign *f, const char *text, size_t len)
{
    bool clear = true;

    for (size_t i = 0; i < len; i++) f->cut[i] = FREE;
    for (size_t n = sizeof f->lengths - 1; n > 1; n--)
        if (f->lengths[n] && !cut_length(f, text, len, n)) clear = false;
    for (size_t i = 0; i < len; i++) {
        if (f->cut[i] == INSIDE) continue;
        loom_tokens_push(into, f->cut[i] >= 0 ? f->cut[i] : f->tok->byte_ids[(unsigned char)text[i]], (int64_t)i);
    }
    return clear;
}

/* ---- Llama-2: joined by score ---- */

typedef struct symbol {
    const char *text;
    size_t len;
    float score; /* of this one and the next as one token; -INFINITY: no token */
} symbol;

static void score_pair(const loom_foreign *f, symbol *s, const symbol *end)
{
    int32_t id = -1;

    if (s + 1 < end) id = loom_tok_map_find(&f->tok->by_text, f->tok->texts, s->text, s->len + s[1].len);
    s->score = id >= 0 ? f->scores[id] : -INFINITY;
}

static void push_symbol(loom_tokens *into, const loom_foreign *f, const symbol *s)
{
    int32_t id = loom_tok_map_find(&f->tok->by_text, f->tok->texts, s->text, s->len);

    if (id >= 0) loom_tokens_push(into, id, 0);
    else
        for (size_t i = 0; i < s->len; i++) loom_tokens_push(into, f->tok->byte_ids[(unsigned char)s->text[i]], 0);
}

/* No published piece has a blank behind another character, so words can be joined one by one. */
static bool join_word(loom_tokens *into, const loom_foreign *f, const char *text, size_t len)
{
    symbol *all = loom_alloc(len + 1, sizeof *all);
    size_t n = 0;

    if (!all) return false;
    for (size_t i = 0, step; i < len; i += step) {
        step = loom_utf8_get(text + i, len - i, NULL);
        if (step == 0) step = 1;
        all[n++] = (symbol){text + i, step, 0};
    }
    for (size_t i = 0; i < n; i++) score_pair(f, &all[i], all + n);
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (all[i].score > all[best].score) best = i;
        if (n == 0 || all[best].score == -INFINITY) break;
        all[best].len += all[best + 1].len;
        memmove(&all[best + 1], &all[best + 2], (n - best - 2) * sizeof *all);
        n--;
        score_pair(f, &all[best], all + n);
        if (best > 0) score_pair(f, &all[best - 1], all + n);
    }
    for (size_t i = 0; i < n; i++) push_symbol(into, f, &all[i]);
    free(all);
    return true;
}

static bool blank_at(const loom_buf *b, size_t i)
{
    return b->len - i >= 3 && memcmp(b->data + i, LOOM_TOK_BLANK, 3) == 0;
}

static bool encode_llama2(loom_tokens *into, loom_foreign *f, const char *text, size_t len)
{
    loom_buf *b = &f->text;
    bool fine = true;

    loom_buf_reset(b);
    if (len) loom_buf_str(b, LOOM_TOK_BLANK);
    for (size_t i = 0; i < len; i++)
        if (text[i] == ' ') loom_buf_str(b, LOOM_TOK_BLANK);
        else loom_buf_char(b, text[i]);
    for (size_t i = 0, next; i < b->len && fine; i = next) {
        next = i;
        while (next < b->len && blank_at(b, next)) next += 3;
        while (next < b->len && !blank_at(b, next)) next++;
        fine = join_word(into, f, b->data + i, next - i);
    }
    return fine && !loom_buf_failed(b);
}

bool loom_foreign_encode(loom_tokens *into, loom_foreign *f, const char *text, size_t len)
{
    if (f->kind == LOOM_TOK_KIND_LLAMA2) return encode_llama2(into, f, text, len);
    if (f->cap < len) {
        int32_t *more = loom_alloc(len, sizeof *more);
        if (!more) return false;
        free(f->cut);
        f->cut = more;
        f->cap = len;
    }
    return encode_domain(into, f, text, len);
}
