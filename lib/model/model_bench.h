/* Speed of the model on this machine, for `loom-train bench` and `loom-infer bench`.
 *
 *   loom_model_bench_options o = {.B = 8, .T = 512, .steps = 5, .pool = pool};
 *   LOOM_TRY(loom_model_bench(&result, &config, NULL, &o, err));
 *   loom_model_bench_report(&result, &text);            a small table for people
 */
#ifndef LOOM_MODEL_BENCH_H
#define LOOM_MODEL_BENCH_H

#include "core/buf.h"
#include "model/optimizer.h"
#include "model/step.h"

typedef struct loom_model_bench_options {
    int64_t B, T, steps;          /* sequences, their length, steps timed (after one to warm up) */
    bool recompute, bf16_compute; /* as in loom_acts_options */
    loom_optimizer_kind optimizer;
    loom_pool *pool;
} loom_model_bench_options;

typedef struct loom_model_bench_result {
    int64_t params, trained, B, T, threads;
    double sgemm_gflops;         /* best square product of the pool's threads together, same run */
    double tokens_per_s, step_s; /* forward + backward + optimizer, median step */
    double cpu_s;                /* of all threads a step, mean: what other work on the machine changes least */
    double model_gflops;         /* loom_config_flops per second (weights of a frozen base count 4 instead of 6) */
    double optimizer_s;
    loom_acts_times phase; /* seconds a step */
    size_t acts_bytes;
} loom_model_bench_result;

/* The models that are measured. SMALL and MIDDLE alike in `loom-train bench`, `loom-infer bench` and their peers:
 * 5.8 and 29.5 million parameters, untied, as the peers have them, so that parameters and work are theirs. DEMO and
 * DESK are those of our recipes: width 128 and 192, 4 layers, tied. */
typedef enum loom_bench_size { LOOM_BENCH_SMALL, LOOM_BENCH_MIDDLE, LOOM_BENCH_DEMO, LOOM_BENCH_DESK } loom_bench_size;
void loom_bench_config(loom_config *out, loom_bench_size size, int64_t positions);

/* lora NULL: all weights are trained. Random weights and tokens. */
loom_status loom_model_bench(loom_model_bench_result *out, const loom_config *config, const loom_lora_config *lora,
                             const loom_model_bench_options *o, loom_err *err);

/* Best measured GFLOP/s of single-precision products on the pool's threads (about a second). */
double loom_sgemm_gflops(loom_pool *pool);

/* Decoding: tokens/s of `jobs` sequences that decode side by side, each `tokens` long; half: products and cache in
 * bfloat16. Random weights; no prompt, no sampling. */
loom_status loom_decode_bench(double *tokens_per_s, const loom_config *config, int64_t jobs, int64_t tokens, bool half,
                              loom_pool *pool, loom_err *err);

void loom_model_bench_report(const loom_model_bench_result *r, loom_buf *into);

#endif
