/* loom-eval tvae: an autoencoder of table rows, as a generator of calls. */
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "eval/baselines/call_rows.h"
#include "eval/baselines/call_table.h"
#include "eval/commands/eval_cmds.h"
#include "eval/commands/preset.h"
#include "model/blas.h"

typedef struct tvae_conf {
    const char *output;
    int64_t rows, epochs, batch, width, count;
    int preset;
} tvae_conf;

static const loom_opt tvae_opts[] = {
    LOOM_OPT_GROUP("Training"),
    LOOM_OPT_ENUM("preset", 0, tvae_conf, preset, "paper", LOOM_PRESET_CHOICES, LOOM_PRESET_HELP),
    LOOM_OPT_I64("rows", 0, tvae_conf, rows, "100000", 1, 100000000, "N", "calls to learn from, drawn from all graphs"),
    LOOM_OPT_I64("epochs", 0, tvae_conf, epochs, "0", 0, 1000000, "N",
                 "passes over the rows; 0: as the preset says (" LOOM_PRESET_NUMBERS(EPOCHS) ")"),
    LOOM_OPT_I64("batch", 0, tvae_conf, batch, "500", 1, 1000000, "N", "rows of a step"),
    LOOM_OPT_I64("width", 0, tvae_conf, width, "128", 1, 16384, "N", "size of the hidden layers and of the code"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_I64("count", 0, tvae_conf, count, "100000", 1, 1000000000, "N", "calls to draw"),
    LOOM_OPT_OUT("output", 'o', tvae_conf, output, "-", "FILE", "table of calls to write (.calls.zst)"),
    LOOM_OPT_END};

static loom_status train(loom_tvae *t, int64_t epochs, loom_meta *meta, loom_err *err)
{
    double loss = 0, first = 0;

    for (int64_t epoch = 0; epoch < epochs; epoch++) {
        LOOM_TRY(loom_tvae_epoch(t, &loss, err));
        if (epoch == 0) first = loss;
        if (epoch % 10 == 0 || epoch + 1 == epochs)
            loom_verbose("epoch %lld of %lld: loss %.4f", (long long)epoch + 1, (long long)epochs, loss);
    }
    loom_meta_f64(meta, "first_loss", first);
    loom_meta_f64(meta, "last_loss", loss);
    return LOOM_OK;
}

/* In blocks, so that memory does not grow with the count. */
static loom_status draw(loom_out *out, loom_tvae *t, const loom_call_rows *rows, const loom_ctx *ctx, loom_err *err)
{
    enum { BLOCK = 4096 };
    int64_t count = ((const tvae_conf *)ctx->conf)->count;
    int32_t *discrete = loom_alloc(BLOCK * LOOM_CALL_ROWS_DISCRETE, sizeof *discrete);
    double *continuous = loom_alloc(BLOCK * LOOM_CALL_ROWS_CONTINUOUS, sizeof *continuous);
    loom_rng rng;
    loom_status st = discrete && continuous ? loom_call_table_begin(out, err) : loom_fail_nomem(err, "rows");

    loom_rng_seed(&rng, (uint64_t)ctx->common.seed, "tvae draw", 0);
    for (int64_t at = 0; st == LOOM_OK && at < count; at += BLOCK) {
        int64_t n = loom_min_i64(BLOCK, count - at);
        st = loom_tvae_draw(t, discrete, continuous, n, &rng, err);
        for (int64_t i = 0; st == LOOM_OK && i < n; i++) {
            loom_call call = loom_call_rows_call(rows, discrete + i * LOOM_CALL_ROWS_DISCRETE,
                                                 continuous + i * LOOM_CALL_ROWS_CONTINUOUS);
            st = loom_call_table_write(out, &call, err);
        }
    }
    free(discrete);
    free(continuous);
    return st;
}

static loom_status learn_and_draw(const loom_ctx *ctx, loom_meta *meta, loom_call_rows *rows, loom_tvae **t,
                                  loom_out **out, loom_err *err)
{
    const tvae_conf *conf = ctx->conf;
    int64_t epochs = loom_preset_or(conf->epochs, loom_preset_of(conf->preset)->epochs);
    loom_tvae_conf how = {
        .width = conf->width, .code = conf->width, .batch = conf->batch, .seed = (uint64_t)ctx->common.seed};

    LOOM_TRY(loom_blas_reserve(1, err));
    LOOM_TRY(loom_call_rows_load(rows, ctx->args[0], conf->rows, how.seed, err));
    loom_table table = loom_call_rows_table(rows);
    LOOM_TRY(loom_tvae_new(t, &table, &how, err));
    LOOM_TRY(loom_out_open(out, conf->output, ctx->common.force, err));
    LOOM_TRY(train(*t, epochs, meta, err));
    LOOM_TRY(draw(*out, *t, rows, ctx, err));
    loom_meta_i64(meta, "rows", rows->n);
    loom_meta_i64(meta, "calls_seen", rows->seen);
    loom_meta_i64(meta, "sources", rows->classes[0]);
    loom_meta_i64(meta, "destinations", rows->classes[1]);
    loom_meta_i64(meta, "epochs", epochs);
    LOOM_TRY(loom_meta_commit(meta, ctx, out, 1, 1, err));
    loom_info("%lld calls drawn; learned from %lld of %lld calls in %lld epochs", (long long)conf->count,
              (long long)rows->n, (long long)rows->seen, (long long)epochs);
    return LOOM_OK;
}

static loom_status run_tvae(const loom_ctx *ctx, loom_err *err)
{
    const tvae_conf *conf = ctx->conf;
    loom_meta meta = {0};
    loom_call_rows rows = {0};
    loom_tvae *t = NULL;
    loom_out *out = NULL;
    loom_status st = loom_meta_input(&meta, ctx->args[0], err);

    if (st == LOOM_OK && !loom_meta_up_to_date(&meta, ctx, conf->output))
        st = learn_and_draw(ctx, &meta, &rows, &t, &out, err);
    loom_out_abandon(&out);
    loom_tvae_free(t);
    loom_call_rows_release(&rows);
    loom_meta_release(&meta);
    return st;
}

const loom_cmd loom_cmd_tvae = {
    .name = "tvae",
    .summary = "draw calls from an autoencoder of table rows (TVAE), a baseline that knows no graphs (Fig 4a)",
    .args = "TRAIN.graphs.zst",
    .min_args = 1,
    .max_args = 1,
    .details =
        "Every call of the training graphs is a row: source, destination, type, start, response time. What is drawn\n"
        "are calls by themselves; loom-eval similarity compares how often each is made.\n\n"
        "  loom-eval tvae train.graphs.zst -o tvae.calls.zst\n",
    .opts = tvae_opts,
    .conf_size = sizeof(tvae_conf),
    .run = run_tvae,
    .updates = true};
