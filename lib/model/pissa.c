/* PiSSA: singular value decompositions at the start, and adapters that fit the base as it was. */
#include "model/pissa.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "model/blas.h"

typedef struct svd {
    float *copy, *s, *u, *vt;
} svd;

static void svd_release(svd *x)
{
    free(x->copy);
    free(x->s);
    free(x->u);
    free(x->vt);
}

/* W = U S Vᵀ:  B = U_R sqrt(S_R / s),  A = sqrt(S_R / s) V_Rᵀ,  so that s B A is the best part of rank R. */
static loom_status principal_part(float *a, float *b, const float *w, int64_t out, int64_t in, int64_t R, float scale,
                                  loom_err *err)
{
    int64_t k = loom_min_i64(out, in);
    svd x = {.copy = loom_alloc((size_t)(out * in), sizeof(float)),
             .s = loom_alloc((size_t)k, sizeof(float)),
             .u = loom_alloc((size_t)(out * k), sizeof(float)),
             .vt = loom_alloc((size_t)(k * in), sizeof(float))};
    loom_status st = LOOM_OK;

    if (!x.copy || !x.s || !x.u || !x.vt) {
        st = loom_fail_nomem(err, "a singular value decomposition");
        goto done;
    }
    memcpy(x.copy, w, (size_t)(out * in) * sizeof *w);
    if (LAPACKE_sgesdd(LAPACK_ROW_MAJOR, 'S', (lapack_int)out, (lapack_int)in, x.copy, (lapack_int)in, x.s, x.u,
                       (lapack_int)k, x.vt, (lapack_int)in) != 0) {
        st = loom_fail(err, LOOM_STATUS_NUMERIC, "the singular value decomposition did not converge; are there NaNs?");
        goto done;
    }
    for (int64_t r = 0; r < R; r++) {
        float root = sqrtf(x.s[r] / scale);

        for (int64_t o = 0; o < out; o++) b[o * R + r] = x.u[o * k + r] * root;
        for (int64_t i = 0; i < in; i++) a[r * in + i] = x.vt[r * in + i] * root;
    }
done:
    svd_release(&x);
    return st;
}

loom_status loom_pissa_start(loom_lora *lora, loom_llama *base, loom_err *err)
{
    if (base->frozen)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "the base is mapped as bfloat16 and cannot be changed; load it as float32");
    LOOM_TRY(loom_blas_reserve(1, err));
    for (int64_t i = 0; i < lora->table.n; i += 2) {
        const loom_tensor *ta = &lora->table.tensors[i], *tb = ta + 1,
                          *t = loom_llama_tensor(base, ta->layer, ta->role);
        float *w = base->params + t->offset;

        if (principal_part(lora->params + ta->offset, lora->params + tb->offset, w, t->shape[0], t->shape[1],
                           lora->config.R, lora->scale, err) != LOOM_OK)
            return loom_err_in(err, "%s", ta->name);
        loom_lora_add_to(w, lora, t, -1.0f);
    }
    return LOOM_OK;
}

/* s stays what it is at twice the rank. */
static loom_lora_config wide_config(const loom_lora *lora)
{
    loom_lora_config c = lora->config;

    c.R *= 2;
    c.alpha *= c.rslora ? sqrt(2.0) : 2.0;
    return c;
}

/* Rows of `to` (out,2R) are those of b (out,R), then those of minus b0. */
static void put_b(float *to, const float *b, const float *b0, int64_t out, int64_t R)
{
    for (int64_t o = 0; o < out; o++)
        for (int64_t r = 0; r < R; r++) {
            to[o * 2 * R + r] = b[o * R + r];
            to[o * 2 * R + R + r] = -b0[o * R + r];
        }
}

loom_status loom_pissa_widen(loom_lora **out, const loom_lora *now, const loom_lora *start, const loom_config *base,
                             loom_err *err)
{
    loom_lora_config c = wide_config(now);
    loom_lora *wide = NULL;

    LOOM_TRY(loom_lora_new(&wide, base, &c, err));
    for (int64_t i = 0; i < now->table.n; i += 2) {
        const loom_tensor *a = &now->table.tensors[i], *b = a + 1, *to = &wide->table.tensors[i];

        memcpy(wide->params + to->offset, now->params + a->offset, a->count * sizeof(float));
        memcpy(wide->params + to->offset + a->count, start->params + a->offset, a->count * sizeof(float));
        put_b(wide->params + to[1].offset, now->params + b->offset, start->params + b->offset, b->shape[0],
              now->config.R);
    }
    *out = wide;
    return LOOM_OK;
}

bool loom_pissa_narrow(loom_lora *to, const loom_lora *wide)
{
    int64_t R = to->config.R;

    if (wide->config.R != 2 * R || wide->config.targets != to->config.targets || wide->table.n != to->table.n)
        return false;
    for (int64_t i = 0; i < to->table.n; i += 2) {
        const loom_tensor *a = &to->table.tensors[i], *b = a + 1, *from = &wide->table.tensors[i];

        if (from->count != 2 * a->count || from[1].count != 2 * b->count) return false;
        memcpy(to->params + a->offset, wide->params + from->offset, a->count * sizeof(float));
        for (int64_t o = 0; o < b->shape[0]; o++)
            memcpy(to->params + b->offset + o * R, wide->params + from[1].offset + o * 2 * R,
                   (size_t)R * sizeof(float));
    }
    return true;
}
