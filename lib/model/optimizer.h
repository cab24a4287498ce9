/* The optimizer of a block of tensors: AdamW for all of it, or Muon for the matrices inside the layers and AdamW
 * for the rest (embedding, head, norms).
 *
 *   loom_optimizer_options o = {.kind = LOOM_OPTIMIZER_MUON, .beta1 = .9, ..., .momentum = .95, .nesterov = true};
 *   loom_optimizer *opt = NULL;
 *   LOOM_TRY(loom_optimizer_new(&opt, &o, &model->table, pool, err));
 *   loom_optimizer_step(opt, w, g, lr, grad_scale, step);              step from 1
 *   loom_optimizer_free(opt);
 *
 * Its state are m and v; steps from the same state give the same bits for any number of threads. */
#ifndef LOOM_MODEL_OPTIMIZER_H
#define LOOM_MODEL_OPTIMIZER_H

#include "core/pool.h"
#include "model/llama.h"

#define LOOM_OPTIMIZER_CHOICES "adamw|muon"
typedef enum loom_optimizer_kind { LOOM_OPTIMIZER_ADAMW, LOOM_OPTIMIZER_MUON } loom_optimizer_kind;

typedef struct loom_optimizer_options {
    loom_optimizer_kind kind;
    double beta1, beta2, eps; /* AdamW */
    double momentum;          /* Muon */
    bool nesterov;            /* Muon */
    double rest;              /* Muon: the rate of what AdamW moves beside it, as a multiple of lr; 0: 1 */
    bool bf16_compute;        /* Muon: products on bfloat16 factors; loom_bf16_check says whether that is faster */
    double decay;
    int me, ranks; /* Muon: this is rank `me` of several that share the matrices out; ranks 0 or 1: of none */
} loom_optimizer_options;

typedef struct loom_optimizer {
    loom_optimizer_options o;
    const loom_tensors *table; /* borrowed, as is the pool */
    loom_pool *pool;
    float *m;      /* state: AdamW's first moments and Muon's momentum, laid out as the table */
    float *v;      /* state: AdamW's second moments */
    size_t *v_at;  /* where those of tensor i begin in v; LOOM_ADAMW_NOT: it is Muon's and has none */
    int64_t *muon; /* Muon's tensors, the one with most work first */
    int64_t n_muon;
    int *owner;          /* of each of them: the rank that updates it */
    double muon_seconds; /* spent on them so far */
    float *work;         /* work_floats a thread */
    size_t work_floats;
} loom_optimizer;

/* Moments are zero. */
loom_status loom_optimizer_new(loom_optimizer **out, const loom_optimizer_options *o, const loom_tensors *table,
                               loom_pool *pool, loom_err *err);
void loom_optimizer_free(loom_optimizer *opt); /* NULL is fine */

/* One update of w by the gradients g, both laid out as the table. Matrices of other ranks keep their weights until
 * loom_optimizer_exchange; their momentum moves. */
void loom_optimizer_step(loom_optimizer *opt, float *w, const float *g, double lr, double grad_scale, int64_t step);

/* With several ranks, after every step: the matrices that each updated, to all others. */
loom_status loom_optimizer_exchange(const loom_optimizer *opt, float *w, loom_err *err);

/* Floats of the matrices that Muon moves. */
size_t loom_optimizer_muon_floats(const loom_optimizer *opt);

/* Does Muon move this tensor? */
bool loom_optimizer_is_muon(const loom_optimizer *opt, int64_t tensor);

/* Bytes of m and v, and of what a step needs beside them. */
void loom_optimizer_bytes(size_t *state, size_t *work, loom_optimizer_kind kind, const loom_tensors *table,
                          int n_threads);

#endif
