/* What classifiers say of real graphs (*.classes.jsonl of loom-train classify): of each head, how often it is right.
 *
 *   loom_class_runs c = {0};
 *   LOOM_TRY(loom_class_runs_read(&c, "uncommon.classes.jsonl", err));
 *   for (int64_t i = 0; i < c.n; i++) ... c.list[i].accuracy ...
 *   loom_class_runs_release(&c); */
#ifndef LOOM_EVAL_CLASS_RUNS_H
#define LOOM_EVAL_CLASS_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"

/* A head. */
typedef struct loom_class_run {
    const char *origin, *solver;
    int64_t seed, n_train, n_valid, batch; /* batch -1: all at once */
    double decay, lr;                      /* NaN: none */
    int64_t tp, fp, tn, fn;
    double accuracy, balanced, auc;
} loom_class_run;

typedef struct loom_class_runs {
    const char *task; /* "high-latency", "uncommon" */
    bool fresh;       /* of a model that was never trained */
    bool *truth;      /* (n_test) */
    int64_t n_test, n_yes;
    double majority; /* accuracy of saying always what is more frequent */
    loom_class_run *list;
    int64_t n;
    size_t cap;
    loom_arena arena; /* names */
} loom_class_runs;    /* zero-initialised is ready */

/* FORMAT, with file and line, when the file is another one, or holds no head. */
loom_status loom_class_runs_read(loom_class_runs *c, const char *path, loom_err *err);
void loom_class_runs_release(loom_class_runs *c);

/* Means over the seeds of one origin. */
typedef struct loom_class_mean {
    double accuracy, std, balanced, auc;
    double noise; /* mean difference of two seeds */
    int64_t seeds, n_train;
} loom_class_mean;
/* False: no head of that origin. */
bool loom_class_runs_mean(loom_class_mean *m, const loom_class_runs *c, const char *origin);

#endif
