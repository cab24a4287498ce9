/* Inside of loom_acts and of a step; nothing outside lib/model includes it.
 *
 * A step is a list of phases; a phase runs on every thread of the pool at once. Phases over rows walk the N rows in
 * blocks of at most LOOM_ROW_BLOCK, so that what one product leaves in the cache is still there for the next; each
 * thread begins with one stretch of them and then helps the others. Attention is a phase over (sequence, key/value
 * head); gradients of weights are phases over pieces of the matrices, each summed over all rows by one thread:
 * nothing is added up in an order that depends on timing.
 *
 * The files, each using those before it: acts (the block), phases, lora_step, forward, head, backward, step.
 *
 * The block, with N = max_rows; [grad] only if gradients are computed, [bf16] only with products in bfloat16:
 *
 *   x            (L+1, N, C) [grad], else (2, N, C)    input of every layer, output of the last
 *   layers       L slots [grad], else 1                what a layer leaves for its backward pass: loom_layer_acts
 *   threads      one slot each                         scratch for a block of rows: loom_thread_acts
 *   head_x       (head_rows, C)                        rows that have a label, normed
 *   logits       (head_rows, V)                        and their logits, some rows at a time
 *   dx dmid      (N, C) [grad]                         gradients on the way down
 *   datt dqkv    (N, Q) (N, Q+2E) [grad]
 *   h prod dgu   (N, C) (N, F) (N, 2F) [grad]          inputs of weight gradients in float32
 *   packed       all matrices both ways round          for models small enough, and with [bf16]
 *   h16 ... logits16 [grad, bf16]                      operands of weight gradients, rounded */
#ifndef LOOM_MODEL_ACTS_IMPL_H
#define LOOM_MODEL_ACTS_IMPL_H

#include "model/bf16.h"
#include "model/ops.h"
#include "model/packed.h"
#include "model/step.h"

#define LOOM_ROW_BLOCK 128

/* What a layer leaves behind for its backward pass. */
typedef struct loom_layer_acts {
    float *x;                    /* (N,C) input, not owned by the slot */
    float *out;                  /* (N,C) output = next layer's input */
    float *r_att, *r_ffn;        /* (N) reciprocal norms */
    float *qkv;                  /* (N,Q+2E) after the rotation */
    float *att, *lse;            /* (N,Q) (N,H) */
    float *mid;                  /* (N,C) x + attention */
    float *gu;                   /* (N,2F) */
    float *xa[LOOM_N_ADAPTABLE]; /* (N,R) input times Aᵀ; NULL without adapter */
} loom_layer_acts;

/* Private to one thread. Blocks have LOOM_ROW_BLOCK rows. */
typedef struct loom_thread_acts {
    float *h, *dh;          /* (block, C) */
    float *prod, *dprod;    /* (block, F) */
    float *dgu;             /* (block, 2F), unless the whole one below is used */
    float *drop, *mask_out; /* (block, max(C,Q,F)) LoRA: input after dropout, its gradient */
    float *dxa;             /* (block, R) */
    float *r;               /* (block) */
    loom_products how;      /* for bfloat16 matrices */
    float *strip;           /* attention */
    float *dlora;           /* gradient of one layer's adapters */
} loom_thread_acts;

struct loom_acts {
    loom_acts_options o;
    loom_config c;
    int64_t R; /* 0: no adapter */
    unsigned targets;
    bool frozen;
    int n_threads;
    int64_t lora_floats; /* one layer's adapters */

    char *block;             /* everything below lies in here */
    float *x;                /* (L+1,N,C), or (2,N,C) without gradients */
    loom_layer_acts *layers; /* slots: L of them, or one */
    loom_thread_acts *threads;
    int32_t *position;   /* (N) */
    int32_t *counted;    /* (N) rows that the head works on */
    int32_t *targets_of; /* (N) their labels */
    float *weights_of;   /* (N) what they count */
    double *losses;      /* (N) of the counted rows */
    int64_t n_counted;
    int64_t head_rows;      /* rows of logits held at a time */
    float *head_x, *logits; /* (head_rows,C) (head_rows,V) */
    int64_t *rights;        /* (n_threads) */
    float *dx, *dmid;       /* (N,C) */
    float *dnorm;           /* (blocks,C) gradient of the norm at work, by blocks of rows; zero between phases */
    float *datt, *dqkv;     /* (N,Q) (N,Q+2E) */
    float *h, *prod, *dgu;  /* (N,C) (N,F) (N,2F): inputs and gradients for the weights' gradients, float32 */
    loom_packed *packed; /* (L * LOOM_N_ADAPTABLE + 1, 2) weights both ways round by layer and role, the head last; NULL
                            when the base is borrowed bfloat16, or too large for copies */
    loom_llama_layer *packed_layers; /* (L) views of them */
    /* bf16_compute: operands of the weights' gradients, rounded */
    loom_bf16_engine **engines;                                            /* (n_threads), freed one by one */
    loom_weight_grad_side h16, prod16, dgu16, dx16, dmid16, att16, dqkv16; /* columns C F 2F C C Q Q+2E */
    loom_weight_grad_side head_x16, logits16;                              /* C V, of head_rows rows */
    loom_acts_times times;
};

/* One call of the public functions. */
typedef struct loom_step loom_step;
typedef void loom_rows_fn(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1);
struct loom_step {
    loom_acts *a;
    const loom_llama *m;
    const loom_lora *lora;
    const loom_batch *b;
    const loom_llama_layer *layers; /* the model's, or packed ones */
    loom_mat head;
    float *grads;
    float scale;
    bool backward;  /* a backward pass follows: dropout applies, logits become their gradient */
    bool again;     /* recomputing a layer on the way back */
    int64_t l;      /* layer at work */
    int64_t c0, c1; /* rows of the head at work */
    loom_rows_fn *fn;
    int64_t fn_rows, block; /* rows of the phase, and of a block of it */
};

static inline int64_t loom_acts_Q(const loom_acts *a) { return a->c.H * a->c.D; }
static inline int64_t loom_acts_E(const loom_acts *a) { return a->c.K * a->c.D; }
static inline int64_t loom_acts_QKV(const loom_acts *a) { return (a->c.H + 2 * a->c.K) * a->c.D; }

/* Matrices that can be packed: by layer and role, the head last. */
static inline int64_t loom_acts_matrices(const loom_acts *a) { return a->c.L * LOOM_N_ADAPTABLE + 1; }

/* phases.c */
/* The slot of layer s->l with x and out set. */
loom_layer_acts loom_step_layer(const loom_step *s);
const loom_adapter *loom_step_adapter(const loom_step *s, loom_role role); /* NULL: none */

/* True when operands of weight gradients are kept rounded (bf16_compute), false when in float32. */
static inline bool loom_step_bf16(const loom_step *s) { return s->a->o.bf16_compute; }

/* Rows of a matrix whose gradient one thread sums at a time: few, so that threads end together; BLAS lays its right
 * operand out anew for each piece, which takes a few percent more with pieces this small. */
static inline int64_t loom_step_piece(const loom_step *s) { return loom_step_bf16(s) ? 96 : 256; }

/* Runs fn on blocks of rows 0..n-1. Blocks start at multiples of 32. */
void loom_step_rows(loom_step *s, loom_rows_fn *fn, int64_t n);
/* Where the block that begins at row n0 adds up its share of a norm's gradient; NULL with an adapter. */
float *loom_step_dnorm(const loom_step *s, int64_t n0);
/* Adds the shares of the phase over `rows` rows that ran last to the gradient of its norm, in their order. */
void loom_step_add_norm(const loom_step *s, const loom_tensor *norm, int64_t rows);
/* Adds the seconds since *since to *to and sets *since to now. */
void loom_step_lap(double *to, double *since);

/* forward.c */
void loom_forward(loom_step *s);       /* embedding and all layers: fills x[L] */
void loom_forward_layer(loom_step *s); /* layer s->l */
/* head.c: loss of the counted rows; with s->backward also their gradient: dx (N,C) and the head's weights */
void loom_head(loom_step *s, loom_loss *out);
void loom_head_logits(loom_step *s, float *logits);
void loom_head_states(const loom_step *s, loom_state_of which, float *states);
/* backward.c: from a->dx down to the embedding */
void loom_backward(loom_step *s);

/* lora_step.c: adapter branch of one matrix on rows n0..n1-1. x is the input of these rows, y += s drop(x) Aᵀ Bᵀ;
 * xa (all rows) is kept. Backward: adds to this thread's dA, dB and to dx. */
void loom_lora_step_fwd(const loom_step *s, loom_thread_acts *t, loom_role role, float *y, int64_t ldy, const float *x,
                        int64_t ldx, float *xa, int64_t n0, int64_t n1);
void loom_lora_step_bwd(const loom_step *s, loom_thread_acts *t, loom_role role, float *dx, int64_t ldx,
                        const float *dy, int64_t ldy, const float *x, int64_t ld_in, const float *xa, int64_t n0,
                        int64_t n1);

#endif
