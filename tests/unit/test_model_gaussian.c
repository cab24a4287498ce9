/* Rows drawn like given rows: mean, covariance, and what happens where there is no Cholesky factor. */
#include "core/num.h"
#include "model/gaussian.h"
#include "test.h"

enum { D = 5, MANY = 40000 };

/* Correlated rows: a fixed mix of normal numbers around a mean. */
static void make_rows(double *rows, int64_t n, int64_t rank)
{
    loom_rng rng;
    loom_rng_seed(&rng, 1, "rows", 0);
    for (int64_t r = 0; r < n; r++) {
        double z[D];
        for (int i = 0; i < D; i++) z[i] = loom_rng_normal(&rng);
        for (int i = 0; i < D; i++) {
            rows[r * D + i] = 10 + i;
            for (int j = 0; j < rank; j++)
                rows[r * D + i] += (double)((i + 1) * (j + 2) % 7 - 3 + 9 * (i == j && rank == D)) * z[j];
        }
    }
}

static void moments(double *mean, double *cov, const double *rows, int64_t n)
{
    for (int i = 0; i < D; i++) {
        mean[i] = 0;
        for (int64_t r = 0; r < n; r++) mean[i] += rows[r * D + i] / (double)n;
    }
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            double sum = 0;
            for (int64_t r = 0; r < n; r++) sum += (rows[r * D + i] - mean[i]) * (rows[r * D + j] - mean[j]);
            cov[i * D + j] = sum / (double)(n - 1);
        }
}

TEST(factor_is_that_of_the_covariance)
{
    double rows[50 * D], mean[D], cov[D * D];
    loom_gaussian g = {0};
    loom_err err = {0};
    make_rows(rows, 50, D);
    REQUIRE_OK(loom_gaussian_fit(&g, rows, 50, D, &err), err);
    moments(mean, cov, rows, 50);
    CHECK(g.jitter == 0);
    for (int i = 0; i < D; i++) {
        CHECK_NEAR(g.mean[i], mean[i], 1e-12);
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k <= j; k++) sum += g.factor[i * D + k] * g.factor[j * D + k];
            CHECK_NEAR(sum, cov[i * D + j], 1e-10);
        }
    }
    loom_gaussian_release(&g);
}

TEST(draws_are_like_the_rows)
{
    double *rows = loom_alloc((size_t)MANY * D, sizeof *rows), mean[D], cov[D * D], drawn_mean[D], drawn_cov[D * D];
    loom_gaussian g = {0};
    loom_err err = {0};
    loom_rng rng;
    REQUIRE(rows);
    make_rows(rows, 50, D);
    moments(mean, cov, rows, 50);
    REQUIRE_OK(loom_gaussian_fit(&g, rows, 50, D, &err), err);
    loom_rng_seed(&rng, 2, "draw", 0);
    for (int64_t r = 0; r < MANY; r++) loom_gaussian_draw(rows + r * D, &g, &rng);
    moments(drawn_mean, drawn_cov, rows, MANY);
    for (int i = 0; i < D; i++) { /* five standard errors */
        CHECK_NEAR(drawn_mean[i], mean[i], 5 * sqrt(cov[i * D + i] / MANY));
        for (int j = 0; j < D; j++)
            CHECK_NEAR(drawn_cov[i * D + j], cov[i * D + j], 5 * sqrt(2 * cov[i * D + i] * cov[j * D + j] / MANY));
    }
    loom_gaussian_release(&g);
    free(rows);
}

/* Fewer rows than numbers, and rows in a plane: a jitter too small to be seen, and draws that stay in the plane. */
TEST(singular)
{
    double rows[50 * D], row[D];
    for (int64_t n = 2; n <= 50; n += 48) {
        loom_gaussian g = {0};
        loom_err err = {0};
        loom_rng rng;
        make_rows(rows, n, 1);
        REQUIRE_OK(loom_gaussian_fit(&g, rows, n, D, &err), err);
        CHECK(g.jitter > 0 && g.jitter < 1e-7);
        loom_rng_seed(&rng, 3, "draw", 0);
        loom_gaussian_draw(row, &g, &rng);
        double z = (row[0] - 10) / -1; /* first column of the mix: -1 1 3 -2 0 */
        static const double mix[D] = {-1, 1, 3, -2, 0};
        for (int i = 0; i < D; i++) CHECK_NEAR(row[i], 10 + i + mix[i] * z, 1e-2);
        loom_gaussian_release(&g);
    }
}

TEST(one_row_and_no_number)
{
    double rows[2 * D] = {1, 2, 3, 4, 5, 1, 2, 3, 4, 5}, row[D];
    loom_gaussian g = {0};
    loom_err err = {0};
    loom_rng rng;
    loom_rng_seed(&rng, 4, "draw", 0);
    for (int n = 1; n <= 2; n++) {
        REQUIRE_OK(loom_gaussian_fit(&g, rows, n, D, &err), err);
        loom_gaussian_draw(row, &g, &rng);
        CHECK(memcmp(row, rows, sizeof row) == 0);
        loom_gaussian_release(&g);
    }
    rows[3] = NAN;
    CHECK(loom_gaussian_fit(&g, rows, 2, D, &err) == LOOM_STATUS_NUMERIC);
    loom_gaussian_release(&g);
}

TEST_MAIN(RUN(factor_is_that_of_the_covariance) RUN(draws_are_like_the_rows) RUN(singular) RUN(one_row_and_no_number))
