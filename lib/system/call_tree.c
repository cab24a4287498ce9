#include "system/call_tree.h"

#include <stdlib.h>

#include "core/num.h"

static bool reserve(loom_call_tree *t, size_t n)
{
    if (n < t->cap) return true;
    size_t cap = n + n / 2 + 32;
    loom_call_tree_release(t);
    t->parent = loom_alloc(cap, sizeof *t->parent);
    t->first = loom_alloc(cap + 1, sizeof *t->first);
    t->child = loom_alloc(cap, sizeof *t->child);
    t->stage = loom_alloc(cap, sizeof *t->stage);
    t->own = loom_alloc(cap, sizeof *t->own);
    if (!t->parent || !t->first || !t->child || !t->stage || !t->own) {
        loom_call_tree_release(t);
        return false;
    }
    t->cap = cap;
    return true;
}

/* In dotted-id order the parent of a call is the one before it or one of that one's ancestors. */
static void find_parents(loom_call_tree *t)
{
    const loom_graph *g = t->g;
    for (int32_t i = 0; i < g->n_calls; i++) {
        int32_t up = i - 1;
        while (up >= 0 && g->calls[up].n_id >= g->calls[i].n_id) up = t->parent[up];
        t->parent[i] = up;
    }
}

static void list_children(loom_call_tree *t)
{
    const loom_graph *g = t->g;
    int32_t n = g->n_calls;
    for (int32_t i = 0; i <= n; i++) t->first[i] = 0;
    for (int32_t i = 1; i < n; i++) t->first[t->parent[i] + 1]++;
    for (int32_t i = 0; i < n; i++) t->first[i + 1] += t->first[i];
    for (int32_t i = 0; i < n; i++) t->stage[i] = 0; /* children placed so far */
    for (int32_t i = 1; i < n; i++) {                /* sorted in as they come: ids mostly follow the starts */
        int32_t up = t->parent[i], from = t->first[up], at = from + t->stage[up];
        for (; at > from && g->calls[t->child[at - 1]].arrived > g->calls[i].arrived; at--)
            t->child[at] = t->child[at - 1];
        t->child[at] = i;
        t->stage[up]++;
    }
}

static int64_t covered(loom_call_tree *t, int32_t i)
{
    const loom_call *calls = t->g->calls;
    int64_t from = calls[i].arrived, to = loom_call_finish(&calls[i]), sum = 0, until = from, last = INT64_MIN;
    int32_t stage = -1;
    for (int32_t k = t->first[i]; k < t->first[i + 1]; k++) {
        const loom_call *c = &calls[t->child[k]];
        int64_t start = loom_max_i64(c->arrived, until), finish = loom_min_i64(loom_call_finish(c), to);
        stage += c->arrived >= last;
        t->stage[t->child[k]] = stage;
        last = loom_max_i64(last, loom_call_finish(c));
        if (finish <= start) continue;
        sum += finish - start;
        until = finish;
    }
    return sum;
}

bool loom_call_tree_fill(loom_call_tree *t, const loom_graph *g)
{
    if (!reserve(t, (size_t)g->n_calls + 1)) return false;
    t->g = g;
    find_parents(t);
    list_children(t);
    for (int32_t i = 0; i < g->n_calls; i++) t->own[i] = loom_max_i64(0, g->calls[i].rt) - covered(t, i);
    t->stage[0] = 0;
    return true;
}

void loom_call_tree_release(loom_call_tree *t)
{
    free(t->parent);
    free(t->first);
    free(t->child);
    free(t->stage);
    free(t->own);
    *t = (loom_call_tree){0};
}
