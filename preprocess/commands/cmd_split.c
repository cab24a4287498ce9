/* loom-preprocess split: training and validation graphs (docs/VALIDITY.md section 1). */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/progress.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/stores/store_command.h"
#include "trace/graph/record.h"

typedef struct split_conf {
    const char *train, *valid;
    int64_t modulo;
    int by;
} split_conf;

static const loom_opt split_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("train", 0, split_conf, train, NULL, "FILE", "graph store for training"),
    LOOM_OPT_OUT("valid", 0, split_conf, valid, NULL, "FILE", "graph store for validation"),
    LOOM_OPT_GROUP("Rules"),
    LOOM_OPT_I64("modulo", 0, split_conf, modulo, "10", 2, 1000000, "N", "one graph in N goes to validation"),
    LOOM_OPT_ENUM("by", 0, split_conf, by, "graph", "graph|structure",
                  "what stays together: equal graphs, or all that differ in times only"),
    LOOM_OPT_END};

typedef struct split_block {
    loom_buf sides[2], key; /* training, validation */
    int64_t graphs[2], invalid;
    loom_arena arena;
} split_block;

typedef struct split_run {
    const split_conf *conf;
    uint64_t seed;
    loom_out *out[2];
    loom_progress progress;
    int64_t graphs[2], invalid;
} split_run;

static void place(const split_run *run, split_block *b, const loom_graph *g)
{
    loom_buf_reset(&b->key);
    if (run->conf->by == 1) loom_record_render_structure(&b->key, g);
    else loom_record_render_untimed(&b->key, g);
    int side = loom_hash64(b->key.data, b->key.len, run->seed) % (uint64_t)run->conf->modulo == 0;
    loom_record_render(&b->sides[side], g);
    loom_buf_char(&b->sides[side], '\n');
    b->graphs[side]++;
}

static void work(void *arg, loom_store_block *block, int thread)
{
    const split_run *run = arg;
    split_block *b = block->result;
    (void)thread;
    loom_buf_reset(&b->sides[0]);
    loom_buf_reset(&b->sides[1]);
    b->graphs[0] = b->graphs[1] = b->invalid = 0;
    loom_graph g;
    for (const char *at = NULL, *end = NULL; loom_store_block_graph(block, &at, &end, &g, &b->arena, &b->invalid);)
        place(run, b, &g);
}

static loom_status take(void *arg, loom_store_block *block, loom_err *err)
{
    split_run *run = arg;
    split_block *b = block->result;
    for (int side = 0; side < 2; side++) {
        run->graphs[side] += b->graphs[side];
        LOOM_TRY(loom_out_write(run->out[side], b->sides[side].data, b->sides[side].len, err));
    }
    run->invalid += b->invalid;
    return LOOM_OK;
}

static void release_block(void *result)
{
    split_block *b = result;
    loom_buf_release(&b->sides[0]);
    loom_buf_release(&b->sides[1]);
    loom_buf_release(&b->key);
    loom_arena_release(&b->arena);
}

static void show_progress(void *arg, int64_t bytes)
{
    loom_progress_update(&((split_run *)arg)->progress, bytes, NULL);
}

static loom_status finish(split_run *run, loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    if (run->graphs[0] + run->graphs[1] == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: no valid graph in the input (%lld invalid); make a graph store with "
                         "loom-preprocess dedupe",
                         ctx->args[0], (long long)run->invalid);
    if (run->graphs[0] == 0)
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s: of %lld graph%s none falls to training; give traces of more requests, or a greater --modulo",
            ctx->args[0], (long long)run->graphs[1], run->graphs[1] == 1 ? "" : "s");
    loom_meta_i64(meta, "training_graphs", run->graphs[0]);
    loom_meta_i64(meta, "validation_graphs", run->graphs[1]);
    loom_meta_i64(meta, "invalid_graphs", run->invalid);
    LOOM_TRY(loom_meta_commit(meta, ctx, run->out, 2, 2, err));
    loom_info("%lld graphs for training, %lld for validation", (long long)run->graphs[0], (long long)run->graphs[1]);
    if (run->invalid)
        loom_warn("%lld invalid graphs were dropped; loom-preprocess dedupe says why", (long long)run->invalid);
    if (run->graphs[1] == 0)
        loom_warn("no graph fell to validation; there are too few for one in %lld", (long long)run->conf->modulo);
    return LOOM_OK;
}

static loom_status run_split(const loom_ctx *ctx, loom_err *err)
{
    const split_conf *conf = ctx->conf;
    split_run run = {.conf = conf, .seed = (uint64_t)ctx->common.seed};
    loom_store_stream stream = {.result_size = sizeof(split_block),
                                .work = work,
                                .take = take,
                                .release = release_block,
                                .progress = show_progress,
                                .arg = &run};
    loom_buf would = {0};
    loom_store_command command = {.ctx = ctx, .stream = &stream, .outputs = {conf->train, conf->valid}};
    loom_meta meta = {0};
    bool ran = false;
    loom_status st;

    if (!conf->train || !conf->valid)
        return loom_fail(err, LOOM_STATUS_ARG, "two outputs are needed; give --train FILE and --valid FILE");
    if (strcmp(conf->train, conf->valid) == 0)
        return loom_fail(err, LOOM_STATUS_ARG, "--train and --valid name the same file; give two names");
    loom_buf_printf(&would, "one graph in %lld written to %s, the others to %s", (long long)conf->modulo, conf->valid,
                    conf->train);
    command.would = loom_buf_text(&would);
    loom_progress_start(&run.progress, &ctx->common, "splitting", 0, "bytes");
    if ((st = loom_out_open(&run.out[0], conf->train, ctx->common.force, err)) != LOOM_OK) goto done;
    if ((st = loom_out_open(&run.out[1], conf->valid, ctx->common.force, err)) != LOOM_OK) goto done;
    if ((st = loom_store_command_run(&command, &meta, &ran, err)) != LOOM_OK || !ran) goto done;
    loom_progress_finish(&run.progress, NULL);
    st = finish(&run, &meta, ctx, err);
done:
    loom_out_abandon(&run.out[0]);
    loom_out_abandon(&run.out[1]);
    loom_meta_release(&meta);
    loom_buf_release(&would);
    return st;
}

const loom_cmd loom_cmd_split = {
    .name = "split",
    .summary = "training and validation graphs",
    .args = "GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "A graph goes to validation when the hash of its text (time of day left out) under --seed is divisible by\n"
        "--modulo: the split does not depend on the order of the graphs, and a graph stays on its side when others\n"
        "are added.\n"
        "\n"
        "  loom-preprocess split all.graphs.zst --train train.graphs.zst --valid valid.graphs.zst",
    .opts = split_opts,
    .conf_size = sizeof(split_conf),
    .run = run_split,
    .updates = true,
};
