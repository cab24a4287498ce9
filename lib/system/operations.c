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

void loom_operations_release(loom_operations *o)
{
    loom_intern_release(&o->keys);
    loom_buf_release(&o->scratch);
    *o = (loom_operations){0};
}
