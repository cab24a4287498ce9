#include "eval/management/forest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"

#define KEY_MOST     512
#define LEAST_SPREAD 0.3 /* of log(1 + ms): what rounding to milliseconds does to short times */

/* "MS_00001 rpc"; 0: longer than `cap`, which no name of a real system is: such calls are known by their kind alone. */
static size_t key_of(char *key, size_t cap, const loom_call *c)
{
    int n = snprintf(key, cap, "%s %s", c->destination, loom_call_type_name(c->type));
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* Response times have long tails: on a scale of logarithms one very slow call does not hide the next. */
static double in_ms(const loom_call *c) { return (double)c->rt; }
static double scaled(const loom_call *c) { return log1p((double)loom_max_i64(c->rt, 0)); }

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
    t->n = LOOM_CALL_TYPES;
    for (size_t i = 0; t->of && i < t->names.n; i++) t->of[i] = t->seen[i] >= LOOM_FOREST_SEEN ? (int32_t)t->n++ : -1;
    t->mean = loom_calloc((size_t)t->n, sizeof *t->mean);
    t->std = loom_calloc((size_t)t->n, sizeof *t->std);
    t->std_ms = loom_calloc((size_t)t->n, sizeof *t->std_ms);
    return t->of && t->mean && t->std && t->std_ms ? LOOM_OK : loom_fail_nomem(err, "types");
}

/* Sums of one pass over the calls: of every type, and of the kinds of calls, which hold all of theirs. */
static void add_calls(double *sum, int64_t *count, const loom_node_types *t, double (*of)(const loom_call *),
                      const double *mean, const loom_graph *g)
{
    for (int32_t k = 0; k < g->n_calls; k++) {
        const loom_call *c = &g->calls[k];
        int32_t type = loom_node_type(t, c), kind = (int32_t)c->type;
        for (int32_t into = type;; into = kind) {
            double off = of(c) - (mean ? mean[into] : 0);
            sum[into] += mean ? off * off : off;
            count[into]++;
            if (into == kind) break;
        }
    }
}

/* Mean, then spread: a second pass loses no digits. */
static loom_status measure(double *mean, double *std, const loom_node_types *t, double (*of)(const loom_call *),
                           double least, const loom_graph *graphs, const int64_t *index, int64_t n, loom_err *err)
{
    int64_t *count = loom_calloc(2 * (size_t)t->n, sizeof *count);
    if (!count) return loom_fail_nomem(err, "types");
    for (int64_t i = 0; i < n; i++) add_calls(mean, count, t, of, NULL, &graphs[index[i]]);
    for (int64_t k = 0; k < t->n; k++) mean[k] /= (double)loom_max_i64(count[k], 1);
    for (int64_t i = 0; i < n; i++) add_calls(std, count + t->n, t, of, mean, &graphs[index[i]]);
    for (int64_t k = 0; k < t->n; k++) std[k] = fmax(sqrt(std[k] / (double)loom_max_i64(count[k], 1)), least);
    free(count);
    return LOOM_OK;
}

static loom_status measure_types(loom_node_types *t, const loom_graph *graphs, const int64_t *index, int64_t n,
                                 loom_err *err)
{
    double *mean_ms = loom_calloc((size_t)t->n, sizeof *mean_ms);
    if (!mean_ms) return loom_fail_nomem(err, "types");
    loom_status st = measure(mean_ms, t->std_ms, t, in_ms, 1, graphs, index, n, err);
    free(mean_ms);
    return st == LOOM_OK ? measure(t->mean, t->std, t, scaled, LEAST_SPREAD, graphs, index, n, err) : st;
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
    return id < 0 || t->of[id] < 0 ? (int32_t)c->type : t->of[id];
}

void loom_node_types_release(loom_node_types *t)
{
    loom_intern_release(&t->names);
    free(t->seen);
    free(t->of);
    free(t->mean);
    free(t->std);
    free(t->std_ms);
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
        f->value[at + k] = (float)((scaled(c) - t->mean[type]) / t->std[type]);
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
