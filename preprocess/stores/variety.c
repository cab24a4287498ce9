#include "preprocess/stores/variety.h"

#include <stdlib.h>

#include "core/num.h"

#define FEW_GRAPHS 1000 /* fewer are learned by heart within minutes */
#define FEW_SIZES  5    /* no more sizes than this are no grid */
#define UNIFORM    0.95 /* share of graphs with one tree */

void loom_variety_add(loom_variety *v, const loom_graph *g)
{
    loom_buf *key = &v->key;

    loom_buf_reset(key);
    for (int32_t i = 0; i < g->n_calls; i++) {
        loom_buf_append(key, (const char *)g->calls[i].id, (size_t)g->calls[i].n_id * sizeof *g->calls[i].id);
        loom_buf_char(key, (char)('A' + g->calls[i].type));
    }
    loom_hash128 tree = loom_hash128_of(loom_buf_text(key), key->len);
    loom_counter_add(&v->trees, (const char *)&tree, sizeof tree, 1);
    int32_t size[2] = {g->n_calls, loom_graph_depth(g)};
    loom_counter_add(&v->sizes, (const char *)size, sizeof size, 1);
    v->graphs++;
}

void loom_variety_merge(loom_variety *into, const loom_variety *from)
{
    loom_counter_merge(&into->trees, &from->trees);
    loom_counter_merge(&into->sizes, &from->sizes);
    into->graphs += from->graphs;
}

void loom_variety_release(loom_variety *v)
{
    loom_counter_release(&v->trees);
    loom_counter_release(&v->sizes);
    loom_buf_release(&v->key);
    *v = (loom_variety){0};
}

int64_t loom_variety_filled_sizes(const loom_variety *v)
{
    int64_t n = 0;
    for (size_t i = 0; i < v->sizes.texts.n; i++) n += v->sizes.counts[i] >= LOOM_VARIETY_FILLED;
    return n;
}

void loom_variety_describe(const loom_variety *v, loom_meta *meta)
{
    loom_meta_i64(meta, "trees", (int64_t)v->trees.texts.n);
    loom_meta_i64(meta, "sizes", (int64_t)v->sizes.texts.n);
    loom_meta_i64(meta, "filled_sizes", loom_variety_filled_sizes(v));
}

void loom_variety_advise(const loom_variety *v, loom_buf *into)
{
    double uniform = loom_counter_top_share(&v->trees, 1);
    int64_t filled = loom_variety_filled_sizes(v);

    if (v->trees.texts.n == 1)
        loom_buf_str(into,
                     "all graphs have the same tree of calls: a model can only learn to repeat it; give traces of "
                     "more kinds of requests, of more services or of a longer time\n");
    else if (uniform >= UNIFORM)
        loom_buf_printf(
            into,
            "%.0f %% of the graphs have the same tree of calls: a model learns little but to repeat it; give "
            "traces of more kinds of requests, of more services or of a longer time\n",
            100 * uniform);
    if (filled <= FEW_SIZES)
        loom_buf_printf(into,
                        "only %lld size%s of graph (calls and depth) occur%s in %d graphs or more: a model is right at "
                        "sizes that it has seen, so ask for those only, or give traces of other sizes\n",
                        (long long)filled, filled == 1 ? "" : "s", filled == 1 ? "s" : "", LOOM_VARIETY_FILLED);
    if (v->graphs < FEW_GRAPHS)
        loom_buf_printf(
            into,
            "only %lld graphs to learn from: they are soon known by heart; start from the base model, end in "
            "time (--patience 3), and look at the copies that loom-eval memorization counts\n",
            (long long)v->graphs);
}
