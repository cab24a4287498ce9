/* TraceVAE on graphs of several origins: trained on the graphs of each, tested on the same real graphs, some of
 * them with an anomaly (Fig 5). */
#ifndef LOOM_EVAL_TRACE_VAE_H
#define LOOM_EVAL_TRACE_VAE_H

#include "eval/answers/graphs.h"
#include "eval/pages/results.h"

#define LOOM_TRACE_VAE_LEAST 50 /* graphs of an origin; and to test on */

typedef struct loom_trace_vae_conf {
    uint64_t seed;
    int64_t seeds, n_train, n_test, epochs;
} loom_trace_vae_conf;

typedef struct loom_trace_vae {
    loom_trace_vae_conf conf;
    const char **names;      /* (n): "real" is the first; borrowed */
    loom_graph_set *origins; /* (n) */
    int64_t n;
    loom_graph_set test;
} loom_trace_vae; /* zero-initialised is ready */

/* Adds the graphs of a file: the first 4 n_train of at least two calls; each seed draws n_train of them. The first call
 * brings real graphs. An origin with too few is left out with a warning; real ones are a FORMAT error. */
loom_status loom_trace_vae_load(loom_trace_vae *t, const char *name, const char *path, loom_err *err);
/* The same for the graphs to test on: the first 4 n_test of the file, of which n_test are drawn. */
loom_status loom_trace_vae_load_test(loom_trace_vae *t, const char *path, loom_err *err);
/* Trains and tests; writes fig05_tracevae.csv and fig05_tracevae_mean.csv, draws fig05_tracevae. */
loom_status loom_trace_vae_run(const loom_trace_vae *t, loom_results *r, loom_err *err);
void loom_trace_vae_release(loom_trace_vae *t);

#endif
