/* loom-preprocess balance: as many graphs of each size as there are, up to a limit. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/progress.h"
#include "core/rng.h"
#include "preprocess/preprocess_cmds.h"
#include "preprocess/recstream.h"
#include "trace/record.h"

typedef struct balance_conf {
    const char *output;
    int64_t per_size;
} balance_conf;

static const loom_opt balance_opts[] = {
    LOOM_OPT_GROUP("Selection"),
    LOOM_OPT_I64("per-size", 'n', balance_conf, per_size, "250", 1, 1000000000, "N",
                 "graphs of one number of calls and one depth that are kept, drawn at random"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', balance_conf, output, NULL, "FILE", "graph store"),
    LOOM_OPT_END};

/* Sizes beyond are counted as one: there are never so many graphs of one size there that it matters. */
enum { MOST_CALLS = 1000, MOST_DEPTH = 63, SIZES = (MOST_CALLS + 1) * (MOST_DEPTH + 1) };

typedef struct line {
    int32_t size;
    size_t end; /* in the block's text */
} line;

typedef struct balance_block {
    loom_buf text;
    line *lines;
    size_t n_lines, cap_lines;
    int64_t invalid;
    bool no_memory;
    loom_arena arena;
} balance_block;

typedef struct balance_run {
    loom_out *out;
    loom_progress progress;
    loom_rng rng;
    int64_t *left; /* of each size: graphs not yet passed in the second reading */
    int64_t *want; /* of each size: graphs still to keep */
    int64_t graphs, kept, sizes, thinned, invalid;
} balance_run;

static int32_t size_of(const loom_graph *g)
{
    int64_t calls = loom_min_i64(g->n_calls, MOST_CALLS), depth = loom_min_i64(loom_graph_depth(g), MOST_DEPTH);

    return (int32_t)(calls * (MOST_DEPTH + 1) + depth);
}

static void work(void *arg, loom_recblock *block, int thread)
{
    balance_block *b = block->result;
    loom_graph g;
    loom_err err;

    (void)arg, (void)thread;
    loom_buf_reset(&b->text);
    b->n_lines = 0;
    b->invalid = 0;
    for (const char *at = NULL, *end = NULL; loom_recblock_graph(block, &at, &end, &g, &b->arena, &b->invalid);) {
        b->no_memory |= loom_grow(&b->lines, &b->cap_lines, b->n_lines + 1, sizeof *b->lines, &err) != LOOM_OK;
        if (b->no_memory) return;
        loom_record_render(&b->text, &g);
        loom_buf_char(&b->text, '\n');
        b->lines[b->n_lines++] = (line){size_of(&g), b->text.len};
    }
}

static loom_status count(void *arg, loom_recblock *block, loom_err *err)
{
    balance_run *run = arg;
    const balance_block *b = block->result;

    if (b->no_memory) return loom_fail_nomem(err, "the lines of a block of graphs");
    for (size_t i = 0; i < b->n_lines; i++) run->left[b->lines[i].size]++;
    run->graphs += (int64_t)b->n_lines;
    run->invalid += b->invalid;
    return LOOM_OK;
}

/* Selection sampling: each graph of a size is kept with the same chance, and exactly as many as wanted are. */
static loom_status keep(void *arg, loom_recblock *block, loom_err *err)
{
    balance_run *run = arg;
    const balance_block *b = block->result;
    size_t begin = 0;

    if (b->no_memory) return loom_fail_nomem(err, "the lines of a block of graphs");
    for (size_t i = 0; i < b->n_lines; begin = b->lines[i++].end) {
        int32_t size = b->lines[i].size;
        bool take = run->left[size] > 0 &&
                    loom_rng_below(&run->rng, (uint64_t)run->left[size]) < (uint64_t)run->want[size];
        run->left[size]--; /* below zero when the input grew in between: an error at the end */
        if (!take) continue;
        run->want[size]--;
        run->kept++;
        LOOM_TRY(loom_out_write(run->out, b->text.data + begin, b->lines[i].end - begin, err));
    }
    return LOOM_OK;
}

static void release_block(void *result)
{
    balance_block *b = result;

    loom_buf_release(&b->text);
    loom_arena_release(&b->arena);
    free(b->lines);
}

static void show_progress(void *arg, int64_t bytes)
{
    loom_progress_update(&((balance_run *)arg)->progress, bytes, NULL);
}

static void set_limits(balance_run *run, int64_t per_size)
{
    for (int i = 0; i < SIZES; i++) {
        run->want[i] = loom_min_i64(run->left[i], per_size);
        run->sizes += run->left[i] > 0;
        run->thinned += run->left[i] > per_size;
    }
}

static loom_status read_twice(balance_run *run, loom_recstream *stream, const balance_conf *conf, char **paths,
                              size_t n_paths, const loom_ctx *ctx, loom_err *err)
{
    stream->take = count;
    LOOM_TRY(loom_recstream_run(stream, (const char *const *)paths, (int64_t)n_paths, err));
    if (!run->graphs)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: no valid graph in the input (%lld invalid); make a graph store with "
                         "loom-preprocess dedupe", ctx->args[0], (long long)run->invalid);
    set_limits(run, conf->per_size);
    stream->take = keep;
    LOOM_TRY(loom_recstream_run(stream, (const char *const *)paths, (int64_t)n_paths, err));
    for (int i = 0; i < SIZES; i++)
        if (run->left[i])
            return loom_fail(err, LOOM_STATUS_IO, "%s%s: cannot be read twice, or changed in between; give files that "
                             "nobody writes to", ctx->args[0], ctx->n_args > 1 ? ", ..." : "");
    return LOOM_OK;
}

static loom_status finish(balance_run *run, loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    const balance_conf *conf = ctx->conf;

    loom_meta_i64(meta, "graphs_read", run->graphs);
    loom_meta_i64(meta, "graphs_kept", run->kept);
    loom_meta_i64(meta, "invalid_graphs", run->invalid);
    LOOM_TRY(loom_out_commit(&run->out, err));
    LOOM_TRY(loom_meta_write(meta, ctx, conf->output, err));
    loom_info("%lld of %lld graphs kept; %lld of %lld sizes had more than %lld", (long long)run->kept,
              (long long)run->graphs, (long long)run->thinned, (long long)run->sizes, (long long)conf->per_size);
    if (run->invalid)
        loom_warn("%lld invalid graphs were dropped; loom-preprocess dedupe says why", (long long)run->invalid);
    return LOOM_OK;
}

static loom_status run_balance(const loom_ctx *ctx, loom_err *err)
{
    const balance_conf *conf = ctx->conf;
    balance_run run = {0};
    loom_recstream stream = {.result_size = sizeof(balance_block), .work = work, .release = release_block,
                             .progress = show_progress, .arg = &run};
    loom_meta meta = {0};
    char **paths = NULL;
    size_t n_paths = 0;
    loom_status st;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "no output; give -o FILE");
    loom_rng_seed(&run.rng, (uint64_t)ctx->common.seed, "balance", 0);
    loom_progress_start(&run.progress, &ctx->common, "balancing", 0, "bytes");
    run.left = loom_calloc(SIZES, sizeof *run.left);
    run.want = loom_calloc(SIZES, sizeof *run.want);
    if (!run.left || !run.want) {
        st = loom_fail_nomem(err, "the counts of sizes");
        goto done;
    }
    if ((st = loom_pool_new(&stream.pool, (int)ctx->common.threads, err)) != LOOM_OK) goto done;
    if ((st = loom_out_open(&run.out, conf->output, ctx->common.force, err)) != LOOM_OK) goto done;
    if ((st = loom_recstream_inputs(&paths, &n_paths, ctx, &meta, err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&meta, ctx, conf->output)) goto done;
    if (ctx->common.dry_run) {
        loom_info("%zu graph stores would be read, at most %lld graphs of a size written to %s", n_paths,
                  (long long)conf->per_size, conf->output);
        goto done;
    }
    if ((st = read_twice(&run, &stream, conf, paths, n_paths, ctx, err)) != LOOM_OK) goto done;
    loom_progress_finish(&run.progress, NULL);
    st = finish(&run, &meta, ctx, err);
done:
    loom_out_abandon(&run.out);
    loom_free_list(paths, n_paths);
    loom_pool_free(stream.pool);
    loom_meta_release(&meta);
    free(run.left);
    free(run.want);
    return st;
}

const loom_cmd loom_cmd_balance = {
    .name = "balance",
    .summary = "fewer graphs of the frequent sizes",
    .args = "GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Keeps at most --per-size graphs of each number of calls and depth. Most graphs of a system are small; a model\n"
        "that is tuned on a balanced selection learns the wide and deep ones in a fraction of the time. Reads its\n"
        "input twice, so it takes files only.\n"
        "\n"
        "  loom-preprocess balance train.graphs.zst --per-size 250 -o tune.graphs.zst",
    .opts = balance_opts,
    .conf_size = sizeof(balance_conf),
    .run = run_balance,
    .updates = true,
};
