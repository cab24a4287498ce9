/* What a step of the model computes in: activations, their gradients and scratch, in one block that is made once
 * for the largest batch; no step allocates.
 *
 *   loom_acts *acts = NULL;
 *   loom_acts_options o = {.max_rows = 4096, .max_seq = 512, .grad = true, .pool = pool};
 *   LOOM_TRY(loom_acts_new(&acts, base, lora, &o, err));
 *   ... steps (model/step.h) ...
 *   loom_acts_free(acts); */
#ifndef LOOM_MODEL_ACTS_H
#define LOOM_MODEL_ACTS_H

#include "core/pool.h"
#include "model/llama.h"
#include "model/lora.h"

typedef struct loom_acts_options {
    int64_t max_rows;  /* largest N */
    int64_t max_seq;   /* longest segment, at most the model's max_positions */
    bool grad;         /* loom_llama_grad will be called (needs what the backward pass reads) */
    bool bf16_compute; /* products in bfloat16 (model/bf16.h): about twice as fast where the CPU can, see
                          loom_bf16_check */
    bool recompute;    /* keep only the input of each layer and run its forward again on the way back: same bits */
    loom_pool *pool;   /* borrowed until loom_acts_free; NULL: one thread */
} loom_acts_options;

/* Wall seconds spent per phase since the last loom_acts_times_reset; for benchmarks and progress. */
typedef struct loom_acts_times {
    double embed, qkv, attention, ffn, head; /* forward; head: logits and loss, with their gradients */
    double back_ffn, back_attention, back_qkv, back_weights, back_embed;
} loom_acts_times;

typedef struct loom_acts loom_acts;

/* Borrows nothing but the pool; the model and adapter give the sizes (lora may be NULL). */
loom_status loom_acts_new(loom_acts **out, const loom_llama *m, const loom_lora *lora, const loom_acts_options *o,
                          loom_err *err);
void loom_acts_free(loom_acts *a);

/* Bytes loom_acts_new will take, without weights, gradients and moments. frozen: of a model mapped as bfloat16. */
size_t loom_acts_bytes(const loom_config *config, const loom_lora_config *lora, bool frozen, const loom_acts_options *o,
                       int n_threads);

const loom_acts_times *loom_acts_get_times(const loom_acts *a);
void loom_acts_times_reset(loom_acts *a);

#endif
