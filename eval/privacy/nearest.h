/* How far graphs are from the nearest of a set: calls (caller, callee, type) as multisets, distance
 *   d(A, B) = |A - B| + |B - A|  over  |A| + |B|        0: the same calls as often, 1: none in common
 * that is, the insertions and deletions that make one out of the other, over all calls of both.
 *
 *   loom_call_sets known = {0}, asked = {0};
 *   LOOM_TRY(loom_call_sets_load(&known, "train.graphs.zst", 0, 1, err));
 *   LOOM_TRY(loom_nearest(distances, &known, &asked, pool, err));
 *   loom_call_sets_release(&known); */
#ifndef LOOM_EVAL_NEAREST_H
#define LOOM_EVAL_NEAREST_H

#include "core/hash.h"
#include "core/pool.h"

typedef struct loom_call_sets {
    uint64_t *calls; /* digests of the calls of all graphs; those of a graph ascending */
    int64_t *first;  /* (n + 1): where the calls of each begin */
    int64_t n, n_calls;
    size_t cap_calls, cap_first;
    loom_intern names;  /* microservices and services */
    int64_t *graphs_of; /* of each name: graphs that hold it */
    int64_t *last;
    size_t cap_names, cap_last;
} loom_call_sets; /* zero-initialised is ready */

/* Valid graphs of a file (eval/answers/graphs.h), `most` of them drawn at random from `seed`; 0: all. */
loom_status loom_call_sets_load(loom_call_sets *s, const char *path, int64_t most, uint64_t seed, loom_err *err);
/* Of each graph of `asked` (asked->n) the distance to the nearest of `known`. */
void loom_nearest(double *distances, const loom_call_sets *known, const loom_call_sets *asked, loom_pool *pool);
/* Names that occur in 1 .. below - 1 graphs of `known`; *met: those of them that `asked` holds. */
int64_t loom_rare_names_met(int64_t *met, const loom_call_sets *known, const loom_call_sets *asked, int64_t below);
void loom_call_sets_release(loom_call_sets *s);

#endif
