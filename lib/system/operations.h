/* Operations: what a system does, told apart by the microservice and the type of the call that enters it. The
 * operation at the root of a graph belongs to its service too, and so does every one when services are kept apart.
 *
 * Key of an operation: one byte for the type, 'R' or '-' for the root, the service ("" when pooled), NUL, the
 * microservice.
 * Keys in byte order are the order of every output. */
#ifndef LOOM_SYSTEM_OPERATIONS_H
#define LOOM_SYSTEM_OPERATIONS_H

#include "core/hash.h"
#include "trace/graph/callgraph.h"

typedef struct loom_operations {
    loom_intern keys;
    loom_buf scratch;
    bool per_service;
} loom_operations; /* zero-initialised is ready, services pooled */

/* The operation that call i of a valid graph enters: its number, new or old; -1: no memory. */
int32_t loom_operation_of(loom_operations *o, const loom_graph *g, int32_t i) __attribute__((warn_unused_result));

loom_call_type loom_operation_type(const loom_operations *o, int32_t op);
bool loom_operation_is_root(const loom_operations *o, int32_t op);
const char *loom_operation_service(const loom_operations *o, int32_t op); /* "" : of any */
const char *loom_operation_name(const loom_operations *o, int32_t op);    /* the microservice */
void loom_operations_release(loom_operations *o);

#endif
