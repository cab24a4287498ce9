#include "tokenizer/bpe.h"

#include "core/num.h"

static size_t slot_of(uint64_t pair, size_t mask)
{
    pair *= 0x9E3779B97F4A7C15u;
    return (size_t)(pair ^ pair >> 32) & mask;
}

static uint64_t pair_of(int32_t left, int32_t right) { return (uint64_t)(uint32_t)left << 32 | (uint32_t)right; }

bool loom_merge_map_init(loom_merge_map *m, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n) slots *= 2;
    m->rules = loom_alloc(slots, sizeof *m->rules);
    if (!m->rules) return false;
    m->mask = slots - 1;
    for (size_t i = 0; i < slots; i++) m->rules[i].pair = LOOM_MERGE_EMPTY;
    return true;
}

void loom_merge_map_release(loom_merge_map *m)
{
    free(m->rules);
    *m = (loom_merge_map){0};
}

void loom_merge_map_put(loom_merge_map *m, int32_t left, int32_t right, uint32_t rank, int32_t joined)
{
    uint64_t pair = pair_of(left, right);
    size_t i = slot_of(pair, m->mask);
    while (m->rules[i].pair != LOOM_MERGE_EMPTY && m->rules[i].pair != pair) i = (i + 1) & m->mask;
    m->rules[i] = (loom_merge_rule){pair, rank, joined};
}

const loom_merge_rule *loom_merge_map_find(const loom_merge_map *m, int32_t left, int32_t right)
{
    uint64_t pair = pair_of(left, right);
    for (size_t i = slot_of(pair, m->mask);; i = (i + 1) & m->mask) {
        if (m->rules[i].pair == pair) return &m->rules[i];
        if (m->rules[i].pair == LOOM_MERGE_EMPTY) return NULL;
    }
}

int64_t loom_bpe_merge_short(loom_symbol *symbols, int64_t n, const loom_merge_map *rules)
{
    const loom_merge_rule *rule[LOOM_BPE_SHORT]; /* of pair (i, i+1) */
    for (int64_t i = 0; i + 1 < n; i++) rule[i] = loom_merge_map_find(rules, symbols[i].id, symbols[i + 1].id);
    for (;;) {
        int64_t best = -1;
        for (int64_t i = 0; i + 1 < n; i++)
            if (rule[i] && (best < 0 || rule[i]->rank < rule[best]->rank)) best = i;
        if (best < 0) return n;
        symbols[best].id = rule[best]->joined;
        symbols[best].len += symbols[best + 1].len;
        n--;
        for (int64_t i = best + 1; i < n; i++) {
            symbols[i] = symbols[i + 1];
            rule[i] = rule[i + 1]; /* the last one copied is stale and never read: pairs end at n - 2 */
        }
        if (best > 0) rule[best - 1] = loom_merge_map_find(rules, symbols[best - 1].id, symbols[best].id);
        if (best + 1 < n) rule[best] = loom_merge_map_find(rules, symbols[best].id, symbols[best + 1].id);
    }
}

/* ---- long words: a queue of candidate pairs, lowest (rank, place) first; entries may be stale ---- */

typedef struct candidate {
    const loom_merge_rule *rule; /* the pair it was made for */
    int32_t at;                  /* symbol on the left */
} candidate;

typedef struct link {
    int32_t prev, next; /* -1: none. A symbol joined to its left neighbour has id -1. */
} link;

typedef struct queue {
    candidate *items;
    int64_t n;
} queue;

static bool before(const candidate *a, const candidate *b)
{
    return a->rule->rank != b->rule->rank ? a->rule->rank < b->rule->rank : a->at < b->at;
}

static void queue_push(queue *q, candidate c)
{
    int64_t i = q->n++;
    for (int64_t up; i > 0 && before(&c, &q->items[up = (i - 1) / 2]); i = up) q->items[i] = q->items[up];
    q->items[i] = c;
}

static candidate queue_pop(queue *q)
{
    candidate top = q->items[0], last = q->items[--q->n];
    int64_t i = 0;
    for (int64_t down; (down = 2 * i + 1) < q->n; i = down) {
        if (down + 1 < q->n && before(&q->items[down + 1], &q->items[down])) down++;
        if (!before(&q->items[down], &last)) break;
        q->items[i] = q->items[down];
    }
    q->items[i] = last;
    return top;
}

static void consider(queue *q, const loom_symbol *symbols, const link *links, int32_t at, const loom_merge_map *rules)
{
    if (at < 0 || links[at].next < 0) return;
    const loom_merge_rule *rule = loom_merge_map_find(rules, symbols[at].id, symbols[links[at].next].id);
    if (rule) queue_push(q, (candidate){rule, at});
}

int64_t loom_bpe_merge_long(loom_symbol *symbols, int64_t n, const loom_merge_map *rules, loom_buf *work)
{
    /* n - 1 candidates to begin with, two for each of at most n - 1 merges */
    loom_buf_reset(work);
    if (!loom_buf_reserve(work, (size_t)n * (3 * sizeof(candidate) + sizeof(link)))) return n; /* see core/nomem.h */
    queue q = {.items = (candidate *)(void *)work->data};
    link *links = (link *)(void *)(q.items + 3 * n);

    for (int32_t i = 0; i < n; i++) links[i] = (link){i - 1, i + 1 < n ? i + 1 : -1};
    for (int32_t i = 0; i + 1 < n; i++) consider(&q, symbols, links, i, rules);
    while (q.n > 0) {
        candidate c = queue_pop(&q);
        int32_t right = links[c.at].next;
        if (symbols[c.at].id < 0 || right < 0) continue;
        if (c.rule->pair != pair_of(symbols[c.at].id, symbols[right].id)) continue;
        symbols[c.at].id = c.rule->joined;
        symbols[c.at].len += symbols[right].len;
        symbols[right].id = -1;
        links[c.at].next = links[right].next;
        if (links[right].next >= 0) links[links[right].next].prev = c.at;
        consider(&q, symbols, links, links[c.at].prev, rules);
        consider(&q, symbols, links, c.at, rules);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (symbols[i].id >= 0) symbols[kept++] = symbols[i];
    return kept;
}

int64_t loom_bpe_merge(loom_symbol *symbols, int64_t n, const loom_merge_map *rules, loom_buf *work)
{
    if (n < 2) return n;
    return n <= LOOM_BPE_SHORT ? loom_bpe_merge_short(symbols, n, rules) : loom_bpe_merge_long(symbols, n, rules, work);
}
