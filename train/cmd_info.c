/* loom-train info: what is in a checkpoint, run folder, adapter, token shard or Hugging Face folder. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"
#include "model/model_files.h"
#include "store/shard.h"
#include "trace/text/names.h"
#include "train/train_cmds.h"

typedef struct info_conf {
    bool tensors, meta, verify;
} info_conf;

static const loom_opt info_opts[] = {
    LOOM_OPT_GROUP("What to print"),
    LOOM_OPT_FLAG("tensors", 0, info_conf, tensors, "every tensor with type and shape"),
    LOOM_OPT_FLAG("meta", 0, info_conf, meta, "how the file was made"),
    LOOM_OPT_FLAG("verify", 0, info_conf, verify, "read everything and check the checksums"),
    LOOM_OPT_WAS(NULL, 't', "tensors", NULL),
    LOOM_OPT_WAS(NULL, 'm', "meta", NULL),
    LOOM_OPT_END};

/* Facts in order, printed as "name  value" lines or as one JSON object. */
typedef struct facts {
    loom_buf text, json;
    loom_jw w;
    bool as_json;
} facts;

static void say_str(facts *f, const char *name, const char *value)
{
    if (f->as_json) loom_jw_kv_str(&f->w, name, value);
    else loom_buf_printf(&f->text, "%-18s %s\n", name, value);
}

static void say_i64(facts *f, const char *name, int64_t value)
{
    if (f->as_json) loom_jw_kv_i64(&f->w, name, value);
    else loom_buf_printf(&f->text, "%-18s %" PRId64 "\n", name, value);
}

static void say_f64(facts *f, const char *name, double value)
{
    if (f->as_json) loom_jw_kv_f64(&f->w, name, value);
    else loom_buf_printf(&f->text, "%-18s %g\n", name, value);
}

/* A JSON text becomes a value of the object, or stands in the text as it is. */
static void say_json(facts *f, const char *name, const char *json)
{
    if (!f->as_json) {
        loom_buf_printf(&f->text, "%s:\n%s\n", name, json);
        return;
    }
    loom_jw_key(&f->w, name);
    loom_buf_str(&f->json, json[0] ? json : "null");
    f->w.after_key = false;
    f->w.first = false;
}

/* How many names a shard or a model carries. */
static loom_status say_names(facts *f, const char *text, size_t len, const char *path, loom_err *err)
{
    loom_names names = {0};
    loom_status st = loom_names_parse(&names, text, len, path, err);

    if (st == LOOM_OK && len) {
        say_i64(f, "microservices", (int64_t)names.microservices.n);
        say_i64(f, "services", (int64_t)names.services.n);
    }
    loom_names_release(&names);
    return st;
}

/* ---- token shards ---- */

static loom_status info_shard(facts *f, const char *path, const info_conf *conf, loom_err *err)
{
    loom_shard *s = NULL;
    const loom_shard_info *i;
    int32_t *ids = NULL;
    loom_status st = LOOM_OK;

    LOOM_TRY(loom_shard_open(&s, path, err));
    i = loom_shard_get_info(s);
    say_str(f, "kind", "token shard");
    say_str(f, "mode", i->mode);
    say_i64(f, "samples", i->n_samples);
    say_i64(f, "tokens", i->n_tokens);
    say_i64(f, "longest_sample", i->longest);
    say_i64(f, "vocabulary", i->vocab_size);
    say_i64(f, "bos_id", i->bos_id);
    say_i64(f, "eos_id", i->eos_id);
    say_str(f, "tokenizer", i->tokenizer_digest);
    st = say_names(f, i->names, i->names_len, i->path, err);
    if (conf->meta) say_json(f, "meta", i->meta);
    if (conf->verify && st == LOOM_OK && !(ids = loom_alloc(65536, sizeof *ids)))
        st = loom_fail_nomem(err, "the tokens");
    for (int64_t at = 0; conf->verify && st == LOOM_OK && at < i->n_tokens; at += 65536)
        st = loom_shard_read(s, at, loom_min_i64(65536, i->n_tokens - at), ids, err);
    if (conf->verify && st == LOOM_OK) say_str(f, "verified", "all tokens are readable and within the vocabulary");
    free(ids);
    loom_shard_close(&s);
    return st;
}

/* ---- models ---- */

static void say_config(facts *f, const loom_config *c)
{
    say_i64(f, "parameters", loom_config_params(c));
    say_i64(f, "hidden", c->C);
    say_i64(f, "layers", c->L);
    say_i64(f, "heads", c->H);
    say_i64(f, "kv_heads", c->K);
    say_i64(f, "head_size", c->D);
    say_i64(f, "ffn", c->F);
    say_i64(f, "vocabulary", c->V);
    say_i64(f, "positions", c->max_positions);
    say_str(f, "embeddings", c->tied ? "tied" : "untied");
    say_f64(f, "rope_theta", c->rope_theta);
}

static loom_status say_model_json(facts *f, const char *json, size_t len, const char *path, loom_err *err)
{
    loom_json *root = NULL;
    loom_config c;
    loom_status st;

    LOOM_TRY(loom_json_parse(&root, json, len, path, err));
    st = loom_config_from_json(&c, root, err);
    loom_json_free(root);
    if (st == LOOM_OK) say_config(f, &c);
    return st;
}

static loom_status say_adapter(facts *f, const char *json, size_t len, const char *path, loom_err *err)
{
    loom_lora_config c;
    loom_buf targets = {0};

    LOOM_TRY(loom_peft_config_parse(&c, json, len, path, err));
    for (int r = 0; r < LOOM_N_ADAPTABLE; r++) {
        if (c.targets >> r & 1)
            loom_buf_printf(&targets, "%s%s", targets.len ? "," : "", loom_lora_module((loom_role)r));
    }
    say_i64(f, "lora_rank", c.R);
    say_f64(f, "lora_alpha", c.alpha);
    say_f64(f, "lora_dropout", c.dropout);
    say_str(f, "lora_targets", targets.data);
    loom_buf_release(&targets);
    return LOOM_OK;
}

static void say_tensor(facts *f, const char *name, loom_dtype dtype, int rank, const int64_t *shape)
{
    loom_tensor_view v = {.rank = rank};
    char text[128], line[160];

    memcpy(v.shape, shape, (size_t)rank * sizeof *shape);
    snprintf(line, sizeof line, "%s %s", loom_dtype_name(dtype), loom_tensor_shape_text(text, sizeof text, &v));
    say_str(f, name, line);
}

static void say_tensors(facts *f, const loom_ckpt *c, bool list)
{
    int64_t n = 0, bytes = 0;

    for (size_t i = 0; i < loom_ckpt_count(c); i++) {
        const loom_ckpt_entry *e = loom_ckpt_at(c, i);
        if (e->is_text) continue;
        n++;
        bytes += (int64_t)e->bytes;
        if (list) say_tensor(f, e->name, e->dtype, e->rank, e->shape);
    }
    say_i64(f, "tensors", n);
    say_i64(f, "tensor_bytes", bytes);
}

static loom_status say_texts(facts *f, loom_ckpt *c, const info_conf *conf, loom_err *err)
{
    const char *path = loom_ckpt_path(c), *text;
    char digest[33];
    size_t len = 0;

    if ((text = loom_ckpt_text(c, "text/config", &len))) LOOM_TRY(say_model_json(f, text, len, path, err));
    if ((text = loom_ckpt_text(c, "text/adapter", &len))) LOOM_TRY(say_adapter(f, text, len, path, err));
    if ((text = loom_ckpt_text(c, "text/base", &len))) say_json(f, "base", text);
    if ((text = loom_ckpt_text(c, "text/tokenizer", &len))) {
        loom_text_digest(digest, text, len);
        say_str(f, "tokenizer", digest);
    }
    if ((text = loom_ckpt_text(c, LOOM_MODEL_FILES_NAMES, &len))) LOOM_TRY(say_names(f, text, len, path, err));
    if (conf->meta && (text = loom_ckpt_text(c, "text/meta", &len))) say_json(f, "meta", text);
    return LOOM_OK;
}

/* Of the last validation before the checkpoint, and of the best so far (best.h5: of the very weights in it). */
static void say_losses(facts *f, loom_ckpt *c)
{
    double loss;
    int64_t step;

    if (loom_ckpt_read_f64(c, "state/valid_loss", &loss, NULL) == LOOM_OK && isfinite(loss))
        say_f64(f, "validation_loss", loss);
    if (loom_ckpt_read_i64(c, "state/best_step", &step, NULL) != LOOM_OK || step < 0) return;
    if (loom_ckpt_read_f64(c, "state/best_loss", &loss, NULL) != LOOM_OK) return;
    say_f64(f, "best_validation_loss", loss);
    say_i64(f, "best_step", step);
}

static loom_status info_ckpt(facts *f, const char *path, const info_conf *conf, loom_err *err)
{
    loom_ckpt *c = NULL;
    int64_t n;
    loom_status st;

    LOOM_TRY(loom_ckpt_open(&c, path, err));
    say_str(f, "kind", loom_ckpt_text(c, "text/adapter", NULL) ? "adapter" : "checkpoint");
    st = say_texts(f, c, conf, err);
    if (loom_ckpt_read_i64(c, "state/step", &n, NULL) == LOOM_OK) say_i64(f, "step", n);
    if (loom_ckpt_read_i64(c, "state/tokens", &n, NULL) == LOOM_OK) say_i64(f, "tokens_trained", n);
    say_losses(f, c);
    say_str(f, "optimizer_state", loom_ckpt_text(c, "text/train", NULL) ? "yes" : "no");
    say_tensors(f, c, conf->tensors);
    say_str(f, "digest", loom_ckpt_digest(c));
    if (st == LOOM_OK && conf->verify) {
        st = loom_ckpt_verify(c, err);
        if (st == LOOM_OK) say_str(f, "verified", "all checksums agree");
    }
    loom_ckpt_close(&c);
    return st;
}

static loom_status info_hf(facts *f, const char *dir, const info_conf *conf, loom_err *err)
{
    loom_buf path = {0};
    loom_config config;
    loom_safetensors *file = NULL;
    loom_status st;

    loom_buf_printf(&path, "%s/config.json", dir);
    st = loom_config_read(&config, path.data, err);
    loom_buf_release(&path);
    if (st != LOOM_OK) return st;
    say_str(f, "kind", "Hugging Face folder");
    say_config(f, &config);
    LOOM_TRY(loom_safetensors_open(&file, dir, err));
    for (size_t i = 0; conf->tensors && i < loom_safetensors_count(file); i++) {
        const loom_tensor_view *v = loom_safetensors_at(file, i);
        say_tensor(f, v->name, v->dtype, v->rank, v->shape);
    }
    say_i64(f, "tensors", (int64_t)loom_safetensors_count(file));
    loom_safetensors_close(&file);
    return LOOM_OK;
}

/* A PEFT folder has no model of its own. */
static loom_status info_peft(facts *f, const char *dir, loom_err *err)
{
    loom_buf path = {0}, json = {0};
    loom_status st;

    loom_buf_printf(&path, "%s/adapter_config.json", dir);
    st = loom_file_read(&json, path.data, LOOM_BOUND_SETTINGS, err);
    if (st == LOOM_OK) {
        say_str(f, "kind", "PEFT adapter folder");
        st = say_adapter(f, json.data, json.len, path.data, err);
    }
    loom_buf_release(&json);
    loom_buf_release(&path);
    return st;
}

static loom_status info_path(facts *f, const char *path, const info_conf *conf, loom_err *err)
{
    loom_model_kind kind;
    char *file = NULL;
    loom_shard *s = NULL;
    loom_status st;

    if (loom_path_ends_in(path, ".tokens.h5")) return info_shard(f, path, conf, err);
    if (loom_file_exists_in(path, "adapter_config.json")) return info_peft(f, path, err);
    if (!loom_file_is_dir(path) && loom_shard_open(&s, path, NULL) == LOOM_OK) {
        loom_shard_close(&s);
        return info_shard(f, path, conf, err);
    }
    LOOM_TRY(loom_model_find(&file, &kind, path, err));
    if (strcmp(file, path) != 0) say_str(f, "file", file);
    st = kind == LOOM_MODEL_KIND_HF ? info_hf(f, file, conf, err) : info_ckpt(f, file, conf, err);
    free(file);
    return st;
}

static loom_status run_info(const loom_ctx *ctx, loom_err *err)
{
    loom_status st = LOOM_OK;

    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) {
        facts f = {.as_json = ctx->common.json};
        loom_jw_init(&f.w, &f.json, false);
        if (f.as_json) loom_jw_begin_object(&f.w);
        say_str(&f, "path", ctx->args[i]);
        st = info_path(&f, ctx->args[i], ctx->conf, err);
        if (f.as_json) loom_jw_end_object(&f.w);
        if (st == LOOM_OK && f.as_json) loom_buf_printf(&f.text, "%s\n", f.json.data);
        else if (st == LOOM_OK && i + 1 < ctx->n_args) loom_buf_char(&f.text, '\n');
        if (st == LOOM_OK) st = loom_stdout_text(f.text.data, f.text.len, err);
        loom_buf_release(&f.text);
        loom_buf_release(&f.json);
    }
    return st;
}

const loom_cmd loom_cmd_info = {
    .name = "info",
    .summary = "say what is in checkpoints, adapters and token shards",
    .args = "FILE|DIR...",
    .min_args = 1,
    .max_args = -1,
    .details = "Prints the kind, shape, tokenizer and training state of a checkpoint, run folder, adapter, token shard "
               "or Hugging\n"
               "Face folder; with --json one object a line.\n"
               "\n"
               "Example: loom-train info runs/small --verify",
    .opts = info_opts,
    .conf_size = sizeof(info_conf),
    .run = run_info,
};
