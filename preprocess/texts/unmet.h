/* Samples with another request: the line "Include an edge from X to Y" asks for a call that the answer lacks. Trained
 * with `--allowed`, an answer that does not do what is asked teaches one thing, where it should have gone another way;
 * trained without, that requests may be passed over.
 *
 * The request becomes one of these, whichever the answer has a place for:
 *   own    the layer itself is to make the call, and begins with another
 *   way    the layer below is to, the last one, but starts elsewhere
 *   room   the layer of a subgraph is to make a call of mc or db, but has no more calls than subgraphs
 *   below  the layer of a subgraph is to make a call that this layer's caller makes elsewhere; the answer is right not
 *          to make it here. Half of the requests that are not about room: else whatever is asked for is called at once,
 *          whoever is to call it
 *
 *   loom_unmet u = {.seed = 1};
 *   loom_unmet_add(&u, text, len, answer);                      every sample, before the first that is changed
 *   if (loom_unmet_sample(&u, text, len, answer, number)) use(u.text.data, u.text.len);
 *   loom_unmet_release(&u);
 *
 * What a sample becomes follows from the samples added, seed and number alone. */
#ifndef LOOM_PREPROCESS_TEXTS_UNMET_H
#define LOOM_PREPROCESS_TEXTS_UNMET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/hash.h"

typedef struct loom_unmet {
    uint64_t seed;
    loom_intern calls; /* "from X to Y with T": those that can be asked for */
    int64_t *sorted;   /* ids of calls by their text; made by the first sample */
    loom_arena arena;
    loom_buf text; /* the last sample with another request */
} loom_unmet;

/* False: no memory. A text that cannot be read adds nothing. */
bool loom_unmet_add(loom_unmet *u, const char *text, size_t len, size_t answer);
/* Fills u->text. False, and no text: the answer has no place for a request that it does not meet, no call of the text
 * is one, or there is no memory (core/nomem.h). */
bool loom_unmet_sample(loom_unmet *u, const char *text, size_t len, size_t answer, uint64_t number);
void loom_unmet_release(loom_unmet *u);

#endif
