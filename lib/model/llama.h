/* The Llama: one table of its tensors, all weights in one block.
 *
 *   loom_llama *m = NULL;
 *   LOOM_TRY(loom_llama_new(&m, &config, err));
 *   loom_llama_init(m, seed);                        fresh weights, or read them:
 *   for (int64_t i = 0; i < m->table.n; i++) {
 *       const loom_tensor *t = &m->table.tensors[i]; t->name, t->shape ... m->params + t->offset
 *   }
 *   loom_llama_free(m);
 *
 * The same table describes gradients and optimizer moments: a block of table.floats floats each, same offsets. Sizing,
 * fresh weights, checkpoints, LoRA, optimizer and tests all walk this table; there is no second list of tensors. */
#ifndef LOOM_MODEL_LLAMA_H
#define LOOM_MODEL_LLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "model/config.h"

/* What a tensor is in the model. q..down are the seven matrices LoRA can adapt, in this order. */
typedef enum loom_role {
    LOOM_ROLE_Q,
    LOOM_ROLE_K,
    LOOM_ROLE_V,
    LOOM_ROLE_O,
    LOOM_ROLE_GATE,
    LOOM_ROLE_UP,
    LOOM_ROLE_DOWN,
    LOOM_ROLE_NORM_ATT,
    LOOM_ROLE_NORM_FFN,
    LOOM_ROLE_EMBED,
    LOOM_ROLE_NORM_OUT,
    LOOM_ROLE_HEAD
} loom_role;
#define LOOM_N_ADAPTABLE 7

typedef struct loom_tensor {
    char name[96];    /* Hugging Face: "model.layers.0.self_attn.q_proj.weight" */
    int n_dims;       /* 1 or 2 */
    int64_t shape[2]; /* (out, in) row-major; shape[1] = 1 for vectors */
    size_t offset;    /* first element in the block, in floats; blocks start 64-byte aligned */
    size_t count;     /* elements */
    bool decay;       /* weight decay applies (matrices yes, vectors no) */
    loom_role role;
    int64_t layer; /* -1 outside the layers */
} loom_tensor;

typedef struct loom_tensors {
    loom_tensor *tensors;
    int64_t n;
    size_t floats; /* length of a block, gaps for alignment included (gaps stay zero) */
} loom_tensors;

/* Outputs and inputs of a matrix: of a layer, the embedding or the head. */
void loom_role_size(const loom_config *c, loom_role role, int64_t *out, int64_t *in);

const loom_tensor *loom_tensors_find(const loom_tensors *t, const char *name); /* NULL when absent */
void loom_tensors_release(loom_tensors *t);

struct loom_packed; /* model/packed.h */

/* A matrix as the kernels take it: float32, or frozen bfloat16 that is widened block by block. Exactly one is set. In a
 * training step `fwd` (out,in) and `back` (in,out) may be set instead, for this matrix alone, or for it and those that
 * follow it and share its input. */
typedef struct loom_mat {
    const float *f32;
    const uint16_t *bf16;
    const struct loom_packed *fwd, *back;
} loom_mat;

/* Weights of one layer. q, k, v (and gate, up) lie one after the other in the parameter block, so that float32 models
 * run them as one product. */
typedef struct loom_llama_layer {
    const float *norm_att, *norm_ffn; /* (C) */
    loom_mat w[LOOM_N_ADAPTABLE];     /* by role: q (Q,C), k v (E,C), o (C,Q), gate up (F,C), down (C,F) */
} loom_llama_layer;

typedef struct loom_llama {
    loom_config config;
    loom_tensors table;
    float *params; /* table.floats, 64-byte aligned; in a frozen model only the vectors are in there */
    bool frozen;   /* matrices are borrowed bfloat16: forward, LoRA and decoding only */
    /* derived, kept by the functions below */
    loom_llama_layer *layers; /* (L) */
    const float *norm_out;
    loom_mat embed, head;       /* (V,C); head is embed when tied */
    float *rope_cos, *rope_sin; /* (max_positions, D/2) */
} loom_llama;

/* The tensor with this role: of layer 0..L-1, or (layer -1) the embedding, the last norm or the head, which is the
 * embedding when they are tied. */
const loom_tensor *loom_llama_tensor(const loom_llama *m, int64_t layer, loom_role role);

/* Weights are zero (norms included). Checks the configuration; NOMEM names the size needed. */
loom_status loom_llama_new(loom_llama **out, const loom_config *config, loom_err *err);

/* A model whose matrices stay where they are, as bfloat16 (a mapped file): fill the vectors through params as usual and
 * call loom_llama_borrow for every matrix of the table. The memory must outlive the model. In its table the offset of a
 * matrix has no meaning. */
loom_status loom_llama_new_frozen(loom_llama **out, const loom_config *config, loom_err *err);
void loom_llama_borrow(loom_llama *m, int64_t tensor, const uint16_t *bf16);
/* FORMAT, naming the first matrices that were never borrowed. Nothing to check for a model of float32. */
loom_status loom_llama_complete(const loom_llama *m, loom_err *err);

void loom_llama_free(loom_llama *m); /* NULL is fine */

/* Fresh weights: matrices N(0, init_range), o and down divided by sqrt(2L) (residual branches start small), norms 1.
 * A tensor's numbers depend on seed and its place in the table only. */
void loom_llama_init(loom_llama *m, uint64_t seed);

/* Bytes of the parameter block; also of a gradient block or of one optimizer moment. */
size_t loom_llama_bytes(const loom_config *config);

/* Builds the table of a configuration alone (for --dry-run, import, info). Release it. */
loom_status loom_llama_table(loom_tensors *out, const loom_config *config, loom_err *err);

#endif
