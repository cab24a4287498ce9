/* loom-preprocess stats: per-service statistics (docs/VALIDITY.md section 1). */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/progress.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/stores/store_command.h"
#include "preprocess/stores/variety.h"
#include "trace/graph/record.h"
#include "trace/graph/stats.h"

typedef struct stats_conf {
    const char *output;
} stats_conf;

static const loom_opt stats_opts[] = {LOOM_OPT_GROUP("Output"),
                                      LOOM_OPT_OUT("output", 'o', stats_conf, output, NULL, "FILE",
                                                   "statistics to write (.json, .json.zst), - for stdout"),
                                      LOOM_OPT_END};

/* One of these per thread. */
typedef struct stats_worker {
    loom_stats *stats;
    loom_variety variety;
    loom_arena arena;
    int64_t invalid;
} stats_worker;

typedef struct stats_run {
    stats_worker *workers;
    size_t n_workers;
    loom_progress progress;
} stats_run;

static void work(void *arg, loom_store_block *block, int thread)
{
    stats_worker *w = &((stats_run *)arg)->workers[thread];
    loom_graph g;
    for (const char *at = NULL, *end = NULL; loom_store_block_graph(block, &at, &end, &g, &w->arena, &w->invalid);) {
        loom_stats_add(w->stats, &g);
        loom_variety_add(&w->variety, &g);
    }
}

static void show_progress(void *arg, int64_t bytes)
{
    loom_progress_update(&((stats_run *)arg)->progress, bytes, NULL);
}

static void count_rare(const loom_stats *s, int64_t *with_latency, int64_t *triples, int64_t *rare)
{
    *with_latency = *triples = *rare = 0;
    for (int64_t i = 0; i < loom_stats_n_services(s); i++) {
        int64_t n;
        const char *service = loom_stats_service(s, i);
        const loom_stats_triple *t = loom_stats_triples(s, service, &n);
        *with_latency += loom_stats_latency(s, service, NULL, NULL, NULL);
        *triples += n;
        for (int64_t k = 0; k < n; k++) *rare += t[k].rare;
    }
}

/* Statistics are made before anything is trained: the time to hear that there is too little. */
static void advise(const loom_variety *v)
{
    loom_buf text = {0};
    loom_variety_advise(v, &text);
    for (char *at = text.data, *end; at && (end = strchr(at, '\n')); at = end + 1)
        loom_warn("%.*s", (int)(end - at), at);
    loom_buf_release(&text);
}

static loom_status write_stats(const stats_worker *all, loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    const loom_stats *s = all->stats;
    int64_t invalid = all->invalid;
    const stats_conf *conf = ctx->conf;
    loom_buf text = {0};
    loom_out *out = NULL;
    int64_t with_latency, triples, rare;
    loom_status st;
    count_rare(s, &with_latency, &triples, &rare);
    loom_stats_render(s, &text);
    loom_meta_i64(meta, "graphs", loom_stats_graphs(s));
    loom_meta_i64(meta, "invalid_graphs", invalid);
    loom_meta_i64(meta, "services", loom_stats_n_services(s));
    loom_meta_i64(meta, "services_with_latency", with_latency);
    loom_meta_i64(meta, "triples", triples);
    loom_meta_i64(meta, "rare_triples", rare);
    loom_variety_describe(&all->variety, meta);
    if ((st = loom_out_open(&out, conf->output, ctx->common.force, err)) != LOOM_OK) goto done;
    if ((st = loom_out_write(out, text.data, text.len, err)) != LOOM_OK) goto done;
    if ((st = loom_meta_commit(meta, ctx, &out, 1, 1, err)) != LOOM_OK) goto done;
    loom_info("%lld graphs of %lld services: latency of %lld services with %d graphs or more, %lld of %lld "
              "communications rare",
              (long long)loom_stats_graphs(s), (long long)loom_stats_n_services(s), (long long)with_latency,
              LOOM_STATS_MIN_GRAPHS, (long long)rare, (long long)triples);
    loom_info("%zu different trees of calls, %zu sizes (calls and depth), %lld of them with %d graphs or more",
              all->variety.trees.texts.n, all->variety.sizes.texts.n,
              (long long)loom_variety_filled_sizes(&all->variety), LOOM_VARIETY_FILLED);
    if (invalid) loom_warn("%lld invalid graphs were left out; loom-preprocess dedupe says why", (long long)invalid);
    advise(&all->variety);
done:
    loom_out_abandon(&out);
    loom_buf_release(&text);
    return st;
}

static loom_status make_workers(stats_run *run, size_t n, loom_err *err)
{
    run->workers = loom_calloc(n, sizeof *run->workers);
    if (!run->workers) return loom_fail_nomem(err, "statistics");
    run->n_workers = n;
    for (size_t i = 0; i < n; i++)
        if (!(run->workers[i].stats = loom_stats_new())) return loom_fail_nomem(err, "statistics");
    return LOOM_OK;
}

/* Into the first one. */
static void join_workers(stats_run *run)
{
    stats_worker *all = run->workers;

    for (size_t i = 1; i < run->n_workers; i++) {
        loom_stats_merge(all->stats, all[i].stats);
        loom_variety_merge(&all->variety, &all[i].variety);
        all->invalid += all[i].invalid;
    }
}

static void free_workers(stats_run *run)
{
    for (size_t i = 0; i < run->n_workers; i++) {
        loom_stats_free(run->workers[i].stats);
        loom_variety_release(&run->workers[i].variety);
        loom_arena_release(&run->workers[i].arena);
    }
    free(run->workers);
}

static loom_status run_stats(const loom_ctx *ctx, loom_err *err)
{
    const stats_conf *conf = ctx->conf;
    stats_run run = {0};
    loom_store_stream stream = {.result_size = 1, .work = work, .progress = show_progress, .arg = &run};
    loom_buf would = {0};
    loom_store_command command = {.ctx = ctx, .stream = &stream, .outputs = {conf->output}};
    loom_meta meta = {0};
    bool ran = false;
    loom_status st;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "no output named; give -o FILE, or -o - for stdout");
    if (strcmp(conf->output, "-") != 0 && !ctx->common.force && loom_file_exists(conf->output))
        return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", conf->output);
    loom_buf_printf(&would, "statistics written to %s", conf->output);
    command.would = loom_buf_text(&would);
    if ((st = make_workers(&run, (size_t)ctx->common.threads, err)) != LOOM_OK) goto done;
    loom_progress_start(&run.progress, &ctx->common, "gathering statistics", 0, "bytes");
    if ((st = loom_store_command_run(&command, &meta, &ran, err)) != LOOM_OK || !ran) goto done;
    loom_progress_finish(&run.progress, NULL);
    join_workers(&run);
    if ((st = loom_stats_finish(run.workers[0].stats, err)) != LOOM_OK) goto done;
    if (loom_stats_graphs(run.workers[0].stats) == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no valid graph in the input (%lld invalid); make a graph store with "
                       "loom-preprocess dedupe",
                       ctx->args[0], (long long)run.workers[0].invalid);
    else st = write_stats(&run.workers[0], &meta, ctx, err);
done:
    free_workers(&run);
    loom_meta_release(&meta);
    loom_buf_release(&would);
    return st;
}

const loom_cmd loom_cmd_stats = {
    .name = "stats",
    .summary = "per-service latencies, rare communications, infilling table",
    .args = "GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Pools all graphs of the inputs. Services with 10 graphs or more get largest, mean and 90th percentile of the\n"
        "root's finish; a communication (source, type, destination) is rare when fewer than one graph in ten of its\n"
        "service has it. encode uses the result. Warns when the graphs are too few or too alike to learn much from.\n"
        "\n"
        "  loom-preprocess stats train.graphs.zst -o stats.json",
    .opts = stats_opts,
    .conf_size = sizeof(stats_conf),
    .run = run_stats,
    .updates = true,
};
