#include "eval/accuracy/grid.h"

#include <string.h>

#include "core/num.h"

loom_status loom_grid_range(int64_t *lo, int64_t *hi, const char *text, const char *option, loom_err *err)
{
    const char *colon = strchr(text, ':');
    size_t first = colon ? (size_t)(colon - text) : strlen(text);
    const char *last = colon ? colon + 1 : text;
    int64_t a, b;

    if (!loom_parse_i64(text, first, &a) || !loom_parse_i64(last, strlen(last), &b) || a < 1 || b < a ||
        b > LOOM_GRID_MAX)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s is \"%s\", expected FIRST:LAST with 1 <= FIRST <= LAST <= %d, as 1:30", option, text,
                         LOOM_GRID_MAX);
    *lo = a;
    *hi = b;
    return LOOM_OK;
}

bool loom_grid_possible(int64_t edges, int64_t depth)
{
    return depth >= 1 && depth <= edges && (depth > 1 || edges == 1);
}

int64_t loom_grid_cell(const loom_grid *g, int64_t edges, int64_t depth)
{
    if (edges < g->edges_lo || edges > g->edges_hi || depth < g->depth_lo || depth > g->depth_hi) return -1;
    return (depth - g->depth_lo) * loom_grid_width(g) + (edges - g->edges_lo);
}
