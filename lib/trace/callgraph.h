/* Call graphs: the domain's central type (spec: rows to graphs, canonical record, dotted-id order).
 *
 * A call graph is one request through a system of microservices: a service, a time of day and a list of calls (edges).
 * A call has a dotted id ("0" the root, "0.1" the first call made by the callee of "0", ...), a type, a caller
 * (source), a callee (destination), a start relative to the graph's first row (arrived, ms) and a response time (rt, ms);
 * its finish is arrived + rt. Depth of a call = number of id components; depth of a graph = the largest. */
#ifndef LOOM_TRACE_CALLGRAPH_H
#define LOOM_TRACE_CALLGRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"

typedef enum loom_call_type {
    LOOM_CALL_RPC,
    LOOM_CALL_HTTP,
    LOOM_CALL_MC,
    LOOM_CALL_DB,
    LOOM_CALL_MQ,
    LOOM_CALL_TYPES /* how many; also "none of these" */
} loom_call_type;

typedef struct loom_call {
    const int32_t *id;  /* dotted id, n_id components, id[0] is 0 in a valid graph */
    int32_t n_id;
    loom_call_type type;
    const char *source, *destination; /* canonical names: "USER", "MS_00012"; never NULL */
    int64_t arrived, rt;              /* ms */
} loom_call;

typedef struct loom_graph {
    const char *service;   /* "S_000000012" */
    int64_t time_of_day;   /* ms in 0 .. 86,399,999; 0 after de-duplication */
    loom_call *calls;      /* dotted-id order in everything the toolkit writes */
    int32_t n_calls;
} loom_graph; /* plain view: its arrays and names live in an arena named where the graph is made */

static inline int64_t loom_call_finish(const loom_call *c) { return c->arrived + c->rt; }

#endif
