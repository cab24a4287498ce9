#include "infer/engine/model_loader.h"

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/shared_path.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/training.h"
#include "trace/text/grammar.h"

static loom_status load_tokenizer(loom_model_loader *b, const loom_model_loader_conf *conf, loom_err *err)
{
    char own[33], given[33];

    if (!conf->tokenizer && !b->bundle.tokenizer)
        return loom_fail(err, LOOM_STATUS_ARG, "%s holds no tokenizer; name one with --tokenizer", conf->model);
    if (b->bundle.tokenizer) {
        LOOM_TRY(
            loom_tokenizer_parse(&b->tok, b->bundle.tokenizer, b->bundle.tokenizer_len, "tokenizer of the model", err));
        if (!conf->tokenizer) return LOOM_OK;
        loom_tokenizer_digest(b->tok, own);
        loom_tokenizer_free(b->tok);
        b->tok = NULL;
    }
    LOOM_TRY(loom_tokenizer_load(&b->tok, conf->tokenizer, err));
    loom_tokenizer_digest(b->tok, given);
    if (!b->bundle.tokenizer || strcmp(own, given) == 0) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "%s is not the tokenizer that %s was trained with and holds; leave --tokenizer out",
                     conf->tokenizer, conf->model);
}

bool loom_model_loader_bos(const loom_model_loader_conf *conf, const char *prompt, size_t len)
{
    size_t n = strlen(LOOM_TEXT_QUESTION);
    if (conf->bos != 0) return conf->bos == 1;
    return len >= n && memcmp(prompt, LOOM_TEXT_QUESTION, n) == 0;
}

bool loom_model_loader_half(const loom_model_loader_conf *conf)
{
    enum { COMPUTE_F32, COMPUTE_BF16, COMPUTE_AUTO };

    return conf->compute == COMPUTE_BF16 || (conf->compute == COMPUTE_AUTO && loom_bf16_check(NULL) == LOOM_OK);
}

loom_status loom_model_loader_open(loom_model_loader *b, const loom_model_loader_conf *conf, const loom_common *common,
                                   loom_err *err)
{
    loom_model_files_options bo = {.frozen = true, .base = conf->base};
    loom_engine_options eo = {.batch = conf->batch,
                              .context = conf->context,
                              .cache_bytes = conf->cache_mib << 20,
                              .half_cache = conf->half_cache,
                              .bf16_compute = loom_model_loader_half(conf),
                              .no_sharing = !conf->share,
                              .no_jump = !conf->jump};
    loom_status st;

    loom_buf shipped = {0};
    const char *path = conf->model;
    if (!path) {
        if (!loom_shared_path(&shipped, "checkpoints/base.h5"))
            return loom_fail(err, LOOM_STATUS_ARG, "no model given; name a checkpoint or folder with --model");
        path = shipped.data;
        loom_info("no --model given: the base model that comes with Spanloom, %s", path);
    }
    if ((st = loom_blas_reserve((int)common->threads, err)) != LOOM_OK) goto done;
    if ((st = loom_model_files_load(&b->bundle, path, conf->adapter, &bo, err)) != LOOM_OK) goto done;
    if ((st = loom_training_find(&b->training, b->bundle.adapter_path ? b->bundle.adapter_path : b->bundle.path,
                                 err)) != LOOM_OK)
        goto done;
    if ((st = load_tokenizer(b, conf, err)) != LOOM_OK) goto done;
    if ((st = loom_pool_new(&b->pool, (int)common->threads, err)) != LOOM_OK) goto done;
    eo.pool = b->pool;
    if ((st = loom_engine_new(&b->engine, b->bundle.model, b->bundle.lora, b->tok, &eo, err)) != LOOM_OK) goto done;
    b->completer = loom_engine_completer(b->engine);
    loom_verbose("model %s, %lld parameters, context %lld", b->bundle.path,
                 (long long)loom_config_params(&b->bundle.model->config), (long long)loom_engine_context(b->engine));
done:
    loom_buf_release(&shipped);
    if (st != LOOM_OK) loom_model_loader_close(b);
    return st;
}

void loom_model_loader_close(loom_model_loader *b)
{
    loom_engine_free(b->engine);
    loom_pool_free(b->pool);
    loom_tokenizer_free(b->tok);
    loom_model_files_release(&b->bundle);
    loom_buf_release(&b->training);
    *b = (loom_model_loader){0};
}

loom_status loom_model_loader_inputs(loom_meta *meta, const loom_model_loader *b, const loom_model_loader_conf *conf,
                                     loom_err *err)
{
    LOOM_TRY(loom_meta_input(meta, b->bundle.path, err));
    if (b->bundle.adapter_path) LOOM_TRY(loom_meta_input(meta, b->bundle.adapter_path, err));
    return conf->tokenizer ? loom_meta_input(meta, conf->tokenizer, err) : LOOM_OK;
}

void loom_model_loader_meta(loom_meta *meta, const loom_model_loader *b)
{
    loom_engine_counts c = loom_engine_count(b->engine);

    loom_meta_str(meta, "model", b->bundle.path);
    if (b->bundle.adapter_path) loom_meta_str(meta, "adapter", b->bundle.adapter_path);
    if (b->bundle.digest[0]) loom_meta_str(meta, "model_digest", b->bundle.digest);
    loom_meta_i64(meta, "model_step", b->bundle.step);
    if (b->bundle.meta) loom_meta_json(meta, "model_meta", b->bundle.meta);
    if (b->training.len) loom_meta_json(meta, "model_training", b->training.data);
    loom_meta_str(meta, "blas", loom_blas_core());
    loom_meta_i64(meta, "decoded_tokens", c.decoded + b->others.decoded);
    loom_meta_i64(meta, "forced_tokens", c.forced + b->others.forced);
    loom_meta_i64(meta, "prompt_tokens_computed", c.prefilled + b->others.prefilled);
    loom_meta_i64(meta, "prompt_tokens_shared", c.shared + b->others.shared);
}

void loom_model_loader_report(const loom_model_loader *b, double seconds)
{
    loom_engine_counts c = loom_engine_count(b->engine);

    if (seconds <= 0) return;
    c.decoded += b->others.decoded;
    c.forced += b->others.forced;
    loom_info("%lld tokens chosen by the model and %lld appended in %.1f s: %.0f tokens/s", (long long)c.decoded,
              (long long)c.forced, seconds, (double)(c.decoded + c.forced) / seconds);
    loom_verbose("%lld runs of the model (%.1f s), choosing tokens %.1f s; prompts: %lld tokens computed, %lld shared; "
                 "%lld jobs preempted",
                 (long long)c.steps, c.model_seconds, c.choose_seconds, (long long)c.prefilled, (long long)c.shared,
                 (long long)c.preempted);
}
