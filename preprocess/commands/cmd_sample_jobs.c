/* loom-preprocess sample-jobs: a made-up table of batch jobs. */
#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/samples/sample_jobs.h"

typedef struct sample_jobs_conf {
    const char *output;
    int64_t jobs, programs;
} sample_jobs_conf;

static const loom_opt sample_jobs_opts[] = {
    LOOM_OPT_GROUP("Model"),
    LOOM_OPT_I64("jobs", 0, sample_jobs_conf, jobs, "60000", 1, 100000000, "N", "number of jobs"),
    LOOM_OPT_I64("programs", 0, sample_jobs_conf, programs, "150", 1, 100000, "N", "plans that jobs are run after"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', sample_jobs_conf, output, "-", "FILE", "table to write (batch_task.csv)"),
    LOOM_OPT_END};

static loom_status run_sample_jobs(const loom_ctx *ctx, loom_err *err)
{
    const sample_jobs_conf *conf = ctx->conf;
    const loom_sample_jobs_conf how = {
        .seed = (uint64_t)ctx->common.seed, .programs = conf->programs, .jobs = conf->jobs};
    loom_meta meta = {0};
    loom_out *out = NULL;
    int64_t tasks = 0;
    loom_status st = LOOM_OK;

    if (loom_meta_up_to_date(&meta, ctx, conf->output)) goto done;
    if ((st = loom_out_open(&out, conf->output, ctx->common.force, err)) != LOOM_OK) goto done;
    if ((st = loom_sample_jobs_write(out, &how, &tasks, err)) != LOOM_OK) goto done;
    loom_meta_i64(&meta, "jobs", conf->jobs);
    loom_meta_i64(&meta, "tasks", tasks);
    if ((st = loom_meta_commit(&meta, ctx, &out, 1, 1, err)) != LOOM_OK) goto done;
    loom_info("%lld jobs of %lld tasks", (long long)conf->jobs, (long long)tasks);
done:
    loom_out_abandon(&out);
    loom_meta_release(&meta);
    return st;
}

const loom_cmd loom_cmd_sample_jobs = {
    .name = "sample-jobs",
    .summary = "make up a table of batch jobs, like batch_task of cluster-trace 2018",
    .args = "",
    .min_args = 0,
    .max_args = 0,
    .details =
        "Jobs are runs of some programs, each a plan of tasks that wait for one another. One in ten is a task by itself.\n"
        "\n"
        "  loom-preprocess sample-jobs --jobs 60000 -o batch_task.csv\n"
        "  loom-preprocess jobs batch_task.csv -o raw.graphs.zst\n",
    .opts = sample_jobs_opts,
    .conf_size = sizeof(sample_jobs_conf),
    .run = run_sample_jobs,
    .updates = true,
};
