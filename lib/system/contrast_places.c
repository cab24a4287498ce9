#include "system/contrast_places.h"

#include <math.h>
#include <stdlib.h>

#include "core/num.h"

typedef struct placing {
    loom_contrast *c;
    int64_t *graphs;  /* of each operation: of the second set */
    bool *explains;   /* of each operation: something it calls has changed */
    int32_t *thinned; /* of each operation: places that are callers of it which call it less */
} placing;

static bool add_place(placing *x, int64_t change, loom_test test, double affected, const char *what)
{
    loom_contrast *c = x->c;
    if (loom_grow(&c->places, &c->place_cap, (size_t)c->n_places + 1, sizeof *c->places, NULL) != LOOM_OK) return false;
    c->places[c->n_places++] =
        (loom_place){.change = (int32_t)change, .test = test, .affected = affected, .what = what};
    return true;
}

/* Graphs whose values are above, less those whose are below, of n. */
static double by_ranks(const loom_tested *t, double n) { return t->found ? n * fabs(2 * t->superiority - 1) : -1; }
static double by_share(const loom_tested *t, double n) { return t->found ? n * fabs(t->after - t->before) : -1; }

/* A call that is made more or less often by a caller that is still invoked. */
static bool place_dependency(placing *x, int64_t i)
{
    const loom_change *d = &x->c->changes[i];
    const loom_tested *asked = &d->tests[LOOM_TEST_ASKED], *often = &d->tests[LOOM_TEST_OFTEN],
                      *number = &d->tests[LOOM_TEST_NUMBER];
    double n = (double)(d->caller < 0 ? x->c->graphs[1] : x->graphs[d->caller]);
    double by_asked = by_share(asked, n), by_often = by_share(often, n * asked->after), by_number = by_ranks(number, n);
    if (by_asked < 0 && by_often < 0 && by_number < 0) return true;
    if (by_asked >= fmax(by_often, by_number))
        return add_place(x, i, LOOM_TEST_ASKED, by_asked,
                         asked->after == 0              ? "gone"
                         : asked->before == 0           ? "new"
                         : asked->after < asked->before ? "fewer calls"
                                                        : "more calls");
    if (by_often >= by_number)
        return add_place(x, i, LOOM_TEST_OFTEN, by_often,
                         often->after < often->before ? "repeated less" : "repeated more");
    return add_place(x, i, LOOM_TEST_NUMBER, by_number, number->superiority < .5 ? "fewer calls" : "more calls");
}

static bool any_of_times(const loom_change *o, loom_test test)
{
    return o->tests[test].found || o->tests[test + 1].found || o->tests[test + 2].found;
}

/* A change of times: the most affected of the three tests that are found. */
static bool place_times(placing *x, int64_t i, loom_test test)
{
    const loom_tested *t = &x->c->changes[i].tests[test];
    double n = (double)x->graphs[x->c->changes[i].callee];
    double all = by_ranks(&t[0], n), tail = by_share(&t[1], n), kinds = by_ranks(&t[2], n);
    int best = tail > fmax(all, kinds) ? 1 : kinds > all ? 2 : 0;
    bool slower = best == 1 ? t[1].after > t[1].before : t[best].superiority > .5;
    return add_place(x, i, (loom_test)((int)test + best), fmax(tail, fmax(all, kinds)), slower ? "slower" : "faster");
}

/* Response time has changed, own time has not been seen to: what it calls tells why, or it is the place itself. */
static bool place_operation(placing *x, int64_t i)
{
    const loom_change *o = &x->c->changes[i];
    if (any_of_times(o, LOOM_TEST_OWN)) return place_times(x, i, LOOM_TEST_OWN);
    if (any_of_times(o, LOOM_TEST_RESPONSE) && !x->explains[o->callee]) return place_times(x, i, LOOM_TEST_RESPONSE);
    return true;
}

static bool is_fewer(const loom_contrast *c, const loom_place *p)
{
    const loom_tested *t = &c->changes[p->change].tests[p->test];
    return c->changes[p->change].kind == LOOM_CHANGE_DEPENDENCY && t->after < t->before;
}

/* An operation that one of its callers calls less is asked by the others in another mix than before: it calls other
 * things, without a change of its own. */
static void mark_mixed(placing *x)
{
    loom_contrast *c = x->c;
    for (int64_t i = 0; i < c->n_places; i++)
        x->thinned[c->changes[c->places[i].change].callee] += is_fewer(c, &c->places[i]);
    for (int64_t i = 0; i < c->n_places; i++) {
        const loom_change *d = &c->changes[c->places[i].change];
        if (d->kind != LOOM_CHANGE_DEPENDENCY || d->caller < 0) continue;
        bool itself = d->caller == d->callee && is_fewer(c, &c->places[i]);
        c->places[i].mixed = x->thinned[d->caller] > itself;
    }
}

static int by_affected(const void *a, const void *b, void *arg)
{
    const loom_place *x = a, *y = b;
    const loom_change *changes = arg;
    double p = changes[x->change].tests[x->test].p, q = changes[y->change].tests[y->test].p;
    if (x->mixed != y->mixed) return x->mixed ? 1 : -1;
    if (x->affected != y->affected) return x->affected > y->affected ? -1 : 1;
    if (p != q) return p < q ? -1 : 1;
    return x->change < y->change ? -1 : x->change > y->change;
}

/* What is found at no place is explained by one. */
static void mark_explained(loom_contrast *c)
{
    for (int64_t i = 0; i < c->n_changes; i++) c->changes[i].explained = c->changes[i].found;
    for (int64_t i = 0; i < c->n_places; i++) c->changes[c->places[i].change].explained = false;
}

static void look_below(placing *x)
{
    for (int64_t i = 0; i < x->c->n_changes; i++) {
        const loom_change *d = &x->c->changes[i];
        if (d->kind == LOOM_CHANGE_OPERATION) x->graphs[d->callee] = d->graphs[1];
        if (d->kind == LOOM_CHANGE_DEPENDENCY && d->caller >= 0) x->explains[d->caller] |= d->found;
    }
}

bool loom_contrast_find_places(loom_contrast *c)
{
    size_t n = c->ops.keys.n;
    placing x = {.c = c,
                 .graphs = loom_calloc(n, sizeof *x.graphs),
                 .explains = loom_calloc(n, sizeof *x.explains),
                 .thinned = loom_calloc(n, sizeof *x.thinned)};
    bool ok = x.graphs && x.explains && x.thinned;
    if (ok) look_below(&x);
    for (int64_t i = 0; ok && i < c->n_changes; i++) {
        loom_change_kind kind = c->changes[i].kind;
        ok = kind == LOOM_CHANGE_OPERATION    ? place_operation(&x, i)
             : kind == LOOM_CHANGE_DEPENDENCY ? place_dependency(&x, i)
                                              : true;
    }
    if (ok) {
        mark_mixed(&x);
        if (c->n_places) qsort_r(c->places, (size_t)c->n_places, sizeof *c->places, by_affected, c->changes);
        mark_explained(c);
    }
    free(x.graphs);
    free(x.explains);
    free(x.thinned);
    return ok;
}
