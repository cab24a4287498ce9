/* Muon against numpy in float64: direction, weights and momentum after each of four steps, for every case in
 * tests/golden/muon (one momentum alone, one row alone, both ways to lie, with and without Nesterov, decay and
 * clipping).
 * Five iterations multiply a small singular value, and its error in float32, by up to 3.44⁵ = 485. */
#include "test.h"

#include "core/json.h"
#include "core/num.h"
#include "model/blas.h"
#include "model/muon.h"

#define MOST      (17 * 17)
#define TOLERANCE 1e-5 /* of a norm */
/* With factors rounded to bfloat16 every product is off by some 2^-9, which the iterations multiply. */
#define HALF_TOLERANCE 1e-1
#define HALF_WEIGHTS   2e-3 /* after updates at rates up to .02 */

static void read_numbers(float *to, size_t n, const loom_json *from)
{
    REQUIRE(loom_json_len(from) == n && n <= MOST);
    for (size_t i = 0; i < n; i++) to[i] = (float)loom_json_f64(loom_json_at(from, i), NAN);
}

/* ||got - want|| / ||want|| */
static double off(const float *got, const loom_json *want, size_t n)
{
    double diff = 0, norm = 0;

    if (loom_json_len(want) != n) return INFINITY;
    for (size_t i = 0; i < n; i++) {
        double w = loom_json_f64(loom_json_at(want, i), NAN);

        diff += (got[i] - w) * (got[i] - w);
        norm += w * w;
    }
    return sqrt(diff / (norm > 0 ? norm : 1));
}

static void check(int at, size_t step, const char *what, double is_off, double tolerance, double *worst)
{
    test_checks_++;
    if (!(is_off <= tolerance)) TEST_FAIL_("case %d, step %zu: the %s is off by %g", at, step + 1, what, is_off);
    if (is_off > *worst) *worst = is_off;
}

static void run_case(int at, const loom_json *c, bool half, double *worst)
{
    int64_t out = loom_json_i64(loom_json_at(loom_json_get(c, "shape"), 0), 0);
    int64_t in = loom_json_i64(loom_json_at(loom_json_get(c, "shape"), 1), 0);
    size_t n = (size_t)(out * in), steps = loom_json_len(loom_json_get(c, "lr"));
    loom_muon how = {.momentum = loom_json_f64(loom_json_get(c, "momentum"), NAN),
                     .decay = loom_json_f64(loom_json_get(c, "decay"), NAN),
                     .grad_scale = loom_json_f64(loom_json_get(c, "grad_scale"), NAN),
                     .nesterov = loom_json_bool(loom_json_get(c, "nesterov"), false),
                     .bf16_compute = half};
    double tolerance = half ? HALF_TOLERANCE : TOLERANCE;
    float w[MOST], m[MOST] = {0}, m_again[MOST], g[MOST], x[MOST];
    float *work = loom_alloc_aligned(loom_muon_floats(out, in) * sizeof *work);

    REQUIRE(work && n <= MOST && steps == 4);
    read_numbers(w, n, loom_json_get(c, "w0"));
    for (size_t s = 0; s < steps; s++) {
        how.lr = loom_json_f64(loom_json_at(loom_json_get(c, "lr"), s), NAN);
        read_numbers(g, n, loom_json_at(loom_json_get(c, "grads"), s));
        memcpy(m_again, m, sizeof m);
        loom_muon_direction(x, m_again, g, out, in, &how, work);
        loom_muon_update(w, m, g, out, in, &how, work);
        CHECK(memcmp(m, m_again, sizeof m) == 0);
        check(at, s, "direction", off(x, loom_json_at(loom_json_get(c, "updates"), s), n), tolerance, worst);
        check(at, s, "momentum", off(m, loom_json_at(loom_json_get(c, "m"), s), n), TOLERANCE, worst);
        check(at, s, "weight", off(w, loom_json_at(loom_json_get(c, "w"), s), n), half ? HALF_WEIGHTS : TOLERANCE,
              worst);
    }
    free(work);
}

static void run_all(bool half)
{
    loom_json *root = NULL;
    loom_err err = {0};
    const loom_json *cases;
    double worst = 0;

    REQUIRE_OK(loom_json_read_file(&root, LOOM_SOURCE_DIR "/tests/golden/muon/cases.json", 1 << 20, &err), err);
    cases = loom_json_get(root, "cases");
    CHECK_I64(loom_json_i64(loom_json_get(root, "iterations"), 0), LOOM_MUON_ITERATIONS);
    CHECK_I64(loom_json_len(cases), 5);
    for (size_t i = 0; i < loom_json_len(cases); i++) run_case((int)i + 1, loom_json_at(cases, i), half, &worst);
    printf("  worst relative error of a matrix %.1e%s\n", worst, half ? " with bfloat16 factors" : "");
    loom_json_free(root);
}

TEST(float_products) { run_all(false); }
TEST(half_products) { run_all(true); } /* in plain vectors where the CPU has no instructions for them */

TEST_MAIN(loom_blas_start(0, NULL); RUN(float_products) RUN(half_products))
