/* One answer of a sampler, as its line tells it. */
#ifndef LOOM_EVAL_ANSWER_H
#define LOOM_EVAL_ANSWER_H

#include "trace/request/request.h"

typedef struct loom_answer {
    int64_t id, sample;
    int64_t edges, depth; /* asked for; -1: not */
    loom_mode mode;
    double temperature;
    int64_t seed;
    bool constrained;                /* decoded under constraints */
    bool refused;                    /* these could not be met, nothing was generated */
    const loom_replay_layer *layers; /* parents first; n = 0: refused, nothing was generated */
    int32_t n_layers;
} loom_answer; /* texts live in the arena */

#endif
