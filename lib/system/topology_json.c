/* Writing topology.json. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/json.h"
#include "core/num.h"
#include "system/in_order.h"
#include "system/topology.h"

typedef struct writer {
    const loom_system_tally *t;
    const loom_topology_conf *conf;
    loom_jw w;
    int32_t *order, *rank; /* operations by key; place of each operation in that order */
    int32_t *deps;         /* dependencies by caller, callee */
    int32_t *place;        /* of each state among those of its operation; -1: start, -2: rare, not placed yet */
} writer;

/* ---- order ---- */

static int32_t ranked(const writer *x, int32_t op) { return op < 0 ? -1 : x->rank[op]; }

static int by_pair(const void *a, const void *b, void *arg)
{
    const writer *x = arg;
    size_t i = (size_t) * (const int32_t *)a, j = (size_t) * (const int32_t *)b;
    int32_t ci = ranked(x, loom_pair_a(&x->t->pairs, i)), cj = ranked(x, loom_pair_a(&x->t->pairs, j));
    if (ci != cj) return ci < cj ? -1 : 1;
    ci = ranked(x, loom_pair_b(&x->t->pairs, i));
    cj = ranked(x, loom_pair_b(&x->t->pairs, j));
    return ci < cj ? -1 : ci > cj;
}

/* Words of a state: operation, times before, calls by rank (sorted); returns how many. */
static int32_t words_of(const writer *x, int32_t state, const int32_t **words)
{
    *words = (const int32_t *)(const void *)loom_intern_text(&x->t->states, state);
    return (int32_t)(loom_intern_len(&x->t->states, state) / sizeof(int32_t));
}

static int32_t word(const int32_t *words, int32_t i)
{
    int32_t v;
    memcpy(&v, words + i, sizeof v);
    return v;
}

static int32_t *order_of(size_t n)
{
    int32_t *list = loom_alloc(n, sizeof *list);
    for (size_t i = 0; list && i < n; i++) list[i] = (int32_t)i;
    return list;
}

/* Calls of a state by rank, into a fresh list. */
typedef struct state_key {
    int32_t op, repeat, n, id;
    int32_t *calls;
} state_key;

static int by_state(const void *a, const void *b)
{
    const state_key *x = a, *y = b;
    if (x->op != y->op) return x->op < y->op ? -1 : 1;
    for (int32_t i = 0; i < x->n && i < y->n; i++)
        if (x->calls[i] != y->calls[i]) return x->calls[i] < y->calls[i] ? -1 : 1;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->repeat < y->repeat ? -1 : x->repeat > y->repeat;
}

static bool key_of(const writer *x, int32_t id, state_key *key, loom_arena *arena)
{
    const int32_t *words;
    int32_t n = words_of(x, id, &words);
    *key = (state_key){
        .op = x->rank[word(words, 0)], .repeat = n > 1 ? word(words, 1) : -1, .n = n > 2 ? n - 2 : 0, .id = id};
    key->calls = loom_arena_alloc(arena, (size_t)key->n * sizeof(int32_t));
    if (!key->calls) return false;
    for (int32_t k = 0; k < key->n; k++) key->calls[k] = x->rank[word(words, k + 2)];
    qsort(key->calls, (size_t)key->n, sizeof(int32_t), loom_compare_i32);
    return true;
}

/* ---- distributions ---- */

static const double quantiles[] = {.01, .05, .1, .25, .5, .75, .9, .95, .99, .999};

static void write_counts(loom_jw *w, const loom_time_counts *t)
{
    int64_t counts[LOOM_TIME_BINS];
    int32_t n = loom_time_counts_spread(t, counts);
    loom_jw_begin_array(w);
    for (int32_t b = 0; b < n; b++) {
        if (counts[b] == 0) continue;
        loom_jw_i64(w, loom_time_bin_value(b));
        loom_jw_i64(w, counts[b]);
    }
    loom_jw_end_array(w);
}

/* All quantiles in one pass over the counts. */
static void write_times(loom_jw *w, const char *key, const loom_time_counts *t, bool with_counts)
{
    int64_t counts[LOOM_TIME_BINS], before = 0;
    double mu, sigma;

    if (t->total == 0) return;
    int32_t n = loom_time_counts_spread(t, counts), b = 0;
    loom_time_counts_lognormal(t, &mu, &sigma);
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "n", t->total);
    loom_jw_kv_f64(w, "p0", (double)counts[0] / (double)t->total);
    loom_jw_kv_f64(w, "mean", loom_time_counts_mean(t));
    loom_jw_key(w, "quantiles");
    loom_jw_begin_array(w);
    for (size_t q = 0; q < sizeof quantiles / sizeof *quantiles; q++) {
        int64_t rank = loom_min_i64((int64_t)floor(quantiles[q] * (double)t->total), t->total - 1);
        while (b < n && before + counts[b] <= rank) before += counts[b++];
        loom_jw_i64(w, loom_time_bin_value(b));
    }
    loom_jw_end_array(w);
    loom_jw_key(w, "lognormal");
    loom_jw_begin_object(w);
    loom_jw_kv_f64(w, "mu", mu);
    loom_jw_kv_f64(w, "sigma", sigma);
    loom_jw_end_object(w);
    if (with_counts) {
        loom_jw_key(w, "counts");
        write_counts(w, t);
    }
    loom_jw_end_object(w);
}

/* ---- automata ---- */

typedef struct automaton {
    const state_key *states; /* of one operation */
    int32_t n;
    int64_t *seen; /* of each state of the tally: how often it was entered */
} automaton;

static void write_stage(loom_jw *w, const state_key *s)
{
    loom_jw_key(w, "calls");
    loom_jw_begin_array(w);
    for (int32_t k = 0; k < s->n; k++) loom_jw_i64(w, s->calls[k]);
    loom_jw_end_array(w);
}

/* Rare states stand together in one, the last. */
static void write_states(writer *x, const automaton *a)
{
    int32_t place = 0;
    int64_t pooled = 0;
    loom_jw_key(&x->w, "states");
    loom_jw_begin_array(&x->w);
    for (int32_t i = 0; i < a->n; i++) {
        const state_key *s = &a->states[i];
        x->place[s->id] = s->repeat < 0 ? -1 : a->seen[s->id] < x->conf->min_count ? -2 : place++;
        if (x->place[s->id] == -2) pooled += a->seen[s->id];
        if (x->place[s->id] < 0) continue;
        loom_jw_begin_object(&x->w);
        write_stage(&x->w, s);
        loom_jw_kv_i64(&x->w, "repeat", s->repeat);
        loom_jw_kv_i64(&x->w, "n", a->seen[s->id]);
        loom_jw_end_object(&x->w);
    }
    if (pooled) {
        loom_jw_begin_object(&x->w);
        loom_jw_key(&x->w, "other");
        loom_jw_begin_array(&x->w);
        for (int32_t i = 0; i < a->n; i++) {
            if (x->place[a->states[i].id] != -2) continue;
            x->place[a->states[i].id] = place;
            loom_jw_begin_object(&x->w);
            write_stage(&x->w, &a->states[i]);
            loom_jw_kv_i64(&x->w, "n", a->seen[a->states[i].id]);
            loom_jw_end_object(&x->w);
        }
        loom_jw_end_array(&x->w);
        loom_jw_kv_i64(&x->w, "n", pooled);
        loom_jw_end_object(&x->w);
    }
    loom_jw_end_array(&x->w);
}

typedef struct step {
    int32_t from, to; /* places; -1: start, end */
    int64_t n;
} step;

static int by_step(const void *a, const void *b)
{
    const step *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static void write_steps(loom_jw *w, step *steps, size_t n)
{
    qsort(steps, n, sizeof *steps, by_step);
    loom_jw_key(w, "steps");
    loom_jw_begin_array(w);
    for (size_t i = 0; i < n;) {
        step s = steps[i];
        for (i++; i < n && steps[i].from == s.from && steps[i].to == s.to; i++) s.n += steps[i].n;
        loom_jw_begin_array(w);
        loom_jw_i64(w, s.from);
        loom_jw_i64(w, s.to);
        loom_jw_i64(w, s.n);
        loom_jw_end_array(w);
    }
    loom_jw_end_array(w);
}

/* ---- the file ---- */

typedef struct share_key {
    int32_t op;
    const char *service;
    int64_t n;
} share_key;

static int by_share(const void *a, const void *b)
{
    const share_key *x = a, *y = b;
    if (x->op != y->op) return x->op < y->op ? -1 : 1;
    return strcmp(x->service, y->service);
}

static void write_i64s(loom_jw *w, const char *key, const int64_t *v, int n)
{
    loom_jw_key(w, key);
    loom_jw_begin_array(w);
    for (int i = 0; i < n; i++) loom_jw_i64(w, v[i]);
    loom_jw_end_array(w);
}

static void write_names(writer *x, int32_t op, const share_key *shares, size_t n_shares)
{
    const loom_operation_tally *o = &x->t->op[op];
    loom_jw *w = &x->w;
    loom_jw_kv_i64(w, "id", x->rank[op]);
    loom_jw_kv_str(w, "microservice", loom_operation_name(&x->t->ops, op));
    loom_jw_kv_str(w, "type", loom_call_type_name(loom_operation_type(&x->t->ops, op)));
    loom_jw_kv_str(w, "service", loom_operation_service(&x->t->ops, op));
    loom_jw_kv_bool(w, "root", loom_operation_is_root(&x->t->ops, op));
    loom_jw_kv_i64(w, "invocations", o->n);
    write_i64s(w, "depth", o->at_depth, LOOM_SYSTEM_DEPTHS);
    if (!loom_operation_service(&x->t->ops, op)[0]) {
        loom_jw_key(w, "services");
        loom_jw_begin_object(w);
        for (size_t i = 0; i < n_shares; i++) loom_jw_kv_i64(w, shares[i].service, shares[i].n);
        loom_jw_end_object(w);
    }
    write_times(w, "own", &o->own, false);
    write_times(w, "response", &o->response, false);
    write_i64s(w, "lead", o->lead, LOOM_LEAD_PARTS + 1);
}

static void write_dependency(writer *x, int32_t i)
{
    const loom_dependency_tally *d = &x->t->dep[i];
    int32_t caller = loom_pair_a(&x->t->pairs, (size_t)i), callee = loom_pair_b(&x->t->pairs, (size_t)i);
    int64_t of = caller < 0 ? x->t->graphs : x->t->op[caller].n;
    loom_jw *w = &x->w;
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "caller", ranked(x, caller));
    loom_jw_kv_i64(w, "callee", ranked(x, callee));
    loom_jw_kv_i64(w, "calls", d->calls);
    loom_jw_kv_i64(w, "with", d->with);
    loom_jw_kv_f64(w, "share", of ? (double)d->with / (double)of : NAN);
    loom_jw_kv_i64(w, "sequential", d->sequential);
    loom_jw_kv_i64(w, "overlapping", d->overlapping);
    loom_jw_key(w, "number");
    write_counts(w, &d->number);
    write_times(w, "response", &d->response, true);
    write_times(w, "own_alone", &d->own[0], true);
    write_times(w, "own_calling", &d->own[1], true);
    write_times(w, "first", &d->first, true);
    write_times(w, "gap", &d->gap, true);
    write_times(w, "offset", &d->offset, true);
    loom_jw_end_object(w);
    loom_buf_char(w->buf, '\n');
}

static bool write_services(writer *x)
{
    const loom_system_tally *t = x->t;
    share_key *list = loom_alloc(t->services.n, sizeof *list);
    if (!list) return false;
    for (size_t i = 0; i < t->services.n; i++)
        list[i] = (share_key){0, loom_intern_text(&t->services, (int64_t)i), t->service[i]};
    qsort(list, t->services.n, sizeof *list, by_share);
    loom_jw_key(&x->w, "services");
    loom_jw_begin_object(&x->w);
    for (size_t i = 0; i < t->services.n; i++) loom_jw_kv_i64(&x->w, list[i].service, list[i].n);
    loom_jw_end_object(&x->w);
    free(list);
    return true;
}

typedef struct op_step {
    int32_t op;
    step s; /* states of the tally; to: LOOM_STATE_END */
} op_step;

static int by_op(const void *a, const void *b)
{
    int32_t x = ((const op_step *)a)->op, y = ((const op_step *)b)->op;
    return x < y ? -1 : x > y;
}

/* What the operations need, sorted by operation, so that each finds its own in a run. */
typedef struct sorted {
    state_key *states;
    share_key *shares;
    op_step *steps;
    step *scratch;
    int64_t *seen;
    loom_arena arena;
} sorted;

static bool sort_all(writer *x, sorted *s)
{
    const loom_system_tally *t = x->t;
    s->states = loom_alloc(t->states.n, sizeof *s->states);
    s->shares = loom_alloc(t->shares.n, sizeof *s->shares);
    s->steps = loom_alloc(t->steps.n, sizeof *s->steps);
    s->scratch = loom_alloc(t->steps.n, sizeof *s->scratch);
    s->seen = loom_calloc(t->states.n, sizeof *s->seen);
    if (!s->states || !s->shares || !s->steps || !s->scratch || !s->seen) return false;
    for (size_t i = 0; i < t->states.n; i++)
        if (!key_of(x, (int32_t)i, &s->states[i], &s->arena)) return false;
    for (size_t i = 0; i < t->shares.n; i++)
        s->shares[i] = (share_key){x->rank[loom_pair_a(&t->shares, i)],
                                   loom_intern_text(&t->services, loom_pair_b(&t->shares, i)), t->share[i]};
    for (size_t i = 0; i < t->steps.n; i++) {
        int32_t from = loom_pair_a(&t->steps, i), to = loom_pair_b(&t->steps, i);
        s->steps[i] = (op_step){s->states[from].op, {from, to, t->step[i]}};
        if (to != LOOM_STATE_END) s->seen[to] += t->step[i];
    }
    qsort(s->states, t->states.n, sizeof *s->states, by_state);
    qsort(s->shares, t->shares.n, sizeof *s->shares, by_share);
    qsort(s->steps, t->steps.n, sizeof *s->steps, by_op);
    return true;
}

static void write_operations(writer *x, const sorted *s)
{
    const loom_system_tally *t = x->t;
    size_t state = 0, share = 0, at = 0;
    loom_jw_key(&x->w, "operations");
    loom_jw_begin_array(&x->w);
    for (size_t i = 0; i < t->ops.keys.n; i++) {
        size_t states = 0, shares = 0, steps = 0;
        while (state + states < t->states.n && s->states[state + states].op == (int32_t)i) states++;
        while (share + shares < t->shares.n && s->shares[share + shares].op == (int32_t)i) shares++;
        automaton a = {s->states + state, (int32_t)states, s->seen};
        loom_jw_begin_object(&x->w);
        write_names(x, x->order[i], s->shares + share, shares);
        write_states(x, &a);
        for (; at < t->steps.n && s->steps[at].op == (int32_t)i; at++) {
            step one = s->steps[at].s;
            s->scratch[steps++] = (step){x->place[one.from], one.to == LOOM_STATE_END ? -1 : x->place[one.to], one.n};
        }
        write_steps(&x->w, s->scratch, steps);
        loom_jw_end_object(&x->w);
        loom_buf_char(x->w.buf, '\n');
        state += states;
        share += shares;
    }
    loom_jw_end_array(&x->w);
}

static void write_head(writer *x, const char *meta)
{
    loom_jw *w = &x->w;
    loom_jw_kv_str(w, "format", LOOM_TOPOLOGY_FORMAT);
    loom_jw_kv_i64(w, "graphs", x->t->graphs);
    loom_jw_kv_i64(w, "calls", x->t->calls);
    loom_jw_kv_i64(w, "deepest", x->t->depth);
    loom_jw_kv_bool(w, "per_service", x->t->ops.per_service);
    loom_jw_kv_i64(w, "min_count", x->conf->min_count);
    loom_jw_key(w, "quantiles");
    loom_jw_begin_array(w);
    for (size_t q = 0; q < sizeof quantiles / sizeof *quantiles; q++) loom_jw_f64(w, quantiles[q]);
    loom_jw_end_array(w);
    if (!meta) return;
    loom_buf_str(w->buf, ",\"meta\":");
    loom_buf_str(w->buf, meta);
    loom_buf_char(w->buf, '\n');
}

static bool write_all(writer *x, const char *meta)
{
    const loom_system_tally *t = x->t;
    sorted s = {0};
    bool ok = sort_all(x, &s);
    if (ok) {
        loom_jw_begin_object(&x->w);
        write_head(x, meta);
        ok = write_services(x);
        write_operations(x, &s);
        loom_jw_key(&x->w, "dependencies");
        loom_jw_begin_array(&x->w);
        for (size_t i = 0; i < t->pairs.n; i++) write_dependency(x, x->deps[i]);
        loom_jw_end_array(&x->w);
        loom_jw_end_object(&x->w);
        loom_buf_char(x->w.buf, '\n');
    }
    free(s.states);
    free(s.shares);
    free(s.steps);
    free(s.scratch);
    free(s.seen);
    loom_arena_release(&s.arena);
    return ok;
}

loom_status loom_topology_render(loom_buf *into, const loom_system_tally *t, const loom_topology_conf *conf,
                                 const char *meta, loom_err *err)
{
    writer x = {.t = t, .conf = conf, .order = loom_names_in_order(&t->ops.keys), .deps = order_of(t->pairs.n)};
    size_t n = t->ops.keys.n;
    x.rank = loom_alloc(n, sizeof *x.rank);
    x.place = loom_calloc(t->states.n, sizeof *x.place);
    bool ok = x.order && x.deps && x.rank && x.place;
    loom_jw_init(&x.w, into, false);
    for (size_t i = 0; ok && i < n; i++) x.rank[x.order[i]] = (int32_t)i;
    if (ok) qsort_r(x.deps, t->pairs.n, sizeof *x.deps, by_pair, &x);
    ok = ok && write_all(&x, meta);
    free(x.order);
    free(x.rank);
    free(x.deps);
    free(x.place);
    return ok ? loom_buf_check(into, "the topology", err) : loom_fail_nomem(err, "the topology");
}
