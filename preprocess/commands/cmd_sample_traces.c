#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/progress.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/samples/sample_write.h"

typedef struct sample_conf {
    int profile;
    const char *output;
    int64_t traces, services, files;
    double zipf, hours;
    bool truth, harsh, quirks;
} sample_conf;

static const loom_opt sample_opts[] = {
    LOOM_OPT_GROUP("Model"),
    LOOM_OPT_ENUM("profile", 0, sample_conf, profile, "default", LOOM_SAMPLE_PROFILE_CHOICES,
                  "size and shape of the sample"),
    LOOM_OPT_I64("traces", 0, sample_conf, traces, "0", 0, 50000000, "N", "number of traces; 0: the profile's"),
    LOOM_OPT_I64("services", 0, sample_conf, services, "0", 0, 1000000, "N", "number of services; 0: the profile's"),
    LOOM_OPT_F64("zipf", 0, sample_conf, zipf, "-1", -1, 5, "S",
                 "slope of the services' popularity; below 0: the profile's"),
    LOOM_OPT_F64("hours", 0, sample_conf, hours, "1", 0.001, 400, "H", "time over which the traces arrive"),
    LOOM_OPT_GROUP("Damage"),
    LOOM_OPT_FLAG_ON("quirks", 0, sample_conf, quirks, "damage rows as real collection does"),
    LOOM_OPT_FLAG("harsh", 0, sample_conf, harsh, "as much damage as in the published raw sample"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', sample_conf, output, NULL, "DIR", "folder for CallGraph_<i>.csv"),
    LOOM_OPT_I64("files", 0, sample_conf, files, "4", 1, 500, "N", "number of CSV files"),
    LOOM_OPT_FLAG("truth", 0, sample_conf, truth,
                  "also write truth.jsonl and templates.json, what is known of the traces"),
    LOOM_OPT_WAS(NULL, 'p', "profile", NULL),
    LOOM_OPT_END};

typedef struct sample_run {
    const loom_ctx *ctx;
    loom_progress progress;
} sample_run;

static void show_progress(void *arg, int64_t traces)
{
    loom_progress_update(&((sample_run *)arg)->progress, traces, NULL);
}

static void world_conf(loom_sample_conf *out, const loom_ctx *ctx)
{
    const sample_conf *conf = ctx->conf;
    loom_sample_conf_init(out, (loom_sample_profile)conf->profile, (uint64_t)ctx->common.seed);
    if (conf->traces) out->n_traces = conf->traces;
    if (conf->services) out->n_services = conf->services;
    out->n_files = conf->files;
    if (conf->zipf >= 0) out->zipf = conf->zipf;
    out->hours = conf->hours;
    out->quirks = conf->quirks;
    out->harsh = conf->harsh;
}

static void totals_json(loom_jw *j, const loom_sample_totals *t, bool truth)
{
    loom_jw_begin_object(j);
    loom_jw_kv_i64(j, "traces", t->traces);
    loom_jw_kv_i64(j, "calls", t->calls);
    loom_jw_kv_i64(j, "rows", t->rows);
    loom_jw_kv_i64(j, "bytes", t->bytes);
    if (truth) loom_jw_kv_i64(j, "clean_traces", t->clean);
    loom_jw_key(j, "traces_with");
    loom_jw_begin_object(j);
    for (int q = 0; q < LOOM_SAMPLE_QUIRKS; q++) loom_jw_kv_i64(j, loom_sample_quirk_names[q], t->quirks[q]);
    loom_jw_end_object(j);
    loom_jw_key(j, "traces_by_depth");
    loom_jw_begin_array(j);
    for (int d = 1; d < 16; d++) loom_jw_i64(j, t->depths[d]);
    loom_jw_end_array(j);
    loom_jw_end_object(j);
}

/* The path of output i; false when there are fewer. */
static bool output_path(loom_buf *path, const sample_conf *conf, int64_t i)
{
    loom_buf_reset(path);
    if (i < conf->files) loom_buf_printf(path, "%s/CallGraph_%lld.csv", conf->output, (long long)i);
    else loom_buf_printf(path, "%s/%s", conf->output, i == conf->files ? "truth.jsonl" : "templates.json");
    return i < conf->files + (conf->truth ? 2 : 0);
}

static bool up_to_date(const loom_ctx *ctx)
{
    loom_meta meta = {0};
    loom_buf path = {0};
    bool fresh = true;
    for (int64_t i = 0; fresh && output_path(&path, ctx->conf, i); i++)
        fresh = loom_meta_up_to_date(&meta, ctx, path.data);
    loom_buf_release(&path);
    return fresh;
}

/* Every file says that it is synthetic, so that no picture made from it can pass for a measurement. */
static loom_status commit(void *arg, const loom_sample_totals *totals, loom_out **files, size_t n, loom_err *err)
{
    const loom_ctx *ctx = ((sample_run *)arg)->ctx;
    const sample_conf *conf = ctx->conf;
    loom_meta meta = {0};
    loom_buf text = {0};
    loom_jw j;
    char caption[64];
    loom_jw_init(&j, &text, false);
    totals_json(&j, totals, conf->truth);
    snprintf(caption, sizeof caption, "synthetic sample data, seed %lld", (long long)ctx->common.seed);
    loom_meta_str(&meta, "caption", caption);
    loom_meta_json(&meta, "sample", loom_buf_text(&text));
    loom_meta_i64(&meta, "files", conf->files);
    loom_status st = loom_meta_commit(&meta, ctx, files, n, n, err);
    loom_buf_release(&text);
    loom_meta_release(&meta);
    return st;
}

static loom_status report(const loom_ctx *ctx, const loom_sample_totals *totals, loom_err *err)
{
    const sample_conf *conf = ctx->conf;
    loom_buf text = {0};
    loom_jw j;
    loom_status st = LOOM_OK;
    loom_jw_init(&j, &text, false);
    totals_json(&j, totals, conf->truth);
    if (ctx->common.json) {
        loom_buf_char(&text, '\n');
        st = loom_stdout_write(text.data, text.len, err);
    }
    loom_buf_release(&text);
    loom_info("%lld traces, %lld calls, %lld rows in %lld files under %s (synthetic sample data, seed %lld)",
              (long long)totals->traces, (long long)totals->calls, (long long)totals->rows, (long long)conf->files,
              conf->output, (long long)ctx->common.seed);
    return st;
}

static loom_status run(const loom_ctx *ctx, loom_err *err)
{
    const sample_conf *conf = ctx->conf;
    loom_sample_conf world_settings;
    loom_sample_world *world = NULL;
    loom_sample_totals totals;
    loom_pool *pool = NULL;
    sample_run work = {.ctx = ctx};
    loom_sample_hooks hooks = {.progress = show_progress, .commit = commit, .arg = &work};
    loom_status st;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "no folder given for the sample; use -o DIR");
    if (conf->harsh && !conf->quirks)
        return loom_fail(err, LOOM_STATUS_ARG, "--harsh and --no-quirks exclude each other");
    if (up_to_date(ctx)) return LOOM_OK;
    world_conf(&world_settings, ctx);
    if ((st = loom_sample_world_new(&world, &world_settings, err)) != LOOM_OK) goto done;
    if (ctx->common.dry_run) {
        loom_info("would write %lld traces of %lld services into %lld files under %s",
                  (long long)world_settings.n_traces, (long long)world_settings.n_services,
                  (long long)world_settings.n_files, conf->output);
        goto done;
    }
    if ((st = loom_pool_new(&pool, (int)ctx->common.threads, err)) != LOOM_OK) goto done;
    loom_progress_start(&work.progress, &ctx->common, "sample-traces", world_settings.n_traces, "traces");
    st = loom_sample_write(&totals, world, conf->output, conf->truth, ctx->common.force, pool, &hooks, err);
    loom_progress_finish(&work.progress, NULL);
    if (st == LOOM_OK) st = report(ctx, &totals, err);
done:
    loom_pool_free(pool);
    loom_sample_world_free(world);
    return st;
}

const loom_cmd loom_cmd_sample_traces = {
    .name = "sample-traces",
    .summary = "write synthetic CallGraph tables to try everything with",
    .args = "",
    .details =
        "Writes CallGraph_<i>.csv in the raw schema of Alibaba's cluster-trace-microservices-v2022, drawn from hidden\n"
        "templates of made-up services. The same options and seed give the same bytes, whatever the number of\n"
        "threads. All names are random numbers; any coincidence with names of a real system is accidental.\n"
        "\n"
        "Profiles: tiny (2,000 traces of 12 services), default (40,000 of 800), large (1,500,000 of 4,000), v2021 (as\n"
        "default, with wide and deep trees), base (40,000; numbers of services and names, popularity, depth, width, types\n"
        "and times drawn from the seed: every seed another world). Example:\n"
        "  loom-preprocess sample-traces --profile default --seed 1 -o datasets/sample",
    .opts = sample_opts,
    .conf_size = sizeof(sample_conf),
    .run = run,
    .updates = true,
};
