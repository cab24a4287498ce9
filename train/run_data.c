/* Opening the shards of a run as its options want them read. */
#include "train/run_data.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/log.h"
#include "core/num.h"

#define DATA_IN_MEMORY ((int64_t)2 << 30) /* bytes of tokens kept in memory */

static loom_loader_options train_options(const loom_run_plan *p)
{
    const train_conf *c = p->conf;

    return (loom_loader_options){.context = c->context,
                                 .budget = c->batch_tokens,
                                 .seed = p->seed,
                                 .shuffle = true,
                                 .joined = c->packing == PACKING_JOINED,
                                 .answers_only = c->loss == LOSS_ANSWER,
                                 .prompt_weight = loom_run_plan_weighs_prompts(c) ? c->prompt_weight : 0,
                                 .drop_long = p->kind == LOOM_RUN_SFT || p->privacy.on,
                                 .limit = c->overfit,
                                 .memory = DATA_IN_MEMORY};
}

static loom_status open_valid(loom_run_data *d, const loom_run_plan *p, loom_err *err)
{
    loom_loader_options o = train_options(p);
    const loom_shard_info *train = loom_loader_info(d->train), *valid;
    char *paths[1] = {(char *)(uintptr_t)p->conf->valid};

    if (!p->conf->valid) return LOOM_OK;
    o.shuffle = false;
    o.limit = 0;
    o.answers_only |= loom_run_plan_weighs_prompts(p->conf);
    o.prompt_weight = 0;
    o.budget = loom_run_plan_micro_rows(p->conf);
    LOOM_TRY(loom_loader_new(&d->valid, paths, 1, &o, err));
    valid = loom_loader_info(d->valid);
    if (strcmp(valid->tokenizer_digest, train->tokenizer_digest) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s and %s were made with different tokenizers; make both with the same one", train->path,
                         valid->path);
    return LOOM_OK;
}

static loom_status find_graphs(loom_run_data *d, loom_run_plan *p, loom_err *err)
{
    loom_buf text = {0};

    if (!p->privacy.on) return LOOM_OK;
    LOOM_TRY(loom_graph_units_find(&d->units, d->train, err));
    LOOM_TRY(loom_privacy_plan_data(&p->privacy, &d->units, err));
    loom_privacy_plan_alike(&p->privacy, &text);
    if (text.len) loom_warn("%s", loom_buf_text(&text));
    loom_buf_release(&text);
    return LOOM_OK;
}

loom_status loom_run_data_open(loom_run_data *d, loom_run_plan *p, char *const *paths, int64_t n_paths, loom_err *err)
{
    loom_loader_options o = train_options(p);
    char tokens[32];

    LOOM_TRY(loom_loader_new(&d->train, paths, n_paths, &o, err));
    LOOM_TRY(open_valid(d, p, err));
    loom_info("data: %" PRId64 " samples, %s tokens, %s encoding", loom_loader_samples(d->train),
              loom_format_count(tokens, sizeof tokens, (double)loom_loader_tokens(d->train)),
              loom_loader_info(d->train)->mode);
    if (loom_loader_dropped(d->train))
        loom_warn("%" PRId64 " samples are longer than the context of %" PRId64 " tokens and are left out",
                  loom_loader_dropped(d->train), p->conf->context);
    return find_graphs(d, p, err);
}

int64_t loom_run_data_steps(const loom_run_data *d, double epochs)
{
    double whole = floor(epochs);
    int64_t per_epoch = loom_loader_steps(d->train, 1);

    return loom_loader_steps(d->train, (int64_t)whole) + (int64_t)ceil((epochs - whole) * (double)per_epoch);
}

size_t loom_run_data_bytes(const loom_run_data *d)
{
    return loom_loader_bytes(d->train) + (d->valid ? loom_loader_bytes(d->valid) : 0);
}

double loom_run_data_epoch(const loom_run_data *d)
{
    loom_position p = loom_loader_tell(d->train);

    return (double)p.epoch + (double)p.sample / (double)loom_loader_samples(d->train);
}

void loom_run_data_release(loom_run_data *d)
{
    loom_loader_free(d->train);
    loom_loader_free(d->valid);
    loom_graph_units_release(&d->units);
}
