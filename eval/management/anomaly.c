#include "eval/management/anomaly.h"

#include <string.h>

static bool is_below(const loom_graph *g, int32_t top, int32_t i)
{
    return loom_id_is_prefix(g->calls[top].id, g->calls[top].n_id, g->calls[i].id, g->calls[i].n_id);
}

static void shift(loom_graph *g, int32_t top, int64_t extra)
{
    for (int32_t i = top; i < g->n_calls && is_below(g, top, i); i++) g->calls[i].arrived += extra;
}

void loom_anomaly_slow(loom_graph *g, int32_t i, int64_t extra)
{
    for (int32_t up; i >= 0; i = up) {
        int64_t end = loom_call_finish(&g->calls[i]);
        up = loom_graph_parent(g, i);
        g->calls[i].rt += extra;
        for (int32_t k = up + 1; up >= 0 && k < g->n_calls; k++) /* ids need not follow the order of starts */
            if (k != i && g->calls[k].n_id == g->calls[i].n_id && loom_graph_parent(g, k) == up &&
                g->calls[k].arrived >= end)
                shift(g, k, extra);
    }
}

void loom_anomaly_drop(loom_graph *g, int32_t i)
{
    int32_t end = i + 1;
    while (end < g->n_calls && is_below(g, i, end)) end++;
    memmove(g->calls + i, g->calls + end, (size_t)(g->n_calls - end) * sizeof *g->calls);
    g->n_calls -= end - i;
}
