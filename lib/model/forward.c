/* The forward pass, read from top to bottom: embedding, then for each layer
 *
 *   h = rmsnorm(x);  q, k, v = h Wᵀ;  rope(q, k);  att = attention(q, k, v)
 *   mid = x + att Woᵀ
 *   h = rmsnorm(mid);  g, u = h Wᵀ;  out = mid + (silu(g) * u) Wdᵀ
 *
 * and the head in head.c. */
#include <string.h>

#include "core/num.h"
#include "core/usage.h"
#include "model/acts_impl.h"
#include "model/ops.h"

static void embed_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    int64_t C = s->a->c.C;

    (void)t;
    loom_embed_fwd(s->a->x + n0 * C, &s->m->embed, s->b->tokens + n0, n1 - n0, C);
}

static void qkv_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    loom_layer_acts v = loom_step_layer(s);
    const loom_llama_layer *w = &s->layers[s->l];
    const loom_config *c = &s->a->c;
    int64_t C = c->C, Q = loom_acts_Q(s->a), E = loom_acts_E(s->a), ld = Q + 2 * E, rows = n1 - n0;
    int64_t out[] = {Q, E, E};
    float *qkv = v.qkv + n0 * ld;

    loom_rmsnorm_fwd(t->h, v.r_att + n0, v.x + n0 * C, w->norm_att, c->rms_eps, rows, C);
    loom_linears_fwd(qkv, ld, t->h, C, &w->w[LOOM_ROLE_Q], out, 3, rows, C, &t->how);
    loom_lora_step_fwd(s, t, LOOM_ROLE_Q, qkv, ld, t->h, C, v.xa[LOOM_ROLE_Q], n0, n1);
    loom_lora_step_fwd(s, t, LOOM_ROLE_K, qkv + Q, ld, t->h, C, v.xa[LOOM_ROLE_K], n0, n1);
    loom_lora_step_fwd(s, t, LOOM_ROLE_V, qkv + Q + E, ld, t->h, C, v.xa[LOOM_ROLE_V], n0, n1);
    loom_rope_fwd(qkv, ld, s->a->position + n0, s->m->rope_cos, s->m->rope_sin, rows, c->H + c->K, c->D);
}

static void attention_item(void *arg, int64_t item, int thread)
{
    const loom_step *s = arg;
    loom_layer_acts v = loom_step_layer(s);
    const loom_config *c = &s->a->c;
    int64_t G = c->H / c->K, Q = loom_acts_Q(s->a), E = loom_acts_E(s->a), ld = Q + 2 * E;
    int64_t k = item % c->K, from = s->b->segments[item / c->K], to = s->b->segments[item / c->K + 1];
    float *qkv = v.qkv + from * ld;
    loom_attention att = {.q = qkv + k * G * c->D,
                          .k = qkv + Q + k * c->D,
                          .v = qkv + Q + E + k * c->D,
                          .ld_qkv = ld,
                          .o = v.att + from * Q + k * G * c->D,
                          .ld_o = Q,
                          .lse = v.lse + from * c->H + k * G,
                          .ld_lse = c->H,
                          .T = to - from,
                          .G = G,
                          .D = c->D};

    loom_attention_fwd(&att, loom_step_bf16(s), s->a->threads[thread].strip);
}

/* mid = x + att Woᵀ */
static void att_output(const loom_step *s, loom_thread_acts *t, const loom_layer_acts *v, int64_t n0, int64_t n1)
{
    const loom_llama_layer *w = &s->layers[s->l];
    int64_t C = s->a->c.C, Q = loom_acts_Q(s->a), rows = n1 - n0;
    const float *x = v->x + n0 * C, *att = v->att + n0 * Q;
    float *mid = v->mid + n0 * C;

    memcpy(mid, x, (size_t)(rows * C) * sizeof *mid);
    loom_linear_fwd(mid, C, att, Q, &w->w[LOOM_ROLE_O], rows, C, Q, 1.0f, &t->how);
    loom_lora_step_fwd(s, t, LOOM_ROLE_O, mid, C, att, Q, v->xa[LOOM_ROLE_O], n0, n1);
}

/* h = rmsnorm(mid);  g, u = h Wᵀ */
static void gate_and_up(const loom_step *s, loom_thread_acts *t, const loom_layer_acts *v, int64_t n0, int64_t n1)
{
    const loom_llama_layer *w = &s->layers[s->l];
    int64_t C = s->a->c.C, F = s->a->c.F, rows = n1 - n0, out[] = {F, F};
    float *mid = v->mid + n0 * C, *gu = v->gu + n0 * 2 * F;

    loom_rmsnorm_fwd(t->h, v->r_ffn + n0, mid, w->norm_ffn, s->a->c.rms_eps, rows, C);
    loom_linears_fwd(gu, 2 * F, t->h, C, &w->w[LOOM_ROLE_GATE], out, 2, rows, C, &t->how);
    loom_lora_step_fwd(s, t, LOOM_ROLE_GATE, gu, 2 * F, t->h, C, v->xa[LOOM_ROLE_GATE], n0, n1);
    loom_lora_step_fwd(s, t, LOOM_ROLE_UP, gu + F, 2 * F, t->h, C, v->xa[LOOM_ROLE_UP], n0, n1);
}

/* out = mid + (silu(g) * u) Wdᵀ */
static void ffn_output(const loom_step *s, loom_thread_acts *t, const loom_layer_acts *v, int64_t n0, int64_t n1)
{
    const loom_llama_layer *w = &s->layers[s->l];
    int64_t C = s->a->c.C, F = s->a->c.F, rows = n1 - n0;
    float *mid = v->mid + n0 * C, *gu = v->gu + n0 * 2 * F, *to = v->out + n0 * C;

    loom_swiglu_fwd(t->prod, gu, rows, F);
    memcpy(to, mid, (size_t)(rows * C) * sizeof *to);
    loom_linear_fwd(to, C, t->prod, F, &w->w[LOOM_ROLE_DOWN], rows, C, F, 1.0f, &t->how);
    loom_lora_step_fwd(s, t, LOOM_ROLE_DOWN, to, C, t->prod, F, v->xa[LOOM_ROLE_DOWN], n0, n1);
}

/* What comes after attention, on rows that stay in the cache. */
static void output_rows(const loom_step *s, loom_thread_acts *t, int64_t n0, int64_t n1)
{
    loom_layer_acts v = loom_step_layer(s);

    att_output(s, t, &v, n0, n1);
    gate_and_up(s, t, &v, n0, n1);
    if (s->again && !loom_step_adapter(s, LOOM_ROLE_DOWN)) return; /* the output is there already */
    ffn_output(s, t, &v, n0, n1);
}

void loom_forward_layer(loom_step *s)
{
    double since = loom_time_now();

    loom_step_rows(s, qkv_rows, s->b->N);
    loom_step_lap(&s->a->times.qkv, &since);
    loom_pool_for(s->a->o.pool, s->b->n_segments * s->a->c.K, attention_item, s);
    loom_step_lap(&s->a->times.attention, &since);
    loom_step_rows(s, output_rows, s->b->N);
    loom_step_lap(&s->a->times.ffn, &since);
}

void loom_forward(loom_step *s)
{
    double since = loom_time_now();

    loom_step_rows(s, embed_rows, s->b->N);
    loom_step_lap(&s->a->times.embed, &since);
    for (s->l = 0; s->l < s->a->c.L; s->l++) loom_forward_layer(s);
}
