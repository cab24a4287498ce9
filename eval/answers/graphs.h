/* Reading call graphs of any origin, one after another, for comparison.
 *
 *   loom_graphs *in = NULL; loom_graph g; bool more;
 *   LOOM_TRY(loom_graphs_open(&in, path, err));
 *   while ((st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more) use(&g);
 *   loom_graphs_close(&in);
 *
 * Told apart by content, in any container (.zst, .gz, tar, "-"):
 *   canonical records      a graph store
 *   reference output       "<-1><s> id:S_.../max depth:d/num edges:n[edge||edge...]</s>"
 *   answers                *.answers.jsonl of the sampler, judged again
 *   CallGraph CSV          header with traceid and rpctype; all rows are read first
 * Only valid graphs are returned, sorted, with canonical names; the others are counted. */
#ifndef LOOM_EVAL_GRAPHS_H
#define LOOM_EVAL_GRAPHS_H

#include "trace/graph/callgraph.h"

typedef struct loom_graphs loom_graphs;

loom_status loom_graphs_open(loom_graphs **out, const char *path, loom_err *err);
/* *g is borrowed until the next call. A file without a single valid graph is a FORMAT error that says why, but for
 * answers: a model may well get none right. */
loom_status loom_graphs_next(loom_graphs *in, loom_graph *g, bool *more, loom_err *err);
/* The same, but graphs that are not valid are returned too (*valid false, *g not to be read), and a file with none
 * that is valid is no error. */
loom_status loom_graphs_next_any(loom_graphs *in, loom_graph *g, bool *valid, bool *more, loom_err *err);
int64_t loom_graphs_read(const loom_graphs *in);     /* graphs seen so far, valid or not */
int64_t loom_graphs_rejected(const loom_graphs *in); /* of those, not valid (answers: not correct, or no record
                                                      can be made of them, trace/oddity.h) */
/* Of the answer read last: its temperature and whether it was decoded under constraints; NaN and false for other
 * graphs. */
double loom_graphs_temperature(const loom_graphs *in);
bool loom_graphs_constrained(const loom_graphs *in);
const char *loom_graphs_format(const loom_graphs *in); /* "records", "reference output", "answers", "CSV" */
void loom_graphs_close(loom_graphs **in);

/* Does a call start before its caller, or end before it starts? (That it outlives its caller makes a graph invalid.) */
bool loom_graphs_breaks_times(const loom_graph *g);

/* Many graphs in memory. */
typedef struct loom_graph_set {
    loom_graph *graphs;
    int64_t n;
    int64_t n_rejected;
    size_t cap;
    loom_arena arena;
} loom_graph_set; /* zero-initialised is ready */

/* Adds all valid graphs of a file, the first `limit` of them (0: all). */
loom_status loom_graph_set_load(loom_graph_set *set, const char *path, int64_t limit, loom_err *err);
void loom_graph_set_release(loom_graph_set *set);

#endif
