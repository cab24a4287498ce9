#include "system/contrast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "system/contrast_places.h"
#include "system/in_order.h"

/* One thing in both sets; where a set lacks it, the empty one stands for it. */
static const loom_contrast_operation no_operation;
static const loom_contrast_dependency no_dependency;
static const loom_contrast_path no_path;

typedef struct comparing {
    loom_contrast *c;
    const loom_contrast_tally *set[2];
    const loom_contrast_conf *conf;
    int32_t *mine[2];   /* of each operation of a set: its number in c->ops */
    int32_t *theirs[2]; /* of each operation of c->ops: its number in a set, -1 */
    int32_t n_ops;
} comparing;

static const loom_contrast_operation *operation_in(const comparing *x, int s, int32_t op)
{
    int32_t i = op < 0 ? -1 : x->theirs[s][op];
    return i < 0 ? &no_operation : &x->set[s]->op[i];
}

static const loom_contrast_dependency *dependency_in(const comparing *x, int s, int32_t caller, int32_t callee)
{
    int32_t a = caller < 0 ? -1 : x->theirs[s][caller], b = x->theirs[s][callee];
    int32_t i = (caller >= 0 && a < 0) || b < 0 ? -1 : loom_pair_find(&x->set[s]->pairs, a, b);
    return i < 0 ? &no_dependency : &x->set[s]->dep[i];
}

/* ---- tests ---- */

static loom_change *new_change(comparing *x, loom_change_kind kind)
{
    loom_contrast *c = x->c;
    if (loom_grow(&c->changes, &c->cap, (size_t)c->n_changes + 1, sizeof *c->changes, NULL) != LOOM_OK) return NULL;
    loom_change *one = &c->changes[c->n_changes++];
    *one = (loom_change){.kind = kind, .caller = -1, .callee = -1, .service = -1, .path = -1};
    for (int t = 0; t < LOOM_TESTS; t++)
        one->tests[t] = (loom_tested){.p = NAN, .q = NAN, .before = NAN, .after = NAN, .superiority = NAN};
    return one;
}

static void test_share(const comparing *x, loom_tested *t, int64_t k1, int64_t n1, int64_t k2, int64_t n2)
{
    t->before = n1 > 0 ? (double)k1 / (double)n1 : NAN;
    t->after = n2 > 0 ? (double)k2 / (double)n2 : NAN;
    t->ratio = loom_share_ratio(k1, n1, k2, n2);
    if (k1 + k2 >= x->conf->min_graphs && (k1 < n1 || k2 < n2)) t->p = loom_share_test(k1, n1, k2, n2);
}

static int64_t above(const loom_time_counts *t, int64_t limit)
{
    int64_t counts[LOOM_TIME_BINS], sum = 0;
    int32_t n = loom_time_counts_spread(t, counts);
    for (int32_t b = loom_time_bin(limit) + 1; b < n; b++) sum += counts[b];
    return sum;
}

/* Of how many of each set lie above quantile q of both together; that says as much of one as of the other when
 * nothing has changed. */
static bool test_above(const comparing *x, loom_tested *t, const loom_time_counts *a, const loom_time_counts *b,
                       double q)
{
    loom_time_counts both = {0};
    if (a->total == 0 || b->total == 0) return true;
    bool ok = loom_time_counts_merge(&both, a) && loom_time_counts_merge(&both, b);
    if (ok) {
        int64_t limit = (int64_t)loom_time_counts_quantile(&both, q);
        test_share(x, t, above(a, limit), a->total, above(b, limit), b->total);
    }
    loom_time_counts_release(&both);
    return ok;
}

/* By ranks, which sees a shift of all; by the share of slow ones, which sees what happens to few or from zero; and by
 * ranks within two kinds. t: the first of these three tests. */
static bool test_times(const comparing *x, loom_tested *t, const loom_time_counts *a, const loom_time_counts *b)
{
    loom_tested *kinds = &t[LOOM_TEST_OWN_KINDS - LOOM_TEST_OWN];
    t->before = kinds->before = loom_time_counts_quantile(a, .5);
    t->after = kinds->after = loom_time_counts_quantile(b, .5);
    double p = loom_times_test(a, b, &t->superiority), q = loom_kinds_test(a, b, &kinds->superiority);
    if (a->total + b->total >= x->conf->min_graphs) {
        t->p = p;
        kinds->p = q;
    }
    return test_above(x, &t[LOOM_TEST_OWN_TAIL - LOOM_TEST_OWN], a, b, .9);
}

static bool compare_operation(comparing *x, int32_t op)
{
    const loom_contrast_operation *a = operation_in(x, 0, op), *b = operation_in(x, 1, op);
    loom_change *c = new_change(x, LOOM_CHANGE_OPERATION);
    if (!c) return false;
    c->callee = op;
    c->calls[0] = a->calls;
    c->calls[1] = b->calls;
    c->graphs[0] = a->graphs;
    c->graphs[1] = b->graphs;
    if (!loom_operation_is_root(&x->c->ops, op)) /* of roots that is the share of USER's calls: tested once */
        test_share(x, &c->tests[LOOM_TEST_GRAPHS], a->graphs, x->set[0]->graphs, b->graphs, x->set[1]->graphs);
    return test_times(x, &c->tests[LOOM_TEST_OWN], &a->own, &b->own) &&
           test_times(x, &c->tests[LOOM_TEST_RESPONSE], &a->response, &b->response);
}

/* All invocations, with those that make no call. */
static bool with_none(loom_time_counts *all, const loom_time_counts *number, int64_t invocations)
{
    return loom_time_counts_merge(all, number) && loom_time_counts_add(all, 0, invocations - number->total);
}

/* Where no invocation calls it twice, the share of those that call it says the same. */
static bool test_number(const comparing *x, loom_tested *t, const loom_time_counts *a, int64_t n1,
                        const loom_time_counts *b, int64_t n2)
{
    loom_time_counts all[2] = {{0}, {0}};
    if (!(loom_time_counts_quantile(a, 1) > 1) && !(loom_time_counts_quantile(b, 1) > 1)) return true;
    bool ok = with_none(&all[0], a, n1) && with_none(&all[1], b, n2);
    if (ok && a->total + b->total >= x->conf->min_graphs) {
        t->before = loom_time_counts_mean(&all[0]);
        t->after = loom_time_counts_mean(&all[1]);
        t->p = loom_times_test(&all[0], &all[1], &t->superiority);
    }
    loom_time_counts_release(&all[0]);
    loom_time_counts_release(&all[1]);
    return ok;
}

/* Whether the caller's invocations call it, and more often than the median of all that do, in both sets together. */
static bool test_numbers(const comparing *x, loom_change *c, const loom_contrast_dependency *a,
                         const loom_contrast_dependency *b)
{
    int64_t n1 = c->caller < 0 ? x->set[0]->graphs : operation_in(x, 0, c->caller)->graphs;
    int64_t n2 = c->caller < 0 ? x->set[1]->graphs : operation_in(x, 1, c->caller)->graphs;
    if (n1 == 0 || n2 == 0) return true; /* the caller itself is new or gone */
    test_share(x, &c->tests[LOOM_TEST_ASKED], a->number.total, n1, b->number.total, n2);
    return test_number(x, &c->tests[LOOM_TEST_NUMBER], &a->number, n1, &b->number, n2) &&
           test_above(x, &c->tests[LOOM_TEST_OFTEN], &a->number, &b->number, .5);
}

static bool compare_dependency(comparing *x, int32_t caller, int32_t callee)
{
    const loom_contrast_dependency *a = dependency_in(x, 0, caller, callee), *b = dependency_in(x, 1, caller, callee);
    loom_change *c = new_change(x, LOOM_CHANGE_DEPENDENCY);
    if (!c) return false;
    c->caller = caller;
    c->callee = callee;
    c->calls[0] = a->calls;
    c->calls[1] = b->calls;
    c->graphs[0] = a->graphs;
    c->graphs[1] = b->graphs;
    if (caller >= 0)
        test_share(x, &c->tests[LOOM_TEST_GRAPHS], a->graphs, x->set[0]->graphs, b->graphs, x->set[1]->graphs);
    return test_times(x, &c->tests[LOOM_TEST_RESPONSE], &a->response, &b->response) && test_numbers(x, c, a, b);
}

/* Roots of one service stand together in the order of keys only within a type: all of a name are looked for. */
static bool compare_service(comparing *x, const int32_t *roots, int32_t n)
{
    loom_time_counts times[2] = {{0}, {0}};
    loom_change *c = new_change(x, LOOM_CHANGE_SERVICE);
    bool ok = c != NULL;
    for (int s = 0; ok && s < 2; s++)
        for (int32_t k = 0; ok && k < n; k++) {
            const loom_contrast_operation *o = operation_in(x, s, roots[k]);
            c->service = roots[0];
            c->calls[s] += o->calls;
            c->graphs[s] += o->graphs;
            ok = loom_time_counts_merge(&times[s], &o->response);
        }
    if (ok) {
        test_share(x, &c->tests[LOOM_TEST_GRAPHS], c->graphs[0], x->set[0]->graphs, c->graphs[1], x->set[1]->graphs);
        ok = test_times(x, &c->tests[LOOM_TEST_RESPONSE], &times[0], &times[1]);
    }
    loom_time_counts_release(&times[0]);
    loom_time_counts_release(&times[1]);
    return ok;
}

/* ---- what there is in either set ---- */

static bool number_operations(comparing *x)
{
    for (int s = 0; s < 2; s++) {
        const loom_intern *k = &x->set[s]->ops.keys;
        if (!(x->mine[s] = loom_alloc(k->n, sizeof **x->mine))) return false;
        for (size_t i = 0; i < k->n; i++)
            if ((x->mine[s][i] = (int32_t)loom_intern_add(&x->c->ops.keys, loom_intern_text(k, (int64_t)i),
                                                          loom_intern_len(k, (int64_t)i))) < 0)
                return false;
    }
    x->n_ops = (int32_t)x->c->ops.keys.n;
    for (int s = 0; s < 2; s++) {
        if (!(x->theirs[s] = loom_alloc((size_t)x->n_ops, sizeof **x->theirs))) return false;
        for (int32_t i = 0; i < x->n_ops; i++) x->theirs[s][i] = -1;
        for (size_t i = 0; i < x->set[s]->ops.keys.n; i++) x->theirs[s][x->mine[s][i]] = (int32_t)i;
    }
    return true;
}

typedef struct pair {
    int32_t a, b;
} pair;

static int by_pair(const void *a, const void *b, void *rank)
{
    const pair *x = a, *y = b;
    const int32_t *r = rank;
    int32_t xa = x->a < 0 ? -1 : r[x->a], ya = y->a < 0 ? -1 : r[y->a];
    if (xa != ya) return xa < ya ? -1 : 1;
    return r[x->b] < r[y->b] ? -1 : r[x->b] > r[y->b];
}

static bool compare_dependencies(comparing *x, int32_t *rank)
{
    size_t n = 0, most = x->set[0]->pairs.n + x->set[1]->pairs.n;
    pair *list = loom_alloc(most, sizeof *list);
    bool ok = list != NULL;
    for (int s = 0; ok && s < 2; s++)
        for (size_t i = 0; i < x->set[s]->pairs.n; i++) {
            int32_t a = loom_pair_a(&x->set[s]->pairs, i);
            list[n++] = (pair){a < 0 ? -1 : x->mine[s][a], x->mine[s][loom_pair_b(&x->set[s]->pairs, i)]};
        }
    if (ok) qsort_r(list, n, sizeof *list, by_pair, rank);
    for (size_t i = 0; ok && i < n; i++)
        if (i == 0 || list[i].a != list[i - 1].a || list[i].b != list[i - 1].b)
            ok = compare_dependency(x, list[i].a, list[i].b);
    free(list);
    return ok;
}

typedef struct rooted {
    const char *service;
    int32_t op;
} rooted;

static int by_service(const void *a, const void *b)
{
    const rooted *x = a, *y = b;
    int d = strcmp(x->service, y->service);
    return d ? d : x->op < y->op ? -1 : x->op > y->op;
}

static bool compare_services(comparing *x, const int32_t *order)
{
    rooted *list = loom_alloc((size_t)x->n_ops, sizeof *list);
    int32_t *roots = loom_alloc((size_t)x->n_ops, sizeof *roots), n = 0;
    bool ok = list && roots;
    for (int32_t i = 0; ok && i < x->n_ops; i++)
        if (loom_operation_is_root(&x->c->ops, order[i]))
            list[n++] = (rooted){loom_operation_service(&x->c->ops, order[i]), order[i]};
    if (ok) qsort(list, (size_t)n, sizeof *list, by_service);
    for (int32_t i = 0, m; ok && i < n; i += m) {
        for (m = 0; i + m < n && strcmp(list[i].service, list[i + m].service) == 0; m++) roots[m] = list[i + m].op;
        ok = compare_service(x, roots, m);
    }
    free(list);
    free(roots);
    return ok;
}

/* Paths of both sets in one map: those above before those below. */
static bool compare_paths(comparing *x)
{
    loom_pair_map all = {0};
    int32_t *of[2] = {NULL, NULL}, *where = NULL; /* of each path of a set: its number in `all`; of those: its change */
    bool ok = true;
    for (int s = 0; ok && s < 2; s++) {
        const loom_pair_map *m = &x->set[s]->paths;
        ok = (of[s] = loom_alloc(m->n, sizeof **of)) != NULL;
        for (size_t i = 0; ok && i < m->n; i++) {
            int32_t up = loom_pair_a(m, i);
            ok = (of[s][i] = loom_pair_add(&all, up < 0 ? -1 : of[s][up], x->mine[s][loom_pair_b(m, i)])) >= 0;
        }
    }
    int32_t *in[2] = {loom_alloc(all.n, sizeof(int32_t)), loom_alloc(all.n, sizeof(int32_t))};
    where = loom_alloc(all.n, sizeof *where);
    ok = ok && in[0] && in[1] && where;
    for (int s = 0; ok && s < 2; s++) {
        for (size_t i = 0; i < all.n; i++) in[s][i] = -1;
        for (size_t i = 0; i < x->set[s]->paths.n; i++) in[s][of[s][i]] = (int32_t)i;
    }
    for (size_t i = 0; ok && i < all.n; i++) {
        const loom_contrast_path *a = in[0][i] < 0 ? &no_path : &x->set[0]->path[in[0][i]];
        const loom_contrast_path *b = in[1][i] < 0 ? &no_path : &x->set[1]->path[in[1][i]];
        int32_t up = loom_pair_a(&all, i);
        where[i] = -1;
        if (up < 0) continue; /* the root alone: USER's call of it */
        loom_change *c = new_change(x, LOOM_CHANGE_PATH);
        if (!(ok = c != NULL)) break;
        where[i] = (int32_t)(c - x->c->changes);
        c->callee = loom_pair_b(&all, i);
        c->path = up < 0 ? -1 : where[up];
        c->calls[0] = a->calls;
        c->calls[1] = b->calls;
        c->graphs[0] = a->graphs;
        c->graphs[1] = b->graphs;
        test_share(x, &c->tests[LOOM_TEST_GRAPHS], a->graphs, x->set[0]->graphs, b->graphs, x->set[1]->graphs);
        ok = test_times(x, &c->tests[LOOM_TEST_RESPONSE], &a->response, &b->response);
    }
    for (int s = 0; s < 2; s++) {
        free(of[s]);
        free(in[s]);
    }
    free(where);
    loom_pair_release(&all);
    return ok;
}

/* ---- all tests together ---- */

static bool judge(comparing *x)
{
    loom_contrast *c = x->c;
    size_t n = (size_t)c->n_changes * LOOM_TESTS;
    double *p = loom_alloc(n, sizeof *p), *q = loom_alloc(n, sizeof *q);
    bool ok = p && q;
    for (size_t i = 0; ok && i < n; i++) {
        p[i] = c->changes[i / LOOM_TESTS].tests[i % LOOM_TESTS].p;
        c->n_tests += !isnan(p[i]);
    }
    if (ok) ok = (c->n_found = loom_discoveries(q, p, (int64_t)n, x->conf->fdr)) >= 0;
    for (size_t i = 0; ok && i < n; i++) {
        loom_change *one = &c->changes[i / LOOM_TESTS];
        loom_tested *t = &one->tests[i % LOOM_TESTS];
        t->q = q[i];
        t->found = q[i] <= x->conf->fdr;
        one->found |= t->found;
    }
    free(p);
    free(q);
    return ok;
}

loom_status loom_contrast_compare(loom_contrast *c, const loom_contrast_tally *before, const loom_contrast_tally *after,
                                  const loom_contrast_conf *conf, loom_err *err)
{
    comparing x = {.c = c, .set = {before, after}, .conf = conf};
    int32_t *order = NULL, *rank = NULL;
    bool ok = number_operations(&x);
    c->graphs[0] = before->graphs;
    c->graphs[1] = after->graphs;
    ok = ok && (order = loom_names_in_order(&c->ops.keys)) && (rank = loom_alloc((size_t)x.n_ops, sizeof *rank));

    for (int32_t i = 0; ok && i < x.n_ops; i++) {
        rank[order[i]] = i;
        ok = compare_operation(&x, order[i]);
    }
    ok = ok && compare_dependencies(&x, rank) && compare_services(&x, order) && compare_paths(&x) && judge(&x) &&
         loom_contrast_find_places(c);
    for (int s = 0; s < 2; s++) {
        free(x.mine[s]);
        free(x.theirs[s]);
    }
    free(order);
    free(rank);
    return ok ? LOOM_OK : loom_fail_nomem(err, "the comparison");
}

void loom_contrast_free(loom_contrast *c)
{
    loom_operations_release(&c->ops);
    free(c->changes);
    free(c->places);
    *c = (loom_contrast){0};
}
