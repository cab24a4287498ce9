#include "train/rehearsal.h"

#include <math.h>

#include "core/usage.h"

#define LONG_ENOUGH 1.0  /* seconds of measured steps */
#define TOO_LONG    2.0  /* seconds of the step that warms up: then it is the measure */
#define MOST_WORK   2e12 /* multiplications and additions of a step: 5 to 50 s on two cores */

loom_status loom_rehearse(loom_rehearsal *out, const loom_trainer_options *how, loom_llama *model, loom_lora *lora,
                          loom_loader *loader, loom_pool *pool, loom_err *err)
{
    loom_trainer_options alone = *how;
    loom_trainer *t = NULL;
    loom_step_report report;
    double started;
    loom_status st;

    *out = (loom_rehearsal){0};
    alone.share.me = alone.optimizer.me = 0;
    alone.share.ranks = alone.optimizer.ranks = 1;
    LOOM_TRY(loom_trainer_new(&t, &alone, model, lora, loader, pool, err));
    started = loom_time_now();
    st = loom_trainer_step(t, 0, &report, err);
    if (st == LOOM_OK && loom_time_now() - started >= TOO_LONG) {
        *out = (loom_rehearsal){.steps = 1, .rows = report.rows, .seconds = loom_time_now() - started};
    } else {
        t->times = (loom_trainer_times){0};
        t->optimizer->muon_seconds = 0;
    }
    started = loom_time_now();
    while (st == LOOM_OK && out->seconds < LONG_ENOUGH) {
        if ((st = loom_trainer_step(t, 0, &report, err)) != LOOM_OK) break;
        out->steps++;
        out->rows += report.rows;
        out->seconds = loom_time_now() - started;
    }
    out->gradient = t->times.gradient;
    out->update = t->times.update;
    out->muon = t->optimizer->muon_seconds;
    out->floats = t->table->floats;
    out->muon_floats = loom_optimizer_muon_floats(t->optimizer);
    loom_trainer_free(t);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "trying a step");
}

bool loom_rehearsal_is_short(int64_t params, int64_t trained, int64_t rows)
{
    double passes = trained < params ? 4 : 6; /* frozen weights need no gradient of their own */

    return passes * (double)params * (double)rows <= MOST_WORK;
}

/* Small messages of a step: did all go well, the losses, what comes next. */
#define MEETINGS 3

loom_rank_step loom_rehearsal_ranks(const loom_rehearsal *r, const loom_network *net)
{
    double steps = (double)r->steps, R = net->ranks, most = ceil((double)net->shards / R) / net->shards;
    double gradients = loom_shard_tree_traffic(net->shards, net->ranks);
    int64_t rounds = MEETINGS + loom_shard_tree_rounds(r->floats) + (r->muon_floats ? 1 : 0);
    loom_rank_step s = {.gradient = r->gradient / steps * most,
                        .update = (r->seconds - r->gradient - r->muon + r->muon / R) / steps,
                        .bytes = gradients * (double)r->floats * (net->half ? sizeof(uint16_t) : sizeof(float)) +
                                 (R - 1) / R * (double)r->muon_floats * sizeof(float)};

    s.exchange = R > 1 ? s.bytes * 8 / (net->gbits * 1e9) + (double)rounds * net->latency : 0;
    return s;
}

loom_time_plan loom_rehearsal_plan(const loom_rehearsal *r, const loom_network *net, int64_t steps, double minutes)
{
    loom_rank_step s = {.gradient = r->seconds / (double)r->steps};

    if (net) s = loom_rehearsal_ranks(r, net);
    double one = s.gradient + s.update + s.exchange, rows = (double)r->rows / (double)r->steps;
    loom_time_plan p = {.steps = fmax((double)steps, minutes > 0 ? floor(60 * minutes / one) : 0)};

    p.tokens = p.steps * rows;
    p.seconds = fmax(p.steps * one, 60 * minutes);
    p.tokens_per_s = rows / one;
    return p;
}
