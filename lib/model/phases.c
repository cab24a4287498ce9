/* How the phases of a step walk its rows, and what each finds of the layer at work. */
#include <string.h>

#include "core/num.h"
#include "core/usage.h"
#include "model/acts_impl.h"

/* Rows of a block: some sixteen blocks, so that threads can help each other, of whole groups of 32 rows. The number
 * of threads has no say in it, nor in any sum. */
static int64_t block_rows(int64_t n)
{
    return loom_min_i64(LOOM_ROW_BLOCK, (n / 16 + 31) / 32 * 32 + (n < 16 ? 32 : 0));
}

static void rows_on_thread(void *arg, int thread, int n_threads)
{
    const loom_step *s = arg;
    int64_t blocks = (s->fn_rows + 31) / 32, from = blocks * thread / n_threads * 32;
    int64_t to = loom_min_i64(s->fn_rows, blocks * (thread + 1) / n_threads * 32);

    for (int64_t n = from; n < to; n += LOOM_ROW_BLOCK)
        s->fn(s, &s->a->threads[thread], n, loom_min_i64(n + LOOM_ROW_BLOCK, to));
}

static void block_on_thread(void *arg, int64_t item, int thread)
{
    const loom_step *s = arg;
    int64_t n0 = item * s->block;

    s->fn(s, &s->a->threads[thread], n0, loom_min_i64(n0 + s->block, s->fn_rows));
}

/* An adapter's gradients are summed by thread, so each keeps to its rows. */
void loom_step_rows(loom_step *s, loom_rows_fn *fn, int64_t n)
{
    s->fn = fn;
    s->fn_rows = n;
    s->block = block_rows(n);
    if (s->a->R) loom_pool_each(s->a->o.pool, rows_on_thread, s);
    else loom_pool_share(s->a->o.pool, (n + s->block - 1) / s->block, block_on_thread, s);
}

float *loom_step_dnorm(const loom_step *s, int64_t n0)
{
    return s->a->R ? NULL : s->a->dnorm + n0 / s->block * s->a->c.C;
}

void loom_step_add_norm(const loom_step *s, const loom_tensor *norm, int64_t rows)
{
    int64_t C = s->a->c.C;

    for (int64_t n = 0; n < rows; n += s->block) {
        float *restrict from = loom_step_dnorm(s, n), *restrict to = s->grads + norm->offset;

        for (int64_t c = 0; c < C; c++) to[c] += from[c];
        memset(from, 0, (size_t)C * sizeof *from);
    }
}

void loom_step_lap(double *to, double *since)
{
    double now = loom_time_now();

    *to += now - *since;
    *since = now;
}

loom_layer_acts loom_step_layer(const loom_step *s)
{
    const loom_acts *a = s->a;
    int64_t size = a->o.max_rows * a->c.C;
    loom_layer_acts v = a->layers[a->o.grad && !a->o.recompute ? s->l : 0];

    v.x = a->x + (a->o.grad ? s->l : s->l % 2) * size;
    v.out = a->x + (a->o.grad ? s->l + 1 : (s->l + 1) % 2) * size;
    return v;
}

const loom_adapter *loom_step_adapter(const loom_step *s, loom_role role)
{
    const loom_adapter *ad = s->lora ? &s->lora->adapters[s->l * LOOM_N_ADAPTABLE + (int64_t)role] : NULL;

    return ad && ad->a ? ad : NULL;
}
