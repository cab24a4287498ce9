/* A topology for other programs: Graphviz, and the inputs of three makers of synthetic systems (docs/SYSTEMS.md
 * says what each can and cannot express).
 *
 *   loom_export_left left = {0};
 *   LOOM_TRY(loom_topology_mubench(&text, &labels, topology, &left, err)); */
#ifndef LOOM_SYSTEM_TOPOLOGY_EXPORT_H
#define LOOM_SYSTEM_TOPOLOGY_EXPORT_H

#include "system/topology.h"

/* What the format at hand cannot say. */
typedef struct loom_export_left {
    int64_t self_calls; /* dependencies of a service on itself */
    int64_t rare;       /* dependencies that are called less than every second time, where ratios are whole numbers */
    int64_t repeats;    /* dependencies called several times by one invocation, of which the format says one */
    int64_t rules;      /* operations whose calls depend on each other (an automaton of more than one path) */
} loom_export_left;

loom_status loom_topology_dot(loom_buf *into, const loom_topology *t, loom_err *err);
/* Names become DNS labels there (RFC 1123: a-z, 0-9, -, here beginning with a letter), all different; *names gets a
 * CSV table of them, label,microservice. */
loom_status loom_topology_mubench(loom_buf *into, loom_buf *names, const loom_topology *t, loom_export_left *left,
                                  loom_err *err);
loom_status loom_topology_hydragen(loom_buf *into, loom_buf *names, const loom_topology *t, loom_export_left *left,
                                   loom_err *err);
loom_status loom_topology_lading(loom_buf *into, const loom_topology *t, loom_export_left *left, loom_err *err);

/* ---- for the writers: operations of one microservice put together ---- */
typedef struct loom_merged_call {
    int32_t caller, callee;                                    /* microservices */
    int64_t calls, with, invocations, overlapping, sequential; /* invocations: of the caller, all its operations */
    double position; /* mean number of the stage in which it is called first */
} loom_merged_call;

typedef struct loom_merged {
    const char **names;    /* microservices in byte order */
    int32_t *of;           /* of each operation: its microservice */
    loom_time_counts *own; /* of each microservice */
    int64_t *invocations;
    int32_t n;
    loom_merged_call *calls; /* by caller, then by position; without those of USER */
    int32_t n_calls;
    loom_arena arena;
} loom_merged;

loom_status loom_topology_merge(loom_merged *m, const loom_topology *t, loom_err *err);
void loom_merged_release(loom_merged *m);

#endif
