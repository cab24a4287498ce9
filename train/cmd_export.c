/* loom-train export: checkpoints and adapters as folders that Hugging Face's libraries read, as GGUF for llama.cpp,
 * or as weights alone. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "store/shard.h"
#include "train/train_cmds.h"
#include "train/write_gguf.h"
#include "train/write_model.h"

typedef struct export_conf {
    const char *output, *base, *name, *names, *check;
    int dtype, form;
    int64_t samples;
    double max_gb;
    bool accept;
} export_conf;

enum { EXPORT_Q8_0 = WRITE_BF16 + 1 };

static const loom_opt export_opts[] = {
    LOOM_OPT_GROUP("What to write"),
    LOOM_OPT_OUT("output", 'o', export_conf, output, NULL, "DIR|FILE",
                 "Hugging Face folder, GGUF file (a name ending in .gguf), or checkpoint of the weights alone (.h5)"),
    LOOM_OPT_ENUM("dtype", 0, export_conf, dtype, "auto", WRITE_DTYPES "|q8_0",
                  "type of the matrices; auto: as stored; q8_0: eight bits and a scale, GGUF only"),
    LOOM_OPT_F64("max-gb", 0, export_conf, max_gb, "5", 0.000001, 1000, "GB", "largest safetensors file"),
    LOOM_OPT_IN(
        "names", 0, export_conf, names, NULL, "SHARD",
        "the names that graphs of the model keep to under --constrain full: those of this token shard instead of its "
        "own"),
    LOOM_OPT_STR("base", 0, export_conf, base, NULL, "MODEL", "base of an adapter, when it has moved"),
    LOOM_OPT_STR("base-name", 0, export_conf, name, NULL, "NAME",
                 "what an adapter's configuration calls its base (default: the path)"),
    LOOM_OPT_GROUP("GGUF"),
    LOOM_OPT_ENUM(
        "form", 0, export_conf, form, "instruction", LOOM_MODE_CHOICES,
        "text that the model is asked in: says the stop strings of the Modelfile, and whether texts begin with <s>"),
    LOOM_OPT_IN("check", 0, export_conf, check, NULL, "TEXT",
                "encoded text whose samples must have the same tokens in llama.cpp, besides the model's names"),
    LOOM_OPT_I64("samples", 0, export_conf, samples, "1000", 1, 1000000000, "N", "how many samples of it are compared"),
    LOOM_OPT_FLAG("accept-differences", 0, export_conf, accept,
                  "warn, and write the file, where llama.cpp's tokens differ"),
    LOOM_OPT_END};

static loom_status take_names(loom_model_files *b, const char *path, loom_err *err)
{
    loom_shard *s = NULL;
    char *names = NULL;

    LOOM_TRY(loom_shard_open(&s, path, err));
    const loom_shard_info *info = loom_shard_get_info(s);
    size_t len = info->names_len;
    loom_status st = LOOM_OK;
    if (!len) st = loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no names; make it without --no-names", path);
    else if (!(names = loom_alloc(len + 1, 1))) st = loom_fail_nomem(err, "the names");
    if (st == LOOM_OK) {
        memcpy(names, info->names, len);
        names[len] = 0;
        free(b->names);
        b->names = names;
        b->names_len = len;
    }
    loom_shard_close(&s);
    return st;
}

static loom_status write_exported(const loom_ctx *ctx, const loom_model_files *b, loom_err *err)
{
    const export_conf *conf = ctx->conf;
    loom_hf_how how = {.dtype = loom_write_dtype(conf->dtype, b), .max_bytes = (int64_t)(conf->max_gb * 1e9)};
    loom_meta m = {0};
    loom_status st;

    loom_meta_str(&m, "source", b->path);
    loom_meta_str(&m, "source_digest", b->digest);
    if (b->meta) loom_meta_json(&m, "source_meta", b->meta);
    st = conf->names ? loom_meta_input(&m, conf->names, err) : LOOM_OK;
    if (st == LOOM_OK) st = loom_write_model(conf->output, false, ctx, b, &how, &m, err);
    loom_meta_release(&m);
    return st;
}

static loom_gguf_type gguf_type(const export_conf *conf, const loom_model_files *b)
{
    if (conf->dtype == EXPORT_Q8_0) return LOOM_GGUF_TENSOR_Q8_0;
    switch (loom_write_dtype(conf->dtype, b)) {
    case LOOM_DTYPE_F16: return LOOM_GGUF_TENSOR_F16;
    case LOOM_DTYPE_BF16: return LOOM_GGUF_TENSOR_BF16;
    default: return LOOM_GGUF_TENSOR_F32;
    }
}

static loom_status export_gguf(const loom_ctx *ctx, const loom_model_files *b, loom_err *err)
{
    const export_conf *conf = ctx->conf;
    loom_write_gguf_conf how = {.output = conf->output,
                                .matrices = gguf_type(conf, b),
                                .check = conf->check,
                                .samples = conf->samples,
                                .form = (loom_mode)conf->form,
                                .accept = conf->accept};
    loom_meta m = {0};
    loom_status st = LOOM_OK;

    loom_meta_str(&m, "source", b->path);
    loom_meta_str(&m, "source_digest", b->digest);
    if (conf->names) st = loom_meta_input(&m, conf->names, err);
    if (st == LOOM_OK && conf->check) st = loom_meta_input(&m, conf->check, err);
    if (st == LOOM_OK) st = loom_write_gguf(&how, ctx, b, &m, err);
    loom_meta_release(&m);
    return st;
}

/* What is for GGUF alone says nothing elsewhere. */
static loom_status check_options(const loom_ctx *ctx, loom_err *err)
{
    static const char *const gguf_only[] = {"form", "check", "samples", "accept-differences"};
    const export_conf *conf = ctx->conf;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "--output is missing: a folder, or a file .gguf or .h5");
    if (loom_gguf_is_name(conf->output)) return LOOM_OK;
    if (conf->dtype == EXPORT_Q8_0)
        return loom_fail(err, LOOM_STATUS_ARG, "--dtype q8_0 is for GGUF; give --output a name ending in .gguf");
    for (size_t i = 0; i < sizeof gguf_only / sizeof *gguf_only; i++)
        if (loom_ctx_given(ctx, gguf_only[i]))
            return loom_fail(err, LOOM_STATUS_ARG, "--%s is for GGUF; give --output a name ending in .gguf",
                             gguf_only[i]);
    return LOOM_OK;
}

static const char *what_was_written(const export_conf *conf, const loom_model_files *b)
{
    if (loom_gguf_is_name(conf->output)) return b->lora ? "GGUF adapter" : "GGUF model, and a Modelfile for ollama";
    if (b->lora) return "PEFT adapter";
    return loom_hf_is_ckpt_name(conf->output) ? "checkpoint of the weights" : "Hugging Face model";
}

static loom_status run_export(const loom_ctx *ctx, loom_err *err)
{
    const export_conf *conf = ctx->conf;
    loom_model_files_options o = {.frozen = true, .base = conf->base};
    loom_model_files b = {0};
    loom_status st;

    LOOM_TRY(check_options(ctx, err));
    LOOM_TRY(loom_model_files_load(&b, ctx->args[0], NULL, &o, err));
    if (conf->names && (st = take_names(&b, conf->names, err)) != LOOM_OK) goto done;
    if (loom_gguf_is_name(conf->output)) st = export_gguf(ctx, &b, err);
    else if (b.lora && loom_hf_is_ckpt_name(conf->output))
        st = loom_fail(err, LOOM_STATUS_ARG,
                       "%s is an adapter, which is written as a folder; loom-train merge writes "
                       "it into its base as a checkpoint",
                       ctx->args[0]);
    else if (b.lora)
        st = loom_hf_write_peft(conf->output, &b, conf->name ? conf->name : b.path, ctx->common.force, err);
    else st = write_exported(ctx, &b, err);
    if (st == LOOM_OK) loom_info("%s: %s", conf->output, what_was_written(conf, &b));
done:
    loom_model_files_release(&b);
    return st;
}

const loom_cmd loom_cmd_export = {
    .name = "export",
    .summary = "write a model or an adapter for other programs",
    .args = "MODEL",
    .min_args = 1,
    .max_args = 1,
    .details =
        "Writes a checkpoint as a Hugging Face folder (config.json, model.safetensors, tokenizer.json, ...) and an "
        "adapter as\n"
        "a PEFT folder (adapter_config.json, adapter_model.safetensors). To write both as one model, see merge. With a "
        "name\n"
        "that ends in .h5 it writes a checkpoint of the weights alone, in bfloat16 half as large.\n"
        "\n"
        "With a name that ends in .gguf it writes the file that llama.cpp and its relatives read, with FILE.Modelfile for\n"
        "ollama; an adapter becomes an adapter file for the GGUF of its base. The model's names, and the samples of --check,\n"
        "are first cut as llama.cpp would: where it would give the model other tokens than it learned, nothing is written.\n"
        "\n"
        "Examples:\n"
        "  loom-train export runs/small -o small-hf\n"
        "  loom-train export runs/small -o small.h5 --dtype bf16\n"
        "  loom-train export checkpoints/base.h5 -o base.gguf --dtype f32",
    .opts = export_opts,
    .conf_size = sizeof(export_conf),
    .run = run_export,
};
