#include "tokenizer/bpelearn.h"

#include "core/buf.h"
#include "core/num.h"

/* A pair of neighbours: how often it stands in all words, and in which words it was ever seen. */
typedef struct pair_info {
    int32_t left, right;
    int64_t count;
    int64_t *words;
    size_t n_words, cap_words;
} pair_info;

typedef struct heap_item {
    int64_t count; /* when it was pushed; stale when the pair's count differs */
    int32_t left, right;
    size_t pair;
} heap_item;

typedef struct learner {
    loom_bpelearn *out;
    const loom_word *words;
    size_t n_words;
    int32_t **symbols; /* of each word, shrinking as merges are applied */
    int32_t *lens;
    int32_t *block; /* all symbols */
    pair_info *pairs;
    size_t n_pairs, cap_pairs;
    loom_intern index; /* 8 bytes of a pair -> its number */
    heap_item *heap;
    size_t n_heap, cap_heap;
    loom_err *err;
    loom_status status; /* first failure; later work is skipped */
} learner;

static bool need(learner *l, loom_status st)
{
    if (l->status == LOOM_OK) l->status = st;
    return l->status == LOOM_OK;
}

static bool above(const heap_item *a, const heap_item *b)
{
    if (a->count != b->count) return a->count > b->count;
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static void heap_push(learner *l, size_t pair)
{
    const pair_info *p = &l->pairs[pair];
    heap_item item = {p->count, p->left, p->right, pair};
    if (!need(l, loom_grow(&l->heap, &l->cap_heap, l->n_heap + 1, sizeof *l->heap, l->err))) return;
    size_t i = l->n_heap++;
    for (size_t up; i > 0 && above(&item, &l->heap[up = (i - 1) / 2]); i = up) l->heap[i] = l->heap[up];
    l->heap[i] = item;
}

static heap_item heap_pop(learner *l)
{
    heap_item top = l->heap[0], last = l->heap[--l->n_heap];
    size_t i = 0;
    for (size_t down; (down = 2 * i + 1) < l->n_heap; i = down) {
        if (down + 1 < l->n_heap && above(&l->heap[down + 1], &l->heap[down])) down++;
        if (!above(&l->heap[down], &last)) break;
        l->heap[i] = l->heap[down];
    }
    l->heap[i] = last;
    return top;
}

static pair_info *pair_of(learner *l, int32_t left, int32_t right)
{
    int32_t key[2] = {left, right};
    size_t i = (size_t)loom_intern_add(&l->index, (const char *)key, sizeof key);
    if (i == l->n_pairs) {
        if (!need(l, loom_grow(&l->pairs, &l->cap_pairs, i + 1, sizeof *l->pairs, l->err))) return NULL;
        l->pairs[l->n_pairs++] = (pair_info){.left = left, .right = right};
    }
    return &l->pairs[i];
}

/* Counts a pair of word w up or down; a pair that is new in the word remembers it. */
static void count_pair(learner *l, int32_t left, int32_t right, int64_t by, int64_t w, bool is_new)
{
    pair_info *p = pair_of(l, left, right);
    if (!p) return;
    p->count += by;
    if (is_new && (p->n_words == 0 || p->words[p->n_words - 1] != w)) {
        if (!need(l, loom_grow(&p->words, &p->cap_words, p->n_words + 1, sizeof *p->words, l->err))) return;
        p->words[p->n_words++] = w;
    }
}

/* fresh: the symbol whose pairs are new in the word; ALL: every pair is; NONE. */
enum { ALL = -1, NONE = -2 };
static void count_word(learner *l, int64_t w, int sign, int32_t fresh)
{
    const int32_t *s = l->symbols[w];
    for (int32_t i = 0; i + 1 < l->lens[w]; i++) {
        bool is_new = fresh == ALL || s[i] == fresh || s[i + 1] == fresh;
        count_pair(l, s[i], s[i + 1], sign * l->words[w].count, w, is_new);
    }
}

/* Joins the pair in a row of symbols; returns the new length. */
static int32_t join(int32_t *s, int32_t len, const loom_learned_merge *m)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < len; kept++) {
        bool here = i + 1 < len && s[i] == m->left && s[i + 1] == m->right;
        s[kept] = here ? m->joined : s[i];
        i += here ? 2 : 1;
    }
    return kept;
}

static void queue_pairs_of_word(learner *l, int64_t w, int32_t fresh)
{
    const int32_t *s = l->symbols[w];
    for (int32_t i = 0; i + 1 < l->lens[w]; i++) {
        if (s[i] != fresh && s[i + 1] != fresh) continue;
        const pair_info *p = pair_of(l, s[i], s[i + 1]);
        if (p) heap_push(l, (size_t)(p - l->pairs));
    }
}

static void apply(learner *l, size_t pair, const loom_learned_merge *m)
{
    size_t n = l->pairs[pair].n_words;
    int64_t *words = l->pairs[pair].words;
    l->pairs[pair].words = NULL; /* whatever is counted up from here on is a new list */
    l->pairs[pair].n_words = l->pairs[pair].cap_words = 0;
    for (size_t i = 0; i < n && l->status == LOOM_OK; i++) {
        count_word(l, words[i], -1, NONE);
        l->lens[words[i]] = join(l->symbols[words[i]], l->lens[words[i]], m);
        count_word(l, words[i], 1, m->joined);
        queue_pairs_of_word(l, words[i], m->joined);
    }
    free(words);
}

static loom_status append_merge(loom_bpelearn *b, int32_t left, int32_t right, loom_err *err)
{
    loom_buf text = {0};
    LOOM_TRY(loom_grow(&b->merges, &b->cap_merges, (size_t)b->n_merges + 1, sizeof *b->merges, err));
    loom_buf_append(&text, loom_intern_text(&b->symbols, left), loom_intern_len(&b->symbols, left));
    loom_buf_append(&text, loom_intern_text(&b->symbols, right), loom_intern_len(&b->symbols, right));
    int32_t joined = (int32_t)loom_intern_add(&b->symbols, text.data, text.len);
    b->merges[b->n_merges++] = (loom_learned_merge){left, right, joined};
    loom_buf_release(&text);
    return LOOM_OK;
}

static void add_bytes(loom_bpelearn *b)
{
    for (int i = 0; b->symbols.n < 256; i++) {
        char byte = (char)i;
        loom_intern_add(&b->symbols, &byte, 1);
    }
}

static bool is_forbidden(const loom_bpelearn *b, int32_t left, int32_t right, const char *const *forbidden)
{
    size_t n = loom_intern_len(&b->symbols, left), k = loom_intern_len(&b->symbols, right);
    for (; *forbidden; forbidden++)
        if (strlen(*forbidden) == n + k && memcmp(*forbidden, loom_intern_text(&b->symbols, left), n) == 0 &&
            memcmp(*forbidden + n, loom_intern_text(&b->symbols, right), k) == 0)
            return true;
    return false;
}

static loom_status start(learner *l)
{
    size_t total = 0;
    for (size_t w = 0; w < l->n_words; w++) total += l->words[w].len;
    l->block = loom_alloc(total, sizeof *l->block);
    l->symbols = loom_alloc(l->n_words, sizeof *l->symbols);
    l->lens = loom_alloc(l->n_words, sizeof *l->lens);
    if (!l->block || !l->symbols || !l->lens) return loom_fail_nomem(l->err, "learning merges");
    int32_t *next = l->block;
    for (size_t w = 0; w < l->n_words; w++) {
        l->symbols[w] = next;
        l->lens[w] = (int32_t)l->words[w].len;
        for (size_t i = 0; i < l->words[w].len; i++) *next++ = (unsigned char)l->words[w].text[i];
        for (int64_t m = 0; m < l->out->n_merges; m++) l->lens[w] = join(l->symbols[w], l->lens[w], &l->out->merges[m]);
        count_word(l, (int64_t)w, 1, ALL);
    }
    for (size_t p = 0; p < l->n_pairs; p++) heap_push(l, p);
    return l->status;
}

static void finish(learner *l)
{
    for (size_t p = 0; p < l->n_pairs; p++) free(l->pairs[p].words);
    free(l->pairs);
    free(l->heap);
    free(l->block);
    free(l->symbols);
    free(l->lens);
    loom_intern_release(&l->index);
}

loom_status loom_bpelearn_run(loom_bpelearn *b, const loom_word *words, size_t n_words, int64_t max_merges,
                              int64_t min_count, const char *const *forbidden, loom_err *err)
{
    learner l = {.out = b, .words = words, .n_words = n_words, .err = err};
    add_bytes(b);
    need(&l, start(&l));
    while (l.status == LOOM_OK && max_merges > 0 && l.n_heap > 0) {
        heap_item top = heap_pop(&l);
        const pair_info *p = &l.pairs[top.pair];
        if (p->count < min_count || p->count <= 0) continue;
        if (p->count != top.count) {
            if (p->count < top.count) heap_push(&l, top.pair); /* larger: a later push is in the queue */
            continue;
        }
        if (is_forbidden(b, p->left, p->right, forbidden)) continue;
        if (!need(&l, append_merge(b, p->left, p->right, err))) break;
        apply(&l, top.pair, &b->merges[b->n_merges - 1]);
        max_merges--;
    }
    finish(&l);
    return l.status;
}

loom_status loom_bpelearn_add(loom_bpelearn *b, const char *left, const char *right, loom_err *err)
{
    add_bytes(b);
    return append_merge(b, (int32_t)loom_intern_find(&b->symbols, left, strlen(left)),
                        (int32_t)loom_intern_find(&b->symbols, right, strlen(right)), err);
}

void loom_bpelearn_release(loom_bpelearn *b)
{
    loom_intern_release(&b->symbols);
    free(b->merges);
    *b = (loom_bpelearn){0};
}
