#include "preprocess/samples/sample_shape.h"

#include "core/num.h"
#include "preprocess/samples/sample_math.h"

static const loom_sample_shape fixed = {
    .max_name = LOOM_SAMPLE_MAX_NAME,
    .max_service = LOOM_SAMPLE_MAX_SERVICE,
    .n_entries = 60,
    .name_slopes =
        {[LOOM_SAMPLE_STATELESS] = 0.9, [LOOM_SAMPLE_CACHE] = 1.0, [LOOM_SAMPLE_DB] = 0.9, [LOOM_SAMPLE_QUEUE] = 1.0},
    .depths = {6, {1, 2, 3, 4, 5, 6}, {.56, .18, .11, .085, .04, .025}},
    .children_first = {10, {1, 2, 3, 4, 5, 6, 8, 12, 20, 30}, {.23, .25, .24, .12, .07, .03, .02, .018, .013, .009}},
    .children_deeper = {7, {1, 2, 3, 4, 5, 8, 12}, {.42, .42, .07, .06, .02, .008, .002}},
    .rare_children = {5, {0, 1, 2, 3, 5}, {.15, .25, .25, .20, .15}},
    .further = 0.25,
    .root_http = 0.98,
    .types = {{[LOOM_CALL_RPC] = .27,
               [LOOM_CALL_HTTP] = .01,
               [LOOM_CALL_MC] = .59,
               [LOOM_CALL_DB] = .12,
               [LOOM_CALL_MQ] = .01},
              {[LOOM_CALL_RPC] = .11, [LOOM_CALL_MC] = .64, [LOOM_CALL_DB] = .24, [LOOM_CALL_MQ] = .01},
              {[LOOM_CALL_RPC] = .06, [LOOM_CALL_MC] = .60, [LOOM_CALL_DB] = .34}},
    .repeats = {.80, .13, .05, .02},
    .self_call = 0.12,
    .miss = 0.15,
    .overlap = 0.12,
    .times = {[LOOM_CALL_RPC] = {.p0 = 0.15, .mu = 0.45, .sd = 0.75},
              [LOOM_CALL_HTTP] = {.p0 = 0.15, .mu = 0.75, .sd = 0.95},
              [LOOM_CALL_MC] = {.p0 = 0.43, .mu = 0.04, .sd = 0.22},
              [LOOM_CALL_DB] = {.p0 = 0.43, .mu = 0.23, .sd = 0.55},
              [LOOM_CALL_MQ] = {.p0 = 0.40, .mu = 0.50, .sd = 0.50}},
    .slow = 0.006,
    .heavy = 0.03,
    .heavy_mu = 6.5,
    .longest = INT64_MAX, /* short enough by themselves */
    .apps = true,
};

void loom_sample_shape_fixed(loom_sample_shape *shape) { *shape = fixed; }

int32_t loom_sample_count_at(const loom_sample_counts *counts, double u)
{
    int32_t i = 0;
    while (i + 1 < counts->n && u >= counts->weight[i]) u -= counts->weight[i++];
    return counts->count[i];
}

/* ---- draws ---- */

static double log_uniform(loom_rng *r, double low, double high)
{
    return loom_sample_exp(loom_sample_uniform(r, loom_sample_log(low), loom_sample_log(high)));
}

/* Every weight times e^N(0, spread) and times tilt^ln(count): above 1 the larger counts become more frequent. */
static void vary_counts(loom_sample_counts *c, loom_rng *r, double spread, double tilt)
{
    double sum = 0, slope = loom_sample_log(tilt);
    for (int32_t i = 0; i < c->n; i++) {
        double size = loom_sample_log(c->count[i] ? c->count[i] : 1);
        c->weight[i] *= loom_sample_exp(loom_sample_normal(r, 0, spread) + slope * size);
        sum += c->weight[i];
    }
    for (int32_t i = 0; i < c->n; i++) c->weight[i] /= sum;
}

static void add_count(loom_sample_counts *c, int32_t count, double weight)
{
    c->count[c->n] = count;
    c->weight[c->n++] = weight;
}

/* Some systems have no cache, no database or no queue of their own, or call each other by http. */
static void vary_types(loom_sample_shape *s, loom_rng *r)
{
    double factor[LOOM_CALL_TYPES];
    for (int t = 0; t < LOOM_CALL_TYPES; t++) factor[t] = loom_sample_exp(loom_sample_normal(r, 0, 0.7));
    for (int t = LOOM_CALL_MC; t < LOOM_CALL_TYPES; t++)
        if (loom_rng_chance(r, 0.15)) factor[t] = 0;
    factor[LOOM_CALL_RPC] *= log_uniform(r, 0.7, 6);
    bool web = loom_rng_chance(r, 0.3), queues = loom_rng_chance(r, 0.3);
    for (int d = 0; d < LOOM_SAMPLE_TYPE_DEPTHS; d++) {
        for (int t = 0; t < LOOM_CALL_TYPES; t++) s->types[d][t] *= factor[t];
        if (web) s->types[d][LOOM_CALL_HTTP] += 0.2;
        if (queues) s->types[d][LOOM_CALL_MQ] += 0.05;
    }
    s->root_http = loom_rng_chance(r, 0.25) ? loom_rng_f64(r) : fixed.root_http;
}

/* One scale for the whole world, from milliseconds to seconds, and deviations of each type. Where calls are slow, few
 * take less than half a millisecond. */
static void vary_times(loom_sample_shape *s, loom_rng *r)
{
    double scale = loom_rng_chance(r, 0.5) ? loom_sample_uniform(r, -0.3, 0.8) : loom_sample_uniform(r, 0, 4.5);
    double tail = loom_sample_uniform(r, 0.7, 1.6);
    for (int t = 0; t < LOOM_CALL_TYPES; t++) {
        loom_sample_time *time = &s->times[t];
        time->mu += scale + loom_sample_normal(r, 0, 0.4);
        time->sd *= tail * loom_sample_exp(loom_sample_normal(r, 0, 0.2));
        time->p0 *= loom_sample_uniform(r, 0.3, 1.5) * loom_sample_exp(scale > 0 ? -scale : 0);
    }
    s->slow = log_uniform(r, 0.002, 0.03);
    s->heavy = loom_rng_chance(r, 0.3) ? loom_sample_uniform(r, 0.05, 0.4) : fixed.heavy;
    s->heavy_mu = loom_sample_uniform(r, 5, 7.5);
    s->longest = 60000;
}

void loom_sample_shape_draw(loom_sample_shape *s, uint64_t seed)
{
    loom_rng r;
    loom_rng_seed(&r, seed, "shape", 0);
    *s = fixed;
    s->max_name = LOOM_SAMPLE_BASE_MAX_NAME;
    s->max_service = LOOM_SAMPLE_BASE_MAX_SERVICE;
    s->apps = false;
    s->n_entries = (int64_t)log_uniform(&r, 1, 120);
    for (int k = 0; k < LOOM_SAMPLE_KINDS; k++) s->name_slopes[k] = loom_sample_uniform(&r, 0.4, 1.3);
    vary_counts(&s->depths, &r, 0.5, log_uniform(&r, 1, 4.5));
    add_count(&s->children_first, 16, .015);
    add_count(&s->children_first, 24, .010);
    vary_counts(&s->children_first, &r, 0.5, log_uniform(&r, 0.8, 2));
    add_count(&s->children_deeper, 16, .003);
    add_count(&s->children_deeper, 20, .002);
    vary_counts(&s->children_deeper, &r, 0.5, log_uniform(&r, 0.8, 2));
    vary_counts(&s->rare_children, &r, 0.5, log_uniform(&r, 0.7, 1.5));
    s->further = log_uniform(&r, 0.1, 0.6);
    vary_types(s, &r);
    double loops = log_uniform(&r, 0.3, 2);
    for (int i = 1; i < LOOM_SAMPLE_REPEAT_MEANS; i++) s->repeats[i] *= loops;
    s->self_call = loom_rng_chance(&r, 0.6) ? loom_sample_uniform(&r, 0, 0.3) : 0;
    s->miss = loom_sample_uniform(&r, 0.05, 0.5);
    s->overlap = loom_rng_chance(&r, 0.5) ? loom_sample_uniform(&r, 0, 0.6) : fixed.overlap;
    vary_times(s, &r);
}

/* A fifth of the worlds are tiny: some services, some dozen names. */
void loom_sample_sizes_draw(int64_t *n_services, double *zipf, int64_t n_names[LOOM_SAMPLE_KINDS], uint64_t seed)
{
    loom_rng r;
    loom_rng_seed(&r, seed, "sizes", 0);
    bool tiny = loom_rng_chance(&r, 0.2);
    double services = tiny ? log_uniform(&r, 3, 15) : log_uniform(&r, 15, 800);
    double names = (double)loom_min_i64(1500, loom_max_i64(6, (int64_t)(services * log_uniform(&r, 0.6, 4))));
    *n_services = (int64_t)services;
    *zipf = loom_sample_uniform(&r, 0.5, 1.4);
    n_names[LOOM_SAMPLE_STATELESS] = (int64_t)names;
    n_names[LOOM_SAMPLE_CACHE] = 1 + (int64_t)(names * loom_sample_uniform(&r, 0.05, 0.4));
    n_names[LOOM_SAMPLE_DB] = 1 + (int64_t)(names * loom_sample_uniform(&r, 0.05, 0.5));
    n_names[LOOM_SAMPLE_QUEUE] = 1 + (int64_t)(names * loom_sample_uniform(&r, 0, 0.1));
}
