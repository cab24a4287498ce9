#include "eval/management/management.h"

#include <string.h>

#include "core/num.h"
#include "eval/answers/graphs.h"

#define LEAST_DEPTH 3 /* of graphs that make a service an application */

void loom_management_release(loom_management *m)
{
    for (int64_t i = 0; i < m->n_origins; i++) {
        free(m->origins[i].name);
        for (int a = 0; a < LOOM_APPS; a++) loom_critical_paths_release(&m->origins[i].paths[a]);
    }
    for (int a = 0; a < LOOM_APPS; a++) loom_critical_paths_release(&m->test[a]);
    free(m->origins);
    loom_intern_release(&m->nodes);
    loom_intern_release(&m->services);
    *m = (loom_management){0};
}

/* Graphs of at least LEAST_DEPTH levels, by service. */
static loom_status count_services(loom_management *m, int64_t **counts, const char *real, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more;
    size_t cap = 0;
    loom_status st = loom_graphs_open(&in, real, err);

    while (st == LOOM_OK && (st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more) {
        int64_t before = (int64_t)m->services.n, id = loom_intern_add(&m->services, g.service, strlen(g.service));
        if (id < 0) st = loom_fail_nomem(err, "services");
        else st = loom_grow(counts, &cap, m->services.n, sizeof **counts, err);
        if (st != LOOM_OK) break;
        if (id == before) (*counts)[id] = 0;
        (*counts)[id] += loom_graph_depth(&g) >= LEAST_DEPTH;
    }
    loom_graphs_close(&in);
    return st;
}

loom_status loom_management_apps(loom_management *m, const char *real, loom_err *err)
{
    int64_t *counts = NULL;
    loom_status st = count_services(m, &counts, real, err);

    for (int a = 0; st == LOOM_OK && a < LOOM_APPS; a++) {
        int64_t best = -1;
        for (int64_t i = 0; i < (int64_t)m->services.n; i++)
            if (counts[i] > 0 && (best < 0 || counts[i] > counts[best])) best = i;
        if (best < 0)
            st = loom_fail(err, LOOM_STATUS_FORMAT,
                           "%s: fewer than %d services have graphs of %d levels; give more real graphs", real,
                           LOOM_APPS, LEAST_DEPTH);
        else counts[best] = 0, m->app[a] = best;
    }
    free(counts);
    return st;
}

int loom_management_app_of(const loom_management *m, const char *service)
{
    int64_t id = loom_intern_find(&m->services, service, strlen(service));
    for (int a = 0; a < LOOM_APPS; a++)
        if (id >= 0 && id == m->app[a]) return a;
    return -1;
}

loom_status loom_management_load(loom_management *m, loom_critical_paths paths[LOOM_APPS], int64_t *n_graphs,
                                 const char *path, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more;
    loom_status st = loom_graphs_open(&in, path, err);

    while (st == LOOM_OK && (st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more) {
        int app = loom_management_app_of(m, g.service);
        ++*n_graphs;
        if (app >= 0) st = loom_critical_paths_add(&paths[app], &m->nodes, &g, err);
    }
    loom_graphs_close(&in);
    return st;
}
