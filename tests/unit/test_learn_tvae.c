/* TVAE: loss, gradient and one step against an independent program, and what it learns. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "learn/tvae.h"
#include "learn/weights.h"

enum { ROWS = 40, WIDTH = 5, CODE = 3, BATCH = 5 };

/* The values here were computed in float64 by a numpy program written from the definitions in learn/tvae.h,
 * gradients by central differences, with the mixture of scikit-learn; data, weights and noise by the formulas below. */
typedef struct bed {
    int32_t discrete[2 * ROWS], classes[2];
    double x[ROWS];
    float eps[BATCH * CODE];
    loom_table rows;
    loom_tvae *t;
} bed;

static loom_status build(bed *b, uint64_t seed, loom_err *err)
{
    *b = (bed){.classes = {3, 4}};
    for (int i = 0; i < ROWS; i++) {
        b->discrete[2 * i] = i % 3;
        b->discrete[2 * i + 1] = i * i % 4;
        b->x[i] = i % 2 ? 3 + i % 3 : 300 + 5 * (i % 7);
    }
    for (int i = 0; i < BATCH * CODE; i++) b->eps[i] = (float)cos(2 + 1.3 * i);
    b->rows = (loom_table){.n = ROWS,
                           .n_discrete = 2,
                           .n_continuous = 1,
                           .discrete = b->discrete,
                           .classes = b->classes,
                           .continuous = b->x};
    return loom_tvae_new(&b->t, &b->rows, &(loom_tvae_conf){.width = WIDTH, .code = CODE, .batch = BATCH, .seed = seed},
                         err);
}

TEST(agrees_with_numpy)
{
    static const int64_t index[BATCH] = {0, 3, 4, 17, 31};
    int32_t component;
    double norm = 0, along = 0;
    loom_tvae_loss loss;
    loom_err err;
    bed b;

    REQUIRE_OK(build(&b, 1, &err), err);
    loom_tvae *t = b.t;
    CHECK_NEAR(loom_tvae_scalar(t, 0, 0, &component), -0.03624187037348747, 1e-7);
    CHECK_I64(component, 3);
    CHECK_NEAR(loom_tvae_scalar(t, 1, 0, &component), -0.038580551743507385, 1e-7);
    CHECK_I64(component, 0);
    loom_weights *w = loom_tvae_weights(t);
    REQUIRE(w->n == 254);
    CHECK_NEAR(w->w[253], 0.1, 1e-8);
    for (size_t i = 0; i < 253; i++) w->w[i] = (float)(0.6 * sin(1 + 0.7 * (double)i + 0.01 * (double)(i * i)));
    loom_weights_zero_grad(w);
    loom_tvae_gradient(t, &loss, index, b.eps, BATCH);
    CHECK_NEAR(loss.reconstruction, 39.28498759978555, 2e-5);
    CHECK_NEAR(loss.kl, 0.42375014611110273, 1e-6);
    for (size_t i = 0; i < 253; i++) {
        norm += (double)w->dw[i] * w->dw[i];
        along += w->dw[i] * sin(0.37 * (double)i);
    }
    CHECK_NEAR(sqrt(norm), 117.82635340025818, 1e-3);
    CHECK_NEAR(along, 58.697058951614025, 1e-3);
    CHECK_NEAR(w->dw[253], -695.9246156839072, 1e-2);
    REQUIRE_OK(loom_tvae_step(t, &err), err);
    CHECK_NEAR(w->w[253], 0.101, 1e-7);
    loom_tvae_gradient(t, &loss, index, b.eps, BATCH);
    CHECK_NEAR(loss.reconstruction, 38.048830154620916, 1e-3); /* an entry of almost no gradient may go either way */
    CHECK_NEAR(loss.kl, 0.4182792050247953, 1e-4);
    loom_tvae_free(t);
}

static double loss_of(loom_tvae *t, const int64_t *index, const float *eps)
{
    loom_tvae_loss loss;

    loom_tvae_gradient(t, &loss, index, eps, BATCH);
    return loss.reconstruction + loss.kl;
}

/* Every weight of the whole network, in float32 with a step of 1e-3: a loss near 20 is known to 1e-6 of itself. */
TEST(gradient)
{
    static const int64_t index[BATCH] = {1, 2, 8, 9, 39};
    double size = 0, worst = 0;
    loom_tvae_loss loss;
    loom_err err;
    bed b;

    REQUIRE_OK(build(&b, 3, &err), err);
    loom_tvae *t = b.t;
    loom_weights *w = loom_tvae_weights(t);
    float *dw = loom_alloc(w->n, sizeof *dw);
    REQUIRE(dw);
    w->w[w->n - 1] = 0.5f;
    loom_weights_zero_grad(w);
    loom_tvae_gradient(t, &loss, index, b.eps, BATCH);
    memcpy(dw, w->dw, w->n * sizeof *dw);
    for (size_t i = 0; i < w->n; i++) size = fmax(size, fabs((double)dw[i]));
    for (size_t i = 0; i < w->n; i++) {
        float old = w->w[i];
        w->w[i] = old + 1e-3f;
        double up = loss_of(t, index, b.eps);
        w->w[i] = old - 1e-3f;
        double down = loss_of(t, index, b.eps);
        w->w[i] = old;
        worst = test_worse(worst, fabs((up - down) / 2e-3 - dw[i]) / size);
    }
    CHECK(worst < 1e-2);
    free(dw);
    loom_tvae_free(t);
}

/* Two kinds of rows, one three times as frequent, each with a class and a time of its own: drawn rows keep class and
 * time together, and both kinds occur. */
TEST(learns)
{
    enum { N = 4000 };
    static int32_t discrete[2 * N], made[2 * N];
    static double x[N], out[N];
    int32_t classes[] = {8, 2};
    int64_t rare = 0, torn = 0;
    double first = 0, last = 0;
    loom_table rows = {
        .n = N, .n_discrete = 2, .n_continuous = 1, .discrete = discrete, .classes = classes, .continuous = x};
    loom_tvae *t = NULL;
    loom_rng rng;
    loom_err err;

    loom_rng_seed(&rng, 2, "rows", 0);
    for (int i = 0; i < N; i++) {
        bool is_rare = i % 4 == 0;
        discrete[2 * i] = is_rare ? 5 : 2;
        discrete[2 * i + 1] = is_rare;
        x[i] = (is_rare ? 500 : 20) + loom_rng_normal(&rng);
    }
    REQUIRE_OK(loom_tvae_new(&t, &rows, &(loom_tvae_conf){.width = 32, .code = 8, .batch = 100, .seed = 1}, &err), err);
    for (int epoch = 0; epoch < 30; epoch++) {
        REQUIRE_OK(loom_tvae_epoch(t, &last, &err), err);
        if (epoch == 0) first = last;
    }
    CHECK(last < first - 1);
    REQUIRE_OK(loom_tvae_draw(t, made, out, N, &rng, &err), err);
    for (int i = 0; i < N; i++) {
        bool is_rare = made[2 * i + 1] == 1;
        rare += is_rare;
        torn += (made[2 * i] != (is_rare ? 5 : 2)) || fabs(out[i] - (is_rare ? 500 : 20)) > 60;
    }
    CHECK(rare > N / 10 && rare < N / 2);
    CHECK(torn < N / 20);
    loom_tvae_free(t);
}

TEST(no_rows)
{
    loom_tvae *t = NULL;
    loom_err err;

    CHECK(loom_tvae_new(&t, &(loom_table){0}, &(loom_tvae_conf){0}, &err) == LOOM_STATUS_FORMAT);
}

TEST_MAIN(RUN(agrees_with_numpy) RUN(gradient) RUN(learns) RUN(no_rows))
