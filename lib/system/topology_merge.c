/* Operations of one microservice put together: what formats that know only services need. */
#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/num.h"
#include "system/topology_export.h"

enum { STEPS = 64 }; /* of an automaton that are walked for the positions */

static bool number_names(loom_merged *m, const loom_topology *t)
{
    size_t n = (size_t)t->n_operations;
    m->names = loom_arena_alloc(&m->arena, n * sizeof *m->names);
    m->of = loom_arena_alloc(&m->arena, n * sizeof *m->of);
    m->own = loom_arena_calloc(&m->arena, n, sizeof *m->own);
    m->invocations = loom_arena_calloc(&m->arena, n, sizeof *m->invocations);
    if (!m->names || !m->of || !m->own || !m->invocations) return false;
    for (size_t i = 0; i < n; i++) m->names[i] = t->operations[i].name;
    qsort(m->names, n, sizeof *m->names, loom_compare_texts);
    for (size_t i = 0; i < n; i++)
        if (m->n == 0 || strcmp(m->names[m->n - 1], m->names[i]) != 0) m->names[m->n++] = m->names[i];
    for (size_t i = 0; i < n; i++) {
        const char **at = bsearch(&t->operations[i].name, m->names, (size_t)m->n, sizeof *m->names, loom_compare_texts);
        m->of[i] = (int32_t)(at - m->names);
        m->invocations[m->of[i]] += t->operations[i].n;
        if (!loom_time_counts_merge(&m->own[m->of[i]], &t->operations[i].own)) return false;
    }
    return true;
}

/* Expected number of the stage of every callee of operation `op`: sum over steps of (probability x step), and of the
 * probability, into position and weight (of each operation). */
static bool walk(const loom_topology *t, int32_t op, double *position, double *weight)
{
    const loom_topology_operation *o = &t->operations[op];
    size_t n = (size_t)o->n_states;
    double *now = loom_calloc(2 * n + 1, sizeof *now), *next = now ? now + n : NULL, left = 1;
    if (!now) return false;
    for (int step = 0; step < STEPS && left > 1e-6; step++) {
        memset(next, 0, n * sizeof *next);
        for (int32_t s = step ? 0 : -1; s < (step ? o->n_states : 0); s++) {
            const loom_topology_state *from = s < 0 ? &o->start : &o->states[s];
            double p = s < 0 ? 1 : now[s];
            for (int32_t k = 0; p > 0 && k < from->n_next; k++) {
                double share =
                    (double)(from->until[k] - (k ? from->until[k - 1] : 0)) / (double)from->until[from->n_next - 1];
                if (from->next[k] >= 0) next[from->next[k]] += p * share;
            }
        }
        left = 0;
        for (int32_t s = 0; s < o->n_states; s++) {
            const loom_topology_state *state = &o->states[s];
            left += next[s];
            for (int32_t k = 0; next[s] > 0 && k < state->n_stages; k++)
                for (int32_t c = 0; c < state->stages[k].n_calls; c++) {
                    double p = next[s] / state->n_stages;
                    position[state->stages[k].calls[c]] += p * step;
                    weight[state->stages[k].calls[c]] += p;
                }
        }
        memcpy(now, next, n * sizeof *now);
    }
    free(now);
    return true;
}

static int by_position(const void *a, const void *b)
{
    const loom_merged_call *x = a, *y = b;
    if (x->caller != y->caller) return x->caller < y->caller ? -1 : 1;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    return x->callee < y->callee ? -1 : x->callee > y->callee;
}

static bool add_call(loom_merged *m, const loom_topology *t, loom_pair_map *map, const loom_topology_dependency *d,
                     double position)
{
    int32_t a = m->of[d->caller], b = m->of[d->callee], i = loom_pair_add(map, a, b);
    if (i < 0) return false;
    loom_merged_call *c = &m->calls[i];
    if (i == m->n_calls) {
        *c = (loom_merged_call){.caller = a, .callee = b, .invocations = m->invocations[a]};
        m->n_calls++;
    }
    c->position += position * (double)d->with;
    c->calls += d->calls;
    c->with += d->with;
    c->overlapping += d->overlapping;
    c->sequential += d->sequential + (t->operations[d->caller].n > 0 ? d->first.total : 0);
    return true;
}

static bool merge_calls(loom_merged *m, const loom_topology *t)
{
    loom_pair_map map = {0};
    double *position = loom_calloc(2 * (size_t)t->n_operations, sizeof *position);
    m->calls = loom_arena_calloc(&m->arena, (size_t)t->n_dependencies, sizeof *m->calls);
    bool ok = position && m->calls;
    for (int32_t op = 0; ok && op < t->n_operations; op++) {
        const loom_topology_operation *o = &t->operations[op];
        double *weight = position + t->n_operations;
        ok = o->n_calls == 0 || walk(t, op, position, weight);
        for (int32_t k = o->first; ok && k < o->first + o->n_calls; k++) {
            int32_t to = t->dependencies[k].callee;
            ok = add_call(m, t, &map, &t->dependencies[k], weight[to] > 0 ? position[to] / weight[to] : 0);
            position[to] = weight[to] = 0;
        }
    }
    for (int32_t i = 0; ok && i < m->n_calls; i++)
        if (m->calls[i].with) m->calls[i].position /= (double)m->calls[i].with;
    if (ok) qsort(m->calls, (size_t)m->n_calls, sizeof *m->calls, by_position);
    free(position);
    loom_pair_release(&map);
    return ok;
}

loom_status loom_topology_merge(loom_merged *m, const loom_topology *t, loom_err *err)
{
    *m = (loom_merged){0};
    if (number_names(m, t) && merge_calls(m, t)) return LOOM_OK;
    loom_merged_release(m);
    return loom_fail_nomem(err, "the microservices of a topology");
}

void loom_merged_release(loom_merged *m)
{
    for (int32_t i = 0; m->own && i < m->n; i++) loom_time_counts_release(&m->own[i]);
    loom_arena_release(&m->arena);
    *m = (loom_merged){0};
}
