#include "system/contrast_tally.h"

#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/num.h"
#include "system/in_order.h"

/* False and -1, here and below: no memory. */
static bool reach_op(loom_contrast_tally *t, int32_t i)
{
    return i >= 0 && loom_grow_zeroed(&t->op, &t->op_cap, (size_t)i + 1, sizeof *t->op) &&
           loom_grow_zeroed(&t->op_draw, &t->op_draw_cap, (size_t)i + 1, sizeof *t->op_draw);
}

static bool reach_dep(loom_contrast_tally *t, int32_t i)
{
    return i >= 0 && loom_grow_zeroed(&t->dep, &t->dep_cap, (size_t)i + 1, sizeof *t->dep) &&
           loom_grow_zeroed(&t->dep_draw, &t->dep_draw_cap, (size_t)i + 1, sizeof *t->dep_draw);
}

static bool reach_path(loom_contrast_tally *t, int32_t i)
{
    return i >= 0 && loom_grow_zeroed(&t->path, &t->path_cap, (size_t)i + 1, sizeof *t->path) &&
           loom_grow_zeroed(&t->path_draw, &t->path_draw_cap, (size_t)i + 1, sizeof *t->path_draw);
}

/* ---- one graph ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static uint64_t content_of(const loom_graph *g)
{
    uint64_t h = loom_hash64(g->service, strlen(g->service), (uint64_t)g->time_of_day);
    for (int32_t i = 0; i < g->n_calls; i++) h = mix(h, (uint64_t)g->calls[i].arrived << 24 ^ (uint64_t)g->calls[i].rt);
    return h;
}

/* The n-th of a kind replaces the one drawn before with probability 1/n. */
static void draw(loom_contrast_draw *d, int64_t graph, int32_t call, uint64_t h)
{
    if (d->graph != graph + 1) *d = (loom_contrast_draw){.graph = graph + 1};
    d->n++;
    if (d->n == 1 || mix(h, (uint64_t)call) % (uint64_t)d->n == 0) d->call = call;
}

/* How often the drawn invocation calls each of its dependencies. */
static bool count_numbers(loom_contrast_tally *t, int32_t call, const int32_t *dep, int32_t *room)
{
    int32_t n = loom_call_tree_children(&t->tree, call);
    for (int32_t k = 0; k < n; k++) room[k] = dep[t->tree.child[t->tree.first[call] + k]];
    qsort(room, (size_t)n, sizeof *room, loom_compare_i32);
    for (int32_t k = 0, m; k < n; k += m) {
        for (m = 1; k + m < n && room[k + m] == room[k]; m++) continue;
        if (!loom_time_counts_add(&t->dep[room[k]].number, m, 1)) return false;
    }
    return true;
}

/* What was drawn is counted where the last call of its kind stands: once. */
static bool count_drawn(loom_contrast_tally *t, const int32_t *op, const int32_t *dep, const int32_t *path,
                        int32_t *room)
{
    const loom_graph *g = t->tree.g;
    for (int32_t i = 0; i < g->n_calls; i++) {
        loom_contrast_draw *o = &t->op_draw[op[i]], *d = &t->dep_draw[dep[i]],
                           *p = path[i] < 0 ? NULL : &t->path_draw[path[i]];
        if (--o->n == 0) {
            loom_contrast_operation *into = &t->op[op[i]];
            into->graphs++;
            if (!loom_time_counts_add(&into->own, t->tree.own[o->call], 1) ||
                !loom_time_counts_add(&into->response, g->calls[o->call].rt, 1) ||
                !count_numbers(t, o->call, dep, room))
                return false;
        }
        if (--d->n == 0) {
            t->dep[dep[i]].graphs++;
            if (!loom_time_counts_add(&t->dep[dep[i]].response, g->calls[d->call].rt, 1)) return false;
        }
        if (p && --p->n == 0) {
            t->path[path[i]].graphs++;
            if (!loom_time_counts_add(&t->path[path[i]].response, g->calls[p->call].rt, 1)) return false;
        }
    }
    return loom_time_counts_add(&t->dep[dep[0]].number, 1, 1); /* USER calls the root */
}

static bool add_graph(loom_contrast_tally *t, const loom_graph *g)
{
    size_t n = (size_t)g->n_calls;
    if (!loom_call_tree_fill(&t->tree, g) || loom_grow(&t->work, &t->work_cap, 4 * n, sizeof *t->work, NULL) != LOOM_OK)
        return false;
    int32_t *op = t->work, *dep = op + n, *path = dep + n;
    uint64_t h = content_of(g);
    for (int32_t i = 0; i < g->n_calls; i++) {
        int32_t up = t->tree.parent[i];
        op[i] = loom_operation_of(&t->ops, g, i);
        if (!reach_op(t, op[i])) return false;
        dep[i] = loom_pair_add(&t->pairs, up < 0 ? -1 : op[up], op[i]);
        if (!reach_dep(t, dep[i])) return false;
        path[i] = -1;
        if (g->calls[i].n_id <= t->path_depth &&
            !reach_path(t, path[i] = loom_pair_add(&t->paths, up < 0 ? -1 : path[up], op[i])))
            return false;
        t->op[op[i]].calls++;
        t->dep[dep[i]].calls++;
        draw(&t->op_draw[op[i]], t->graphs, i, h);
        draw(&t->dep_draw[dep[i]], t->graphs, i, h + 1);
        if (path[i] < 0) continue;
        t->path[path[i]].calls++;
        draw(&t->path_draw[path[i]], t->graphs, i, h + 2);
    }
    if (!count_drawn(t, op, dep, path, path + n)) return false;
    t->graphs++;
    t->calls += g->n_calls;
    return true;
}

loom_status loom_contrast_add(loom_contrast_tally *t, const loom_graph *g, loom_err *err)
{
    return add_graph(t, g) ? LOOM_OK : loom_fail_nomem(err, "the counts of a set of graphs");
}

/* ---- joining ---- */

static bool join_operation(loom_contrast_tally *t, loom_contrast_tally *from, int32_t i, int32_t *op)
{
    const loom_intern *k = &from->ops.keys;
    *op = (int32_t)loom_intern_add(&t->ops.keys, loom_intern_text(k, i), loom_intern_len(k, i));
    if (!reach_op(t, *op)) return false;
    loom_contrast_operation *o = &t->op[*op];
    o->calls += from->op[i].calls;
    o->graphs += from->op[i].graphs;
    return loom_time_counts_take(&o->own, &from->op[i].own) &&
           loom_time_counts_take(&o->response, &from->op[i].response);
}

static bool join_operations(loom_contrast_tally *t, loom_contrast_tally *from, int32_t *op)
{
    int32_t *order = loom_names_in_order(&from->ops.keys);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < from->ops.keys.n; n++) ok = join_operation(t, from, order[n], &op[order[n]]);
    free(order);
    return ok;
}

static bool join_dependency(loom_contrast_tally *t, loom_contrast_tally *from, size_t i, const int32_t *op)
{
    int32_t a = loom_pair_a(&from->pairs, i),
            d = loom_pair_add(&t->pairs, a < 0 ? -1 : op[a], op[loom_pair_b(&from->pairs, i)]);
    if (!reach_dep(t, d)) return false;
    t->dep[d].calls += from->dep[i].calls;
    t->dep[d].graphs += from->dep[i].graphs;
    return loom_time_counts_take(&t->dep[d].number, &from->dep[i].number) &&
           loom_time_counts_take(&t->dep[d].response, &from->dep[i].response);
}

static bool join_dependencies(loom_contrast_tally *t, loom_contrast_tally *from, const int32_t *op)
{
    int32_t *order = loom_pairs_in_order(&from->pairs, op, op, from->ops.keys.n);
    bool ok = order != NULL;
    for (size_t n = 0; ok && n < from->pairs.n; n++) ok = join_dependency(t, from, (size_t)order[n], op);
    free(order);
    return ok;
}

static bool join_path(loom_contrast_tally *t, loom_contrast_tally *from, size_t i, const int32_t *op, int32_t *path)
{
    int32_t a = loom_pair_a(&from->paths, i);
    path[i] = loom_pair_add(&t->paths, a < 0 ? -1 : path[a], op[loom_pair_b(&from->paths, i)]);
    if (!reach_path(t, path[i])) return false;
    t->path[path[i]].calls += from->path[i].calls;
    t->path[path[i]].graphs += from->path[i].graphs;
    return loom_time_counts_take(&t->path[path[i]].response, &from->path[i].response);
}

/* Level by level: a path stands behind the one above it, and the order of a level follows from that of the level
 * above. `path` holds levels until it holds numbers. */
static bool join_paths(loom_contrast_tally *t, loom_contrast_tally *from, const int32_t *op, int32_t *path)
{
    size_t n = from->paths.n;
    int32_t *level = loom_alloc(n, sizeof *level), deepest = -1;
    bool ok = level != NULL;
    for (size_t i = 0; ok && i < n; i++) { /* the path above has a smaller number */
        int32_t a = loom_pair_a(&from->paths, i);
        level[i] = a < 0 ? 0 : level[a] + 1;
        if (level[i] > deepest) deepest = level[i];
        path[i] = 0;
    }
    for (int32_t l = 0; ok && l <= deepest; l++) {
        int32_t *order = loom_pairs_in_order(&from->paths, path, op, from->ops.keys.n);
        ok = order != NULL;
        for (size_t k = 0; ok && k < n; k++)
            if (level[order[k]] == l) ok = join_path(t, from, (size_t)order[k], op, path);
        free(order);
    }
    free(level);
    return ok;
}

loom_status loom_contrast_join(loom_contrast_tally *t, loom_contrast_tally *from, loom_err *err)
{
    int32_t *op = loom_alloc(from->ops.keys.n, sizeof *op), *path = loom_alloc(from->paths.n, sizeof *path);
    bool ok =
        op && path && join_operations(t, from, op) && join_dependencies(t, from, op) && join_paths(t, from, op, path);
    t->graphs += from->graphs;
    t->calls += from->calls;
    free(op);
    free(path);
    return ok ? LOOM_OK : loom_fail_nomem(err, "the counts of a set of graphs");
}

void loom_contrast_release(loom_contrast_tally *t)
{
    for (size_t i = 0; i < t->op_cap; i++) {
        loom_time_counts_release(&t->op[i].own);
        loom_time_counts_release(&t->op[i].response);
    }
    for (size_t i = 0; i < t->dep_cap; i++) {
        loom_time_counts_release(&t->dep[i].number);
        loom_time_counts_release(&t->dep[i].response);
    }
    for (size_t i = 0; i < t->path_cap; i++) loom_time_counts_release(&t->path[i].response);
    loom_operations_release(&t->ops);
    loom_pair_release(&t->pairs);
    loom_pair_release(&t->paths);
    loom_call_tree_release(&t->tree);
    free(t->op);
    free(t->dep);
    free(t->path);
    free(t->op_draw);
    free(t->dep_draw);
    free(t->path_draw);
    free(t->work);
    *t = (loom_contrast_tally){0};
}
