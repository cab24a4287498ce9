#include "eval/management/forest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"

#define KEY_MOST 512

/* "MS_00001 rpc"; 0: longer than `cap`, which no name of a real system is: such calls are "other". */
static size_t key_of(char *key, size_t cap, const loom_call *c)
{
    int n = snprintf(key, cap, "%s %s", c->destination, loom_call_type_name(c->type));
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* ---- types ---- */

static loom_status count_call(loom_node_types *t, const loom_call *c, loom_err *err)
{
    char key[KEY_MOST];
    size_t len = key_of(key, sizeof key, c);
    int64_t before = (int64_t)t->names.n, id = len ? loom_intern_add(&t->names, key, len) : 0;
    if (!len) return LOOM_OK;
    if (id < 0) return loom_fail_nomem(err, "names");
    LOOM_TRY(loom_grow(&t->seen, &t->cap, t->names.n, sizeof *t->seen, err));
    if (id == before) t->seen[id] = 0;
    t->seen[id]++;
    return LOOM_OK;
}

static loom_status number_types(loom_node_types *t, loom_err *err)
{
    t->of = loom_calloc(t->names.n, sizeof *t->of);
    t->n = 1;
    for (size_t i = 0; t->of && i < t->names.n; i++)
        if (t->seen[i] >= LOOM_FOREST_SEEN) t->of[i] = (int32_t)t->n++;
    t->mean = loom_calloc((size_t)t->n, sizeof *t->mean);
    t->std = loom_calloc((size_t)t->n, sizeof *t->std);
    return t->of && t->mean && t->std ? LOOM_OK : loom_fail_nomem(err, "types");
}

/* Mean, then spread: a second pass loses no digits. */
static loom_status measure_types(loom_node_types *t, const loom_graph *graphs, const int64_t *index, int64_t n,
                                 loom_err *err)
{
    int64_t *count = loom_calloc((size_t)t->n, sizeof *count);
    if (!count) return loom_fail_nomem(err, "types");
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < n; i++)
            for (int32_t k = 0; k < graphs[index[i]].n_calls; k++) {
                const loom_call *c = &graphs[index[i]].calls[k];
                int32_t type = loom_node_type(t, c);
                double off = (double)c->rt - t->mean[type];
                if (pass) t->std[type] += off * off;
                else t->mean[type] += (double)c->rt, count[type]++;
            }
        for (int64_t k = 0; k < t->n; k++) {
            double m = (double)loom_max_i64(count[k], 1);
            if (pass) t->std[k] = fmax(sqrt(t->std[k] / m), 1);
            else t->mean[k] /= m;
        }
    }
    free(count);
    return LOOM_OK;
}

loom_status loom_node_types_of(loom_node_types *t, const loom_graph *graphs, const int64_t *index, int64_t n,
                               loom_err *err)
{
    loom_status st = LOOM_OK;
    for (int64_t i = 0; st == LOOM_OK && i < n; i++)
        for (int32_t k = 0; st == LOOM_OK && k < graphs[index[i]].n_calls; k++)
            st = count_call(t, &graphs[index[i]].calls[k], err);
    if (st == LOOM_OK) st = number_types(t, err);
    return st == LOOM_OK ? measure_types(t, graphs, index, n, err) : st;
}

int32_t loom_node_type(const loom_node_types *t, const loom_call *c)
{
    char key[KEY_MOST];
    size_t len = key_of(key, sizeof key, c);
    int64_t id = len ? loom_intern_find(&t->names, key, len) : -1;
    return id < 0 ? 0 : t->of[id];
}

void loom_node_types_release(loom_node_types *t)
{
    loom_intern_release(&t->names);
    free(t->seen);
    free(t->of);
    free(t->mean);
    free(t->std);
    *t = (loom_node_types){0};
}

/* ---- trees ---- */

/* The first calls breadth-first, parents before children. */
static int32_t breadth_first(int32_t order[LOOM_TREE_MOST], const loom_graph *g)
{
    int32_t n = 0, depth = loom_graph_depth(g);
    for (int32_t d = 1; d <= depth && n < LOOM_TREE_MOST; d++)
        for (int32_t i = 0; i < g->n_calls && n < LOOM_TREE_MOST; i++)
            if (g->calls[i].n_id == d) order[n++] = i;
    return n;
}

static int32_t place_of(const int32_t *order, int32_t n, int32_t call)
{
    for (int32_t k = 0; k < n; k++)
        if (order[k] == call) return k;
    return -1;
}

loom_status loom_forest_add(loom_forest *f, const loom_node_types *t, const loom_graph *g, loom_err *err)
{
    int32_t order[LOOM_TREE_MOST], n = breadth_first(order, g);
    LOOM_TRY(loom_grow(&f->first, &f->cap_first, (size_t)f->n + 2, sizeof *f->first, err));
    if (f->n == 0) f->first[0] = 0;
    int64_t at = f->first[f->n];
    size_t need = (size_t)(at + n);
    LOOM_TRY(loom_grow(&f->type, &f->cap_type, need, sizeof *f->type, err));
    LOOM_TRY(loom_grow(&f->parent, &f->cap_parent, need, sizeof *f->parent, err));
    LOOM_TRY(loom_grow(&f->value, &f->cap_value, need, sizeof *f->value, err));
    for (int32_t k = 0; k < n; k++) {
        const loom_call *c = &g->calls[order[k]];
        int32_t type = loom_node_type(t, c);
        f->type[at + k] = type;
        f->parent[at + k] = place_of(order, n, loom_graph_parent(g, order[k]));
        f->value[at + k] = (float)(((double)c->rt - t->mean[type]) / fmax(t->std[type], 1));
    }
    f->cut += n < g->n_calls;
    f->first[++f->n] = at + n;
    return LOOM_OK;
}

loom_trees loom_forest_trees(const loom_forest *f)
{
    return (loom_trees){.n = f->n, .first = f->first, .type = f->type, .parent = f->parent, .value = f->value};
}

double loom_forest_farthest(const loom_forest *f, int64_t i)
{
    double most = 0;
    for (int64_t k = f->first[i]; k < f->first[i + 1]; k++) most = fmax(most, fabs((double)f->value[k]));
    return most;
}

void loom_forest_release(loom_forest *f)
{
    free(f->first);
    free(f->type);
    free(f->parent);
    free(f->value);
    *f = (loom_forest){0};
}
