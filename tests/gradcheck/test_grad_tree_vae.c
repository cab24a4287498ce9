/* The autoencoder of trees: its gradients against differences of its loss, and what it learns of trees that have a
 * rule. */
#include "test.h"

#include <math.h>

#include "core/num.h"
#include "core/rng.h"
#include "learn/tree_vae.h"

/* Trees of 2, 5 and 3 nodes. */
static const int64_t first[] = {0, 2, 7, 10};
static const int32_t type[] = {0, 1, 0, 2, 3, 2, 1, 3, 3, 0}, parent[] = {-1, 0, -1, 0, 0, 1, 1, -1, 0, 1};
static const float value[] = {0.3F, -1, 0.5F, 0.1F, 1.2F, -0.4F, 0, 0.9F, -0.8F, 0.2F};
static const loom_trees three = {3, first, type, parent, value};
static const int64_t all[] = {2, 0, 1};

/* Along a random direction of one tensor the slope must be that of the loss. */
static void check_tensor(loom_tree_vae *v, const loom_weight *t, bool values, const float *dw, loom_rng *rng)
{
    loom_weights *w = loom_tree_vae_weights(v);
    double slope = 0, size = 0;
    const double step = 3e-4; /* rectifiers have corners: longer steps cross some */
    float *u = loom_alloc(t->n, sizeof *u);
    REQUIRE(u);
    for (size_t i = 0; i < t->n; i++) {
        u[i] = (float)(loom_rng_normal(rng) / sqrt((double)t->n));
        slope += (double)u[i] * dw[t->at + i];
        size += (double)dw[t->at + i] * dw[t->at + i];
    }
    for (size_t i = 0; i < t->n; i++) w->w[t->at + i] += (float)step * u[i];
    double up = loom_tree_vae_gradient(v, &three, all, 3, values, 7);
    for (size_t i = 0; i < t->n; i++) w->w[t->at + i] -= 2 * (float)step * u[i];
    double down = loom_tree_vae_gradient(v, &three, all, 3, values, 7);
    for (size_t i = 0; i < t->n; i++) w->w[t->at + i] += (float)step * u[i];
    test_checks_++;
    if (!(fabs((up - down) / (2 * step) - slope) <= 2e-2 * fmax(sqrt(size / (double)t->n), 0.05)))
        TEST_FAIL_("%s at %zu: slope %g, differences say %g", t->name, t->at, slope, (up - down) / (2 * step));
    free(u);
}

TEST(gradients)
{
    loom_tree_vae *v = NULL;
    loom_tree_vae_conf conf = {.epochs = 1, .seed = 3};
    loom_rng rng;
    loom_err err;
    REQUIRE_OK(loom_tree_vae_new(&v, 4, &conf, &err), err);
    loom_weights *w = loom_tree_vae_weights(v);
    float *dw = loom_alloc(w->n, sizeof *dw);
    REQUIRE(dw);
    loom_rng_seed(&rng, 5, "directions", 0);
    for (int values = 0; values < 2; values++) {
        loom_weights_zero_grad(w);
        loom_tree_vae_gradient(v, &three, all, 3, values, 7);
        memcpy(dw, w->dw, w->n * sizeof *dw);
        for (int i = 0; i < w->n_list; i++) {
            bool here = (w->list[i].at >= loom_tree_vae_split(v)) == values;
            if (here) check_tensor(v, &w->list[i], values, dw, &rng);
            for (size_t k = 0; !here && k < w->list[i].n; k++)
                if (dw[w->list[i].at + k] != 0) TEST_FAIL_("%s moves with the other part", w->list[i].name);
        }
    }
    free(dw);
    loom_tree_vae_free(v);
}

/* Chains 0 -> 1 -> 2 whose values are alike; the last ones have a far value, or are no chains. */
enum { CHAINS = 200, ODD = 20, ALL = CHAINS + 2 * ODD };
TEST(odd_trees_score_high)
{
    static int64_t start[ALL + 1];
    static int32_t kind[3 * ALL], above[3 * ALL];
    static float x[3 * ALL];
    loom_tree_vae *v = NULL;
    loom_tree_vae_conf conf = {.epochs = 32, .batch = 16, .seed = 3};
    loom_trees train = {CHAINS, start, kind, above, x}, test = {ALL, start, kind, above, x};
    loom_rng rng;
    loom_err err;
    double most = 0;
    loom_tree_score score, again;
    loom_rng_seed(&rng, 1, "chains", 0);
    for (int64_t i = 0; i < ALL; i++) {
        start[i + 1] = 3 * (i + 1);
        for (int k = 0; k < 3; k++)
            kind[3 * i + k] = k, above[3 * i + k] = k - 1, x[3 * i + k] = (float)loom_rng_normal(&rng);
        if (i >= CHAINS + ODD) above[3 * i + 2] = 0;
        else if (i >= CHAINS) x[3 * i + 1] += 12;
    }
    REQUIRE_OK(loom_tree_vae_new(&v, 3, &conf, &err), err);
    REQUIRE_OK(loom_tree_vae_train(v, &train, &err), err);
    for (int64_t i = 0; i < CHAINS; i++) {
        loom_tree_vae_score(v, &score, &test, i);
        most = fmax(most, score.whole);
    }
    int64_t found = 0;
    for (int64_t i = CHAINS; i < ALL; i++) {
        loom_tree_vae_score(v, &score, &test, i);
        loom_tree_vae_score(v, &again, &test, i);
        CHECK(score.whole == again.whole && score.values == again.values);
        found += score.whole > most;
    }
    if (found < 36) TEST_FAIL_("%lld of 40 odd trees score above all usual ones", (long long)found);
    loom_tree_vae_free(v);
}

TEST_MAIN(RUN(gradients) RUN(odd_trees_score_high))
