#include "train/hf.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"
#include "tokenizer/tokenizer.h"

const char *const loom_hf_side_names[LOOM_HF_SIDE_FILES] = {"generation_config.json", "tokenizer_config.json",
                                                            "special_tokens_map.json"};

/* ---- the small files ---- */

static loom_status side_from_folder(loom_hf_side *side, const char *dir, loom_err *err)
{
    loom_buf path = {0};
    loom_status st = LOOM_OK;

    for (int i = 0; i < LOOM_HF_SIDE_FILES && st == LOOM_OK; i++) {
        loom_buf_reset(&path);
        loom_buf_printf(&path, "%s/%s", dir, loom_hf_side_names[i]);
        if (loom_file_exists(path.data)) st = loom_file_read(&side->files[i], path.data, LOOM_BOUND_JSON, err);
    }
    loom_buf_release(&path);
    return st;
}

static loom_status side_from_ckpt(loom_hf_side *side, const char *path, loom_err *err)
{
    loom_buf name = {0};
    loom_ckpt *c = NULL;

    LOOM_TRY(loom_ckpt_open(&c, path, err));
    for (int i = 0; i < LOOM_HF_SIDE_FILES; i++) {
        size_t len = 0;
        const char *text;
        loom_buf_reset(&name);
        loom_buf_printf(&name, "text/%s", loom_hf_side_names[i]);
        if ((text = loom_ckpt_text(c, name.data, &len))) loom_buf_append(&side->files[i], text, len);
    }
    loom_buf_release(&name);
    loom_ckpt_close(&c);
    return LOOM_OK;
}

loom_status loom_hf_side_read(loom_hf_side *side, const char *path, loom_err *err)
{
    return loom_file_is_dir(path) ? side_from_folder(side, path, err) : side_from_ckpt(side, path, err);
}

void loom_hf_side_release(loom_hf_side *side)
{
    for (int i = 0; i < LOOM_HF_SIDE_FILES; i++) loom_buf_release(&side->files[i]);
}

static void write_ids(loom_jw *w, const loom_config *c)
{
    if (c->bos_id >= 0) loom_jw_kv_i64(w, "bos_token_id", c->bos_id);
    if (c->n_eos == 1) loom_jw_kv_i64(w, "eos_token_id", c->eos_ids[0]);
    if (c->n_eos < 2) return;
    loom_jw_key(w, "eos_token_id");
    loom_jw_begin_array(w);
    for (int i = 0; i < c->n_eos; i++) loom_jw_i64(w, c->eos_ids[i]);
    loom_jw_end_array(w);
}

static void write_token(loom_jw *w, const char *key, const loom_tokenizer *tok, int32_t id)
{
    const char *text = id >= 0 ? loom_tokenizer_text(tok, id) : NULL;

    if (text) loom_jw_kv_str(w, key, text);
}

/* The special tokens by name, as both tokenizer files have them. */
static void write_tokens(loom_jw *w, const loom_tokenizer *tok)
{
    write_token(w, "bos_token", tok, loom_tokenizer_bos(tok));
    write_token(w, "eos_token", tok, loom_tokenizer_eos(tok));
    write_token(w, "unk_token", tok, loom_tokenizer_unk(tok));
}

/* Makes the files that the base does not have. */
static loom_status side_complete(loom_hf_side *side, const loom_model_files *b, loom_err *err)
{
    const loom_config *c = &b->model->config;
    loom_tokenizer *tok = NULL;
    loom_jw w;

    if (b->tokenizer) LOOM_TRY(loom_tokenizer_parse(&tok, b->tokenizer, b->tokenizer_len, "tokenizer.json", err));
    for (int i = 0; i < LOOM_HF_SIDE_FILES; i++) {
        loom_buf *f = &side->files[i];
        if (f->len || (i > 0 && !tok)) continue;
        loom_jw_init(&w, f, true);
        loom_jw_begin_object(&w);
        if (i == 0) write_ids(&w, c);
        if (i == 1) {
            loom_jw_kv_str(&w, "tokenizer_class", "PreTrainedTokenizerFast");
            loom_jw_kv_i64(&w, "model_max_length", c->max_positions);
            loom_jw_kv_bool(&w, "clean_up_tokenization_spaces", false);
        }
        if (i > 0) write_tokens(&w, tok);
        loom_jw_end_object(&w);
        loom_buf_char(f, '\n');
    }
    loom_tokenizer_free(tok);
    return LOOM_OK;
}

/* ---- weights ---- */

typedef struct stream {
    const loom_model_files *b;
    bool merge;
} stream;

static const uint16_t *bf16_of(const loom_llama *m, const loom_tensor *t)
{
    if (t->role < LOOM_N_ADAPTABLE) return m->layers[t->layer].w[t->role].bf16;
    return t->role == LOOM_ROLE_EMBED ? m->embed.bf16 : t->role == LOOM_ROLE_HEAD ? m->head.bf16 : NULL;
}

void loom_hf_tensor_values(float *values, const loom_model_files *b, bool merge, const loom_tensor *t)
{
    const loom_llama *m = b->model;
    const uint16_t *bf16 = bf16_of(m, t);
    const loom_lora *lora = merge ? b->lora : NULL;

    if (bf16) loom_dtype_to_f32(values, bf16, LOOM_DTYPE_BF16, (int64_t)t->count);
    else memcpy(values, m->params + t->offset, t->count * sizeof(float));
    if (lora) loom_lora_add_to(values, lora, t, 1.0f);
}

static loom_status fetch(void *arg, const loom_safetensors_item *item, float *values, loom_err *err)
{
    const stream *s = arg;

    (void)err;
    loom_hf_tensor_values(values, s->b, s->merge, loom_tensors_find(&s->b->model->table, item->view.name));
    return LOOM_OK;
}

static loom_status write_safetensors(const char *dir, const loom_model_files *b, const loom_hf_how *how, loom_err *err)
{
    const loom_tensors *table = &b->model->table;
    loom_safetensors_item *items = loom_calloc((size_t)table->n, sizeof *items);
    const char *const metadata[][2] = {{"spanloom", how->meta}};
    stream s = {.b = b, .merge = how->merge};
    loom_status st;

    if (!items) return loom_fail_nomem(err, "the list of tensors");
    for (int64_t i = 0; i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];
        items[i] = (loom_safetensors_item){
            .view = {.name = t->name, .dtype = how->dtype, .rank = t->n_dims, .shape = {t->shape[0], t->shape[1]}},
            .fetch = fetch,
            .arg = &s};
    }
    st = loom_safetensors_write_model(dir, how->force, items, (size_t)table->n, how->max_bytes, metadata,
                                      how->meta ? 1 : 0, err);
    free(items);
    return st;
}

static const char *torch_name(loom_dtype dtype)
{
    return dtype == LOOM_DTYPE_BF16 ? "bfloat16" : dtype == LOOM_DTYPE_F16 ? "float16" : "float32";
}

static loom_status write_text(const char *dir, const char *name, const char *text, size_t len, bool force,
                              loom_err *err)
{
    loom_buf path = {0};
    loom_status st;

    if (!len) return LOOM_OK;
    loom_buf_printf(&path, "%s/%s", dir, name);
    st = loom_file_write(path.data, text, len, force, err);
    loom_buf_release(&path);
    return st;
}

/* What a folder held before, to be left alone when writing it fails. */
typedef struct before {
    bool made;  /* it was not there */
    bool known; /* false: what it held could not be read, so nothing is removed from it */
    char **paths;
    size_t n;
    DIR *open;
} before;

static void look_before(before *b, const char *dir)
{
    *b = (before){.made = !loom_file_is_dir(dir)};
    b->known = b->made || loom_list_files(&b->paths, &b->n, dir, "", NULL) == LOOM_OK;
}

static bool was_there(const before *b, const char *name)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(name, strrchr(b->paths[i], '/') + 1) == 0) return true;
    return false;
}

static bool is_part(const char *name)
{
    static const char *const kinds[] = {".safetensors", ".json", "names.txt"};
    size_t len = strlen(name);

    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        size_t n = strlen(kinds[k]);
        if (len >= n && strcmp(name + len - n, kinds[k]) == 0) return true;
    }
    return false;
}

/* A part of a model is none: after a failure, removes what was written (*.safetensors, *.json, names.txt that were
 * not there before), and the folder if it was made for it. Needs no memory: it may be the want of it that failed. */
static void undo(const before *b, const char *dir)
{
    if (b->known && b->open) {
        rewinddir(b->open);
        for (struct dirent *e; (e = readdir(b->open));)
            if (is_part(e->d_name) && !was_there(b, e->d_name)) unlinkat(dirfd(b->open), e->d_name, 0);
    }
    if (b->made) rmdir(dir); /* refused unless it is empty */
}

/* config.json comes last: a folder that was cut short is none. */
loom_status loom_hf_write_folder(const char *dir, const loom_model_files *b, const loom_hf_how *how, loom_err *err)
{
    loom_hf_side side = {0};
    loom_buf config = {0};
    before was;
    loom_status st;

    look_before(&was, dir);
    if ((st = loom_make_dirs(dir, err)) != LOOM_OK) goto done;
    if (!(was.open = opendir(dir))) {
        st = loom_fail(err, LOOM_STATUS_IO, "cannot open the folder %s: %s", dir, strerror(errno));
        goto done;
    }
    if ((st = loom_hf_side_read(&side, b->path, err)) != LOOM_OK) goto done;
    if ((st = side_complete(&side, b, err)) != LOOM_OK) goto done;
    if ((st = write_safetensors(dir, b, how, err)) != LOOM_OK) goto done;
    if ((st = write_text(dir, "tokenizer.json", b->tokenizer, b->tokenizer_len, how->force, err)) != LOOM_OK) goto done;
    if ((st = write_text(dir, "names.txt", b->names, b->names_len, how->force, err)) != LOOM_OK) goto done;
    for (int i = 0; i < LOOM_HF_SIDE_FILES; i++) {
        st = write_text(dir, loom_hf_side_names[i], side.files[i].data, side.files[i].len, how->force, err);
        if (st != LOOM_OK) goto done;
    }
    loom_config_write(&b->model->config, torch_name(how->dtype), &config);
    loom_buf_char(&config, '\n');
    st = write_text(dir, "config.json", config.data, config.len, how->force, err);
done:
    if (st != LOOM_OK) undo(&was, dir);
    if (was.open) closedir(was.open);
    loom_free_list(was.paths, was.n);
    loom_hf_side_release(&side);
    loom_buf_release(&config);
    return st;
}

static loom_status put_tensor(loom_ckpt_writer *w, const stream *s, const loom_tensor *t, loom_dtype dtype,
                              loom_err *err)
{
    float *values = loom_alloc(t->count, sizeof *values);
    void *stored = values;
    loom_buf name = {0};
    loom_status st = LOOM_OK;

    if (t->n_dims == 1) dtype = LOOM_DTYPE_F32;
    if (!values) return loom_fail_nomem(err, t->name);
    loom_hf_tensor_values(values, s->b, s->merge, t);
    if (dtype != LOOM_DTYPE_F32 && !(stored = loom_alloc(t->count, loom_dtype_size(dtype)))) {
        free(values);
        return loom_fail_nomem(err, t->name);
    }
    st = loom_dtype_check_range(t->name, dtype, values, (int64_t)t->count, err);
    if (dtype != LOOM_DTYPE_F32) loom_dtype_from_f32(stored, dtype, values, (int64_t)t->count);
    loom_buf_printf(&name, "tensors/%s", t->name);
    if (st == LOOM_OK) st = loom_ckpt_put(w, name.data, dtype, stored, t->n_dims, t->shape, err);
    loom_buf_release(&name);
    if (stored != values) free(stored);
    free(values);
    return st;
}

static loom_status put_texts(loom_ckpt_writer *w, const loom_model_files *b, const loom_hf_how *how, loom_err *err)
{
    loom_hf_side side = {0};
    loom_buf text = {0};
    loom_status st;

    if ((st = loom_hf_side_read(&side, b->path, err)) != LOOM_OK) goto done;
    loom_config_write(&b->model->config, torch_name(how->dtype), &text);
    if ((st = loom_ckpt_put_text(w, "text/config", text.data, text.len, err)) != LOOM_OK) goto done;
    if (b->tokenizer) st = loom_ckpt_put_text(w, "text/tokenizer", b->tokenizer, b->tokenizer_len, err);
    if (st == LOOM_OK && b->names) st = loom_ckpt_put_text(w, LOOM_MODEL_FILES_NAMES, b->names, b->names_len, err);
    if (st == LOOM_OK && how->meta) st = loom_ckpt_put_text(w, "text/meta", how->meta, strlen(how->meta), err);
    if (st == LOOM_OK && b->step >= 0) st = loom_ckpt_put_i64(w, "state/step", b->step, err);
    for (int i = 0; i < LOOM_HF_SIDE_FILES && st == LOOM_OK; i++) {
        if (!side.files[i].len) continue;
        loom_buf_reset(&text);
        loom_buf_printf(&text, "text/%s", loom_hf_side_names[i]);
        st = loom_ckpt_put_text(w, text.data, side.files[i].data, side.files[i].len, err);
    }
done:
    loom_hf_side_release(&side);
    loom_buf_release(&text);
    return st;
}

bool loom_hf_is_ckpt_name(const char *path)
{
    size_t n = strlen(path);

    return n > 3 && strcmp(path + n - 3, ".h5") == 0;
}

loom_status loom_hf_write_ckpt(const char *path, const loom_model_files *b, const loom_hf_how *how, loom_err *err)
{
    stream s = {.b = b, .merge = how->merge};
    int64_t bytes = loom_config_params(&b->model->config) * (int64_t)loom_dtype_size(how->dtype);
    loom_ckpt_writer *w = NULL;
    loom_status st;

    if ((st = loom_ckpt_create(&w, path, how->force, bytes, err)) != LOOM_OK) return st;
    for (int64_t i = 0; i < b->model->table.n && st == LOOM_OK; i++)
        st = put_tensor(w, &s, &b->model->table.tensors[i], how->dtype, err);
    if (st == LOOM_OK) st = put_texts(w, b, how, err);
    if (st == LOOM_OK) return loom_ckpt_commit(&w, err);
    loom_ckpt_abandon(&w);
    return st;
}

loom_status loom_hf_write_peft(const char *dir, const loom_model_files *b, const char *base, bool force, loom_err *err)
{
    const loom_lora *lora = b->lora;
    loom_safetensors_item *items = loom_calloc((size_t)lora->table.n, sizeof *items);
    char(*names)[128] = loom_calloc((size_t)lora->table.n, sizeof *names);
    loom_buf path = {0}, config = {0};
    before was;
    loom_status st;

    look_before(&was, dir);
    if (!items || !names) {
        st = loom_fail_nomem(err, "the list of tensors");
        goto done;
    }
    for (int64_t i = 0; i < lora->table.n; i++) {
        const loom_tensor *t = &lora->table.tensors[i];
        snprintf(names[i], sizeof names[i], LOOM_LORA_PREFIX "%s", t->name);
        items[i] = (loom_safetensors_item){.view = {.name = names[i],
                                                    .dtype = LOOM_DTYPE_F32,
                                                    .rank = 2,
                                                    .shape = {t->shape[0], t->shape[1]},
                                                    .data = lora->params + t->offset},
                                           .from = LOOM_DTYPE_F32};
    }
    if ((st = loom_make_dirs(dir, err)) != LOOM_OK) goto done;
    loom_buf_printf(&path, "%s/adapter_model.safetensors", dir);
    if ((st = loom_safetensors_write(path.data, force, items, (size_t)lora->table.n, NULL, 0, err)) != LOOM_OK)
        goto done;
    if ((st = write_text(dir, "names.txt", b->names, b->names_len, force, err)) != LOOM_OK) goto done;
    loom_peft_config_write(&lora->config, base, &config);
    st = write_text(dir, "adapter_config.json", config.data, config.len, force, err);
done:
    if (st != LOOM_OK) undo(&was, dir);
    if (was.open) closedir(was.open);
    loom_free_list(was.paths, was.n);
    free(items);
    free(names);
    loom_buf_release(&path);
    loom_buf_release(&config);
    return st;
}
