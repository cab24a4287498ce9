#include "learn/logistic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/rng.h"
#include "learn/heads.h"
#include "learn/layers.h"
#include "learn/lbfgs.h"

const char *const loom_solver_names[] = {"lbfgs", "adam"};

static double margin(const double *w, const float *x, int64_t F)
{
    double sum = w[F];

    for (int64_t f = 0; f < F; f++) sum += w[f] * (double)x[f];
    return sum;
}

double loom_logistic_loss(double *dw, const double *w, const float *x, const bool *y, int64_t n, int64_t F,
                          double decay)
{
    double loss = 0, share = 1 / (double)n, dz;

    if (dw) memset(dw, 0, (size_t)(F + 1) * sizeof *dw);
    for (int64_t i = 0; i < n; i++) {
        loss += share * loom_head_bernoulli(&dz, margin(w, x + i * F, F), y[i]);
        if (!dw) continue;
        for (int64_t f = 0; f < F; f++) dw[f] += share * dz * (double)x[i * F + f];
        dw[F] += share * dz;
    }
    for (int64_t f = 0; f < F; f++) {
        loss += decay / 2 * w[f] * w[f];
        if (dw) dw[f] += decay * w[f];
    }
    return loss;
}

/* ---- all samples at once ---- */
typedef struct whole {
    const float *x;
    const bool *y;
    int64_t n;
    double decay;
} whole;

static double whole_loss(void *arg, double *g, const double *w, int64_t n)
{
    const whole *a = arg;

    return loom_logistic_loss(g, w, a->x, a->y, a->n, n - 1, a->decay);
}

static loom_status by_lbfgs(loom_logistic *fit, whole *a, loom_err *err)
{
    const loom_lbfgs_conf how = LOOM_LBFGS;
    loom_lbfgs_result r;

    LOOM_TRY(loom_lbfgs(&r, fit->w, fit->F + 1, whole_loss, a, &how, err));
    fit->steps = r.steps;
    return LOOM_OK;
}

/* ---- some samples at a time ---- */
typedef struct stepping {
    const whole *a;
    const loom_logistic_conf *conf;
    loom_weights w;
    loom_dense head;
    int64_t *order;
    float *x, *z, *dz; /* (batch,F) (batch) (batch) */
} stepping;

static loom_status one_step(stepping *s, const int64_t *index, int64_t n, loom_err *err)
{
    int64_t F = s->head.I;
    loom_descent_conf how = LOOM_ADAM;

    how.lr = s->conf->lr;
    for (int64_t i = 0; i < n; i++) memcpy(s->x + i * F, s->a->x + index[i] * F, (size_t)F * sizeof *s->x);
    loom_weights_zero_grad(&s->w);
    loom_dense_fwd(s->z, s->x, &s->w, &s->head, n);
    for (int64_t i = 0; i < n; i++) {
        double dz;
        loom_head_bernoulli(&dz, (double)s->z[i], s->a->y[index[i]]);
        s->dz[i] = (float)(dz / (double)n);
    }
    loom_dense_bwd(NULL, s->dz, s->x, &s->w, &s->head, n);
    for (int64_t f = 0; f < F; f++)
        s->w.dw[s->head.w + (size_t)f] += (float)s->a->decay * s->w.w[s->head.w + (size_t)f];
    return loom_weights_step(&s->w, &how, err);
}

static loom_status step_through(stepping *s, loom_rng *rng, loom_err *err)
{
    int64_t n = s->a->n, batch = s->conf->batch;

    for (int64_t i = 0; i < n; i++) s->order[i] = i;
    for (int64_t epoch = 0; epoch < s->conf->epochs; epoch++) {
        loom_rng_shuffle(rng, s->order, (size_t)n, sizeof *s->order);
        for (int64_t at = 0; at < n; at += batch)
            LOOM_TRY(one_step(s, s->order + at, loom_min_i64(batch, n - at), err));
    }
    return LOOM_OK;
}

static loom_status by_adam(loom_logistic *fit, const whole *a, const loom_logistic_conf *conf, loom_err *err)
{
    stepping s = {.a = a, .conf = conf};
    int64_t F = fit->F, batch = loom_min_i64(conf->batch, a->n);
    loom_rng rng;
    loom_status st;

    loom_rng_seed(&rng, conf->seed, "logistic", 0);
    s.head = loom_dense_add(&s.w, "head", 1, F);
    s.order = loom_alloc((size_t)a->n, sizeof *s.order);
    s.x = loom_alloc((size_t)batch * (size_t)F, sizeof *s.x);
    s.z = loom_alloc((size_t)batch, sizeof *s.z);
    s.dz = loom_alloc((size_t)batch, sizeof *s.dz);
    st = s.order && s.x && s.z && s.dz ? loom_weights_start(&s.w, &rng, err) : loom_fail_nomem(err, "a classifier");
    if (st == LOOM_OK) st = step_through(&s, &rng, err);
    for (int64_t f = 0; st == LOOM_OK && f < F; f++) fit->w[f] = (double)s.w.w[s.head.w + (size_t)f];
    if (st == LOOM_OK) fit->w[F] = (double)s.w.w[s.head.b];
    fit->steps = s.w.step;
    loom_weights_release(&s.w);
    free(s.order);
    free(s.x);
    free(s.z);
    free(s.dz);
    return st;
}

/* ---- the whole ---- */
loom_status loom_logistic_fit(loom_logistic *fit, const float *x, const bool *y, int64_t n, int64_t F,
                              const loom_logistic_conf *conf, loom_err *err)
{
    whole a = {x, y, n, conf->decay};
    int64_t positive = 0;

    for (int64_t i = 0; i < n; i++) positive += y[i];
    if (positive == 0 || positive == n)
        return loom_fail(err, LOOM_STATUS_FORMAT, "all %lld samples are of one class; there is nothing to tell apart",
                         (long long)n);
    *fit = (loom_logistic){.F = F, .w = loom_calloc((size_t)F + 1, sizeof *fit->w)};
    if (!fit->w) return loom_fail_nomem(err, "a classifier");
    loom_status st = conf->solver == LOOM_SOLVER_LBFGS ? by_lbfgs(fit, &a, err) : by_adam(fit, &a, conf, err);
    if (st == LOOM_OK) fit->loss = loom_logistic_loss(NULL, fit->w, x, y, n, F, conf->decay);
    else loom_logistic_release(fit);
    return st;
}

double loom_logistic_margin(const loom_logistic *fit, const float *x) { return margin(fit->w, x, fit->F); }

void loom_logistic_release(loom_logistic *fit)
{
    free(fit->w);
    *fit = (loom_logistic){0};
}
