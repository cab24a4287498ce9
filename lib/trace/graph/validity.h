/* Validity of a call graph (docs/VALIDITY.md section 2): every reason, in its order, with repeats.
 *
 *   loom_verdict v;
 *   loom_graph_check(&v, &graph);                 // sorted graph without repeated ids
 *   if (v.n) ... loom_reason_name(v.reasons[0]) ... // n == 0: valid
 *
 * Reading a line of text gives reasons too (NUM_COLUMNS, BAD_EDGE, BAD_TIMESTAMP, MISSING_INFO): trace/record.h. */
#ifndef LOOM_TRACE_GRAPH_VALIDITY_H
#define LOOM_TRACE_GRAPH_VALIDITY_H

#include "trace/graph/callgraph.h"

typedef enum loom_reason {
    LOOM_REASON_NUM_COLUMNS,           /* record has not exactly three columns */
    LOOM_REASON_BAD_EDGE,              /* record has an edge that cannot be read (the toolkit's own code) */
    LOOM_REASON_BAD_TIMESTAMP,         /* time of day is not one */
    LOOM_REASON_MISSING_INFO,          /* type, source or destination is UNKNOWN or UNAVAILABLE */
    LOOM_REASON_BAD_SERVICE,           /* service negative or not known */
    LOOM_REASON_INVALID_ROOT,          /* first call in dotted-id order is not "0" */
    LOOM_REASON_NO_ROOT,               /* no id starts with 0, or no calls */
    LOOM_REASON_NOT_CONNECTED,         /* an id outside the tree of "0" (once), an absent link (once for each) */
    LOOM_REASON_CHILD_OUTLIVES_PARENT, /* finish(child) > finish(parent) */
    LOOM_REASON_SRC_DEST_MISMATCH,     /* source(child) != destination(parent) */
    LOOM_REASON_MULTIPLE_SRC_DEST,     /* repeated ids disagree (generated graphs only) */
    LOOM_REASONS                       /* how many kinds */
} loom_reason;

#define LOOM_VERDICT_MAX 256

typedef struct loom_verdict {
    int32_t n;                               /* reasons found; 0 = valid */
    unsigned char reasons[LOOM_VERDICT_MAX]; /* loom_reason, the first min(n, LOOM_VERDICT_MAX) of them in order */
} loom_verdict;

const char *loom_reason_name(loom_reason r); /* "NOT_CONNECTED" */
static inline void loom_verdict_reset(loom_verdict *v) { v->n = 0; }
void loom_verdict_add(loom_verdict *v, loom_reason r);
bool loom_verdict_has(const loom_verdict *v, loom_reason r);
/* "NOT_CONNECTED,SRC_DEST_MISMATCH" */
void loom_verdict_render(loom_buf *into, const loom_verdict *v);

/* Appends the reasons why a graph is invalid to *v (reset it first). The graph must be in dotted-id order without
 * repeated ids (loom_graph_sort_unique); linear time, no allocation. */
void loom_graph_check(loom_verdict *v, const loom_graph *g);

/* The final check of generated graphs (docs/VALIDITY.md section 8): calls in any order, ids may repeat. Parent finish =
 * smallest over the repeats, child finish = largest; sources and destinations are compared as sets; nodes are
 * visited depth first from 0, children in order of first appearance. `scratch` serves working arrays (not reset). */
void loom_graph_check_repeated(loom_verdict *v, const loom_graph *g, loom_arena *scratch);

#endif
