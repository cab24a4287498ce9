/* What is usual for a service (docs/VALIDITY.md section 1): latency statistics, rare communications, infilling table.
 *
 *   loom_stats *s = loom_stats_new();
 *   for each graph: loom_stats_add(s, &graph);
 *   LOOM_TRY(loom_stats_finish(s, err));            // then ask, or save
 *   if (loom_stats_latency(s, "S_000000011", &max, &p90, &mean)) ...
 *   loom_stats_free(s);
 *
 * Latency of a graph = finish of its root. A triple is (source, type, destination); per graph it counts once.
 * All files are pooled, then the thresholds are applied. */
#ifndef LOOM_TRACE_GRAPH_STATS_H
#define LOOM_TRACE_GRAPH_STATS_H

#include "trace/graph/callgraph.h"

#define LOOM_STATS_MIN_GRAPHS 10 /* fewer graphs of a service: no latency entry */

typedef struct loom_stats loom_stats;

loom_stats *loom_stats_new(void); /* NULL: no memory */
void loom_stats_free(loom_stats *s);
/* Adds one valid graph (sorted; its root is call 0). Not after finish. One statistics object per thread. Running out of
 * memory, here or while merging, is told by finish. */
void loom_stats_add(loom_stats *s, const loom_graph *g);
/* Adds all of `from`; the result does not depend on how graphs were spread over objects. */
void loom_stats_merge(loom_stats *into, const loom_stats *from);
/* Computes entries and thresholds; the queries below want a finished object. */
loom_status loom_stats_finish(loom_stats *s, loom_err *err);

/* Queries; names in canonical form ("S_000000011", "MS_00012"). Safe from several threads on a finished object. */
int64_t loom_stats_graphs(const loom_stats *s);                              /* all graphs */
int64_t loom_stats_service_graphs(const loom_stats *s, const char *service); /* 0 for an unknown service */
/* False, outputs 0, when the service has fewer than LOOM_STATS_MIN_GRAPHS graphs. Any output may be NULL. ms. */
bool loom_stats_latency(const loom_stats *s, const char *service, int64_t *max, int64_t *p90, double *mean);
/* count / graphs of the service < 0.1 and count > 0. */
bool loom_stats_is_rare(const loom_stats *s, const char *service, const char *source, loom_call_type type,
                        const char *destination);

typedef struct loom_stats_triple {
    const char *source, *destination;
    loom_call_type type;
    int64_t count; /* graphs of the service that have it */
    bool rare;
} loom_stats_triple;

/* Services in byte order: i in 0 .. loom_stats_n_services - 1. */
int64_t loom_stats_n_services(const loom_stats *s);
const char *loom_stats_service(const loom_stats *s, int64_t i);
/* Triples of a service ordered by source, type name, destination (bytes); borrowed; *n = 0 for an unknown service. */
const loom_stats_triple *loom_stats_triples(const loom_stats *s, const char *service, int64_t *n);
/* The infilling table: the run of those triples with this source and type; counts are the multiset's. */
const loom_stats_triple *loom_stats_destinations(const loom_stats *s, const char *service, const char *source,
                                                 loom_call_type type, int64_t *n);

/* JSON: {"format":"spanloom-stats-1","graphs_total":N,"graphs":{service:n},"latency":{service:{max,p90,mean}},
 * "rare":{service:[[source,type,destination]]},"infilling":{"service|source|type":{destination:count}}}. */
void loom_stats_render(const loom_stats *s, loom_buf *into);
/* Returns a finished object; free with loom_stats_free. Reads plain or compressed files. Statistics without latency
 * lists cannot be added to. */
loom_status loom_stats_load(loom_stats **out, const char *path, loom_err *err);
loom_status loom_stats_parse(loom_stats **out, const char *text, size_t len, const char *name, loom_err *err);

#endif
