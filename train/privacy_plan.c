#include "train/privacy_plan.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "train/privacy_cost.h"

#define USUAL_GRAPHS 64

bool loom_privacy_is_off(const char *dp) { return !dp || strcmp(dp, "none") == 0; }

/* ---- the option ---- */

static loom_status bad_part(const char *part, size_t len, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_ARG,
                     "--dp: \"%.*s\" is none of epsilon=E or noise=S (more than 0), delta=D (between 0 and 1) and "
                     "graphs=B (1 or more); such as --dp epsilon=8,delta=1e-5",
                     (int)loom_min_i64((int64_t)len, 60), part);
}

/* One "key=value". A key that stands twice is refused. */
static loom_status take_part(loom_privacy_plan *p, const char *part, size_t len, loom_err *err)
{
    const char *equals = memchr(part, '=', len);
    size_t key = equals ? (size_t)(equals - part) : 0;
    double graphs = 0, v = 0;
    const struct {
        const char *name;
        double *to;
        double most;
    } parts[] = {{"epsilon", &p->epsilon, 1e4},
                 {"noise", &p->noise, 1e6},
                 {"delta", &p->delta, 0.999999},
                 {"graphs", &graphs, 1e9}};

    if (!equals || !loom_parse_f64(equals + 1, len - key - 1, &v)) return bad_part(part, len, err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strlen(parts[i].name) != key || memcmp(part, parts[i].name, key) != 0) continue;
        if (!(v > 0) || v > parts[i].most || *parts[i].to > 0) return bad_part(part, len, err);
        *parts[i].to = v;
        if (parts[i].to != &graphs) return LOOM_OK;
        if (graphs != floor(graphs) || p->graphs_a_step) return bad_part(part, len, err);
        p->graphs_a_step = (int64_t)graphs;
        return LOOM_OK;
    }
    return bad_part(part, len, err);
}

static loom_status parse(loom_privacy_plan *p, const char *text, loom_err *err)
{
    for (const char *at = text;; at++) {
        const char *end = strchrnul(at, ',');

        LOOM_TRY(take_part(p, at, (size_t)(end - at), err));
        at = end;
        if (!*at) break;
    }
    if ((p->epsilon > 0) == (p->noise > 0))
        return loom_fail(err, LOOM_STATUS_ARG, "--dp wants one of epsilon=E and noise=S: the other follows from it");
    if (!p->graphs_a_step) p->graphs_a_step = USUAL_GRAPHS;
    return LOOM_OK;
}

/* ---- what would break the guarantee ---- */

static loom_status check_with(const train_conf *c, bool alone, loom_err *err)
{
    const struct {
        bool bad;
        const char *why;
    } rules[] = {
        {!c->lora, "--dp trains adapters; leave --no-lora out, or name the model to adapt and give --lora"},
        {!(c->clip > 0), "--dp needs a bound for the gradient of each graph: --clip more than 0"},
        {c->packing == PACKING_JOINED, "--dp needs to know which tokens are of which graph: --packing samples"},
        {c->overfit > 0, "--overfit takes the first samples, so that one graph more or less changes which: not with "
                         "--dp; give a smaller shard"},
        {c->tokens > 0, "--dp counts steps: give --epochs or --steps instead of --tokens"},
        {c->minutes > 0,
         "--dp must know beforehand how many steps there are: --epochs or --steps instead of --minutes"},
        {c->patience > 0,
         "--patience lets the graphs of --valid say when the run ends, which --dp does not account for; leave it out"},
        {c->valid && c->best, "the weights of the lowest validation loss are chosen by the graphs of --valid, which "
                              "--dp does not account for; give --no-best"},
        {!alone, "--dp trains in one process and computes a step as one: leave mpirun and --shards out"}};

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].bad) return loom_fail(err, LOOM_STATUS_ARG, "%s", rules[i].why);
    return LOOM_OK;
}

loom_status loom_privacy_plan_read(loom_privacy_plan *p, const train_conf *c, bool alone, loom_err *err)
{
    *p = (loom_privacy_plan){.clip = c->clip};
    if (loom_privacy_is_off(c->dp)) return LOOM_OK;
    p->on = true;
    LOOM_TRY(parse(p, c->dp, err));
    return check_with(c, alone, err);
}

/* ---- numbers ---- */

loom_status loom_privacy_plan_data(loom_privacy_plan *p, const loom_graph_units *u, loom_err *err)
{
    p->graphs = u->n;
    p->alike = u->alike;
    p->most_alike = u->most_alike;
    if (p->graphs_a_step > p->graphs)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--dp: steps of %" PRId64 " graphs, and there are %" PRId64 "; give graphs=B",
                         p->graphs_a_step, p->graphs);
    p->rate = (double)p->graphs_a_step / (double)p->graphs;
    if (!(p->delta > 0)) p->delta = 0.1 / (double)p->graphs;
    return LOOM_OK;
}

int64_t loom_privacy_plan_steps(const loom_privacy_plan *p, double epochs)
{
    double whole = floor(epochs), pass = ceil((double)p->graphs / (double)p->graphs_a_step);

    return (int64_t)(whole * pass + ceil((epochs - whole) * pass));
}

loom_status loom_privacy_plan_solve(loom_privacy_plan *p, int64_t steps, loom_err *err)
{
    loom_privacy_steps s = {.rate = p->rate, .noise = p->noise, .steps = steps};

    if (p->epsilon > 0) s.noise = loom_privacy_noise(&s, p->epsilon, p->delta);
    if (isnan(s.noise))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--dp: no noise makes %" PRId64 " steps cost as little as epsilon %g at delta %g; train for "
                         "fewer steps or ask for more",
                         steps, p->epsilon, p->delta);
    p->noise = s.noise;
    p->steps = steps;
    p->epsilon = loom_privacy_epsilon(&s, p->delta, &p->order);
    if (isfinite(p->epsilon)) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "--dp: noise %g is so little that no epsilon can be told; give more",
                     p->noise);
}

/* ---- in words ---- */

void loom_privacy_plan_line(const loom_privacy_plan *p, loom_buf *into)
{
    loom_buf_printf(into,
                    "privacy: epsilon %.3g at delta %.2g for any one graph, after %" PRId64 " steps of %" PRId64
                    " out of %" PRId64 " graphs, noise %.4g times the largest gradient of a graph (%g)",
                    p->epsilon, p->delta, p->steps, p->graphs_a_step, p->graphs, p->noise, p->clip);
}

void loom_privacy_plan_alike(const loom_privacy_plan *p, loom_buf *into)
{
    if (p->alike == 0) return;
    loom_buf_printf(into,
                    "%" PRId64 " graphs have the text of another, up to %" PRId64
                    " the same: what such a group has in common is covered by %" PRId64
                    " times the epsilon only; loom-preprocess dedupe leaves one of each",
                    p->alike, p->most_alike, p->most_alike);
}

void loom_privacy_plan_json(const loom_privacy_plan *p, int64_t spent, loom_buf *into)
{
    loom_privacy_steps s = {.rate = p->rate, .noise = p->noise, .steps = spent};
    double order = 0, epsilon = loom_privacy_epsilon(&s, p->delta, &order);
    loom_jw w;

    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "unit", "graph");
    loom_jw_kv_f64(&w, "epsilon", epsilon);
    loom_jw_kv_f64(&w, "delta", p->delta);
    loom_jw_kv_f64(&w, "noise", p->noise);
    loom_jw_kv_f64(&w, "clip", p->clip);
    loom_jw_kv_i64(&w, "steps", spent);
    loom_jw_kv_i64(&w, "graphs", p->graphs);
    loom_jw_kv_i64(&w, "graphs_a_step", p->graphs_a_step);
    loom_jw_kv_f64(&w, "rate", p->rate);
    loom_jw_kv_f64(&w, "order", order);
    loom_jw_kv_str(&w, "accountant", "Renyi, Poisson-sampled Gaussian");
    loom_jw_kv_i64(&w, "graphs_alike", p->alike);
    loom_jw_kv_i64(&w, "most_alike", p->most_alike);
    loom_jw_kv_str(&w, "covers",
                   "adapter.h5 by this training; not names in the tokenizer, the number of graphs, other "
                   "trainings on the same graphs, or other files of the run");
    loom_jw_end_object(&w);
}
