#include "train/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/progress.h"
#include "core/usage.h"
#include "model/blas.h"
#include "model/model_files.h"
#include "model/bf16.h"
#include "train/curve.h"
#include "train/loader.h"
#include "train/rehearsal.h"
#include "train/run_names.h"
#include "train/run_history.h"
#include "train/snapshot.h"
#include "train/trainer.h"
#include "train/transplant.h"

#define DATA_IN_MEMORY ((int64_t)2 << 30) /* bytes of tokens kept in memory */

typedef struct run {
    const loom_ctx *ctx;
    const train_conf *conf;
    loom_loader *train, *valid; /* valid: NULL without --valid */
    loom_pool *pool;
    loom_model_files base;  /* what --init or --base names; its model is the one trained unless resuming */
    loom_llama *fresh; /* a model made here */
    loom_llama *model; /* the one trained: fresh or base.model */
    loom_lora *lora;
    loom_lora_config lora_config;
    loom_config config;
    char *checkpoint; /* to go on from; NULL: a new run */
    loom_trainer_options how;
    loom_trainer *trainer;
    loom_schedule schedule;
    bool timed; /* --minutes: the schedule runs over time */
    loom_snapshot_run numbers;
    loom_snapshot_texts texts;
    loom_buf meta, rules, names; /* what texts points to, as is told.machines */
    loom_run_history told;
    loom_rehearsal tried; /* --dry-run: how fast it is */
    const char *untried;  /* why that was not measured */
    char base_path[4096];
    char base_sum[33]; /* of the weights that the run starts from; "" for random ones */
    loom_curve curve;
    loom_progress progress;
    int lock;         /* -1: none */
    bool made_folder; /* --output was not there before */
    double started, seconds_before; /* clock at the start of this part of the run; training seconds before it */
    double last_save, last_row;
    int64_t first_step; /* steps done when this part of the run began */
    double last_accuracy;
} run;

/* ---- options that depend on one another ---- */

static bool is_sft(const run *r)
{
    return strcmp(r->ctx->cmd->name, "sft") == 0;
}

static bool has_base_model(const train_conf *c)
{
    return c->base_model && strcmp(c->base_model, "none") != 0;
}

/* Where the first weights come from: --init, --base or --base-model; NULL: random ones. */
static const char *start_of(const train_conf *c)
{
    return has_base_model(c) ? c->base_model : c->base;
}

static loom_status check_base_model(const run *r, loom_err *err)
{
    const train_conf *c = r->conf;

    if (!has_base_model(c)) return LOOM_OK;
    if (c->base)
        return loom_fail(err, LOOM_STATUS_ARG, "give one of --%s and --base-model; --base-model none is none",
                         is_sft(r) ? "base" : "init");
    if (c->lora)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "an adapter needs its base as a file: train all weights with --no-lora, or write one with "
                         "loom-train adapt and name it with --%s",
                         is_sft(r) ? "base" : "init");
    return LOOM_OK;
}

static loom_status check_options(const run *r, loom_err *err)
{
    const train_conf *c = r->conf;

    if (!c->output)
        return loom_fail(err, LOOM_STATUS_ARG, "--output DIR is missing: the folder for checkpoints and the model");
    LOOM_TRY(check_base_model(r, err));
    if (is_sft(r) && !start_of(c)) return loom_fail(err, LOOM_STATUS_ARG, "--base is missing: the model to fine-tune");
    if (c->lora && !c->base)
        return loom_fail(err, LOOM_STATUS_ARG, "--lora adapts a trained model; name it with --init");
    if (c->lora && c->optimizer == LOOM_OPTIMIZER_MUON)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--optimizer muon is for the model's own matrices, which --lora keeps as they are; take --optimizer "
                         "adamw, or train all weights with --no-lora");
    if (c->compute == COMPUTE_BF16) LOOM_TRY(loom_bf16_check(err));
    if (c->steps > 0 && c->tokens > 0) return loom_fail(err, LOOM_STATUS_ARG, "give one of --steps and --tokens");
    if (c->prompt_weight < 1 && c->loss == LOSS_ANSWER)
        return loom_fail(err, LOOM_STATUS_ARG, "--prompt-weight is for --loss all; with --loss answer prompts count nothing");
    if (c->prompt_weight < 1 && c->packing == PACKING_JOINED)
        return loom_fail(err, LOOM_STATUS_ARG, "--prompt-weight needs whole samples: --packing samples");
    if (c->patience && !c->valid)
        return loom_fail(err, LOOM_STATUS_ARG, "--patience watches the validation loss; name the shard with --valid");
    if (c->patience && !c->best)
        return loom_fail(err, LOOM_STATUS_ARG, "--patience goes back to the best weights; leave --no-best out");
    return LOOM_OK;
}

static int64_t micro_rows(const train_conf *c)
{
    int64_t rows = c->micro_tokens ? c->micro_tokens : loom_min_i64(c->batch_tokens, 8192);

    return loom_min_i64(loom_max_i64(rows, c->context), c->batch_tokens);
}

static bool bf16_compute(const train_conf *c)
{
    return c->compute == COMPUTE_BF16 || (c->compute == COMPUTE_AUTO && loom_bf16_check(NULL) == LOOM_OK);
}

static double peak_lr(const train_conf *c)
{
    if (c->lr > 0) return c->lr;
    return start_of(c) ? 3e-4 : 2e-3;
}

/* ---- data ---- */

static bool weighs_prompts(const train_conf *c)
{
    return c->loss == LOSS_ALL && c->prompt_weight < 1;
}

static loom_loader_options loader_options(const run *r)
{
    const train_conf *c = r->conf;

    return (loom_loader_options){.context = c->context,
                                 .budget = c->batch_tokens,
                                 .seed = (uint64_t)r->ctx->common.seed,
                                 .shuffle = true,
                                 .joined = c->packing == PACKING_JOINED,
                                 .answers_only = c->loss == LOSS_ANSWER,
                                 .prompt_weight = weighs_prompts(c) ? c->prompt_weight : 0,
                                 .drop_long = is_sft(r),
                                 .limit = c->overfit,
                                 .memory = DATA_IN_MEMORY};
}

static loom_status open_valid(run *r, loom_err *err)
{
    loom_loader_options o = loader_options(r);
    const loom_shard_info *train = loom_loader_info(r->train), *valid;
    char *paths[1] = {(char *)(uintptr_t)r->conf->valid};

    if (!r->conf->valid) return LOOM_OK;
    o.shuffle = false;
    o.limit = 0;
    o.answers_only |= weighs_prompts(r->conf);
    o.prompt_weight = 0;
    o.budget = micro_rows(r->conf);
    LOOM_TRY(loom_loader_new(&r->valid, paths, 1, &o, err));
    valid = loom_loader_info(r->valid);
    if (strcmp(valid->tokenizer_digest, train->tokenizer_digest) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s and %s were made with different tokenizers; make both with the same one", train->path,
                         valid->path);
    return LOOM_OK;
}

static loom_status open_data(run *r, loom_err *err)
{
    loom_loader_options o = loader_options(r);
    char tokens[32];

    LOOM_TRY(loom_loader_new(&r->train, r->ctx->args, r->ctx->n_args, &o, err));
    LOOM_TRY(open_valid(r, err));
    loom_info("data: %" PRId64 " samples, %s tokens, %s encoding", loom_loader_samples(r->train),
              loom_format_count(tokens, sizeof tokens, (double)loom_loader_tokens(r->train)),
              loom_loader_info(r->train)->mode);
    if (loom_loader_dropped(r->train))
        loom_warn("%" PRId64 " samples are longer than the context of %" PRId64 " tokens and are left out",
                  loom_loader_dropped(r->train), r->conf->context);
    return LOOM_OK;
}

/* ---- model ---- */

/* Two thirds of four times the width, as Llama does, rounded up to a multiple of 16. */
static int64_t default_ffn(int64_t C)
{
    return (8 * C / 3 + 15) / 16 * 16;
}

/* Before loom_config_check, which speaks of the keys of config.json. */
static loom_status check_shape(const train_conf *c, loom_err *err)
{
    if (c->hidden % c->heads)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--heads %" PRId64 " does not divide --hidden %" PRId64 "; choose a divisor of the width",
                         c->heads, c->hidden);
    if (c->hidden / c->heads % 2)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--hidden %" PRId64 " and --heads %" PRId64 " make heads of %" PRId64
                         "; rotary positions need an even number",
                         c->hidden, c->heads, c->hidden / c->heads);
    if (c->kv_heads && (c->kv_heads > c->heads || c->heads % c->kv_heads))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--kv-heads %" PRId64 " does not divide --heads %" PRId64 "; choose a divisor of it",
                         c->kv_heads, c->heads);
    return LOOM_OK;
}

static loom_status config_from_options(run *r, loom_err *err)
{
    const train_conf *c = r->conf;
    const loom_shard_info *info = loom_loader_info(r->train);
    loom_config *m = &r->config;

    LOOM_TRY(check_shape(c, err));
    loom_config_default(m);
    m->C = c->hidden;
    m->L = c->layers;
    m->H = c->heads;
    m->K = c->kv_heads;
    m->F = c->ffn ? c->ffn : default_ffn(c->hidden);
    m->V = info->vocab_size;
    m->max_positions = c->context;
    m->rope_theta = c->rope_theta;
    m->tied = c->tie;
    m->bos_id = info->bos_id;
    m->n_eos = info->eos_id >= 0 ? 1 : 0;
    m->eos_ids[0] = info->eos_id;
    return loom_config_check(m, err);
}

/* A shape asked for on the command line that the base model does not have; that of a configuration file is for runs
 * without a base. */
static loom_status check_base_shape(const run *r, loom_err *err)
{
    const train_conf *c = r->conf;
    const loom_config *m = &r->base.model->config;
    const struct {
        const char *option;
        double asked, has;
    } shape[] = {{"hidden", (double)c->hidden, (double)m->C},
                 {"layers", (double)c->layers, (double)m->L},
                 {"heads", (double)c->heads, (double)m->H},
                 {"kv-heads", (double)c->kv_heads, (double)m->K},
                 {"ffn", (double)c->ffn, (double)m->F},
                 {"rope-theta", c->rope_theta, m->rope_theta},
                 {"tie-embeddings", c->tie, m->tied}};

    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        if (loom_ctx_given(r->ctx, shape[i].option) && shape[i].asked != shape[i].has)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "--%s is %g here, but %g in the base model %s; leave it out, or train without a base "
                             "(--base-model none)",
                             shape[i].option, shape[i].asked, shape[i].has, r->base.path);
    return LOOM_OK;
}

/* The base model takes on the names of the shards. */
static loom_status adapt_base(run *r, loom_err *err)
{
    const loom_shard_info *info = loom_loader_info(r->train);
    loom_transplant_report report;
    char text[128];

    LOOM_TRY(check_base_shape(r, err));
    if (r->base.lora) return LOOM_OK; /* check_base says so */
    LOOM_TRY(loom_transplant(&r->base, &report, info->tokenizer, info->tokenizer_len, info->path,
                             (uint64_t)r->ctx->common.seed, err));
    loom_info("%s", loom_transplant_text(text, sizeof text, &report));
    return LOOM_OK;
}

/* The shards' tokens must mean to the model what they mean to the shards. */
static loom_status check_base(const run *r, loom_err *err)
{
    const loom_shard_info *info = loom_loader_info(r->train);
    const loom_model_files *b = &r->base;

    if (b->lora)
        return loom_fail(err, LOOM_STATUS_ARG, "%s carries an adapter; put it into the weights first: loom-train merge",
                         b->path);
    if (b->tokenizer && strcmp(b->tokenizer_digest, info->tokenizer_digest) != 0)
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s was trained with another tokenizer than %s was made with; make the shard with the model's: "
            "loom-preprocess tokens --tokenizer",
            b->path, info->path);
    if (info->vocab_size > b->model->config.V)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s has token ids up to %" PRId64 ", the model %s only %" PRId64,
                         info->path, info->vocab_size, b->path, b->model->config.V);
    if (r->conf->context > b->model->config.max_positions)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--context %" PRId64 " is more than the %" PRId64 " positions of %s; lower it",
                         r->conf->context, b->model->config.max_positions, b->path);
    return LOOM_OK;
}

static loom_status load_base(run *r, loom_err *err)
{
    /* a plan needs no copy */
    loom_model_files_options o = {.frozen = r->conf->lora || (r->ctx->common.dry_run && !has_base_model(r->conf))};
    loom_status st = loom_model_files_load(&r->base, start_of(r->conf), NULL, &o, err);

    if (st == LOOM_OK && has_base_model(r->conf)) st = adapt_base(r, err);
    if (st == LOOM_OK) st = check_base(r, err);
    if (st != LOOM_OK) return st;
    if (r->base.note[0]) loom_info("%s", r->base.note);
    r->config = r->base.model->config;
    r->model = r->base.model;
    loom_info("base: %s", r->base.path);
    return LOOM_OK;
}

static loom_status make_adapter(run *r, loom_err *err)
{
    const train_conf *c = r->conf;
    loom_lora_config *l = &r->lora_config;

    *l = (loom_lora_config){.R = c->lora_rank, .alpha = c->lora_alpha, .dropout = c->lora_dropout, .rslora = c->rslora};
    LOOM_TRY(loom_lora_parse_targets(&l->targets, c->lora_targets, err));
    LOOM_TRY(loom_lora_new(&r->lora, &r->config, l, err));
    loom_lora_init(r->lora, (uint64_t)r->ctx->common.seed);
    return LOOM_OK;
}

/* Configuration of the checkpoint to go on from. */
static loom_status config_from_checkpoint(run *r, loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *json = loom_ckpt_text(c, "text/config", &len);
    loom_json *root = NULL;
    loom_status st;

    if (!json) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no model configuration", loom_ckpt_path(c));
    LOOM_TRY(loom_json_parse(&root, json, len, loom_ckpt_path(c), err));
    st = loom_config_from_json(&r->config, root, err);
    loom_json_free(root);
    return st;
}

/* ---- the plan ---- */

static void plan_schedule(run *r)
{
    const train_conf *c = r->conf;
    loom_schedule *s = &r->schedule;
    int64_t per_epoch = loom_loader_steps(r->train, 1);
    double whole = floor(c->epochs);

    *s = (loom_schedule){.kind = (loom_schedule_kind)c->schedule, .peak = peak_lr(c), .floor = c->lr_floor};
    r->timed = c->minutes > 0;
    if (c->steps)
        s->steps = c->steps;
    else if (c->tokens)
        s->steps = (c->tokens + c->batch_tokens - 1) / c->batch_tokens;
    else if (r->timed)
        s->steps = 0; /* time alone ends the run */
    else
        s->steps = loom_loader_steps(r->train, (int64_t)whole) + (int64_t)ceil((c->epochs - whole) * (double)per_epoch);
    if (c->warmup >= 0)
        s->warmup = c->warmup;
    else if (s->steps)
        s->warmup = (int64_t)ceil(c->warmup_ratio * (double)s->steps);
    else
        s->warmup = 20; /* how many steps there will be is not known */
}

static void plan_trainer(run *r)
{
    const train_conf *c = r->conf;

    r->how = (loom_trainer_options){.optimizer = {.kind = (loom_optimizer_kind)c->optimizer,
                                                  .beta1 = c->beta1,
                                                  .beta2 = c->beta2,
                                                  .eps = c->eps,
                                                  .momentum = c->momentum,
                                                  .nesterov = c->nesterov,
                                                  .bf16_compute = bf16_compute(c),
                                                  .decay = c->decay},
                                    .clip = c->clip,
                                    .ema = c->ema,
                                    .micro_rows = micro_rows(c),
                                    .context = c->context,
                                    .recompute = c->recompute,
                                    .bf16_compute = bf16_compute(c),
                                    .seed = (uint64_t)r->ctx->common.seed};
}

/* What must stay the same when a run goes on: all options but those that only say where, how often and how fast. */
static bool is_free(const train_conf *c, const char *option)
{
    static const char *const list[] = {"output",      "save-every",   "save-minutes", "keep", "valid",
                                       "valid-every", "valid-tokens", "log-every",    "plot", "stop-after",
                                       "max-minutes", "recompute",    "memory-limit", "init", "base",
                                       "compute",     "best",         "base-model"};

    if (c->patience && strncmp(option, "valid", 5) == 0) return false; /* validations say when the run ends */
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(list[i], option) == 0) return true;
    }
    return false;
}

/* Which weights --init or --base names: of a Hugging Face folder, the beginning of every tensor must do. */
/* What is in the shard, not who made it and when; older shards do not say, so there it is the file. */
static loom_status shard_identity(char digest[33], const char *path, loom_err *err)
{
    loom_shard *s = NULL;

    LOOM_TRY(loom_shard_open(&s, path, err));
    snprintf(digest, 33, "%s", loom_shard_get_info(s)->digest);
    loom_shard_close(&s);
    return digest[0] ? LOOM_OK : loom_hash_file(digest, path, err);
}

static loom_status base_identity(char digest[17], const char *path, loom_err *err)
{
    loom_model_kind kind;
    char *file = NULL;
    loom_ckpt *c = NULL;
    loom_safetensors *st_file = NULL;
    uint64_t hash = 0;
    loom_status st;

    LOOM_TRY(loom_model_find(&file, &kind, path, err));
    if (kind == LOOM_MODEL_KIND_CKPT && (st = loom_ckpt_open(&c, file, err)) == LOOM_OK) {
        loom_model_weights_digest(digest, c);
        if (!digest[0]) snprintf(digest, 17, "%s", loom_ckpt_digest(c));
    } else if (kind == LOOM_MODEL_KIND_HF && (st = loom_safetensors_open(&st_file, file, err)) == LOOM_OK) {
        for (size_t i = 0; i < loom_safetensors_count(st_file); i++) {
            const loom_tensor_view *v = loom_safetensors_at(st_file, i);
            hash = loom_hash64(v->data, v->bytes < 1024 ? v->bytes : 1024, hash);
        }
        snprintf(digest, 17, "%016" PRIx64, hash);
    }
    loom_ckpt_close(&c);
    loom_safetensors_close(&st_file);
    free(file);
    return st;
}

static loom_status write_rules(run *r, loom_err *err)
{
    loom_buf *b = &r->rules;
    char digest[33];

    loom_buf_printf(b, "command=%s\nseed=%" PRId64 "\n--compute=%s\n", r->ctx->cmd->name, r->ctx->common.seed,
                    bf16_compute(r->conf) ? "bf16" : "f32");
    for (const loom_opt *o = r->ctx->cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_GROUP || is_free(r->conf, o->name)) continue;
        loom_buf_printf(b, "--%s=", o->name);
        loom_opt_value_text(b, r->conf, o);
        loom_buf_char(b, '\n');
    }
    if (start_of(r->conf)) {
        LOOM_TRY(base_identity(r->base_sum, start_of(r->conf), err));
        loom_buf_printf(b, "checksum of the base=%s\n", r->base_sum);
    }
    for (int i = 0; i < r->ctx->n_args; i++) {
        LOOM_TRY(shard_identity(digest, r->ctx->args[i], err));
        loom_buf_printf(b, "checksum of shard %d=%s\n", i + 1, digest);
    }
    return LOOM_OK;
}

static loom_status write_meta(run *r, loom_err *err)
{
    loom_meta m = {0};
    loom_status st = LOOM_OK;

    for (int i = 0; i < r->ctx->n_args && st == LOOM_OK; i++) st = loom_meta_input(&m, r->ctx->args[i], err);
    if (st == LOOM_OK && r->conf->valid) st = loom_meta_input(&m, r->conf->valid, err);
    loom_meta_i64(&m, "threads", r->ctx->common.threads); /* which shape the weights, unlike other outputs */
    loom_meta_str(&m, "blas", loom_blas_core());
    loom_meta_str(&m, "tokenizer", loom_loader_info(r->train)->tokenizer_digest);
    loom_meta_json(&m, "data_meta", loom_loader_info(r->train)->meta[0] ? loom_loader_info(r->train)->meta : "null");
    if (start_of(r->conf)) loom_meta_str(&m, "base", start_of(r->conf));
    if (start_of(r->conf)) loom_meta_str(&m, "base_digest", r->base_sum);
    if (r->base.meta) loom_meta_json(&m, "base_meta", r->base.meta);
    loom_meta_render_inside(&m, r->ctx, &r->meta);
    loom_meta_release(&m);
    return st;
}

/* Where the base lies, as an absolute path: the adapter must find it from anywhere. */
static void note_base_path(run *r)
{
    if (!r->base.path) return;
    if (!realpath(r->base.path, r->base_path)) snprintf(r->base_path, sizeof r->base_path, "%s", r->base.path);
}

static void set_texts(run *r)
{
    const loom_shard_info *info = loom_loader_info(r->train);

    note_base_path(r);
    r->texts = (loom_snapshot_texts){.tokenizer = info->tokenizer,
                                     .tokenizer_len = info->tokenizer_len,
                                     .names = loom_buf_text(&r->names),
                                     .meta = loom_buf_text(&r->meta),
                                     .rules = loom_buf_text(&r->rules),
                                     .machines = loom_buf_text(&r->told.machines),
                                     .base_path = r->base_path,
                                     .base_digest = r->base.digest};
}

/* ---- memory ---- */

/* Weights that stay in their file; a model that is yet to be made has none. */
static bool is_frozen(const run *r)
{
    return r->conf->lora && r->model && r->model->frozen;
}

static int64_t trained_params(const run *r)
{
    int64_t n = 0;

    if (!r->lora) return loom_config_params(&r->config);
    for (int64_t i = 0; i < r->lora->table.n; i++) n += (int64_t)r->lora->table.tensors[i].count;
    return n;
}

/* Memory of the run; returns the sum. *data: the tokens held. */
static size_t predict_memory(const run *r, loom_train_memory *m, size_t *data)
{
    *data = loom_loader_bytes(r->train) + (r->valid ? loom_loader_bytes(r->valid) : 0);
    loom_trainer_memory(m, &r->config, r->lora ? &r->lora_config : NULL, is_frozen(r), &r->how,
                        (int)r->ctx->common.threads);
    return m->weights + m->gradients + m->moments + m->activations + m->process + *data;
}

/* A limit of the control group, 0 when there is none. */
static double cgroup_limit(const char *path)
{
    loom_buf text = {0};
    int64_t limit = 0;

    if (loom_file_read(&text, path, 64, NULL) == LOOM_OK)
        loom_parse_i64(loom_buf_text(&text), strcspn(loom_buf_text(&text), "\n"), &limit);
    loom_buf_release(&text);
    return (double)limit;
}

/* Bytes that this run may use: --memory-limit, or what the machine and its control group have. */
static double memory_there(const run *r)
{
    double have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), limit;

    if (r->conf->memory_limit > 0) return r->conf->memory_limit * 1073741824.0;
    if ((limit = cgroup_limit("/sys/fs/cgroup/memory.max")) > 0 && limit < have) have = limit;
    if ((limit = cgroup_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes")) > 0 && limit < have) have = limit;
    return have;
}

/* Activations are computed twice when they do not fit once: the same bits in more time. A tenth is left to others;
 * mapped weights count, since each step that finds them gone reads them from the disk. */
static void choose_recompute(run *r)
{
    double have = 0.9 * memory_there(r);
    loom_train_memory m;
    size_t data;
    char need_text[32], have_text[32];

    if (r->how.recompute || (double)predict_memory(r, &m, &data) <= have) return;
    loom_format_bytes(need_text, sizeof need_text, (double)predict_memory(r, &m, &data));
    r->how.recompute = true;
    loom_info("activations are computed twice, as with --recompute: kept, the run would need %s of memory, and %s can be used",
              need_text, loom_format_bytes(have_text, sizeof have_text, have));
}

/* Asking for more memory than there is ends in a kill without a word, later; better to say so now. Frozen weights stay
 * in their file and need not fit. */
static loom_status check_memory(run *r, loom_err *err)
{
    double have = memory_there(r), need;
    loom_train_memory m;
    size_t data;
    char need_text[32], have_text[32];

    choose_recompute(r);
    need = (double)predict_memory(r, &m, &data) - (is_frozen(r) ? (double)m.weights : 0);
    if (need <= have) return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_NOMEM,
        "this run needs about %s of memory, there are %s; lower --micro-tokens, train an adapter (--lora), or choose a "
        "smaller model",
        loom_format_bytes(need_text, sizeof need_text, need), loom_format_bytes(have_text, sizeof have_text, have));
}

/* `c`: the checkpoint to go on from, or NULL. */
static loom_status make_model(run *r, loom_ckpt *c, loom_err *err)
{
    const train_conf *conf = r->conf;

    if (conf->lora) {
        LOOM_TRY(load_base(r, err));
        return make_adapter(r, err);
    }
    if (start_of(conf) && !c) return load_base(r, err);
    if (c)
        LOOM_TRY(config_from_checkpoint(r, c, err));
    else
        LOOM_TRY(config_from_options(r, err));
    if (r->ctx->common.dry_run) return LOOM_OK; /* the plan needs no weights */
    LOOM_TRY(check_memory(r, err));
    LOOM_TRY(loom_llama_new(&r->fresh, &r->config, err));
    if (!c) loom_llama_init(r->fresh, (uint64_t)r->ctx->common.seed);
    r->model = r->fresh;
    return LOOM_OK;
}

/* ---- --dry-run ---- */

/* Measures a few steps where they are quickly done. All weights are trained in a copy of their own, which a mapped model
 * is not: random ones take as long. */
static loom_status try_steps(run *r, loom_err *err)
{
    loom_train_memory m;
    size_t data;

    if ((double)predict_memory(r, &m, &data) > memory_there(r)) {
        r->untried = "the run does not fit into the memory here";
    } else if (!loom_rehearsal_is_short(loom_config_params(&r->config), trained_params(r), r->conf->batch_tokens)) {
        r->untried = "a single step takes too long to try";
    }
    if (r->untried) return LOOM_OK;
    LOOM_TRY(loom_pool_new(&r->pool, (int)r->ctx->common.threads, err));
    if (!r->lora && (!r->model || r->model->frozen)) {
        LOOM_TRY(loom_llama_new(&r->fresh, &r->config, err));
        loom_llama_init(r->fresh, (uint64_t)r->ctx->common.seed);
        r->model = r->fresh;
    }
    return loom_rehearse(&r->tried, &r->how, r->model, r->lora, r->train, r->pool, err);
}

static void put_time(loom_jw *w, const run *r)
{
    if (!r->tried.steps) {
        loom_jw_kv_str(w, "not_measured", r->untried);
        return;
    }
    loom_time_plan p = loom_rehearsal_plan(&r->tried, r->schedule.steps, r->conf->minutes);
    loom_jw_kv_i64(w, "measured_steps", r->tried.steps);
    loom_jw_kv_f64(w, "tokens_per_s", p.tokens_per_s);
    loom_jw_kv_i64(w, "estimated_steps", (int64_t)p.steps);
    loom_jw_kv_i64(w, "estimated_tokens", (int64_t)p.tokens);
    loom_jw_kv_f64(w, "estimated_seconds", p.seconds);
}

static void say_time(loom_buf *into, const run *r)
{
    char time[32], tokens[32], rate[32];

    if (!r->tried.steps) {
        loom_buf_printf(into, "time         not estimated: %s\n", r->untried);
        return;
    }
    loom_time_plan p = loom_rehearsal_plan(&r->tried, r->schedule.steps, r->conf->minutes);
    loom_buf_printf(into,
                    "time         about %s for %.0f step%s, %s tokens: an estimate for this machine as it is now, from %" PRId64
                    " step%s at %s tokens/s with %" PRId64 " thread%s; validations and checkpoints not counted\n",
                    loom_format_seconds(time, sizeof time, p.seconds), p.steps, p.steps == 1 ? "" : "s",
                    loom_format_count(tokens, sizeof tokens, p.tokens), r->tried.steps, r->tried.steps == 1 ? "" : "s",
                    loom_format_count(rate, sizeof rate, p.tokens_per_s), r->ctx->common.threads,
                    r->ctx->common.threads == 1 ? "" : "s");
}

static loom_status print_plan(const run *r, loom_err *err)
{
    loom_train_memory m;
    loom_buf b = {0};
    char t[7][32];
    loom_jw w;
    loom_status st;
    size_t data, total = predict_memory(r, &m, &data);

    if (r->ctx->common.json) {
        loom_jw_init(&w, &b, true);
        loom_jw_begin_object(&w);
        loom_jw_kv_i64(&w, "parameters", loom_config_params(&r->config));
        loom_jw_kv_i64(&w, "trained", trained_params(r));
        loom_jw_kv_i64(&w, "steps", r->schedule.steps);
        loom_jw_kv_i64(&w, "tokens_a_step", r->conf->batch_tokens);
        loom_jw_kv_i64(&w, "weights_bytes", (int64_t)m.weights);
        loom_jw_kv_i64(&w, "gradients_bytes", (int64_t)m.gradients);
        loom_jw_kv_i64(&w, "moments_bytes", (int64_t)m.moments);
        loom_jw_kv_i64(&w, "activations_bytes", (int64_t)m.activations);
        loom_jw_kv_i64(&w, "process_bytes", (int64_t)m.process);
        loom_jw_kv_i64(&w, "data_bytes", (int64_t)data);
        loom_jw_kv_i64(&w, "total_bytes", (int64_t)total);
        put_time(&w, r);
        loom_jw_end_object(&w);
        loom_buf_char(&b, '\n');
    } else {
        loom_buf_printf(&b, "model        %s parameters, %s trained\n",
                        loom_format_count(t[0], 32, (double)loom_config_params(&r->config)),
                        loom_format_count(t[1], 32, (double)trained_params(r)));
        if (r->timed)
            loom_buf_printf(&b, "length       %g minutes, at least %" PRId64 " steps of at most %" PRId64 " tokens\n",
                            r->conf->minutes, r->schedule.steps, r->conf->batch_tokens);
        else
            loom_buf_printf(&b,
                            "length       %" PRId64 " steps of at most %" PRId64 " tokens, %" PRId64 " of warm-up\n",
                            r->schedule.steps, r->conf->batch_tokens, r->schedule.warmup);
        loom_buf_printf(&b,
                        "memory       %s: weights %s%s, gradients %s, moments %s, activations %s%s, data %s, the "
                        "program itself %s\n",
                        loom_format_bytes(t[0], 32, (double)total), loom_format_bytes(t[1], 32, (double)m.weights),
                        is_frozen(r) ? " (mapped)" : "",
                        loom_format_bytes(t[2], 32, (double)m.gradients),
                        loom_format_bytes(t[3], 32, (double)m.moments),
                        loom_format_bytes(t[4], 32, (double)m.activations),
                        r->how.recompute ? " (computed twice)" : "", loom_format_bytes(t[5], 32, (double)data),
                        loom_format_bytes(t[6], 32, (double)m.process));
        loom_buf_printf(&b, "checkpoints  %s each, %" PRId64 " kept\n",
                        loom_format_bytes(t[0], 32, (double)(m.gradients + m.moments)), r->conf->keep);
        say_time(&b, r);
    }
    st = loom_stdout_write(b.data, b.len, err);
    loom_buf_release(&b);
    return st;
}

/* ---- the folder ---- */

/* True when the open file is still the one under that name. */
static bool same_file(int fd, const char *path)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

/* Opens and locks the file; again when the run before removed it in between. */
static loom_status lock_file(run *r, const char *path, loom_err *err)
{
    for (;;) {
        r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (r->lock < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot create %s: %s", path, strerror(errno));
        if (flock(r->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(r->lock);
            r->lock = -1;
            return loom_fail(err, LOOM_STATUS_IO,
                             "another loom-train is at work in %s; wait for it or choose another --output",
                             r->conf->output);
        }
        if (same_file(r->lock, path)) return LOOM_OK;
        close(r->lock);
    }
}

/* One run at a time in a folder; the lock dies with the process. */
static loom_status lock_folder(run *r, loom_err *err)
{
    loom_buf path = {0};
    loom_status st;

    r->made_folder = !loom_file_is_dir(r->conf->output);
    LOOM_TRY(loom_make_dirs(r->conf->output, err));
    loom_buf_printf(&path, "%s/run.lock", r->conf->output);
    st = lock_file(r, path.data, err);
    loom_buf_release(&path);
    return st;
}

/* Leaves nothing of a run that failed before it wrote anything. */
static void unlock_folder(run *r)
{
    loom_buf path = {0};

    if (r->lock < 0) return;
    loom_buf_printf(&path, "%s/run.lock", r->conf->output);
    unlink(path.data);
    if (r->made_folder) rmdir(r->conf->output); /* refused unless it is empty */
    close(r->lock);
    loom_buf_release(&path);
}

static loom_status start_over(const char *dir, loom_err *err)
{
    static const char *const names[] = {"model.h5", "adapter.h5", "best.h5", "curve.csv", "training.json"};
    char **paths = NULL;
    size_t n = 0;
    loom_buf path = {0};

    LOOM_TRY(loom_list_files(&paths, &n, dir, ".h5", err));
    for (size_t i = 0; i < n; i++) {
        const char *name = strrchr(paths[i], '/');
        if (name && strncmp(name, "/step-", 6) == 0) unlink(paths[i]);
    }
    loom_free_list(paths, n);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        loom_buf_reset(&path);
        loom_buf_printf(&path, "%s/%s", dir, names[i]);
        unlink(path.data);
    }
    loom_buf_release(&path);
    return LOOM_OK;
}

static void say_damaged(void *arg, const char *sentence)
{
    (void)arg;
    loom_warn("%s; trying the one before", sentence);
}

static loom_status check_same_run(const run *r, loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *rules = loom_ckpt_text(c, "text/train", &len), *tokenizer = loom_ckpt_text(c, "text/tokenizer", &len);
    const loom_shard_info *info = loom_loader_info(r->train);
    char digest[33];

    if (!rules || !tokenizer)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is no checkpoint of a run", loom_ckpt_path(c));
    loom_text_digest(digest, tokenizer, len);
    if (strcmp(digest, info->tokenizer_digest) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s was trained with another tokenizer than %s was made with; choose another "
                         "--output or start over with --force",
                         loom_ckpt_path(c), info->path);
    return loom_snapshot_same_rules(loom_buf_text(&r->rules), rules, r->conf->output, err);
}

/* The checkpoint to go on from: the newest intact one, if it belongs to this very run. */
static loom_status open_newest(run *r, loom_ckpt **c, loom_err *err)
{
    loom_status st;

    LOOM_TRY(loom_ckpt_newest(&r->checkpoint, r->conf->output, say_damaged, NULL, err));
    if (!r->checkpoint) return LOOM_OK;
    if ((st = loom_ckpt_open(c, r->checkpoint, err)) == LOOM_OK) st = check_same_run(r, *c, err);
    return st;
}

/* --force throws away what the folder holds if it cannot be gone on with; it does not repeat what is done. */
static loom_status find_checkpoint(run *r, loom_ckpt **c, loom_err *err)
{
    loom_status st;

    loom_ckpt_sweep(r->conf->output);
    if ((st = open_newest(r, c, err)) == LOOM_OK || !r->ctx->common.force) return st;
    loom_info("starting over in %s: %s", r->conf->output, err->msg);
    loom_ckpt_close(c);
    free(r->checkpoint);
    r->checkpoint = NULL;
    return start_over(r->conf->output, err);
}

/* ---- training ---- */

static double seconds_now(const run *r)
{
    return r->seconds_before + loom_time_now() - r->started;
}

/* Share of a timed run that is done: of its time or of its steps, whichever is behind. */
static double share_done(const run *r)
{
    double time = seconds_now(r) / (60 * r->conf->minutes);

    return r->schedule.steps ? fmin(time, (double)r->trainer->step / (double)r->schedule.steps) : time;
}

static double learning_rate(const run *r)
{
    int64_t step = r->trainer->step + 1;

    if (!r->timed) return loom_schedule_lr(&r->schedule, step);
    return loom_schedule_lr_timed(&r->schedule, step, share_done(r));
}

static loom_status save(run *r, loom_err *err)
{
    r->numbers.seconds = seconds_now(r);
    r->last_save = loom_time_now();
    return loom_snapshot_save(r->conf->output, r->conf->keep, r->trainer, &r->numbers, &r->texts, err);
}

/* Keeps the weights when this validation was the best so far. */
static loom_status keep_best(run *r, loom_err *err)
{
    loom_snapshot_run *n = &r->numbers;

    if (!(n->valid_loss < (n->best_step < 0 ? INFINITY : n->best_loss))) return LOOM_OK;
    n->best_loss = n->valid_loss;
    n->best_step = r->trainer->step;
    return r->conf->best ? loom_snapshot_best(r->conf->output, r->trainer, n->best_loss, &r->texts, err) : LOOM_OK;
}

static loom_status validate(run *r, loom_curve_row *row, loom_err *err)
{
    loom_loss loss = {0};

    LOOM_TRY(loom_trainer_validate(r->trainer, r->valid, r->conf->valid_tokens, &loss, err));
    if (!loss.count) return LOOM_OK;
    row->has_valid = true;
    row->valid_loss = r->numbers.valid_loss = loss.sum / (double)loss.count;
    row->valid_accuracy = r->last_accuracy = (double)loss.right / (double)loss.count;
    loom_info("step %" PRId64 ": validation loss %.4f, %.1f %% of the tokens right", r->trainer->step, row->valid_loss,
              100 * row->valid_accuracy);
    return keep_best(r, err);
}

static double epochs_done(const run *r)
{
    loom_position p = loom_loader_tell(r->train);

    return (double)p.epoch + (double)p.sample / (double)loom_loader_samples(r->train);
}

/* One row of the curve, with a validation if one is due. */
static loom_status log_step(run *r, const loom_step_report *report, double lr, bool last, loom_err *err)
{
    const train_conf *c = r->conf;
    int64_t step = r->trainer->step;
    bool validation = r->valid && (last || step % c->valid_every == 0);
    double now = loom_time_now(), span = now - r->last_row;
    loom_curve_row row = {.step = step,
                          .tokens = r->trainer->tokens,
                          .epoch = epochs_done(r),
                          .lr = lr,
                          .grad_norm = report->grad_norm,
                          .seconds = seconds_now(r)};

    if (!validation && !last && step % c->log_every != 0) return LOOM_OK;
    row.loss = r->numbers.curve_count ? r->numbers.curve_sum / (double)r->numbers.curve_count : report->loss;
    row.tokens_per_s = span > 0 ? (double)(r->trainer->tokens - r->numbers.curve_tokens) / span : 0;
    if (validation) LOOM_TRY(validate(r, &row, err));
    r->numbers.curve_sum = 0;
    r->numbers.curve_count = 0;
    r->numbers.curve_tokens = r->trainer->tokens;
    r->last_row = loom_time_now();
    return loom_curve_add(&r->curve, &row, err);
}

static void show_progress(run *r, const loom_step_report *report, double lr)
{
    char note[128], rate[24];
    double seconds = loom_time_now() - r->started;
    int64_t done = r->timed ? (int64_t)(60 * r->conf->minutes * share_done(r) - r->seconds_before)
                            : r->trainer->step - r->first_step;

    loom_format_count(rate, sizeof rate,
                      (double)report->rows / (seconds > 0 ? seconds / (double)(r->trainer->step - r->first_step) : 1));
    snprintf(note, sizeof note, "step %" PRId64 "  loss %.4f  lr %.2g  %s tokens/s", r->trainer->step, report->loss, lr,
             rate);
    loom_progress_update(&r->progress, done, note);
}

static bool time_is_up(const run *r)
{
    return r->conf->max_minutes > 0 && loom_time_now() - r->started >= 60 * r->conf->max_minutes;
}

static bool save_is_due(const run *r)
{
    const train_conf *c = r->conf;

    return (c->save_every && r->trainer->step % c->save_every == 0) ||
           (c->save_minutes > 0 && loom_time_now() - r->last_save >= 60 * c->save_minutes);
}

/* --patience: the last N validations did not lower the loss. */
static bool has_lost_patience(const run *r)
{
    const loom_snapshot_run *n = &r->numbers;

    return r->conf->patience && n->best_step >= 0 &&
           r->trainer->step - n->best_step >= r->conf->patience * r->conf->valid_every;
}

static bool finished(const run *r)
{
    if (has_lost_patience(r)) return true;
    if (r->timed) return share_done(r) >= 1;
    return r->trainer->step >= r->schedule.steps;
}

/* NaN: names the checkpoint that is still good. */
static loom_status explain_nan(const run *r, double lr, loom_err *err)
{
    char *good = NULL;
    size_t n;

    loom_ckpt_newest(&good, r->conf->output, NULL, NULL, NULL);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, "; the last good checkpoint is %s; lower --lr (now %g) or --clip",
             good ? good : "none yet", lr);
    free(good);
    return err->status;
}

/* False when the run was finished before it began: then its files stay as they are. */
static bool worked(const run *r) { return r->trainer->step != r->first_step; }

/* Steps until the end, a stop or an error. The state saved at a stop is that after a whole step: a step that was broken
 * off is done again from its beginning. */
static loom_status train(run *r, bool *done, loom_err *err)
{
    bool last = finished(r);

    while (!last) {
        loom_step_report report;
        double lr = learning_rate(r);
        loom_status st = loom_trainer_step(r->trainer, lr, &report, err);

        if (st == LOOM_STATUS_NUMERIC) return explain_nan(r, lr, err);
        if (st == LOOM_STATUS_INTERRUPT) {
            *done = false;
            return save(r, err);
        }
        if (st != LOOM_OK) return st;
        r->numbers.curve_sum += report.loss * (double)report.counted;
        r->numbers.curve_count += report.counted;
        last = finished(r);
        LOOM_TRY(log_step(r, &report, lr, last, err));
        show_progress(r, &report, lr);
        last = last || has_lost_patience(r);
        if (last) break;
        if (loom_stop_requested() || time_is_up(r) || r->trainer->step == r->conf->stop_after) {
            *done = false;
            return save(r, err);
        }
        if (save_is_due(r)) LOOM_TRY(save(r, err));
    }
    *done = true;
    return worked(r) ? save(r, err) : LOOM_OK;
}

static loom_status print_result(const run *r, const char *path, loom_err *err)
{
    loom_train_memory m;
    size_t data;
    loom_buf b = {0};
    loom_jw w;
    loom_status st;

    if (!r->ctx->common.json) return LOOM_OK;
    loom_jw_init(&w, &b, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "output", path);
    loom_jw_kv_i64(&w, "step", r->trainer->step);
    loom_jw_kv_i64(&w, "tokens", r->trainer->tokens);
    loom_jw_kv_f64(&w, "seconds", r->numbers.seconds);
    loom_jw_kv_f64(&w, "tokens_per_s", r->numbers.seconds > 0 ? (double)r->trainer->tokens / r->numbers.seconds : 0);
    loom_jw_kv_f64(&w, "valid_loss", r->numbers.valid_loss);
    loom_jw_kv_f64(&w, "best_valid_loss", r->numbers.best_loss);
    loom_jw_kv_i64(&w, "best_step", r->numbers.best_step);
    loom_jw_kv_i64(&w, "predicted_bytes", (int64_t)predict_memory(r, &m, &data));
    loom_jw_kv_i64(&w, "peak_bytes", loom_peak_bytes());
    loom_jw_end_object(&w);
    loom_buf_char(&b, '\n');
    st = loom_stdout_write(b.data, b.len, err);
    loom_buf_release(&b);
    return st;
}

static void say_best(const run *r)
{
    const loom_snapshot_run *n = &r->numbers;

    if (n->best_step < 0) return;
    loom_info("lowest validation loss: %.4f at step %" PRId64 "%s%s%s", n->best_loss, n->best_step,
              r->conf->best ? ", kept as " : "", r->conf->best ? r->conf->output : "", r->conf->best ? "/best.h5" : "");
}

/* The earlier step whose weights are the model, with --patience; -1: the last weights are. */
static int64_t kept_step(const run *r)
{
    const loom_snapshot_run *n = &r->numbers;

    return r->conf->patience && n->best_step != r->trainer->step ? n->best_step : -1;
}

static loom_status export_model(run *r, char **path, loom_err *err)
{
    if (kept_step(r) >= 0) {
        loom_info("the model is that of step %" PRId64 ": after it no validation had a lower loss", kept_step(r));
        LOOM_TRY(loom_snapshot_take_best(r->conf->output, r->trainer, err));
    }
    return loom_snapshot_export(path, r->conf->output, r->trainer, &r->texts, err);
}

/* training.json, unless the one beside the model tells of it already. */
static loom_status write_training(run *r, const char *path, loom_err *err)
{
    loom_buf there = {0};
    loom_training t = {.command = r->ctx->cmd->name,
                       .steps = r->trainer->step,
                       .tokens = r->trainer->tokens,
                       .kept_step = kept_step(r),
                       .seconds = r->numbers.seconds,
                       .products = r->how.bf16_compute ? "bf16" : "f32",
                       .start = has_base_model(r->conf) ? LOOM_TRAINING_BASE
                                : r->conf->base         ? LOOM_TRAINING_MODEL
                                                        : LOOM_TRAINING_RANDOM,
                       .start_path = start_of(r->conf),
                       .start_digest = r->base_sum};

    loom_status st = worked(r) ? LOOM_OK : loom_training_find(&there, path, err);
    if (st == LOOM_OK && !there.len) st = loom_run_history_write(&r->told, path, &t, err);
    loom_buf_release(&there);
    return st;
}

static loom_status finish(run *r, loom_err *err)
{
    char *path = NULL;
    bool drawn = false;
    loom_status st = LOOM_OK;

    if (worked(r) || !(path = loom_snapshot_exported(r->conf->output, r->trainer))) st = export_model(r, &path, err);
    if (st == LOOM_OK) st = write_training(r, path, err);
    if (st == LOOM_OK && r->conf->plot) st = loom_curve_draw(r->conf->output, &drawn, err);
    if (st == LOOM_OK) loom_info("done: %s; learning curve: %s/curve.%s", path, r->conf->output, drawn ? "png" : "csv");
    if (st == LOOM_OK) say_best(r);
    if (st == LOOM_OK) st = print_result(r, path, err);
    free(path);
    return st;
}

static loom_status stopped(const run *r, loom_err *err)
{
    loom_info("stopped at step %" PRId64 " and saved; the same command goes on from there", r->trainer->step);
    if (!loom_stop_requested()) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_INTERRUPT,
                     "interrupted at step %" PRId64 ", which is saved in %s; the same command goes on",
                     r->trainer->step, r->conf->output);
}

/* Whole models end in the same bits with any number of threads. */
static int64_t threads_that_matter(const run *r)
{
    return r->lora ? r->ctx->common.threads : 0;
}

/* Puts the state of the checkpoint back. */
static loom_status resume(run *r, loom_ckpt *c, loom_err *err)
{
    LOOM_TRY(loom_snapshot_restore(r->trainer, &r->numbers, c, err));
    r->seconds_before = r->numbers.seconds;
    loom_info("going on from %s (step %" PRId64 ")", r->checkpoint, r->trainer->step);
    if (r->lora && r->numbers.threads && r->numbers.threads != r->ctx->common.threads)
        loom_warn("the run had %" PRId64 " thread%s so far and goes on with %" PRId64 ": an adapter's sums are made thread by thread, so it "
                  "may not end with the bits of a run that was never stopped; --threads %" PRId64 " keeps them",
                  r->numbers.threads, r->numbers.threads == 1 ? "" : "s", r->ctx->common.threads, r->numbers.threads);
    r->numbers.threads = threads_that_matter(r);
    return LOOM_OK;
}

/* A part that has nothing left to do ran nowhere. */
static loom_status note_machine(run *r, const loom_ckpt *c, loom_err *err)
{
    if (finished(r)) loom_run_history_restore(&r->told, c);
    else LOOM_TRY(loom_run_history_machine(&r->told, c, r->ctx->common.threads, err));
    r->texts.machines = loom_buf_text(&r->told.machines);
    return LOOM_OK;
}

static void say_plan(const run *r)
{
    char params[32], trained[32], length[64];

    loom_format_count(params, sizeof params, (double)loom_config_params(&r->config));
    loom_format_count(trained, sizeof trained, (double)trained_params(r));
    if (r->timed)
        snprintf(length, sizeof length, "%g minutes, at least %" PRId64 " steps", r->conf->minutes, r->schedule.steps);
    else
        snprintf(length, sizeof length, "%" PRId64 " steps", r->schedule.steps);
    loom_info("model: %s parameters, %s trained; %s of at most %" PRId64 " tokens, learning rate %g, %" PRId64
              " threads (%s %s, products in %s)",
              params, trained, length, r->conf->batch_tokens, r->schedule.peak, r->ctx->common.threads,
              loom_blas_version(), loom_blas_core(), r->how.bf16_compute ? "bf16" : "f32");
}

static loom_status train_and_finish(run *r, const loom_ckpt *c, loom_err *err)
{
    bool done = false;
    loom_status st;

    LOOM_TRY(loom_curve_open(&r->curve, r->conf->output, r->trainer->step, err));
    say_plan(r);
    r->started = r->last_save = r->last_row = loom_time_now();
    r->first_step = r->trainer->step;
    LOOM_TRY(note_machine(r, c, err));
    loom_progress_start(&r->progress, &r->ctx->common, r->ctx->cmd->name,
                        r->timed ? (int64_t)(60 * r->conf->minutes - r->seconds_before)
                                 : r->schedule.steps - r->first_step,
                        r->timed ? "s" : "steps");
    st = train(r, &done, err);
    loom_progress_finish(&r->progress, NULL);
    if (st != LOOM_OK) return st;
    return done ? finish(r, err) : stopped(r, err);
}

/* A run that goes on keeps the names that it had, those of a base that need not be read again among them. */
static loom_status gather_names(run *r, const loom_ckpt *c, loom_err *err)
{
    size_t len = r->base.names_len;
    const char *before = c ? loom_ckpt_text(c, LOOM_MODEL_FILES_NAMES, &len) : r->base.names;

    return loom_run_names(&r->names, r->train, before, len, err);
}

/* Everything from the checkpoint on; c is NULL for a new run. */
static loom_status run_from(run *r, loom_ckpt *c, loom_err *err)
{
    plan_trainer(r);
    LOOM_TRY(make_model(r, c, err));
    plan_schedule(r);
    if (r->ctx->common.dry_run) {
        choose_recompute(r);
        LOOM_TRY(try_steps(r, err));
        return print_plan(r, err);
    }
    LOOM_TRY(check_memory(r, err));
    LOOM_TRY(write_meta(r, err));
    LOOM_TRY(gather_names(r, c, err));
    set_texts(r);
    LOOM_TRY(loom_trainer_new(&r->trainer, &r->how, r->model, r->lora, r->train, r->pool, err));
    r->numbers.valid_loss = r->numbers.best_loss = NAN;
    r->numbers.best_step = -1;
    r->numbers.threads = threads_that_matter(r);
    if (c) LOOM_TRY(resume(r, c, err));
    return train_and_finish(r, c, err);
}

static loom_status prepare(run *r, loom_ckpt **c, loom_err *err)
{
    LOOM_TRY(check_options(r, err));
    LOOM_TRY(open_data(r, err));
    if (r->ctx->common.dry_run) return LOOM_OK;
    LOOM_TRY(loom_blas_reserve((int)r->ctx->common.threads, err));
    LOOM_TRY(lock_folder(r, err));
    LOOM_TRY(write_rules(r, err));
    if (start_of(r->conf)) LOOM_TRY(loom_run_history_start(&r->told, start_of(r->conf), err));
    LOOM_TRY(find_checkpoint(r, c, err));
    return loom_pool_new(&r->pool, (int)r->ctx->common.threads, err);
}

static void release(run *r)
{
    loom_trainer_free(r->trainer);
    loom_lora_free(r->lora);
    loom_llama_free(r->fresh);
    loom_model_files_release(&r->base);
    loom_loader_free(r->train);
    loom_loader_free(r->valid);
    loom_pool_free(r->pool);
    loom_curve_close(&r->curve);
    loom_buf_release(&r->meta);
    loom_buf_release(&r->rules);
    loom_buf_release(&r->names);
    loom_run_history_release(&r->told);
    free(r->checkpoint);
    unlock_folder(r);
}

loom_status loom_run_training(const loom_ctx *ctx, loom_err *err)
{
    run r = {.ctx = ctx, .conf = ctx->conf, .lock = -1};
    loom_ckpt *c = NULL;
    loom_status st = prepare(&r, &c, err);

    if (st == LOOM_OK) st = run_from(&r, c, err);
    loom_ckpt_close(&c);
    release(&r);
    return st;
}
