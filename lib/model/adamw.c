#include "model/adamw.h"

#include <math.h>

#include "core/num.h"

/* A block is cut into pieces of this many floats that any thread may take, so results do not depend on their number.
 * Pieces are independent of tensors: gaps between tensors hold zeros and change no sum. */
#define PIECE 65536

/* The norm keeps one sum for each of a fixed number of stretches. */
#define STRETCHES 256

typedef struct block {
    const loom_tensors *table;
    const size_t *v_at; /* NULL: v is laid out as the table */
    const float *g;
    float *w, *m, *v;
    const loom_adamw *how;
    double sums[STRETCHES];
} block;

static void norm_stretch(void *arg, int64_t item, int thread)
{
    block *b = arg;
    size_t each = b->table->floats / STRETCHES + 1, from = (size_t)item * each, to = from + each;
    double sum = 0;

    (void)thread;
    if (to > b->table->floats) to = b->table->floats;
#pragma omp simd reduction(+ : sum)
    for (size_t i = from; i < to; i++) sum += (double)b->g[i] * (double)b->g[i];
    b->sums[item] = sum;
}

double loom_grad_norm(loom_pool *pool, const loom_tensors *table, const float *grads)
{
    block b = {.table = table, .g = grads};
    double sum = 0;

    loom_pool_for(pool, STRETCHES, norm_stretch, &b);
    for (int i = 0; i < STRETCHES; i++) sum += b.sums[i];
    return sqrt(sum);
}

double loom_clip_scale(double norm, double clip)
{
    double scale = clip / (norm + 1e-6);

    return clip > 0 && scale < 1 ? scale : 1;
}

void loom_adamw_update(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, int64_t n,
                       bool decay, const loom_adamw *how)
{
    float b1 = (float)how->beta1, b2 = (float)how->beta2, c1 = (float)(1 - how->beta1), c2 = (float)(1 - how->beta2);
    float keep = (float)(decay ? 1 - how->lr * how->decay : 1), gs = (float)how->grad_scale, eps = (float)how->eps;
    float rate = (float)(how->lr / (1 - pow(how->beta1, (double)how->step)));
    float unbias = (float)(1 / sqrt(1 - pow(how->beta2, (double)how->step)));

#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * gs, mi = b1 * m[i] + c1 * gi, vi = b2 * v[i] + c2 * gi * gi;

        m[i] = mi;
        v[i] = vi;
        w[i] = w[i] * keep - rate * mi / (sqrtf(vi) * unbias + eps);
    }
}

/* Number of the last tensor that starts at or before `at`. */
static int64_t tensor_at(const loom_tensors *t, size_t at)
{
    int64_t lo = 0, hi = t->n - 1;

    while (lo < hi) {
        int64_t mid = (lo + hi + 1) / 2;

        if (t->tensors[mid].offset <= at) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

static void update_piece(void *arg, int64_t item, int thread)
{
    const block *b = arg;
    size_t from = (size_t)item * PIECE, to = from + PIECE;

    (void)thread;
    for (int64_t i = tensor_at(b->table, from); i < b->table->n && b->table->tensors[i].offset < to; i++) {
        const loom_tensor *t = &b->table->tensors[i];
        size_t begin = t->offset > from ? t->offset : from, end = t->offset + t->count;
        size_t v_at = b->v_at ? b->v_at[i] : t->offset;

        if (end > to) end = to;
        if (begin >= end || v_at == LOOM_ADAMW_NOT) continue; /* the piece starts in the gap after this tensor */
        loom_adamw_update(b->w + begin, b->m + begin, b->v + v_at + (begin - t->offset), b->g + begin,
                          (int64_t)(end - begin), t->decay, b->how);
    }
}

void loom_adamw_step(loom_pool *pool, const loom_tensors *table, float *w, float *m, float *v, const float *g,
                     const loom_adamw *how)
{
    loom_adamw_step_some(pool, table, NULL, w, m, v, g, how);
}

void loom_adamw_step_some(loom_pool *pool, const loom_tensors *table, const size_t *v_at, float *w, float *m, float *v,
                          const float *g, const loom_adamw *how)
{
    block b = {.table = table, .v_at = v_at, .g = g, .w = w, .m = m, .v = v, .how = how};

    loom_pool_for(pool, (int64_t)((table->floats + PIECE - 1) / PIECE), update_piece, &b);
}

typedef struct moving {
    float *mean;
    const float *w;
    size_t floats;
    float share; /* of the new weights */
} moving;

static void move_piece(void *arg, int64_t item, int thread)
{
    const moving *b = arg;
    size_t from = (size_t)item * PIECE, to = from + PIECE < b->floats ? from + PIECE : b->floats;

    (void)thread;
#pragma omp simd
    for (size_t i = from; i < to; i++) b->mean[i] += b->share * (b->w[i] - b->mean[i]);
}

void loom_ema_step(loom_pool *pool, const loom_tensors *table, float *mean, const float *w, double decay)
{
    moving b = {.mean = mean, .w = w, .floats = table->floats, .share = (float)(1 - decay)};

    loom_pool_for(pool, (int64_t)((b.floats + PIECE - 1) / PIECE), move_piece, &b);
}
