/* Progress on stderr: a bar at a terminal (at most six times a second, after a quiet first second), otherwise one plain
 * line every ten seconds. Silent with --quiet or --progress=never. */
#ifndef LOOM_CORE_PROGRESS_H
#define LOOM_CORE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cli.h"

typedef struct loom_progress {
    const char *label, *unit;
    int64_t total; /* 0: unknown */
    int64_t done;
    double started, last;
    bool on, bar, shown;
} loom_progress;

void loom_progress_start(loom_progress *p, const loom_common *common, const char *label, int64_t total,
                         const char *unit);
/* `note` (may be NULL) stands after the bar: "loss 1.234  8123 tokens/s". */
void loom_progress_update(loom_progress *p, int64_t done, const char *note);
void loom_progress_finish(loom_progress *p, const char *note);

#endif
