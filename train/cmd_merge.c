/* loom-train merge: an adapter into its base. */
#include <string.h>

#include "core/log.h"
#include "train/train_cmds.h"
#include "train/write_model.h"

typedef struct merge_conf {
    const char *output, *adapter, *base;
    int dtype;
    double max_gb;
} merge_conf;

static const loom_opt merge_opts[] = {
    LOOM_OPT_GROUP("What to merge"),
    LOOM_OPT_STR("adapter", 'a', merge_conf, adapter, NULL, "ADAPTER", "adapter checkpoint, run folder or PEFT folder"),
    LOOM_OPT_STR("base", 0, merge_conf, base, NULL, "MODEL", "base of an adapter checkpoint, when it has moved"),
    LOOM_OPT_GROUP("What to write"),
    LOOM_OPT_OUT("output", 'o', merge_conf, output, NULL, "FILE|DIR",
                 "checkpoint (a name ending in .h5) or Hugging Face folder"),
    LOOM_OPT_ENUM("dtype", 0, merge_conf, dtype, "auto", WRITE_DTYPES, "type of the matrices; auto: as in the base"),
    LOOM_OPT_F64("max-gb", 0, merge_conf, max_gb, "5", 0.000001, 1000, "GB", "largest safetensors file of a folder"),
    LOOM_OPT_END};

static loom_status write_merged(const loom_ctx *ctx, const loom_model_files *b, loom_err *err)
{
    const merge_conf *conf = ctx->conf;
    loom_hf_how how = {
        .dtype = loom_write_dtype(conf->dtype, b), .merge = true, .max_bytes = (int64_t)(conf->max_gb * 1e9)};
    loom_meta m = {0};
    loom_status st;

    loom_meta_str(&m, "base", b->path);
    if (b->adapter_path) loom_meta_str(&m, "adapter", b->adapter_path);
    st = loom_write_model(conf->output, false, ctx, b, &how, &m, err);
    loom_meta_release(&m);
    return st;
}

static loom_status run_merge(const loom_ctx *ctx, loom_err *err)
{
    const merge_conf *conf = ctx->conf;
    loom_model_files_options o = {.frozen = true, .base = conf->base};
    loom_model_files b = {0};
    loom_status st;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "--output is missing: a checkpoint (.h5) or a folder");
    LOOM_TRY(loom_model_files_load(&b, ctx->args[0], conf->adapter, &o, err));
    if (b.note[0]) loom_info("%s", b.note);
    if (!b.lora)
        st = loom_fail(err, LOOM_STATUS_ARG, "%s carries no adapter; name one with --adapter, or use loom-train export",
                       ctx->args[0]);
    else st = write_merged(ctx, &b, err);
    if (st == LOOM_OK) loom_info("%s: %s with %s", conf->output, b.path, b.adapter_path);
    loom_model_files_release(&b);
    return st;
}

const loom_cmd loom_cmd_merge = {
    .name = "merge",
    .summary = "put an adapter into the weights of its base",
    .args = "MODEL",
    .min_args = 1,
    .max_args = 1,
    .details =
        "Computes W + (alpha / rank) B A in float32 for every adapted matrix, rounds once, and writes a model that "
        "needs no\n"
        "adapter. MODEL is an adapter (run folder or adapter.h5, which knows its base) or a base with --adapter.\n"
        "\n"
        "Examples:\n"
        "  loom-train merge runs/7b-instr -o merged.h5\n"
        "  loom-train merge llama-2-7b.h5 --adapter tracellm-adapter -o merged-hf --dtype f16",
    .opts = merge_opts,
    .conf_size = sizeof(merge_conf),
    .run = run_merge,
};
