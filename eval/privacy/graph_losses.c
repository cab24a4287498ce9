#include "eval/privacy/graph_losses.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "core/rng.h"
#include "model/blas.h"
#include "model/step.h"
#include "store/shard.h"
#include "tokenizer/tokenizer.h"
#include "trace/text/names.h"

loom_status loom_loss_model_open(loom_loss_model *m, const char *model, const char *adapter, int64_t context,
                                 int threads, loom_err *err)
{
    loom_model_files_options o = {.frozen = true};
    LOOM_TRY(loom_blas_reserve(threads, err));
    LOOM_TRY(loom_model_files_load(&m->files, model, adapter, &o, err));
    LOOM_TRY(loom_pool_new(&m->pool, threads, err));
    int64_t longest = m->files.model->config.max_positions;
    m->context = context > 0 ? loom_min_i64(context, longest) : loom_min_i64(longest, 4096);
    loom_acts_options ao = {.max_rows = m->context, .max_seq = m->context, .pool = m->pool};
    return loom_acts_new(&m->acts, m->files.model, m->files.lora, &ao, err);
}

void loom_loss_model_close(loom_loss_model *m)
{
    loom_acts_free(m->acts);
    loom_pool_free(m->pool);
    loom_model_files_release(&m->files);
    *m = (loom_loss_model){0};
}

/* ---- which samples are a graph ---- */

/* Graph i is samples first[i] .. first[i + 1] - 1. */
typedef struct grouping {
    loom_shard *shard;
    loom_tokenizer *tokenizer;
    const loom_loss_model *model;
    int64_t *first;
    int64_t n;
    size_t cap;
    int32_t *ids, *labels; /* (longest + 1) */
} grouping;

static loom_status find_graphs(grouping *g, loom_err *err)
{
    const loom_shard_info *info = loom_shard_get_info(g->shard);
    loom_buf text = {0};
    loom_status st = LOOM_OK;
    for (int64_t i = 0; i <= info->n_samples && st == LOOM_OK; i++) {
        int64_t at = 0, n = 0;
        bool begins = i == info->n_samples || i == 0;
        if (i < info->n_samples && !begins) {
            loom_shard_range(g->shard, i, &at, &n, NULL);
            if ((st = loom_shard_read(g->shard, at, n, g->ids, err)) != LOOM_OK) break;
            loom_buf_reset(&text);
            loom_tokenizer_decode(&text, g->tokenizer, g->ids, n, LOOM_DECODE_SKIP_SPECIAL);
            if ((st = loom_buf_check(&text, "a sample", err)) != LOOM_OK) break;
            begins = loom_names_begins_graph(loom_buf_text(&text), text.len);
        }
        if (!begins) continue;
        if ((st = loom_grow(&g->first, &g->cap, (size_t)g->n + 1, sizeof *g->first, err)) != LOOM_OK) break;
        g->first[g->n++] = i;
    }
    g->n--;
    loom_buf_release(&text);
    return st;
}

/* ---- losses ---- */

static loom_status add_sample(grouping *g, int64_t sample, loom_loss *sum, int64_t *cut, loom_err *err)
{
    int64_t at, n, answer;
    loom_loss loss;
    loom_shard_range(g->shard, sample, &at, &n, &answer);
    int64_t rows = loom_min_i64(n - 1, g->model->context);
    *cut += n - 1 > rows;
    if (rows < 1) return LOOM_OK;
    LOOM_TRY(loom_shard_read(g->shard, at, rows + 1, g->ids, err));
    for (int64_t i = 0; i < rows; i++) g->labels[i] = i + 1 >= answer ? g->ids[i + 1] : LOOM_IGNORE;
    const int64_t segments[2] = {0, rows};
    loom_batch b = {.N = rows, .n_segments = 1, .tokens = g->ids, .labels = g->labels, .segments = segments};
    if (loom_batch_count(&b) == 0) return LOOM_OK;
    LOOM_TRY(loom_llama_loss(g->model->acts, g->model->files.model, g->model->files.lora, &b, &loss, err));
    sum->sum += loss.sum;
    sum->count += loss.count;
    return LOOM_OK;
}

static loom_status measure(loom_graph_losses *out, grouping *g, int64_t most, uint64_t seed, loom_err *err)
{
    loom_rng rng;
    int64_t *order = loom_alloc((size_t)g->n + 1, sizeof *order);
    int64_t wanted = most > 0 ? loom_min_i64(most, g->n) : g->n;
    loom_status st = LOOM_OK;
    out->graphs = g->n;
    out->of = loom_alloc((size_t)wanted + 1, sizeof *out->of);
    if (!order || !out->of) st = loom_fail_nomem(err, "losses of graphs");
    for (int64_t i = 0; i < g->n && order; i++) order[i] = i;
    loom_rng_seed(&rng, seed, "privacy-graphs", 0);
    if (order && wanted < g->n) loom_rng_shuffle(&rng, order, (size_t)g->n, sizeof *order);
    for (int64_t i = 0; i < wanted && st == LOOM_OK; i++) {
        loom_loss sum = {0};
        if (loom_stop_requested())
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        for (int64_t s = g->first[order[i]]; s < g->first[order[i] + 1] && st == LOOM_OK; s++)
            st = add_sample(g, s, &sum, &out->cut, err);
        if (sum.count) out->of[out->n++] = sum.sum / (double)sum.count;
    }
    free(order);
    return st;
}

static loom_status check_tokenizer(const grouping *g, const loom_shard_info *info, const char *path, loom_err *err)
{
    const char *own = g->model->files.tokenizer_digest;
    if (!own[0] || strcmp(own, info->tokenizer_digest) == 0) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "%s was made with another tokenizer than the model has; make it with the model's", path);
}

loom_status loom_graph_losses_read(loom_graph_losses *out, const loom_loss_model *m, const char *shard, int64_t most,
                                   uint64_t seed, loom_err *err)
{
    grouping g = {.model = m};
    loom_status st = loom_shard_open(&g.shard, shard, err);
    if (st != LOOM_OK) return st;
    const loom_shard_info *info = loom_shard_get_info(g.shard);
    g.ids = loom_alloc((size_t)info->longest + 1, sizeof *g.ids);
    g.labels = loom_alloc((size_t)info->longest + 1, sizeof *g.labels);
    if (!g.ids || !g.labels) st = loom_fail_nomem(err, "the tokens of a sample");
    if (st == LOOM_OK) st = check_tokenizer(&g, info, shard, err);
    if (st == LOOM_OK)
        st = loom_tokenizer_parse(&g.tokenizer, info->tokenizer, info->tokenizer_len, "tokenizer of the shard", err);
    if (st == LOOM_OK) st = find_graphs(&g, err);
    if (st == LOOM_OK) st = measure(out, &g, most, seed, err);
    if (st == LOOM_OK && out->n == 0) st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no graph whose loss counts", shard);
    free(g.ids);
    free(g.labels);
    free(g.first);
    loom_tokenizer_free(g.tokenizer);
    loom_shard_close(&g.shard);
    return st;
}

void loom_graph_losses_release(loom_graph_losses *l)
{
    free(l->of);
    *l = (loom_graph_losses){0};
}
