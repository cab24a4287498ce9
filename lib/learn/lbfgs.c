#include "learn/lbfgs.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"

#define ENOUGH  1e-4 /* share of the promised fall that a step must bring (Armijo) */
#define FLATTER 0.9  /* share of the slope that may be left after it (Wolfe) */
#define TRIES   40   /* lengths on one line */

typedef struct search {
    loom_smooth_fn *f;
    void *arg;
    int64_t n, looks;
    int memory, held, next;        /* pairs wanted, held, and which is replaced next */
    double *x, *g;                 /* (n) where the search stands; x is the caller's */
    double *to, *to_g, *d;         /* (n) point that is tried, its gradient, direction */
    double *moved, *turned;        /* (memory,n) differences of points and of gradients */
    double rho[LOOM_LBFGS_MEMORY]; /* 1 / moved.turned */
} search;

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double largest(const double *v, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(v[i]));
    return most;
}

/* d = -H g by the two loops, H from the pairs held. */
static void direction(search *s)
{
    double alpha[LOOM_LBFGS_MEMORY];

    for (int64_t i = 0; i < s->n; i++) s->d[i] = -s->g[i];
    for (int k = 1; k <= s->held; k++) {
        int at = (s->next - k + s->memory) % s->memory;
        const double *y = s->turned + at * s->n;
        alpha[at] = s->rho[at] * dot(s->moved + at * s->n, s->d, s->n);
        for (int64_t i = 0; i < s->n; i++) s->d[i] -= alpha[at] * y[i];
    }
    if (s->held) {
        int at = (s->next - 1 + s->memory) % s->memory;
        const double *y = s->turned + at * s->n;
        double scale = 1 / (s->rho[at] * dot(y, y, s->n));
        for (int64_t i = 0; i < s->n; i++) s->d[i] *= scale;
    }
    for (int k = s->held; k >= 1; k--) {
        int at = (s->next - k + s->memory) % s->memory;
        const double *move = s->moved + at * s->n;
        double beta = s->rho[at] * dot(s->turned + at * s->n, s->d, s->n);
        for (int64_t i = 0; i < s->n; i++) s->d[i] += (alpha[at] - beta) * move[i];
    }
}

/* A length that falls enough and where the slope is flatter (weak Wolfe conditions), by halving and doubling. False:
 * none within rounding. */
static bool walk(search *s, double *value)
{
    double low = 0, high = INFINITY, slope = dot(s->g, s->d, s->n);
    double t = s->held ? 1 : fmin(1, 1 / largest(s->g, s->n));

    for (int k = 0; k < TRIES; k++) {
        for (int64_t i = 0; i < s->n; i++) s->to[i] = s->x[i] + t * s->d[i];
        double v = s->f(s->arg, s->to_g, s->to, s->n);
        s->looks++;
        if (!(v <= *value + ENOUGH * t * slope)) high = t;
        else if (dot(s->to_g, s->d, s->n) < FLATTER * slope) low = t;
        else {
            *value = v;
            return true;
        }
        t = isfinite(high) ? (low + high) / 2 : 2 * low;
    }
    return false;
}

/* Goes to the point that was tried; what was learned of the curvature takes the place of the oldest pair. */
static void go(search *s)
{
    double *move = s->moved + s->next * s->n, *turn = s->turned + s->next * s->n;

    for (int64_t i = 0; i < s->n; i++) {
        move[i] = s->to[i] - s->x[i];
        turn[i] = s->to_g[i] - s->g[i];
        s->x[i] = s->to[i];
        s->g[i] = s->to_g[i];
    }
    double curved = dot(move, turn, s->n);
    if (!(curved > 1e-300)) return;
    s->rho[s->next] = 1 / curved;
    s->next = (s->next + 1) % s->memory;
    s->held += s->held < s->memory;
}

static loom_status descend(search *s, loom_lbfgs_result *out, const loom_lbfgs_conf *how, loom_err *err)
{
    double value = s->f(s->arg, s->g, s->x, s->n);

    s->looks = 1;
    if (!isfinite(value)) return loom_fail(err, LOOM_STATUS_NUMERIC, "the loss at the start is no finite number");
    *out = (loom_lbfgs_result){0};
    for (; out->steps < how->steps && largest(s->g, s->n) > how->tolerance; out->steps++) {
        direction(s);
        if (!walk(s, &value)) break;
        go(s);
    }
    out->value = value;
    out->gradient = largest(s->g, s->n);
    out->looks = s->looks;
    return LOOM_OK;
}

loom_status loom_lbfgs(loom_lbfgs_result *out, double *x, int64_t n, loom_smooth_fn *f, void *arg,
                       const loom_lbfgs_conf *how, loom_err *err)
{
    search s = {.f = f, .arg = arg, .n = n, .memory = how->memory, .x = x};
    size_t room = (size_t)(4 + 2 * how->memory);
    loom_status st;

    assert(how->memory >= 1 && how->memory <= LOOM_LBFGS_MEMORY && n >= 1);
    double *block = loom_calloc((size_t)n * room, sizeof *block);
    if (!block) return loom_fail_nomem(err, "the curvature of a loss");
    s.g = block;
    s.to = s.g + n;
    s.to_g = s.to + n;
    s.d = s.to_g + n;
    s.moved = s.d + n;
    s.turned = s.moved + n * how->memory;
    st = descend(&s, out, how, err);
    free(block);
    return st;
}
