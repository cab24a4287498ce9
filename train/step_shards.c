#include "train/step_shards.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/ranks.h"
#include "model/shard_tree.h"

/* A sequence of the step. */
typedef struct sequence {
    int64_t index, rows;
} sequence;

typedef struct dealing {
    loom_dealt_step *out;
    const loom_batch *step;
    sequence *spare; /* room for all of the step */
} dealing;

static int longest_first(const void *a, const void *b)
{
    const sequence *x = a, *y = b;
    int by_rows = (x->rows < y->rows) - (x->rows > y->rows);
    return by_rows ? by_rows : (x->index > y->index) - (x->index < y->index);
}

static int in_order(const void *a, const void *b)
{
    const sequence *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Sorts the n sequences, longest first, into two halves of much the same rows, each of them longest first; returns how
 * many are in the first. */
static int64_t halve(const dealing *d, sequence *all, int64_t n)
{
    int64_t rows[2] = {0}, first = 0, second = 0;

    for (int64_t i = 0; i < n; i++) {
        bool lighter = rows[1] < rows[0];
        rows[lighter] += all[i].rows;
        if (lighter) d->spare[second++] = all[i];
        else all[first++] = all[i];
    }
    memcpy(all + first, d->spare, (size_t)second * sizeof *all);
    return first;
}

/* The rows of these sequences, one after the other. */
static void gather(dealing *d, loom_batch *shard, sequence *all, int64_t n)
{
    loom_arena *arena = &d->out->arena;
    const loom_batch *step = d->step;
    if (!n) return;
    int64_t *segments = loom_arena_alloc(arena, ((size_t)n + 1) * sizeof *segments), rows = 0;

    for (int64_t i = 0; i < n; i++) rows += all[i].rows;
    int32_t *tokens = loom_arena_alloc(arena, (size_t)rows * sizeof *tokens);
    int32_t *labels = step->labels ? loom_arena_alloc(arena, (size_t)rows * sizeof *labels) : NULL;
    float *weights = step->weights ? loom_arena_alloc(arena, (size_t)rows * sizeof *weights) : NULL;
    if (!segments || !tokens || (step->labels && !labels) || (step->weights && !weights)) return;
    qsort(all, (size_t)n, sizeof *all, in_order);
    segments[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t from = step->segments[all[i].index], at = segments[i];
        size_t count = (size_t)all[i].rows;

        memcpy(tokens + at, step->tokens + from, count * sizeof *tokens);
        if (labels) memcpy(labels + at, step->labels + from, count * sizeof *labels);
        if (weights) memcpy(weights + at, step->weights + from, count * sizeof *weights);
        segments[i + 1] = at + all[i].rows;
    }
    *shard = (loom_batch){
        .N = rows, .n_segments = n, .tokens = tokens, .labels = labels, .weights = weights, .segments = segments};
}

static void deal(dealing *d, sequence *all, int64_t n, int first, int shards)
{
    if (shards == 1) {
        gather(d, &d->out->shard[first], all, n);
        return;
    }
    int64_t half = halve(d, all, n);
    deal(d, all, half, first, shards / 2);
    deal(d, all + half, n - half, first + shards / 2, shards / 2);
}

loom_status loom_step_deal(loom_dealt_step *out, const loom_batch *step, int shards, loom_err *err)
{
    size_t n = (size_t)step->n_segments;
    dealing d = {.out = out, .step = step};

    loom_arena_reset(&out->arena);
    out->shard = loom_arena_calloc(&out->arena, (size_t)shards, sizeof *out->shard);
    sequence *all = loom_arena_calloc(&out->arena, n, sizeof *all);
    d.spare = loom_arena_calloc(&out->arena, n, sizeof *d.spare);
    LOOM_TRY(loom_arena_check(&out->arena, "the shards of a step", err));
    for (size_t i = 0; i < n; i++)
        all[i] = (sequence){.index = (int64_t)i, .rows = step->segments[i + 1] - step->segments[i]};
    qsort(all, n, sizeof *all, longest_first);
    deal(&d, all, step->n_segments, 0, shards);
    return loom_arena_check(&out->arena, "the shards of a step", err);
}

void loom_dealt_step_release(loom_dealt_step *d)
{
    loom_arena_release(&d->arena);
    *d = (loom_dealt_step){0};
}

static void add(loom_loss *total, const loom_loss *loss)
{
    total->sum += loss->sum;
    total->count += loss->count;
    total->right += loss->right;
}

/* Every entry from the rank that has it. */
static loom_status fill_in(loom_loss *losses, size_t n, const loom_step_share *o,
                           int (*owner_of)(const loom_step_share *, size_t), loom_err *err)
{
    loom_loss *all;
    size_t each;
    loom_status st;

    if (o->ranks < 2) return LOOM_OK;
    if (!loom_mul_size(&each, n, sizeof *losses) || !(all = loom_calloc((size_t)o->ranks, each)))
        return loom_fail_nomem(err, "the losses");
    memcpy(all + (size_t)o->me * n, losses, each);
    st = loom_ranks_gather(all, each, err);
    for (size_t i = 0; st == LOOM_OK && i < n; i++) losses[i] = all[(size_t)owner_of(o, i) * n + i];
    free(all);
    return st;
}

static int shard_owner(const loom_step_share *o, size_t i) { return loom_shard_rank(o->shards, o->ranks, (int)i); }
static int batch_owner(const loom_step_share *o, size_t i) { return (int)(i % (size_t)o->ranks); }

loom_status loom_step_losses(loom_loss *total, loom_loss *losses, const loom_step_share *o, loom_err *err)
{
    size_t n = o->shards ? (size_t)o->shards : 1;

    LOOM_TRY(fill_in(losses, n, o, shard_owner, err));
    for (size_t i = 0; i < n; i++) add(total, &losses[i]);
    return LOOM_OK;
}

loom_status loom_step_add_losses(loom_loss *total, loom_loss *losses, size_t n, const loom_step_share *o, loom_err *err)
{
    LOOM_TRY(fill_in(losses, n, o, batch_owner, err));
    for (size_t i = 0; i < n; i++) add(total, &losses[i]);
    return LOOM_OK;
}
