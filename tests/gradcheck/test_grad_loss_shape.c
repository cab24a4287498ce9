/* What a row's gradient is of: against the definition in float64, the definition against differences of its loss, and
 * what each does to the distribution that is best. */
#include "core/num.h"
#include "core/rng.h"
#include "model/loss_shape.h"
#include "model/ops.h"
#include "test.h"

enum { V = 37, LABEL = 5, WORDS = 1 };

static const uint64_t set[WORDS] = {0x155555a7b3u | (uint64_t)1 << LABEL};
static const uint64_t others[WORDS] = {0x155555a7b3u & ~((uint64_t)1 << LABEL)}; /* the label is wrong */
static const uint64_t *const sets[] = {NULL, set, others};

static void draw(double *z, double spread, uint64_t seed)
{
    loom_rng r;

    loom_rng_seed(&r, seed, "logits", 0);
    for (int v = 0; v < V; v++) z[v] = spread * loom_rng_normal(&r);
}

static double probability(const double *z, int v)
{
    double sum = 0;

    for (int u = 0; u < V; u++) sum += exp(z[u]);
    return exp(z[v]) / sum;
}

/* The loss of a row, with the weight of `focus` as it is at z0. */
static double loss_of(const double *z, const double *z0, const loom_loss_shape *shape, const loom_loss_row *row)
{
    double p = probability(z, row->label), squares = 0, within = 0;

    for (int v = 0; v < V; v++) {
        squares += probability(z0, v) * probability(z0, v);
        if (row->allowed && loom_has_bit(row->allowed, v)) within += probability(z, v);
    }
    double own = shape->gce > 0 ? (1 - pow(p, shape->gce)) / shape->gce : -log(p);
    if (row->allowed == others) own = 0;
    return row->weight * (pow(squares, shape->focus) * own - (row->allowed ? shape->allowed * log(within) : 0));
}

static const loom_loss_shape shapes[] = {{0},
                                         {.gce = 0.4},
                                         {.focus = 0.4},
                                         {.allowed = 2},
                                         {.focus = 0.3, .allowed = 1.5},
                                         {.gce = 0.3, .allowed = 0.5},
                                         {.gce = 0.2, .focus = 0.7, .allowed = 3}};

TEST(definition_is_the_slope_of_its_loss)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int known = 0; known < 3; known++) {
            double z[V], z0[V], dz[V];
            draw(z0, 1.5, 3 + i);
            loom_loss_row row = {LABEL, -log(probability(z0, LABEL)), 0.7, sets[known]};
            loom_loss_shape_row_plain(dz, z0, &shapes[i], &row, 0.25, V);
            for (int v = 0; v < V; v++) {
                memcpy(z, z0, sizeof z);
                z[v] = z0[v] + 1e-5;
                double up = loss_of(z, z0, &shapes[i], &row);
                z[v] = z0[v] - 1e-5;
                CHECK_NEAR(0.25 * (up - loss_of(z, z0, &shapes[i], &row)) / 2e-5, dz[v], 1e-8);
            }
        }
}

static void check_row(const double *z, const loom_loss_shape *shape, const uint64_t *allowed)
{
    const int32_t label = LABEL;
    const float scale = 1.0f / 64;
    double losses[1], right_dz[V];
    float dz[V];
    int64_t right = 0;

    for (int v = 0; v < V; v++) dz[v] = (float)z[v];
    loom_xent(losses, &right, dz, &label, scale, 1, V);
    loom_loss_row row = {LABEL, losses[0], 1.25, allowed};
    loom_loss_shape_row(dz, shape, &row, scale, V);
    loom_loss_shape_row_plain(right_dz, z, shape, &row, scale, V);
    for (int v = 0; v < V; v++) CHECK_NEAR(dz[v], right_dz[v], 1e-5 * scale * (1 + shape->allowed));
}

/* Spread 6: labels that have all, or next to nothing. */
TEST(row_is_its_definition)
{
    double z[V];

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            draw(z, seed % 2 ? 1 : 6, seed);
            for (int known = 0; known < 3; known++) check_row(z, &shapes[i], sets[known]);
        }
}

/* A label without a chance: finite, and pushed up. */
TEST(hopeless_label)
{
    const loom_loss_shape shape = {.allowed = 2};
    const int32_t label = LABEL;
    double losses[1];
    float dz[V] = {0};
    int64_t right = 0;

    dz[0] = 200;
    loom_xent(losses, &right, dz, &label, 1, 1, V);
    loom_loss_row row = {LABEL, losses[0], 1, set};
    loom_loss_shape_row(dz, &shape, &row, 1, V);
    for (int v = 0; v < V; v++) CHECK(isfinite(dz[v]));
    CHECK_NEAR(dz[LABEL], -1, 1e-6);
    const uint64_t hopeless[WORDS] = {(uint64_t)1 << 7}; /* nor has what should stand there: finite, too */
    row.allowed = hopeless;
    memset(dz, 0, sizeof dz);
    dz[0] = 200;
    loom_xent(losses, &right, dz, &label, 1, 1, V);
    loom_loss_shape_row(dz, &shape, &row, 1, V);
    for (int v = 0; v < V; v++) CHECK(isfinite(dz[v]));
}

/* Labels drawn as often as the model says, and only allowed ones: what is expected of the gradient. Nothing where the
 * true distribution is the best one, which gce's is not. */
static double pull(const loom_loss_shape *shape)
{
    double z[V], expected[V] = {0}, dz[V], most = 0;

    draw(z, 1.5, 9);
    for (int v = 0; v < V; v++)
        if (!loom_has_bit(set, v)) z[v] = -60;
    for (int t = 0; t < V; t++) {
        loom_loss_row row = {t, -log(probability(z, t)), 1, set};
        if (!loom_has_bit(set, t)) continue;
        loom_loss_shape_row_plain(dz, z, shape, &row, 1, V);
        for (int v = 0; v < V; v++) expected[v] += probability(z, t) * dz[v];
    }
    for (int v = 0; v < V; v++) most = fmax(most, fabs(expected[v]));
    return most;
}

TEST(best_is_the_true_distribution)
{
    CHECK_NEAR(pull(&(loom_loss_shape){0}), 0, 1e-12);
    CHECK_NEAR(pull(&(loom_loss_shape){.focus = 0.4}), 0, 1e-12);
    CHECK_NEAR(pull(&(loom_loss_shape){.focus = 0.4, .allowed = 2}), 0, 1e-12);
    CHECK(pull(&(loom_loss_shape){.gce = 0.4}) > 0.01);
}

TEST_MAIN(RUN(definition_is_the_slope_of_its_loss) RUN(row_is_its_definition) RUN(hopeless_label)
              RUN(best_is_the_true_distribution))
