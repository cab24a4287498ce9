#include "learn/weights.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/num.h"

size_t loom_weights_add(loom_weights *w, const char *name, int64_t n, double centre, double spread)
{
    size_t at = w->n;

    assert(w->n_list < LOOM_WEIGHTS_MAX && n >= 0 && !w->w);
    w->list[w->n_list++] = (loom_weight){.name = name, .at = at, .n = (size_t)n, .centre = centre, .spread = spread};
    w->n += (size_t)n;
    return at;
}

loom_status loom_weights_start(loom_weights *w, loom_rng *rng, loom_err *err)
{
    w->w = loom_calloc(w->n, sizeof *w->w);
    w->dw = loom_calloc(w->n, sizeof *w->dw);
    w->m = loom_calloc(w->n, sizeof *w->m);
    w->v = loom_calloc(w->n, sizeof *w->v);
    if (!w->w || !w->dw || !w->m || !w->v) return loom_fail_nomem(err, "the weights of a network");
    for (int i = 0; i < w->n_list; i++) {
        const loom_weight *t = &w->list[i];
        for (size_t k = 0; k < t->n; k++)
            w->w[t->at + k] = (float)(t->centre + (t->spread > 0 ? t->spread * (2 * loom_rng_f64(rng) - 1) : 0));
    }
    return LOOM_OK;
}

void loom_weights_zero_grad(loom_weights *w) { memset(w->dw, 0, w->n * sizeof *w->dw); }

void loom_weights_release(loom_weights *w)
{
    free(w->w);
    free(w->dw);
    free(w->m);
    free(w->v);
    *w = (loom_weights){0};
}

double loom_weights_norm(const loom_weights *w, size_t first, size_t last)
{
    double sum = 0;

    for (size_t i = first; i < last; i++) sum += (double)w->dw[i] * w->dw[i];
    return sqrt(sum);
}

static void adam(loom_weights *w, const loom_descent_conf *how, size_t last, double scale)
{
    double c1 = 1 - pow(how->b1, (double)w->step), c2 = 1 - pow(how->b2, (double)w->step);

    for (size_t i = how->first; i < last; i++) {
        double g = scale * w->dw[i] + how->decay * w->w[i];
        double m = how->b1 * w->m[i] + (1 - how->b1) * g, v = how->b2 * w->v[i] + (1 - how->b2) * g * g;
        w->m[i] = (float)m;
        w->v[i] = (float)v;
        w->w[i] = (float)(w->w[i] - how->lr * (m / c1) / (sqrt(v / c2) + how->eps));
    }
}

static void rmsprop(loom_weights *w, const loom_descent_conf *how, size_t last, double scale)
{
    for (size_t i = how->first; i < last; i++) {
        double g = scale * w->dw[i] + how->decay * w->w[i], v = how->b2 * w->v[i] + (1 - how->b2) * g * g;
        w->v[i] = (float)v;
        w->w[i] = (float)(w->w[i] - how->lr * g / (sqrt(v) + how->eps));
    }
}

loom_status loom_weights_step(loom_weights *w, const loom_descent_conf *how, loom_err *err)
{
    size_t last = how->last ? how->last : w->n;
    double norm = loom_weights_norm(w, how->first, last);

    if (!isfinite(norm))
        return loom_fail(err, LOOM_STATUS_NUMERIC,
                         "a gradient is not a finite number after %lld steps; lower the learning rate",
                         (long long)w->step);
    w->step++;
    double scale = how->clip > 0 && norm > how->clip ? how->clip / norm : 1;
    if (how->kind == LOOM_DESCENT_ADAM) adam(w, how, last, scale);
    else rmsprop(w, how, last, scale);
    return LOOM_OK;
}
