/* Call graphs: the domain's central type (docs/VALIDITY.md section 2; docs/FORMATS.md, graph store).
 *
 * A call graph is one request through a system of microservices: a service, a time of day and a list of calls (edges).
 * A call has a dotted id ("0" the root, "0.1" the first call made by the callee of "0", ...), a type, a caller
 * (source), a callee (destination), a start relative to the graph's first row (arrived, ms) and a response time (rt,
 * ms); its finish is arrived + rt. Depth of a call = number of id components; depth of a graph = the largest.
 *
 * Neighbours: trace/record.h (one graph as one line of text), trace/validity.h (is it a tree, do times and names fit),
 * trace/rows.h (CSV rows to a graph), trace/stats.h (what is usual for a service). */
#ifndef LOOM_TRACE_GRAPH_CALLGRAPH_H
#define LOOM_TRACE_GRAPH_CALLGRAPH_H

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
    const int32_t *id; /* dotted id, n_id components, id[0] is 0 in a valid graph */
    int32_t n_id;
    loom_call_type type;
    const char *source, *destination; /* canonical names: "USER", "MS_00012"; never NULL */
    int64_t arrived, rt;              /* ms */
} loom_call;

typedef struct loom_graph {
    const char *service; /* "S_000000012" */
    int64_t time_of_day; /* ms in 0 .. 86,399,999; 0 after de-duplication */
    loom_call *calls;    /* dotted-id order in everything the toolkit writes */
    int32_t n_calls;
} loom_graph; /* plain view: its arrays and names live in an arena named where the graph is made */

static inline int64_t loom_call_finish(const loom_call *c) { return c->arrived + c->rt; }

/* ---- limits (longer ones are refused where text is read) ---- */
#define LOOM_ID_MAX_COMPONENTS 1000
#define LOOM_TIME_MAX_MS       ((int64_t)1 << 52) /* |arrived|, |rt|: sums never overflow, doubles hold them exactly */

/* ---- call types ---- */
const char *loom_call_type_name(loom_call_type type);           /* "rpc"; "UNKNOWN" for LOOM_CALL_TYPES */
loom_call_type loom_call_type_of(const char *text, size_t len); /* lower case only; LOOM_CALL_TYPES: none of them */
/* Does such a call go to a store, below which is nothing? */
static inline bool loom_call_type_is_store(loom_call_type type) { return type == LOOM_CALL_MC || type == LOOM_CALL_DB; }

/* ---- dotted ids ---- */
/* Order by components as integers, a proper prefix first: 0 < 0.1 < 0.1.1 < 0.1.10 < 0.2. Negative, 0 or positive. */
int loom_id_compare(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b);
bool loom_id_equal(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b);
/* Is `a` a prefix of `b` (also when they are equal)? */
bool loom_id_is_prefix(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b);
/* Fills id[cap] from "0.1.10"; returns the number of components, or -1 when the text is not digits separated by single
 * dots, a component has a leading zero or does not fit, or there are more than cap components. */
int32_t loom_id_parse(int32_t *id, int32_t cap, const char *text, size_t len);
void loom_id_render(loom_buf *into, const int32_t *id, int32_t n_id);

/* ---- names ---- */
/* Canonical form: "MS_" + digits is padded with zeros to 5 digits, "S_" + digits to 9; anything else stays as it is.
 * loom_name_append_* append without NUL; loom_name_* return a NUL-terminated copy in `arena`. */
void loom_name_append_microservice(loom_buf *into, const char *text, size_t len);
void loom_name_append_service(loom_buf *into, const char *text, size_t len);
const char *loom_name_microservice(loom_arena *arena, const char *text, size_t len);
const char *loom_name_service(loom_arena *arena, const char *text, size_t len);
bool loom_name_is_unknown(const char *text, size_t len); /* "UNKNOWN" or "UNAVAILABLE" */
#define LOOM_NAME_ODD "/,:()<>[]" /* what stands between names in texts: none may hold one of these there */
/* Can it stand in a record: not empty, no white space, no control byte, no '|'? */
bool loom_name_fits_record(const char *text, size_t len);
/* A copy that can, canonical: '_' for what cannot, "unknown" for nothing. "": no memory. */
const char *loom_name_fit_record(loom_arena *arena, const char *text);

/* ---- graphs ---- */
void loom_graph_sort(loom_graph *g); /* dotted-id order, stable; in place */
/* Sorts and keeps the first call (in the order given) of every id; returns how many were removed. */
int32_t loom_graph_sort_unique(loom_graph *g);
int32_t loom_graph_depth(const loom_graph *g); /* 0 without calls */
/* Index of the call with this id in a sorted graph (the first of several), -1 when absent. O(log n). */
int32_t loom_graph_find(const loom_graph *g, const int32_t *id, int32_t n_id);
/* Index of the parent of call i in a sorted graph, -1 for a root and for an orphan. */
int32_t loom_graph_parent(const loom_graph *g, int32_t i);
/* Fills *into with a deep copy whose arrays and names live in `arena`. False: no memory, the copy lacks something. */
bool loom_graph_copy(loom_graph *into, const loom_graph *g, loom_arena *arena);
/* Service, time of day and all calls, field by field, in order. */
bool loom_graph_equal(const loom_graph *a, const loom_graph *b);

#endif
