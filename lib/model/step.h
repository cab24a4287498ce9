/* One step of the model: batch in, loss and gradients out.
 *
 *   total = labels that count in all micro-batches of the step
 *   memset(grads, 0, bytes);
 *   for each micro-batch:
 *       LOOM_TRY(loom_llama_grad(acts, base, lora, &batch, 1.0 / total, grads, &loss, err));   adds to grads
 *   mean loss of the step = sum of loss.sum / total
 *
 * Rows are packed: sequence b is rows segments[b] .. segments[b+1]-1; attention is causal within a sequence only and
 * positions restart at 0 in each. Several texts joined into one long sequence are one segment.
 *
 * Same seed, batch and number of threads: same bits. With another number of threads sums differ in the last bits. */
#ifndef LOOM_MODEL_STEP_H
#define LOOM_MODEL_STEP_H

#include "model/acts.h"
#include "model/loss_shape.h"

#define LOOM_IGNORE (-100) /* label of a row that is not in the loss */

typedef struct loom_batch {
    int64_t N;               /* rows */
    int64_t n_segments;      /* sequences, each at least one row */
    const int32_t *tokens;   /* (N) ids, checked against V */
    const int32_t *labels;   /* (N) target of each row (already shifted) or LOOM_IGNORE; NULL: no loss wanted */
    const float *weights;    /* (N) what the gradient of each row counts; NULL: 1 each */
    const int64_t *segments; /* (n_segments+1), from 0 to N, increasing */
    uint64_t dropout_seed;   /* another one for every micro-batch; used by LoRA dropout only */
    loom_loss_shape shape;   /* what the gradient is of; zeros: cross-entropy */
    const uint64_t *allowed; /* (N, loom_bit_words(V)) for shape.allowed, as in loom_loss_row; zeros: not known */
} loom_batch;

/* Sum and count, so that parts can be added: mean = sum / count. */
typedef struct loom_loss {
    double sum;    /* cross-entropy in nats over the counted rows */
    int64_t count; /* rows whose label is not LOOM_IGNORE */
    int64_t right; /* of these, rows whose most likely token is the label */
} loom_loss;

/* Rows whose label counts, and the sum of their weights, which the scale of loom_llama_grad is made of. */
int64_t loom_batch_count(const loom_batch *b);
double loom_batch_weight(const loom_batch *b);

/* Loss without gradients (validation, perplexity). No dropout. ARG when the batch does not fit or holds an id outside
 * the vocabulary; NUMERIC when the loss is not finite. */
loom_status loom_llama_loss(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                            loom_loss *out, loom_err *err);

/* Loss of every row in nats into losses (N); 0 where the label is LOOM_IGNORE. For perplexity per text. */
loom_status loom_llama_row_losses(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                                  float *losses, loom_err *err);

/* Forward and backward: adds scale * d(sum of the rows' losses times their weights)/d(parameter) to grads, a block
 * laid out as lora->table when there is an adapter and as m->table otherwise. b->shape says what a row's loss is there;
 * `out` has the cross-entropy all the same. */
loom_status loom_llama_grad(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b, double scale,
                            float *grads, loom_loss *out, loom_err *err);

/* The normed output of the last layer, which the head sees, as one vector for each sequence into states
 * (n_segments,C): that of its last token, or the mean over its tokens; or into states (n_segments,2C) the one and then
 * the other. What classifiers read. Labels are not read. */
typedef enum loom_state_of { LOOM_STATE_LAST, LOOM_STATE_MEAN, LOOM_STATE_BOTH } loom_state_of;
static inline int64_t loom_state_size(loom_state_of which, int64_t C) { return which == LOOM_STATE_BOTH ? 2 * C : C; }
loom_status loom_llama_states(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                              loom_state_of which, float *states, loom_err *err);

/* All logits (N,V); for tests and small uses. Labels are not read. */
loom_status loom_llama_logits(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                              float *logits, loom_err *err);

#endif
