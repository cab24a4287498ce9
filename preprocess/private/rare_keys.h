/* In how many graphs a service, an operation (microservice and the type of the call that enters it) and a dependency
 * (caller, callee, type) occur, and which graphs hold one that occurs in too few.
 *
 *   loom_rare_keys keys = {0};
 *   loom_rare_keys_add(&keys, g);                       each graph
 *   kind = loom_rare_keys_find(&keys, g, k);            LOOM_RARE_NONE: all of its keys occur in k graphs or more
 *   loom_rare_keys_release(&keys); */
#ifndef LOOM_PREPROCESS_PRIVATE_RARE_KEYS_H
#define LOOM_PREPROCESS_PRIVATE_RARE_KEYS_H

#include "core/hash.h"
#include "trace/graph/callgraph.h"

typedef enum loom_rare {
    LOOM_RARE_SERVICE,
    LOOM_RARE_OPERATION,
    LOOM_RARE_DEPENDENCY,
    LOOM_RARE_KINDS,
    LOOM_RARE_NONE = LOOM_RARE_KINDS
} loom_rare;
extern const char *const loom_rare_names[LOOM_RARE_KINDS];

typedef struct loom_rare_keys {
    loom_intern keys;
    int64_t *counts, *last; /* graphs; number of the last of them, so that it counts once */
    size_t cap_counts, cap_last;
    int64_t graphs;
    loom_buf key;
} loom_rare_keys; /* zero-initialised is ready */

loom_status loom_rare_keys_add(loom_rare_keys *k, const loom_graph *g, loom_err *err);
/* The first of its keys that occurs in fewer than `least` of the graphs that were added. */
loom_rare loom_rare_keys_find(loom_rare_keys *k, const loom_graph *g, int64_t least);
/* In how many graphs a service or (of any type) a microservice occurs. */
int64_t loom_rare_keys_service(loom_rare_keys *k, const char *service);
int64_t loom_rare_keys_microservice(loom_rare_keys *k, const char *microservice);
void loom_rare_keys_release(loom_rare_keys *k);

#endif
