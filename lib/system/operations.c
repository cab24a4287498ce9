#include "system/operations.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"

int32_t loom_operation_of(loom_operations *o, const loom_graph *g, int32_t i)
{
    const loom_call *c = &g->calls[i];
    loom_buf_reset(&o->scratch);
    loom_buf_char(&o->scratch, (char)('0' + c->type));
    loom_buf_char(&o->scratch, i == 0 ? 'R' : '-');
    if (i == 0 || o->per_service) loom_buf_str(&o->scratch, g->service);
    loom_buf_char(&o->scratch, 0);
    loom_buf_str(&o->scratch, c->destination);
    if (loom_buf_failed(&o->scratch)) return -1;
    int64_t id = loom_intern_add(&o->keys, o->scratch.data, o->scratch.len);
    return id > INT32_MAX ? -1 : (int32_t)id;
}

loom_call_type loom_operation_type(const loom_operations *o, int32_t op)
{
    return (loom_call_type)(loom_intern_text(&o->keys, op)[0] - '0');
}

bool loom_operation_is_root(const loom_operations *o, int32_t op) { return loom_intern_text(&o->keys, op)[1] == 'R'; }
const char *loom_operation_service(const loom_operations *o, int32_t op) { return loom_intern_text(&o->keys, op) + 2; }

const char *loom_operation_name(const loom_operations *o, int32_t op)
{
    const char *service = loom_operation_service(o, op);
    return service + strlen(service) + 1;
}

static int compare_bytes(const char *a, size_t n, const char *b, size_t m)
{
    int d = memcmp(a, b, n < m ? n : m);
    return d ? d : n < m ? -1 : n > m;
}

int loom_operation_compare(const loom_operations *o, int32_t a, int32_t b)
{
    const loom_intern *k = &o->keys;
    return compare_bytes(loom_intern_text(k, a), loom_intern_len(k, a), loom_intern_text(k, b), loom_intern_len(k, b));
}

static int by_key(const void *a, const void *b, void *arg)
{
    return loom_operation_compare(arg, *(const int32_t *)a, *(const int32_t *)b);
}

int32_t *loom_operations_sorted(const loom_operations *o)
{
    int32_t *order = loom_alloc(o->keys.n, sizeof *order);
    for (size_t i = 0; order && i < o->keys.n; i++) order[i] = (int32_t)i;
    if (order) qsort_r(order, o->keys.n, sizeof *order, by_key, (void *)o);
    return order;
}

void loom_operations_release(loom_operations *o)
{
    loom_intern_release(&o->keys);
    loom_buf_release(&o->scratch);
    *o = (loom_operations){0};
}
