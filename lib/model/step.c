/* One step from its batch to its loss and gradients: checks, packs the weights, and calls the passes. */
#include "model/step.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/acts_impl.h"

/* ---- batches ---- */
int64_t loom_batch_count(const loom_batch *b)
{
    int64_t count = 0;

    if (!b->labels) return 0;
    for (int64_t n = 0; n < b->N; n++) count += b->labels[n] != LOOM_IGNORE;
    return count;
}

double loom_batch_weight(const loom_batch *b)
{
    double sum = 0;

    if (!b->weights) return (double)loom_batch_count(b);
    for (int64_t n = 0; n < b->N; n++)
        if (b->labels[n] != LOOM_IGNORE) sum += (double)b->weights[n];
    return sum;
}

static loom_status check_segments(loom_acts *a, const loom_batch *b, loom_err *err)
{
    if (b->n_segments < 1 || b->segments[0] != 0 || b->segments[b->n_segments] != b->N)
        return loom_fail(err, LOOM_STATUS_ARG, "the sequences of the batch do not cover its %" PRId64 " rows", b->N);
    for (int64_t i = 0; i < b->n_segments; i++) {
        int64_t from = b->segments[i], len = b->segments[i + 1] - from;

        if (len < 1 || len > a->o.max_seq)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "sequence %" PRId64 " of the batch has %" PRId64 " tokens, expected 1..%" PRId64, i, len,
                             a->o.max_seq);
        for (int64_t t = 0; t < len; t++) a->position[from + t] = (int32_t)t;
    }
    return LOOM_OK;
}

static loom_status check_batch(loom_acts *a, const loom_batch *b, bool labels, loom_err *err)
{
    int64_t V = a->c.V;

    if (b->N < 1 || b->N > a->o.max_rows)
        return loom_fail(err, LOOM_STATUS_ARG, "a batch of %" PRId64 " tokens does not fit, expected 1..%" PRId64, b->N,
                         a->o.max_rows);
    LOOM_TRY(check_segments(a, b, err));
    a->n_counted = 0;
    for (int64_t n = 0; n < b->N; n++) {
        int32_t token = b->tokens[n], label = labels ? b->labels[n] : 0;

        if (token < 0 || token >= V)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "token %d at row %" PRId64 " is outside the vocabulary of %" PRId64
                             "; was the text encoded with another tokenizer?",
                             token, n, V);
        if (label == LOOM_IGNORE) continue;
        if (label < 0 || label >= V)
            return loom_fail(err, LOOM_STATUS_ARG, "label %d at row %" PRId64 " is outside the vocabulary of %" PRId64,
                             label, n, V);
        a->counted[a->n_counted] = (int32_t)n;
        a->weights_of[a->n_counted] = b->weights ? b->weights[n] : 1;
        a->targets_of[a->n_counted++] = label;
    }
    return LOOM_OK;
}

/* The adapter and model must be those the sizes were taken from. */
static loom_status check_model(const loom_acts *a, const loom_llama *m, const loom_lora *lora, loom_err *err)
{
    bool same = m->config.C == a->c.C && m->config.L == a->c.L && m->config.F == a->c.F && m->config.V == a->c.V &&
                m->config.H == a->c.H && m->config.K == a->c.K && m->config.D == a->c.D && (!m->frozen || a->frozen);

    if (same && (lora ? lora->config.R == a->R && lora->config.targets == a->targets : true)) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "the activations were prepared for another model or adapter");
}

/* ---- public steps ---- */
#define PACK_ROWS 128 /* of a matrix, packed at a time */

static int64_t pack_items(const loom_acts *a, int64_t i) { return (a->packed[2 * i].out + PACK_ROWS - 1) / PACK_ROWS; }

static void pack_item(void *arg, int64_t item, int thread)
{
    const loom_step *s = arg;
    const loom_packed *p;
    loom_mat W;
    int64_t i = 0, from, to;

    (void)thread;
    for (; item >= pack_items(s->a, i); i++) item -= pack_items(s->a, i);
    W = i == loom_acts_matrices(s->a) - 1 ? s->m->head : s->m->layers[i / LOOM_N_ADAPTABLE].w[i % LOOM_N_ADAPTABLE];
    p = &s->a->packed[2 * i];
    from = item * PACK_ROWS;
    to = loom_min_i64(from + PACK_ROWS, p->out);
    loom_packed_fill_outs(p, &W, 1.0f, from, to);
    if (p[1].out) loom_packed_fill_inner(p + 1, W.f32 + from * p->in, p->in, from, to);
}

/* Packs all weights, which may have changed since the last step, and makes the step use them. */
static void pack_weights(loom_step *s)
{
    loom_acts *a = s->a;
    int64_t items = 0;

    for (int64_t i = 0; i < loom_acts_matrices(a); i++) items += pack_items(a, i);
    loom_pool_for(a->o.pool, items, pack_item, s);
    for (int64_t l = 0; l < a->c.L; l++) {
        a->packed_layers[l].norm_att = s->m->layers[l].norm_att;
        a->packed_layers[l].norm_ffn = s->m->layers[l].norm_ffn;
    }
    s->layers = a->packed_layers;
    s->head =
        (loom_mat){.fwd = &a->packed[2 * loom_acts_matrices(a) - 2], .back = &a->packed[2 * loom_acts_matrices(a) - 1]};
}

static loom_status begin(loom_step *s, loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                         bool labels, loom_err *err)
{
    *s = (loom_step){.a = a, .m = m, .lora = lora, .b = b, .layers = m->layers, .head = m->head};
    LOOM_TRY(check_model(a, m, lora, err));
    if (labels && !b->labels) return loom_fail(err, LOOM_STATUS_ARG, "the batch has no labels, so it has no loss");
    LOOM_TRY(check_batch(a, b, labels, err));
    if (a->packed) pack_weights(s);
    return LOOM_OK;
}

static loom_status check_finite(const loom_loss *loss, loom_err *err)
{
    if (isfinite(loss->sum)) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_NUMERIC,
                     "the loss is not a finite number; lower the learning rate or go back to an earlier checkpoint");
}

loom_status loom_llama_loss(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                            loom_loss *out, loom_err *err)
{
    loom_step s;

    LOOM_TRY(begin(&s, a, m, lora, b, true, err));
    loom_forward(&s);
    loom_head(&s, out);
    return check_finite(out, err);
}

loom_status loom_llama_row_losses(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                                  float *losses, loom_err *err)
{
    loom_loss loss;

    LOOM_TRY(loom_llama_loss(a, m, lora, b, &loss, err));
    memset(losses, 0, (size_t)b->N * sizeof *losses);
    for (int64_t i = 0; i < a->n_counted; i++) losses[a->counted[i]] = (float)a->losses[i];
    return LOOM_OK;
}

loom_status loom_llama_grad(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b, double scale,
                            float *grads, loom_loss *out, loom_err *err)
{
    loom_step s;

    if (!a->o.grad) return loom_fail(err, LOOM_STATUS_ARG, "the activations were prepared without gradients");
    if (m->frozen && !lora)
        return loom_fail(err, LOOM_STATUS_ARG, "a base mapped as bfloat16 can only be trained through a LoRA adapter");
    if (!lora && a->R) return loom_fail(err, LOOM_STATUS_ARG, "the activations were prepared for an adapter");
    LOOM_TRY(begin(&s, a, m, lora, b, true, err));
    s.grads = grads;
    s.scale = (float)scale;
    s.backward = true;
    loom_forward(&s);
    loom_head(&s, out);
    LOOM_TRY(check_finite(out, err));
    loom_backward(&s);
    return LOOM_OK;
}

loom_status loom_llama_states(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                              loom_state_of which, float *states, loom_err *err)
{
    loom_step s;

    LOOM_TRY(begin(&s, a, m, lora, b, false, err));
    loom_forward(&s);
    loom_head_states(&s, which, states);
    return LOOM_OK;
}

loom_status loom_llama_logits(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                              float *logits, loom_err *err)
{
    loom_step s;

    LOOM_TRY(begin(&s, a, m, lora, b, false, err));
    loom_forward(&s);
    loom_head_logits(&s, logits);
    return LOOM_OK;
}
