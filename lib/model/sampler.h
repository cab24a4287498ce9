/* Logits to token.
 *
 *   loom_sampling how = {.temperature = 0.7, .top_k = 50, .top_p = 0.95};
 *   loom_sampler *s = NULL;
 *   LOOM_TRY(loom_sampler_new(&s, V, err));
 *   int32_t token = loom_sampler_pick(s, &how, logits, &rng);
 *
 * Order of the filters, as in Transformers: temperature, top-k, top-p, min-p. A logit of -INFINITY is never chosen
 * (masks of constrained decoding are put in that way). Each draw takes exactly one number from the stream, greedy takes
 * none. Ties: the smaller id wins. */
#ifndef LOOM_MODEL_SAMPLER_H
#define LOOM_MODEL_SAMPLER_H

#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"

typedef struct loom_sampling {
    double temperature; /* 0: greedy */
    int64_t top_k;      /* 0: off */
    double top_p;       /* 0 or >= 1: off. Smallest set of most likely tokens with probability >= top_p */
    double min_p;       /* 0: off. Tokens of probability >= min_p * the largest one */
} loom_sampling;

typedef struct loom_sampler loom_sampler; /* scratch of one thread */

loom_status loom_sampler_new(loom_sampler **out, int64_t V, loom_err *err);
void loom_sampler_free(loom_sampler *s);
loom_status loom_sampling_check(const loom_sampling *how, loom_err *err); /* ARG: names option and range */

/* Index of the chosen token; -1 when no logit is above -INFINITY or one is NaN. */
int32_t loom_sampler_pick(loom_sampler *s, const loom_sampling *how, const float *logits, loom_rng *rng);

/* Index of the largest logit, -1 as above. */
int32_t loom_sampler_greedy(const float *logits, int64_t V);

/* The k-th largest of v[0..n), 1 <= k <= n; reorders v. */
float loom_kth_largest(float *v, int64_t n, int64_t k);

/* Natural logarithm of the softmax probability of one token; for scoring. */
double loom_logprob(const float *logits, int64_t V, int32_t token);

#endif
