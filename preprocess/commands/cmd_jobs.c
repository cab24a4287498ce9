/* loom-preprocess jobs: batch jobs as call graphs. */
#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/jobs/job_graph.h"
#include "trace/graph/record.h"

typedef struct jobs_conf {
    const char *output, *names;
} jobs_conf;

static const loom_opt jobs_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', jobs_conf, output, "-", "FILE", "graph store to write (.graphs.zst)"),
    LOOM_OPT_OUT("names", 0, jobs_conf, names, NULL, "FILE",
                 "what MS_n and S_n stand for (names.tsv; for --names-from)"),
    LOOM_OPT_END};

typedef struct converting {
    const loom_ctx *ctx;
    const jobs_conf *conf;
    loom_batch_tasks tasks;
    loom_job_graphs graphs;
    loom_out *outs[2]; /* graphs, names */
    int64_t counts[LOOM_JOB_FLAWS];
    loom_meta meta;
    loom_buf line;
} converting;

static loom_status write_graph(converting *c, const loom_graph *g, loom_err *err)
{
    loom_buf_reset(&c->line);
    loom_record_render(&c->line, g);
    loom_buf_char(&c->line, '\n');
    LOOM_TRY(loom_buf_check(&c->line, "a job", err));
    return loom_out_write(c->outs[0], c->line.data, c->line.len, err);
}

static loom_status convert(converting *c, loom_err *err)
{
    c->graphs.tasks = &c->tasks;
    for (int64_t j = 0; j < c->tasks.n_jobs; j++) {
        loom_graph g;
        loom_job_flaw flaw;
        if (loom_stop_requested())
            return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        LOOM_TRY(loom_job_graph(&c->graphs, j, &g, &flaw, err));
        c->counts[flaw]++;
        if (flaw == LOOM_JOB_OK) LOOM_TRY(write_graph(c, &g, err));
    }
    if (c->counts[LOOM_JOB_OK]) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s%s: none of %lld jobs is whole; see --verbose for the reasons",
                     c->ctx->args[0], c->ctx->n_args > 1 ? ", ..." : "", (long long)c->tasks.n_jobs);
}

static void count(converting *c)
{
    const loom_batch_tasks *t = &c->tasks;
    loom_buf json = {0};
    loom_jw w;

    loom_jw_init(&w, &json, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "rows", t->rows);
    for (int i = 0; i < LOOM_TASK_FLAWS; i++) loom_jw_kv_i64(&w, loom_task_flaw_names[i], t->flaws[i]);
    loom_jw_kv_i64(&w, "jobs", t->n_jobs);
    for (int i = 0; i < LOOM_JOB_FLAWS; i++) loom_jw_kv_i64(&w, loom_job_flaw_names[i], c->counts[i]);
    loom_jw_kv_i64(&w, "edges_left_out", c->graphs.edges_left_out);
    loom_jw_end_object(&w);
    loom_meta_json(&c->meta, "counts", loom_buf_text(&json));
    loom_verbose("%s", loom_buf_text(&json));
    loom_buf_release(&json);
}

static loom_status publish(converting *c, loom_err *err)
{
    loom_buf names = {0};
    loom_status st = LOOM_OK;

    count(c);
    if (c->conf->names) {
        loom_rename_render(&c->graphs.names, &names);
        st = loom_out_text(&c->outs[1], c->conf->names, &names, c->ctx->common.force, err);
    }
    loom_buf_release(&names);
    if (st == LOOM_OK) st = loom_meta_commit(&c->meta, c->ctx, c->outs, 2, 1, err);
    if (st == LOOM_OK)
        loom_info(
            "%lld graphs of %lld jobs, %lld rows; %lld jobs lack something, %lld edges left out because a task is "
            "called once",
            (long long)c->counts[LOOM_JOB_OK], (long long)c->tasks.n_jobs, (long long)c->tasks.rows,
            (long long)(c->tasks.n_jobs - c->counts[LOOM_JOB_OK]), (long long)c->graphs.edges_left_out);
    return st;
}

static loom_status work(converting *c, loom_err *err)
{
    for (int i = 0; i < c->ctx->n_args; i++) LOOM_TRY(loom_batch_tasks_add(&c->tasks, c->ctx->args[i], err));
    LOOM_TRY(loom_batch_tasks_group(&c->tasks, err));
    LOOM_TRY(loom_out_open(&c->outs[0], c->conf->output, c->ctx->common.force, err));
    LOOM_TRY(convert(c, err));
    return publish(c, err);
}

static loom_status run_jobs(const loom_ctx *ctx, loom_err *err)
{
    converting c = {.ctx = ctx, .conf = ctx->conf};
    loom_status st = LOOM_OK;

    for (int i = 0; st == LOOM_OK && i < ctx->n_args; i++) st = loom_meta_input(&c.meta, ctx->args[i], err);
    if (st == LOOM_OK && !loom_meta_up_to_date(&c.meta, ctx, c.conf->output)) st = work(&c, err);
    for (int i = 0; i < 2; i++) loom_out_abandon(&c.outs[i]);
    loom_job_graphs_release(&c.graphs);
    loom_batch_tasks_release(&c.tasks);
    loom_buf_release(&c.line);
    loom_meta_release(&c.meta);
    return st;
}

const loom_cmd loom_cmd_jobs = {
    .name = "jobs",
    .summary = "turn batch jobs into call graphs (Alibaba cluster-trace 2018; Fig 17)",
    .args = "BATCH_TASK.csv...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads rows of batch_task, which has no header. M5_3_4 is task 5, which waits for 3 and 4: in the graph it calls\n"
        "them, and a job calls its last tasks. A task that several wait for is called by the first of them. Seconds stand\n"
        "where call graphs have milliseconds. Jobs with a row that is no finished task are left out and counted.\n\n"
        "  loom-preprocess jobs batch_task.csv -o raw.graphs.zst --names names.tsv\n",
    .opts = jobs_opts,
    .conf_size = sizeof(jobs_conf),
    .run = run_jobs,
    .updates = true,
};
