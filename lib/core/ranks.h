/* Processes of one command, started by mpirun, that work on one thing and agree at every point where they meet.
 * Rank 0 speaks and writes. This is the only door to MPI; without it, or without mpirun, there is one process and
 * every call returns at once.
 *
 *   LOOM_TRY(loom_ranks_start(err));
 *   st = loom_ranks_agree(work(err), err);      all went well, or all return the same failure
 *   loom_ranks_end();
 *
 * All but start and end are collective: every rank calls the same ones in the same order. A rank that fails where
 * the others do not wait for it cannot leave quietly: loom_ranks_leave takes them along. mpirun does that when a rank
 * dies.
 *
 * Waiting spins for a while, then sleeps between looks, so that ranks which share CPUs leave them to those at work. */
#ifndef LOOM_CORE_RANKS_H
#define LOOM_CORE_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/cli.h"
#include "core/meta.h"

/* Joins the other processes; OK and alone when there are none. ARG when mpirun started several and this build
 * cannot join them. Ranks other than 0 fall silent (core/log.h). */
loom_status loom_ranks_start(loom_err *err);
void loom_ranks_end(void); /* leaves them; after that there is one */

int loom_ranks_count(void);
int loom_ranks_me(void);              /* 0..count-1 */
bool loom_ranks_lead(void);           /* rank 0 */
const char *loom_ranks_library(void); /* "Open MPI 4.1.4"; NULL: built without */
const char *loom_ranks_version(void); /* the same for --version */

/* OK when it is everywhere; else the failure of the first rank that has one, with its name unless it is rank 0. */
loom_status loom_ranks_agree(loom_status mine, loom_err *err);
/* Ends all ranks with this exit code. */
_Noreturn void loom_ranks_abort(int exit_code);
/* Leaves the others when all are through; a failure that they do not know of is said, and takes them along. */
void loom_ranks_leave(loom_status st, const loom_err *err);
/* A command under mpirun: starts, works, leaves. A dry run is rank 0's alone. */
loom_status loom_ranks_run(loom_status (*work)(const loom_ctx *ctx, loom_err *err), const loom_ctx *ctx, loom_err *err);

/* `data` of rank 0 to all. */
loom_status loom_ranks_tell(void *data, size_t bytes, loom_err *err);
/* all: `each` bytes of every rank, in their order; a rank has filled in its own. */
loom_status loom_ranks_gather(void *all, size_t each, loom_err *err);
/* *bits: those that any rank has set. */
loom_status loom_ranks_bits(uint32_t *bits, loom_err *err);
/* FORMAT unless the number is the same everywhere; `what` differs: "the options and shards". */
loom_status loom_ranks_same(uint64_t number, const char *what, loom_err *err);

/* Work in pieces, shared out in turns. All ranks walk through the pieces in the same order; each is worked on by one of
 * them, and rank 0 has the results of all, one after the other, as a single process has them:
 *
 *   LOOM_TRY(loom_ranks_share(&idle, &meta, ctx, err));
 *   if (loom_ranks_own(turn)) mine = work(...), and unless this is rank 0 what came out is packed into `bytes`
 *   LOOM_TRY(loom_ranks_deliver(&bytes, turn, mine, err));
 *   if (loom_ranks_lead()) unpack `bytes`, unless the turn was its own, and write
 *
 * A rank that is ahead waits until rank 0 takes what it has. core/parcel.h packs. */
bool loom_ranks_own(int64_t turn);
/* Before the first turn: options and inputs are the same everywhere, and files. *idle is what rank 0 has there: whether
 * there is nothing to do. */
loom_status loom_ranks_share(bool *idle, const loom_meta *m, const loom_ctx *ctx, loom_err *err);
/* Between the rank whose turn it is and rank 0; the others return at once. mine: how it went there; what failed there
 * fails for rank 0, too, with the sentence of that rank. Rank 0 stops waiting when it is told to stop (INTERRUPT). */
loom_status loom_ranks_deliver(loom_buf *bytes, int64_t turn, loom_status mine, loom_err *err);

/* Floats from one rank to another: `data` is where they are, or where they go. Both name the moves between them in the
 * same order; moves of others are passed over. At most 2^31 - 1 floats each. */
typedef struct loom_ranks_move {
    int from, to;
    float *data;
    size_t floats;
} loom_ranks_move;
/* halves: of floats whose lower 16 bits are zeros (bfloat16) the upper ones alone travel. */
loom_status loom_ranks_carry(const loom_ranks_move *moves, int64_t n, bool halves, loom_err *err);

/* What meeting cost this rank so far. */
typedef struct loom_ranks_cost {
    double waiting, carrying; /* seconds: for the others at meeting points; in loom_ranks_carry */
    double bytes;             /* sent by loom_ranks_carry */
} loom_ranks_cost;
loom_ranks_cost loom_ranks_costs(void);

#endif
