#include "preprocess/samples/sample_trace.h"

#include "core/num.h"
#include "preprocess/samples/sample_math.h"

#define MAX_CALLS       150
#define MAX_CALLS_V2021 600   /* its trees are wider on purpose */
#define HEAVY_MAX       60000 /* ms: nothing in the published rows takes longer */
#define STRADDLE        0.024 /* traces put next to a file boundary; less than half of them then straddle it */
#define WRITE_DELAY     50    /* ms */

/* What one execution of a template needs besides the trace. */
typedef struct run {
    const loom_sample_template *t;
    loom_rng *rng;
    loom_sample_trace *trace;
    const loom_sample_world *world;
    double load; /* factor on the own time of stateless callees */
    int32_t max_calls;
} run;

static int64_t draw_arrival(const loom_sample_world *w, loom_rng *r)
{
    int64_t window = loom_sample_window(&w->conf), at;
    do {
        at = (int64_t)loom_rng_below(r, (uint64_t)window);
    } while (!loom_rng_chance(r, (1 + 0.3 * loom_sample_sin_turns((double)at / (double)window)) / 1.3));
    bool straddles = loom_rng_chance(r, STRADDLE);
    double where = loom_rng_f64(r), before = loom_rng_f64(r);
    if (!straddles || !w->conf.quirks || w->conf.n_files < 2) return at;
    int64_t boundary = 1 + (int64_t)(where * (double)(w->conf.n_files - 1));
    at = window / w->conf.n_files * boundary - 1 - (int64_t)(before * WRITE_DELAY);
    return at < 0 ? 0 : at;
}

int64_t loom_sample_arrival(const loom_sample_world *w, int64_t index)
{
    loom_rng r;
    loom_rng_seed(&r, w->conf.seed, "trace", (uint64_t)index);
    return draw_arrival(w, &r);
}

/* 9 * 10^10 numbers with eleven digits; the multiplier shares no factor with their count, so none comes twice. */
int64_t loom_sample_trace_number(const loom_sample_world *w, int64_t index)
{
    const uint64_t count = 90000000000u, multiplier = 38196601127u;
    return (int64_t)(10000000000u + ((uint64_t)index * multiplier + w->trace_shift % count) % count);
}

void loom_sample_trace_release(loom_sample_trace *trace)
{
    free(trace->calls);
    loom_buf_release(&trace->ids);
    *trace = (loom_sample_trace){0};
}

/* ---- executing a template ---- */

static int64_t whole_ms(double x) { return (int64_t)(x + 0.5); }

/* Own time of one call; *slow tells of an injected delay. */
static int64_t own_time(run *g, int32_t slot, bool *slow)
{
    const loom_sample_slot *s = &g->t->slots[slot];
    const loom_sample_time *time = &g->world->shape.times[s->type];
    loom_rng *r = g->rng;
    int64_t own = 0;
    if (!loom_rng_chance(r, time->p0)) {
        double x = loom_sample_exp(loom_sample_normal(r, time->mu + s->offset, time->sd));
        if (s->type == LOOM_CALL_RPC || s->type == LOOM_CALL_HTTP) x *= g->load;
        if (slot == 0) x *= g->t->root_factor[g->trace->mode];
        own = loom_max_i64(1, whole_ms(x));
    }
    *slow = loom_rng_chance(r, g->world->shape.slow);
    if (*slow) own = whole_ms((double)own * loom_sample_exp(loom_sample_uniform(r, 2, 5))) + 20;
    if (slot == 0 && g->t->heavy && loom_rng_chance(r, 0.5))
        own += loom_min_i64(HEAVY_MAX, whole_ms(loom_sample_exp(loom_sample_normal(r, g->world->shape.heavy_mu, 1.3))));
    return loom_min_i64(own, g->world->shape.longest);
}

static int32_t new_call(run *g, int32_t slot, int32_t parent, int64_t start)
{
    loom_sample_trace *t = g->trace;
    const loom_sample_slot *s = &g->t->slots[slot];
    loom_sample_call *c = &t->calls[t->n_calls];
    *c = (loom_sample_call){.slot = slot, .parent = parent, .depth = s->depth, .destination = s->name, .start = start};
    c->source = parent < 0 ? LOOM_SAMPLE_USER : t->calls[parent].destination;
    c->pod = (int32_t)loom_rng_below(g->rng, (uint64_t)g->world->names[s->name].pods);
    c->id_at = t->ids.len;
    if (parent < 0) {
        loom_buf_char(&t->ids, '0');
    } else {
        loom_sample_call *up = &t->calls[parent];
        if (loom_buf_reserve(&t->ids, up->id_len + 24)) /* its own text is the source: it must not move */
            loom_buf_append(&t->ids, t->ids.data + up->id_at, up->id_len);
        loom_buf_char(&t->ids, '.');
        loom_buf_i64(&t->ids, ++up->n_children);
    }
    c->id_len = t->ids.len - c->id_at;
    loom_buf_append(&t->ids, "", 1); /* each id is a C string */
    if (c->depth > t->depth) t->depth = c->depth;
    return t->n_calls++;
}

static void execute(run *g, int32_t slot, int32_t parent, int64_t start);

/* Number of calls that a child slot gets in this execution of its parent. `before` is what the slot before got, *either
 * whether the first of two alternatives was taken. */
static int64_t draw_count(run *g, const loom_sample_slot *s, int64_t before, bool *either)
{
    bool called = false;
    switch (s->rule) {
    case LOOM_SAMPLE_ALONE: called = loom_rng_chance(g->rng, s->p[g->trace->mode]); break;
    case LOOM_SAMPLE_EITHER: called = *either = loom_rng_chance(g->rng, s->p[g->trace->mode]); break;
    case LOOM_SAMPLE_OR: called = !*either; break;
    case LOOM_SAMPLE_MISS: called = before > 0 && loom_rng_chance(g->rng, s->p[g->trace->mode]); break;
    }
    return called ? 1 + loom_sample_geometric(g->rng, s->repeat, LOOM_SAMPLE_REPEATS - 1) : 0;
}

/* Calls the children of a call from `at` on; returns the finish of the last to end, -1 without any. */
static int64_t call_children(run *g, int32_t slot, int32_t self, int64_t at)
{
    const loom_sample_slot *s = &g->t->slots[slot];
    int64_t last = -1, count = 0;
    bool either = false, first = true;
    for (int32_t i = s->first_child; i < s->first_child + s->n_children; i++) {
        count = draw_count(g, &g->t->slots[i], count, &either);
        for (int64_t k = 0; k < count && g->trace->n_calls < g->max_calls; k++) {
            if (!first) at += s->overlap ? (int64_t)loom_rng_below(g->rng, 2) : loom_rng_chance(g->rng, 0.3);
            first = false;
            int32_t child = g->trace->n_calls;
            execute(g, i, self, at);
            const loom_sample_call *c = &g->trace->calls[child];
            last = loom_max_i64(last, c->start + c->rt);
            if (!s->overlap) at = c->start + c->rt;
        }
    }
    return last;
}

static void execute(run *g, int32_t slot, int32_t parent, int64_t start)
{
    int32_t self = new_call(g, slot, parent, start);
    bool slow;
    int64_t own = own_time(g, slot, &slow), rt = own;
    int64_t last = call_children(g, slot, self, start + own / 3);
    if (last >= 0) rt = loom_max_i64(own, last + own / 3 - start);
    g->trace->calls[self].rt = rt;
    g->trace->calls[self].slow = slow;
}

/* Room for every call of a trace, so that drawing needs no more. */
static bool make_room(loom_sample_trace *t, int32_t n)
{
    if (t->cap >= n) return true;
    loom_sample_call *calls = loom_realloc(t->calls, (size_t)n, sizeof *calls);
    if (!calls) return false;
    t->calls = calls;
    t->cap = n;
    return true;
}

bool loom_sample_draw_service(const loom_sample_world *w, int32_t service, loom_rng *r, loom_sample_trace *trace)
{
    const loom_sample_template *t = &w->templates[service];
    run g = {.t = t, .rng = r, .trace = trace, .world = w};
    g.max_calls = w->conf.profile == LOOM_SAMPLE_V2021 ? MAX_CALLS_V2021 : MAX_CALLS;
    trace->index = trace->arrival = 0;
    trace->service = service;
    trace->n_calls = trace->depth = 0;
    loom_buf_reset(&trace->ids);
    if (!make_room(trace, g.max_calls)) return false;
    trace->mode = (int32_t)loom_sample_pick(r, t->mode_weight, t->n_modes);
    g.load = loom_sample_exp(loom_sample_normal(r, 0, 0.15));
    execute(&g, 0, -1, 0);
    return !loom_buf_failed(&trace->ids);
}

bool loom_sample_draw(const loom_sample_world *w, int64_t index, loom_sample_trace *trace)
{
    loom_rng r;
    loom_rng_seed(&r, w->conf.seed, "trace", (uint64_t)index);
    int64_t arrival = draw_arrival(w, &r);
    int32_t service = (int32_t)loom_sample_pick_cum(&r, w->service_cum, w->conf.n_services);
    bool drawn = loom_sample_draw_service(w, service, &r, trace);
    trace->index = index;
    trace->arrival = arrival;
    return drawn;
}
