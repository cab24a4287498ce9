/* The support vector machine: a problem whose solution is known, a certificate of optimality on others, a second
 * solver, and random features against the kernel they stand for. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "learn/svm.h"
#ifdef LOOM_HAVE_LIBLINEAR
#include <linear.h>
#endif

enum { N = 400, F = 5 };

/* Two clouds that overlap; a fifth of them of class 1. */
static void clouds(float *x, bool *y, uint64_t seed)
{
    loom_rng rng;

    loom_rng_seed(&rng, seed, "clouds", 0);
    for (int i = 0; i < N; i++) {
        y[i] = i % 5 == 0;
        for (int f = 0; f < F; f++) x[i * F + f] = (float)(loom_rng_normal(&rng) + (y[i] ? 0.6 : -0.2));
    }
}

/* x = -1 and 1: the widest margin is w = 1, b = 0, every sample on it; alpha = 1/2 each, objective 1/2. */
TEST(known_solution)
{
    float x[] = {-1, 1};
    bool y[] = {false, true};
    loom_svm s;
    loom_err err;

    REQUIRE_OK(loom_svm_fit(&s, x, y, 2, 1, &(loom_svm_conf){.C = 10, .gap = 1e-9, .passes = 1000}, &err), err);
    CHECK_NEAR(s.w[0], 1, 1e-6);
    CHECK_NEAR(s.w[1], 0, 1e-6);
    CHECK_NEAR(s.primal, 0.5, 1e-6);
    loom_svm_release(&s);
}

static double objective(const double *w, const float *x, const bool *y, const double C[2])
{
    double sum = 0;

    for (int f = 0; f <= F; f++) sum += w[f] * w[f] / 2;
    for (int i = 0; i < N; i++) {
        double margin = w[F];
        for (int f = 0; f < F; f++) margin += w[f] * x[i * F + f];
        sum += C[y[i]] * fmax(0, 1 - (y[i] ? margin : -margin));
    }
    return sum;
}

/* Subgradient descent, a second way to the same minimum. */
static double descend(const float *x, const bool *y, const double C[2])
{
    double w[F + 1] = {0}, mean[F + 1] = {0}, best = INFINITY;

    for (int t = 1; t <= 60000; t++) {
        double g[F + 1];
        memcpy(g, w, sizeof g);
        for (int i = 0; i < N; i++) {
            double sign = y[i] ? 1 : -1, margin = w[F];
            for (int f = 0; f < F; f++) margin += w[f] * x[i * F + f];
            if (sign * margin >= 1) continue;
            for (int f = 0; f < F; f++) g[f] -= C[y[i]] * sign * x[i * F + f];
            g[F] -= C[y[i]] * sign;
        }
        for (int f = 0; f <= F; f++) {
            w[f] -= g[f] / (100.0 + t);
            mean[f] += (w[f] - mean[f]) / (t < 1000 ? 1 : t - 999);
        }
        if (t % 5000 == 0) best = fmin(best, objective(mean, x, y, C));
    }
    return best;
}

TEST(optimal)
{
    static float x[N * F];
    static bool y[N];
    loom_svm s;
    loom_err err;

    for (uint64_t seed = 1; seed <= 3; seed++)
        for (int balanced = 0; balanced < 2; balanced++) {
            double C[2] = {0.02, 0.02};
            if (balanced) C[0] = 0.02 * N / (2.0 * N * 4 / 5), C[1] = 0.02 * N / (2.0 * N / 5);
            clouds(x, y, seed);
            REQUIRE_OK(loom_svm_fit(&s, x, y, N, F,
                                    &(loom_svm_conf){.C = 0.02, .balanced = balanced, .gap = 1e-6, .passes = 5000},
                                    &err),
                       err);
            CHECK(s.primal - s.dual >= -1e-9 && s.primal - s.dual <= 1e-6 * s.primal);
            CHECK_NEAR(objective(s.w, x, y, C), s.primal, 1e-9);
            if (seed == 1) {
                double other = descend(x, y, C);
                CHECK(other >= s.dual - 1e-9); /* no solution is below the dual */
                CHECK_NEAR(other, s.primal, 2e-3 * s.primal);
            }
            loom_svm_release(&s);
        }
}

TEST(one_class_is_an_error)
{
    float x[] = {1, 2};
    bool y[] = {true, true};
    loom_svm s = {0};
    loom_err err;

    CHECK(loom_svm_fit(&s, x, y, 2, 1, &(loom_svm_conf){.C = 1, .gap = 1e-3, .passes = 10}, &err) ==
          LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "one class"));
    loom_svm_release(&s);
}

TEST(scale)
{
    float x[] = {1, 5, 3, 5, 5, 5};
    loom_scaler s;
    loom_err err;

    REQUIRE_OK(loom_scaler_fit(&s, x, 3, 2, &err), err);
    loom_scaler_apply(x, &s, 3);
    CHECK_NEAR(x[0], -sqrt(1.5), 1e-6);
    CHECK_NEAR(x[4], sqrt(1.5), 1e-6);
    CHECK_NEAR(x[1], 0, 1e-6); /* a feature that does not vary */
    loom_scaler_release(&s);
}

/* Mean of D products has standard deviation below 1/sqrt(D); four of those. */
TEST(random_features)
{
    enum { D = 20000 };
    static float z[2 * D];
    float x[] = {0.3f, -1, 0.5f, 0.1f, 0.2f, 0.4f};
    double product = 0, apart = 0;
    loom_fourier f;
    loom_rng rng;
    loom_err err;

    loom_rng_seed(&rng, 3, "fourier", 0);
    REQUIRE_OK(loom_fourier_draw(&f, D, 3, 0.5, &rng, &err), err);
    loom_fourier_apply(z, x, &f, 2);
    for (int d = 0; d < D; d++) product += (double)z[d] * z[D + d];
    for (int i = 0; i < 3; i++) apart += (x[i] - x[3 + i]) * (x[i] - x[3 + i]);
    CHECK_NEAR(product, exp(-0.5 * apart), 4 / sqrt(D));
    loom_fourier_release(&f);
}

#ifdef LOOM_HAVE_LIBLINEAR
static void silent(const char *text) { (void)text; }
#endif

TEST(liblinear_agrees)
{
#ifdef LOOM_HAVE_LIBLINEAR
    static float x[N * F];
    static bool y[N];
    static struct feature_node nodes[N][F + 2], *rows[N];
    double labels[N];
    struct problem p = {.l = N, .n = F + 1, .y = labels, .x = rows, .bias = 1};
    struct parameter how = {.solver_type = L2R_L1LOSS_SVC_DUAL, .C = 0.02, .eps = 1e-6};
    loom_svm s;
    loom_err err;

    clouds(x, y, 9);
    for (int i = 0; i < N; i++) {
        labels[i] = y[i] ? 1 : -1;
        for (int f = 0; f < F; f++) nodes[i][f] = (struct feature_node){f + 1, x[i * F + f]};
        nodes[i][F] = (struct feature_node){F + 1, 1};
        nodes[i][F + 1] = (struct feature_node){-1, 0};
        rows[i] = nodes[i];
    }
    set_print_string_function(silent);
    struct model *m = train(&p, &how);
    double sign = m->label[0] == 1 ? 1 : -1;
    REQUIRE_OK(loom_svm_fit(&s, x, y, N, F, &(loom_svm_conf){.C = 0.02, .gap = 1e-8, .passes = 50000}, &err), err);
    for (int f = 0; f <= F; f++) CHECK_NEAR(s.w[f], sign * m->w[f], 1e-3);
    free_and_destroy_model(&m);
    loom_svm_release(&s);
#else
    SKIP("liblinear is not installed (Debian: liblinear-dev)");
#endif
}

TEST_MAIN(RUN(known_solution) RUN(optimal) RUN(one_class_is_an_error) RUN(scale) RUN(random_features)
              RUN(liblinear_agrees))
