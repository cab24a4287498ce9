/* Inside the statistics: what gathering (stats.c) and the file (stats_json.c) share. */
#ifndef LOOM_TRACE_GRAPH_STATS_IMPL_H
#define LOOM_TRACE_GRAPH_STATS_IMPL_H

#include "core/hash.h"
#include "trace/graph/stats.h"

/* Names are interned; a triple of a service is a row of one hash table. Everything that is asked for in order is laid
 * out by finish(): services by name, triples by (service, source, type, destination). */
typedef struct loom_stats_entry {
    int64_t graphs;
    int64_t *latencies; /* (n_latencies), until finish */
    size_t n_latencies, cap_latencies;
    bool has_latency;
    int64_t max, p90;
    double mean;
    int64_t first_triple, n_triples; /* run in `ordered` */
} loom_stats_entry;

typedef struct loom_stats_slot {
    uint32_t service, source, destination; /* ids; */
    uint32_t type;
    int64_t count; /* 0: empty slot */
    int64_t seen;  /* serial number of the last graph that counted */
} loom_stats_slot;

struct loom_stats {
    loom_intern services, names;
    loom_stats_entry *entries; /* by service id */
    size_t cap_entries;
    loom_stats_slot *slots;
    size_t n_slots, n_triples;
    int64_t graphs;
    bool finished, loaded, failed; /* failed: memory ran out, something is missing */
    int64_t *by_name;              /* service ids in byte order */
    loom_stats_triple *ordered;
};

/* Numbers of names, new ones too. False: no memory. */
bool loom_stats_service_id(uint32_t *out, loom_stats *s, const char *name);
bool loom_stats_name_id(uint32_t *out, loom_stats *s, const char *name);
/* The triple's place, made where there was none. NULL: no memory. */
loom_stats_slot *loom_stats_slot_of(loom_stats *s, const loom_stats_slot *key);

#endif
