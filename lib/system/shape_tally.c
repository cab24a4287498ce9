#include "system/shape_tally.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "system/in_order.h"

/* False and -1, here and below: no memory. */
static bool count_shape(loom_shape_tally *t, const loom_buf *key, int64_t times)
{
    int64_t id = loom_buf_failed(key) ? -1 : loom_intern_add(&t->shapes, key->data, key->len);
    if (id < 0 || !loom_grow_zeroed(&t->seen, &t->seen_cap, (size_t)id + 1, sizeof *t->seen)) return false;
    t->seen[id] += times;
    return true;
}

static loom_time_counts *window_of(loom_shape_tally *t, int32_t service, int32_t window)
{
    int32_t i = loom_pair_add(&t->windows, service, window);
    return i >= 0 && loom_grow_zeroed(&t->window, &t->window_cap, (size_t)i + 1, sizeof *t->window) ? &t->window[i]
                                                                                                    : NULL;
}

int32_t loom_shape_service(const loom_shape_tally *t, const char *service)
{
    return (int32_t)loom_intern_find(&t->system.services, service, strlen(service));
}

/* Key of a graph whose operations are `op`. */
static void shape_key(loom_buf *key, const loom_call_tree *tree, int32_t service, const int32_t *op)
{
    loom_buf_reset(key);
    loom_buf_append(key, &service, sizeof service);
    for (int32_t i = 0; i < tree->g->n_calls; i++) {
        int32_t pair[2] = {tree->parent[i], op[i]};
        loom_buf_append(key, pair, sizeof pair);
    }
}

loom_status loom_shape_add(loom_shape_tally *t, const loom_graph *g, loom_err *err)
{
    LOOM_TRY(loom_system_tally_add(&t->system, g, err)); /* leaves its tree and operations of g behind */
    int32_t service = loom_shape_service(t, g->service);
    shape_key(&t->key, &t->system.tree, service, t->system.entered);
    loom_time_counts *w = window_of(t, service, (int32_t)(g->time_of_day / LOOM_SHAPE_WINDOW_MS));
    if (w && count_shape(t, &t->key, 1) && loom_time_counts_add(w, g->calls[0].rt, 1)) return LOOM_OK;
    return loom_fail_nomem(err, "the structures of graphs");
}

/* Numbers in `into` of the texts of `from`, all of which it has. NULL: no memory. */
static int32_t *numbers_in(const loom_intern *into, const loom_intern *from)
{
    int32_t *number = loom_alloc(from->n, sizeof *number);
    for (size_t i = 0; number && i < from->n; i++)
        number[i] =
            (int32_t)loom_intern_find(into, loom_intern_text(from, (int64_t)i), loom_intern_len(from, (int64_t)i));
    return number;
}

/* The keys of `from`'s shapes with the numbers of `t`, in the same places. */
static bool renumber_shapes(loom_intern *out, loom_buf *key, const loom_shape_tally *from, const int32_t *service,
                            const int32_t *op)
{
    for (size_t i = 0; i < from->shapes.n; i++) {
        size_t len = loom_intern_len(&from->shapes, (int64_t)i), n = len / sizeof(int32_t);
        loom_buf_reset(key);
        loom_buf_append(key, loom_intern_text(&from->shapes, (int64_t)i), len);
        if (loom_buf_failed(key)) return false;
        int32_t *word = (int32_t *)(void *)key->data;
        word[0] = service[word[0]];
        for (size_t k = 2; k < n; k += 2) word[k] = op[word[k]];
        if (loom_intern_add(out, key->data, key->len) < 0) return false;
    }
    return true;
}

static bool join_shapes(loom_shape_tally *t, const loom_shape_tally *from, const int32_t *service, const int32_t *op)
{
    loom_intern keys = {0};
    int32_t *order = renumber_shapes(&keys, &t->key, from, service, op) ? loom_names_in_order(&keys) : NULL;
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < keys.n; n++) {
        loom_buf_reset(&t->key);
        loom_buf_append(&t->key, loom_intern_text(&keys, order[n]), loom_intern_len(&keys, order[n]));
        ok = count_shape(t, &t->key, from->seen[order[n]]);
    }
    free(order);
    loom_intern_release(&keys);
    return ok;
}

static bool join_windows(loom_shape_tally *t, loom_shape_tally *from, const int32_t *service)
{
    int32_t *order = loom_pairs_in_order(&from->windows, service, NULL, 0);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < from->windows.n; n++) {
        size_t i = (size_t)order[n];
        loom_time_counts *w = window_of(t, service[loom_pair_a(&from->windows, i)], loom_pair_b(&from->windows, i));
        ok = w && loom_time_counts_take(w, &from->window[i]);
    }
    free(order);
    return ok;
}

static bool join(loom_shape_tally *t, loom_shape_tally *from)
{
    int32_t *service = numbers_in(&t->system.services, &from->system.services),
            *op = numbers_in(&t->system.ops.keys, &from->system.ops.keys);
    bool ok = service && op && join_shapes(t, from, service, op) && join_windows(t, from, service);
    free(service);
    free(op);
    return ok;
}

loom_status loom_shape_join(loom_shape_tally *t, loom_shape_tally *from, loom_err *err)
{
    LOOM_TRY(loom_system_tally_join(&t->system, &from->system, err));
    return join(t, from) ? LOOM_OK : loom_fail_nomem(err, "the structures of graphs");
}

void loom_shape_release(loom_shape_tally *t)
{
    for (size_t i = 0; i < t->window_cap; i++) loom_time_counts_release(&t->window[i]);
    loom_system_tally_release(&t->system);
    loom_intern_release(&t->shapes);
    loom_pair_release(&t->windows);
    loom_buf_release(&t->key);
    free(t->seen);
    free(t->window);
    *t = (loom_shape_tally){0};
}

/* ---- one graph against all ---- */

int32_t loom_shape_operation(const loom_shape_tally *t, const loom_graph *g, int32_t i)
{
    loom_operations mine = {.per_service = t->system.ops.per_service};
    int32_t op = loom_operation_of(&mine, g, i);
    if (op >= 0)
        op = (int32_t)loom_intern_find(&t->system.ops.keys, loom_intern_text(&mine.keys, op),
                                       loom_intern_len(&mine.keys, op));
    loom_operations_release(&mine);
    return op;
}

/* Operations of all calls of g, and its key; false: something was never seen, or no memory. */
static bool known(const loom_shape_tally *t, const loom_graph *g, loom_buf *key, loom_call_tree *tree)
{
    int32_t *op = loom_alloc((size_t)g->n_calls, sizeof *op), service = loom_shape_service(t, g->service);
    bool all = op && service >= 0 && loom_call_tree_fill(tree, g);
    for (int32_t i = 0; all && i < g->n_calls; i++) all = (op[i] = loom_shape_operation(t, g, i)) >= 0;
    if (all) shape_key(key, tree, service, op);
    free(op);
    return all && !loom_buf_failed(key);
}

int64_t loom_shape_seen(const loom_shape_tally *t, const loom_graph *g)
{
    loom_buf key = {0};
    loom_call_tree tree = {0};
    int64_t id = known(t, g, &key, &tree) ? loom_intern_find(&t->shapes, key.data, key.len) : -1;
    loom_buf_release(&key);
    loom_call_tree_release(&tree);
    return id < 0 ? 0 : t->seen[id];
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Caller and callee of every call, sorted; operations never seen stand below 0, each for itself. */
static void pairs_of_graph(const loom_shape_tally *t, const loom_call_tree *tree, int64_t *out)
{
    const loom_graph *g = tree->g;
    for (int32_t i = 0; i < g->n_calls; i++) {
        int64_t op = loom_shape_operation(t, g, i),
                up = tree->parent[i] < 0 ? 0 : loom_shape_operation(t, g, tree->parent[i]) + 1;
        out[i] = op < 0 ? -1 - i : up << 32 | op;
    }
    qsort(out, (size_t)g->n_calls, sizeof *out, by_value);
}

static int32_t pairs_of_shape(const loom_shape_tally *t, int32_t shape, int64_t *out)
{
    int32_t n = (int32_t)((loom_intern_len(&t->shapes, shape) / sizeof(int32_t) - 1) / 2), word[2], up[2];
    const char *text = loom_intern_text(&t->shapes, shape) + sizeof(int32_t);
    for (int32_t i = 0; i < n; i++) {
        memcpy(word, text + (size_t)i * sizeof word, sizeof word);
        int64_t above = 0;
        if (word[0] >= 0) {
            memcpy(up, text + (size_t)word[0] * sizeof up, sizeof up);
            above = (int64_t)up[1] + 1;
        }
        out[i] = above << 32 | word[1];
    }
    qsort(out, (size_t)n, sizeof *out, by_value);
    return n;
}

static void difference(const int64_t *a, int32_t n, const int64_t *b, int32_t m, int32_t *only_a, int32_t *only_b)
{
    int32_t i = 0, j = 0;
    *only_a = *only_b = 0;
    while (i < n || j < m) {
        if (j >= m || (i < n && a[i] < b[j])) ++*only_a, i++;
        else if (i >= n || b[j] < a[i]) ++*only_b, j++;
        else i++, j++;
    }
}

int32_t loom_shape_nearest(const loom_shape_tally *t, const loom_graph *g, int64_t least, int32_t *missing,
                           int32_t *extra)
{
    loom_call_tree tree = {0};
    int32_t service = loom_shape_service(t, g->service), best = -1;
    size_t most = 1;
    for (size_t i = 0; i < t->shapes.n; i++) {
        size_t n = loom_intern_len(&t->shapes, (int64_t)i) / sizeof(int32_t) / 2;
        if (n > most) most = n;
    }
    int64_t *mine = loom_alloc((size_t)g->n_calls, sizeof *mine), *theirs = loom_alloc(most, sizeof *theirs);
    bool ok = service >= 0 && mine && theirs && loom_call_tree_fill(&tree, g);
    if (ok) pairs_of_graph(t, &tree, mine);
    for (size_t i = 0; ok && i < t->shapes.n; i++) {
        int32_t whose, lack, more;
        memcpy(&whose, loom_intern_text(&t->shapes, (int64_t)i), sizeof whose);
        if (whose != service || t->seen[i] < least) continue;
        int32_t n = pairs_of_shape(t, (int32_t)i, theirs);
        difference(mine, g->n_calls, theirs, n, &more, &lack);
        bool nearer = best < 0 || more + lack < *missing + *extra ||
                      (more + lack == *missing + *extra && t->seen[i] > t->seen[best]);
        if (!nearer) continue;
        best = (int32_t)i;
        *missing = lack;
        *extra = more;
    }
    free(mine);
    free(theirs);
    loom_call_tree_release(&tree);
    return best;
}
