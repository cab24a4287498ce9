/* Reading topology.json. What the file says is checked before anything is built on it. */
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "system/topology.h"

#define MOST (INT64_C(1) << 50) /* of any count */

typedef struct reader {
    loom_topology *t;
    const char *name;
    loom_err *err;
} reader;

static loom_status bad(const reader *r, const char *what)
{
    return loom_fail(r->err, LOOM_STATUS_FORMAT, "%s: %s; write the file again with `loom-eval topology`", r->name,
                     what);
}

/* A count of the file; absent, negative or huge ones are -1. */
static int64_t count(const loom_json *object, const char *key)
{
    int64_t v = loom_json_i64(loom_json_get(object, key), -1);
    return v > MOST ? -1 : v;
}

static bool read_counts(const loom_json *list, loom_time_counts *into)
{
    size_t n = loom_json_len(list);
    if (n % 2) return false;
    for (size_t i = 0; i < n; i += 2) {
        int64_t v = loom_json_i64(loom_json_at(list, i), -1), k = loom_json_i64(loom_json_at(list, i + 1), -1);
        if (v < 0 || k <= 0 || k > MOST || !loom_time_counts_add(into, v, k)) return false;
    }
    return true;
}

static loom_status read_times(const reader *r, const loom_json *object, const char *key, loom_time_counts *into)
{
    const loom_json *times = loom_json_get(object, key);
    if (loom_json_is_null(times)) return LOOM_OK;
    return read_counts(loom_json_get(times, "counts"), into) ? LOOM_OK : bad(r, "a distribution has no valid counts");
}

/* ---- operations ---- */

static const char *text_of(const reader *r, const loom_json *object, const char *key)
{
    size_t len;
    const char *text = loom_json_str(loom_json_get(object, key), &len);
    return text ? loom_arena_strdup(&r->t->arena, text, len) : NULL;
}

static loom_status read_names(const reader *r, const loom_json *o, loom_topology_operation *into)
{
    const char *type = text_of(r, o, "type");
    into->name = text_of(r, o, "microservice");
    into->service = text_of(r, o, "service");
    into->type = type ? loom_call_type_of(type, strlen(type)) : LOOM_CALL_TYPES;
    LOOM_TRY(loom_json_may_bool(o, "root", &into->root, r->err));
    into->n = count(o, "invocations");
    if (!into->name || !into->service || into->type == LOOM_CALL_TYPES || into->n < 0)
        return bad(r, "an operation has no microservice, type, service or invocations");
    if (!loom_name_fits_record(into->name, strlen(into->name)) ||
        (into->service[0] && !loom_name_fits_record(into->service, strlen(into->service))) ||
        (into->root && !into->service[0]))
        return bad(r, "an operation has a name that no graph can have");
    const loom_json *lead = loom_json_get(o, "lead");
    for (int p = 0; p <= LOOM_LEAD_PARTS; p++)
        into->lead[p] = loom_max_i64(0, loom_json_i64(loom_json_at(lead, (size_t)p), 0) % MOST);
    return LOOM_OK;
}

static loom_status read_stage(const reader *r, const loom_json *s, loom_stage *into)
{
    const loom_json *calls = loom_json_get(s, "calls");
    size_t n = loom_json_len(calls);
    int32_t *list = loom_arena_alloc(&r->t->arena, n * sizeof *list);
    if (!list) return loom_fail_nomem(r->err, "the topology");
    *into = (loom_stage){.calls = list, .n_calls = (int32_t)n, .n = count(s, "n")};
    for (size_t k = 0; k < n; k++) {
        int64_t op = loom_json_i64(loom_json_at(calls, k), -1);
        if (op < 0 || op >= r->t->n_operations) return bad(r, "a state calls an operation that is not in the file");
        list[k] = (int32_t)op;
    }
    return n && into->n >= 0 ? LOOM_OK : bad(r, "a state has no calls or no number");
}

static loom_status read_state(const reader *r, const loom_json *s, loom_topology_state *into)
{
    const loom_json *other = loom_json_get(s, "other");
    size_t n = other ? loom_json_len(other) : 1;
    into->stages = loom_arena_calloc(&r->t->arena, n, sizeof *into->stages);
    if (!into->stages) return loom_fail_nomem(r->err, "the topology");
    into->n_stages = (int32_t)n;
    into->repeat = (int32_t)(loom_json_i64(loom_json_get(s, "repeat"), 0) % LOOM_STATE_REPEATS);
    into->n = count(s, "n");
    if (n == 0 || into->n < 0) return bad(r, "a state without content or number");
    for (size_t k = 0; k < n; k++) LOOM_TRY(read_stage(r, other ? loom_json_at(other, k) : s, &into->stages[k]));
    return LOOM_OK;
}

static bool add_step(loom_topology_state *s, loom_arena *arena, int32_t to, int64_t n, int32_t room)
{
    if (!s->next) {
        s->next = loom_arena_alloc(arena, (size_t)room * sizeof *s->next);
        s->until = loom_arena_alloc(arena, (size_t)room * sizeof *s->until);
        if (!s->next || !s->until) return false;
    }
    s->next[s->n_next] = to;
    s->until[s->n_next] = n + (s->n_next ? s->until[s->n_next - 1] : 0);
    s->n_next++;
    return true;
}

/* Steps stand by their first state, so that each state's are a run. */
static loom_status read_steps(const reader *r, const loom_json *steps, loom_topology_operation *o)
{
    size_t n = loom_json_len(steps);
    for (size_t i = 0, run; i < n; i += run) {
        int64_t from = loom_json_i64(loom_json_at(loom_json_at(steps, i), 0), -2);
        for (run = 1; i + run < n && loom_json_i64(loom_json_at(loom_json_at(steps, i + run), 0), -2) == from; run++)
            continue;
        if (from < -1 || from >= o->n_states) return bad(r, "a step begins at a state that is not there");
        loom_topology_state *s = from < 0 ? &o->start : &o->states[from];
        if (s->next) return bad(r, "the steps of an operation are not in order");
        for (size_t k = i; k < i + run; k++) {
            const loom_json *step = loom_json_at(steps, k);
            int64_t to = loom_json_i64(loom_json_at(step, 1), -2), times = loom_json_i64(loom_json_at(step, 2), 0);
            if (to < -1 || to >= o->n_states || times <= 0 || times > MOST) return bad(r, "a step leads nowhere");
            if (!add_step(s, &r->t->arena, (int32_t)to, times, (int32_t)run))
                return loom_fail_nomem(r->err, "the topology");
        }
        if (s->until[s->n_next - 1] > MOST) return bad(r, "a state has too many steps");
    }
    return LOOM_OK;
}

static loom_status read_operation(const reader *r, const loom_json *json, loom_topology_operation *o)
{
    const loom_json *states = loom_json_get(json, "states");
    LOOM_TRY(read_names(r, json, o));
    o->n_states = (int32_t)loom_json_len(states);
    o->states = loom_arena_calloc(&r->t->arena, (size_t)o->n_states, sizeof *o->states);
    if (!o->states) return loom_fail_nomem(r->err, "the topology");
    for (int32_t k = 0; k < o->n_states; k++) LOOM_TRY(read_state(r, loom_json_at(states, (size_t)k), &o->states[k]));
    return read_steps(r, loom_json_get(json, "steps"), o);
}

/* ---- dependencies ---- */

static loom_status read_dependency(const reader *r, const loom_json *json, loom_topology_dependency *d)
{
    int64_t caller = loom_json_i64(loom_json_get(json, "caller"), -2),
            callee = loom_json_i64(loom_json_get(json, "callee"), -1);
    if (caller < -1 || caller >= r->t->n_operations || callee < 0 || callee >= r->t->n_operations)
        return bad(r, "a dependency is between operations that are not in the file");
    if (r->t->operations[callee].root != (caller < 0)) return bad(r, "USER calls what is no root, or a root is called");
    d->caller = (int32_t)caller;
    d->callee = (int32_t)callee;
    d->calls = count(json, "calls");
    d->with = count(json, "with");
    d->sequential = count(json, "sequential");
    d->overlapping = count(json, "overlapping");
    if (d->calls < 0 || d->with < 0 || d->sequential < 0 || d->overlapping < 0)
        return bad(r, "a dependency lacks a number");
    if (!read_counts(loom_json_get(json, "number"), &d->number))
        return bad(r, "a dependency has no valid number of calls");
    LOOM_TRY(read_times(r, json, "response", &d->response));
    LOOM_TRY(read_times(r, json, "own_alone", &d->own[0]));
    LOOM_TRY(read_times(r, json, "own_calling", &d->own[1]));
    LOOM_TRY(read_times(r, json, "first", &d->first));
    LOOM_TRY(read_times(r, json, "gap", &d->gap));
    return read_times(r, json, "offset", &d->offset);
}

/* Gives each operation its run of dependencies and adds up its times. */
static loom_status link_dependencies(const reader *r)
{
    loom_topology *t = r->t;
    for (int32_t i = 0; i < t->n_dependencies; i++) {
        loom_topology_dependency *d = &t->dependencies[i], *before = i ? d - 1 : NULL;
        if (before && (before->caller > d->caller || (before->caller == d->caller && before->callee >= d->callee)))
            return bad(r, "the dependencies are not in order");
        if (d->caller >= 0) {
            loom_topology_operation *o = &t->operations[d->caller];
            if (o->n_calls++ == 0) o->first = i;
        }
        loom_topology_operation *callee = &t->operations[d->callee];
        if (!loom_time_counts_merge(&callee->own, &d->own[0]) || !loom_time_counts_merge(&callee->own, &d->own[1]) ||
            !loom_time_counts_merge(&callee->response, &d->response))
            return loom_fail_nomem(r->err, "the topology");
    }
    return LOOM_OK;
}

/* Whatever a state calls must be a dependency of its operation. */
static loom_status check_stages(const reader *r)
{
    const loom_topology *t = r->t;
    for (int32_t i = 0; i < t->n_operations; i++)
        for (int32_t s = 0; s < t->operations[i].n_states; s++)
            for (int32_t k = 0; k < t->operations[i].states[s].n_stages; k++) {
                const loom_stage *stage = &t->operations[i].states[s].stages[k];
                for (int32_t c = 0; c < stage->n_calls; c++)
                    if (loom_topology_dependency_of(t, i, stage->calls[c]) < 0)
                        return bad(r, "a state calls an operation without a dependency on it");
            }
    return LOOM_OK;
}

static loom_status read_all(const reader *r, const loom_json *root)
{
    loom_topology *t = r->t;
    const loom_json *operations = loom_json_get(root, "operations"),
                    *dependencies = loom_json_get(root, "dependencies");
    const char *format = loom_json_str(loom_json_get(root, "format"), NULL);

    if (!format || strcmp(format, LOOM_TOPOLOGY_FORMAT) != 0)
        return bad(r, "not a topology (format " LOOM_TOPOLOGY_FORMAT ")");
    t->graphs = count(root, "graphs");
    t->calls = count(root, "calls");
    t->min_count = count(root, "min_count");
    int64_t deepest = count(root, "deepest");
    LOOM_TRY(loom_json_may_bool(root, "per_service", &t->per_service, r->err));
    size_t n = loom_json_len(operations), m = loom_json_len(dependencies);
    if (t->graphs <= 0 || t->calls < t->graphs || deepest < 1 || deepest > LOOM_ID_MAX_COMPONENTS || n == 0 || m == 0 ||
        n > INT32_MAX || m > INT32_MAX)
        return bad(r, "graphs, calls, operations or dependencies are missing");
    t->depth = (int32_t)deepest;
    t->n_operations = (int32_t)n;
    t->operations = loom_calloc(n, sizeof *t->operations);
    t->dependencies = loom_calloc(m, sizeof *t->dependencies);
    if (!t->operations || !t->dependencies) return loom_fail_nomem(r->err, "the topology");
    for (size_t i = 0; i < n; i++) LOOM_TRY(read_operation(r, loom_json_at(operations, i), &t->operations[i]));
    for (size_t i = 0; i < m; i++) {
        t->n_dependencies = (int32_t)i + 1;
        LOOM_TRY(read_dependency(r, loom_json_at(dependencies, i), &t->dependencies[i]));
    }
    if (t->dependencies[0].caller >= 0) return bad(r, "no operation is a root");
    LOOM_TRY(link_dependencies(r));
    LOOM_TRY(check_stages(r));
    return loom_arena_check(&t->arena, "the topology", r->err);
}

loom_status loom_topology_parse(loom_topology **out, const char *text, size_t len, const char *name, loom_err *err)
{
    loom_json *root = NULL;
    reader r = {.t = loom_calloc(1, sizeof(loom_topology)), .name = name, .err = err};
    loom_status st = r.t ? loom_json_parse(&root, text, len, name, err) : loom_fail_nomem(err, "the topology");
    if (st == LOOM_OK) st = read_all(&r, root);
    loom_json_free(root);
    if (st != LOOM_OK) {
        loom_topology_free(r.t);
        return st;
    }
    *out = r.t;
    return LOOM_OK;
}

loom_status loom_topology_load(loom_topology **out, const char *path, loom_err *err)
{
    loom_json *root = NULL;
    reader r = {.t = loom_calloc(1, sizeof(loom_topology)), .name = path, .err = err};
    loom_status st =
        r.t ? loom_json_read_file(&root, path, LOOM_BOUND_STATS, err) : loom_fail_nomem(err, "the topology");
    if (st == LOOM_OK) st = read_all(&r, root);
    loom_json_free(root);
    if (st != LOOM_OK) {
        loom_topology_free(r.t);
        return st;
    }
    *out = r.t;
    return LOOM_OK;
}

void loom_topology_free(loom_topology *t)
{
    if (!t) return;
    for (int32_t i = 0; t->operations && i < t->n_operations; i++) {
        loom_time_counts_release(&t->operations[i].own);
        loom_time_counts_release(&t->operations[i].response);
    }
    for (int32_t i = 0; t->dependencies && i < t->n_dependencies; i++) {
        loom_topology_dependency *d = &t->dependencies[i];
        loom_time_counts *all[] = {&d->number, &d->response, &d->own[0], &d->own[1], &d->first, &d->gap, &d->offset};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) loom_time_counts_release(all[k]);
    }
    free(t->operations);
    free(t->dependencies);
    loom_arena_release(&t->arena);
    free(t);
}

int32_t loom_topology_dependency_of(const loom_topology *t, int32_t caller, int32_t callee)
{
    int32_t lo = 0, hi = t->n_dependencies - 1;
    while (lo <= hi) {
        int32_t mid = lo + (hi - lo) / 2;
        const loom_topology_dependency *d = &t->dependencies[mid];
        int below = d->caller != caller  ? (d->caller < caller ? 1 : -1)
                    : d->callee < callee ? 1
                    : d->callee > callee ? -1
                                         : 0;
        if (below == 0) return mid;
        if (below > 0) lo = mid + 1;
        else hi = mid - 1;
    }
    return -1;
}

double loom_topology_share(const loom_topology *t, const loom_topology_dependency *d)
{
    int64_t of = d->caller < 0 ? t->graphs : t->operations[d->caller].n;
    return of > 0 ? (double)d->with / (double)of : 0;
}
