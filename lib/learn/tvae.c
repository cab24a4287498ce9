#include "learn/tvae.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/num.h"
#include "learn/heads.h"
#include "learn/layers.h"
#include "learn/mixture.h"

#define MODES       10
#define SIGMA_START 0.1f
#define SIGMA_LEAST 0.01f
#define SIGMA_MOST  1.0f
#define FACTOR      2.0 /* of the reconstruction */

/* Outputs of a row: the classes of discrete column 0, 1, ...; then for each continuous column its scalar and its
 * components. Inputs: the same order without the scalars, which have weight rows of their own. */
struct loom_tvae {
    loom_table rows;
    loom_tvae_conf conf;
    loom_mixture *mode; /* (continuous columns) */
    int64_t n_out, A;   /* outputs; one-hots of a row */
    int32_t *out_at;    /* (A): first output of each one-hot */
    int32_t *in_at;     /* (A): first input row of each */
    int32_t *size;      /* (A): classes of each */
    int32_t *component; /* (n, continuous columns): drawn at the start */
    float *scalar;      /* (n, continuous columns) */
    loom_weights w;
    size_t hot, slope, hot_bias, sigma; /* first layer: rows of one-hots (inputs, width), of scalars, bias */
    loom_dense encode, mu, logvar, decode1, decode2, decode3;
    loom_rng order_rng, noise_rng;
    int64_t *order;
    /* one batch */
    int32_t *id, *label;
    float *x, *h1, *h2, *m, *s, *eps, *z, *g1, *g2, *y, *dy, *dg1, *dg2, *dz, *dm, *ds, *dh2, *dh1;
    loom_arena arena;
};

loom_weights *loom_tvae_weights(loom_tvae *t) { return &t->w; }

double loom_tvae_scalar(const loom_tvae *t, int64_t row, int64_t column, int32_t *component)
{
    *component = t->component[row * t->rows.n_continuous + column];
    return t->scalar[row * t->rows.n_continuous + column];
}

void loom_tvae_free(loom_tvae *t)
{
    if (!t) return;
    loom_weights_release(&t->w);
    loom_arena_release(&t->arena);
    free(t);
}

static void *room(loom_tvae *t, int64_t n, size_t size)
{
    return loom_arena_calloc(&t->arena, (size_t)loom_max_i64(n, 1), size);
}

/* Mixtures, components and scalars of the continuous columns. */
static loom_status transform(loom_tvae *t, loom_err *err)
{
    const loom_table *in = &t->rows;
    int64_t n = in->n, Q = in->n_continuous;
    double *column = loom_alloc((size_t)n, sizeof *column);
    loom_status st = column ? LOOM_OK : loom_fail_nomem(err, "a column");
    loom_rng rng;

    loom_rng_seed(&rng, t->conf.seed, "tvae components", 0);
    for (int64_t q = 0; st == LOOM_OK && q < Q; q++) {
        for (int64_t i = 0; i < n; i++) column[i] = in->continuous[i * Q + q];
        if ((st = loom_mixture_fit(&t->mode[q], column, n, MODES, err)) != LOOM_OK) break;
        for (int64_t i = 0; i < n; i++) {
            int k = loom_mixture_draw(&t->mode[q], column[i], &rng);
            double scalar = (column[i] - t->mode[q].mean[k]) / (4 * t->mode[q].std[k]);
            t->component[i * Q + q] = k;
            t->scalar[i * Q + q] = (float)fmin(fmax(scalar, -0.99), 0.99);
        }
    }
    free(column);
    return st;
}

static int64_t place_outputs(loom_tvae *t)
{
    int64_t in = 0, P = t->rows.n_discrete;

    for (int64_t a = 0; a < t->A; a++) {
        t->size[a] = a < P ? t->rows.classes[a] : t->mode[a - P].n;
        t->n_out += a >= P; /* the scalar before its components */
        t->out_at[a] = (int32_t)t->n_out;
        t->in_at[a] = (int32_t)in;
        t->n_out += t->size[a];
        in += t->size[a];
    }
    return in;
}

static loom_status make_network(loom_tvae *t, int64_t inputs, loom_err *err)
{
    int64_t C = t->conf.width, Z = t->conf.code, Q = t->rows.n_continuous;
    double spread = 1 / sqrt((double)(inputs + Q));
    loom_rng rng;

    t->hot = loom_weights_add(&t->w, "encoder.hot", inputs * C, 0, spread);
    t->slope = loom_weights_add(&t->w, "encoder.slope", Q * C, 0, spread);
    t->hot_bias = loom_weights_add(&t->w, "encoder.bias", C, 0, spread);
    t->encode = loom_dense_add(&t->w, "encoder.2", C, C);
    t->mu = loom_dense_add(&t->w, "encoder.mu", Z, C);
    t->logvar = loom_dense_add(&t->w, "encoder.logvar", Z, C);
    t->decode1 = loom_dense_add(&t->w, "decoder.1", C, Z);
    t->decode2 = loom_dense_add(&t->w, "decoder.2", C, C);
    t->decode3 = loom_dense_add(&t->w, "decoder.3", t->n_out, C);
    t->sigma = loom_weights_add(&t->w, "decoder.sigma", Q, SIGMA_START, 0);
    loom_rng_seed(&rng, t->conf.seed, "tvae weights", 0);
    return loom_weights_start(&t->w, &rng, err);
}

static void make_batch(loom_tvae *t)
{
    int64_t B = t->conf.batch, C = t->conf.width, Z = t->conf.code;
    float **wide[] = {&t->h1, &t->h2, &t->g1, &t->g2, &t->dg1, &t->dg2, &t->dh1, &t->dh2};
    float **coded[] = {&t->m, &t->s, &t->eps, &t->z, &t->dz, &t->dm, &t->ds};

    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) *wide[i] = room(t, B * C, sizeof(float));
    for (size_t i = 0; i < sizeof coded / sizeof *coded; i++) *coded[i] = room(t, B * Z, sizeof(float));
    t->y = room(t, B * t->n_out, sizeof(float));
    t->dy = room(t, B * t->n_out, sizeof(float));
    t->id = room(t, B * t->A, sizeof(int32_t));
    t->label = room(t, B, sizeof(int32_t));
    t->x = room(t, B * t->rows.n_continuous, sizeof(float));
    t->order = room(t, t->rows.n, sizeof(int64_t));
}

static loom_status prepare(loom_tvae *t, loom_err *err)
{
    int64_t Q = t->rows.n_continuous;

    t->A = t->rows.n_discrete + Q;
    t->mode = room(t, Q, sizeof *t->mode);
    t->component = room(t, t->rows.n * Q, sizeof *t->component);
    t->scalar = room(t, t->rows.n * Q, sizeof *t->scalar);
    t->out_at = room(t, t->A, sizeof *t->out_at);
    t->in_at = room(t, t->A, sizeof *t->in_at);
    t->size = room(t, t->A, sizeof *t->size);
    LOOM_TRY(loom_arena_check(&t->arena, "the columns of a table", err));
    LOOM_TRY(transform(t, err));
    int64_t inputs = place_outputs(t);
    make_batch(t);
    LOOM_TRY(loom_arena_check(&t->arena, "a batch of rows", err));
    for (int64_t i = 0; i < t->rows.n; i++) t->order[i] = i;
    loom_rng_seed(&t->order_rng, t->conf.seed, "tvae order", 0);
    loom_rng_seed(&t->noise_rng, t->conf.seed, "tvae noise", 0);
    return make_network(t, inputs, err);
}

loom_status loom_tvae_new(loom_tvae **out, const loom_table *rows, const loom_tvae_conf *conf, loom_err *err)
{
    loom_tvae *t = loom_calloc(1, sizeof *t);

    if (!t) return loom_fail_nomem(err, "an autoencoder");
    t->rows = *rows;
    t->conf = *conf;
    if (t->conf.width == 0) t->conf.width = 128;
    if (t->conf.code == 0) t->conf.code = 128;
    if (t->conf.batch == 0) t->conf.batch = 500;
    if (t->conf.lr == 0) t->conf.lr = 1e-3;
    if (t->conf.decay == 0) t->conf.decay = 1e-5;
    loom_status st =
        rows->n < 1 ? loom_fail(err, LOOM_STATUS_FORMAT, "a table without rows cannot be learned") : prepare(t, err);
    if (st != LOOM_OK) loom_tvae_free(t);
    else *out = t;
    return st;
}

/* ---- the two halves ---- */

static void gather(loom_tvae *t, const int64_t *index, int64_t B)
{
    int64_t P = t->rows.n_discrete, Q = t->rows.n_continuous;

    for (int64_t b = 0; b < B; b++) {
        for (int64_t p = 0; p < P; p++) t->id[b * t->A + p] = t->in_at[p] + t->rows.discrete[index[b] * P + p];
        for (int64_t q = 0; q < Q; q++) {
            t->id[b * t->A + P + q] = t->in_at[P + q] + t->component[index[b] * Q + q];
            t->x[b * Q + q] = t->scalar[index[b] * Q + q];
        }
    }
}

static void encode(loom_tvae *t, int64_t B)
{
    int64_t C = t->conf.width, Q = t->rows.n_continuous;

    loom_embedding_fwd(t->h1, t->w.w + t->hot, t->w.w + t->hot_bias, t->id, B, t->A, C);
    for (int64_t b = 0; b < B; b++)
        for (int64_t q = 0; q < Q; q++)
            for (int64_t c = 0; c < C; c++)
                t->h1[b * C + c] += t->x[b * Q + q] * t->w.w[t->slope + (size_t)(q * C + c)];
    loom_relu_fwd(t->h1, t->h1, 0, B * C);
    loom_dense_fwd(t->h2, t->h1, &t->w, &t->encode, B);
    loom_relu_fwd(t->h2, t->h2, 0, B * C);
    loom_dense_fwd(t->m, t->h2, &t->w, &t->mu, B);
    loom_dense_fwd(t->s, t->h2, &t->w, &t->logvar, B);
}

static void decode(loom_tvae *t, int64_t B)
{
    loom_dense_fwd(t->g1, t->z, &t->w, &t->decode1, B);
    loom_relu_fwd(t->g1, t->g1, 0, B * t->conf.width);
    loom_dense_fwd(t->g2, t->g1, &t->w, &t->decode2, B);
    loom_relu_fwd(t->g2, t->g2, 0, B * t->conf.width);
    loom_dense_fwd(t->y, t->g2, &t->w, &t->decode3, B);
}

/* Loss of a scalar column and its gradients: off = x - tanh y */
static double scalar_loss(loom_tvae *t, int64_t q, int64_t B, double scale)
{
    int64_t Q = t->rows.n_continuous, at = t->out_at[t->rows.n_discrete + q] - 1;
    double s = t->w.w[t->sigma + (size_t)q], total = 0, ds = 0;

    for (int64_t b = 0; b < B; b++) {
        double y = tanh(t->y[b * t->n_out + at]), off = t->x[b * Q + q] - y;
        total += off * off / (2 * s * s) + log(s);
        ds += 1 / s - off * off / (s * s * s);
        t->dy[b * t->n_out + at] = (float)(-scale * off / (s * s) * (1 - y * y));
    }
    t->w.dw[t->sigma + (size_t)q] += (float)(scale * ds);
    return total;
}

static double reconstruct(loom_tvae *t, int64_t B, double scale)
{
    double total = 0;

    memset(t->dy, 0, (size_t)(B * t->n_out) * sizeof *t->dy);
    for (int64_t a = 0; a < t->A; a++) {
        for (int64_t b = 0; b < B; b++) t->label[b] = t->id[b * t->A + a] - t->in_at[a];
        total += loom_head_categorical(t->dy + t->out_at[a], NULL, t->y + t->out_at[a], t->n_out, t->label, scale, B,
                                       t->size[a]);
    }
    for (int64_t q = 0; q < t->rows.n_continuous; q++) total += scalar_loss(t, q, B, scale);
    return total;
}

static void decode_back(loom_tvae *t, int64_t B)
{
    int64_t n = B * t->conf.width;

    loom_dense_bwd(t->dg2, t->dy, t->g2, &t->w, &t->decode3, B);
    loom_relu_bwd(t->dg2, t->dg2, t->g2, 0, n);
    loom_dense_bwd(t->dg1, t->dg2, t->g1, &t->w, &t->decode2, B);
    loom_relu_bwd(t->dg1, t->dg1, t->g1, 0, n);
    loom_dense_bwd(t->dz, t->dg1, t->z, &t->w, &t->decode1, B);
}

static void encode_back(loom_tvae *t, int64_t B)
{
    int64_t C = t->conf.width, Q = t->rows.n_continuous, n = B * C;

    loom_dense_bwd(t->dh2, t->dm, t->h2, &t->w, &t->mu, B);
    loom_dense_bwd(t->dh1, t->ds, t->h2, &t->w, &t->logvar, B);
    for (int64_t i = 0; i < n; i++) t->dh2[i] += t->dh1[i];
    loom_relu_bwd(t->dh2, t->dh2, t->h2, 0, n);
    loom_dense_bwd(t->dh1, t->dh2, t->h1, &t->w, &t->encode, B);
    loom_relu_bwd(t->dh1, t->dh1, t->h1, 0, n);
    loom_embedding_bwd(t->w.dw + t->hot, t->w.dw + t->hot_bias, t->dh1, t->id, B, t->A, C);
    for (int64_t b = 0; b < B; b++)
        for (int64_t q = 0; q < Q; q++)
            for (int64_t c = 0; c < C; c++)
                t->w.dw[t->slope + (size_t)(q * C + c)] += t->x[b * Q + q] * t->dh1[b * C + c];
}

void loom_tvae_gradient(loom_tvae *t, loom_tvae_loss *loss, const int64_t *index, const float *eps, int64_t B)
{
    int64_t n = B * t->conf.code;
    double each = 1 / (double)B;

    assert(B >= 1 && B <= t->conf.batch);
    gather(t, index, B);
    encode(t, B);
    for (int64_t i = 0; i < n; i++) t->z[i] = (float)(t->m[i] + eps[i] * exp(0.5 * t->s[i]));
    decode(t, B);
    loss->reconstruction = FACTOR * each * reconstruct(t, B, FACTOR * each);
    decode_back(t, B);
    for (int64_t i = 0; i < n; i++) { /* z = m + eps e^(s/2) */
        t->dm[i] = t->dz[i];
        t->ds[i] = (float)(t->dz[i] * eps[i] * 0.5 * exp(0.5 * t->s[i]));
    }
    loss->kl = each * loom_kl_standard(t->dm, t->ds, t->m, t->s, each, B, t->conf.code);
    encode_back(t, B);
}

loom_status loom_tvae_step(loom_tvae *t, loom_err *err)
{
    loom_descent_conf how = LOOM_ADAM;

    how.lr = t->conf.lr;
    how.decay = t->conf.decay;
    LOOM_TRY(loom_weights_step(&t->w, &how, err));
    for (int64_t q = 0; q < t->rows.n_continuous; q++) {
        float *s = t->w.w + t->sigma + q;
        *s = *s < SIGMA_LEAST ? SIGMA_LEAST : *s > SIGMA_MOST ? SIGMA_MOST : *s;
    }
    return LOOM_OK;
}

loom_status loom_tvae_epoch(loom_tvae *t, double *loss, loom_err *err)
{
    int64_t n = t->rows.n, batches = 0;
    double sum = 0;

    loom_rng_shuffle(&t->order_rng, t->order, (size_t)n, sizeof *t->order);
    for (int64_t at = 0; at < n; at += t->conf.batch, batches++) {
        int64_t B = loom_min_i64(t->conf.batch, n - at);
        loom_tvae_loss part;
        if (loom_stop_requested())
            return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        for (int64_t i = 0; i < B * t->conf.code; i++) t->eps[i] = (float)loom_rng_normal(&t->noise_rng);
        loom_weights_zero_grad(&t->w);
        loom_tvae_gradient(t, &part, t->order + at, t->eps, B);
        LOOM_TRY(loom_tvae_step(t, err));
        sum += part.reconstruction + part.kl;
    }
    *loss = sum / (double)batches;
    return LOOM_OK;
}

/* ---- new rows ---- */

static int32_t likeliest(const float *z, int32_t n)
{
    int32_t best = 0;

    for (int32_t i = 1; i < n; i++)
        if (z[i] > z[best]) best = i;
    return best;
}

static void read_row(const loom_tvae *t, const float *y, int32_t *discrete, double *continuous, loom_rng *rng)
{
    int64_t P = t->rows.n_discrete;

    for (int64_t p = 0; p < P; p++) discrete[p] = likeliest(y + t->out_at[p], t->size[p]);
    for (int64_t q = 0; q < t->rows.n_continuous; q++) {
        const loom_mixture *m = &t->mode[q];
        int32_t k = likeliest(y + t->out_at[P + q], t->size[P + q]);
        double v = tanh(y[t->out_at[P + q] - 1]) + t->w.w[t->sigma + (size_t)q] * loom_rng_normal(rng);
        continuous[q] = m->mean[k] + 4 * m->std[k] * fmin(fmax(v, -1), 1);
    }
}

loom_status loom_tvae_draw(loom_tvae *t, int32_t *discrete, double *continuous, int64_t n, loom_rng *rng, loom_err *err)
{
    for (int64_t at = 0; at < n; at += t->conf.batch) {
        int64_t B = loom_min_i64(t->conf.batch, n - at);
        if (loom_stop_requested())
            return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        for (int64_t i = 0; i < B * t->conf.code; i++) t->z[i] = (float)loom_rng_normal(rng);
        decode(t, B);
        for (int64_t b = 0; b < B; b++)
            read_row(t, t->y + b * t->n_out, discrete + (at + b) * t->rows.n_discrete,
                     continuous + (at + b) * t->rows.n_continuous, rng);
    }
    return LOOM_OK;
}
