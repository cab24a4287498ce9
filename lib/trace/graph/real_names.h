/* The way back from numbers to the names that they stand for (trace/graph/rename.h), by the mapping that was kept.
 *
 *   loom_real_names real = {0};
 *   LOOM_TRY(loom_real_names_load(&real, "names.tsv", err));
 *   LOOM_TRY(loom_real_names_graph(&real, &g, &arena, err));      as often as there are graphs
 *   loom_real_names_release(&real);
 */
#ifndef LOOM_TRACE_GRAPH_REAL_NAMES_H
#define LOOM_TRACE_GRAPH_REAL_NAMES_H

#include "trace/graph/rename.h"

typedef struct loom_real_names {
    loom_rename mapping;
    loom_intern numbers[LOOM_RENAME_KINDS]; /* "MS_00001" */
    int64_t *places[LOOM_RENAME_KINDS];     /* of each number's name, in mapping.names */
    size_t cap[LOOM_RENAME_KINDS];
    int64_t n_unknown; /* names met that the mapping does not have: they stay as they are */
} loom_real_names;     /* zero-initialised is ready */

/* IO when there is no such file, FORMAT when it is no mapping. */
loom_status loom_real_names_load(loom_real_names *r, const char *path, loom_err *err);
/* Fills *to with `g` under its real names; both share ids, new texts live in `arena`. What cannot stand in a record
 * (white space, '|') becomes '_'. */
loom_status loom_real_names_graph(loom_graph *to, loom_real_names *r, const loom_graph *g, loom_arena *arena,
                                  loom_err *err);
void loom_real_names_release(loom_real_names *r);

#endif
