/* The adapter branch inside a step: dropout, two thin products, and their way back. */
#include "model/acts_impl.h"
#include "model/blas.h"
#include "model/vmath.h"

/* A row's key; every element then mixes in its column. The mask depends on nothing but seed, layer, matrix, row and
 * column, so that it can be made again and does not depend on threads or blocks. */
static uint32_t row_key(uint64_t seed, int64_t layer, loom_role role, int64_t n)
{
    uint64_t z = seed + ((uint64_t)layer * LOOM_N_ADAPTABLE + role + 1) * 0x9E3779B97F4A7C15u +
                 (uint64_t)n * 0xD1B54A32D192ED03u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(z ^ z >> 31);
}

static inline uint32_t mix32(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

/* to = from with each element zeroed with probability p, the others divided by 1-p; adds instead when `add`. */
static void drop_row(float *to, const float *from, int64_t n, uint32_t key, double p, bool add)
{
    uint32_t limit = (uint32_t)(p * 4294967296.0);
    float keep = (float)(1 / (1 - p));

#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = mix32(key + (uint32_t)i * 0x9E3779B9u);
        float v = bits < limit ? 0.0f : from[i] * keep;

        to[i] = add ? to[i] + v : v;
    }
}

static bool drops(const loom_step *s) { return s->backward && s->lora->config.dropout > 0; }

/* The adapter's input for rows n0..: x itself, or its dropped copy in t->drop. */
static const float *dropped(const loom_step *s, loom_thread_acts *t, loom_role role, const float *x, int64_t *ldx,
                            int64_t in, int64_t n0, int64_t n1)
{
    if (!drops(s)) return x;
    for (int64_t n = n0; n < n1; n++)
        drop_row(t->drop + (n - n0) * in, x + (n - n0) * *ldx, in, row_key(s->b->dropout_seed, s->l, role, n),
                 s->lora->config.dropout, false);
    *ldx = in;
    return t->drop;
}

void loom_lora_step_fwd(const loom_step *s, loom_thread_acts *t, loom_role role, float *y, int64_t ldy, const float *x,
                        int64_t ldx, float *xa, int64_t n0, int64_t n1)
{
    const loom_adapter *ad = loom_step_adapter(s, role);
    int64_t out, in, R = s->a->R;

    if (!ad) return;
    loom_role_size(&s->a->c, role, &out, &in);
    xa += n0 * R;
    x = dropped(s, t, role, x, &ldx, in, n0, n1);
    loom_gemm_nt(xa, R, x, ldx, ad->a, in, n1 - n0, R, in, 1.0f, 0.0f);
    loom_gemm_nt(y, ldy, xa, R, ad->b, R, n1 - n0, out, R, s->lora->scale, 1.0f);
}

/* With u = x' Aᵀ (kept as xa):  du = s dy B,   dB += s dyᵀ u,   dA += duᵀ x',   dx += drop'(du A) */
void loom_lora_step_bwd(const loom_step *s, loom_thread_acts *t, loom_role role, float *dx, int64_t ldx,
                        const float *dy, int64_t ldy, const float *x, int64_t ld_in, const float *xa, int64_t n0,
                        int64_t n1)
{
    const loom_adapter *ad = loom_step_adapter(s, role);
    int64_t out, in, R = s->a->R, rows = n1 - n0;
    size_t base;

    if (!ad) return;
    base = (size_t)s->l * (size_t)s->a->lora_floats; /* layers lie one after the other in the gradient block */
    loom_role_size(&s->a->c, role, &out, &in);
    xa += n0 * R;
    x = dropped(s, t, role, x, &ld_in, in, n0, n1);
    loom_gemm_nn(t->dxa, R, dy, ldy, ad->b, R, rows, R, out, s->lora->scale, 0.0f);
    loom_gemm_tn(t->dlora + (ad->b_offset - base), R, dy, ldy, xa, R, out, R, rows, s->lora->scale, 1.0f);
    loom_gemm_tn(t->dlora + (ad->a_offset - base), in, t->dxa, R, x, ld_in, R, in, rows, 1.0f, 1.0f);
    if (!dx) return;
    if (!drops(s)) {
        loom_gemm_nn(dx, ldx, t->dxa, R, ad->a, in, rows, in, R, 1.0f, 1.0f);
        return;
    }
    loom_gemm_nn(t->mask_out, in, t->dxa, R, ad->a, in, rows, in, R, 1.0f, 0.0f);
    for (int64_t n = n0; n < n1; n++)
        drop_row(dx + (n - n0) * ldx, t->mask_out + (n - n0) * in, in, row_key(s->b->dropout_seed, s->l, role, n),
                 s->lora->config.dropout, true);
}
