/* What a set of graphs looks like in numbers: the calls it makes, how often each microservice is triggered, how it
 * branches, how long calls take. Corpora that are compared share one vocabulary, so that equal names have equal ids.
 *
 *   loom_vocabulary words = {0};
 *   loom_graph_counts real = {0}, made = {0};
 *   LOOM_TRY(loom_graph_counts_load(&real, &words, "valid.graphs.zst", 0, false, err));
 *   LOOM_TRY(loom_graph_counts_load(&made, &words, "x.answers.jsonl", 0, false, err));
 *   ...
 *   loom_graph_counts_release(&made); loom_graph_counts_release(&real); loom_vocabulary_release(&words);
 */
#ifndef LOOM_EVAL_GRAPH_COUNTS_H
#define LOOM_EVAL_GRAPH_COUNTS_H

#include "core/hash.h"
#include "core/rng.h"
#include "eval/numbers/metrics.h"
#include "trace/graph/callgraph.h"

typedef struct loom_vocabulary {
    loom_intern calls; /* "source,destination,type": bytewise order is the order of ties */
    loom_intern nodes; /* microservices */
} loom_vocabulary;
void loom_vocabulary_release(loom_vocabulary *words);

typedef enum loom_field { LOOM_FIELD_IN, LOOM_FIELD_OUT, LOOM_FIELD_TIME, LOOM_FIELDS } loom_field;
extern const char *const loom_field_names[LOOM_FIELDS]; /* "in_degree", "out_degree", "response_time" */

/* Values of graph g are v[first[g]] .. v[first[g + 1]) */
typedef struct loom_samples {
    int64_t *first;
    double *v;
    size_t n, cap, cap_first;
} loom_samples;

typedef struct loom_graph_counts {
    int64_t n_graphs, n_edges;
    int64_t n_read, n_rejected;  /* lines of the file; those without a valid graph (answers: not correct) */
    int64_t *first;              /* graph g has edges first[g] .. first[g + 1) */
    int32_t *call, *node, *from; /* per edge: ids of the call, of its destination and of its source (-1: USER) */
    loom_samples field[LOOM_FIELDS];
    bool with_user;  /* USER has an out-degree */
    bool calls_only; /* of a table of calls: each call counts as a graph, which has no degrees */
    size_t cap_first, cap_call, cap_node, cap_from;
} loom_graph_counts; /* zero-initialised is ready */

/* Adds one graph. Degrees: one value per (graph, microservice); in = calls received, out = calls made, 0 counts; USER
 * has no in-degree, and an out-degree only `with_user`. Response time: one value per call, ms. */
loom_status loom_graph_counts_add(loom_graph_counts *c, loom_vocabulary *words, const loom_graph *g, bool with_user,
                                  loom_err *err);
/* Adds the valid graphs of a file, the first `limit` (0: all); of a table of calls (eval/baselines/call_table.h)
 * all calls. */
loom_status loom_graph_counts_load(loom_graph_counts *c, loom_vocabulary *words, const char *path, int64_t limit,
                                   bool with_user, loom_err *err);
void loom_graph_counts_release(loom_graph_counts *c);

/* Counts over the graphs `index[0..n)` (NULL: all): of calls, of triggered microservices (USER left out). The
 * arrays hold words->calls.n and words->nodes.n counts and are zeroed first. */
void loom_graph_counts_calls(const loom_graph_counts *c, const int64_t *index, int64_t n, int64_t *counts,
                             int64_t n_calls);
void loom_graph_counts_nodes(const loom_graph_counts *c, const int64_t *index, int64_t n, int64_t *counts,
                             int64_t n_nodes);

/* The corpus as its first n graphs alone; borrows everything from *c, not to be released. */
loom_graph_counts loom_graph_counts_head(const loom_graph_counts *c, int64_t n);

/* Degrees over the whole corpus: one value for each microservice that occurs in the graphs `index` (NULL: all), its
 * calls received (LOOM_FIELD_IN) or made (LOOM_FIELD_OUT), divided by the number of graphs. Fills out[n_nodes + 1],
 * unsorted; returns how many there are. */
int64_t loom_graph_counts_degrees(const loom_graph_counts *c, const int64_t *index, int64_t n, loom_field field,
                                  double *out, int64_t n_nodes);

/* The n most frequent calls of `counts`: larger count first, then bytewise order. Fills ids[n]; returns how many there
 * are (calls with a count). */
int64_t loom_graph_counts_top_calls(const loom_vocabulary *words, const int64_t *counts, int64_t *ids, int64_t n);

/* Units of the bootstrap: the graphs themselves, or, where there are more than LOOM_GRAPH_COUNTS_GROUPS, that many
 * groups of graphs drawn at random, so that a resample costs as much as a thousand graphs however many there are.
 * Sums over groups vary as sums over graphs do (by a factor of 1 - 1/groups in the variance). Graphs of group k:
 * order[first[k] .. first[k + 1]). */
#define LOOM_GRAPH_COUNTS_GROUPS 1000
typedef struct loom_graph_counts_groups {
    int64_t n, *first, *order;
} loom_graph_counts_groups;
void loom_graph_counts_group(loom_graph_counts_groups *out, int64_t n_graphs, uint64_t seed);
void loom_graph_counts_groups_release(loom_graph_counts_groups *g);

/* A shuffle of 0..n-1: any part of it and the rest are two random samples. */
void loom_graph_counts_shuffle(int64_t *index, int64_t n, loom_rng *rng);

#endif
