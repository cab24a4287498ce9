/* A run from its options to its result: the order in which plan, identity, data, folder, model and loop are set up. */
#include "train/run.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/launch.h"
#include "core/log.h"
#include "core/ranks.h"
#include "core/usage.h"
#include "model/blas.h"
#include "train/run_data.h"
#include "train/run_folder.h"
#include "train/run_identity.h"
#include "train/run_loop.h"
#include "train/run_model.h"
#include "train/run_names.h"
#include "train/run_result.h"

typedef struct run {
    const loom_ctx *ctx;
    loom_run_plan plan;
    loom_run_identity identity;
    loom_run_data data;
    loom_run_folder folder;
    loom_run_model model;
    loom_run_history told;
    loom_run_loop loop;
    loom_buf names; /* which its model carries */
    loom_pool *pool;
} run;

/* ---- --dry-run ---- */

/* Why the steps of this run are not tried; NULL: they are. */
static const char *why_untried(const run *r)
{
    const loom_run_plan *p = &r->plan;

    if (!loom_run_plan_fits(p)) return "the run does not fit into the memory here";
    if (!loom_rehearsal_is_short(loom_config_params(&p->config), p->trained, p->conf->batch_tokens))
        return "a single step takes too long to try";
    return NULL;
}

/* All weights are trained in a copy of their own, which a mapped model is not: random ones take as long. */
static loom_status try_steps(run *r, loom_rehearsal *tried, loom_err *err)
{
    LOOM_TRY(loom_pool_new(&r->pool, (int)r->plan.threads, err));
    LOOM_TRY(loom_run_model_make(&r->model, &r->plan, true, err));
    return loom_rehearse(tried, &r->plan.trainer, r->model.model, r->model.lora, r->data.train, r->pool, err);
}

static loom_status print_plan(run *r, loom_err *err)
{
    loom_rehearsal tried = {0};
    const char *untried = why_untried(r);
    loom_buf b = {0};
    loom_status st;

    if (!untried) LOOM_TRY(try_steps(r, &tried, err));
    if (r->ctx->common.json) loom_run_plan_json(&r->plan, &tried, untried, &b);
    else loom_run_plan_text(&r->plan, &tried, untried, &b);
    st = loom_stdout_write(b.data, b.len, err);
    loom_buf_release(&b);
    return st;
}

/* ---- a run ---- */

static void choose_recompute(run *r)
{
    loom_buf text = {0};

    if (loom_run_plan_choose_recompute(&r->plan, &text)) loom_info("%s", loom_buf_text(&text));
    loom_buf_release(&text);
}

static void say_plan(const run *r)
{
    loom_buf text = {0};

    if (r->plan.privacy.on) {
        loom_privacy_plan_line(&r->plan.privacy, &text);
        loom_info("%s", loom_buf_text(&text));
        loom_buf_reset(&text);
    }
    loom_run_plan_line(&r->plan, &text);
    loom_info("%s (%s %s, products in %s)", loom_buf_text(&text), loom_blas_version(), loom_blas_core(),
              loom_run_plan_products(r->plan.conf));
    loom_buf_release(&text);
}

/* What the checkpoints carry. A run that goes on keeps the names that it had, those of a base that need not be read
 * again among them. */
static loom_status gather_texts(run *r, const loom_ckpt *c, loom_snapshot_texts *out, loom_err *err)
{
    const loom_shard_info *info = loom_loader_info(r->data.train);
    const loom_model_files *base = &r->model.base;
    size_t len = base->names_len;
    const char *before = c ? loom_ckpt_text(c, LOOM_MODEL_FILES_NAMES, &len) : base->names;

    LOOM_TRY(loom_run_identity_meta(&r->identity, r->ctx, &r->plan, info, base->meta, err));
    LOOM_TRY(loom_run_names(&r->names, r->plan.privacy.on ? NULL : r->data.train, before, len, err));
    *out = (loom_snapshot_texts){.tokenizer = info->tokenizer,
                                 .tokenizer_len = info->tokenizer_len,
                                 .names = loom_buf_text(&r->names),
                                 .meta = loom_buf_text(&r->identity.meta),
                                 .rules = loom_buf_text(&r->identity.rules),
                                 .machines = loom_buf_text(&r->told.machines),
                                 .base_path = r->model.base_path,
                                 .base_digest = base->digest};
    return LOOM_OK;
}

/* A part that has nothing left to do ran nowhere. */
static loom_status note_machine(run *r, const loom_ckpt *c, loom_err *err)
{
    if (loom_run_loop_is_finished(&r->loop)) loom_run_history_restore(&r->told, c);
    else LOOM_TRY(loom_run_history_machine(&r->told, c, r->plan.threads, r->plan.ranks, err));
    r->loop.texts.machines = loom_buf_text(&r->told.machines);
    return LOOM_OK;
}

static loom_status stopped(const run *r, loom_err *err)
{
    int64_t step = r->loop.trainer->step;

    loom_info("stopped at step %" PRId64 " and saved; the same command goes on from there", step);
    if (!r->loop.stopping) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_INTERRUPT,
                     "interrupted at step %" PRId64 ", which is saved in %s; the same command goes on", step,
                     r->folder.dir);
}

/* From the weights to the first step; c is NULL for a new run. */
static loom_status get_ready(run *r, loom_ckpt *c, loom_err *err)
{
    LOOM_TRY(loom_run_plan_check_memory(&r->plan, err));
    LOOM_TRY(loom_run_model_make(&r->model, &r->plan, !c, err));
    r->loop = (loom_run_loop){.ctx = r->ctx, .plan = &r->plan, .data = &r->data};
    LOOM_TRY(gather_texts(r, c, &r->loop.texts, err));
    LOOM_TRY(loom_run_loop_open(&r->loop, &r->model, r->pool, c, err));
    say_plan(r);
    return note_machine(r, c, err);
}

static int64_t steps_of_epochs(const run *r)
{
    double epochs = r->plan.conf->epochs;

    return r->plan.privacy.on ? loom_privacy_plan_steps(&r->plan.privacy, epochs)
                              : loom_run_data_steps(&r->data, epochs);
}

/* Everything from the checkpoint up to the first step. */
static loom_status plan_from(run *r, loom_ckpt *c, loom_err *err)
{
    loom_run_plan *p = &r->plan;

    loom_run_plan_trainer(p);
    LOOM_TRY(loom_run_model_load(&r->model, p, r->ctx, loom_loader_info(r->data.train), c, err));
    p->data_bytes = loom_run_data_bytes(&r->data);
    loom_run_plan_schedule(p, loom_run_plan_counts_epochs(p->conf) ? steps_of_epochs(r) : 0);
    if (p->privacy.on) LOOM_TRY(loom_run_plan_privacy(p, &r->data.units, err));
    choose_recompute(r);
    return r->ctx->common.dry_run ? LOOM_OK : get_ready(r, c, err);
}

/* From the first step to the result. */
static loom_status train(run *r, loom_err *err)
{
    bool done = false;
    loom_status st = LOOM_OK;

    LOOM_TRY(loom_run_loop_run(&r->loop, &done, err));
    if (done && loom_ranks_lead()) st = loom_run_result(&r->loop, &r->told, r->identity.base_sum, err);
    if (!done) st = stopped(r, err);
    return loom_ranks_agree(st, err);
}

/* The folder of the run, which rank 0 alone looks after, and the checkpoint in it. */
static loom_status find_checkpoint(run *r, loom_ckpt **c, loom_err *err)
{
    if (!loom_ranks_lead()) return LOOM_OK;
    LOOM_TRY(loom_run_folder_open(&r->folder, r->plan.conf->output, err));
    return loom_run_folder_find(&r->folder, c, &r->identity, loom_loader_info(r->data.train), r->ctx->common.force,
                                err);
}

/* What is known before a model is: options, shards, folder, checkpoint. */
static loom_status prepare(run *r, loom_ckpt **c, loom_err *err)
{
    const char *start = loom_run_plan_start(r->plan.conf);

    if (r->plan.conf->ranks && !r->ctx->common.dry_run)
        return loom_fail(err, LOOM_STATUS_ARG, "--ranks is for --dry-run; mpirun -n N starts that many processes");
    LOOM_TRY(loom_run_plan_check(&r->plan, err));
    LOOM_TRY(loom_run_data_open(&r->data, &r->plan, r->ctx->args, r->ctx->n_args, err));
    if (r->ctx->common.dry_run) return LOOM_OK;
    LOOM_TRY(loom_blas_reserve((int)r->plan.threads, err));
    LOOM_TRY(loom_run_identity_rules(&r->identity, r->ctx, &r->plan, err));
    if (start) LOOM_TRY(loom_run_history_start(&r->told, start, err));
    LOOM_TRY(find_checkpoint(r, c, err));
    return loom_pool_new(&r->pool, (int)r->plan.threads, err);
}

/* Ranks go on from the checkpoint that rank 0 found, with the options and shards that it has. */
static loom_status follow(run *r, loom_ckpt **c, loom_err *err)
{
    char path[PATH_MAX] = "";
    loom_status st = LOOM_OK;

    LOOM_TRY(loom_ranks_same(loom_hash64(r->identity.rules.data, r->identity.rules.len, 0),
                             "the options, base or token shards", err));
    if (*c) snprintf(path, sizeof path, "%s", loom_ckpt_path(*c));
    LOOM_TRY(loom_ranks_tell(path, sizeof path, err));
    if (*path && !*c && (st = loom_ckpt_open(c, path, err)) != LOOM_OK)
        st = loom_err_in(err, "the folder of a run must be one that all ranks see");
    return loom_ranks_agree(st, err);
}

static void release(run *r)
{
    loom_run_loop_close(&r->loop);
    loom_run_model_release(&r->model);
    loom_run_data_release(&r->data);
    loom_pool_free(r->pool);
    loom_run_identity_release(&r->identity);
    loom_buf_release(&r->names);
    loom_run_history_release(&r->told);
    loom_run_folder_close(&r->folder);
}

/* Bytes that this process may use: --memory-limit, or its part of what the machine and its control group have. */
static double memory_for(const train_conf *c)
{
    return c->memory_limit > 0 ? c->memory_limit * 1073741824.0 : loom_memory_there() / loom_launch_on_host();
}

static loom_status run_all(run *r, loom_ckpt **c, loom_err *err)
{
    LOOM_TRY(loom_ranks_agree(prepare(r, c, err), err));
    if (!r->ctx->common.dry_run) LOOM_TRY(follow(r, c, err));
    LOOM_TRY(loom_ranks_agree(plan_from(r, *c, err), err));
    return r->ctx->common.dry_run ? print_plan(r, err) : train(r, err);
}

/* A plan is made by one process, for as many as there are. */
static loom_status join(const loom_ctx *ctx, loom_run_plan *p, loom_err *err)
{
    LOOM_TRY(loom_ranks_start(err));
    p->me = loom_ranks_me();
    p->ranks = loom_ranks_count();
    if (ctx->common.dry_run) loom_ranks_end();
    return LOOM_OK;
}

loom_status loom_run_training(const loom_ctx *ctx, loom_run_kind kind, loom_err *err)
{
    const train_conf *conf = ctx->conf;
    run r = {.ctx = ctx,
             .plan = {.conf = conf,
                      .kind = kind,
                      .threads = ctx->common.threads,
                      .seed = (uint64_t)ctx->common.seed,
                      .memory = memory_for(conf),
                      .launched = loom_launched()}};
    loom_ckpt *c = NULL;
    loom_status st = join(ctx, &r.plan, err);

    if (st != LOOM_OK || (ctx->common.dry_run && r.plan.me)) return st;
    st = run_all(&r, &c, err);
    loom_ckpt_close(&c);
    release(&r);
    loom_ranks_leave(st, err);
    return st;
}
