/* loom-preprocess canaries: graphs whose like nobody has, planted among training graphs to be looked for afterwards. */
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/rng.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "trace/graph/record.h"

typedef struct canaries_conf {
    const char *output, *planted, *twins;
    int64_t n, n_twins, repeats, calls;
} canaries_conf;

static const loom_opt canaries_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', canaries_conf, output, NULL, "FILE",
                 "the graphs of the store and the canaries behind them: to train on"),
    LOOM_OPT_OUT("planted", 0, canaries_conf, planted, NULL, "FILE", "the canaries alone"),
    LOOM_OPT_OUT("twins", 0, canaries_conf, twins, NULL, "FILE", "graphs made like them that are planted nowhere"),
    LOOM_OPT_GROUP("Canaries"),
    LOOM_OPT_I64("canaries", 0, canaries_conf, n, "20", 1, 1000000, "N", "how many are planted"),
    LOOM_OPT_I64("twin-count", 0, canaries_conf, n_twins, "400", 100, 1000000, "N", "how many are not"),
    LOOM_OPT_I64("repeats", 0, canaries_conf, repeats, "1", 1, 1000, "N", "how often each canary stands in the output"),
    LOOM_OPT_I64("calls", 0, canaries_conf, calls, "4", 2, 1000, "N", "made out of graphs with so many calls or more"),
    LOOM_OPT_END};

typedef struct planting {
    const loom_ctx *ctx;
    const canaries_conf *conf;
    loom_out *outs[3]; /* all, planted, twins */
    loom_intern microservices;
    loom_graph *models; /* (n_models) graphs that canaries are made out of, a fair draw of the store's */
    int64_t n_models, most, seen, graphs;
    loom_arena arena;
    loom_rng rng;
    loom_buf line;
} planting;

/* ---- the store ---- */

/* Reservoir sampling: each graph that is large enough stays with the same chance. */
static loom_status consider(planting *p, const loom_graph *g, loom_err *err)
{
    p->graphs++;
    for (int32_t i = 0; i < g->n_calls; i++)
        if (loom_intern_add(&p->microservices, g->calls[i].destination, strlen(g->calls[i].destination)) < 0)
            return loom_fail_nomem(err, "the names of a store");
    if (g->n_calls < p->conf->calls) return LOOM_OK;
    int64_t at = p->seen < p->most ? p->seen : (int64_t)loom_rng_below(&p->rng, (uint64_t)p->seen + 1);
    p->seen++;
    if (at >= p->most) return LOOM_OK;
    if (at == p->n_models) p->n_models++;
    return loom_graph_copy(&p->models[at], g, &p->arena) ? LOOM_OK : loom_fail_nomem(err, "a graph");
}

static loom_status copy_store(planting *p, const char *path, loom_err *err)
{
    loom_lines *lines = NULL;
    loom_arena arena = {0};
    loom_verdict why;
    loom_graph g;
    char *line;
    size_t len;
    loom_status st = loom_lines_open(&lines, path, err);
    while (st == LOOM_OK && (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        loom_arena_reset(&arena);
        if (!len) continue;
        if (!loom_record_read(&g, &why, line, len, &arena))
            st = loom_fail(err, LOOM_STATUS_FORMAT,
                           "%s:%lld: not a valid call graph; run the store through loom-preprocess dedupe", path,
                           (long long)loom_lines_number(lines));
        if (st == LOOM_OK) st = consider(p, &g, err);
        if (st == LOOM_OK) st = loom_out_write(p->outs[0], line, len, err);
        if (st == LOOM_OK) st = loom_out_write(p->outs[0], "\n", 1, err);
    }
    loom_lines_close(&lines);
    loom_arena_release(&arena);
    return st;
}

/* ---- canaries ---- */

/* The tree and the times of a real graph; whom each call below the root goes to is drawn. */
static void exchange_callees(planting *p, loom_graph *g)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        int32_t parent = loom_graph_parent(g, i);
        if (parent < 0) continue;
        g->calls[i].source = g->calls[parent].destination;
        g->calls[i].destination =
            loom_intern_text(&p->microservices, (int64_t)loom_rng_below(&p->rng, p->microservices.n));
    }
}

/* Those planted come first; a twin is drawn in the same way. */
static loom_status make_one(planting *p, int64_t number, loom_arena *arena, loom_err *err)
{
    bool planted = number < p->conf->n;
    loom_graph g;
    loom_arena_reset(arena);
    const loom_graph *model = &p->models[loom_rng_below(&p->rng, (uint64_t)p->n_models)];
    if (!loom_graph_copy(&g, model, arena)) return loom_fail_nomem(err, "a canary");
    exchange_callees(p, &g);
    loom_buf_reset(&p->line);
    loom_record_render_untimed(&p->line, &g);
    loom_buf_char(&p->line, '\n');
    LOOM_TRY(loom_buf_check(&p->line, "a canary", err));
    for (int64_t i = 0; planted && i < p->conf->repeats; i++)
        LOOM_TRY(loom_out_write(p->outs[0], p->line.data, p->line.len, err));
    return loom_out_write(p->outs[planted ? 1 : 2], p->line.data, p->line.len, err);
}

static loom_status make_all(planting *p, const char *store, loom_err *err)
{
    loom_arena arena = {0};
    loom_status st = LOOM_OK;
    if (p->n_models == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: no graph with %lld calls or more to make canaries of; give a smaller --calls", store,
                         (long long)p->conf->calls);
    if (p->microservices.n < 10)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s calls %zu microservices only: canaries of so few would not be rare", store,
                         p->microservices.n);
    for (int64_t i = 0; i < p->conf->n + p->conf->n_twins && st == LOOM_OK; i++) st = make_one(p, i, &arena, err);
    loom_arena_release(&arena);
    return st;
}

/* ---- the command ---- */

static loom_status open_outputs(planting *p, loom_err *err)
{
    const char *const paths[3] = {p->conf->output, p->conf->planted, p->conf->twins};
    for (int i = 0; i < 3; i++) {
        if (!paths[i] || strcmp(paths[i], "-") == 0)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "three files are written: name them with --output, --planted and --twins");
        LOOM_TRY(loom_out_open(&p->outs[i], paths[i], p->ctx->common.force, err));
    }
    return LOOM_OK;
}

static loom_status run_canaries(const loom_ctx *ctx, loom_err *err)
{
    planting p = {.ctx = ctx, .conf = ctx->conf};
    loom_meta meta = {0};
    p.most = p.conf->n + p.conf->n_twins;
    loom_rng_seed(&p.rng, (uint64_t)ctx->common.seed, "canaries", 0);
    p.models = loom_alloc((size_t)p.most, sizeof *p.models);
    loom_status st = p.models ? loom_meta_input(&meta, ctx->args[0], err) : loom_fail_nomem(err, "canaries");
    if (st == LOOM_OK) st = open_outputs(&p, err);
    if (st == LOOM_OK) st = copy_store(&p, ctx->args[0], err);
    if (st == LOOM_OK) st = make_all(&p, ctx->args[0], err);
    loom_meta_i64(&meta, "graphs", p.graphs);
    loom_meta_i64(&meta, "canaries", p.conf->n);
    loom_meta_i64(&meta, "repeats", p.conf->repeats);
    if (st == LOOM_OK) st = loom_meta_commit(&meta, ctx, p.outs, 3, 3, err);
    if (st == LOOM_OK)
        loom_info("%lld canaries planted behind %lld graphs, %lld times each; %lld twins kept apart",
                  (long long)p.conf->n, (long long)p.graphs, (long long)p.conf->repeats, (long long)p.conf->n_twins);
    for (int i = 0; i < 3; i++) loom_out_abandon(&p.outs[i]);
    free(p.models);
    loom_intern_release(&p.microservices);
    loom_arena_release(&p.arena);
    loom_buf_release(&p.line);
    loom_meta_release(&meta);
    return st;
}

const loom_cmd loom_cmd_canaries = {
    .name = "canaries",
    .summary = "plant marked graphs among training graphs, to look for them in the model afterwards",
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .details =
        "A canary has the tree, service and times of a real graph, but whom its calls go to is drawn at random: nothing but\n"
        "having seen it makes a model expect it. Train on the output; encode canaries and twins with the same options, and\n"
        "give their tokens to loom-eval privacy. The model has then learned graphs that never were: for a test, not to ship.\n"
        "\n"
        "  loom-preprocess canaries train.graphs.zst -o marked.graphs.zst --planted planted.graphs.zst --twins twins.graphs.zst",
    .opts = canaries_opts,
    .conf_size = sizeof(canaries_conf),
    .run = run_canaries,
};
