/* Where the weights of a run come from, and whether they fit its shards. */
#include "train/run_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "model/pissa.h"
#include "train/transplant.h"

/* A shape asked for on the command line that the base model does not have; that of a configuration file is for runs
 * without a base. */
static loom_status check_base_shape(const loom_run_model *rm, const loom_ctx *ctx, const train_conf *c, loom_err *err)
{
    const loom_config *m = &rm->base.model->config;
    const struct {
        const char *option;
        double asked, has;
    } shape[] = {{"hidden", (double)c->hidden, (double)m->C}, {"layers", (double)c->layers, (double)m->L},
                 {"heads", (double)c->heads, (double)m->H},   {"kv-heads", (double)c->kv_heads, (double)m->K},
                 {"ffn", (double)c->ffn, (double)m->F},       {"rope-theta", c->rope_theta, m->rope_theta},
                 {"tie-embeddings", c->tie, m->tied}};

    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        if (loom_ctx_given(ctx, shape[i].option) && shape[i].asked != shape[i].has)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "--%s is %g here, but %g in the base model %s; leave it out, or train without a base "
                             "(--base-model none)",
                             shape[i].option, shape[i].asked, shape[i].has, rm->base.path);
    return LOOM_OK;
}

/* The base model takes on the names of the shards. */
static loom_status adapt_base(loom_run_model *m, const loom_run_plan *p, const loom_ctx *ctx,
                              const loom_shard_info *train, loom_err *err)
{
    loom_transplant_report report;
    char text[128];

    LOOM_TRY(check_base_shape(m, ctx, p->conf, err));
    if (m->base.lora) return LOOM_OK; /* check_base says so */
    LOOM_TRY(loom_transplant(&m->base, &report, train->tokenizer, train->tokenizer_len, train->path, p->seed, err));
    loom_info("%s", loom_transplant_text(text, sizeof text, &report));
    return LOOM_OK;
}

/* The shards' tokens must mean to the model what they mean to the shards. */
static loom_status check_base(const loom_model_files *b, const train_conf *conf, const loom_shard_info *train,
                              loom_err *err)
{
    if (b->lora)
        return loom_fail(err, LOOM_STATUS_ARG, "%s carries an adapter; put it into the weights first: loom-train merge",
                         b->path);
    if (b->tokenizer && strcmp(b->tokenizer_digest, train->tokenizer_digest) != 0)
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s was trained with another tokenizer than %s was made with; make the shard with the model's: "
            "loom-preprocess tokens --tokenizer",
            b->path, train->path);
    if (train->vocab_size > b->model->config.V)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s has token ids up to %" PRId64 ", the model %s only %" PRId64,
                         train->path, train->vocab_size, b->path, b->model->config.V);
    if (conf->context > b->model->config.max_positions)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--context %" PRId64 " is more than the %" PRId64
                         " positions of %s; lower it (only training of all "
                         "weights, --no-lora, gives a model more)",
                         conf->context, b->model->config.max_positions, b->path);
    return LOOM_OK;
}

static loom_status load_base(loom_run_model *m, loom_run_plan *p, const loom_ctx *ctx, const loom_shard_info *train,
                             loom_err *err)
{
    bool adapts = loom_run_plan_has_base_model(p->conf);
    bool whole = p->conf->lora && p->conf->lora_init == LORA_INIT_PISSA; /* the base gives its principal part away */
    loom_model_files_options o = {
        .frozen = !whole && (p->conf->lora || (ctx->common.dry_run && !adapts)), /* a plan needs no copy */
        .positions = p->conf->lora ? 0 : p->conf->context};                      /* an adapter's base stays as it is */

    LOOM_TRY(loom_model_files_load(&m->base, loom_run_plan_start(p->conf), NULL, &o, err));
    if (adapts) LOOM_TRY(adapt_base(m, p, ctx, train, err));
    LOOM_TRY(check_base(&m->base, p->conf, train, err));
    if (m->base.note[0]) loom_info("%s", m->base.note);
    p->config = m->base.model->config;
    m->model = m->base.model;
    if (!realpath(m->base.path, m->base_path)) snprintf(m->base_path, sizeof m->base_path, "%s", m->base.path);
    loom_info("base: %s", m->base.path);
    return LOOM_OK;
}

/* The start is kept: what is written is the way from there. */
static loom_status start_pissa(loom_run_model *m, const loom_run_plan *p, loom_err *err)
{
    loom_lora *wide = NULL;

    LOOM_TRY(loom_lora_new(&m->pissa, &p->config, &m->lora->config, err));
    loom_info("decomposing %" PRId64 " matrices for --lora-init pissa", m->lora->table.n / 2);
    LOOM_TRY(loom_pissa_start(m->lora, m->model, err));
    memcpy(m->pissa->params, m->lora->params, m->lora->table.floats * sizeof(float));
    LOOM_TRY(loom_pissa_widen(&wide, m->lora, m->pissa, &p->config, err)); /* what cannot be written is said now */
    loom_lora_free(wide);
    return LOOM_OK;
}

static loom_status make_adapter(loom_run_model *m, loom_run_plan *p, bool dry_run, loom_err *err)
{
    const train_conf *c = p->conf;
    loom_lora_config l = {.R = c->lora_rank, .alpha = c->lora_alpha, .dropout = c->lora_dropout, .rslora = c->rslora};

    LOOM_TRY(loom_lora_parse_targets(&l.targets, c->lora_targets, err));
    LOOM_TRY(loom_lora_new(&m->lora, &p->config, &l, err));
    loom_lora_init(m->lora, p->seed);
    if (c->lora_init == LORA_INIT_PISSA && !dry_run) LOOM_TRY(start_pissa(m, p, err));
    p->lora = &m->lora->config;
    p->frozen = m->model->frozen;
    p->trained = 0;
    for (int64_t i = 0; i < m->lora->table.n; i++) p->trained += (int64_t)m->lora->table.tensors[i].count;
    return LOOM_OK;
}

loom_status loom_run_model_load(loom_run_model *m, loom_run_plan *p, const loom_ctx *ctx, const loom_shard_info *train,
                                const loom_ckpt *c, loom_err *err)
{
    const loom_run_vocabulary words = {train->vocab_size, train->bos_id, train->eos_id};

    if (p->conf->lora || (loom_run_plan_start(p->conf) && !c)) LOOM_TRY(load_base(m, p, ctx, train, err));
    else if (c) LOOM_TRY(loom_model_config_of(&p->config, c, err));
    else LOOM_TRY(loom_run_plan_shape(p, &words, err));
    p->trained = loom_config_params(&p->config);
    return p->conf->lora ? make_adapter(m, p, ctx->common.dry_run, err) : LOOM_OK;
}

loom_status loom_run_model_make(loom_run_model *m, const loom_run_plan *p, bool random, loom_err *err)
{
    if (m->lora || (m->model && !m->model->frozen)) return LOOM_OK;
    LOOM_TRY(loom_llama_new(&m->fresh, &p->config, err));
    if (random) loom_llama_init(m->fresh, p->seed);
    m->model = m->fresh;
    return LOOM_OK;
}

void loom_run_model_release(loom_run_model *m)
{
    loom_lora_free(m->lora);
    loom_lora_free(m->pissa);
    loom_llama_free(m->fresh);
    loom_model_files_release(&m->base);
}
