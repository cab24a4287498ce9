/* The mixture against values of an independent implementation of the same inference. */
#include "test.h"

#include "core/rng.h"
#include "learn/mixture.h"

TEST(digamma)
{
    double gamma = 0.57721566490153286061;

    CHECK_NEAR(loom_digamma(1), -gamma, 1e-12);
    CHECK_NEAR(loom_digamma(0.5), -gamma - 2 * log(2), 1e-12);
    CHECK_NEAR(loom_digamma(2), 1 - gamma, 1e-12);
    CHECK_NEAR(loom_digamma(1e-3), -1000 - gamma + 1.644934066848226e-3 - 1.2020569e-6 + 1.0823e-9, 1e-9);
    for (double x = 0.1; x < 50; x *= 1.7) CHECK_NEAR(loom_digamma(x + 1) - loom_digamma(x), 1 / x, 1e-11);
}

/* scikit-learn 1.2 (BayesianGaussianMixture, dirichlet_process, 0.001), its own steps from the same k-means start,
 * float64. */
TEST(agrees_with_scikit_learn)
{
    static const double x[] = {3, 3, 4, 5, 5, 6, 5, 4, 3, 40, 42, 41, 44, 43, 40, 300, 310, 290, 305, 5, 4, 3, 6};
    loom_mixture m;
    loom_err err;
    double p[LOOM_MIXTURE_MAX];

    REQUIRE_OK(loom_mixture_fit(&m, x, sizeof x / sizeof *x, 10, &err), err);
    CHECK_I64(m.rounds, 15);
    CHECK_NEAR(m.bound, -92.05326198064202, 1e-8);
    REQUIRE(m.n == 2);
    CHECK_NEAR(m.weight[0], 0.8280738949523626, 1e-10);
    CHECK_NEAR(m.weight[1], 0.17189256764183108, 1e-10);
    CHECK_NEAR(m.mean[0], 18.55319511501071, 1e-9);
    CHECK_NEAR(m.mean[1], 248.49852299586863, 1e-9);
    CHECK_NEAR(m.std[0], 32.14043424023474, 1e-9);
    CHECK_NEAR(m.std[1], 111.42764285529834, 1e-9);
    loom_mixture_responsibilities(p, &m, 20);
    CHECK_NEAR(p[0], (0.99433836 + 1e-6) / (1 + 2e-6), 1e-7);
}

TEST(finds_three_clouds)
{
    enum { N = 30000 };
    static double x[N];
    const double mean[] = {-50, 10, 200}, std[] = {1, 5, 20}, share[] = {0.5, 0.3, 0.2};
    loom_mixture m;
    loom_rng rng;
    loom_err err;
    int64_t drawn[LOOM_MIXTURE_MAX] = {0};

    loom_rng_seed(&rng, 5, "clouds", 0);
    for (int i = 0; i < N; i++) {
        int k = i < N / 2 ? 0 : i < N * 8 / 10 ? 1 : 2;
        x[i] = mean[k] + std[k] * loom_rng_normal(&rng);
    }
    REQUIRE_OK(loom_mixture_fit(&m, x, N, 10, &err), err);
    for (int c = 0; c < 3; c++) { /* of the components near a cloud: their weights, and their common mean */
        double weight = 0, centre = 0;
        for (int k = 0; k < m.n; k++)
            if (fabs(m.mean[k] - mean[c]) < 4 * std[c]) weight += m.weight[k], centre += m.weight[k] * m.mean[k];
        CHECK_NEAR(weight, share[c], 0.02);
        CHECK_NEAR(centre / weight, mean[c], 0.1 * std[c]);
    }
    for (int i = 0; i < 1000; i++) drawn[loom_mixture_draw(&m, -50, &rng)]++;
    for (int k = 0; k < m.n; k++)
        if (fabs(m.mean[k] + 50) > 4) CHECK(drawn[k] < 20);
}

TEST(one_value)
{
    double x[] = {7, 7, 7};
    loom_mixture m;
    loom_err err;

    REQUIRE_OK(loom_mixture_fit(&m, x, 3, 10, &err), err);
    CHECK_I64(m.n, 1);
    CHECK_NEAR(m.mean[0], 7, 1e-9);
    CHECK(m.std[0] > 0 && m.std[0] < 0.01);
}

TEST_MAIN(RUN(digamma) RUN(agrees_with_scikit_learn) RUN(finds_three_clouds) RUN(one_value))
