/* Times of a sample exchanged for others that keep their order: what holds of the old ones (no call finishes after the
 * layer's latency, no subgraph outlasts its call) holds of the new. A model then learns to compare times with the
 * window that the prompt gives it, down to windows of a millisecond, and never which times a call usually has.
 *
 *   loom_retime r = {.seed = 1};
 *   if (loom_retime_sample(&r, text, len, number)) use(r.text.data, r.text.len);
 *   loom_retime_release(&r);
 *
 * What a sample becomes follows from seed and number alone. */
#ifndef LOOM_PREPROCESS_TEXTS_RETIME_H
#define LOOM_PREPROCESS_TEXTS_RETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

#define LOOM_RETIME_MOST 1000 /* different times of a sample; one with more keeps its times */

typedef struct loom_retime {
    uint64_t seed;
    int64_t from[LOOM_RETIME_MOST], to[LOOM_RETIME_MOST]; /* ascending; several times may become one */
    int32_t n;
    loom_buf text; /* the last sample with other times */
} loom_retime;

/* The next time in text[at .. len): where its digits begin, `len` without one, and how many. Times are the starts and
 * finishes of calls, start_communication_at, latency, and what conditions say of the two. */
size_t loom_time_next(const char *text, size_t at, size_t len, size_t *digits);

/* Fills r->text. False, and no text, when the sample has no calls, too many times, or asks for high latency: from when
 * on a latency is high stays the system's. A sample that begins at 0 still does. */
bool loom_retime_sample(loom_retime *r, const char *text, size_t len, uint64_t number);
void loom_retime_release(loom_retime *r);

#endif
