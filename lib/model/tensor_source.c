/* One way to the tensors of a checkpoint and of a safetensors file. */
#include "model/tensor_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST_NAME = 512 }; /* bytes of a group and a name, longer than any of a model */

size_t loom_tensor_source_count(const loom_tensor_source *s)
{
    return s->ckpt ? loom_ckpt_count(s->ckpt) : loom_safetensors_count(s->st);
}

const char *loom_tensor_source_name(const loom_tensor_source *s, size_t i)
{
    const char *name;

    if (s->st) return loom_safetensors_at(s->st, i)->name;
    name = loom_ckpt_at(s->ckpt, i)->name;
    return strncmp(name, s->group, strlen(s->group)) == 0 ? name + strlen(s->group) : NULL;
}

bool loom_tensor_source_find(loom_tensor_view *out, const loom_tensor_source *s, const char *name)
{
    const loom_tensor_view *v;
    const loom_ckpt_entry *e;
    char full[MOST_NAME]; /* no memory is asked for: a tensor that is there is found */

    if (s->st) {
        if ((v = loom_safetensors_find(s->st, name))) *out = *v;
        return v != NULL;
    }
    if (snprintf(full, sizeof full, "%s%s", s->group, name) >= MOST_NAME) return false;
    e = loom_ckpt_find(s->ckpt, full);
    if (!e || e->is_text) return false;
    *out =
        (loom_tensor_view){.name = e->name, .dtype = e->dtype, .rank = e->rank, .count = e->count, .bytes = e->bytes};
    memcpy(out->shape, e->shape, sizeof out->shape);
    return true;
}

loom_status loom_tensor_source_read(float *out, const loom_tensor_source *s, const loom_tensor_view *v, loom_err *err)
{
    if (s->ckpt) return loom_ckpt_read_f32(s->ckpt, v->name, out, v->count, err);
    loom_dtype_to_f32(out, v->data, v->dtype, v->count);
    loom_safetensors_forget(s->st, v);
    return LOOM_OK;
}

loom_status loom_tensor_source_map(loom_tensor_view *v, const loom_tensor_source *s, loom_err *err)
{
    return s->ckpt ? loom_ckpt_map(s->ckpt, v->name, v, err) : LOOM_OK;
}

void loom_tensor_names_add(loom_tensor_names *list, const char *name)
{
    if (list->n < 5) loom_buf_printf(&list->text, "%s%s", list->n ? ", " : "", name);
    else if (list->n == 5) loom_buf_str(&list->text, ", ...");
    list->n++;
}

loom_status loom_tensor_names_fail(loom_tensor_names *missing, loom_tensor_names *extra, const char *path,
                                   loom_err *err)
{
    loom_status st = LOOM_OK;

    if (missing->n)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s lacks %" PRId64 " tensors of this model: %.600s", path, missing->n,
                       loom_buf_text(&missing->text));
    else if (extra->n)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s holds %" PRId64 " tensors this model does not have: %.600s", path,
                       extra->n, loom_buf_text(&extra->text));
    loom_buf_release(&missing->text);
    loom_buf_release(&extra->text);
    return st;
}

loom_status loom_tensor_source_check_shape(const loom_tensor *t, const loom_tensor_view *v, const char *path,
                                           loom_err *err)
{
    char text[128];
    bool same = v->rank == t->n_dims;

    for (int i = 0; i < v->rank && same; i++) same = v->shape[i] == t->shape[i];
    if (same) return LOOM_OK;
    if (t->n_dims == 1)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %s is %s, the model needs [%" PRId64 "]", path, t->name,
                         loom_tensor_shape_text(text, sizeof text, v), t->shape[0]);
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %s is %s, the model needs [%" PRId64 ", %" PRId64 "]", path, t->name,
                     loom_tensor_shape_text(text, sizeof text, v), t->shape[0], t->shape[1]);
}
