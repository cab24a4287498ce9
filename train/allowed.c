#include "train/allowed.h"

#include <stdlib.h>
#include <string.h>

#include "guide/token_trie.h"
#include "trace/text/grammar.h"

typedef struct worker {
    loom_buf prompt;
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
    size_t cap_bits;
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
        free(x->workers[i].stack);
    }
    free(x->workers);
    free(x->bits);
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

/* Rows from `from` on, whose labels are the answer, until it is complete or breaks a rule. Its first `skip` bytes
 * belong to the prompt. False: it breaks a rule in its first edge, or before. */
static bool walk(loom_allowed *x, worker *w, loom_automaton *a, size_t skip, int64_t from, int64_t end)
{
    loom_automaton_state at = *loom_automaton_start(a);

    for (int64_t n = from; n < end && !at.done; n++) {
        uint64_t *row = x->bits + n * x->words;
        int32_t id = x->b->labels[n];
        size_t len = 0;
        const char *bytes = bytes_of(x, id, &len);

        if (!bytes) return true;
        if (skip) {
            size_t n_skip = len < skip ? len : skip;
            if (!loom_automaton_feed(a, &at, bytes + n_skip, len - n_skip)) return at.n_edges > 0;
            skip -= n_skip;
            continue;
        }
        loom_token_trie_allowed(row, x->trie, a, &at, w->stack);
        if (!loom_has_bit(row, id)) {
            memset(row, 0, (size_t)x->words * sizeof *row);
            return at.n_edges > 0;
        }
        loom_automaton_feed(a, &at, bytes, len); /* a copy walked here before: the bit */
        w->known++;
    }
    return true;
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

/* The rows of one answer; false: as walk() says, or there is no such answer. */
static bool fill_answer(loom_allowed *x, worker *w, const loom_automaton_conf *conf, size_t skip, int64_t from,
                        int64_t end)
{
    loom_automaton *a = NULL;
    loom_err unreadable;
    bool kept = loom_automaton_new(&a, conf, &unreadable) == LOOM_OK && walk(x, w, a, skip, from, end);

    loom_automaton_free(a);
    return kept;
}

static void fill_sequence(void *arg, int64_t item, int thread)
{
    loom_allowed *x = arg;
    worker *w = &x->workers[thread];
    int64_t first = x->b->segments[item], end = x->b->segments[item + 1], from = first;

    while (from < end && x->b->labels[from] == LOOM_IGNORE) from++;
    if (from == end) return;
    size_t skip = read_prompt(x, &w->prompt, first, from + 1);
    loom_automaton_conf conf = {
        .mode = x->mode, .full = true, .prompt = loom_buf_text(&w->prompt), .prompt_len = w->prompt.len};
    int64_t known = w->known;
    for (int64_t n = from; n < end; n++) w->rows += x->b->labels[n] != LOOM_IGNORE;
    conf.asked_first = conf.on_the_way = strstr(conf.prompt, LOOM_TEXT_INCLUDE) != NULL;
    if (fill_answer(x, w, &conf, skip, from, end) || !conf.asked_first) return;
    conf.asked_first = conf.on_the_way = false; /* it does not come first, or nowhere below */
    w->known = known;
    memset(x->bits + from * x->words, 0, (size_t)((end - from) * x->words) * sizeof *x->bits);
    fill_answer(x, w, &conf, skip, from, end);
}

loom_status loom_allowed_fill(loom_allowed *x, loom_batch *b, loom_err *err)
{
    size_t words = (size_t)(b->N * x->words);

    LOOM_TRY(loom_grow(&x->bits, &x->cap_bits, words, sizeof *x->bits, err));
    memset(x->bits, 0, words * sizeof *x->bits);
    x->b = b;
    loom_pool_for(x->pool, b->n_segments, fill_sequence, x);
    for (int i = 0; i < loom_pool_threads(x->pool); i++)
        LOOM_TRY(loom_buf_check(&x->workers[i].prompt, "a prompt", err));
    b->allowed = x->bits;
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
