/* What traces are made for: models of system management, trained on graphs of several origins, tested on the same real
 * graphs (Fig 5). */
#ifndef LOOM_EVAL_MANAGEMENT_H
#define LOOM_EVAL_MANAGEMENT_H

#include "eval/management/firm.h"
#include "eval/pages/results.h"

#define LOOM_APPS 2 /* applications A and B: the services with most real graphs of at least three levels */

typedef struct loom_origin {
    char *name; /* "real", "instruction", "probabilistic", ... */
    loom_critical_paths paths[LOOM_APPS];
    int64_t n_graphs;
} loom_origin;

typedef struct loom_management {
    loom_intern nodes, services;
    int64_t app[LOOM_APPS]; /* ids of services */
    loom_origin *origins;   /* the first is real */
    int64_t n_origins;
    loom_critical_paths test[LOOM_APPS];
    uint64_t seed;
    int64_t seeds, n_train, n_test; /* runs; graphs of an application at most */
} loom_management;                  /* zero-initialised is ready */

/* Finds the applications in the real training graphs. FORMAT when there are not two. */
loom_status loom_management_apps(loom_management *m, const char *real, loom_err *err);
/* Which of them a service is; -1: none. */
int loom_management_app_of(const loom_management *m, const char *service);
/* Adds the graphs of both applications in a file. */
loom_status loom_management_load(loom_management *m, loom_critical_paths paths[LOOM_APPS], int64_t *n_graphs,
                                 const char *path, loom_err *err);
/* Trains and tests FIRM for every application, unit, origin and seed; writes fig05.csv and fig05_mean.csv, draws
 * fig05. */
loom_status loom_management_firm(const loom_management *m, loom_results *r, loom_err *err);
void loom_management_release(loom_management *m);

#endif
