/* loom-train average: the mean of the weights of models that were trained from one another or from the same start. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "trace/text/names.h"
#include "train/train_cmds.h"
#include "train/write_model.h"

typedef struct average_conf {
    const char *output;
} average_conf;

static const loom_opt average_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', average_conf, output, NULL, "FILE", "checkpoint to write, such as model.h5"),
    LOOM_OPT_END};

/* ARG unless both are the same architecture (the shapes of the tensors do not tell the heads) with one tokenizer. */
static loom_status check_alike(const loom_model_files *a, const loom_model_files *b, loom_err *err)
{
    loom_buf x = {0}, y = {0};

    loom_config_write(&a->model->config, "", &x);
    loom_config_write(&b->model->config, "", &y);
    bool alike = strcmp(loom_buf_text(&x), loom_buf_text(&y)) == 0;
    loom_buf_release(&x);
    loom_buf_release(&y);
    if (!alike)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s and %s have other sizes; give models that were trained from the same start", a->path,
                         b->path);
    if (strcmp(a->tokenizer_digest, b->tokenizer_digest) != 0)
        return loom_fail(err, LOOM_STATUS_ARG, "%s and %s have other tokenizers; their weights mean other tokens",
                         a->path, b->path);
    return LOOM_OK;
}

static loom_status load(loom_model_files *b, const char *path, loom_err *err)
{
    loom_model_files_options whole = {0};

    LOOM_TRY(loom_model_files_load(b, path, NULL, &whole, err));
    if (b->note[0]) loom_info("%s", b->note);
    if (!b->lora) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "%s is an adapter, which has no mean of its own; merge it first (loom-train merge)", path);
}

/* sum += share * weights, of every float of the parameter block. */
static void add(double *sum, const loom_llama *m, double share)
{
    for (size_t i = 0; i < m->table.floats; i++) sum[i] += share * (double)m->params[i];
}

/* The mean carries the names of all. */
static loom_status join_names(loom_model_files *into, const loom_model_files *more, loom_err *err)
{
    loom_names names = {0};
    loom_buf text = {0};
    loom_status st = LOOM_OK;

    if (!more->names) return LOOM_OK;
    if (into->names) st = loom_names_parse(&names, into->names, into->names_len, into->path, err);
    if (st == LOOM_OK) st = loom_names_parse(&names, more->names, more->names_len, more->path, err);
    if (st == LOOM_OK) st = loom_names_sort(&names, err);
    if (st == LOOM_OK) {
        loom_names_render(&text, &names);
        free(into->names);
        into->names_len = text.len;
        if (!(into->names = strdup(loom_buf_text(&text)))) st = loom_fail_nomem(err, "names");
    }
    loom_names_release(&names);
    loom_buf_release(&text);
    return st;
}

static loom_status add_file(double *sum, loom_model_files *first, loom_jw *paths, const char *path, double share,
                            loom_err *err)
{
    loom_model_files b = {0};
    loom_status st = load(&b, path, err);

    if (st == LOOM_OK) st = check_alike(first, &b, err);
    if (st == LOOM_OK) st = join_names(first, &b, err);
    if (st == LOOM_OK) {
        add(sum, b.model, share);
        loom_jw_str(paths, b.path);
    }
    loom_model_files_release(&b);
    return st;
}

/* The mean takes the place of the first model's weights. *paths: a JSON list of the files read. */
static loom_status average(const loom_ctx *ctx, loom_model_files *first, double *sum, loom_buf *paths, loom_err *err)
{
    double share = 1.0 / ctx->n_args;
    loom_jw j;

    loom_jw_init(&j, paths, false);
    loom_jw_begin_array(&j);
    add(sum, first->model, share);
    loom_jw_str(&j, first->path);
    for (int i = 1; i < ctx->n_args; i++) LOOM_TRY(add_file(sum, first, &j, ctx->args[i], share, err));
    loom_jw_end_array(&j);
    for (size_t i = 0; i < first->model->table.floats; i++) first->model->params[i] = (float)sum[i];
    return LOOM_OK;
}

static loom_status write_mean(const loom_ctx *ctx, const loom_model_files *b, const char *paths, loom_err *err)
{
    const average_conf *conf = ctx->conf;
    loom_meta meta = {0};
    loom_hf_how how = {.dtype = LOOM_DTYPE_F32};

    loom_meta_json(&meta, "models", paths);
    loom_status st = loom_write_model(conf->output, true, ctx, b, &how, &meta, err);
    loom_meta_release(&meta);
    return st;
}

static loom_status run_average(const loom_ctx *ctx, loom_err *err)
{
    const average_conf *conf = ctx->conf;
    loom_model_files first = {0};
    loom_buf paths = {0};
    double *sum = NULL;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "--output is missing: the checkpoint to write");
    loom_status st = load(&first, ctx->args[0], err);
    if (st == LOOM_OK && !(sum = loom_calloc(first.model->table.floats, sizeof *sum)))
        st = loom_fail_nomem(err, "the sum of the weights");
    if (st == LOOM_OK) st = average(ctx, &first, sum, &paths, err);
    if (st == LOOM_OK) st = write_mean(ctx, &first, loom_buf_text(&paths), err);
    if (st == LOOM_OK) loom_info("%s: the mean of %d models", conf->output, ctx->n_args);
    free(sum);
    loom_buf_release(&paths);
    loom_model_files_release(&first);
    return st;
}

const loom_cmd loom_cmd_average = {
    .name = "average",
    .summary = "write the mean of the weights of several models",
    .args = "MODEL MODEL...",
    .min_args = 2,
    .max_args = -1,
    .details = "Models that were tuned from one another, or from the same start, with other draws are often better on "
               "average\n"
               "than each alone: what is noise of the last steps in their weights cancels (\"model soups\", arXiv "
               "2203.05482).\n"
               "They must have the same sizes and tokenizer. Example:\n"
               "  loom-train sft tune.tokens.h5 --base runs/one --seed 2 --minutes 20 --lr 6e-4 -o runs/two\n"
               "  loom-train average runs/one runs/two -o runs/mean.h5",
    .opts = average_opts,
    .conf_size = sizeof(average_conf),
    .run = run_average,
};
