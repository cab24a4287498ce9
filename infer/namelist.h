/* Names of microservices that generated graphs may use: from a graph store or from a plain list, one name a line. */
#ifndef LOOM_INFER_NAMELIST_H
#define LOOM_INFER_NAMELIST_H

#include "core/err.h"
#include "core/hash.h"

typedef struct loom_names {
    const char **items; /* sorted by bytes, no repeats */
    size_t n;
    loom_intern texts;
} loom_names; /* zero-initialised is ready */

/* Destinations of all graphs of a store (*.graphs, *.graphs.zst, ...), else the lines of the file. */
loom_status loom_names_read(loom_names *names, const char *path, loom_err *err);
void loom_names_release(loom_names *names);

#endif
