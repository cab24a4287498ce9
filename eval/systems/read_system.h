/* Graphs of files of any kind through all threads, for the commands about systems. */
#ifndef LOOM_EVAL_READ_SYSTEM_H
#define LOOM_EVAL_READ_SYSTEM_H

#include "core/meta.h"
#include "system/graph_feed.h"
#include "system/system_tally.h"

/* Fills *tally from all paths. What was left out is said to the user and added to *meta as "counts". */
loom_status loom_read_system(loom_system_tally *tally, const loom_ctx *ctx, char *const *paths, int n_paths,
                             bool per_service, bool merge, loom_meta *meta, loom_err *err);

/* The same for any tally: `size` bytes for each thread, copies of *tally, which holds settings and no counts yet.
 * `join` adds the second to the first, in an order that follows from what was counted (system/in_order.h). All are
 * joined into *tally and released. */
typedef struct loom_tally_kind {
    size_t size;
    loom_feed_add add;
    loom_status (*join)(void *into, void *from, loom_err *err);
    void (*release)(void *tally);
} loom_tally_kind;
loom_status loom_read_tally(void *tally, const loom_tally_kind *kind, const loom_ctx *ctx, char *const *paths,
                            int n_paths, bool merge, loom_meta *meta, const char *key, loom_err *err);

#endif
