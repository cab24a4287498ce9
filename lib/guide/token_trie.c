#include "guide/token_trie.h"

#include <stdlib.h>
#include <string.h>

/* `lcp`: bytes it has in common with the one before. */
typedef struct entry {
    const char *bytes;
    int32_t id, len, lcp;
} entry;

struct loom_token_trie {
    int64_t V, n;
    entry *entries; /* (n) by bytes */
};

static int by_bytes(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, (size_t)loom_min_i64(x->len, y->len));

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void gather(loom_token_trie *v, const loom_tokenizer *tok, const bool *leave_out)
{
    for (int32_t id = 0; id < v->V; id++) {
        size_t len = 0;
        const char *bytes = loom_tokenizer_bytes(tok, id, &len);

        if (!len || len > LOOM_TOKEN_TRIE_DEPTH || (leave_out && leave_out[id]) || loom_tokenizer_is_special(tok, id))
            continue;
        v->entries[v->n++] = (entry){bytes, id, (int32_t)len, 0};
    }
}

static int32_t common_prefix(const entry *a, const entry *b)
{
    int32_t n = 0;

    while (n < a->len && n < b->len && a->bytes[n] == b->bytes[n]) n++;
    return n;
}

loom_status loom_token_trie_new(loom_token_trie **out, const loom_tokenizer *tok, int64_t V, const bool *leave_out,
                                loom_err *err)
{
    loom_token_trie *v = loom_calloc(1, sizeof *v);

    if (!v || !(v->entries = loom_calloc((size_t)V, sizeof *v->entries))) {
        loom_token_trie_free(v);
        return loom_fail_nomem(err, "the vocabulary in byte order");
    }
    v->V = V;
    gather(v, tok, leave_out);
    qsort(v->entries, (size_t)v->n, sizeof *v->entries, by_bytes);
    for (int64_t i = 1; i < v->n; i++) v->entries[i].lcp = common_prefix(&v->entries[i - 1], &v->entries[i]);
    *out = v;
    return LOOM_OK;
}

void loom_token_trie_free(loom_token_trie *v)
{
    if (!v) return;
    free(v->entries);
    free(v);
}

/* stack[d] is the state behind the first d bytes of the entry, right up to d = lcp. Depth at which it is decided: a
 * byte that is refused, or behind which the answer is complete; beyond its length: it is taken whole. */
static int32_t step_through(bool *good, const entry *e, loom_automaton *a, loom_automaton_state *stack)
{
    *good = true;
    for (int32_t d = e->lcp; d < e->len; d++) {
        stack[d + 1] = stack[d];
        *good = loom_automaton_step(a, &stack[d + 1], (unsigned char)e->bytes[d]);
        if (!*good || stack[d + 1].done) return d + 1;
    }
    return LOOM_TOKEN_TRIE_DEPTH + 1;
}

void loom_token_trie_allowed(uint64_t *bits, const loom_token_trie *v, loom_automaton *a,
                             const loom_automaton_state *at, loom_automaton_state *stack)
{
    int32_t decided = LOOM_TOKEN_TRIE_DEPTH + 1;
    bool good = false;

    memset(bits, 0, loom_bit_words(v->V) * sizeof *bits);
    stack[0] = *at;
    for (int64_t i = 0; i < v->n; i++) {
        const entry *e = &v->entries[i];

        /* what decided the entry before decides all that share the bytes up to there */
        if (e->lcp < decided) decided = step_through(&good, e, a, stack);
        if (good) loom_set_bit(bits, e->id);
    }
}
