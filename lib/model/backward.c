/* The backward pass: forward.c from bottom to top. With dx the gradient of a layer's output,
 *
 *   dprod = dx Wd;  dgu = swiglu'(dprod);  dh = dgu Wgu;  dmid = dx + rmsnorm'(dh);  datt = dmid Wo
 *   dqkv = attention'(datt);  rope';  dh = dqkv Wqkv;  dx = dmid + rmsnorm'(dh)
 *
 * and, when the base is trained, dW = dyᵀ x for each of its matrices, over all rows at once in pieces of the matrix.
 * With an adapter the base gets none of that: thin products on the block in cache, summed per thread. */
#include <string.h>

#include "core/num.h"
#include "core/usage.h"
#include "model/acts_impl.h"
#include "model/ops.h"

/* ---- feed-forward half and the output projection of attention ---- */
static void ffn_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    loom_acts *a = s->a;
    loom_layer_acts v = loom_step_layer(s);
    const loom_llama_layer *w = &s->layers[s->l];
    int64_t C = a->c.C, F = a->c.F, Q = loom_acts_Q(a), R = a->R, rows = n1 - n0, out[] = {F, F};
    bool local = R || loom_step_bf16(s); /* else left in place for the weights' gradients */
    const float *dx = a->dx + n0 * C, *gu = v.gu + n0 * 2 * F, *mid = v.mid + n0 * C, *att = v.att + n0 * Q;
    float *prod = local ? t->prod : a->prod + n0 * F, *dgu = local ? t->dgu : a->dgu + n0 * 2 * F;
    float *h = local ? t->h : a->h + n0 * C;
    float *dmid = a->dmid + n0 * C, *datt = a->datt + n0 * Q;

    loom_linear_bwd_x(t->dprod, F, dx, C, &w->w[LOOM_ROLE_DOWN], rows, C, F, 0.0f, &t->how);
    if (loom_step_adapter(s, LOOM_ROLE_DOWN)) {
        loom_swiglu_fwd(prod, gu, rows, F);
        loom_lora_step_bwd(s, t, LOOM_ROLE_DOWN, t->dprod, F, dx, C, prod, F, v.xa[LOOM_ROLE_DOWN], n0, n1);
    }
    loom_swiglu_bwd(dgu, prod, t->dprod, gu, rows, F);

    loom_linears_bwd_x(t->dh, C, dgu, 2 * F, &w->w[LOOM_ROLE_GATE], out, 2, rows, C, &t->how);
    if (!R || loom_step_adapter(s, LOOM_ROLE_GATE) || loom_step_adapter(s, LOOM_ROLE_UP))
        loom_rmsnorm_again(h, v.r_ffn + n0, mid, w->norm_ffn, rows, C);
    loom_lora_step_bwd(s, t, LOOM_ROLE_GATE, t->dh, C, dgu, 2 * F, h, C, v.xa[LOOM_ROLE_GATE], n0, n1);
    loom_lora_step_bwd(s, t, LOOM_ROLE_UP, t->dh, C, dgu + F, 2 * F, h, C, v.xa[LOOM_ROLE_UP], n0, n1);
    loom_rmsnorm_bwd(dmid, loom_step_dnorm(s, n0), dx, t->dh, mid, w->norm_ffn, v.r_ffn + n0, rows, C);

    loom_linear_bwd_x(datt, Q, dmid, C, &w->w[LOOM_ROLE_O], rows, C, Q, 0.0f, &t->how);
    loom_lora_step_bwd(s, t, LOOM_ROLE_O, datt, Q, dmid, C, att, Q, v.xa[LOOM_ROLE_O], n0, n1);
    if (!R && loom_step_bf16(s)) {
        loom_weight_grad_left(&a->dx16, dx, C, n0, n1);
        loom_weight_grad_right(&a->prod16, prod, F, n0, n1);
        loom_weight_grad_left(&a->dgu16, dgu, 2 * F, n0, n1);
        loom_weight_grad_right(&a->h16, h, C, n0, n1);
        loom_weight_grad_left(&a->dmid16, dmid, C, n0, n1);
        loom_weight_grad_right(&a->att16, att, Q, n0, n1);
    }
}

static void attention_item(void *arg, int64_t item, int thread)
{
    const loom_step *s = arg;
    loom_acts *a = s->a;
    loom_layer_acts v = loom_step_layer(s);
    int64_t D = a->c.D, G = a->c.H / a->c.K, Q = loom_acts_Q(a), E = loom_acts_E(a), ld = Q + 2 * E;
    int64_t k = item % a->c.K, from = s->b->segments[item / a->c.K], to = s->b->segments[item / a->c.K + 1];
    int64_t at_q = from * ld + k * G * D, at_k = from * ld + Q + k * D, at_v = at_k + E, at_o = from * Q + k * G * D;
    loom_attention att = {.q = v.qkv + at_q,
                          .k = v.qkv + at_k,
                          .v = v.qkv + at_v,
                          .ld_qkv = ld,
                          .o = v.att + at_o,
                          .ld_o = Q,
                          .lse = v.lse + from * a->c.H + k * G,
                          .ld_lse = a->c.H,
                          .T = to - from,
                          .G = G,
                          .D = D};

    loom_attention_bwd(a->dqkv + at_q, a->dqkv + at_k, a->dqkv + at_v, a->datt + at_o, &att, loom_step_bf16(s),
                       a->threads[thread].strip);
}

static void qkv_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    loom_acts *a = s->a;
    loom_layer_acts v = loom_step_layer(s);
    const loom_llama_layer *w = &s->layers[s->l];
    int64_t C = a->c.C, Q = loom_acts_Q(a), E = loom_acts_E(a), ld = Q + 2 * E, R = a->R, rows = n1 - n0;
    int64_t out[] = {Q, E, E};
    bool lowest = R && s->l == 0; /* nothing below is trained */
    const float *x = v.x + n0 * C;
    float *dqkv = a->dqkv + n0 * ld, *h = R || loom_step_bf16(s) ? t->h : a->h + n0 * C, *dh = lowest ? NULL : t->dh;

    loom_rope_bwd(dqkv, ld, a->position + n0, s->m->rope_cos, s->m->rope_sin, rows, a->c.H + a->c.K, a->c.D);
    loom_rmsnorm_again(h, v.r_att + n0, x, w->norm_att, rows, C);
    if (dh) loom_linears_bwd_x(dh, C, dqkv, ld, &w->w[LOOM_ROLE_Q], out, 3, rows, C, &t->how);
    loom_lora_step_bwd(s, t, LOOM_ROLE_Q, dh, C, dqkv, ld, h, C, v.xa[LOOM_ROLE_Q], n0, n1);
    loom_lora_step_bwd(s, t, LOOM_ROLE_K, dh, C, dqkv + Q, ld, h, C, v.xa[LOOM_ROLE_K], n0, n1);
    loom_lora_step_bwd(s, t, LOOM_ROLE_V, dh, C, dqkv + Q + E, ld, h, C, v.xa[LOOM_ROLE_V], n0, n1);
    if (dh)
        loom_rmsnorm_bwd(a->dx + n0 * C, loom_step_dnorm(s, n0), a->dmid + n0 * C, dh, x, w->norm_att, v.r_att + n0,
                         rows, C);
    if (!R && loom_step_bf16(s)) {
        loom_weight_grad_left(&a->dqkv16, dqkv, ld, n0, n1);
        loom_weight_grad_right(&a->h16, h, C, n0, n1);
    }
}

/* ---- gradients of the base's weights: pieces of some rows of a matrix ---- */
static int64_t pieces(const loom_step *s, int64_t out) { return (out + loom_step_piece(s) - 1) / loom_step_piece(s); }

typedef struct weight_job {
    const loom_step *s;
    loom_role role[3]; /* first role of each product; followers that lie behind it belong to it */
    const float *dy[3], *x[3];
    const loom_weight_grad_side *dy16[3], *x16[3]; /* instead, with bf16_compute */
    int64_t ldy[3], ldx[3], out[3], in[3];
    int n;
} weight_job;

static void weight_item(void *arg, int64_t item, int thread)
{
    const weight_job *j = arg;
    int i = 0;
    float *dw;

    (void)thread;
    for (; item >= pieces(j->s, j->out[i]); i++) item -= pieces(j->s, j->out[i]);
    int64_t piece = loom_step_piece(j->s), o0 = item * piece, o1 = loom_min_i64(o0 + piece, j->out[i]);
    dw = j->s->grads + loom_llama_tensor(j->s->m, j->s->l, j->role[i])->offset;
    if (loom_step_bf16(j->s)) loom_weight_grad_product(dw, j->dy16[i], j->x16[i], o0, o1, j->s->b->N);
    else
        loom_linear_bwd_w(dw + o0 * j->in[i], j->dy[i] + o0, j->ldy[i], j->x[i], j->ldx[i], j->s->b->N, o1 - o0,
                          j->in[i]);
}

static void run_job(const loom_step *s, weight_job *j)
{
    int64_t items = 0;

    for (int i = 0; i < j->n; i++) items += pieces(s, j->out[i]);
    loom_pool_for(s->a->o.pool, items, weight_item, j);
}

static void ffn_weights(const loom_step *s)
{
    const loom_acts *a = s->a;
    int64_t C = a->c.C, F = a->c.F, Q = loom_acts_Q(a);
    weight_job j = {.s = s,
                    .role = {LOOM_ROLE_DOWN, LOOM_ROLE_GATE, LOOM_ROLE_O},
                    .dy = {a->dx, a->dgu, a->dmid},
                    .x = {a->prod, a->h, loom_step_layer(s).att},
                    .dy16 = {&a->dx16, &a->dgu16, &a->dmid16},
                    .x16 = {&a->prod16, &a->h16, &a->att16},
                    .ldy = {C, 2 * F, C},
                    .ldx = {F, C, Q},
                    .out = {C, 2 * F, C},
                    .in = {F, C, Q},
                    .n = 3};

    run_job(s, &j);
    loom_step_add_norm(s, loom_llama_tensor(s->m, s->l, LOOM_ROLE_NORM_FFN), s->b->N);
}

static void qkv_weights(const loom_step *s)
{
    const loom_acts *a = s->a;
    int64_t C = a->c.C, QKV = loom_acts_QKV(a);
    weight_job j = {.s = s,
                    .role = {LOOM_ROLE_Q},
                    .dy = {a->dqkv},
                    .x = {a->h},
                    .dy16 = {&a->dqkv16},
                    .x16 = {&a->h16},
                    .ldy = {QKV},
                    .ldx = {C},
                    .out = {QKV},
                    .in = {C},
                    .n = 1};

    run_job(s, &j);
    loom_step_add_norm(s, loom_llama_tensor(s->m, s->l, LOOM_ROLE_NORM_ATT), s->b->N);
}

/* ---- the whole ---- */
static void clear_thread_sums(const loom_step *s)
{
    for (int i = 0; i < s->a->n_threads; i++) {
        loom_thread_acts *t = &s->a->threads[i];

        if (t->dlora) memset(t->dlora, 0, (size_t)s->a->lora_floats * sizeof(float));
    }
}

/* Adds the threads' adapter gradients of this layer, in their order, and clears them. */
static void add_lora(const loom_step *s)
{
    int64_t n = s->a->lora_floats;
    float *restrict to = s->grads + s->l * n;

    for (int i = 0; i < s->a->n_threads; i++) {
        float *restrict from = s->a->threads[i].dlora;

        for (int64_t j = 0; j < n; j++) to[j] += from[j];
        memset(from, 0, (size_t)n * sizeof *from);
    }
}

static void backward_layer(loom_step *s)
{
    loom_acts_times *t = &s->a->times;
    double since = loom_time_now();

    loom_step_rows(s, ffn_rows, s->b->N);
    loom_step_lap(&t->back_ffn, &since);
    if (!s->lora) ffn_weights(s);
    loom_step_lap(&t->back_weights, &since);
    loom_pool_for(s->a->o.pool, s->b->n_segments * s->a->c.K, attention_item, s);
    loom_step_lap(&t->back_attention, &since);
    loom_step_rows(s, qkv_rows, s->b->N);
    loom_step_lap(&t->back_qkv, &since);
    if (s->lora) add_lora(s);
    else qkv_weights(s);
    loom_step_lap(&t->back_weights, &since);
}

static void embed_columns(void *arg, int thread, int n_threads)
{
    const loom_step *s = arg;
    int64_t C = s->a->c.C;

    loom_embed_bwd(s->grads + loom_llama_tensor(s->m, -1, LOOM_ROLE_EMBED)->offset, s->a->dx, s->b->tokens, s->b->N, C,
                   C * thread / n_threads, C * (thread + 1) / n_threads);
}

void loom_backward(loom_step *s)
{
    double since;

    clear_thread_sums(s);
    for (s->l = s->a->c.L - 1; s->l >= 0; s->l--) {
        if (s->a->o.recompute) {
            s->again = true;
            loom_forward_layer(s);
            s->again = false;
        }
        backward_layer(s);
    }
    since = loom_time_now();
    if (!s->lora) loom_pool_each(s->a->o.pool, embed_columns, s);
    loom_step_lap(&s->a->times.back_embed, &since);
}
