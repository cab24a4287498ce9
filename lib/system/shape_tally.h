/* What is usual around a single trace: a loom_system_tally, the structures that graphs have, and when each service
 * was slow.
 *
 *   loom_shape_tally t = {0};
 *   for each graph: LOOM_TRY(loom_shape_add(&t, &graph, err));
 *   share = loom_shape_seen(&t, &graph) / graphs of its service ...
 *   loom_shape_release(&t);
 *
 * A structure is a service and its calls by parent and operation, in dotted-id order, without times. */
#ifndef LOOM_SYSTEM_SHAPE_TALLY_H
#define LOOM_SYSTEM_SHAPE_TALLY_H

#include "system/system_tally.h"

#define LOOM_SHAPE_WINDOW_MS ((int64_t)300000) /* times of day are told apart by five minutes */

typedef struct loom_shape_tally {
    loom_system_tally system;
    loom_intern shapes; /* service, then parent and operation of each call: int32_t each */
    int64_t *seen;      /* graphs of each shape */
    size_t seen_cap;
    loom_pair_map windows;    /* (service, window of the day) */
    loom_time_counts *window; /* response times of the roots in it */
    size_t window_cap;
    loom_buf key;
} loom_shape_tally; /* zero-initialised is ready */

loom_status loom_shape_add(loom_shape_tally *t, const loom_graph *g, loom_err *err);
/* `from` gives its times away and can only be released. */
loom_status loom_shape_join(loom_shape_tally *t, loom_shape_tally *from, loom_err *err);
void loom_shape_release(loom_shape_tally *t);

/* Number of the service, of the operation that call i enters; -1: never seen. */
int32_t loom_shape_service(const loom_shape_tally *t, const char *service);
int32_t loom_shape_operation(const loom_shape_tally *t, const loom_graph *g, int32_t i);
/* Graphs with this structure; 0: none. */
int64_t loom_shape_seen(const loom_shape_tally *t, const loom_graph *g);

/* The structure of the service that has most graphs among those nearest to g's: *missing calls of it are not in g,
 * *extra ones of g not in it (as multisets of caller and callee). Only structures of at least `least` graphs; g's
 * own counts. -1: there is none. Returns its number in `shapes`. */
int32_t loom_shape_nearest(const loom_shape_tally *t, const loom_graph *g, int64_t least, int32_t *missing,
                           int32_t *extra);

#endif
