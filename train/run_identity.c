/* The rules of a run as text, compared when it goes on, and the provenance in its files. */
#include "train/run_identity.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/meta.h"
#include "model/blas.h"
#include "model/model_files.h"
#include "train/snapshot.h"

static bool has_default(const train_conf *c, const loom_opt *o)
{
    loom_buf text = {0};
    bool same;

    loom_opt_value_text(&text, c, o);
    same = strcmp(loom_buf_text(&text), o->value) == 0;
    loom_buf_release(&text);
    return same;
}

static bool may_change(const train_conf *c, const loom_opt *o)
{
    return o->mark == MAY_CHANGE || (o->mark == MAY_CHANGE_UNWATCHED && !c->patience);
}

/* What is in the shard, not who made it and when; older shards do not say, so there it is the file. */
static loom_status shard_sum(char digest[33], const char *path, loom_err *err)
{
    loom_shard *s = NULL;

    LOOM_TRY(loom_shard_open(&s, path, err));
    snprintf(digest, 33, "%s", loom_shard_get_info(s)->digest);
    loom_shard_close(&s);
    return digest[0] ? LOOM_OK : loom_hash_file(digest, path, err);
}

/* Of a Hugging Face folder the beginning of every tensor must do. */
static loom_status folder_sum(char digest[17], const char *dir, loom_err *err)
{
    loom_safetensors *f = NULL;
    uint64_t hash = 0;

    LOOM_TRY(loom_safetensors_open(&f, dir, err));
    for (size_t i = 0; i < loom_safetensors_count(f); i++) {
        const loom_tensor_view *v = loom_safetensors_at(f, i);
        hash = loom_hash64(v->data, v->bytes < 1024 ? v->bytes : 1024, hash);
    }
    snprintf(digest, 17, "%016" PRIx64, hash);
    loom_safetensors_close(&f);
    return LOOM_OK;
}

static loom_status checkpoint_sum(char digest[17], const char *path, loom_err *err)
{
    loom_ckpt *c = NULL;

    LOOM_TRY(loom_ckpt_open(&c, path, err));
    loom_model_weights_digest(digest, c);
    if (!digest[0]) snprintf(digest, 17, "%s", loom_ckpt_digest(c));
    loom_ckpt_close(&c);
    return LOOM_OK;
}

/* Which weights the run starts from. */
static loom_status base_sum(char digest[17], const char *path, loom_err *err)
{
    loom_model_kind kind;
    char *file = NULL;
    loom_status st;

    LOOM_TRY(loom_model_find(&file, &kind, path, err));
    st = kind == LOOM_MODEL_KIND_HF ? folder_sum(digest, file, err) : checkpoint_sum(digest, file, err);
    free(file);
    return st;
}

static void put_option(loom_buf *b, const train_conf *c, const loom_opt *o)
{
    loom_buf_printf(b, "--%s=", o->name);
    loom_opt_value_text(b, c, o);
    loom_buf_char(b, '\n');
}

loom_status loom_run_identity_rules(loom_run_identity *id, const loom_ctx *ctx, const loom_run_plan *p, loom_err *err)
{
    const char *start = loom_run_plan_start(p->conf);
    loom_buf *b = &id->rules;
    int shards = loom_run_plan_shards(p);
    char digest[33];

    loom_buf_printf(b, "command=%s\nseed=%" PRId64 "\n--compute=%s\n", ctx->cmd->name, ctx->common.seed,
                    loom_run_plan_products(p->conf));
    for (const loom_opt *o = ctx->cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (!loom_opt_is_value(o) || may_change(p->conf, o)) continue;
        put_option(o->mark == TOLD_UNLESS_DEFAULT && has_default(p->conf, o) ? &id->unsaid : b, p->conf, o);
    }
    loom_buf_printf(shards ? b : &id->unsaid, "--shards=%d\n", shards);
    if (start) {
        LOOM_TRY(base_sum(id->base_sum, start, err));
        loom_buf_printf(b, "checksum of the base=%s\n", id->base_sum);
    }
    for (int i = 0; i < ctx->n_args; i++) {
        LOOM_TRY(shard_sum(digest, ctx->args[i], err));
        loom_buf_printf(b, "checksum of shard %d=%s\n", i + 1, digest);
    }
    return LOOM_OK;
}

loom_status loom_run_identity_meta(loom_run_identity *id, const loom_ctx *ctx, const loom_run_plan *p,
                                   const loom_shard_info *train, const char *base_meta, loom_err *err)
{
    const char *start = loom_run_plan_start(p->conf);
    loom_meta m = {0};
    loom_status st = LOOM_OK;

    bool told = !p->privacy.on; /* checksums and counts would tell of single graphs what the noise hides */

    for (int i = 0; told && i < ctx->n_args && st == LOOM_OK; i++) st = loom_meta_input(&m, ctx->args[i], err);
    if (told && st == LOOM_OK && p->conf->valid) st = loom_meta_input(&m, p->conf->valid, err);
    loom_meta_i64(&m, "threads", ctx->common.threads); /* which shape the weights, unlike other outputs */
    loom_meta_str(&m, "blas", loom_blas_core());
    loom_meta_str(&m, "tokenizer", train->tokenizer_digest);
    if (told) loom_meta_json(&m, "data_meta", train->meta[0] ? train->meta : "null");
    if (start) loom_meta_str(&m, "base", start);
    if (start) loom_meta_str(&m, "base_digest", id->base_sum);
    if (base_meta) loom_meta_json(&m, "base_meta", base_meta);
    loom_meta_render_inside(&m, ctx, &id->meta);
    loom_meta_release(&m);
    return st;
}

loom_status loom_run_identity_check(const loom_run_identity *id, const loom_ckpt *c, const loom_shard_info *train,
                                    const char *dir, loom_err *err)
{
    size_t len = 0;
    const char *rules = loom_ckpt_text(c, "text/train", &len), *tokenizer = loom_ckpt_text(c, "text/tokenizer", &len);
    char digest[33];

    if (!rules || !tokenizer)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is no checkpoint of a run", loom_ckpt_path(c));
    loom_text_digest(digest, tokenizer, len);
    if (strcmp(digest, train->tokenizer_digest) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s was trained with another tokenizer than %s was made with; choose another "
                         "--output or start over with --force",
                         loom_ckpt_path(c), train->path);
    LOOM_TRY(loom_snapshot_same_rules(loom_buf_text(&id->rules), rules, true, dir, err));
    return loom_snapshot_same_rules(loom_buf_text(&id->unsaid), rules, false, dir, err);
}

void loom_run_identity_release(loom_run_identity *id)
{
    loom_buf_release(&id->rules);
    loom_buf_release(&id->unsaid);
    loom_buf_release(&id->meta);
}
