/* The grid of the accuracy figures: cells (edges, depth) with edges 1..30 and depth 1..6 unless asked otherwise.
 *
 * No graph has depth > edges or depth 1 with several edges, so those cells are left out: 136 of 180 remain.
 *
 *   for (int64_t c = 0; c < loom_grid_cells(&g); c++)
 *       if (loom_grid_possible(loom_grid_edges(&g, c), loom_grid_depth(&g, c))) ...
 */
#ifndef LOOM_EVAL_GRID_H
#define LOOM_EVAL_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

typedef struct loom_grid {
    int64_t edges_lo, edges_hi, depth_lo, depth_hi; /* all inclusive */
} loom_grid;

#define LOOM_GRID_PAPER                                                                                                \
    {                                                                                                                  \
        1, 30, 1, 6                                                                                                    \
    }
#define LOOM_GRID_MAX 1000 /* largest edges or depth of a grid */

/* "1:30" or "8"; `option` names the option in messages. */
loom_status loom_grid_range(int64_t *lo, int64_t *hi, const char *text, const char *option, loom_err *err);

bool loom_grid_possible(int64_t edges, int64_t depth);
/* Index of a cell, depth by depth; -1 outside the grid. Impossible cells have an index too. */
int64_t loom_grid_cell(const loom_grid *g, int64_t edges, int64_t depth);

static inline int64_t loom_grid_width(const loom_grid *g) { return g->edges_hi - g->edges_lo + 1; }
static inline int64_t loom_grid_cells(const loom_grid *g)
{
    return loom_grid_width(g) * (g->depth_hi - g->depth_lo + 1);
}
static inline int64_t loom_grid_edges(const loom_grid *g, int64_t cell)
{
    return g->edges_lo + cell % loom_grid_width(g);
}
static inline int64_t loom_grid_depth(const loom_grid *g, int64_t cell)
{
    return g->depth_lo + cell / loom_grid_width(g);
}

#endif
