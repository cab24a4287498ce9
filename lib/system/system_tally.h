/* What graphs say of the system behind them, counted: operations, dependencies between them, and for each operation an
 * automaton over the stages of its calls. docs/SYSTEMS.md has the definitions.
 *
 *   loom_system_tally t = {0};
 *   for each graph: LOOM_TRY(loom_system_tally_add(&t, &graph, err));
 *   LOOM_TRY(loom_system_tally_join(&t, &other, err));
 *   ... loom_topology_render (system/topology.h) ...
 *   loom_system_tally_release(&t);
 *
 * A state of the automaton is what an operation calls in one stage (a multiset of operations), and how many times
 * before it has called just that: so the number of repetitions keeps its distribution. */
#ifndef LOOM_SYSTEM_TALLY_H
#define LOOM_SYSTEM_TALLY_H

#include "system/call_tree.h"
#include "system/operations.h"
#include "system/pair_map.h"
#include "system/time_counts.h"

#define LOOM_LEAD_PARTS    32 /* the time before the first call as a share of the own time: in so many parts */
#define LOOM_STATE_REPEATS 8  /* a state that comes back more often is not told apart further */
#define LOOM_SYSTEM_DEPTHS 16 /* deeper calls count as this deep */
#define LOOM_STATE_END     INT32_MAX

typedef struct loom_operation_tally {
    int64_t n; /* invocations */
    int64_t at_depth[LOOM_SYSTEM_DEPTHS];
    int64_t lead[LOOM_LEAD_PARTS + 1]; /* of invocations that call others and have own time */
    loom_time_counts own, response;
} loom_operation_tally;

typedef struct loom_dependency_tally {
    int64_t calls, with, sequential, overlapping; /* with: invocations of the caller that call it at least once */
    loom_time_counts response;
    loom_time_counts own[2]; /* of the callee when this caller asks: without, with calls of its own */
    loom_time_counts first, gap,
        offset;              /* after the caller's start; after the sibling's finish; after its start, overlapping */
    loom_time_counts number; /* calls in an invocation that makes any */
} loom_dependency_tally;

typedef struct loom_system_tally {
    loom_operations ops; /* set .per_service before the first graph */
    loom_operation_tally *op;
    size_t op_cap;
    loom_pair_map pairs; /* (caller or -1, callee): dependencies */
    loom_dependency_tally *dep;
    size_t dep_cap;
    loom_intern states;  /* operation, times before, calls in it: int32_t each; an operation alone: its start */
    loom_pair_map steps; /* (state, state or LOOM_STATE_END) */
    int64_t *step;
    size_t step_cap;
    loom_intern services;
    int64_t *service; /* graphs of each */
    size_t service_cap;
    loom_pair_map shares; /* (operation, service): invocations */
    int64_t *share;
    size_t share_cap;
    int64_t graphs, calls;
    int32_t depth;       /* of the deepest call */
    loom_call_tree tree; /* of the graph at hand */
    int32_t *entered;    /* operation of each of its calls */
    size_t entered_cap;
    int64_t *used; /* of each state: the last invocation that was in it */
    size_t used_cap;
    loom_buf key;
} loom_system_tally; /* zero-initialised is ready */

loom_status loom_system_tally_add(loom_system_tally *t, const loom_graph *g, loom_err *err);
/* Adds what `from` has counted and takes its times: it can only be released. The result does not depend on how graphs
 * were spread. */
loom_status loom_system_tally_join(loom_system_tally *t, loom_system_tally *from, loom_err *err);
void loom_system_tally_release(loom_system_tally *t);

#endif
