#include "system/system_tally.h"

#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/num.h"
#include "system/in_order.h"

/* ---- places to count in; NULL, -1 and false: no memory ---- */

static int32_t enter(loom_system_tally *t, const loom_graph *g, int32_t i)
{
    int32_t op = loom_operation_of(&t->ops, g, i);
    return op >= 0 && loom_grow_zeroed(&t->op, &t->op_cap, (size_t)op + 1, sizeof *t->op) ? op : -1;
}

static loom_dependency_tally *dependency(loom_system_tally *t, int32_t caller, int32_t callee)
{
    int32_t i = loom_pair_add(&t->pairs, caller, callee);
    return i >= 0 && loom_grow_zeroed(&t->dep, &t->dep_cap, (size_t)i + 1, sizeof *t->dep) ? &t->dep[i] : NULL;
}

static bool count_step(loom_system_tally *t, int32_t from, int32_t to, int64_t times)
{
    int32_t i = loom_pair_add(&t->steps, from, to);
    if (i < 0 || !loom_grow_zeroed(&t->step, &t->step_cap, (size_t)i + 1, sizeof *t->step)) return false;
    t->step[i] += times;
    return true;
}

static bool count_service(loom_system_tally *t, const char *name, int64_t times, int32_t *id)
{
    *id = (int32_t)loom_intern_add(&t->services, name, strlen(name));
    if (*id < 0 || !loom_grow_zeroed(&t->service, &t->service_cap, (size_t)*id + 1, sizeof *t->service)) return false;
    t->service[*id] += times;
    return true;
}

static bool count_share(loom_system_tally *t, int32_t op, int32_t service, int64_t times)
{
    int32_t i = loom_pair_add(&t->shares, op, service);
    if (i < 0 || !loom_grow_zeroed(&t->share, &t->share_cap, (size_t)i + 1, sizeof *t->share)) return false;
    t->share[i] += times;
    return true;
}

/* ---- one graph ---- */

static bool count_own(loom_system_tally *t, int32_t i, loom_dependency_tally *d)
{
    const loom_call *c = &t->tree.g->calls[i];
    loom_operation_tally *o = &t->op[t->entered[i]];
    int64_t own = t->tree.own[i];
    bool calls = loom_call_tree_children(&t->tree, i) > 0;

    o->n++;
    o->at_depth[(c->n_id < LOOM_SYSTEM_DEPTHS ? c->n_id : LOOM_SYSTEM_DEPTHS) - 1]++;
    if (calls && own > 0) {
        int64_t lead = loom_max_i64(0, t->tree.g->calls[t->tree.child[t->tree.first[i]]].arrived - c->arrived);
        o->lead[loom_min_i64(LOOM_LEAD_PARTS, (lead * LOOM_LEAD_PARTS + own / 2) / own)]++;
    }
    d->calls++;
    return loom_time_counts_add(&o->own, own, 1) && loom_time_counts_add(&o->response, c->rt, 1) &&
           loom_time_counts_add(&d->response, c->rt, 1) && loom_time_counts_add(&d->own[calls], own, 1);
}

/* Call `c` after its sibling `before` (NULL: it is the first) of the caller `up`; `finish` of all siblings before. */
static bool count_delay(loom_dependency_tally *d, const loom_call *c, const loom_call *before, const loom_call *up,
                        int64_t finish)
{
    if (!before) return loom_time_counts_add(&d->first, c->arrived - up->arrived, 1);
    if (c->arrived < finish) {
        d->overlapping++;
        return loom_time_counts_add(&d->offset, c->arrived - before->arrived, 1);
    }
    d->sequential++;
    return loom_time_counts_add(&d->gap, c->arrived - finish, 1);
}

/* Key of a state: the operation, times before, the calls in order of their numbers. How many times before is found by
 * looking which of the keys this invocation, number `now`, has used already. */
static int32_t state_of(loom_system_tally *t, int32_t op, const int32_t *calls, size_t n, int64_t now)
{
    loom_buf *key = &t->key;
    loom_buf_reset(key);
    loom_buf_append(key, &op, sizeof op);
    int32_t times = 0;
    loom_buf_append(key, &times, sizeof times);
    loom_buf_append(key, calls, n * sizeof *calls);
    if (loom_buf_failed(key)) return -1;
    for (;; times++) {
        memcpy(key->data + sizeof op, &times, sizeof times);
        int64_t id = loom_intern_add(&t->states, key->data, key->len);
        if (id < 0 || id >= LOOM_STATE_END ||
            !loom_grow_zeroed(&t->used, &t->used_cap, (size_t)id + 1, sizeof *t->used))
            return -1;
        bool taken = t->used[id] == now;
        t->used[id] = now;
        if (!taken || times + 1 >= LOOM_STATE_REPEATS) return (int32_t)id;
    }
}

static int32_t start_state(loom_system_tally *t, int32_t op)
{
    int64_t id = loom_intern_add(&t->states, (const char *)&op, sizeof op);
    return id < 0 || id >= LOOM_STATE_END ? -1 : (int32_t)id;
}

/* The stages of call i as steps of its operation's automaton. */
static bool count_stages(loom_system_tally *t, int32_t i)
{
    const loom_call_tree *tree = &t->tree;
    int32_t n = loom_call_tree_children(tree, i), from = tree->first[i];
    int32_t *calls = t->entered + tree->g->n_calls; /* add_graph makes room behind */
    int32_t state = start_state(t, t->entered[i]);
    int64_t now = t->calls + i + 1;

    for (int32_t k = 0; k < n && state >= 0;) {
        int32_t m = 0, stage = tree->stage[tree->child[from + k]];
        for (; k < n && tree->stage[tree->child[from + k]] == stage; k++)
            calls[m++] = t->entered[tree->child[from + k]];
        qsort(calls, (size_t)m, sizeof *calls, loom_compare_i32);
        int32_t next = state_of(t, t->entered[i], calls, (size_t)m, now);
        if (next < 0 || !count_step(t, state, next, 1)) return false;
        state = next;
    }
    return state >= 0 && count_step(t, state, LOOM_STATE_END, 1);
}

/* How often call i calls each of the operations it calls. */
static bool count_numbers(loom_system_tally *t, int32_t i)
{
    const loom_call_tree *tree = &t->tree;
    int32_t n = loom_call_tree_children(tree, i), *calls = t->entered + tree->g->n_calls;
    for (int32_t k = 0; k < n; k++) calls[k] = t->entered[tree->child[tree->first[i] + k]];
    qsort(calls, (size_t)n, sizeof *calls, loom_compare_i32);
    for (int32_t k = 0, m; k < n; k += m) {
        for (m = 1; k + m < n && calls[k + m] == calls[k]; m++) continue;
        loom_dependency_tally *d = dependency(t, t->entered[i], calls[k]);
        if (!d || !loom_time_counts_add(&d->number, m, 1)) return false;
        d->with++;
    }
    return true;
}

static bool count_children(loom_system_tally *t, int32_t i)
{
    const loom_call_tree *tree = &t->tree;
    const loom_call *calls = tree->g->calls, *before = NULL;
    int64_t finish = INT64_MIN;

    for (int32_t k = tree->first[i]; k < tree->first[i + 1]; k++) {
        int32_t child = tree->child[k];
        const loom_call *c = &calls[child];
        loom_dependency_tally *d = dependency(t, t->entered[i], t->entered[child]);
        if (!d || !count_delay(d, c, before, &calls[i], finish) || !count_own(t, child, d)) return false;
        before = c;
        finish = loom_max_i64(finish, loom_call_finish(c));
    }
    return count_numbers(t, i) && count_stages(t, i);
}

static bool add_graph(loom_system_tally *t, const loom_graph *g)
{
    int32_t service;
    if (!loom_call_tree_fill(&t->tree, g) || !count_service(t, g->service, 1, &service)) return false;
    if (loom_grow(&t->entered, &t->entered_cap, 2 * (size_t)g->n_calls, sizeof *t->entered, NULL) != LOOM_OK)
        return false;
    for (int32_t i = 0; i < g->n_calls; i++) {
        if ((t->entered[i] = enter(t, g, i)) < 0 || !count_share(t, t->entered[i], service, 1)) return false;
        if (g->calls[i].n_id > t->depth) t->depth = g->calls[i].n_id;
    }
    loom_dependency_tally *root = dependency(t, -1, t->entered[0]);
    if (!root || !count_own(t, 0, root) || !loom_time_counts_add(&root->number, 1, 1)) return false;
    root->with++;
    for (int32_t i = 0; i < g->n_calls; i++)
        if (!count_children(t, i)) return false;
    t->graphs++;
    t->calls += g->n_calls;
    return true;
}

loom_status loom_system_tally_add(loom_system_tally *t, const loom_graph *g, loom_err *err)
{
    return add_graph(t, g) ? LOOM_OK : loom_fail_nomem(err, "the topology");
}

/* ---- joining ---- */

static bool join_operation(loom_operation_tally *into, loom_operation_tally *from)
{
    into->n += from->n;
    for (int d = 0; d < LOOM_SYSTEM_DEPTHS; d++) into->at_depth[d] += from->at_depth[d];
    for (int p = 0; p <= LOOM_LEAD_PARTS; p++) into->lead[p] += from->lead[p];
    return loom_time_counts_take(&into->own, &from->own) && loom_time_counts_take(&into->response, &from->response);
}

static bool join_dependency(loom_dependency_tally *into, loom_dependency_tally *from)
{
    into->calls += from->calls;
    into->with += from->with;
    into->sequential += from->sequential;
    into->overlapping += from->overlapping;
    return loom_time_counts_take(&into->response, &from->response) &&
           loom_time_counts_take(&into->own[0], &from->own[0]) && loom_time_counts_take(&into->own[1], &from->own[1]) &&
           loom_time_counts_take(&into->first, &from->first) && loom_time_counts_take(&into->gap, &from->gap) &&
           loom_time_counts_take(&into->offset, &from->offset) && loom_time_counts_take(&into->number, &from->number);
}

/* Gives the numbers in `t` of operations that are `from`'s. */
static bool join_operations(loom_system_tally *t, loom_system_tally *from, int32_t *op)
{
    const loom_intern *k = &from->ops.keys;
    int32_t *order = loom_names_in_order(k);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < k->n; n++) {
        int32_t i = order[n];
        op[i] = (int32_t)loom_intern_add(&t->ops.keys, loom_intern_text(k, i), loom_intern_len(k, i));
        ok = op[i] >= 0 && loom_grow_zeroed(&t->op, &t->op_cap, (size_t)op[i] + 1, sizeof *t->op) &&
             join_operation(&t->op[op[i]], &from->op[i]);
    }
    free(order);
    return ok;
}

static bool join_dependencies(loom_system_tally *t, loom_system_tally *from, const int32_t *op)
{
    int32_t *order = loom_pairs_in_order(&from->pairs, op, op, from->ops.keys.n);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < from->pairs.n; n++) {
        size_t i = (size_t)order[n];
        int32_t a = loom_pair_a(&from->pairs, i);
        loom_dependency_tally *d = dependency(t, a < 0 ? -1 : op[a], op[loom_pair_b(&from->pairs, i)]);
        ok = d && join_dependency(d, &from->dep[i]);
    }
    free(order);
    return ok;
}

/* The keys of `from`'s states with the operations' numbers in `t`, in the same places. */
static bool renumber_states(loom_intern *out, const loom_system_tally *from, const int32_t *op)
{
    loom_buf key = {0};
    bool ok = true;
    for (size_t i = 0; i < from->states.n && ok; i++) {
        size_t len = loom_intern_len(&from->states, (int64_t)i), n = len / sizeof(int32_t);
        loom_buf_reset(&key);
        loom_buf_append(&key, loom_intern_text(&from->states, (int64_t)i), len);
        if (!(ok = !loom_buf_failed(&key))) break;
        int32_t *word = (int32_t *)(void *)key.data;
        word[0] = op[word[0]];
        for (size_t k = 2; k < n; k++) word[k] = op[word[k]];
        if (n > 2) qsort(word + 2, n - 2, sizeof *word, loom_compare_i32);
        ok = loom_intern_add(out, key.data, key.len) >= 0;
    }
    loom_buf_release(&key);
    return ok;
}

static bool join_states(loom_system_tally *t, const loom_system_tally *from, const int32_t *op, int32_t *state)
{
    loom_intern keys = {0};
    int32_t *order = renumber_states(&keys, from, op) ? loom_names_in_order(&keys) : NULL;
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < keys.n; n++) {
        int32_t i = order[n];
        state[i] = (int32_t)loom_intern_add(&t->states, loom_intern_text(&keys, i), loom_intern_len(&keys, i));
        ok = state[i] >= 0;
    }
    free(order);
    loom_intern_release(&keys);
    return ok;
}

static bool join_steps(loom_system_tally *t, const loom_system_tally *from, const int32_t *state)
{
    int32_t *order = loom_pairs_in_order(&from->steps, state, state, from->states.n);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < from->steps.n; n++) {
        size_t i = (size_t)order[n];
        int32_t to = loom_pair_b(&from->steps, i);
        ok = count_step(t, state[loom_pair_a(&from->steps, i)], to == LOOM_STATE_END ? to : state[to], from->step[i]);
    }
    free(order);
    return ok;
}

static bool join_services(loom_system_tally *t, const loom_system_tally *from, int32_t *service)
{
    const loom_intern *names = &from->services;
    int32_t *order = loom_names_in_order(names);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < names->n; n++)
        ok = count_service(t, loom_intern_text(names, order[n]), from->service[order[n]], &service[order[n]]);
    free(order);
    return ok;
}

static bool join_shares(loom_system_tally *t, const loom_system_tally *from, const int32_t *op, const int32_t *service)
{
    int32_t *order = loom_pairs_in_order(&from->shares, op, service, from->services.n);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < from->shares.n; n++) {
        size_t i = (size_t)order[n];
        ok = count_share(t, op[loom_pair_a(&from->shares, i)], service[loom_pair_b(&from->shares, i)], from->share[i]);
    }
    free(order);
    return ok;
}

loom_status loom_system_tally_join(loom_system_tally *t, loom_system_tally *from, loom_err *err)
{
    int32_t *op = loom_alloc(from->ops.keys.n, sizeof *op), *state = loom_alloc(from->states.n, sizeof *state);
    int32_t *service = loom_alloc(from->services.n, sizeof *service);
    bool ok = op && state && service && join_operations(t, from, op) && join_dependencies(t, from, op) &&
              join_states(t, from, op, state) && join_steps(t, from, state) && join_services(t, from, service) &&
              join_shares(t, from, op, service);

    t->graphs += from->graphs;
    t->calls += from->calls;
    if (from->depth > t->depth) t->depth = from->depth;
    free(op);
    free(state);
    free(service);
    return ok ? LOOM_OK : loom_fail_nomem(err, "the topology");
}

void loom_system_tally_release(loom_system_tally *t)
{
    for (size_t i = 0; i < t->op_cap; i++) {
        loom_time_counts_release(&t->op[i].own);
        loom_time_counts_release(&t->op[i].response);
    }
    for (size_t i = 0; i < t->dep_cap; i++) {
        loom_dependency_tally *d = &t->dep[i];
        loom_time_counts *all[] = {&d->response, &d->own[0], &d->own[1], &d->first, &d->gap, &d->offset, &d->number};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) loom_time_counts_release(all[k]);
    }
    loom_operations_release(&t->ops);
    loom_pair_release(&t->pairs);
    loom_pair_release(&t->steps);
    loom_pair_release(&t->shares);
    loom_intern_release(&t->states);
    loom_intern_release(&t->services);
    loom_call_tree_release(&t->tree);
    loom_buf_release(&t->key);
    free(t->op);
    free(t->dep);
    free(t->step);
    free(t->service);
    free(t->share);
    free(t->entered);
    free(t->used);
    *t = (loom_system_tally){0};
}
