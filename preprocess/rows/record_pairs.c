#include "preprocess/rows/record_pairs.h"

#include <stdlib.h>
#include <string.h>

/* Rows of the same call stand together, the caller's first, then in the order of the file. */
static int compare_call(const loom_row *x, const loom_row *y)
{
    int c = strcmp(x->id_text, y->id_text);
    if (c == 0) c = strcmp(x->source, y->source);
    return c ? c : strcmp(x->destination, y->destination);
}

static int by_call(const void *a, const void *b)
{
    const loom_row *x = *(loom_row *const *)a, *y = *(loom_row *const *)b;
    int c = compare_call(x, y);
    if (c) return c;
    if ((x->rt > 0) != (y->rt > 0)) return x->rt > 0 ? -1 : 1;
    return (x > y) - (x < y);
}

static bool has_callee_record(const loom_row *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (rows[i].rt < 0) return true;
    return false;
}

static void *copy_of(const void *data, int64_t n, size_t size, loom_arena *arena)
{
    void *copy = loom_arena_alloc(arena, (size_t)n * size + 1);
    if (!copy) return NULL;
    memcpy(copy, data, (size_t)n * size);
    return copy;
}

/* The rows of one call, the caller's before all. */
static void join_call(loom_record_pairs *p, loom_row **group, int64_t n, bool *gone, const loom_row *rows)
{
    if (group[0]->rt > 0) {
        for (int64_t i = 1; i < n; i++) gone[group[i] - rows] = group[i]->rt <= 0;
        return;
    }
    bool single = false;
    for (int64_t i = 0; i < n; i++) {
        single |= group[i]->rt < 0;
        group[i]->rt = -group[i]->rt;
    }
    if (single) p->single[p->n_single++] = group[0];
}

int64_t loom_record_pairs_join(loom_record_pairs *p, loom_row *rows, int64_t n, loom_arena *arena)
{
    int64_t kept = 0;

    *p = (loom_record_pairs){0};
    if (!has_callee_record(rows, n)) return 0;
    loom_row **order = loom_arena_alloc(arena, (size_t)n * sizeof *order);
    bool *gone = loom_arena_calloc(arena, (size_t)n, sizeof *gone);
    p->single = loom_arena_alloc(arena, (size_t)n * sizeof *p->single);
    if (arena->failed) return 0; /* the arena tells, here and below */
    for (int64_t i = 0; i < n; i++) order[i] = &rows[i];
    qsort(order, (size_t)n, sizeof *order, by_call);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && compare_call(order[i], order[end]) == 0; end++) {
        }
        join_call(p, order + i, end - i, gone, rows);
    }
    p->callee_only = p->n_single;
    for (int64_t i = 0; i < p->n_single; i++) p->single[i] = copy_of(p->single[i], 1, sizeof *rows, arena);
    if (arena->failed) return 0;
    for (int64_t i = 0; i < n; i++)
        if (!gone[i]) rows[kept++] = rows[i];
    return n - kept;
}

static int by_id(const void *a, const void *b)
{
    const loom_row *x = *(const loom_row *const *)a, *y = *(const loom_row *const *)b;
    return loom_id_compare(x->id, x->n_id, y->id, y->n_id);
}

/* Is the call one of which only the callee's record was there? */
static bool is_single(const loom_record_pairs *p, const loom_call *c)
{
    loom_row key = {.id = c->id, .n_id = c->n_id};
    const loom_row *wanted = &key;
    const loom_row **found = bsearch(&wanted, p->single, (size_t)p->n_single, sizeof *p->single, by_id);

    if (!found) return false;
    while (found > p->single && by_id(&found[-1], &wanted) == 0) found--;
    for (; found < p->single + p->n_single && by_id(found, &wanted) == 0; found++)
        if (strcmp(found[0]->source, c->source) == 0 && strcmp(found[0]->destination, c->destination) == 0) return true;
    return false;
}

int64_t loom_record_pairs_fit(const loom_record_pairs *p, loom_graph *g, loom_arena *arena)
{
    int64_t moved = 0;

    if (!p->n_single) return 0;
    int64_t *shift = loom_arena_calloc(arena, (size_t)g->n_calls + 1, sizeof *shift);
    if (!shift) return 0;
    qsort(p->single, (size_t)p->n_single, sizeof *p->single, by_id);
    for (int32_t i = 0; i < g->n_calls; i++) { /* dotted-id order: parents before their children */
        loom_call *c = &g->calls[i];
        int32_t up = loom_graph_parent(g, i);
        if (up < 0) continue;
        int64_t late = loom_call_finish(c) + shift[up] - loom_call_finish(&g->calls[up]);
        shift[i] = shift[up];
        if (late > 0 && c->rt <= g->calls[up].rt && is_single(p, c)) {
            shift[i] -= late;
            moved++;
        }
        c->arrived += shift[i];
    }
    return moved;
}
