/* All graphs of files of any kind through several threads: each fills a tally of its own, which are joined at the end.
 *
 *   loom_feed feed = {.tally = tallies, .size = sizeof *tallies, .add = add};
 *   LOOM_TRY(loom_feed_read(&feed, paths, n, pool, &source, err));       tallies[0 .. threads - 1] are filled
 *
 * Which graph goes to which thread is chance: tallies must be such that joining them gives the same whatever the split.
 * Memory: some MiB for each thread, however long the files are (traces of other tools are read file by file). */
#ifndef LOOM_SYSTEM_GRAPH_FEED_H
#define LOOM_SYSTEM_GRAPH_FEED_H

#include "core/pool.h"
#include "readers/files/graphsource.h"

typedef loom_status (*loom_feed_add)(void *tally, const loom_graph *g, loom_err *err);

typedef struct loom_feed {
    void *tallies; /* one for each thread of the pool, `size` bytes each */
    size_t size;
    loom_feed_add add;
    int64_t done; /* graphs so far; for who shows progress */
} loom_feed;

/* Valid graphs only; `source` has the counts, the caller releases it. Not one valid graph in all files is a FORMAT
 * error. */
loom_status loom_feed_read(loom_feed *f, char *const *paths, int n_paths, loom_pool *pool, loom_source *source,
                           loom_err *err);

#endif
