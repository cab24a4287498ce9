/* Weights of a whole model, out of files and into checkpoints. */
#include "model/model_weights.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/num.h"

/* Old Llama-2 files store the rotary frequencies; some tied models store the head a second time. */
static bool may_be_ignored(const char *name, const loom_config *c)
{
    size_t n = strlen(name), m = strlen(".rotary_emb.inv_freq");

    return (n > m && strcmp(name + n - m, ".rotary_emb.inv_freq") == 0) ||
           (c->tied && strcmp(name, "lm_head.weight") == 0);
}

static loom_status fail_lost(const loom_tensor_source *s, const loom_tensor *t, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s lacks %s of this model", s->path, t->name);
}

/* Exactly the tensors of the table, each with its shape. */
static loom_status check_names(const loom_tensor_source *s, const loom_tensors *table, const loom_config *c,
                               loom_err *err)
{
    loom_tensor_names missing = {0}, extra = {0};
    loom_tensor_view v;

    for (int64_t i = 0; i < table->n; i++) {
        if (!loom_tensor_source_find(&v, s, table->tensors[i].name))
            loom_tensor_names_add(&missing, table->tensors[i].name);
    }
    for (size_t i = 0; i < loom_tensor_source_count(s); i++) {
        const char *name = loom_tensor_source_name(s, i);
        if (name && !loom_tensors_find(table, name) && !may_be_ignored(name, c)) loom_tensor_names_add(&extra, name);
    }
    LOOM_TRY(loom_tensor_names_fail(&missing, &extra, s->path, err));
    for (int64_t i = 0; i < table->n; i++) {
        if (!loom_tensor_source_find(&v, s, table->tensors[i].name)) return fail_lost(s, &table->tensors[i], err);
        LOOM_TRY(loom_tensor_source_check_shape(&table->tensors[i], &v, s->path, err));
    }
    return LOOM_OK;
}

static loom_status read_weights(loom_llama *m, const loom_tensor_source *s, loom_err *err)
{
    loom_tensor_view v;

    LOOM_TRY(check_names(s, &m->table, &m->config, err));
    for (int64_t i = 0; i < m->table.n; i++) {
        const loom_tensor *t = &m->table.tensors[i];
        if (!loom_tensor_source_find(&v, s, t->name)) return fail_lost(s, t, err);
        if (m->frozen && t->n_dims == 2) {
            LOOM_TRY(loom_tensor_source_map(&v, s, err));
            loom_llama_borrow(m, i, v.data);
        } else {
            LOOM_TRY(loom_tensor_source_read(m->params + t->offset, s, &v, err));
        }
    }
    return loom_llama_complete(m, err);
}

/* Matrices can stay where they are when all are bfloat16 at even addresses. */
static bool can_freeze(const loom_tensor_source *s, const loom_config *config)
{
    loom_tensors table = {0};
    loom_tensor_view v;
    bool can = loom_llama_table(&table, config, NULL) == LOOM_OK;

    for (int64_t i = 0; i < table.n && can; i++) {
        if (table.tensors[i].n_dims != 2) continue;
        can = loom_tensor_source_find(&v, s, table.tensors[i].name) && v.dtype == LOOM_DTYPE_BF16 &&
              (uintptr_t)v.data % 2 == 0;
    }
    loom_tensors_release(&table);
    return can;
}

loom_status loom_model_weights_make(loom_llama **out, const loom_config *config, const loom_tensor_source *s,
                                    bool freeze, loom_err *err)
{
    loom_llama *m = NULL;
    loom_status st;

    if (freeze && can_freeze(s, config)) st = loom_llama_new_frozen(&m, config, err);
    else st = loom_llama_new(&m, config, err);
    if (st == LOOM_OK) st = read_weights(m, s, err);
    if (st != LOOM_OK) loom_llama_free(m);
    else *out = m;
    return st;
}

loom_status loom_model_weights_check(loom_safetensors *st, const loom_config *config, const char *path, loom_err *err)
{
    loom_tensor_source s = {.st = st, .path = path};
    loom_tensors table;
    loom_status status;

    LOOM_TRY(loom_llama_table(&table, config, err));
    status = check_names(&s, &table, config, err);
    loom_tensors_release(&table);
    return status;
}

loom_status loom_model_weights_read(loom_llama *m, loom_ckpt *c, loom_err *err)
{
    loom_tensor_source s = {.ckpt = c, .group = "tensors/", .path = loom_ckpt_path(c)};

    return read_weights(m, &s, err);
}

loom_status loom_model_weights_put(loom_ckpt_writer *w, const loom_llama *m, loom_dtype dtype, loom_err *err)
{
    loom_buf name = {0};
    void *narrow = NULL;
    loom_status st = LOOM_OK;

    if (m->frozen) return loom_fail(err, LOOM_STATUS_ARG, "the weights of a frozen model are not written again");
    for (int64_t i = 0; i < m->table.n && st == LOOM_OK; i++) {
        const loom_tensor *t = &m->table.tensors[i];
        const void *data = m->params + t->offset;
        loom_dtype stored = t->n_dims == 2 ? dtype : LOOM_DTYPE_F32;
        loom_buf_reset(&name);
        loom_buf_printf(&name, "tensors/%s", t->name);
        if (stored != LOOM_DTYPE_F32) {
            if (!(narrow = loom_alloc(t->count, loom_dtype_size(stored)))) {
                st = loom_fail_nomem(err, t->name);
                break;
            }
            loom_dtype_from_f32(narrow, stored, data, (int64_t)t->count);
            data = narrow;
        }
        st = loom_ckpt_put(w, name.data, stored, data, t->n_dims, t->shape, err);
        free(narrow);
        narrow = NULL;
    }
    loom_buf_release(&name);
    return st;
}

void loom_model_weights_digest(char digest[17], const loom_ckpt *c)
{
    loom_buf b = {0};

    for (size_t i = 0; i < loom_ckpt_count(c); i++) {
        const loom_ckpt_entry *e = loom_ckpt_at(c, i);
        if (strncmp(e->name, "tensors/", 8) == 0)
            loom_buf_printf(&b, "%s %s %016" PRIx64 "\n", e->name, loom_dtype_name(e->dtype), e->checksum);
    }
    if (b.len) snprintf(digest, 17, "%016" PRIx64, loom_hash64(b.data, b.len, 0));
    else digest[0] = 0;
    loom_buf_release(&b);
}
