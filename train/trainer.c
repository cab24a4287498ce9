#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "core/ranks.h"
#include "core/rng.h"
#include "core/usage.h"
#include "model/adamw.h"
#include "model/lora.h"

static int ranks_of(const loom_trainer_options *o) { return o->share.ranks > 1 ? o->share.ranks : 1; }

loom_status loom_trainer_new(loom_trainer **out, const loom_trainer_options *o, loom_llama *model, loom_lora *lora,
                             loom_loader *loader, loom_pool *pool, loom_err *err)
{
    loom_acts_options ao = {.max_rows = o->micro_rows,
                            .max_seq = o->context,
                            .grad = true,
                            .recompute = o->recompute,
                            .bf16_compute = o->bf16_compute,
                            .pool = pool};
    loom_trainer *t = loom_calloc(1, sizeof *t);
    size_t bytes;
    loom_status st;

    if (!t) return loom_fail_nomem(err, "the trainer");
    *t = (loom_trainer){.o = *o, .model = model, .lora = lora, .loader = loader, .pool = pool};
    t->table = lora ? &lora->table : &model->table;
    t->w = lora ? lora->params : model->params;
    bytes = t->table->floats * sizeof(float);
    t->g = loom_alloc_aligned(bytes);
    if (o->ema > 0 && (t->mean = loom_alloc_aligned(bytes))) memcpy(t->mean, t->w, bytes);
    if (!t->g || (o->ema > 0 && !t->mean)) st = loom_fail_nomem(err, "gradients and moments");
    else st = loom_optimizer_new(&t->optimizer, &o->optimizer, t->table, pool, err);
    if (st == LOOM_OK) st = loom_acts_new(&t->acts, model, lora, &ao, err);
    if (st == LOOM_OK && o->dp.units) st = loom_private_new(&t->dp, &o->dp, model, lora, t->acts, loader, pool, err);
    if (st == LOOM_OK && o->shape.allowed > 0) st = loom_allowed_new(&t->allowed, loom_loader_info(loader), pool, err);
    if (st == LOOM_OK && o->share.shards)
        st = loom_shard_tree_new(&t->tree, o->share.shards, o->share.me, ranks_of(o), t->table->floats, o->share.half,
                                 t->g, pool, err);
    if (st != LOOM_OK) loom_trainer_free(t);
    else *out = t;
    return st;
}

void loom_trainer_free(loom_trainer *t)
{
    if (!t) return;
    loom_private_free(t->dp);
    loom_allowed_free(t->allowed);
    loom_acts_free(t->acts);
    loom_optimizer_free(t->optimizer);
    loom_shard_tree_release(&t->tree);
    loom_dealt_step_release(&t->dealt);
    free(t->g);
    free(t->mean);
    free(t);
}

/* The next micro-batch of a step: whole sequences from *segment on, at most max_rows rows. `local` receives its segment
 * table (which must start at 0). */
static loom_batch cut(const loom_batch *step, int64_t *segment, int64_t max_rows, int64_t *local)
{
    int64_t first = *segment, start = step->segments[first], n = 0;
    loom_batch b = {.tokens = step->tokens + start,
                    .labels = step->labels + start,
                    .weights = step->weights ? step->weights + start : NULL,
                    .segments = local};

    while (first + n < step->n_segments && step->segments[first + n + 1] - start <= max_rows) n++;
    for (int64_t i = 0; i <= n; i++) local[i] = step->segments[first + i] - start;
    b.n_segments = n;
    b.N = local[n];
    *segment = first + n;
    return b;
}

/* Dropout of a micro-batch depends on seed, step and its number only. */
static uint64_t dropout_seed(const loom_trainer *t, int64_t micro)
{
    loom_rng rng;

    loom_rng_seed(&rng, t->o.seed, "dropout", (uint64_t)t->step << 20 | (uint64_t)micro);
    return loom_rng_u64(&rng);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return false;
    }
    return true;
}

/* Names the first tensor that went wrong: a gradient, else a weight. */
static loom_status not_finite(const loom_trainer *t, loom_err *err)
{
    for (int64_t i = 0; i < t->table->n; i++) {
        const loom_tensor *x = &t->table->tensors[i];
        if (!all_finite(t->w + x->offset, x->count))
            return loom_fail(err, LOOM_STATUS_NUMERIC, "step %" PRId64 ": weight %s is not finite", t->step + 1,
                             x->name);
    }
    for (int64_t i = 0; i < t->table->n; i++) {
        const loom_tensor *x = &t->table->tensors[i];
        if (!all_finite(t->g + x->offset, x->count))
            return loom_fail(err, LOOM_STATUS_NUMERIC, "step %" PRId64 ": the gradient of %s is not finite",
                             t->step + 1, x->name);
    }
    return loom_fail(err, LOOM_STATUS_NUMERIC, "step %" PRId64 ": the loss is not finite", t->step + 1);
}

/* Adds the gradient of a batch, a step or a shard of one, to g. The dropout of its micro-batches is that of `micro`
 * and on. */
static loom_status accumulate(loom_trainer *t, const loom_batch *batch, int64_t micro, double scale, float *g,
                              loom_loss *total, loom_err *err)
{
    int64_t *local = loom_alloc((size_t)batch->n_segments + 1, sizeof *local), segment = 0;
    loom_status st = LOOM_OK;

    if (!local) return loom_fail_nomem(err, "a batch");
    for (; segment < batch->n_segments && st == LOOM_OK; micro++) {
        loom_loss loss = {0};
        loom_batch b;
        if (loom_stop_requested()) {
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
            break;
        }
        b = cut(batch, &segment, t->o.micro_rows, local);
        b.dropout_seed = dropout_seed(t, micro);
        b.shape = t->o.shape;
        if (t->allowed) st = loom_allowed_fill(t->allowed, &b, err);
        if (st == LOOM_OK) st = loom_llama_grad(t->acts, t->model, t->lora, &b, scale, g, &loss, err);
        total->sum += loss.sum;
        total->count += loss.count;
        total->right += loss.right;
    }
    free(local);
    return st;
}

/* Gradients of the shards that are this rank's; losses (shards) receives theirs. */
static loom_status accumulate_shards(loom_trainer *t, const loom_batch *step, double scale, loom_loss *losses,
                                     loom_err *err)
{
    loom_shard_tree *tree = &t->tree;
    loom_status st = loom_step_deal(&t->dealt, step, tree->shards, err);

    loom_shard_tree_clear(tree);
    for (int s = tree->first; s < tree->end && st == LOOM_OK; s++) {
        st = accumulate(t, loom_step_shard(&t->dealt, s), (int64_t)s << 14, scale, loom_shard_tree_leaf(tree),
                        &losses[s], err);
        loom_shard_tree_add(tree);
    }
    return st;
}

/* Where all ranks say whether their part went well: a step is everybody's or nobody's. */
static loom_status meet(const loom_trainer *t, loom_status mine, loom_err *err)
{
    if (mine == LOOM_STATUS_NUMERIC) mine = not_finite(t, err);
    return ranks_of(&t->o) > 1 ? loom_ranks_agree(mine, err) : mine;
}

/* Gradient of the whole step into g. */
static loom_status gradient(loom_trainer *t, const loom_batch *step, loom_loss *total, loom_err *err)
{
    double weight = loom_batch_weight(step), scale = weight > 0 ? 1 / weight : 0, started = loom_time_now();
    loom_loss losses[LOOM_SHARDS_MOST] = {0};
    loom_status st;

    if (t->o.share.shards) {
        st = accumulate_shards(t, step, scale, losses, err);
    } else {
        memset(t->g, 0, t->table->floats * sizeof(float));
        st = accumulate(t, step, 0, scale, t->g, losses, err);
    }
    t->times.gradient += loom_time_now() - started;
    LOOM_TRY(meet(t, st, err));
    if (t->o.share.shards) LOOM_TRY(loom_shard_tree_sum(&t->tree, err));
    return loom_step_losses(total, losses, &t->o.share, err);
}

/* A young average forgets its beginning sooner: a model from random weights should not carry them along. */
static double ema_decay(const loom_trainer *t)
{
    double n = (double)t->step;

    return fmin(t->o.ema, (1 + n) / (10 + n));
}

/* Every rank does all of it but Muon's matrices, which they share out. */
static loom_status update(loom_trainer *t, double lr, double grad_scale, loom_err *err)
{
    double started = loom_time_now();

    loom_optimizer_step(t->optimizer, t->w, t->g, lr, grad_scale, t->step + 1);
    t->times.update += loom_time_now() - started;
    LOOM_TRY(loom_optimizer_exchange(t->optimizer, t->w, err));
    started = loom_time_now();
    t->step++;
    if (t->mean) loom_ema_step(t->pool, t->table, t->mean, t->w, ema_decay(t));
    t->times.update += loom_time_now() - started;
    return LOOM_OK;
}

void loom_trainer_swap_mean(loom_trainer *t)
{
    for (size_t i = 0; t->mean && i < t->table->floats; i++) {
        float w = t->w[i];

        t->w[i] = t->mean[i];
        t->mean[i] = w;
    }
}

/* A step whose gradient hides single graphs. */
static loom_status private_step(loom_trainer *t, double lr, loom_step_report *report, loom_err *err)
{
    loom_private_report r;
    double started = loom_time_now(), norm;
    loom_status st = loom_private_gradient(t->dp, t->secret, t->step, t->o.micro_rows, t->g, &r, err);

    t->times.gradient += loom_time_now() - started;
    if (st == LOOM_STATUS_NUMERIC) return not_finite(t, err);
    if (st != LOOM_OK) return st;
    norm = loom_grad_norm(t->pool, t->table, t->g);
    LOOM_TRY(update(t, lr, 1, err));
    t->tokens += r.rows;
    t->dp_graphs += r.graphs;
    t->dp_clipped += r.clipped;
    *report = (loom_step_report){.loss = r.loss.count ? r.loss.sum / (double)r.loss.count : 0,
                                 .grad_norm = norm,
                                 .rows = r.rows,
                                 .counted = r.loss.count,
                                 .right = r.loss.right};
    return LOOM_OK;
}

loom_status loom_trainer_step(loom_trainer *t, double lr, loom_step_report *report, loom_err *err)
{
    if (t->dp) return private_step(t, lr, report, err);
    loom_position before = loom_loader_tell(t->loader);
    loom_batch step;
    loom_loss total = {0};
    double norm;
    loom_status st;

    LOOM_TRY(loom_loader_next(t->loader, &step, err));
    st = gradient(t, &step, &total, err);
    norm = st == LOOM_OK ? loom_grad_norm(t->pool, t->table, t->g) : 0;
    if (!isfinite(norm)) st = meet(t, LOOM_STATUS_NUMERIC, err);
    if (st != LOOM_OK) {
        loom_loader_seek(t->loader, &before);
        return st;
    }
    LOOM_TRY(update(t, lr, loom_clip_scale(norm, t->o.clip), err));
    t->tokens += step.N;
    *report = (loom_step_report){.loss = total.count ? total.sum / (double)total.count : 0,
                                 .grad_norm = norm,
                                 .rows = step.N,
                                 .counted = total.count,
                                 .right = total.right};
    return LOOM_OK;
}

/* Losses of the batches of a validation, in their order; those of other ranks are zero. *stopped: it was asked for. */
static loom_status validate_some(loom_trainer *t, loom_loader *valid, int64_t max_rows, loom_loss **losses, size_t *n,
                                 uint32_t *stopped, loom_err *err)
{
    const loom_position start = {0};
    int64_t rows = 0, ranks = ranks_of(&t->o);
    size_t cap = 0;

    loom_loader_seek(valid, &start);
    while (rows < max_rows && !(*stopped = loom_stop_requested())) {
        loom_batch b;

        LOOM_TRY(loom_loader_next(valid, &b, err));
        LOOM_TRY(loom_grow(losses, &cap, *n + 1, sizeof **losses, err));
        (*losses)[*n] = (loom_loss){0};
        if ((int64_t)*n % ranks == t->o.share.me)
            LOOM_TRY(loom_llama_loss(t->acts, t->model, t->lora, &b, &(*losses)[*n], err));
        ++*n;
        rows += b.N;
        if (loom_loader_at_end(valid)) break; /* once through */
    }
    return LOOM_OK;
}

static loom_status validate(loom_trainer *t, loom_loader *valid, int64_t max_rows, loom_loss *out, loom_err *err)
{
    loom_loss *losses = NULL;
    uint32_t stopped = 0;
    size_t n = 0;
    loom_status st = validate_some(t, valid, max_rows, &losses, &n, &stopped, err);

    *out = (loom_loss){0};
    if (ranks_of(&t->o) > 1) st = loom_ranks_agree(st, err);
    if (st == LOOM_OK && ranks_of(&t->o) > 1) st = loom_ranks_bits(&stopped, err);
    if (st == LOOM_OK && !stopped) st = loom_step_add_losses(out, losses, n, &t->o.share, err);
    free(losses);
    return st;
}

loom_status loom_trainer_validate(loom_trainer *t, loom_loader *valid, int64_t max_rows, loom_loss *out, loom_err *err)
{
    loom_status st;

    loom_trainer_swap_mean(t);
    st = validate(t, valid, max_rows, out, err);
    loom_trainer_swap_mean(t);
    return st;
}

/* Measured: 22 MiB and 1 MiB a thread; oneDNN takes 12 MiB more, and 5 MiB a thread for the code and buffers of the
 * products that are left to it; MPI 12 MiB. */
static size_t process_bytes(bool half, bool mpi, int n_threads)
{
    size_t threads = n_threads > 0 ? (size_t)n_threads : 1;

    return (22 + threads + (half ? 12 + 5 * threads : 0) + (mpi ? 12 : 0)) << 20;
}

/* What the optimizer keeps, and what it computes with. Nothing for a shape that cannot be: that is said elsewhere. */
static void optimizer_bytes(size_t *state, size_t *work, const loom_config *config, const loom_lora_config *lora,
                            const loom_trainer_options *o, int n_threads)
{
    loom_tensors table;

    *state = *work = 0;
    if (lora) {
        *state = 2 * loom_lora_bytes(config, lora);
        return;
    }
    if (loom_llama_table(&table, config, NULL) != LOOM_OK) return;
    loom_optimizer_bytes(state, work, o->optimizer.kind, &table, n_threads);
    loom_tensors_release(&table);
}

void loom_trainer_memory(loom_train_memory *out, const loom_config *config, const loom_lora_config *lora, bool frozen,
                         const loom_trainer_options *o, int n_threads)
{
    loom_acts_options ao = {.max_rows = o->micro_rows,
                            .max_seq = o->context,
                            .grad = true,
                            .recompute = o->recompute,
                            .bf16_compute = o->bf16_compute};
    size_t base = loom_llama_bytes(config), trained = lora ? loom_lora_bytes(config, lora) : base, state, work;

    optimizer_bytes(&state, &work, config, lora, o, n_threads);
    out->weights = (frozen ? base / 2 : base) + (lora ? trained : 0);
    out->gradients = trained * (o->dp.units ? 2 : 1);
    if (o->share.shards)
        out->gradients =
            trained * (size_t)loom_shard_tree_blocks(o->share.shards, ranks_of(o), o->share.me) +
            loom_shard_tree_slices(o->share.shards, ranks_of(o), o->share.me, trained / sizeof(float), o->share.half);
    out->moments = state + (o->ema > 0 ? trained : 0);
    out->checkpoint = trained + out->moments;
    out->activations = loom_acts_bytes(config, lora, frozen, &ao, n_threads) + work;
    out->process = process_bytes(o->bf16_compute, ranks_of(o) > 1, n_threads);
}
