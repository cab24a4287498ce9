/* Processes of one command, started by mpirun, that work on one thing and agree at every point where they meet.
 * Rank 0 speaks and writes. This is the only door to MPI; without it, or without mpirun, there is one process and
 * every call returns at once.
 *
 *   LOOM_TRY(loom_ranks_start(err));
 *   st = loom_ranks_agree(work(err), err);      all went well, or all return the same failure
 *   loom_ranks_end();
 *
 * All but start and end are collective: every rank calls the same ones in the same order. A rank that fails where
 * the others do not wait for it cannot leave quietly: loom_ranks_agreed says so, and loom_ranks_abort takes them
 * along. mpirun does that when a rank dies.
 *
 * Waiting spins for a while, then sleeps between looks, so that ranks which share CPUs leave them to those at work. */
#ifndef LOOM_CORE_RANKS_H
#define LOOM_CORE_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* Joins the other processes; OK and alone when there are none. ARG when mpirun started several and this build
 * cannot join them. Ranks other than 0 fall silent (core/log.h). */
loom_status loom_ranks_start(loom_err *err);
void loom_ranks_end(void); /* leaves them; after that there is one */

int loom_ranks_count(void);
int loom_ranks_me(void);              /* 0..count-1 */
bool loom_ranks_lead(void);           /* rank 0 */
const char *loom_ranks_library(void); /* "Open MPI 4.1.4"; NULL: built without */

/* OK when it is everywhere; else the failure of the first rank that has one, with its name unless it is rank 0. */
loom_status loom_ranks_agree(loom_status mine, loom_err *err);
/* Was the last failure one that all ranks know of? */
bool loom_ranks_agreed(void);
/* Ends all ranks with this exit code. */
_Noreturn void loom_ranks_abort(int exit_code);

/* `data` of rank 0 to all. */
loom_status loom_ranks_tell(void *data, size_t bytes, loom_err *err);
/* all: `each` bytes of every rank, in their order; a rank has filled in its own. */
loom_status loom_ranks_gather(void *all, size_t each, loom_err *err);
/* *bits: those that any rank has set. */
loom_status loom_ranks_bits(uint32_t *bits, loom_err *err);
/* FORMAT unless the number is the same everywhere; `what` differs: "the options and shards". */
loom_status loom_ranks_same(uint64_t number, const char *what, loom_err *err);

/* Floats from one rank to another: `data` is where they are, or where they go. Both name the moves between them in the
 * same order; moves of others are passed over. At most 2^31 - 1 floats each. */
typedef struct loom_ranks_move {
    int from, to;
    float *data;
    size_t floats;
} loom_ranks_move;
loom_status loom_ranks_carry(const loom_ranks_move *moves, int64_t n, loom_err *err);

/* What meeting cost this rank so far. */
typedef struct loom_ranks_cost {
    double waiting, carrying; /* seconds: for the others at meeting points; in loom_ranks_carry */
    double bytes;             /* sent by loom_ranks_carry */
} loom_ranks_cost;
loom_ranks_cost loom_ranks_costs(void);

#endif
