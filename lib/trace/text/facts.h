/* What is known of a graph's service, for its texts: when a latency is high, and which calls are asked for.
 *
 *   loom_facts facts = loom_stats_facts(stats, graph.service);      stats NULL: nothing is known */
#ifndef LOOM_TRACE_TEXT_FACTS_H
#define LOOM_TRACE_TEXT_FACTS_H

#include "trace/graph/stats.h"

/* Zero-initialised, or NULL where one is asked for: nothing is known. */
typedef struct loom_facts {
    bool has_latency; /* p90 and mean are known: at least ten graphs */
    int64_t p90;      /* ms, over root finish times */
    double mean;
    /* True when the triple is rare for the service; NULL: none is. */
    bool (*is_rare)(const void *ctx, const char *service, const char *source, loom_call_type type,
                    const char *destination);
    const void *ctx;
    double asked;  /* share of the layers that are asked for their first call, rare or not; above 0 none is asked for
                      another (instruction) */
    uint64_t draw; /* which ones they are */
} loom_facts;

/* Borrows `stats`. */
loom_facts loom_stats_facts(const loom_stats *stats, const char *service);

/* p90 - mean > 5: only then is there a high latency to ask for; and latency >= p90. */
bool loom_latency_varies(int64_t p90, double mean);
bool loom_is_high_latency(const loom_facts *facts, int64_t latency);

/* Is the layer that begins with this call of the graph asked for it? The same answer however often it is asked: the
 * layers above hand the line down. */
bool loom_asks_for_first(const loom_facts *facts, int32_t first_call);

#endif
