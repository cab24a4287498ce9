#include "system/in_order.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"

static int by_bytes(const void *a, const void *b, void *arg)
{
    const loom_intern *names = arg;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    size_t n = loom_intern_len(names, i), m = loom_intern_len(names, j);
    int d = memcmp(loom_intern_text(names, i), loom_intern_text(names, j), n < m ? n : m);
    return d ? d : (n > m) - (n < m);
}

int32_t *loom_names_in_order(const loom_intern *names)
{
    int32_t *order = loom_alloc(names->n, sizeof *order);
    for (size_t i = 0; order && i < names->n; i++) order[i] = (int32_t)i;
    if (order && names->n) qsort_r(order, names->n, sizeof *order, by_bytes, (void *)(uintptr_t)names);
    return order;
}

typedef struct placed {
    int32_t a, b, at;
} placed;

static int by_pair(const void *x, const void *y)
{
    const placed *p = x, *q = y;
    return p->a != q->a ? (p->a > q->a) - (p->a < q->a) : (p->b > q->b) - (p->b < q->b);
}

int32_t *loom_pairs_in_order(const loom_pair_map *m, const int32_t *new_a, const int32_t *new_b, size_t n_b)
{
    placed *pairs = loom_alloc(m->n, sizeof *pairs);
    int32_t *order = loom_alloc(m->n, sizeof *order);
    for (size_t i = 0; pairs && i < m->n; i++) {
        int32_t a = loom_pair_a(m, i), b = loom_pair_b(m, i);
        bool renumbered = new_b && b >= 0 && (size_t)b < n_b;
        pairs[i] = (placed){new_a && a >= 0 ? new_a[a] : a, renumbered ? new_b[b] : b, (int32_t)i};
    }
    if (pairs && order && m->n) qsort(pairs, m->n, sizeof *pairs, by_pair);
    for (size_t i = 0; pairs && order && i < m->n; i++) order[i] = pairs[i].at;
    if (!pairs) free(order), order = NULL;
    free(pairs);
    return order;
}
