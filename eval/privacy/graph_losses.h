/* How surprised a model is by graphs: the mean loss of each graph's tokens, in nats, from token shards as training
 * reads them.
 *
 *   loom_loss_model m = {0};
 *   LOOM_TRY(loom_loss_model_open(&m, "run", NULL, 0, threads, err));
 *   LOOM_TRY(loom_graph_losses_read(&losses, &m, "train.tokens.h5", 1000, seed, err));     1000 graphs of it;
 *                                                                                          0: all
 *   loom_graph_losses_release(&losses);
 *   loom_loss_model_close(&m);
 *
 * The samples of a graph stand together in a shard, the layer that nobody calls first (not in shuffled or balanced
 * text).
 * Of instruction text, the answers count, as in training. A sample is cut at the model's context. */
#ifndef LOOM_EVAL_GRAPH_LOSSES_H
#define LOOM_EVAL_GRAPH_LOSSES_H

#include "core/pool.h"
#include "model/acts.h"
#include "model/model_files.h"

typedef struct loom_loss_model {
    loom_model_files files;
    loom_acts *acts;
    loom_pool *pool;
    int64_t context; /* rows of a sample, at most */
} loom_loss_model;

loom_status loom_loss_model_open(loom_loss_model *m, const char *model, const char *adapter, int64_t context,
                                 int threads, loom_err *err);
void loom_loss_model_close(loom_loss_model *m); /* zero-initialised is fine */

typedef struct loom_graph_losses {
    double *of; /* (n) mean loss of a graph's tokens */
    int64_t n;
    int64_t graphs; /* in the shard */
    int64_t cut;    /* samples longer than the context, of those used */
} loom_graph_losses;

loom_status loom_graph_losses_read(loom_graph_losses *out, const loom_loss_model *m, const char *shard, int64_t most,
                                   uint64_t seed, loom_err *err);
void loom_graph_losses_release(loom_graph_losses *l);

#endif
