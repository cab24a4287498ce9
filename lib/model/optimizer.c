#include "model/optimizer.h"

#include <stdlib.h>

#include "core/num.h"
#include "core/ranks.h"
#include "core/usage.h"
#include "model/adamw.h"
#include "model/muon.h"

static bool takes(loom_optimizer_kind kind, const loom_tensor *t)
{
    return kind == LOOM_OPTIMIZER_MUON && t->role < LOOM_N_ADAPTABLE && t->n_dims == 2;
}

static double work_of(const loom_tensor *t) { return loom_muon_work(t->shape[0], t->shape[1]); }

/* Where the second moments lie (NULL: not asked for); returns their number. */
static size_t place_v(size_t *v_at, loom_optimizer_kind kind, const loom_tensors *table)
{
    size_t floats = 0;

    for (int64_t i = 0; i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];
        bool muon = takes(kind, t);

        if (v_at) v_at[i] = muon ? LOOM_ADAMW_NOT : floats;
        if (!muon) floats += (t->count + 15) & ~(size_t)15;
    }
    return floats;
}

/* Floats a thread needs: those of the largest matrix. */
static size_t work_floats(loom_optimizer_kind kind, const loom_tensors *table)
{
    size_t most = 0;

    for (int64_t i = 0; i < table->n; i++) {
        const loom_tensor *t = &table->tensors[i];
        size_t floats = takes(kind, t) ? loom_muon_floats(t->shape[0], t->shape[1]) : 0;

        if (floats > most) most = floats;
    }
    return most;
}

static size_t all_bytes(size_t floats, size_t times)
{
    size_t bytes;

    return loom_mul_size(&bytes, floats, sizeof(float)) && loom_mul_size(&bytes, bytes, times) ? bytes : SIZE_MAX;
}

void loom_optimizer_bytes(size_t *state, size_t *work, loom_optimizer_kind kind, const loom_tensors *table,
                          int n_threads)
{
    *state = all_bytes(table->floats + place_v(NULL, kind, table), 1);
    *work = all_bytes(work_floats(kind, table), n_threads > 0 ? (size_t)n_threads : 1);
}

/* Insertion keeps the order of the table among equals. */
static void list_muon(loom_optimizer *opt)
{
    for (int64_t i = 0; i < opt->table->n; i++) {
        const loom_tensor *t = &opt->table->tensors[i];
        int64_t at = opt->n_muon;

        if (!takes(opt->o.kind, t)) continue;
        while (at > 0 && work_of(&opt->table->tensors[opt->muon[at - 1]]) < work_of(t)) {
            opt->muon[at] = opt->muon[at - 1];
            at--;
        }
        opt->muon[at] = i;
        opt->n_muon++;
    }
}

/* The next one, which has no more work than those before it, goes to the rank that has least. */
static void share_out(loom_optimizer *opt, double *load)
{
    int ranks = opt->o.ranks > 1 ? opt->o.ranks : 1;

    for (int64_t i = 0; i < opt->n_muon; i++) {
        int least = 0;

        for (int r = 1; r < ranks; r++)
            if (load[r] < load[least]) least = r;
        opt->owner[i] = least;
        load[least] += work_of(&opt->table->tensors[opt->muon[i]]);
    }
}

loom_status loom_optimizer_new(loom_optimizer **out, const loom_optimizer_options *o, const loom_tensors *table,
                               loom_pool *pool, loom_err *err)
{
    loom_optimizer *opt = loom_calloc(1, sizeof *opt);
    size_t n = (size_t)table->n, floats = work_floats(o->kind, table), work;
    double *load;

    if (!opt) return loom_fail_nomem(err, "the optimizer");
    *opt = (loom_optimizer){.o = *o, .table = table, .pool = pool, .work_floats = floats};
    work = all_bytes(floats, (size_t)loom_pool_threads(pool));
    opt->v_at = loom_alloc(n, sizeof *opt->v_at);
    opt->muon = loom_alloc(n, sizeof *opt->muon);
    opt->owner = loom_alloc(n, sizeof *opt->owner);
    load = loom_calloc((size_t)(o->ranks > 1 ? o->ranks : 1), sizeof *load);
    opt->m = loom_alloc_aligned(all_bytes(table->floats, 1));
    opt->v = opt->v_at ? loom_alloc_aligned(all_bytes(place_v(opt->v_at, o->kind, table), 1)) : NULL;
    opt->work = work == SIZE_MAX ? NULL : loom_alloc_aligned(work);
    if (!opt->v_at || !opt->muon || !opt->owner || !load || !opt->m || !opt->v || !opt->work) {
        free(load);
        loom_optimizer_free(opt);
        return loom_fail_nomem(err, "the moments of the optimizer");
    }
    list_muon(opt);
    share_out(opt, load);
    free(load);
    *out = opt;
    return LOOM_OK;
}

void loom_optimizer_free(loom_optimizer *opt)
{
    if (!opt) return;
    free(opt->v_at);
    free(opt->muon);
    free(opt->owner);
    free(opt->m);
    free(opt->v);
    free(opt->work);
    free(opt);
}

bool loom_optimizer_is_muon(const loom_optimizer *opt, int64_t tensor) { return opt->v_at[tensor] == LOOM_ADAMW_NOT; }

typedef struct muon_step {
    const loom_optimizer *opt;
    float *w;
    const float *g;
    loom_muon how;
} muon_step;

static void one_matrix(void *arg, int64_t item, int thread)
{
    const muon_step *s = arg;
    const loom_optimizer *opt = s->opt;
    const loom_tensor *t = &opt->table->tensors[opt->muon[item]];
    float *work = opt->work + (size_t)thread * opt->work_floats;

    if (opt->owner[item] == opt->o.me)
        loom_muon_update(s->w + t->offset, opt->m + t->offset, s->g + t->offset, t->shape[0], t->shape[1], &s->how,
                         work);
    else loom_muon_momentum(opt->m + t->offset, s->g + t->offset, t->shape[0], t->shape[1], &s->how, work);
}

void loom_optimizer_step(loom_optimizer *opt, float *w, const float *g, double lr, double grad_scale, int64_t step)
{
    const loom_optimizer_options *o = &opt->o;
    loom_adamw adamw = {.lr = o->rest > 0 ? lr * o->rest : lr,
                        .beta1 = o->beta1,
                        .beta2 = o->beta2,
                        .eps = o->eps,
                        .decay = o->decay,
                        .grad_scale = grad_scale,
                        .step = step};
    muon_step muon = {.opt = opt,
                      .w = w,
                      .g = g,
                      .how = {.lr = lr,
                              .momentum = o->momentum,
                              .decay = o->decay,
                              .grad_scale = grad_scale,
                              .nesterov = o->nesterov,
                              .bf16_compute = o->bf16_compute}};

    double started = loom_time_now();

    loom_pool_for(opt->pool, opt->n_muon, one_matrix, &muon);
    opt->muon_seconds += loom_time_now() - started;
    loom_adamw_step_some(opt->pool, opt->table, opt->v_at, w, opt->m, opt->v, g, &adamw);
}

size_t loom_optimizer_muon_floats(const loom_optimizer *opt)
{
    size_t floats = 0;

    for (int64_t i = 0; i < opt->n_muon; i++) floats += opt->table->tensors[opt->muon[i]].count;
    return floats;
}

loom_status loom_optimizer_exchange(const loom_optimizer *opt, float *w, loom_err *err)
{
    int ranks = opt->o.ranks;
    loom_ranks_move *moves;
    int64_t n = 0;
    loom_status st;

    if (ranks < 2 || !opt->n_muon) return LOOM_OK;
    if (!(moves = loom_alloc((size_t)opt->n_muon * (size_t)ranks, sizeof *moves)))
        return loom_fail_nomem(err, "messages between ranks");
    for (int64_t i = 0; i < opt->n_muon; i++) {
        const loom_tensor *t = &opt->table->tensors[opt->muon[i]];

        for (int r = 0; r < ranks; r++) moves[n++] = (loom_ranks_move){opt->owner[i], r, w + t->offset, t->count};
    }
    st = loom_ranks_carry(moves, n, false, err);
    free(moves);
    return st;
}
