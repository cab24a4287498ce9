/* A few real steps, to foretell how long a run takes: its very shape, batches, optimizer and threads. The weights
 * that come out of it are of no use (the learning rate is 0). */
#ifndef LOOM_TRAIN_REHEARSAL_H
#define LOOM_TRAIN_REHEARSAL_H

#include "train/trainer.h"

typedef struct loom_rehearsal {
    int64_t steps, rows; /* measured; rows: tokens trained on; 0 steps: nothing was measured */
    double seconds;
    double gradient, update,
        muon; /* of the seconds: gradients of all shards; the optimizer, Muon's matrices included; these alone */
    size_t floats, muon_floats; /* trained; of Muon's matrices */
} loom_rehearsal;

/* About a second of steps after one to warm up, or that one alone when it takes seconds. As the errors of
 * loom_trainer_step. */
loom_status loom_rehearse(loom_rehearsal *out, const loom_trainer_options *how, loom_llama *model, loom_lora *lora,
                          loom_loader *loader, loom_pool *pool, loom_err *err);

/* Can a step be tried at once? Not one that takes minutes. `trained` of `params` parameters, `rows` tokens a step. */
bool loom_rehearsal_is_short(int64_t params, int64_t trained, int64_t rows);

/* What several ranks are joined by. */
typedef struct loom_network {
    int ranks, shards;
    double gbits;   /* per second, of each rank, each way */
    double latency; /* seconds of a message without content */
    bool half;      /* gradients travel as bfloat16 */
} loom_network;

/* A step of several ranks, each as fast as the one that was measured (docs/CLUSTER.md has the formula). */
typedef struct loom_rank_step {
    double gradient, update, exchange; /* seconds, one after the other */
    double bytes;                      /* that the busiest rank sends or receives */
} loom_rank_step;
loom_rank_step loom_rehearsal_ranks(const loom_rehearsal *r, const loom_network *net);

/* What the measured speed makes of a plan: `steps` (0: none planned) and, if above 0, `minutes`, the longer of both. */
typedef struct loom_time_plan {
    double steps, tokens, seconds, tokens_per_s;
} loom_time_plan;
/* net NULL: one process */
loom_time_plan loom_rehearsal_plan(const loom_rehearsal *r, const loom_network *net, int64_t steps, double minutes);

#endif
