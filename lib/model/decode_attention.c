/* Attention of loom_decode: every row over the keys and values of its sequence, which lie in blocks (decode_impl.h).
 *
 * Rows of one run that follow one another in a sequence (a prompt, forced text) are a team: they, and the heads that
 * share keys, read a block together. What a member adds up, and in which order, does not depend on who else is in the
 * team. */
#include <math.h>
#include <string.h>

#include "core/num.h"
#include "model/decode_impl.h"
#include "model/vmath.h"

typedef float vec16 __attribute__((vector_size(64)));
typedef uint32_t vec16u __attribute__((vector_size(64)));
typedef uint16_t vec16h __attribute__((vector_size(32)));

#define TEAM LOOM_DECODE_TEAM
/* compiled for every number of members apart, so that their sums stay in registers */
#define UNROLLED static inline __attribute__((always_inline)) void

/* Vector number i of a stretch of the cache. */
#define LOAD(to, base, i, bf16)                                                                                        \
    do {                                                                                                               \
        if (bf16) {                                                                                                    \
            vec16u wide_ = __builtin_convertvector(((const vec16h *)(const void *)(base))[i], vec16u) << 16;           \
            memcpy(&(to), &wide_, sizeof(to));                                                                         \
        } else {                                                                                                       \
            (to) = ((const vec16 *)(const void *)(base))[i];                                                           \
        }                                                                                                              \
    } while (0)

/* What the members of a team bring to one block and head. */
typedef struct team {
    const float *q[TEAM];
    float *s[TEAM]; /* their scores of this block; afterwards probabilities */
    float *o[TEAM]; /* their sums */
} team;

/* s[0..16) = q . keys of one head and block, times scale, for n members. Loads of the next block are started
 * alongside. */
UNROLLED score_block(const team *m, int n, const char *keys, const char *next, int64_t D, float scale, bool bf16)
{
    size_t step = bf16 ? sizeof(vec16h) : sizeof(vec16);
    vec16 even[TEAM] = {0}, odd[TEAM] = {0}, first, second;

    for (int64_t i = 0; i < D; i += 2) { /* D is even; two sums hide the latency of one */
        __builtin_prefetch(next + (size_t)i * step);
        __builtin_prefetch(next + (size_t)(i + 1) * step);
        LOAD(first, keys, i, bf16);
        LOAD(second, keys, i + 1, bf16);
#pragma GCC unroll 4
        for (int r = 0; r < n; r++) {
            even[r] += first * m->q[r][i];
            odd[r] += second * m->q[r][i + 1];
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < n; r++) {
        vec16 sum = (even[r] + odd[r]) * scale;
        memcpy(m->s[r], &sum, sizeof sum);
    }
}

/* o[0..16) += sum_j s[j] * values[j][0..16) over `left` positions of one block, and the 16 columns after these when
 * there are two groups of them; for n members. */
UNROLLED mix_block(const team *m, int n, int groups, int64_t column, const char *values, const char *next, int64_t left,
                   bool bf16)
{
    size_t step = bf16 ? sizeof(vec16h) : sizeof(vec16);
    vec16 sum[2 * TEAM], row;

#pragma GCC unroll 8
    for (int k = 0; k < n * groups; k++) memcpy(&sum[k], m->o[k / groups] + column + k % groups * 16, sizeof sum[k]);
    for (int64_t j = 0; j < left; j++) {
#pragma GCC unroll 2
        for (int g = 0; g < groups; g++) {
            __builtin_prefetch(next + (size_t)(g * LOOM_KV_BLOCK + j) * step);
            LOAD(row, values, g * LOOM_KV_BLOCK + j, bf16);
#pragma GCC unroll 4
            for (int r = 0; r < n; r++) sum[r * groups + g] += row * m->s[r][j];
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < n * groups; k++) memcpy(m->o[k / groups] + column + k % groups * 16, &sum[k], sizeof sum[k]);
}

/* s[0..n) -> exp(s - max) / their sum */
static void softmax(float *restrict s, int64_t n)
{
    float m = -INFINITY, sum = 0;

#pragma omp simd reduction(max : m)
    for (int64_t j = 0; j < n; j++) m = s[j] > m ? s[j] : m;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
        float e = loom_expf(s[j] - m);

        s[j] = e;
        sum += e;
    }
    float inv = 1.0f / sum;
    for (int64_t j = 0; j < n; j++) s[j] *= inv;
}

/* ---- a team and some of its heads ---- */

typedef struct work {
    loom_decode *d;
    loom_decode_thread *t;
    int64_t first, rows;    /* of the run */
    int64_t k0, k1;         /* key/value heads */
    int64_t H, G, D, P, ld; /* G heads share keys; P: columns of the sums; ld: of the scores */
    const int32_t *blocks;
} work;

/* Member i of those of key/value head k: a row of the team and a head. */
static inline int64_t row_of(const work *w, int64_t i) { return i / w->G; }
static inline int64_t head_of(const work *w, int64_t k, int64_t i) { return k * w->G + i % w->G; }
static inline float *scores_of(const work *w, int64_t row, int64_t head)
{
    return w->t->scores + (row * w->H + head) * w->ld;
}
static inline float *sums_of(const work *w, int64_t row, int64_t head)
{
    return w->t->sums + (row * w->H + head) * w->P;
}
static inline int64_t reach_of(const work *w, int64_t row) { return w->d->position[w->first + row] + 1; }

/* Members i .. i + n - 1 at block b. */
static inline void gather(team *m, const work *w, int64_t k, int64_t i, int n, int64_t b)
{
    int64_t ldq = (w->H + 2 * w->d->m->config.K) * w->D;

    for (int r = 0; r < n; r++) {
        int64_t row = row_of(w, i + r), head = head_of(w, k, i + r);

        m->q[r] = w->d->qkv + (w->first + row) * ldq + head * w->D;
        m->s[r] = scores_of(w, row, head) + b * LOOM_KV_BLOCK;
        m->o[r] = sums_of(w, row, head);
    }
}

static inline void score_head(const work *w, int64_t k, int64_t b, const char *keys, const char *next, bool bf16)
{
    float scale = (float)(1.0 / sqrt((double)w->D));
    int64_t all = w->rows * w->G;
    team m;

    for (int64_t i = 0; i < all; i += TEAM) {
        int n = (int)loom_min_i64(TEAM, all - i);

        gather(&m, w, k, i, n, b);
        switch (n) {
        case 4: score_block(&m, 4, keys, next, w->D, scale, bf16); break;
        case 3: score_block(&m, 3, keys, next, w->D, scale, bf16); break;
        case 2: score_block(&m, 2, keys, next, w->D, scale, bf16); break;
        default: score_block(&m, 1, keys, next, w->D, scale, bf16);
        }
    }
}

/* All columns of n members. */
UNROLLED mix_members(const team *m, int n, const work *w, const char *values, const char *next, int64_t left, bool bf16)
{
    int64_t column = 0, bytes = LOOM_KV_BLOCK * (int64_t)w->d->number;

    for (; column + 32 <= w->P; column += 32)
        mix_block(m, n, 2, column, values + column * bytes, next + column * bytes, left, bf16);
    if (column < w->P) mix_block(m, n, 1, column, values + column * bytes, next + column * bytes, left, bf16);
}

static inline int64_t positions_in(const work *w, int64_t row, int64_t b)
{
    return loom_max_i64(0, loom_min_i64(LOOM_KV_BLOCK, reach_of(w, row) - b * LOOM_KV_BLOCK));
}

static inline void mix_head(const work *w, int64_t k, int64_t b, const char *values, const char *next, bool bf16)
{
    int64_t all = w->rows * w->G;
    team m;

    for (int64_t i = 0, n; i < all; i += n) { /* members that see as much of the block go together */
        int64_t left = positions_in(w, row_of(w, i), b);

        for (n = 1; n < TEAM && i + n < all && positions_in(w, row_of(w, i + n), b) == left; n++) continue;
        gather(&m, w, k, i, (int)n, b);
        switch (n) {
        case 4: mix_members(&m, 4, w, values, next, left, bf16); break;
        case 3: mix_members(&m, 3, w, values, next, left, bf16); break;
        case 2: mix_members(&m, 2, w, values, next, left, bf16); break;
        default: mix_members(&m, 1, w, values, next, left, bf16);
        }
    }
}

/* One stream over the keys, one over the values. */
static inline void attend(const work *w, bool bf16)
{
    const loom_decode *d = w->d;
    const loom_config *c = &d->m->config;
    int64_t n_blocks = (reach_of(w, w->rows - 1) + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK;
    size_t values = (size_t)loom_kv_keys(c) * d->number;

    for (int64_t b = 0; b < n_blocks; b++) {
        const char *base = loom_kv_at(d, d->l, w->blocks[b]),
                   *next = loom_kv_at(d, d->l, w->blocks[b + (b + 1 < n_blocks)]);

        for (int64_t k = w->k0; k < w->k1; k++) {
            size_t at = (size_t)(k * w->D * LOOM_KV_BLOCK) * d->number;

            score_head(w, k, b, base + at, next + at, bf16);
        }
    }
    for (int64_t row = 0; row < w->rows; row++)
        for (int64_t h = w->k0 * w->G; h < w->k1 * w->G; h++) {
            softmax(scores_of(w, row, h), reach_of(w, row));
            memset(sums_of(w, row, h), 0, (size_t)w->P * sizeof(float));
        }
    for (int64_t b = 0; b < n_blocks; b++) {
        const char *base = loom_kv_at(d, d->l, w->blocks[b]) + values;
        const char *next = loom_kv_at(d, d->l, w->blocks[b + (b + 1 < n_blocks)]) + values;

        for (int64_t k = w->k0; k < w->k1; k++) {
            size_t at = (size_t)(k * w->P * LOOM_KV_BLOCK) * d->number;

            mix_head(w, k, b, base + at, next + at, bf16);
        }
    }
}

/* ---- the run ---- */

void loom_decode_team_up(loom_decode *d)
{
    d->n_teams = 0;
    for (int64_t n = 0; n < d->n; n++) {
        int64_t first = d->n_teams ? d->teams[d->n_teams - 1] : 0;

        if (!d->n_teams || d->rows[n].seq != d->rows[first].seq || n - first == TEAM)
            d->teams[d->n_teams++] = (int32_t)n;
    }
    d->teams[d->n_teams] = (int32_t)d->n;
}

/* Key/value heads of one work item: all of a team when there are teams enough for every thread. */
static int64_t heads_per_item(const loom_decode *d) { return d->n_teams >= 2 * d->n_threads ? d->m->config.K : 1; }

static void attention_item(void *arg, int64_t item, int thread)
{
    loom_decode *d = arg;
    const loom_config *c = &d->m->config;
    int64_t heads = heads_per_item(d), per_team = c->K / heads, k0 = item % per_team * heads, at = item / per_team;
    work w = {.d = d,
              .t = &d->threads[thread],
              .first = d->teams[at],
              .rows = d->teams[at + 1] - d->teams[at],
              .k0 = k0,
              .k1 = k0 + heads,
              .H = c->H,
              .G = c->H / c->K,
              .D = c->D,
              .P = loom_kv_padded(c->D),
              .ld = d->blocks_per_seq * LOOM_KV_BLOCK,
              .blocks = d->seqs[d->rows[d->teams[at]].seq].blocks};

    if (d->o.half_cache) attend(&w, true);
    else attend(&w, false);
    for (int64_t row = 0; row < w.rows; row++)
        for (int64_t h = w.k0 * w.G; h < w.k1 * w.G; h++)
            memcpy(d->att + ((w.first + row) * w.H + h) * w.D, sums_of(&w, row, h), (size_t)w.D * sizeof(float));
}

void loom_decode_attend(loom_decode *d)
{
    for (int64_t t = 1; t <= d->n_teams; t++) d->n_read += d->position[d->teams[t] - 1] + 1;
    loom_pool_for(d->o.pool, d->n_teams * d->m->config.K / heads_per_item(d), attention_item, d);
}
