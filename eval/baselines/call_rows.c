#include "eval/baselines/call_rows.h"

#include <math.h>
#include <string.h>

#include "core/num.h"
#include "core/rng.h"
#include "eval/answers/graphs.h"

static loom_status set_row(loom_call_rows *r, int64_t row, const loom_call *c, loom_err *err)
{
    int64_t source = loom_intern_add(&r->sources, c->source, strlen(c->source));
    int64_t destination = loom_intern_add(&r->destinations, c->destination, strlen(c->destination));

    if (source < 0 || destination < 0) return loom_fail_nomem(err, "names");
    r->discrete[3 * row] = (int32_t)source;
    r->discrete[3 * row + 1] = (int32_t)destination;
    r->discrete[3 * row + 2] = (int32_t)c->type;
    r->continuous[2 * row] = (double)c->arrived;
    r->continuous[2 * row + 1] = (double)c->rt;
    return LOOM_OK;
}

static loom_status add(loom_call_rows *r, size_t cap[2], const loom_call *c, int64_t most, loom_rng *rng, loom_err *err)
{
    int64_t row = r->n;

    if (row == most) { /* the k-th call takes the place of another with probability most / k */
        row = (int64_t)loom_rng_below(rng, (uint64_t)r->seen + 1);
    } else {
        r->n++;
        LOOM_TRY(loom_grow(&r->discrete, &cap[0], 3 * (size_t)r->n, sizeof *r->discrete, err));
        LOOM_TRY(loom_grow(&r->continuous, &cap[1], 2 * (size_t)r->n, sizeof *r->continuous, err));
    }
    r->seen++;
    return row < most ? set_row(r, row, c, err) : LOOM_OK;
}

loom_status loom_call_rows_load(loom_call_rows *r, const char *path, int64_t most, uint64_t seed, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    loom_rng rng;
    size_t cap[2] = {0, 0};
    bool more;

    loom_rng_seed(&rng, seed, "call rows", 0);
    loom_status st = loom_graphs_open(&in, path, err);
    while (st == LOOM_OK && (st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more)
        for (int32_t i = 0; st == LOOM_OK && i < g.n_calls; i++) st = add(r, cap, &g.calls[i], most, &rng, err);
    loom_graphs_close(&in);
    if (st == LOOM_OK && r->n == 0) st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no call to learn from", path);
    r->classes[0] = (int32_t)r->sources.n;
    r->classes[1] = (int32_t)r->destinations.n;
    r->classes[2] = LOOM_CALL_TYPES;
    return st;
}

loom_table loom_call_rows_table(const loom_call_rows *r)
{
    return (loom_table){.n = r->n,
                        .n_discrete = LOOM_CALL_ROWS_DISCRETE,
                        .n_continuous = LOOM_CALL_ROWS_CONTINUOUS,
                        .discrete = r->discrete,
                        .classes = r->classes,
                        .continuous = r->continuous};
}

static int64_t milliseconds(double x) { return x > 0 ? (int64_t)llround(fmin(x, (double)LOOM_TIME_MAX_MS)) : 0; }

loom_call loom_call_rows_call(const loom_call_rows *r, const int32_t *discrete, const double *continuous)
{
    static const int32_t root[] = {0};

    return (loom_call){.id = root,
                       .n_id = 1,
                       .source = loom_intern_text(&r->sources, discrete[0]),
                       .destination = loom_intern_text(&r->destinations, discrete[1]),
                       .type = (loom_call_type)discrete[2],
                       .arrived = milliseconds(continuous[0]),
                       .rt = milliseconds(continuous[1])};
}

void loom_call_rows_release(loom_call_rows *r)
{
    loom_intern_release(&r->sources);
    loom_intern_release(&r->destinations);
    free(r->discrete);
    free(r->continuous);
    *r = (loom_call_rows){0};
}
