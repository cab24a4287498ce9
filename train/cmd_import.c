/* loom-train import: Hugging Face models and PEFT adapters into checkpoints. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "model/model_files.h"
#include "tokenizer/tokenizer.h"
#include "train/hf.h"
#include "train/train_cmds.h"

typedef struct import_conf {
    const char *output, *base;
    int dtype;
} import_conf;

enum { DTYPE_AUTO, DTYPE_F32, DTYPE_BF16 };

static const loom_opt import_opts[] = {
    LOOM_OPT_GROUP("What to write"),
    LOOM_OPT_OUT("output", 'o', import_conf, output, NULL, "FILE", "checkpoint to write (.h5)"),
    LOOM_OPT_ENUM("dtype", 0, import_conf, dtype, "auto", "auto|f32|bf16",
                  "type of the matrices; auto: as stored, float16 becomes bfloat16, which can stay mapped while "
                  "adapters are trained"),
    LOOM_OPT_STR("base", 0, import_conf, base, NULL, "MODEL", "for an adapter: the model it belongs to"), LOOM_OPT_END};

static void render_meta(loom_buf *into, const loom_ctx *ctx)
{
    loom_meta m = {0};

    loom_meta_str(&m, "source", ctx->args[0]);
    loom_meta_render_inside(&m, ctx, into);
    loom_meta_release(&m);
}

/* ---- a model, tensor by tensor ---- */

static loom_dtype target_type(const import_conf *conf, const loom_tensor_view *v)
{
    if (v->rank == 1 || conf->dtype == DTYPE_F32) return LOOM_DTYPE_F32;
    if (conf->dtype == DTYPE_BF16) return LOOM_DTYPE_BF16;
    return v->dtype == LOOM_DTYPE_BF16 || v->dtype == LOOM_DTYPE_F16 ? LOOM_DTYPE_BF16 : LOOM_DTYPE_F32;
}

static loom_status put_view(loom_ckpt_writer *w, const loom_tensor_view *v, loom_dtype dtype, loom_err *err)
{
    float *wide = NULL;
    void *narrow = NULL;
    const void *data = v->data;
    loom_buf name = {0};
    loom_status st, range = LOOM_OK;

    if (dtype != v->dtype) {
        if (!(wide = loom_alloc((size_t)v->count, sizeof *wide))) return loom_fail_nomem(err, v->name);
        loom_dtype_to_f32(wide, v->data, v->dtype, v->count);
        data = wide;
        if (dtype != LOOM_DTYPE_F32) {
            if (!(narrow = loom_alloc((size_t)v->count, loom_dtype_size(dtype)))) {
                free(wide);
                return loom_fail_nomem(err, v->name);
            }
            range = loom_dtype_check_range(v->name, dtype, wide, v->count, err);
            loom_dtype_from_f32(narrow, dtype, wide, v->count);
            data = narrow;
        }
    }
    loom_buf_printf(&name, "tensors/%s", v->name);
    st = range == LOOM_OK ? loom_ckpt_put(w, name.data, dtype, data, v->rank, v->shape, err) : range;
    loom_buf_release(&name);
    free(wide);
    free(narrow);
    return st;
}

/* A tokenizer that `sample` will refuse is refused here, before hours of training. */
static loom_status check_tokenizer(const char *json, size_t len, const char *path, int64_t V, loom_err *err)
{
    loom_tokenizer *tok = NULL;
    loom_status st = loom_tokenizer_parse(&tok, json, len, path, err);

    if (st == LOOM_OK && loom_tokenizer_vocab_size(tok) > V)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s has %lld tokens but the model knows %lld; they do not belong together", path,
                       (long long)loom_tokenizer_vocab_size(tok), (long long)V);
    loom_tokenizer_free(tok);
    if (st == LOOM_OK) return LOOM_OK;
    char why[sizeof err->msg];
    snprintf(why, sizeof why, "%s", err->msg);
    return loom_fail(err, st, "%.400s. To import the weights alone, move tokenizer.json away", why);
}

static loom_status check_folder_tokenizer(const char *dir, int64_t V, loom_err *err)
{
    loom_buf path = {0}, text = {0};
    loom_status st = LOOM_OK;

    if (loom_file_exists_in(dir, "tokenizer.json")) {
        loom_buf_printf(&path, "%s/tokenizer.json", dir);
        st = loom_file_read(&text, path.data, LOOM_BOUND_JSON, err);
        if (st == LOOM_OK) st = check_tokenizer(loom_buf_text(&text), text.len, path.data, V, err);
    }
    loom_buf_release(&path);
    loom_buf_release(&text);
    return st;
}

static loom_status put_texts(loom_ckpt_writer *w, const loom_ctx *ctx, const loom_config *config, const char *dtype,
                             loom_err *err)
{
    const char *dir = ctx->args[0];
    loom_buf text = {0}, path = {0};
    loom_hf_side side = {0};
    loom_status st;

    loom_config_write(config, dtype, &text);
    if ((st = loom_ckpt_put_text(w, "text/config", text.data, text.len, err)) != LOOM_OK) goto done;
    loom_buf_reset(&text);
    render_meta(&text, ctx);
    if ((st = loom_ckpt_put_text(w, "text/meta", text.data, text.len, err)) != LOOM_OK) goto done;
    if (loom_file_exists_in(dir, "tokenizer.json")) {
        loom_buf_reset(&text);
        loom_buf_printf(&path, "%s/tokenizer.json", dir);
        if ((st = loom_file_read(&text, path.data, LOOM_BOUND_JSON, err)) != LOOM_OK) goto done;
        if ((st = loom_ckpt_put_text(w, "text/tokenizer", text.data, text.len, err)) != LOOM_OK) goto done;
    } else {
        loom_warn("%s has no tokenizer.json; token shards cannot be checked against this model", dir);
    }
    if (loom_file_exists_in(dir, "names.txt")) {
        loom_buf_reset(&path);
        loom_buf_reset(&text);
        loom_buf_printf(&path, "%s/names.txt", dir);
        if ((st = loom_file_read(&text, path.data, LOOM_BOUND_JSON, err)) != LOOM_OK) goto done;
        if ((st = loom_ckpt_put_text(w, LOOM_MODEL_FILES_NAMES, text.data, text.len, err)) != LOOM_OK) goto done;
    }
    if ((st = loom_hf_side_read(&side, dir, err)) != LOOM_OK) goto done;
    for (int i = 0; i < LOOM_HF_SIDE_FILES && st == LOOM_OK; i++) {
        if (!side.files[i].len) continue;
        loom_buf_reset(&path);
        loom_buf_printf(&path, "text/%s", loom_hf_side_names[i]);
        st = loom_ckpt_put_text(w, path.data, side.files[i].data, side.files[i].len, err);
    }
done:
    loom_hf_side_release(&side);
    loom_buf_release(&text);
    loom_buf_release(&path);
    return st;
}

/* The tensors of the table, in its order. The stored type that most of them have decides what config.json says. */
static loom_status put_tensors(loom_ckpt_writer *w, loom_safetensors *file, const loom_config *config,
                               const import_conf *conf, bool *any_bf16, loom_err *err)
{
    loom_tensors table;
    loom_status st;

    LOOM_TRY(loom_llama_table(&table, config, err));
    st = LOOM_OK;
    for (int64_t i = 0; i < table.n && st == LOOM_OK; i++) {
        const loom_tensor_view *v = loom_safetensors_find(file, table.tensors[i].name);
        loom_dtype dtype = target_type(conf, v);
        *any_bf16 |= dtype == LOOM_DTYPE_BF16;
        if (v->dtype == LOOM_DTYPE_F16 && dtype == LOOM_DTYPE_BF16 && i == 0)
            loom_info("float16 is rounded to bfloat16 (8 bits of precision); --dtype f32 keeps every bit");
        st = put_view(w, v, dtype, err);
        loom_safetensors_forget(file, v);
        if (loom_stop_requested()) st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was written");
    }
    loom_tensors_release(&table);
    return st;
}

static loom_status import_model(const loom_ctx *ctx, loom_err *err)
{
    const import_conf *conf = ctx->conf;
    const char *dir = ctx->args[0];
    loom_ckpt_writer *w = NULL;
    loom_safetensors *file = NULL;
    loom_config config;
    loom_buf path = {0};
    bool bf16 = false;
    loom_status st;

    loom_buf_printf(&path, "%s/config.json", dir);
    if ((st = loom_config_read(&config, path.data, err)) != LOOM_OK) goto done;
    if ((st = check_folder_tokenizer(dir, config.V, err)) != LOOM_OK) goto done;
    if ((st = loom_safetensors_open(&file, dir, err)) != LOOM_OK) goto done;
    if ((st = loom_model_weights_check(file, &config, dir, err)) != LOOM_OK) goto done;
    st = loom_ckpt_create(&w, conf->output, ctx->common.force,
                          loom_config_params(&config) * (conf->dtype == DTYPE_F32 ? 4 : 2), err);
    if (st != LOOM_OK) goto done;
    if ((st = put_tensors(w, file, &config, conf, &bf16, err)) != LOOM_OK) goto done;
    if ((st = put_texts(w, ctx, &config, bf16 ? "bfloat16" : "float32", err)) != LOOM_OK) goto done;
    if ((st = loom_ckpt_commit(&w, err)) == LOOM_OK) loom_info("%s: %s", conf->output, bf16 ? "bfloat16" : "float32");
done:
    loom_ckpt_abandon(&w);
    loom_safetensors_close(&file);
    loom_buf_release(&path);
    return st;
}

/* ---- an adapter ---- */

static loom_status write_adapter(const loom_ctx *ctx, const loom_model_files *b, loom_err *err)
{
    const import_conf *conf = ctx->conf;
    loom_ckpt_writer *w = NULL;
    loom_buf text = {0};
    char *real = realpath(b->path, NULL);
    loom_status st = loom_ckpt_create(&w, conf->output, ctx->common.force, (int64_t)(b->lora->table.floats * 4), err);

    loom_config_write(&b->model->config, "float32", &text);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/config", text.data, text.len, err);
    if (st == LOOM_OK) st = loom_adapter_file_put(w, b->lora, real ? real : b->path, b->digest, err);
    if (st == LOOM_OK && b->tokenizer)
        st = loom_ckpt_put_text(w, "text/tokenizer", b->tokenizer, b->tokenizer_len, err);
    if (st == LOOM_OK && b->names) st = loom_ckpt_put_text(w, LOOM_MODEL_FILES_NAMES, b->names, b->names_len, err);
    loom_buf_reset(&text);
    render_meta(&text, ctx);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/meta", text.data, text.len, err);
    if (st == LOOM_OK) st = loom_ckpt_commit(&w, err);
    loom_ckpt_abandon(&w);
    loom_buf_release(&text);
    free(real);
    return st;
}

static loom_status import_adapter(const loom_ctx *ctx, loom_err *err)
{
    const import_conf *conf = ctx->conf;
    loom_model_files_options o = {.frozen = true};
    loom_model_files b = {0};
    loom_status st;

    if (!conf->base)
        return loom_fail(err, LOOM_STATUS_ARG, "%s is an adapter; name the model it belongs to with --base",
                         ctx->args[0]);
    LOOM_TRY(loom_model_files_load(&b, conf->base, ctx->args[0], &o, err));
    if (b.note[0]) loom_info("%s", b.note);
    st = LOOM_OK;
    if (b.tokenizer)
        st = check_tokenizer(b.tokenizer, b.tokenizer_len, "tokenizer of the base", b.model->config.V, err);
    if (st == LOOM_OK) st = write_adapter(ctx, &b, err);
    loom_model_files_release(&b);
    if (st == LOOM_OK) loom_info("%s: adapter of %s", conf->output, conf->base);
    return st;
}

static loom_status run_import(const loom_ctx *ctx, loom_err *err)
{
    const import_conf *conf = ctx->conf;
    const char *dir = ctx->args[0];

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "--output FILE is missing");
    if (loom_file_exists_in(dir, "config.json") && !conf->base) return import_model(ctx, err);
    if (loom_file_exists_in(dir, "adapter_config.json")) return import_adapter(ctx, err);
    return loom_fail(err, LOOM_STATUS_IO, "%s holds neither config.json (a model) nor adapter_config.json (an adapter)",
                     dir);
}

const loom_cmd loom_cmd_import = {
    .name = "import",
    .summary = "read a Hugging Face model or a PEFT adapter into a checkpoint",
    .args = "DIR",
    .min_args = 1,
    .max_args = 1,
    .details =
        "Reads a Llama from a Hugging Face folder (config.json, model.safetensors or shards, tokenizer.json), "
        "or a LoRA\n"
        "adapter from a PEFT folder, and writes a checkpoint. A tokenizer that `sample` could not use is refused.\n"
        "Weights are streamed: a model of 13 GB needs "
        "little memory.\n"
        "\n"
        "Examples:\n"
        "  loom-train import Llama-2-7b-hf -o llama-2-7b.h5\n"
        "  loom-train import tracellm-adapter --base llama-2-7b.h5 -o adapter.h5",
    .opts = import_opts,
    .conf_size = sizeof(import_conf),
    .run = run_import,
};
