/* Which numbers may a subgraph's attribute list still hold? Every case (is it the deep one or not, has it anything
 * below or not, is it plain or to be split) is a small system of intervals and sums whose projections are intervals
 * again; a place allows the union over the cases. */
#include "core/num.h"
#include "trace/constrain/automaton.h"

typedef struct sub_case {
    int64_t n_lo, n_hi, c_lo, c_hi, x_lo, x_hi, d_lo, d_hi, k_lo, k_hi, ends;
    bool below, plain;
} sub_case;

static void meet(int64_t *lo, int64_t *hi, int64_t a, int64_t b)
{
    *lo = loom_max_i64(*lo, a);
    *hi = loom_min_i64(*hi, b);
}

static sub_case make_case(const loom_sub_bounds *b, const loom_sub_state *sub, bool shallow, bool below, bool plain)
{
    sub_case s = {.n_lo = b->n_lo,
                  .n_hi = b->n_hi,
                  .c_lo = b->c_lo,
                  .c_hi = b->c_hi,
                  .x_lo = b->x_lo,
                  .x_hi = b->x_hi,
                  .d_lo = b->d_lo,
                  .d_hi = b->d_hi,
                  .ends = b->ends,
                  .below = below,
                  .plain = plain};

    if (b->deep >= 0 && shallow) {
        meet(&s.d_lo, &s.d_hi, 0, b->deep - 1);
        meet(&s.n_lo, &s.n_hi, 0, b->n_shallow);
        meet(&s.x_lo, &s.x_hi, 0, b->x_shallow);
    } else if (b->deep >= 0) {
        meet(&s.d_lo, &s.d_hi, b->deep, b->deep);
    }
    if (below) {
        meet(&s.x_lo, &s.x_hi, 1, INT64_MAX);
        meet(&s.d_lo, &s.d_hi, 1, INT64_MAX);
    } else {
        meet(&s.x_lo, &s.x_hi, 0, 0);
        meet(&s.d_lo, &s.d_hi, 0, 0);
    }
    meet(&s.c_lo, &s.c_hi, plain ? 1 : LOOM_LAYER_MAX_EDGES + 1, plain ? LOOM_LAYER_MAX_EDGES : INT64_MAX);
    s.k_lo = !plain ? 2 : below ? 1 : 0;
    s.k_hi = !plain ? LOOM_SPLIT_MAX_PARTS : below ? loom_min_i64(b->k_cap, LOOM_LAYER_MAX_EDGES) : 0;
    if (sub->n >= 0) meet(&s.n_lo, &s.n_hi, sub->n, sub->n);
    if (sub->c >= 0) meet(&s.c_lo, &s.c_hi, sub->c, sub->c);
    if (sub->d >= 0) meet(&s.d_lo, &s.d_hi, sub->d, sub->d);
    if (sub->k >= 0) meet(&s.k_lo, &s.k_hi, sub->k, sub->k);
    return s;
}

/* Fewest edges below that depth d and k subgraphs need. */
static int64_t least_below(const sub_case *s, int64_t d, int64_t k)
{
    if (!s->below) return 0;
    return s->plain ? d + k - 1 : d;
}

/* Is there a solution? With the smallest d and k everything else is easiest. */
static bool solvable(const sub_case *s, int64_t *c_lo, int64_t *x_lo)
{
    if (s->k_lo > s->k_hi || s->d_lo > s->d_hi) return false;
    *c_lo = s->plain ? loom_max_i64(s->c_lo, s->k_lo + s->ends) : s->c_lo;
    *x_lo = loom_max_i64(s->x_lo, least_below(s, s->d_lo, s->k_lo));
    return *c_lo <= s->c_hi && *x_lo <= s->x_hi && *c_lo + *x_lo <= s->n_hi && s->n_lo <= s->n_hi &&
           (s->c_hi >= s->n_lo || s->x_hi >= s->n_lo - s->c_hi);
}

static bool project(const sub_case *s, loom_attr which, int64_t *lo, int64_t *hi)
{
    int64_t c_lo, x_lo;
    sub_case t = *s;

    if (!solvable(s, &c_lo, &x_lo)) return false;
    switch (which) {
    case LOOM_ATTR_NUM_EDGES:
        *lo = loom_max_i64(s->n_lo, c_lo + x_lo);
        *hi = s->x_hi > INT64_MAX - s->c_hi ? s->n_hi : loom_min_i64(s->n_hi, s->c_hi + s->x_hi);
        return *lo <= *hi;
    case LOOM_ATTR_NUM_CURRENT_EDGES:
        *lo = loom_max_i64(c_lo, s->n_lo - s->x_hi);
        *hi = loom_min_i64(s->c_hi, s->n_hi - x_lo);
        return *lo <= *hi;
    case LOOM_ATTR_REMAINING_DEPTH: {
        int64_t x_most = loom_min_i64(s->x_hi, s->n_hi - c_lo);
        *lo = s->d_lo;
        *hi = !s->below ? 0 : loom_min_i64(s->d_hi, s->plain ? x_most - s->k_lo + 1 : x_most);
        return *lo <= *hi;
    }
    default:
        *lo = s->k_lo;
        for (*hi = s->k_hi; *hi > *lo; --*hi) {
            t.k_lo = *hi;
            if (solvable(&t, &c_lo, &x_lo)) break;
        }
        return true;
    }
}

void loom_sub_ranges(loom_ranges *out, const loom_sub_bounds *b, const loom_sub_state *sub, loom_attr which)
{
    out->n = 0;
    for (int i = 0; i < 8; i++) {
        bool shallow = (i & 1) != 0;
        if (shallow && b->deep < 0) continue;
        sub_case s = make_case(b, sub, shallow, (i & 2) != 0, (i & 4) != 0);
        int64_t lo, hi;
        if (!project(&s, which, &lo, &hi)) continue;
        out->lo[out->n] = lo;
        out->hi[out->n++] = hi;
    }
}
