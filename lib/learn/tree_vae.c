/* Longer than most: the two parts read and write the arrays of one batch, forwards and backwards. */
#include "learn/tree_vae.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/num.h"
#include "learn/heads.h"
#include "learn/layers.h"

enum { EMBED = 16, HEADS = 2, HEAD = 32, WIDE = HEADS * HEAD, CODE = 10, MOST = LOOM_TREE_MOST, SAMPLES = 10 };
#define SLOPE        0.2
#define LOGVAR_LEAST (-14.0F)
#define LOGVAR_MOST  4.0F
#define LOGSTD_LEAST (-7.0)
#define VALUE_OFF    6.0
#define SCORE_MOST   1e5

/* Two layers of attention; what the backward pass needs beside them. */
typedef struct stack {
    loom_gat gat[2];
    loom_norm norm[2];
    float *h[2], *st[2], *p[2], *raw[2], *stat[2], *act[2];
} stack;

/* Mean over the nodes to mu and logvar of a code. */
typedef struct coder {
    stack net;
    loom_dense mu, logvar;
    float *pooled, *m, *v, *eps, *z, *dm, *dv, *dz;
    bool *held; /* (B, CODE): logvar is at its bound */
} coder;

/* One tree of a batch in nats: log probabilities, those of the structure with the remedies of the score. */
typedef struct verdict {
    double remedied, values;
    double prior, posterior;               /* of the structure's code */
    double values_prior, values_posterior; /* of the values' */
} verdict;

struct loom_tree_vae {
    loom_tree_vae_conf conf;
    int64_t types, batch;
    loom_weights w;
    size_t split, embed;
    coder structure, values;
    loom_dense count1, count2, place1, place2, type, prior1, prior_m, prior_v, value;
    stack shape, spread; /* decoders */
    double most_logstd;
    /* a batch */
    int64_t B, N;
    int32_t *first, *neighbour_first, *neighbour, *kind, *above, *count;
    float *value_of;
    float *x, *c1, *c2, *dc1, *dc2, *g1, *g2, *dg1, *dg2, *place, *dplace, *logit, *dlogit, *tx, *sx, *out, *dout, *q1,
        *qm, *qv, *dq1, *dqm, *dqv, *dtop, *da, *db, *dh, *dst, *dpool;
    double *each;
    verdict *verdicts;
    loom_arena arena;
};

loom_weights *loom_tree_vae_weights(loom_tree_vae *v) { return &v->w; }
size_t loom_tree_vae_split(const loom_tree_vae *v) { return v->split; }

void loom_tree_vae_free(loom_tree_vae *v)
{
    if (!v) return;
    loom_weights_release(&v->w);
    loom_arena_release(&v->arena);
    free(v);
}

/* ---- making one ---- */

static float *floats(loom_tree_vae *v, int64_t n) { return loom_arena_calloc(&v->arena, (size_t)n, sizeof(float)); }
static int32_t *ints(loom_tree_vae *v, int64_t n) { return loom_arena_calloc(&v->arena, (size_t)n, sizeof(int32_t)); }

static void make_stack(loom_tree_vae *v, stack *s, const char *name, int64_t inputs)
{
    int64_t N = v->batch * MOST;
    for (int l = 0; l < 2; l++) {
        s->gat[l] = loom_gat_add(&v->w, name, HEADS, HEAD, l ? WIDE : inputs);
        s->norm[l] = loom_norm_add(&v->w, name, WIDE);
        s->h[l] = floats(v, N * WIDE);
        s->st[l] = floats(v, N * HEADS * 2);
        s->p[l] = floats(v, 3 * N * HEADS);
        s->raw[l] = floats(v, N * WIDE);
        s->stat[l] = floats(v, N * 2);
        s->act[l] = floats(v, N * WIDE);
    }
}

static void make_coder(loom_tree_vae *v, coder *c, const char *name, int64_t inputs)
{
    float **codes[] = {&c->m, &c->v, &c->eps, &c->z, &c->dm, &c->dv, &c->dz};
    make_stack(v, &c->net, name, inputs);
    c->mu = loom_dense_add(&v->w, name, CODE, WIDE);
    c->logvar = loom_dense_add(&v->w, name, CODE, WIDE);
    c->pooled = floats(v, v->batch * WIDE);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) *codes[i] = floats(v, v->batch * CODE);
    c->held = loom_arena_calloc(&v->arena, (size_t)(v->batch * CODE), sizeof *c->held);
}

/* Weights of the structure, then those of the values: each part is trained by itself. */
static void make_network(loom_tree_vae *v)
{
    loom_weights *w = &v->w;
    v->embed = loom_weights_add(w, "types", v->types * EMBED, 0, 1);
    make_coder(v, &v->structure, "structure encoder", EMBED);
    v->count1 = loom_dense_add(w, "count", WIDE, CODE);
    v->count2 = loom_dense_add(w, "count", MOST + 1, WIDE);
    v->place1 = loom_dense_add(w, "places", WIDE, CODE);
    v->place2 = loom_dense_add(w, "places", MOST * EMBED, WIDE);
    make_stack(v, &v->shape, "structure decoder", EMBED);
    v->type = loom_dense_add(w, "type", v->types, WIDE);
    v->split = w->n;
    make_coder(v, &v->values, "values encoder", EMBED + 1);
    v->prior1 = loom_dense_add(w, "prior", WIDE, CODE);
    v->prior_m = loom_dense_add(w, "prior", CODE, WIDE);
    v->prior_v = loom_dense_add(w, "prior", CODE, WIDE);
    make_stack(v, &v->spread, "values decoder", CODE + EMBED);
    v->value = loom_dense_add(w, "value", 2, WIDE);
}

static void make_room(loom_tree_vae *v)
{
    int64_t B = v->batch, N = B * MOST;
    float **wide_trees[] = {&v->c1, &v->dc1, &v->g1, &v->dg1, &v->q1, &v->dq1, &v->dpool};
    float **wide_nodes[] = {&v->dtop, &v->da, &v->db, &v->dh};
    float **codes[] = {&v->qm, &v->qv, &v->dqm, &v->dqv};
    float **narrow[] = {&v->x, &v->place, &v->dplace, &v->tx, &v->sx};
    for (size_t i = 0; i < sizeof wide_trees / sizeof *wide_trees; i++) *wide_trees[i] = floats(v, B * WIDE);
    for (size_t i = 0; i < sizeof wide_nodes / sizeof *wide_nodes; i++) *wide_nodes[i] = floats(v, N * WIDE);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) *codes[i] = floats(v, B * CODE);
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) *narrow[i] = floats(v, N * (CODE + EMBED));
    v->c2 = floats(v, B * (MOST + 1));
    v->dc2 = floats(v, B * (MOST + 1));
    v->g2 = floats(v, N * EMBED);
    v->dg2 = floats(v, N * EMBED);
    v->logit = floats(v, N * v->types);
    v->dlogit = floats(v, N * v->types);
    v->out = floats(v, N * 2);
    v->dout = floats(v, N * 2);
    v->dst = floats(v, N * HEADS * 2);
    v->value_of = floats(v, N);
    v->first = ints(v, B + 1);
    v->count = ints(v, B);
    v->neighbour_first = ints(v, N + 1);
    v->neighbour = ints(v, 3 * N);
    v->kind = ints(v, N);
    v->above = ints(v, N);
    v->each = loom_arena_calloc(&v->arena, (size_t)N, sizeof *v->each);
    v->verdicts = loom_arena_calloc(&v->arena, (size_t)B, sizeof *v->verdicts);
}

loom_status loom_tree_vae_new(loom_tree_vae **out, int64_t types, const loom_tree_vae_conf *conf, loom_err *err)
{
    loom_tree_vae *v = loom_calloc(1, sizeof *v);
    loom_rng rng;
    if (!v) return loom_fail_nomem(err, "an autoencoder");
    v->conf = *conf;
    v->types = types;
    v->batch = loom_max_i64(conf->batch ? conf->batch : 64, SAMPLES);
    v->most_logstd = LOGVAR_MOST;
    make_network(v);
    make_room(v);
    loom_rng_seed(&rng, conf->seed, "tree weights", 0);
    loom_status st = loom_arena_check(&v->arena, "an autoencoder", err);
    if (st == LOOM_OK) st = loom_weights_start(&v->w, &rng, err);
    if (st != LOOM_OK) loom_tree_vae_free(v);
    else *out = v;
    return st;
}

/* ---- a batch ---- */

/* Nodes of all trees behind each other; each with itself, its parent and its children as neighbours. */
static void gather(loom_tree_vae *v, const loom_trees *trees, const int64_t *index, int64_t B)
{
    int32_t n = 0, e = 0;
    for (int64_t b = 0; b < B; b++) {
        int64_t from = trees->first[index[b]], nodes = trees->first[index[b] + 1] - from;
        assert(nodes >= 1 && nodes <= MOST);
        v->first[b] = n;
        v->count[b] = (int32_t)nodes;
        for (int64_t i = 0; i < nodes; i++, n++) {
            v->kind[n] = trees->type[from + i];
            v->above[n] = trees->parent[from + i];
            v->value_of[n] = trees->value[from + i];
            v->neighbour_first[n] = e;
            for (int64_t k = 0; k < nodes; k++)
                if (k == i || k == trees->parent[from + i] || trees->parent[from + k] == i)
                    v->neighbour[e++] = v->first[b] + (int32_t)k;
        }
    }
    v->first[B] = n;
    v->neighbour_first[n] = e;
    v->B = B;
    v->N = n;
    memset(v->verdicts, 0, (size_t)B * sizeof *v->verdicts);
}

static const float *through(loom_tree_vae *v, stack *s, const float *x)
{
    loom_neighbours e = {v->neighbour_first, v->neighbour};
    for (int l = 0; l < 2; l++) {
        loom_gat_fwd(s->raw[l], s->h[l], s->st[l], s->p[l], l ? s->act[0] : x, &e, &v->w, &s->gat[l], v->N);
        loom_norm_fwd(s->act[l], s->stat[l], s->raw[l], &v->w, &s->norm[l], v->N);
        loom_relu_fwd(s->act[l], s->act[l], SLOPE, v->N * WIDE);
    }
    return s->act[1];
}

/* dtop (N,WIDE), the gradient by what `through` returned, is spent; dx NULL: not wanted. */
static void back_through(loom_tree_vae *v, stack *s, const float *x, float *dx)
{
    loom_neighbours e = {v->neighbour_first, v->neighbour};
    loom_relu_bwd(v->dtop, v->dtop, s->act[1], SLOPE, v->N * WIDE);
    loom_norm_bwd(v->da, v->dtop, s->raw[1], s->stat[1], &v->w, &s->norm[1], v->N);
    loom_gat_bwd(v->db, v->dh, v->dst, v->da, s->h[1], s->st[1], s->p[1], s->act[0], &e, &v->w, &s->gat[1], v->N);
    loom_relu_bwd(v->db, v->db, s->act[0], SLOPE, v->N * WIDE);
    loom_norm_bwd(v->da, v->db, s->raw[0], s->stat[0], &v->w, &s->norm[0], v->N);
    loom_gat_bwd(dx, v->dh, v->dst, v->da, s->h[0], s->st[0], s->p[0], x, &e, &v->w, &s->gat[0], v->N);
}

static void hold(float *x, bool *held, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        held[i] = x[i] < LOGVAR_LEAST || x[i] > LOGVAR_MOST;
        x[i] = x[i] < LOGVAR_LEAST ? LOGVAR_LEAST : x[i] > LOGVAR_MOST ? LOGVAR_MOST : x[i];
    }
}

static void encode(loom_tree_vae *v, coder *c, const float *x, loom_rng *rng)
{
    loom_pool_mean_fwd(c->pooled, through(v, &c->net, x), v->first, v->B, WIDE);
    loom_dense_fwd(c->m, c->pooled, &v->w, &c->mu, v->B);
    loom_dense_fwd(c->v, c->pooled, &v->w, &c->logvar, v->B);
    hold(c->v, c->held, v->B * CODE);
    for (int64_t i = 0; i < v->B * CODE; i++) {
        c->eps[i] = rng ? (float)loom_rng_normal(rng) : 0;
        c->z[i] = (float)(c->m[i] + c->eps[i] * exp(0.5 * c->v[i]));
    }
}

/* From dz, and what the divergence has left in dm and dv. */
static void encode_back(loom_tree_vae *v, coder *c, const float *x, float *dx)
{
    for (int64_t i = 0; i < v->B * CODE; i++) {
        c->dm[i] += c->dz[i];
        c->dv[i] += (float)(c->dz[i] * c->eps[i] * 0.5 * exp(0.5 * c->v[i]));
        if (c->held[i]) c->dv[i] = 0;
    }
    loom_dense_bwd(v->dpool, c->dm, c->pooled, &v->w, &c->mu, v->B);
    loom_dense_bwd(v->dc1, c->dv, c->pooled, &v->w, &c->logvar, v->B);
    for (int64_t i = 0; i < v->B * WIDE; i++) v->dpool[i] += v->dc1[i];
    loom_pool_mean_bwd(v->dtop, v->dpool, v->first, v->B, WIDE);
    back_through(v, &c->net, x, dx);
}

/* ---- structure ---- */

static double remedy(double log_p, double times) { return log_p < -M_LN2 ? log_p * times : log_p; }

static double judge_count(loom_tree_vae *v, double scale)
{
    memset(v->dc2, 0, (size_t)(v->B * (MOST + 1)) * sizeof *v->dc2);
    double total = loom_head_categorical(v->dc2, v->each, v->c2, MOST + 1, v->count, scale, v->B, MOST + 1);
    for (int64_t b = 0; b < v->B; b++) {
        v->verdicts[b].remedied += remedy(-v->each[b], (double)MOST * MOST);
    }
    return total;
}

/* Calls among the places of tree b; adds to the gradient of its places. */
static double judge_calls(loom_tree_vae *v, int64_t b, double scale)
{
    const float *e = v->g2 + b * MOST * EMBED;
    float *de = v->dg2 + b * MOST * EMBED;
    double total = 0;
    for (int32_t j = 1; j < v->count[b]; j++)
        for (int32_t i = 0; i < j; i++) {
            double z = 0, dz;
            for (int c = 0; c < EMBED; c++) z += (double)e[i * EMBED + c] * e[j * EMBED + c];
            double nats = loom_head_bernoulli(&dz, z, v->above[v->first[b] + j] == i);
            total += nats;
            v->verdicts[b].remedied += remedy(-nats, MOST);
            for (int c = 0; c < EMBED; c++) {
                de[i * EMBED + c] += (float)(scale * dz * e[j * EMBED + c]);
                de[j * EMBED + c] += (float)(scale * dz * e[i * EMBED + c]);
            }
        }
    return total;
}

static double judge_types(loom_tree_vae *v, double scale)
{
    for (int64_t b = 0; b < v->B; b++)
        memcpy(v->place + (int64_t)v->first[b] * EMBED, v->g2 + b * MOST * EMBED,
               (size_t)(v->count[b] * EMBED) * sizeof *v->place);
    loom_dense_fwd(v->logit, through(v, &v->shape, v->place), &v->w, &v->type, v->N);
    memset(v->dlogit, 0, (size_t)(v->N * v->types) * sizeof *v->dlogit);
    double total = loom_head_categorical(v->dlogit, v->each, v->logit, v->types, v->kind, scale, v->N, v->types);
    for (int64_t b = 0; b < v->B; b++)
        for (int32_t n = v->first[b]; n < v->first[b + 1]; n++) v->verdicts[b].remedied -= v->each[n];
    return total;
}

static double structure_forward(loom_tree_vae *v, loom_rng *rng, double scale)
{
    static const float zero[CODE];
    coder *c = &v->structure;
    double total = 0;
    loom_embedding_fwd(v->x, v->w.w + v->embed, NULL, v->kind, v->N, 1, EMBED);
    encode(v, c, v->x, rng);
    loom_dense_fwd(v->c1, c->z, &v->w, &v->count1, v->B);
    loom_relu_fwd(v->c1, v->c1, 0, v->B * WIDE);
    loom_dense_fwd(v->c2, v->c1, &v->w, &v->count2, v->B);
    loom_dense_fwd(v->g1, c->z, &v->w, &v->place1, v->B);
    loom_relu_fwd(v->g1, v->g1, 0, v->B * WIDE);
    loom_dense_fwd(v->g2, v->g1, &v->w, &v->place2, v->B);
    memset(v->dg2, 0, (size_t)(v->B * MOST * EMBED) * sizeof *v->dg2);
    total += judge_count(v, scale);
    for (int64_t b = 0; b < v->B; b++) {
        total += judge_calls(v, b, scale);
        v->verdicts[b].prior += loom_log_gaussian(c->z + b * CODE, zero, zero, CODE);
        v->verdicts[b].posterior += loom_log_gaussian(c->z + b * CODE, c->m + b * CODE, c->v + b * CODE, CODE);
    }
    return total + judge_types(v, scale);
}

static double structure_gradient(loom_tree_vae *v, loom_rng *rng)
{
    coder *c = &v->structure;
    double scale = 1 / (double)v->B, total = structure_forward(v, rng, scale);
    loom_dense_bwd(v->dtop, v->dlogit, v->shape.act[1], &v->w, &v->type, v->N);
    back_through(v, &v->shape, v->place, v->dplace);
    for (int64_t b = 0; b < v->B; b++)
        for (int64_t i = 0; i < (int64_t)v->count[b] * EMBED; i++)
            v->dg2[b * MOST * EMBED + i] += v->dplace[(int64_t)v->first[b] * EMBED + i];
    loom_dense_bwd(v->dg1, v->dg2, v->g1, &v->w, &v->place2, v->B);
    loom_relu_bwd(v->dg1, v->dg1, v->g1, 0, v->B * WIDE);
    loom_dense_bwd(c->dm, v->dg1, c->z, &v->w, &v->place1, v->B);
    loom_dense_bwd(v->dc1, v->dc2, v->c1, &v->w, &v->count2, v->B);
    loom_relu_bwd(v->dc1, v->dc1, v->c1, 0, v->B * WIDE);
    loom_dense_bwd(c->dz, v->dc1, c->z, &v->w, &v->count1, v->B);
    for (int64_t i = 0; i < v->B * CODE; i++) c->dz[i] += c->dm[i], c->dm[i] = c->dv[i] = 0;
    total += loom_kl_standard(c->dm, c->dv, c->m, c->v, scale, v->B, CODE);
    encode_back(v, c, v->x, v->dplace);
    loom_embedding_bwd(v->w.dw + v->embed, NULL, v->dplace, v->kind, v->N, 1, EMBED);
    return total * scale;
}

/* ---- values ---- */

static double judge_values(loom_tree_vae *v, double scale)
{
    double total = 0;
    for (int64_t b = 0; b < v->B; b++)
        for (int32_t n = v->first[b]; n < v->first[b + 1]; n++) {
            double mean = v->out[2 * n], raw = v->out[2 * n + 1], s = fmin(fmax(raw, LOGSTD_LEAST), v->most_logstd), dm,
                   ds;
            double far = VALUE_OFF * exp(s),
                   x = scale > 0 ? fmin(fmax(v->value_of[n], mean - far), mean + far) : v->value_of[n];
            double nats = loom_head_gaussian(&dm, &ds, x, mean, s);
            v->dout[2 * n] = (float)(scale * dm);
            v->dout[2 * n + 1] = s == raw ? (float)(scale * ds) : 0;
            v->verdicts[b].values -= nats;
            total += nats;
        }
    return total;
}

/* The structure's code is there. */
static double values_forward(loom_tree_vae *v, loom_rng *rng, double scale)
{
    coder *c = &v->values;
    for (int64_t n = 0; n < v->N; n++) {
        memcpy(v->tx + n * (EMBED + 1), v->x + n * EMBED, EMBED * sizeof *v->tx);
        v->tx[n * (EMBED + 1) + EMBED] = v->value_of[n];
    }
    encode(v, c, v->tx, rng);
    loom_dense_fwd(v->q1, v->structure.z, &v->w, &v->prior1, v->B);
    loom_relu_fwd(v->q1, v->q1, 0, v->B * WIDE);
    loom_dense_fwd(v->qm, v->q1, &v->w, &v->prior_m, v->B);
    loom_dense_fwd(v->qv, v->q1, &v->w, &v->prior_v, v->B);
    hold(v->qv, v->structure.held, v->B * CODE);
    for (int64_t b = 0; b < v->B; b++) {
        v->verdicts[b].values_prior += loom_log_gaussian(c->z + b * CODE, v->qm + b * CODE, v->qv + b * CODE, CODE);
        v->verdicts[b].values_posterior += loom_log_gaussian(c->z + b * CODE, c->m + b * CODE, c->v + b * CODE, CODE);
        for (int32_t n = v->first[b]; n < v->first[b + 1]; n++) {
            memcpy(v->sx + n * (CODE + EMBED), c->z + b * CODE, CODE * sizeof *v->sx);
            memcpy(v->sx + n * (CODE + EMBED) + CODE, v->x + n * EMBED, EMBED * sizeof *v->sx);
        }
    }
    loom_dense_fwd(v->out, through(v, &v->spread, v->sx), &v->w, &v->value, v->N);
    return judge_values(v, scale);
}

static double values_gradient(loom_tree_vae *v, loom_rng *rng)
{
    coder *c = &v->values;
    double scale = 1 / (double)v->B, total = values_forward(v, rng, scale);
    loom_dense_bwd(v->dtop, v->dout, v->spread.act[1], &v->w, &v->value, v->N);
    back_through(v, &v->spread, v->sx, v->place);
    memset(c->dz, 0, (size_t)(v->B * CODE) * sizeof *c->dz);
    for (int64_t b = 0; b < v->B; b++)
        for (int32_t n = v->first[b]; n < v->first[b + 1]; n++)
            for (int k = 0; k < CODE; k++) c->dz[b * CODE + k] += v->place[n * (CODE + EMBED) + k];
    float *zeroed[] = {c->dm, c->dv, v->dqm, v->dqv};
    for (size_t i = 0; i < sizeof zeroed / sizeof *zeroed; i++)
        memset(zeroed[i], 0, (size_t)(v->B * CODE) * sizeof *zeroed[i]);
    total += loom_kl_gaussian(c->dm, c->dv, v->dqm, v->dqv, c->m, c->v, v->qm, v->qv, scale, v->B, CODE);
    for (int64_t i = 0; i < v->B * CODE; i++)
        if (v->structure.held[i]) v->dqv[i] = 0;
    loom_dense_bwd(v->dq1, v->dqm, v->q1, &v->w, &v->prior_m, v->B);
    loom_dense_bwd(v->dc1, v->dqv, v->q1, &v->w, &v->prior_v, v->B);
    for (int64_t i = 0; i < v->B * WIDE; i++) v->dq1[i] += v->dc1[i];
    loom_relu_bwd(v->dq1, v->dq1, v->q1, 0, v->B * WIDE);
    loom_dense_bwd(NULL, v->dq1, v->structure.z, &v->w, &v->prior1, v->B);
    encode_back(v, c, v->tx, NULL);
    return total * scale;
}

double loom_tree_vae_gradient(loom_tree_vae *v, const loom_trees *trees, const int64_t *index, int64_t B, bool values,
                              uint64_t seed)
{
    loom_rng rng;
    loom_rng_seed(&rng, seed, "tree noise", values);
    gather(v, trees, index, B);
    if (!values) return structure_gradient(v, &rng);
    loom_embedding_fwd(v->x, v->w.w + v->embed, NULL, v->kind, v->N, 1, EMBED);
    encode(v, &v->structure, v->x, &rng);
    return values_gradient(v, &rng);
}

/* ---- training ---- */

/* `late`: in the last quarter of the part's epochs. */
static loom_status train_epoch(loom_tree_vae *v, const loom_trees *trees, int64_t *order, int64_t epoch, bool values,
                               bool late, loom_err *err)
{
    loom_descent_conf how = LOOM_RMSPROP;
    loom_rng rng;
    how.lr = late ? 1e-4 : 1e-3;
    how.decay = 1e-4;
    how.clip = 10;
    how.first = values ? v->split : 0;
    how.last = values ? v->w.n : v->split;
    loom_rng_seed(&rng, v->conf.seed, "tree order", (uint64_t)epoch);
    loom_rng_shuffle(&rng, order, (size_t)trees->n, sizeof *order);
    for (int64_t at = 0; at < trees->n; at += v->batch) {
        if (loom_stop_requested())
            return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        loom_weights_zero_grad(&v->w);
        loom_tree_vae_gradient(v, trees, order + at, loom_min_i64(v->batch, trees->n - at), values, loom_rng_u64(&rng));
        LOOM_TRY(loom_weights_step(&v->w, &how, err));
    }
    return LOOM_OK;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The 99th percentile of the decoder's log standard deviations over the training trees, at the middle of their
 * codes. */
static loom_status limit_spread(loom_tree_vae *v, const loom_trees *trees, loom_err *err)
{
    int64_t n = 0, total = trees->first[trees->n], index[1];
    double *s = loom_alloc((size_t)total, sizeof *s);
    if (!s) return loom_fail_nomem(err, "spreads");
    for (int64_t i = 0; i < trees->n; i++) {
        index[0] = i;
        gather(v, trees, index, 1);
        loom_embedding_fwd(v->x, v->w.w + v->embed, NULL, v->kind, v->N, 1, EMBED);
        encode(v, &v->structure, v->x, NULL);
        values_forward(v, NULL, 0);
        for (int64_t k = 0; k < v->N; k++) s[n++] = v->out[2 * k + 1];
    }
    qsort(s, (size_t)n, sizeof *s, by_size);
    v->most_logstd = fmax(s[loom_min_i64(n - 1, (int64_t)(0.99 * (double)n))], LOGSTD_LEAST);
    free(s);
    return LOOM_OK;
}

loom_status loom_tree_vae_train(loom_tree_vae *v, const loom_trees *trees, loom_err *err)
{
    int64_t *order = loom_alloc((size_t)trees->n, sizeof *order), structure = (2 * v->conf.epochs + 2) / 3;
    loom_status st = order ? LOOM_OK : loom_fail_nomem(err, "an order");
    for (int64_t i = 0; order && i < trees->n; i++) order[i] = i;
    for (int64_t epoch = 0; st == LOOM_OK && epoch < v->conf.epochs; epoch++) {
        bool values = epoch >= structure;
        int64_t part = values ? v->conf.epochs - structure : structure, at = values ? epoch - structure : epoch;
        st = train_epoch(v, trees, order, epoch, values, 4 * at >= 3 * part, err);
    }
    free(order);
    return st == LOOM_OK ? limit_spread(v, trees, err) : st;
}

/* ---- scores ---- */

static double unlikely(const double weight[SAMPLES])
{
    return fmin(log(SAMPLES) - loom_log_sum_exp(weight, SAMPLES), SCORE_MOST);
}

void loom_tree_vae_score(loom_tree_vae *v, loom_tree_score *score, const loom_trees *trees, int64_t i)
{
    int64_t index[SAMPLES];
    double whole[SAMPLES], values[SAMPLES];
    loom_rng rng;
    for (int k = 0; k < SAMPLES; k++) index[k] = i;
    loom_rng_seed(&rng, v->conf.seed, "tree score", (uint64_t)i);
    gather(v, trees, index, SAMPLES);
    structure_forward(v, &rng, 0);
    values_forward(v, &rng, 0);
    for (int k = 0; k < SAMPLES; k++) {
        const verdict *a = &v->verdicts[k];
        values[k] = a->values * MOST / (double)v->count[k] + a->values_prior - a->values_posterior;
        whole[k] = a->remedied + a->prior - a->posterior + values[k];
    }
    *score = (loom_tree_score){unlikely(whole), unlikely(values)};
}
