/* What makes one world of sample traces differ from another: popularity, depth and width of its templates, types of
 * calls, times. The profiles of fixed shape share one set of numbers; the profile base draws its
 * own around them from the seed (stream shape), so that every seed is another world. */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_SHAPE_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"
#include "trace/graph/callgraph.h"

typedef enum loom_sample_kind {
    LOOM_SAMPLE_STATELESS, /* callee of http and rpc */
    LOOM_SAMPLE_CACHE,     /* of mc */
    LOOM_SAMPLE_DB,        /* of db */
    LOOM_SAMPLE_QUEUE,     /* of mq */
    LOOM_SAMPLE_KINDS
} loom_sample_kind;

/* Parameters of the own time of a call type: 0 with probability p0, else max(1, round(exp(N(mu + offset, sd)))) ms. */
typedef struct loom_sample_time {
    double p0, mu, sd;
} loom_sample_time;

/* A distribution over small counts: weights sum to 1. */
#define LOOM_SAMPLE_COUNTS 12
typedef struct loom_sample_counts {
    int32_t n;
    int32_t count[LOOM_SAMPLE_COUNTS];
    double weight[LOOM_SAMPLE_COUNTS];
} loom_sample_counts;

int32_t loom_sample_count_at(const loom_sample_counts *counts, double u); /* the count at quantile u in [0, 1) */

#define LOOM_SAMPLE_REPEAT_MEANS 4
#define LOOM_SAMPLE_TYPE_DEPTHS  3 /* of a callee: 2, 3, deeper */

typedef struct loom_sample_shape {
    int32_t max_name, max_service;         /* names are MS_1 .. MS_<max_name>, S_1 .. S_<max_service> */
    int64_t n_entries;                     /* popular stateless names that serve as entry points, at most */
    double name_slopes[LOOM_SAMPLE_KINDS]; /* popularity of names: weights 1 / (rank + 2)^slope */
    loom_sample_counts depths;             /* that templates aim at */
    loom_sample_counts children_first;     /* of the root */
    loom_sample_counts children_deeper;
    loom_sample_counts rare_children; /* uncommon branches of a caller */
    double further;                   /* chance of a child besides the spine to go one level further */
    double root_http;                 /* share of roots that are http; the others are rpc */
    double types[LOOM_SAMPLE_TYPE_DEPTHS][LOOM_CALL_TYPES];
    double repeats[LOOM_SAMPLE_REPEAT_MEANS]; /* weights of the means of further calls in a row, 0 1 3 8 */
    double self_call, miss, overlap;          /* probabilities, see sample_world.c */
    loom_sample_time times[LOOM_CALL_TYPES];
    double slow;     /* share of delayed calls */
    double heavy;    /* share of services that wait for seconds in half of their traces */
    double heavy_mu; /* mean of ln(ms) of that wait */
    int64_t longest; /* ms: own times are cut here */
    bool apps;       /* two popular services are heavy and three calls deep */
} loom_sample_shape;

void loom_sample_shape_fixed(loom_sample_shape *shape);
/* Draws a shape around the fixed one. */
void loom_sample_shape_draw(loom_sample_shape *shape, uint64_t seed);

/* Numbers of the sample that follow from the seed as well: services, their slope, names of each kind. */
void loom_sample_sizes_draw(int64_t *n_services, double *zipf, int64_t n_names[LOOM_SAMPLE_KINDS], uint64_t seed);

/* Worlds of the profile base use names up to these; the numbers above them are kept for the names that a base model has
 * tokens for (exchange.h), so that no such world is ever judged by names that the model knows. */
#define LOOM_SAMPLE_MAX_NAME         99999
#define LOOM_SAMPLE_MAX_SERVICE      199999999
#define LOOM_SAMPLE_BASE_MAX_NAME    79999
#define LOOM_SAMPLE_BASE_MAX_SERVICE 159999999

#endif
