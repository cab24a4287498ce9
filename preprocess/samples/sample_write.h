/* Writes the sample traces of a world: CallGraph_<i>.csv, and on request truth.jsonl and templates.json. Memory is
 * bounded by the threads and the longest traces, not by the number of rows (16 bytes a trace for the order apart). */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_WRITE_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/file.h"
#include "core/pool.h"
#include "preprocess/samples/sample_rows.h"

typedef struct loom_sample_totals {
    int64_t traces, calls, rows, bytes;
    int64_t quirks[LOOM_SAMPLE_QUIRKS]; /* traces that have it */
    int64_t clean;                      /* traces of which cleaning leaves a graph; only counted with truth */
    int64_t depths[16];                 /* traces by depth, the last entry: that or more */
} loom_sample_totals;

/* Called from the thread of loom_sample_write; either may be NULL. */
typedef struct loom_sample_hooks {
    void (*progress)(void *arg, int64_t traces); /* done so far */
    /* Gives the files their names and sets them to NULL; those of the truth may be NULL. */
    loom_status (*commit)(void *arg, const loom_sample_totals *totals, loom_out **files, size_t n, loom_err *err);
    void *arg;
} loom_sample_hooks;

/* `hooks` may be NULL. */
loom_status loom_sample_write(loom_sample_totals *totals, const loom_sample_world *world, const char *dir, bool truth,
                              bool force, loom_pool *pool, const loom_sample_hooks *hooks, loom_err *err);

#endif
