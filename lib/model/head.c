/* The head: final norm, logits, loss, and their gradients, some rows of logits at a time. Rows without a label never
 * get logits. */
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "core/usage.h"
#include "model/acts_impl.h"
#include "model/ops.h"

static const float *final_x(const loom_step *s)
{
    const loom_acts *a = s->a;

    return a->x + (a->o.grad ? a->c.L : a->c.L % 2) * a->o.max_rows * a->c.C;
}

/* Rows c0+n0 .. c0+n1-1 of the counted ones: gathers, norms, multiplies into z. Raw rows stay in t->h. */
static void fill_logits(const loom_step *s, loom_thread_acts *t, float *z, int64_t n0, int64_t n1)
{
    const loom_acts *a = s->a;
    int64_t C = a->c.C, V = a->c.V, rows = n1 - n0;
    const float *x = final_x(s);
    float *h = a->head_x + n0 * C;

    for (int64_t n = 0; n < rows; n++)
        memcpy(t->h + n * C, x + (int64_t)a->counted[s->c0 + n0 + n] * C, (size_t)C * sizeof *x);
    loom_rmsnorm_fwd(h, t->r, t->h, s->m->norm_out, a->c.rms_eps, rows, C);
    loom_linear_fwd(z, V, h, C, &s->head, rows, V, C, 0.0f, &t->how);
}

static void logits_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    fill_logits(s, t, s->a->logits + n0 * s->a->c.V, n0, n1);
}

/* Where the logits of a block lie while its loss is taken: in bfloat16 nobody looks at them afterwards, and one place
 * for all blocks of a thread stays in the cache. */
static float *logits_of(const loom_step *s, const loom_thread_acts *t, int64_t n0)
{
    const loom_acts *a = s->a;
    bool own = loom_step_bf16(s) && a->n_threads * LOOM_ROW_BLOCK <= a->head_rows;

    return a->logits + (own ? (t - a->threads) * LOOM_ROW_BLOCK : n0) * a->c.V;
}

static bool is_shaped(const loom_batch *b)
{
    return b->weights || b->shape.gce > 0 || b->shape.focus > 0 || b->shape.allowed > 0;
}

/* What might stand where row n has its label; NULL: not known. */
static const uint64_t *allowed_at(const loom_step *s, int64_t n)
{
    int64_t words = (int64_t)loom_bit_words(s->a->c.V);
    const uint64_t *bits = s->b->allowed ? s->b->allowed + n * words : NULL;

    for (int64_t i = 0; bits && i < words; i++)
        if (bits[i]) return bits;
    return NULL;
}

/* Counted rows `first`.. of dlogits as b->shape wants them. A label that is wrong has no cross-entropy. */
static void shape_rows(const loom_step *s, float *z, int64_t first, int64_t rows)
{
    const loom_acts *a = s->a;
    int64_t V = a->c.V;

    for (int64_t i = first; i < first + rows; i++) {
        loom_loss_row row = {.label = a->targets_of[i],
                             .loss = a->losses[i],
                             .weight = s->b->weights ? (double)a->weights_of[i] : 1,
                             .allowed = allowed_at(s, a->counted[i])};

        if (row.allowed && !loom_has_bit(row.allowed, row.label)) a->losses[i] = 0;
        loom_loss_shape_row(z + (i - first) * V, &s->b->shape, &row, s->scale, V);
    }
}

static void loss_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    const loom_acts *a = s->a;
    int64_t C = a->c.C, V = a->c.V, rows = n1 - n0, first = s->c0 + n0;
    float *z = logits_of(s, t, n0), *dnorm = loom_step_dnorm(s, n0);

    fill_logits(s, t, z, n0, n1);
    loom_xent(a->losses + first, &a->rights[t - a->threads], z, a->targets_of + first, s->backward ? s->scale : 0.0f,
              rows, V);
    if (!s->backward) return;
    if (is_shaped(s->b)) shape_rows(s, z, first, rows);
    loom_linear_bwd_x(t->dh, C, z, V, &s->head, rows, V, C, 0.0f, &t->how);
    if (loom_step_bf16(s) && !a->R) {
        loom_weight_grad_left(&a->logits16, z, V, n0, n1);
        loom_weight_grad_right(&a->head_x16, a->head_x + n0 * C, C, n0, n1);
    }
    for (int64_t n = 0; n < rows; n++) {
        float *dx = a->dx + (int64_t)a->counted[first + n] * C;

        loom_rmsnorm_bwd(dx, dnorm, dx, t->dh + n * C, t->h + n * C, s->m->norm_out, t->r + n, 1, C);
    }
}

/* Pieces of dW = dlogitsᵀ h by rows of W. */
static void weights_item(void *arg, int64_t item, int thread)
{
    const loom_step *s = arg;
    const loom_acts *a = s->a;
    int64_t C = a->c.C, V = a->c.V, piece = loom_step_piece(s);
    int64_t v0 = item * piece, v1 = loom_min_i64(v0 + piece, V);
    const loom_tensor *w = loom_llama_tensor(s->m, -1, LOOM_ROLE_HEAD);

    (void)thread;
    if (loom_step_bf16(s))
        loom_weight_grad_product(s->grads + w->offset, &a->logits16, &a->head_x16, v0, v1, s->c1 - s->c0);
    else loom_linear_bwd_w(s->grads + w->offset + v0 * C, a->logits + v0, V, a->head_x, C, s->c1 - s->c0, v1 - v0, C);
}

static void clear_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    (void)t;
    memset(s->a->dx + n0 * s->a->c.C, 0, (size_t)((n1 - n0) * s->a->c.C) * sizeof(float));
}

void loom_head(loom_step *s, loom_loss *out)
{
    loom_acts *a = s->a;
    double since = loom_time_now();

    *out = (loom_loss){.count = a->n_counted};
    memset(a->rights, 0, (size_t)a->n_threads * sizeof *a->rights);
    if (s->backward) loom_step_rows(s, clear_rows, s->b->N);
    for (s->c0 = 0; s->c0 < a->n_counted; s->c0 = s->c1) {
        s->c1 = loom_min_i64(s->c0 + a->head_rows, a->n_counted);
        loom_step_rows(s, loss_rows, s->c1 - s->c0);
        if (!s->backward || s->lora) continue;
        loom_step_add_norm(s, loom_llama_tensor(s->m, -1, LOOM_ROLE_NORM_OUT), s->c1 - s->c0);
        loom_pool_for(a->o.pool, (a->c.V + loom_step_piece(s) - 1) / loom_step_piece(s), weights_item, s);
    }
    for (int64_t i = 0; i < a->n_counted; i++) out->sum += a->losses[i];
    for (int i = 0; i < a->n_threads; i++) out->right += a->rights[i];
    loom_step_lap(&a->times.head, &since);
}

void loom_head_logits(loom_step *s, float *logits)
{
    loom_acts *a = s->a;

    for (s->c0 = 0; s->c0 < a->n_counted; s->c0 = s->c1) {
        s->c1 = loom_min_i64(s->c0 + a->head_rows, a->n_counted);
        loom_step_rows(s, logits_rows, s->c1 - s->c0);
        memcpy(logits + s->c0 * a->c.V, a->logits, (size_t)((s->c1 - s->c0) * a->c.V) * sizeof *logits);
    }
}

/* The mean over rows first to end. One row at a time on the calling thread: beside the layers this is nothing. */
static void mean_state(const loom_step *s, int64_t first, int64_t end, float *to)
{
    int64_t C = s->a->c.C;
    float *h = s->a->threads[0].h, *r = s->a->threads[0].r, share = 1.0f / (float)(end - first);

    memset(to, 0, (size_t)C * sizeof *to);
    for (int64_t n = first; n < end; n++) {
        loom_rmsnorm_fwd(h, r, final_x(s) + n * C, s->m->norm_out, s->a->c.rms_eps, 1, C);
        for (int64_t c = 0; c < C; c++) to[c] += share * h[c];
    }
}

void loom_head_states(const loom_step *s, loom_state_of which, float *states)
{
    for (int64_t i = 0; i < s->b->n_segments; i++) {
        int64_t first = s->b->segments[i], end = s->b->segments[i + 1];
        float *to = states + i * loom_state_size(which, s->a->c.C);

        if (which != LOOM_STATE_MEAN) mean_state(s, end - 1, end, to);
        if (which != LOOM_STATE_LAST) mean_state(s, first, end, to + (which == LOOM_STATE_BOTH ? s->a->c.C : 0));
    }
}
