/* The topology of a system: what a loom_system_tally has counted, as a file and back (docs/SYSTEMS.md,
 * docs/FORMATS.md).
 *
 *   loom_topology_conf conf = {.min_count = 5};
 *   LOOM_TRY(loom_topology_render(&text, &tally, &conf, meta, err));
 *   loom_topology *t = NULL;
 *   LOOM_TRY(loom_topology_parse(&t, text.data, text.len, "topology.json", err));
 *   ... system/topology_draw.h, system/topology_export.h ...
 *   loom_topology_free(t); */
#ifndef LOOM_SYSTEM_TOPOLOGY_H
#define LOOM_SYSTEM_TOPOLOGY_H

#include "core/arena.h"
#include "system/system_tally.h"

#define LOOM_TOPOLOGY_FORMAT "spanloom-topology-1"

typedef struct loom_topology_conf {
    int64_t min_count; /* states seen fewer times are pooled */
} loom_topology_conf;

/* `meta`: a JSON object on how the file was made; NULL: none. */
loom_status loom_topology_render(loom_buf *into, const loom_system_tally *t, const loom_topology_conf *conf,
                                 const char *meta, loom_err *err);

/* What an operation calls in one stage. */
typedef struct loom_stage {
    const int32_t *calls; /* operations, ascending, with repeats */
    int32_t n_calls;
    int64_t n; /* how often it was seen */
} loom_stage;

typedef struct loom_topology_state {
    loom_stage *stages;       /* one; the pooled state: several, drawn by their n */
    int32_t n_stages, repeat; /* repeat: times before */
    int64_t n;
    int32_t *next;  /* states, -1: the end */
    int64_t *until; /* running sums of how often */
    int32_t n_next;
} loom_topology_state;

typedef struct loom_topology_operation {
    const char *name, *service; /* service "": of any */
    loom_call_type type;
    bool root;
    int64_t n;
    int64_t lead[LOOM_LEAD_PARTS + 1];
    loom_time_counts own, response;
    loom_topology_state start; /* without stages */
    loom_topology_state *states;
    int32_t n_states;
    int32_t first, n_calls; /* its dependencies: dependencies[first .. first + n_calls - 1] */
} loom_topology_operation;

typedef struct loom_topology_dependency {
    int32_t caller, callee; /* operations; caller -1: USER */
    int64_t calls, with, sequential, overlapping;
    loom_time_counts number, response, own[2], first, gap, offset;
} loom_topology_dependency;

typedef struct loom_topology {
    int64_t graphs, calls, min_count;
    int32_t depth;
    bool per_service;
    loom_topology_operation *operations; /* by key: see operations.h */
    int32_t n_operations;
    loom_topology_dependency *dependencies; /* by caller, callee; those of USER first */
    int32_t n_dependencies;
    loom_arena arena;
} loom_topology;

/* Everything in the file is checked: numbers of operations, sums, types. */
loom_status loom_topology_parse(loom_topology **out, const char *text, size_t len, const char *name, loom_err *err);
loom_status loom_topology_load(loom_topology **out, const char *path, loom_err *err);
void loom_topology_free(loom_topology *t);

/* -1: there is none. */
int32_t loom_topology_dependency_of(const loom_topology *t, int32_t caller, int32_t callee);
/* Share of the caller's invocations that make at least one call of it; of USER: share of the graphs. */
double loom_topology_share(const loom_topology *t, const loom_topology_dependency *d);

#endif
