/* A variational autoencoder of trees whose nodes have a type and a number, after TraceVAE (Xie et al., WWW 2023),
 * smaller: what it finds unlikely is anomalous.
 *
 *   loom_trees trees = {.n = n, .first = first, .type = type, .parent = parent, .value = value};
 *   LOOM_TRY(loom_tree_vae_new(&v, n_types, &conf, err));
 *   LOOM_TRY(loom_tree_vae_train(v, &trees, err));
 *   double unlikely;
 *   loom_tree_vae_score(v, &unlikely, &trees, i);
 *   loom_tree_vae_free(v);
 *
 * Two codes of CODE numbers each, N(mu, e^logvar), from the mean over nodes of two layers of graph attention (2
 * heads of 32, layer norm, leaky rectifier) over the tree:
 *   structure z   from embeddings of types. Prior N(0, I). Decoder: number of nodes (categorical); an embedding of
 *                 every place; calls as Bernoulli of e_i . e_j, i < j; types by attention over the tree from these
 *                 embeddings
 *   values z2     from embeddings (no gradient) and values. Prior N(p(z), e^q(z)). Decoder: z2 and the embedding of
 *                 each node's type, by attention, to a mean and a log standard deviation of its value
 * Trained by RMSprop, 1e-3, a tenth in the last quarter of each part, L2 1e-4, gradients clipped at 10: two thirds
 * of the epochs the structure, then the values. A value counts as at most 6 standard deviations off.
 *
 * The score is -log p by importance sampling with 10 codes, with the remedies of TraceVAE's public program: log
 * probabilities below log 1/2 count 32^2 times (number of nodes) or 32 times (calls), values 32/nodes times, their
 * standard deviation is at most the 99th percentile over the training trees, and no score is above 1e5. */
#ifndef LOOM_LEARN_TREE_VAE_H
#define LOOM_LEARN_TREE_VAE_H

#include <stdint.h>

#include "core/err.h"
#include "learn/weights.h"

#define LOOM_TREE_MOST 32 /* nodes of a tree */

/* Tree k has the nodes first[k] .. first[k+1]), 2 to LOOM_TREE_MOST of them, parents before children. */
typedef struct loom_trees {
    int64_t n;
    const int64_t *first;  /* (n+1) */
    const int32_t *type;   /* 0 .. types-1 */
    const int32_t *parent; /* place in the tree; -1: the root */
    const float *value;    /* about standardised */
} loom_trees;              /* borrowed */

typedef struct loom_tree_vae_conf {
    int64_t epochs, batch; /* batch 0: 64 */
    uint64_t seed;
} loom_tree_vae_conf;

typedef struct loom_tree_vae loom_tree_vae;
loom_status loom_tree_vae_new(loom_tree_vae **out, int64_t types, const loom_tree_vae_conf *conf, loom_err *err);
loom_status loom_tree_vae_train(loom_tree_vae *v, const loom_trees *trees, loom_err *err);
/* `values`: of the values alone, given the tree: what the remedies of the structure cannot drown. */
typedef struct loom_tree_score {
    double whole, values;
} loom_tree_score;
/* Draws follow from the seed and i alone. */
void loom_tree_vae_score(loom_tree_vae *v, loom_tree_score *score, const loom_trees *trees, int64_t i);
void loom_tree_vae_free(loom_tree_vae *v);

/* ---- parts, for tests ---- */
loom_weights *loom_tree_vae_weights(loom_tree_vae *v);
size_t loom_tree_vae_split(const loom_tree_vae *v); /* weights before are the structure's, from here on the values' */
/* Mean loss of the trees `index` (B <= batch) and its gradient in the weights of that part (added). The noise is drawn
 * from `seed`. */
double loom_tree_vae_gradient(loom_tree_vae *v, const loom_trees *trees, const int64_t *index, int64_t B, bool values,
                              uint64_t seed);

#endif
