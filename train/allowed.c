#include "train/allowed.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "guide/token_trie.h"
#include "trace/text/grammar.h"

typedef struct worker {
    loom_buf prompt, unasked;
    loom_automaton_state *stack;
    int64_t rows, known;
} worker;

struct loom_allowed {
    loom_tokenizer *tok;
    loom_token_trie *trie;
    loom_pool *pool;
    loom_mode mode;
    int64_t words; /* of a row's bits */
    worker *workers;
    uint64_t *bits;
    int32_t *labels; /* those of the call, less those that teach nothing */
    size_t cap_bits, cap_labels;
    const loom_batch *b; /* of the call */
};

/* ---- making ---- */

static loom_status make_workers(loom_allowed *x, loom_err *err)
{
    x->workers = loom_calloc((size_t)loom_pool_threads(x->pool), sizeof *x->workers);
    for (int i = 0; x->workers && i < loom_pool_threads(x->pool); i++)
        if (!(x->workers[i].stack = loom_calloc(LOOM_TOKEN_TRIE_DEPTH + 1, sizeof *x->workers[i].stack)))
            return loom_fail_nomem(err, "states of an automaton");
    return x->workers ? LOOM_OK : loom_fail_nomem(err, "states of an automaton");
}

static loom_status make(loom_allowed *x, const loom_shard_info *info, loom_err *err)
{
    x->words = (int64_t)loom_bit_words(info->vocab_size);
    if (!loom_mode_parse(&x->mode, info->mode))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: no automaton knows its text, \"%s\"", info->path, info->mode);
    LOOM_TRY(loom_tokenizer_parse(&x->tok, info->tokenizer, info->tokenizer_len, "the tokenizer of the shard", err));
    LOOM_TRY(loom_token_trie_new(&x->trie, x->tok, info->vocab_size, NULL, err));
    return make_workers(x, err);
}

loom_status loom_allowed_new(loom_allowed **out, const loom_shard_info *info, loom_pool *pool, loom_err *err)
{
    loom_allowed *x = loom_calloc(1, sizeof *x);

    if (!x) return loom_fail_nomem(err, "allowed tokens");
    x->pool = pool;
    loom_status st = make(x, info, err);
    if (st == LOOM_OK) *out = x;
    else loom_allowed_free(x);
    return st;
}

void loom_allowed_free(loom_allowed *x)
{
    if (!x) return;
    for (int i = 0; x->workers && i < loom_pool_threads(x->pool); i++) {
        loom_buf_release(&x->workers[i].prompt);
        loom_buf_release(&x->workers[i].unasked);
        free(x->workers[i].stack);
    }
    free(x->workers);
    free(x->bits);
    free(x->labels);
    loom_token_trie_free(x->trie);
    loom_tokenizer_free(x->tok);
    free(x);
}

/* ---- filling ---- */

/* NULL: a token that stands for no text. */
static const char *bytes_of(const loom_allowed *x, int32_t id, size_t *len)
{
    const char *bytes = id < 0 || loom_tokenizer_is_special(x->tok, id) ? NULL : loom_tokenizer_bytes(x->tok, id, len);

    return bytes && *len ? bytes : NULL;
}

typedef struct answer {
    size_t skip;       /* its first bytes belong to the prompt */
    int64_t from, end; /* rows whose labels are the answer */
} answer;

/* Follows the answer until it is complete or breaks a rule. Returns the row whose label breaks it, or the end. fill:
 * the rows before it get their bits, and that one those of what might have stood there. */
static int64_t follow(loom_allowed *x, worker *w, loom_automaton *a, const answer *it, bool fill)
{
    loom_automaton_state at = *loom_automaton_start(a);
    size_t skip = it->skip;

    for (int64_t n = it->from; n < it->end && !at.done; n++) {
        uint64_t *row = x->bits + n * x->words;
        int32_t id = x->b->labels[n];
        size_t len = 0;
        const char *bytes = bytes_of(x, id, &len);

        if (!bytes) return it->end;
        size_t n_skip = len < skip ? len : skip;
        if (fill && !skip) loom_token_trie_allowed(row, x->trie, a, &at, w->stack);
        skip -= n_skip;
        if (fill && !n_skip && !loom_has_bit(row, id)) return n;
        if (!loom_automaton_feed(a, &at, bytes + n_skip, len - n_skip)) return n; /* a copy walked here before: never */
        w->known += fill && !n_skip;
    }
    return it->end;
}

/* -1: there is no such answer. */
static int64_t follow_conf(loom_allowed *x, worker *w, const loom_automaton_conf *conf, const answer *it, bool fill)
{
    loom_automaton *a = NULL;
    loom_err none;
    int64_t end = -1;

    if (loom_automaton_new(&a, conf, &none) == LOOM_OK) end = follow(x, w, a, it, fill);
    loom_automaton_free(a);
    return end;
}

static void clear(loom_allowed *x, int64_t from, int64_t end)
{
    memset(x->bits + from * x->words, 0, (size_t)((end - from) * x->words) * sizeof *x->bits);
}

/* The row that breaks a rule teaches nothing more than its label. */
static void accept(loom_allowed *x, const answer *it, int64_t wrong)
{
    if (wrong >= 0 && wrong < it->end) clear(x, wrong, wrong + 1);
}

/* Returns how many bytes were missing: tokenizers that know nothing of our texts cut after the colon of
 * LOOM_TEXT_ANSWER, and the automaton goes on from its blank. */
static size_t read_prompt(const loom_allowed *x, loom_buf *prompt, int64_t first, int64_t end)
{
    loom_buf_reset(prompt);
    for (int64_t n = first; n < end; n++) {
        size_t len = 0;
        const char *bytes = bytes_of(x, x->b->tokens[n], &len);

        if (bytes) loom_buf_append(prompt, bytes, len);
    }
    if (!prompt->len || prompt->data[prompt->len - 1] != ':') return 0;
    loom_buf_str(prompt, " ");
    return 1;
}

/* The same request without what the layer is to include; false: no memory. */
static bool unask(worker *w, loom_automaton_conf *conf)
{
    size_t line_len = 0;
    const char *line = loom_text_include_line(conf->prompt, conf->prompt_len, &line_len);
    size_t before = (size_t)(line - conf->prompt), after = before + line_len;

    after += after < conf->prompt_len; /* the LF */
    loom_buf_reset(&w->unasked);
    loom_buf_append(&w->unasked, conf->prompt, before);
    loom_buf_append(&w->unasked, conf->prompt + after, conf->prompt_len - after);
    conf->asked_first = conf->on_the_way = false;
    conf->prompt = loom_buf_text(&w->unasked);
    conf->prompt_len = w->unasked.len;
    return !loom_buf_failed(&w->unasked);
}

static bool begins_longer(const loom_allowed *x, const uint64_t *row, int32_t id)
{
    size_t len = 0, more = 0;
    const char *bytes = bytes_of(x, id, &len);

    for (int64_t i = 0; bytes && i < x->words; i++)
        for (uint64_t left = row[i]; left; left &= left - 1) {
            const char *other = bytes_of(x, (int32_t)(i * 64) + __builtin_ctzll(left), &more);
            if (other && more > len && memcmp(other, bytes, len) == 0) return true;
        }
    return false;
}

/* Of the row, those tokens that begin no longer one of it: names are written in their own tokens, not letter by letter.
 * Where the label is among what is allowed its cross-entropy tells; here nothing else does. A token that is gone begins
 * one that stays, so that the order does not matter. */
static void keep_longest(const loom_allowed *x, uint64_t *row)
{
    for (int64_t i = 0; i < x->words; i++)
        for (uint64_t left = row[i]; left; left &= left - 1)
            if (begins_longer(x, row, (int32_t)(i * 64) + __builtin_ctzll(left))) row[i] &= ~(left & -left);
}

/* An answer that does not do what it is asked: all there is to learn is that its row `wrong` should be another. */
static void refuse(loom_allowed *x, const answer *it, int64_t wrong)
{
    clear(x, it->from, wrong);
    keep_longest(x, x->bits + wrong * x->words);
    for (int64_t n = it->from; n < it->end; n++)
        if (n != wrong) x->labels[n] = LOOM_IGNORE;
}

/* What is asked for comes first, and layers above it lead to it; or it comes later; or its lack is all that is wrong
 * with the answer. */
static void fill_asked(loom_allowed *x, worker *w, const loom_automaton_conf *conf, const answer *it)
{
    loom_automaton_conf first = *conf, later = *conf, none = *conf;
    int64_t known = w->known;

    first.asked_first = first.on_the_way = later.on_the_way = true;
    int64_t wrong = follow_conf(x, w, &first, it, true);
    if (wrong == it->end || !unask(w, &none)) return;
    int64_t wrong_later = follow_conf(x, w, &later, it, false), wrong_anyway = follow_conf(x, w, &none, it, false);
    if (wrong >= 0 && wrong_anyway > loom_max_i64(wrong, wrong_later)) {
        refuse(x, it, wrong);
        w->known = known + 1;
        return;
    }
    if (wrong_later > wrong || wrong < 0) {
        w->known = known;
        clear(x, it->from, it->end);
        wrong = follow_conf(x, w, wrong_later > wrong ? &later : conf, it, true);
    }
    accept(x, it, wrong);
}

static void fill_sequence(void *arg, int64_t item, int thread)
{
    loom_allowed *x = arg;
    worker *w = &x->workers[thread];
    int64_t first = x->b->segments[item];
    answer it = {.from = first, .end = x->b->segments[item + 1]};
    size_t line_len;

    while (it.from < it.end && x->b->labels[it.from] == LOOM_IGNORE) it.from++;
    if (it.from == it.end) return;
    it.skip = read_prompt(x, &w->prompt, first, it.from + 1);
    loom_automaton_conf conf = {
        .mode = x->mode, .full = true, .prompt = loom_buf_text(&w->prompt), .prompt_len = w->prompt.len};
    if (loom_text_include_line(conf.prompt, conf.prompt_len, &line_len)) fill_asked(x, w, &conf, &it);
    else accept(x, &it, follow_conf(x, w, &conf, &it, true));
    for (int64_t n = it.from; n < it.end; n++) w->rows += x->labels[n] != LOOM_IGNORE;
}

loom_status loom_allowed_fill(loom_allowed *x, loom_batch *b, loom_err *err)
{
    size_t words = (size_t)(b->N * x->words);

    LOOM_TRY(loom_grow(&x->bits, &x->cap_bits, words, sizeof *x->bits, err));
    LOOM_TRY(loom_grow(&x->labels, &x->cap_labels, (size_t)b->N, sizeof *x->labels, err));
    memset(x->bits, 0, words * sizeof *x->bits);
    memcpy(x->labels, b->labels, (size_t)b->N * sizeof *x->labels);
    x->b = b;
    loom_pool_for(x->pool, b->n_segments, fill_sequence, x);
    for (int i = 0; i < loom_pool_threads(x->pool); i++) {
        LOOM_TRY(loom_buf_check(&x->workers[i].prompt, "a prompt", err));
        LOOM_TRY(loom_buf_check(&x->workers[i].unasked, "a prompt", err));
    }
    b->allowed = x->bits;
    b->labels = x->labels;
    return LOOM_OK;
}

void loom_allowed_seen(const loom_allowed *x, int64_t *rows, int64_t *known)
{
    *rows = *known = 0;
    for (int i = 0; i < loom_pool_threads(x->pool); i++) {
        *rows += x->workers[i].rows;
        *known += x->workers[i].known;
    }
}
