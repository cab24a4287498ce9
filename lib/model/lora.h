/* LoRA adapters beside a const base:  y = x Wᵀ + s * (drop(x) Aᵀ) Bᵀ,   A (R,in)  B (out,R)
 *
 *   loom_lora *lora = NULL;
 *   loom_lora_config lc = {.R = 8, .alpha = 16, .targets = 1u << LOOM_ROLE_Q | 1u << LOOM_ROLE_V};
 *   LOOM_TRY(loom_lora_new(&lora, &config, &lc, err));
 *   loom_lora_init(lora, seed);
 *   ... loom_llama_grad(acts, base, lora, &batch, scale, lora_grads, &loss, err) ...
 *
 * The base gets no gradient and costs none: no memory, no weight-gradient product. The table has PEFT's names without
 * LOOM_LORA_PREFIX ("model.layers.0.self_attn.q_proj.lora_A.weight"); a block of table.floats floats holds the weights,
 * others of that length the gradients and moments. */
#ifndef LOOM_MODEL_LORA_H
#define LOOM_MODEL_LORA_H

#include "model/llama.h"

#define LOOM_LORA_PREFIX "base_model.model." /* in front of every name in adapter_model.safetensors */

typedef struct loom_lora_config {
    int64_t R;
    double alpha;
    double dropout;   /* on the input of the adapter branch, training only; 0 <= dropout < 1 */
    bool rslora;      /* s = alpha / sqrt(R) instead of alpha / R */
    unsigned targets; /* bits 1u << LOOM_ROLE_Q ... LOOM_ROLE_DOWN */
} loom_lora_config;

/* Adapter of one matrix; a and b are NULL where there is none. */
typedef struct loom_adapter {
    float *a, *b;              /* (R,in) (out,R), in loom_lora.params */
    size_t a_offset, b_offset; /* the same as offsets, for the gradient block */
} loom_adapter;

typedef struct loom_lora {
    loom_lora_config config;
    float scale; /* s */
    loom_tensors table;
    float *params;          /* table.floats */
    loom_adapter *adapters; /* (L, LOOM_N_ADAPTABLE) by layer and role */
} loom_lora;

/* Weights are zero. ARG when rank, dropout or targets make no sense. */
loom_status loom_lora_new(loom_lora **out, const loom_config *base, const loom_lora_config *config, loom_err *err);
void loom_lora_free(loom_lora *lora);

/* A uniform in ±1/sqrt(in) (Kaiming with a = sqrt 5), B zero: the adapted model starts equal to the base. */
void loom_lora_init(loom_lora *lora, uint64_t seed);

/* w (out,in) += sign * s B A for the tensor t of the base: the one step of merging. Nothing where t is not adapted. */
void loom_lora_add_to(float *w, const loom_lora *lora, const loom_tensor *t, float sign);

/* "q_proj,v_proj", "q,v", "all" or "all-linear" <-> bits. ARG names the unknown part. */
loom_status loom_lora_parse_targets(unsigned *out, const char *text, loom_err *err);
const char *loom_lora_module(loom_role role); /* "q_proj" ... "down_proj" */

size_t loom_lora_bytes(const loom_config *base, const loom_lora_config *config); /* of the parameter block */

#endif
