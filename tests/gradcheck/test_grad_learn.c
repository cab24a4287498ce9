/* Every pair of lib/learn against central differences of its own forward pass, on odd sizes.
 *
 * A loss is sum u*y with random u; outputs are float32, so that differences over a step of 1e-2 carry an error of about
 * 1e-5 of the loss, and the cubic term of these smooth functions is of that size. Rectifiers have a corner: rows
 * near it are moved away. */
#include "test.h"

#include "core/num.h"
#include "core/rng.h"
#include "learn/heads.h"
#include "learn/layers.h"

#define STEP      1e-2f
#define TOLERANCE 1e-3

static loom_rng rng;

static void noise(float *x, int64_t n, double sd)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(sd * loom_rng_normal(&rng));
}

static double weighted(const float *y, const float *u, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)y[i] * u[i];
    return sum;
}

typedef double loss_fn(void *arg);

/* Gradients dx (n) against differences of the loss when x is moved, relative to the largest of them. */
static void check_grad(const char *what, float *x, const float *dx, int64_t n, loss_fn *loss, void *arg)
{
    double size = 1e-3, worst = 0;

    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs((double)dx[i]));
    for (int64_t i = 0; i < n; i++) {
        float old = x[i];
        x[i] = old + STEP;
        double up = loss(arg);
        x[i] = old - STEP;
        double down = loss(arg);
        x[i] = old;
        worst = test_worse(worst, fabs((up - down) / (2.0 * STEP) - dx[i]) / size);
    }
    test_checks_++;
    if (!(worst <= TOLERANCE)) TEST_FAIL_("%s: gradient is off by %g of its largest entry", what, worst);
}

/* ---- dense ---- */
enum { N = 5, I = 7, O = 3 };
/* What a function overwrites must not depend on what was there. */
static void spoil(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = NAN;
}

typedef struct dense_case {
    loom_weights w;
    loom_dense d;
    float x[N * I], y[N * O], u[N * O], dx[N * I];
} dense_case;

static double dense_loss(void *arg)
{
    dense_case *c = arg;
    loom_dense_fwd(c->y, c->x, &c->w, &c->d, N);
    return weighted(c->y, c->u, N * O);
}

TEST(dense)
{
    static dense_case c;
    loom_err err;

    c.d = loom_dense_add(&c.w, "d", O, I);
    REQUIRE_OK(loom_weights_start(&c.w, &rng, &err), err);
    noise(c.x, N * I, 1);
    noise(c.u, N * O, 1);
    spoil(c.y, N * O);
    dense_loss(&c);
    for (int o = 0; o < O; o++) {
        double sum = c.w.w[c.d.b + (size_t)o];
        for (int i = 0; i < I; i++) sum += (double)c.x[i] * c.w.w[c.d.w + (size_t)(o * I + i)];
        CHECK_NEAR(c.y[o], sum, 1e-5);
    }
    spoil(c.dx, N * I);
    loom_dense_bwd(c.dx, c.u, c.x, &c.w, &c.d, N);
    check_grad("dense dx", c.x, c.dx, N * I, dense_loss, &c);
    check_grad("dense weights", c.w.w, c.w.dw, (int64_t)c.w.n, dense_loss, &c);
    loom_weights_release(&c.w);
}

/* ---- embedding ---- */
enum { V = 6, A = 3, C = 5 };
typedef struct embedding_case {
    float table[V * C], b[C], y[N * C], u[N * C], dtable[V * C], db[C];
    int32_t id[N * A];
} embedding_case;

static double embedding_loss(void *arg)
{
    embedding_case *c = arg;
    loom_embedding_fwd(c->y, c->table, c->b, c->id, N, A, C);
    return weighted(c->y, c->u, N * C);
}

TEST(embedding)
{
    static embedding_case c;

    noise(c.table, V * C, 1);
    noise(c.b, C, 1);
    noise(c.u, N * C, 1);
    for (int i = 0; i < N * A; i++) c.id[i] = (int32_t)loom_rng_below(&rng, V);
    spoil(c.y, N * C);
    embedding_loss(&c);
    loom_embedding_bwd(c.dtable, c.db, c.u, c.id, N, A, C);
    check_grad("embedding table", c.table, c.dtable, V * C, embedding_loss, &c);
    check_grad("embedding bias", c.b, c.db, C, embedding_loss, &c);
}

/* ---- rectifier ---- */
typedef struct relu_case {
    float x[N * C], y[N * C], u[N * C], dx[N * C];
    double slope;
} relu_case;

static double relu_loss(void *arg)
{
    relu_case *c = arg;
    loom_relu_fwd(c->y, c->x, c->slope, N * C);
    return weighted(c->y, c->u, N * C);
}

TEST(relu)
{
    static relu_case c;

    for (int k = 0; k < 2; k++) {
        c.slope = k ? 0.1 : 0;
        noise(c.x, N * C, 1);
        noise(c.u, N * C, 1);
        for (int i = 0; i < N * C; i++)
            if (fabsf(c.x[i]) < 2 * STEP) c.x[i] = 0.5f;
        spoil(c.y, N * C);
        relu_loss(&c);
        spoil(c.dx, N * C);
        loom_relu_bwd(c.dx, c.u, c.y, c.slope, N * C);
        check_grad("relu dx", c.x, c.dx, N * C, relu_loss, &c);
    }
}

/* ---- layer norm ---- */
typedef struct norm_case {
    loom_weights w;
    loom_norm l;
    float x[N * C], y[N * C], u[N * C], dx[N * C], stat[2 * N];
} norm_case;

static double norm_loss(void *arg)
{
    norm_case *c = arg;
    loom_norm_fwd(c->y, c->stat, c->x, &c->w, &c->l, N);
    return weighted(c->y, c->u, N * C);
}

TEST(layer_norm)
{
    static norm_case c;
    loom_err err;
    double mean = 0, square = 0;

    c.l = loom_norm_add(&c.w, "n", C);
    REQUIRE_OK(loom_weights_start(&c.w, &rng, &err), err);
    noise(c.x, N * C, 1);
    noise(c.u, N * C, 1);
    spoil(c.y, N * C);
    spoil(c.stat, 2 * N);
    norm_loss(&c);
    for (int i = 0; i < C; i++) mean += c.y[i] / C, square += (double)c.y[i] * c.y[i] / C;
    CHECK_NEAR(mean, 0, 1e-6);
    CHECK_NEAR(square, 1, 1e-3);
    noise(c.w.w, (int64_t)c.w.n, 1);
    norm_loss(&c);
    spoil(c.dx, N * C);
    loom_norm_bwd(c.dx, c.u, c.x, c.stat, &c.w, &c.l, N);
    check_grad("norm dx", c.x, c.dx, N * C, norm_loss, &c);
    check_grad("norm weights", c.w.w, c.w.dw, (int64_t)c.w.n, norm_loss, &c);
    loom_weights_release(&c.w);
}

/* ---- graph attention: five nodes, one of them alone, two heads ---- */
enum { H = 2, D = 3, E = 11 };
typedef struct gat_case {
    loom_weights w;
    loom_gat l;
    loom_neighbours e;
    float x[N * I], y[N * H * D], h[N * H * D], st[2 * N * H], p[E * H], u[N * H * D], dx[N * I], dh[N * H * D],
        dst[2 * N * H];
} gat_case;
static const int32_t gat_first[] = {0, 3, 5, 7, 10, 11}, gat_other[] = {0, 1, 3, 0, 1, 2, 3, 0, 2, 3, 4};

static double gat_loss(void *arg)
{
    gat_case *c = arg;
    loom_gat_fwd(c->y, c->h, c->st, c->p, c->x, &c->e, &c->w, &c->l, N);
    return weighted(c->y, c->u, N * H * D);
}

/* Distance of the scores from the corner of their rectifier. */
static double gat_corner(const gat_case *c)
{
    double least = INFINITY;

    for (int i = 0; i < N; i++)
        for (int at = gat_first[i]; at < gat_first[i + 1]; at++)
            for (int k = 0; k < H; k++)
                least = fmin(least, fabs((double)c->st[2 * (i * H + k)] + c->st[2 * (gat_other[at] * H + k) + 1]));
    return least;
}

TEST(graph_attention)
{
    static gat_case c;
    loom_err err;

    c.e = (loom_neighbours){gat_first, gat_other};
    c.l = loom_gat_add(&c.w, "gat", H, D, I);
    REQUIRE_OK(loom_weights_start(&c.w, &rng, &err), err);
    noise(c.u, N * H * D, 1);
    noise(c.w.w + c.l.b, H * D, 1);
    spoil(c.y, N * H * D);
    spoil(c.h, N * H * D);
    spoil(c.st, 2 * N * H);
    spoil(c.p, E * H);
    do {
        noise(c.x, N * I, 1);
        gat_loss(&c);
    } while (gat_corner(&c) < 0.1);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < H; k++) {
            double sum = 0;
            for (int at = gat_first[i]; at < gat_first[i + 1]; at++) sum += c.p[at * H + k];
            CHECK_NEAR(sum, 1, 1e-6);
        }
    for (int d = 0; d < H * D; d++) CHECK_NEAR(c.y[4 * H * D + d], c.h[4 * H * D + d] + c.w.w[c.l.b + (size_t)d], 1e-6);
    spoil(c.dx, N * I);
    spoil(c.dh, N * H * D);
    spoil(c.dst, 2 * N * H);
    loom_gat_bwd(c.dx, c.dh, c.dst, c.u, c.h, c.st, c.p, c.x, &c.e, &c.w, &c.l, N);
    check_grad("gat dx", c.x, c.dx, N * I, gat_loss, &c);
    check_grad("gat weights", c.w.w, c.w.dw, (int64_t)c.w.n, gat_loss, &c);
    loom_weights_release(&c.w);
}

/* ---- mean of groups ---- */
typedef struct pool_case {
    float x[N * C], y[2 * C], u[2 * C], dx[N * C];
} pool_case;
static const int32_t pool_first[] = {0, 1, 5};

static double pool_loss(void *arg)
{
    pool_case *c = arg;
    loom_pool_mean_fwd(c->y, c->x, pool_first, 2, C);
    return weighted(c->y, c->u, 2 * C);
}

TEST(pool_mean)
{
    static pool_case c;

    noise(c.x, N * C, 1);
    noise(c.u, 2 * C, 1);
    spoil(c.y, 2 * C);
    spoil(c.dx, N * C);
    loom_pool_mean_bwd(c.dx, c.u, pool_first, 2, C);
    check_grad("pool dx", c.x, c.dx, N * C, pool_loss, &c);
}

/* ---- heads ---- */
typedef struct head_case {
    float z[N * 6], dz[N * 6], b[4][N * C], db[4][N * C];
    int32_t label[N];
} head_case;

static double categorical_loss(void *arg)
{
    head_case *c = arg;
    return 1.7 * loom_head_categorical(NULL, NULL, c->z, 6, c->label, 1.7, N, C);
}

static double standard_loss(void *arg)
{
    head_case *c = arg;
    return 0.3 * loom_kl_standard(NULL, NULL, c->b[0], c->b[1], 0.3, N, C);
}

static double gaussian_kl_loss(void *arg)
{
    head_case *c = arg;
    return 0.3 * loom_kl_gaussian(NULL, NULL, NULL, NULL, c->b[0], c->b[1], c->b[2], c->b[3], 0.3, N, C);
}

TEST(heads_of_rows)
{
    static head_case c;

    noise(c.z, N * 6, 2);
    for (int k = 0; k < 4; k++) noise(c.b[k], N * C, 0.7);
    for (int n = 0; n < N; n++) c.label[n] = (int32_t)loom_rng_below(&rng, C);
    loom_head_categorical(c.dz, NULL, c.z, 6, c.label, 1.7, N, C);
    check_grad("categorical", c.z, c.dz, N * 6, categorical_loss, &c);
    loom_kl_standard(c.db[0], c.db[1], c.b[0], c.b[1], 0.3, N, C);
    check_grad("kl mu", c.b[0], c.db[0], N * C, standard_loss, &c);
    check_grad("kl logvar", c.b[1], c.db[1], N * C, standard_loss, &c);
    memset(c.db, 0, sizeof c.db);
    loom_kl_gaussian(c.db[0], c.db[1], c.db[2], c.db[3], c.b[0], c.b[1], c.b[2], c.b[3], 0.3, N, C);
    for (int k = 0; k < 4; k++) check_grad("kl of two", c.b[k], c.db[k], N * C, gaussian_kl_loss, &c);
    memset(c.b[2], 0, sizeof c.b[2]);
    memset(c.b[3], 0, sizeof c.b[3]);
    CHECK_NEAR(gaussian_kl_loss(&c), standard_loss(&c), 1e-9);
}

TEST(heads_of_numbers)
{
    double d, dm, ds, h = 1e-5;

    for (double z = -40; z <= 40; z += 7.9)
        for (int hit = 0; hit < 2; hit++) {
            double loss = loom_head_bernoulli(&d, z, hit);
            CHECK(isfinite(loss) && loss >= 0);
            CHECK_NEAR(d, (loom_head_bernoulli(NULL, z + h, hit) - loom_head_bernoulli(NULL, z - h, hit)) / (2 * h),
                       1e-6);
        }
    CHECK_NEAR(loom_head_gaussian(&dm, &ds, 1.3, 0.4, -0.2), 0.5 * 0.81 * exp(0.4) - 0.2 + 0.5 * log(2 * M_PI), 1e-12);
    CHECK_NEAR(
        dm,
        (loom_head_gaussian(NULL, NULL, 1.3, 0.4 + h, -0.2) - loom_head_gaussian(NULL, NULL, 1.3, 0.4 - h, -0.2)) /
            (2 * h),
        1e-8);
    CHECK_NEAR(
        ds,
        (loom_head_gaussian(NULL, NULL, 1.3, 0.4, -0.2 + h) - loom_head_gaussian(NULL, NULL, 1.3, 0.4, -0.2 - h)) /
            (2 * h),
        1e-8);
    CHECK_NEAR(loom_log_sum_exp((double[]){1000, 1000}, 2), 1000 + log(2), 1e-12);
    CHECK(loom_log_sum_exp(NULL, 0) == -INFINITY);
}

/* Two steps by hand: w = 1, gradients 2 and then -1. */
TEST(steps)
{
    loom_weights w = {0};
    loom_err err;
    loom_descent_conf adam = LOOM_ADAM, rms = LOOM_RMSPROP;

    loom_weights_add(&w, "w", 1, 1, 0);
    REQUIRE_OK(loom_weights_start(&w, &rng, &err), err);
    adam.decay = 0.5; /* g = 2 + 0.5 */
    w.dw[0] = 2;
    REQUIRE_OK(loom_weights_step(&w, &adam, &err), err);
    CHECK_NEAR(w.w[0], 1 - 1e-3, 1e-7);
    w.dw[0] = -1; /* g = -1 + 0.5 * 0.999 */
    REQUIRE_OK(loom_weights_step(&w, &adam, &err), err);
    double g = -1 + 0.5 * 0.999, m = 0.9 * 0.25 + 0.1 * g, v = 0.999 * 0.00625 + 0.001 * g * g;
    CHECK_NEAR(w.w[0], 0.999 - 1e-3 * (m / 0.19) / (sqrt(v / (1 - 0.999 * 0.999)) + 1e-8), 1e-7);
    w.w[0] = 1, w.v[0] = 1, w.dw[0] = 2; /* without a v of before, the size of a gradient would not matter */
    rms.clip = 1;                        /* the norm of 2 is cut to 1 */
    REQUIRE_OK(loom_weights_step(&w, &rms, &err), err);
    CHECK_NEAR(w.w[0], 1 - 1e-3, 1e-6);
    w.dw[0] = NAN;
    CHECK(loom_weights_step(&w, &rms, &err) == LOOM_STATUS_NUMERIC);
    CHECK_NEAR(w.w[0], 0.999, 1e-6);
    loom_weights_release(&w);
}

TEST_MAIN(loom_rng_seed(&rng, 7, "gradcheck", 0); RUN(dense) RUN(embedding) RUN(relu) RUN(layer_norm)
              RUN(graph_attention) RUN(pool_mean) RUN(heads_of_rows) RUN(heads_of_numbers) RUN(steps))
