/* The linear head: its gradient, its minimum against what is known by hand, both solvers against each other. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "learn/lbfgs.h"
#include "learn/logistic.h"

enum { N = 13, F = 5 };

static void draw(float *x, bool *y, int64_t n, int64_t f, double sharp)
{
    loom_rng rng;

    loom_rng_seed(&rng, 5, "logistic", 0);
    for (int64_t i = 0; i < n * f; i++) x[i] = (float)loom_rng_normal(&rng);
    for (int64_t i = 0; i < n; i++) y[i] = sharp * (double)x[i * f] + loom_rng_normal(&rng) > 0.3;
}

TEST(gradient)
{
    float x[N * F];
    bool y[N];
    double w[F + 1], dw[F + 1], step = 1e-5;

    draw(x, y, N, F, 1);
    for (int i = 0; i <= F; i++) w[i] = 0.4 * i - 0.9;
    loom_logistic_loss(dw, w, x, y, N, F, 0.3);
    for (int i = 0; i <= F; i++) {
        double old = w[i];
        w[i] = old + step;
        double up = loom_logistic_loss(NULL, w, x, y, N, F, 0.3);
        w[i] = old - step;
        double down = loom_logistic_loss(NULL, w, x, y, N, F, 0.3);
        w[i] = old;
        CHECK(fabs((up - down) / (2 * step) - dw[i]) < 1e-9);
    }
}

/* Rosenbrock's valley in an odd number of dimensions: its minimum is 0 at (1, 1, ...). */
static double valley(void *arg, double *g, const double *x, int64_t n)
{
    double sum = 0;

    (void)arg;
    for (int64_t i = 0; i < n; i++) g[i] = 0;
    for (int64_t i = 0; i + 1 < n; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        sum += 100 * a * a + b * b;
        g[i] += -400 * a * x[i] - 2 * b;
        g[i + 1] += 200 * a;
    }
    return sum;
}

TEST(valley)
{
    double x[7] = {-1.2, 1, -1.2, 1, -1.2, 1, -1.2};
    loom_lbfgs_conf how = LOOM_LBFGS;
    loom_lbfgs_result r;

    for (int memory = 1; memory <= 10; memory += 9) {
        for (int i = 0; i < 7; i++) x[i] = i % 2 ? 1 : -1.2;
        how.memory = memory;
        how.steps = 2000;
        CHECK(loom_lbfgs(&r, x, 7, valley, NULL, &how, NULL) == LOOM_OK);
        CHECK(r.gradient <= 1e-6 && r.value < 1e-10);
        for (int i = 0; i < 7; i++) CHECK(fabs(x[i] - 1) < 1e-5);
    }
}

static double no_number(void *arg, double *g, const double *x, int64_t n)
{
    (void)arg;
    (void)x;
    for (int64_t i = 0; i < n; i++) g[i] = 0;
    return NAN;
}

TEST(no_number_at_the_start)
{
    double x[2] = {3, 4};
    const loom_lbfgs_conf how = LOOM_LBFGS;
    loom_lbfgs_result r;
    loom_err err;

    CHECK(loom_lbfgs(&r, x, 2, no_number, NULL, &how, &err) == LOOM_STATUS_NUMERIC);
    CHECK(x[0] == 3 && x[1] == 4);
}

/* One feature that is 0 or 1: the margins are the log odds of each half. 3 of 4 and 1 of 5 are of class 1. */
TEST(log_odds)
{
    const float x[9] = {1, 1, 1, 1, 0, 0, 0, 0, 0};
    const bool y[9] = {true, true, true, false, true, false, false, false, false};
    const loom_logistic_conf how = {.solver = LOOM_SOLVER_LBFGS};
    loom_logistic fit = {0};

    CHECK(loom_logistic_fit(&fit, x, y, 9, 1, &how, NULL) == LOOM_OK);
    CHECK(fabs(loom_logistic_margin(&fit, x) - log(3)) < 1e-4);
    CHECK(fabs(loom_logistic_margin(&fit, x + 8) - log(0.25)) < 1e-4);
    loom_logistic_release(&fit);
}

TEST(solvers_agree)
{
    enum { n = 400, f = 7 };
    float *x = loom_alloc(n * f, sizeof *x);
    bool *y = loom_alloc(n, sizeof *y);
    loom_logistic_conf how = {.solver = LOOM_SOLVER_LBFGS, .decay = 0.05, .lr = 0.01, .batch = n, .epochs = 3000};
    loom_logistic a = {0}, b = {0};

    draw(x, y, n, f, 2);
    CHECK(loom_logistic_fit(&a, x, y, n, f, &how, NULL) == LOOM_OK);
    how.solver = LOOM_SOLVER_ADAM;
    CHECK(loom_logistic_fit(&b, x, y, n, f, &how, NULL) == LOOM_OK);
    for (int i = 0; i <= f; i++) CHECK(fabs(a.w[i] - b.w[i]) < 2e-3);
    CHECK(fabs(a.loss - b.loss) < 1e-6);
    CHECK_I64(b.steps, 3000);
    loom_logistic_release(&a);
    loom_logistic_release(&b);
    free(x);
    free(y);
}

TEST(one_class)
{
    float x[N * F];
    bool y[N];
    const loom_logistic_conf how = {.solver = LOOM_SOLVER_LBFGS};
    loom_logistic fit = {0};
    loom_err err;

    draw(x, y, N, F, 1);
    for (int i = 0; i < N; i++) y[i] = true;
    CHECK(loom_logistic_fit(&fit, x, y, N, F, &how, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "one class") != NULL);
}

TEST_MAIN(RUN(gradient) RUN(valley) RUN(no_number_at_the_start) RUN(log_odds) RUN(solvers_agree) RUN(one_class))
