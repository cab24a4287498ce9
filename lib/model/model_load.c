/* Loading a model with all that belongs to it. */
#include "model/model_files.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"
#include "store/shard.h"

static loom_status take_text(char **out, size_t *len_out, const char *text, size_t len, loom_err *err)
{
    char *copy;

    if (!text) return LOOM_OK;
    if (!(copy = loom_alloc(len + 1, 1))) return loom_fail_nomem(err, "a text");
    memcpy(copy, text, len);
    copy[len] = 0;
    free(*out);
    *out = copy;
    if (len_out) *len_out = len;
    return LOOM_OK;
}

/* The names of an adapter's own training take the place of its base's. */
static loom_status names_of_ckpt(loom_model_files *b, const loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *text = loom_ckpt_text(c, LOOM_MODEL_FILES_NAMES, &len);

    return take_text(&b->names, &b->names_len, text, len, err);
}

static loom_status names_of_folder(loom_model_files *b, const char *dir, loom_err *err)
{
    loom_buf path = {0}, text = {0};
    loom_status st = LOOM_OK;

    if (loom_model_file_in(&path, dir, "names.txt")) {
        st = loom_file_read(&text, path.data, LOOM_BOUND_NAMES, err);
        if (st == LOOM_OK) st = take_text(&b->names, &b->names_len, loom_buf_text(&text), text.len, err);
    }
    loom_buf_release(&path);
    loom_buf_release(&text);
    return st;
}

static loom_status load_peft(loom_model_files *b, const char *dir, loom_err *err)
{
    loom_lora_config config;
    loom_buf path = {0}, json = {0};
    loom_safetensors *st_file = NULL;
    loom_tensor_source s = {0};
    bool odd = false;
    loom_status st;

    loom_buf_printf(&path, "%s/adapter_config.json", dir);
    if ((st = loom_file_read(&json, path.data, LOOM_BOUND_SETTINGS, err)) != LOOM_OK) goto done;
    if ((st = loom_peft_config_parse(&config, json.data, json.len, path.data, err)) != LOOM_OK) goto done;
    loom_buf_reset(&path);
    loom_buf_printf(&path, "%s/adapter_model.safetensors", dir);
    if ((st = loom_safetensors_open(&st_file, path.data, err)) != LOOM_OK) goto done;
    s.st = st_file;
    s.path = path.data;
    if ((st = loom_adapter_file_make(&b->lora, &b->model->config, &config, &s, &odd, err)) != LOOM_OK) goto done;
    if (odd)
        snprintf(b->note, sizeof b->note, "%.180s: the names of the tensors are not PEFT's plain ones; read anyway",
                 dir);
    b->adapter_path = loom_strdup(dir);
    st = b->adapter_path ? names_of_folder(b, dir, err) : loom_fail_nomem(err, "a path");
done:
    loom_safetensors_close(&st_file);
    loom_buf_release(&path);
    loom_buf_release(&json);
    return st;
}

/* The base an adapter was trained on must be the one at hand: other weights give plausible nonsense. */
static loom_status check_base(const loom_model_files *b, const loom_ckpt *adapter, loom_err *err)
{
    size_t len = 0;
    const char *json = loom_ckpt_text(adapter, "text/base", &len), *digest;
    loom_json *root = NULL;
    loom_status st;

    if (!json) return LOOM_OK;
    if ((st = loom_json_parse(&root, json, len, loom_ckpt_path(adapter), err)) != LOOM_OK) return st;
    digest = loom_json_str(loom_json_get(root, "digest"), NULL);
    if (digest && digest[0] && b->digest[0] && strcmp(digest, b->digest) != 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "adapter %s was trained on other weights than those of %s; give its base",
                       loom_ckpt_path(adapter), b->path);
    loom_json_free(root);
    return st;
}

static loom_status load_adapter_ckpt(loom_model_files *b, const char *path, loom_err *err)
{
    loom_ckpt *c = NULL;
    loom_status st;

    if ((st = loom_ckpt_open(&c, path, err)) != LOOM_OK) return st;
    st = check_base(b, c, err);
    if (st == LOOM_OK) st = loom_adapter_file_read(&b->lora, &b->model->config, c, true, err);
    if (st == LOOM_OK && !(b->adapter_path = loom_strdup(path))) st = loom_fail_nomem(err, "a path");
    if (st == LOOM_OK) st = names_of_ckpt(b, c, err);
    loom_ckpt_close(&c);
    return st;
}

static loom_status load_adapter(loom_model_files *b, const char *adapter, loom_err *err)
{
    loom_buf path = {0};
    bool peft = loom_model_file_in(&path, adapter, "adapter_config.json");
    loom_model_kind kind;
    char *file = NULL;
    loom_status st;

    loom_buf_release(&path);
    if (peft) return load_peft(b, adapter, err);
    if ((st = loom_model_find(&file, &kind, adapter, err)) != LOOM_OK) return st;
    if (kind != LOOM_MODEL_KIND_CKPT) st = loom_fail(err, LOOM_STATUS_FORMAT, "%s is a model, not an adapter", adapter);
    else st = load_adapter_ckpt(b, file, err);
    free(file);
    return st;
}

/* ---- the whole ---- */

static loom_status load_hf(loom_model_files *b, const char *dir, const loom_model_files_options *o, loom_err *err)
{
    loom_buf path = {0}, tokenizer = {0};
    loom_config config;
    loom_tensor_source s = {.path = dir};
    loom_status st;

    loom_buf_printf(&path, "%s/config.json", dir);
    if ((st = loom_config_read(&config, path.data, err)) != LOOM_OK) goto done;
    config.max_positions = loom_max_i64(config.max_positions, o->positions);
    if ((st = loom_safetensors_open(&b->st, dir, err)) != LOOM_OK) goto done;
    s.st = b->st;
    if ((st = loom_model_weights_make(&b->model, &config, &s, o->frozen, err)) != LOOM_OK) goto done;
    if (loom_model_file_in(&path, dir, "tokenizer.json")) {
        if ((st = loom_file_read(&tokenizer, path.data, LOOM_BOUND_JSON, err)) != LOOM_OK) goto done;
        st = take_text(&b->tokenizer, &b->tokenizer_len, loom_buf_text(&tokenizer), tokenizer.len, err);
    }
    if (!b->model->frozen) loom_safetensors_close(&b->st);
    if (st == LOOM_OK) st = names_of_folder(b, dir, err);
done:
    loom_buf_release(&path);
    loom_buf_release(&tokenizer);
    return st;
}

loom_status loom_model_config_of(loom_config *out, const loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *json = loom_ckpt_text(c, "text/config", &len);
    loom_json *root = NULL;
    loom_status st;

    if (!json) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no model configuration", loom_ckpt_path(c));
    if ((st = loom_json_parse(&root, json, len, loom_ckpt_path(c), err)) != LOOM_OK) return st;
    st = loom_config_from_json(out, root, err);
    loom_json_free(root);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "%s", loom_ckpt_path(c));
}

static loom_status load_ckpt(loom_model_files *b, loom_ckpt *c, const loom_model_files_options *o, loom_err *err)
{
    loom_tensor_source s = {.ckpt = c, .group = "tensors/", .path = loom_ckpt_path(c)};
    loom_config config;
    size_t len = 0;
    const char *text;

    LOOM_TRY(loom_model_config_of(&config, c, err));
    config.max_positions = loom_max_i64(config.max_positions, o->positions);
    LOOM_TRY(loom_model_weights_make(&b->model, &config, &s, o->frozen, err));
    text = loom_ckpt_text(c, "text/tokenizer", &len);
    LOOM_TRY(take_text(&b->tokenizer, &b->tokenizer_len, text, len, err));
    LOOM_TRY(names_of_ckpt(b, c, err));
    text = loom_ckpt_text(c, "text/meta", &len);
    LOOM_TRY(take_text(&b->meta, NULL, text, len, err));
    if (loom_ckpt_read_i64(c, "state/step", &b->step, NULL) != LOOM_OK) b->step = -1;
    loom_model_weights_digest(b->digest, c);
    return LOOM_OK;
}

/* Where an adapter checkpoint says its base is; the caller frees. */
static loom_status recorded_base(char **out, const loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *json = loom_ckpt_text(c, "text/base", &len), *path;
    loom_json *root = NULL;
    loom_status st;

    if (!json) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds neither a model nor an adapter", loom_ckpt_path(c));
    if ((st = loom_json_parse(&root, json, len, loom_ckpt_path(c), err)) != LOOM_OK) return st;
    path = loom_json_str(loom_json_get(root, "path"), NULL);
    if (!path || !loom_file_exists(path))
        st = loom_fail(err, LOOM_STATUS_IO,
                       "%s is an adapter and its base %.300s is not there; give the base as the model and "
                       "this file as --adapter",
                       loom_ckpt_path(c), path ? path : "(unknown)");
    else if (!(*out = loom_strdup(path))) st = loom_fail_nomem(err, "a file name");
    loom_json_free(root);
    return st;
}

static bool has_weights(const loom_ckpt *c) { return loom_ckpt_find(c, "tensors/model.embed_tokens.weight") != NULL; }

/* `path` is a checkpoint file. An adapter alone leads to its base, then to itself. */
static loom_status load_ckpt_file(loom_model_files *b, const char *path, const char *adapter,
                                  const loom_model_files_options *o, loom_err *err)
{
    loom_model_files_options plain = {.frozen = o->frozen};
    loom_ckpt *c = NULL;
    char *base = NULL;
    loom_status st;

    if ((st = loom_ckpt_open(&c, path, err)) != LOOM_OK) return st;
    if (has_weights(c)) {
        st = load_ckpt(b, c, o, err);
        if (st == LOOM_OK && b->model->frozen) {
            b->ckpt = c;
            c = NULL;
        }
        b->path = loom_strdup(path);
        goto done;
    }
    if (adapter) {
        st = loom_fail(err, LOOM_STATUS_ARG, "%s is an adapter itself; give its base as the model", path);
        goto done;
    }
    if (o->base) base = loom_strdup(o->base);
    else if ((st = recorded_base(&base, c, err)) != LOOM_OK) goto done;
    st = loom_model_files_load(b, base, path, &plain, err);
done:
    free(base);
    loom_ckpt_close(&c);
    return st;
}

loom_status loom_model_files_load(loom_model_files *out, const char *model, const char *adapter,
                                  const loom_model_files_options *o, loom_err *err)
{
    loom_model_files b = {.step = -1};
    loom_model_kind kind;
    char *file = NULL;
    loom_status st;

    if ((st = loom_model_find(&file, &kind, model, err)) != LOOM_OK) return st;
    if (kind == LOOM_MODEL_KIND_HF) {
        st = load_hf(&b, file, o, err);
        b.path = file;
        file = NULL;
    } else {
        st = load_ckpt_file(&b, file, adapter, o, err);
    }
    free(file);
    if (st == LOOM_OK && adapter && !b.lora) st = load_adapter(&b, adapter, err);
    if (st != LOOM_OK) {
        loom_model_files_release(&b);
        return st;
    }
    if (b.tokenizer) loom_text_digest(b.tokenizer_digest, b.tokenizer, b.tokenizer_len);
    *out = b;
    return LOOM_OK;
}

void loom_model_files_release(loom_model_files *b)
{
    loom_lora_free(b->lora);
    loom_llama_free(b->model);
    loom_ckpt_close(&b->ckpt);
    loom_safetensors_close(&b->st);
    free(b->tokenizer);
    free(b->names);
    free(b->path);
    free(b->adapter_path);
    free(b->meta);
    *b = (loom_model_files){.step = -1};
}
