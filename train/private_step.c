#include "train/private_step.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "core/rng.h"
#include "model/adamw.h"
#include "model/lora.h"

struct loom_private {
    loom_private_options o;
    const loom_llama *model;
    const loom_lora *lora;
    loom_acts *acts;
    loom_loader *loader;
    loom_pool *pool;
    float *unit;     /* the gradient of one graph */
    uint64_t secret; /* of the step at hand */
};

loom_status loom_private_new(loom_private **out, const loom_private_options *o, const loom_llama *model,
                             const loom_lora *lora, loom_acts *acts, loom_loader *loader, loom_pool *pool,
                             loom_err *err)
{
    loom_private *p = loom_calloc(1, sizeof *p);

    if (!p) return loom_fail_nomem(err, "the gradient of a graph");
    *p = (loom_private){.o = *o, .model = model, .lora = lora, .acts = acts, .loader = loader, .pool = pool};
    if (!(p->unit = loom_alloc_aligned(lora->table.floats * sizeof(float)))) {
        loom_private_free(p);
        return loom_fail_nomem(err, "the gradient of a graph");
    }
    *out = p;
    return LOOM_OK;
}

void loom_private_free(loom_private *p)
{
    if (!p) return;
    free(p->unit);
    free(p);
}

/* Adds the gradient of the summed loss of a batch to p->unit. */
static loom_status add_batch(loom_private *p, loom_batch *b, loom_rng *dropout, loom_loss *sum, double *weight,
                             loom_err *err)
{
    loom_loss loss = {0};

    if (b->N == 0) return LOOM_OK;
    b->dropout_seed = loom_rng_u64(dropout);
    *weight += loom_batch_weight(b);
    LOOM_TRY(loom_llama_grad(p->acts, p->model, p->lora, b, 1, p->unit, &loss, err));
    sum->sum += loss.sum;
    sum->count += loss.count;
    sum->right += loss.right;
    return LOOM_OK;
}

/* All samples of graph i, so many at a time as the rows allow; *weight receives what its labels count. */
static loom_status add_graph(loom_private *p, int64_t step, int64_t i, int64_t micro_rows, loom_private_report *r,
                             double *weight, loom_err *err)
{
    const loom_graph_units *u = p->o.units;
    loom_rng dropout;
    loom_batch b;

    loom_rng_seed(&dropout, p->secret ^ (uint64_t)i, "dp-dropout", (uint64_t)step);
    memset(p->unit, 0, p->lora->table.floats * sizeof *p->unit);
    *weight = 0;
    loom_loader_begin(p->loader, &b);
    for (int64_t s = u->first[i]; s < u->first[i + 1]; s++) {
        int64_t rows = loom_loader_rows(p->loader, s);

        if (b.N + rows > micro_rows) {
            LOOM_TRY(add_batch(p, &b, &dropout, &r->loss, weight, err));
            loom_loader_begin(p->loader, &b);
        }
        LOOM_TRY(loom_loader_append(p->loader, &b, s, err));
        r->rows += rows;
    }
    return add_batch(p, &b, &dropout, &r->loss, weight, err);
}

/* g += the gradient of the mean loss of a graph, no longer than clip. */
static loom_status add_clipped(const loom_private *p, float *g, double weight, loom_private_report *r, loom_err *err)
{
    double norm = loom_grad_norm(p->pool, &p->lora->table, p->unit) / weight;
    float scale = (float)(loom_clip_scale(norm, p->o.clip) / weight);

    if (!isfinite(norm)) return loom_fail(err, LOOM_STATUS_NUMERIC, "the gradient of a graph is not finite");
    r->clipped += norm > p->o.clip;
    for (size_t j = 0; j < p->lora->table.floats; j++) g[j] += scale * p->unit[j];
    return LOOM_OK;
}

/* g = (g + noise) / graphs expected. Gaps between tensors stay zero. */
static void add_noise(const loom_private *p, float *g, int64_t step)
{
    const loom_tensors *table = &p->lora->table;
    double sd = p->o.noise * p->o.clip, expected = p->o.rate * (double)p->o.units->n;
    loom_rng rng;

    loom_rng_seed(&rng, p->secret, "dp-noise", (uint64_t)step);
    for (int64_t i = 0; i < table->n; i++) {
        float *x = g + table->tensors[i].offset;

        for (size_t j = 0; j < table->tensors[i].count; j++)
            x[j] = (float)(((double)x[j] + sd * loom_rng_normal(&rng)) / expected);
    }
}

loom_status loom_private_gradient(loom_private *p, uint64_t secret, int64_t step, int64_t micro_rows, float *g,
                                  loom_private_report *report, loom_err *err)
{
    loom_rng draw;

    *report = (loom_private_report){0};
    p->secret = secret;
    memset(g, 0, p->lora->table.floats * sizeof *g);
    loom_rng_seed(&draw, p->secret, "dp-draw", (uint64_t)step);
    for (int64_t i = 0; i < p->o.units->n; i++) {
        double weight;

        if (!loom_rng_chance(&draw, p->o.rate)) continue;
        if (loom_stop_requested()) return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
        LOOM_TRY(add_graph(p, step, i, micro_rows, report, &weight, err));
        report->graphs++;
        if (weight > 0) LOOM_TRY(add_clipped(p, g, weight, report, err));
    }
    add_noise(p, g, step);
    return LOOM_OK;
}
