/* loom-train adapt: a base model with the names of another system, not trained on its data. */
#include <string.h>

#include "core/bounds.h"
#include "core/file.h"
#include "core/log.h"
#include "train/train_cmds.h"
#include "train/transplant.h"
#include "train/write_model.h"

typedef struct adapt_conf {
    const char *tokenizer, *output;
    int dtype;
} adapt_conf;

enum { DTYPE_F32, DTYPE_BF16 };

static const loom_opt adapt_opts[] = {
    LOOM_OPT_GROUP("Names"),
    LOOM_OPT_IN("tokenizer", 0, adapt_conf, tokenizer, NULL, "FILE",
                "tokenizer.json with the names (loom-preprocess tokenizer)"),
    LOOM_OPT_GROUP("What to write"),
    LOOM_OPT_OUT("output", 'o', adapt_conf, output, NULL, "FILE", "checkpoint to write, such as model.h5"),
    LOOM_OPT_ENUM("dtype", 0, adapt_conf, dtype, "f32", "f32|bf16", "type of the matrices"),
    LOOM_OPT_WAS(NULL, 't', "tokenizer", NULL),
    LOOM_OPT_END};

static loom_status write_adapted(const loom_ctx *ctx, const loom_model_files *b, loom_err *err)
{
    const adapt_conf *conf = ctx->conf;
    loom_hf_how how = {.dtype = conf->dtype == DTYPE_BF16 ? LOOM_DTYPE_BF16 : LOOM_DTYPE_F32};
    loom_meta m = {0};
    loom_status st = loom_meta_input(&m, conf->tokenizer, err);

    loom_meta_str(&m, "base", b->path);
    loom_meta_str(&m, "base_digest", b->digest);
    loom_meta_str(&m, "tokenizer", b->tokenizer_digest);
    if (b->meta) loom_meta_json(&m, "base_meta", b->meta);
    if (st == LOOM_OK) st = loom_write_model(conf->output, true, ctx, b, &how, &m, err);
    loom_meta_release(&m);
    return st;
}

static loom_status run_adapt(const loom_ctx *ctx, loom_err *err)
{
    const adapt_conf *conf = ctx->conf;
    loom_model_files_options whole = {0};
    loom_transplant_report report;
    loom_model_files b = {0};
    loom_buf tokenizer = {0};
    char text[128];
    loom_status st;

    if (!conf->tokenizer) return loom_fail(err, LOOM_STATUS_ARG, "--tokenizer is missing: the names to take on");
    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "--output is missing: the checkpoint to write");
    if ((st = loom_file_read(&tokenizer, conf->tokenizer, LOOM_BOUND_JSON, err)) != LOOM_OK) goto done;
    if ((st = loom_model_files_load(&b, ctx->args[0], NULL, &whole, err)) != LOOM_OK) goto done;
    if (b.lora) {
        st = loom_fail(err, LOOM_STATUS_ARG, "%s carries an adapter; put it into the weights first: loom-train merge",
                       ctx->args[0]);
        goto done;
    }
    st = loom_transplant(&b, &report, loom_buf_text(&tokenizer), tokenizer.len, conf->tokenizer,
                         (uint64_t)ctx->common.seed, err);
    if (st == LOOM_OK) st = write_adapted(ctx, &b, err);
    if (st == LOOM_OK) loom_info("%s: %s; %s", conf->output, b.path, loom_transplant_text(text, sizeof text, &report));
done:
    loom_buf_release(&tokenizer);
    loom_model_files_release(&b);
    return st;
}

const loom_cmd loom_cmd_adapt = {
    .name = "adapt",
    .summary = "give a base model the names of another system, without training",
    .args = "BASE",
    .min_args = 1,
    .max_args = 1,
    .details =
        "Writes BASE with the names of a tokenizer in place of its own. The tokens of the format stay what they are; a "
        "name gets\n"
        "a row drawn from the normal distribution of the base's names, by --seed and the name. That is what pretrain "
        "and sft do\n"
        "first with --base-model; the model written here copies names that it never saw, and has learned nothing of "
        "them yet.\n"
        "\n"
        "Example: loom-train adapt base.h5 --tokenizer tokenizer.json -o adapted.h5",
    .opts = adapt_opts,
    .conf_size = sizeof(adapt_conf),
    .run = run_adapt,
};
