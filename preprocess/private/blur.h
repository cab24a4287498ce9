/* Times made coarse with the tree kept valid: starts and finishes go to a grid by one non-decreasing function, so
 * that what lay within still does. */
#ifndef LOOM_PREPROCESS_PRIVATE_BLUR_H
#define LOOM_PREPROCESS_PRIVATE_BLUR_H

#include "trace/graph/callgraph.h"

typedef struct loom_blur {
    int64_t round_ms; /* to multiples of so many ms, downwards; 1 or less: not */
    double log_step;  /* then 1 + |t| to powers of 1 + log_step, to the nearest; 0: not */
} loom_blur;

/* t in ms since the graph began. */
int64_t loom_blur_time(const loom_blur *b, int64_t t);
void loom_blur_graph(const loom_blur *b, loom_graph *g);

#endif
