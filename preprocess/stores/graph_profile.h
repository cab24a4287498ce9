/* What a graph store looks like: the distributions by which samples are compared with real traces (how deep, how large,
 * which calls, how long, how popular, how rare). Everything is counted exactly and does not depend on threads. */
#ifndef LOOM_PREPROCESS_STORES_GRAPH_PROFILE_H
#define LOOM_PREPROCESS_STORES_GRAPH_PROFILE_H

#include "core/hash.h"
#include "core/json.h"
#include "trace/graph/stats.h"

/* Counts of whole numbers: a table for the usual ones, a list for the others. */
#define LOOM_VALUE_COUNTS_SMALL 131072
typedef struct loom_value_counts {
    int64_t *small; /* (LOOM_VALUE_COUNTS_SMALL) counts of 0, 1, 2, ...; NULL until the first */
    int64_t *others;
    size_t n_others, cap_others;
    int64_t n;
    double sum;
} loom_value_counts; /* zero-initialised is ready */

void loom_value_counts_add(loom_value_counts *t, int64_t value);
void loom_value_counts_merge(loom_value_counts *into, const loom_value_counts *from);
/* The smallest value with at least share * n values at or below it (0 without values); sorts the list of others. */
int64_t loom_value_counts_quantile(loom_value_counts *t, double share);
int64_t loom_value_counts_count(const loom_value_counts *t,
                                int64_t value); /* value in 0 .. LOOM_VALUE_COUNTS_SMALL - 1 */
int64_t loom_value_counts_max(loom_value_counts *t);
double loom_value_counts_mean(const loom_value_counts *t);
void loom_value_counts_release(loom_value_counts *t);

/* How often each text was seen. */
typedef struct loom_counter {
    loom_intern texts;
    int64_t *counts;
    size_t cap;
} loom_counter;

int64_t loom_counter_add(loom_counter *c, const char *text, size_t len, int64_t n); /* its number; -1: no memory */
void loom_counter_merge(loom_counter *into, const loom_counter *from);
/* Sum of the largest k counts over the sum of all. */
double loom_counter_top_share(const loom_counter *c, size_t k);
void loom_counter_release(loom_counter *c);

#define LOOM_GRAPH_PROFILE_DEPTHS 4 /* depths 1 .. 4 are looked at one by one */

typedef struct loom_graph_profile {
    int64_t graphs, invalid, calls;
    loom_value_counts depth, edges;
    loom_value_counts root_finish;         /* ms */
    loom_value_counts rt[LOOM_CALL_TYPES]; /* ms */
    loom_value_counts gap;                 /* start of a call - finish of the sibling before it, ms */
    loom_value_counts slack;               /* finish of a call - finish of its last child, ms */
    int64_t types_at[LOOM_GRAPH_PROFILE_DEPTHS + 1][LOOM_CALL_TYPES]; /* by depth, 0: all depths */
    int64_t leaves_at[LOOM_GRAPH_PROFILE_DEPTHS + 1];                 /* rpc and http calls without children */
    int64_t http_roots, user_roots;
    int64_t sibling_pairs, overlapping_pairs, sibling_groups, repeated_groups, self_calls;
    int64_t rare_graphs,
        judged_graphs;           /* graphs with a rare communication, among those of services with enough graphs */
    loom_counter communications; /* "source|type|destination" by calls */
    loom_counter microservices;  /* destinations by calls; after finish */
    loom_counter shapes;         /* 16-byte hash of the structure by graphs */
    uint32_t *shape_services;    /* service of each shape, number in service_names */
    size_t cap_shape_services;
    loom_intern service_names;
    loom_intern names;                    /* all microservices; after finish */
    loom_value_counts shapes_per_service; /* after finish */
    loom_value_counts dominant_share;     /* per mille of a service's graphs that have its most frequent shape */
    loom_stats *stats;
    loom_buf scratch;
} loom_graph_profile;

bool loom_graph_profile_init(loom_graph_profile *p); /* false: no memory */
void loom_graph_profile_add(loom_graph_profile *p, const loom_graph *g);
void loom_graph_profile_merge(loom_graph_profile *into, const loom_graph_profile *from);
/* After all graphs were added; then, in a second pass, loom_graph_profile_is_rare may be asked. */
loom_status loom_graph_profile_finish(loom_graph_profile *p, loom_err *err);
/* Has the graph a rare communication (docs/VALIDITY.md section 1)? *judged: its service has enough graphs to tell. */
bool loom_graph_profile_is_rare(const loom_graph_profile *p, const loom_graph *g, bool *judged);
void loom_graph_profile_release(loom_graph_profile *p);

#endif
