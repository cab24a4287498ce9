/* Records of tables that tell the two sides of a call by the sign of rt, as the 2021 traces of Alibaba do: the caller's
 * is positive (from sending the request to its reply), the callee's is minus its own (from receiving to replying).
 *
 *   loom_record_pairs p = {0};
 *   n -= loom_record_pairs_join(&p, rows, n, &arena);      before loom_rows_to_graph
 *   moved = loom_record_pairs_fit(&p, &graph, &arena);     after it
 *
 * The caller's record is the call's; where only the callee's is left, its time counts, and its clock: a call that by
 * this clock ends after the caller's, but is no longer than it, is moved back to end with it, with all below. */
#ifndef LOOM_PREPROCESS_ROWS_RECORD_PAIRS_H
#define LOOM_PREPROCESS_ROWS_RECORD_PAIRS_H

#include "trace/graph/rows.h"

typedef struct loom_record_pairs {
    int64_t callee_only;     /* calls of which only the callee's record was there */
    const loom_row **single; /* (n_single) their rows, by id and callee */
    int64_t n_single;
} loom_record_pairs;

/* Drops the callee's records that have a caller's for the same call (rpc_id, um, dm), turns the sign of the others;
 * keeps the order of the rows. Returns how many were dropped. Borrows `rows` until the fit. */
int64_t loom_record_pairs_join(loom_record_pairs *p, loom_row *rows, int64_t n, loom_arena *arena);
/* Moves calls in time, see above; returns how many had another clock. */
int64_t loom_record_pairs_fit(const loom_record_pairs *p, loom_graph *g, loom_arena *arena);

#endif
