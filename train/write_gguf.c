#include "train/write_gguf.h"

#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"

static loom_status judge(const loom_gguf_check *k, const loom_write_gguf_conf *conf, loom_err *err)
{
    if (k->differ == 0) return LOOM_OK;
    if (conf->accept) {
        loom_warn("llama.cpp cuts %lld of %lld texts otherwise than the model learned them, first: %s",
                  (long long)k->differ, (long long)k->texts, k->first);
        return LOOM_OK;
    }
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s: llama.cpp would cut %lld of %lld names and texts into other tokens than the model knows (a name that "
        "begins with a name which is a token), first \"%s\"; train with a tokenizer whose names have one width or "
        "are all tokens, or write it as it is with --accept-differences",
        conf->output, (long long)k->differ, (long long)k->texts, k->first);
}

static loom_status check(const loom_write_gguf_conf *conf, const loom_gguf_vocab *v, const loom_model_files *b,
                         loom_meta *made, loom_err *err)
{
    loom_gguf_check k = {0};

    LOOM_TRY(loom_gguf_check_names(&k, v, b, err));
    if (conf->check) LOOM_TRY(loom_gguf_check_texts(&k, v, conf->check, conf->samples, err));
    LOOM_TRY(judge(&k, conf, err));
    loom_meta_i64(made, "texts_compared", k.texts);
    loom_meta_i64(made, "texts_cut_otherwise", k.differ);
    if (v->kind == LOOM_TOK_KIND_LLAMA3) return LOOM_OK;
    if (k.texts == 0)
        loom_warn("%s: nothing to compare the tokens of llama.cpp with; name a training text with --check",
                  conf->output);
    else if (k.differ == 0) loom_info("%lld names and texts have the same tokens in llama.cpp", (long long)k.texts);
    return LOOM_OK;
}

static loom_status write_model(const loom_write_gguf_conf *conf, const loom_ctx *ctx, const loom_model_files *b,
                               loom_gguf_how *how, loom_meta *made, loom_out *out, loom_err *err)
{
    loom_gguf_vocab v;
    loom_buf meta = {0};
    int64_t n_f16 = 0;
    loom_status st = loom_gguf_vocab_init(&v, b, err);

    if (st == LOOM_OK) st = check(conf, &v, b, made, err);
    if (st != LOOM_OK) goto done;
    loom_meta_render_inside(made, ctx, &meta);
    how->meta = loom_buf_text(&meta);
    how->add_bos = v.kind != LOOM_TOK_KIND_DOMAIN || conf->form == LOOM_MODE_INSTRUCTION;
    st = loom_gguf_write_model(out, b, &v, how, &n_f16, err);
    if (st == LOOM_OK && n_f16)
        loom_info("%lld matrices are float16: their rows are no multiple of %d values", (long long)n_f16,
                  LOOM_Q8_BLOCK);
done:
    loom_gguf_vocab_release(&v);
    loom_buf_release(&meta);
    return st;
}

static loom_status write_adapter(const loom_ctx *ctx, const loom_model_files *b, loom_gguf_how *how, loom_meta *made,
                                 loom_out *out, loom_err *err)
{
    loom_buf meta = {0};

    loom_meta_render_inside(made, ctx, &meta);
    how->meta = loom_buf_text(&meta);
    loom_status st = loom_gguf_write_adapter(out, b, how, err);
    loom_buf_release(&meta);
    return st;
}

static loom_status open_modelfile(loom_out **out, const loom_write_gguf_conf *conf, const loom_model_files *b,
                                  bool force, loom_err *err)
{
    loom_buf path = {0}, text = {0};
    loom_status st = loom_gguf_modelfile(&text, conf->output, &b->model->config, conf->form, err);

    loom_buf_printf(&path, "%s.Modelfile", conf->output);
    if (st == LOOM_OK) st = loom_buf_check(&path, "a file name", err);
    if (st == LOOM_OK) st = loom_out_open(out, loom_buf_text(&path), force, err);
    if (st == LOOM_OK) st = loom_out_write(*out, text.data, text.len, err);
    loom_buf_release(&path);
    loom_buf_release(&text);
    return st;
}

loom_status loom_write_gguf(const loom_write_gguf_conf *conf, const loom_ctx *ctx, const loom_model_files *b,
                            loom_meta *made, loom_err *err)
{
    loom_gguf_how how = {.matrices = conf->matrices, .name = loom_path_name(conf->output)};
    loom_out *outs[2] = {NULL, NULL};
    loom_status st;

    if ((st = loom_out_open(&outs[0], conf->output, ctx->common.force, err)) != LOOM_OK) goto done;
    if (b->lora) st = write_adapter(ctx, b, &how, made, outs[0], err);
    else if ((st = open_modelfile(&outs[1], conf, b, ctx->common.force, err)) == LOOM_OK)
        st = write_model(conf, ctx, b, &how, made, outs[0], err);
    if (st == LOOM_OK) st = loom_meta_commit(made, ctx, outs, 2, 1, err);
done:
    loom_out_abandon(&outs[0]);
    loom_out_abandon(&outs[1]);
    return st;
}
