/* LoRA weights out of files and into checkpoints. */
#include "model/adapter_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/json.h"
#include "model/peft_config.h"

loom_status loom_adapter_file_put(loom_ckpt_writer *w, const loom_lora *lora, const char *base_path,
                                  const char *base_digest, loom_err *err)
{
    loom_buf text = {0}, name = {0};
    loom_jw jw;
    loom_status st;

    loom_peft_config_write(&lora->config, base_path, &text);
    st = loom_ckpt_put_text(w, "text/adapter", text.data, text.len, err);
    loom_buf_reset(&text);
    loom_jw_init(&jw, &text, false);
    loom_jw_begin_object(&jw);
    loom_jw_kv_str(&jw, "path", base_path);
    loom_jw_kv_str(&jw, "digest", base_digest);
    loom_jw_end_object(&jw);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/base", text.data, text.len, err);
    for (int64_t i = 0; i < lora->table.n && st == LOOM_OK; i++) {
        const loom_tensor *t = &lora->table.tensors[i];
        loom_buf_reset(&name);
        loom_buf_printf(&name, "adapter/" LOOM_LORA_PREFIX "%s", t->name);
        st = loom_ckpt_put(w, name.data, LOOM_DTYPE_F32, lora->params + t->offset, t->n_dims, t->shape, err);
    }
    loom_buf_release(&text);
    loom_buf_release(&name);
    return st;
}

/* The spelling a tensor of the table has in the file: with the inner "model." or without, plain or with the adapter's
 * name in it. *odd is set when it is not the plain one. */
static bool find_lora(loom_tensor_view *v, const loom_tensor_source *s, const char *name, bool *odd)
{
    static const char *const middles[] = {"", ".default"};
    const char *last = strrchr(name, '.');
    bool found = false;
    char full[256];

    for (int inner = 0; inner < 2 && !found; inner++) {
        for (int m = 0; m < 2 && !found; m++) {
            const char *stem = inner ? name + strlen("model.") : name;
            snprintf(full, sizeof full, LOOM_LORA_PREFIX "%.*s%s%s", (int)(last - stem), stem, middles[m], last);
            found = loom_tensor_source_find(v, s, full);
            if (found && (inner || m)) *odd = true;
        }
    }
    return found;
}

static loom_status read_adapter(loom_lora *lora, const loom_tensor_source *s, bool *odd, loom_err *err)
{
    loom_tensor_names missing = {0}, extra = {0};
    loom_tensor_view v;
    int64_t in_group = 0;

    for (int64_t i = 0; i < lora->table.n; i++) {
        if (!find_lora(&v, s, lora->table.tensors[i].name, odd))
            loom_tensor_names_add(&missing, lora->table.tensors[i].name);
    }
    for (size_t i = 0; i < loom_tensor_source_count(s); i++) in_group += loom_tensor_source_name(s, i) != NULL;
    if (!missing.n && in_group > lora->table.n) {
        loom_buf_printf(&extra.text, "it has %" PRId64 ", the configuration asks for %" PRId64, in_group,
                        lora->table.n);
        extra.n = in_group - lora->table.n;
    }
    LOOM_TRY(loom_tensor_names_fail(&missing, &extra, s->path, err));
    for (int64_t i = 0; i < lora->table.n; i++) {
        const loom_tensor *t = &lora->table.tensors[i];
        if (!find_lora(&v, s, t->name, odd))
            return loom_fail(err, LOOM_STATUS_FORMAT, "%s lacks %s of this adapter", s->path, t->name);
        LOOM_TRY(loom_tensor_source_check_shape(t, &v, s->path, err));
        LOOM_TRY(loom_tensor_source_read(lora->params + t->offset, s, &v, err));
    }
    return LOOM_OK;
}

loom_status loom_adapter_file_make(loom_lora **out, const loom_config *base, const loom_lora_config *config,
                                   const loom_tensor_source *s, bool *odd, loom_err *err)
{
    loom_lora *lora = NULL;
    loom_status st = loom_lora_new(&lora, base, config, err);

    if (st == LOOM_OK && s) st = read_adapter(lora, s, odd, err);
    if (st != LOOM_OK) loom_lora_free(lora);
    else *out = lora;
    return st;
}

loom_status loom_adapter_file_read(loom_lora **out, const loom_config *base, loom_ckpt *c, bool weights, loom_err *err)
{
    loom_tensor_source s = {.ckpt = c, .group = "adapter/", .path = loom_ckpt_path(c)};
    loom_lora_config config;
    size_t len = 0;
    bool odd = false;
    const char *json = loom_ckpt_text(c, "text/adapter", &len);

    if (!json) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no adapter", s.path);
    LOOM_TRY(loom_peft_config_parse(&config, json, len, s.path, err));
    return loom_adapter_file_make(out, base, &config, weights ? &s : NULL, &odd, err);
}
