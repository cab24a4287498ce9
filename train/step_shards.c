#include "train/step_shards.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/ranks.h"
#include "model/shard_tree.h"

/* The segment that begins nearest to k N / shards. */
static int64_t cut_at(const loom_batch *step, int k, int shards)
{
    int64_t at = step->N / shards * k + step->N % shards * k / shards, lo = 0, hi = step->n_segments;

    while (lo < hi) { /* the first one that begins there or later */
        int64_t mid = (lo + hi) / 2;

        if (step->segments[mid] < at) lo = mid + 1;
        else hi = mid;
    }
    return lo > 0 && at - step->segments[lo - 1] < step->segments[lo] - at ? lo - 1 : lo;
}

loom_batch loom_step_shard(const loom_batch *step, int s, int shards, int64_t *local)
{
    int64_t from = cut_at(step, s, shards), to = cut_at(step, s + 1, shards), start = step->segments[from];

    for (int64_t i = from; i <= to; i++) local[i - from] = step->segments[i] - start;
    return (loom_batch){.N = step->segments[to] - start,
                        .n_segments = to - from,
                        .tokens = step->tokens + start,
                        .labels = step->labels ? step->labels + start : NULL,
                        .weights = step->weights ? step->weights + start : NULL,
                        .segments = local};
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
