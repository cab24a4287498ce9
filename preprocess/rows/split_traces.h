/* Traces that come back in a later file: read one file after the other, their pieces become small graphs of their own.
 *
 *   loom_split_traces s = {0};
 *   for each trace of each file that has rows: loom_split_traces_add(&s, id, len, &back)
 *   loom_split_traces_release(&s);
 *
 * Ids are kept as hashes, the latest LOOM_SPLIT_TRACES_SPAN at least and twice as many at most: what comes back does so
 * in one of the next files, and the memory of a run depends on its largest file, not on how many there are. */
#ifndef LOOM_PREPROCESS_ROWS_SPLIT_TRACES_H
#define LOOM_PREPROCESS_ROWS_SPLIT_TRACES_H

#include <stdint.h>

#include "core/hash_set.h"

#define LOOM_SPLIT_TRACES_SPAN 2000000 /* two sets of at most 27 bytes each: 103 MiB */

typedef struct loom_split_traces {
    size_t span; /* LOOM_SPLIT_TRACES_SPAN when 0 */
    loom_hash_set recent, older;
    int64_t n_back;      /* traces that came back */
    int64_t n_forgotten; /* ids that are no longer known */
} loom_split_traces;     /* zero-initialised is ready */

/* *back: an earlier file had it too. A file names each of its traces once. False: no memory. */
bool loom_split_traces_add(loom_split_traces *s, const char *id, size_t len, bool *back)
    __attribute__((warn_unused_result));
void loom_split_traces_release(loom_split_traces *s);

#endif
