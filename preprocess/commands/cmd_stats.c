/* loom-preprocess stats: per-service statistics (docs/VALIDITY.md section 1). */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/progress.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/stores/store_stream.h"
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

static loom_status run_stats(const loom_ctx *ctx, loom_err *err)
{
    const stats_conf *conf = ctx->conf;
    stats_run run = {0};
    loom_store_stream stream = {.result_size = 1, .work = work, .progress = show_progress, .arg = &run};
    loom_meta meta = {0};
    char **paths = NULL;
    size_t n_paths = 0, n_workers = (size_t)ctx->common.threads;
    loom_status st;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "no output named; give -o FILE, or -o - for stdout");
    if (strcmp(conf->output, "-") != 0 && !ctx->common.force && loom_file_exists(conf->output))
        return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", conf->output);
    run.workers = loom_calloc(n_workers, sizeof *run.workers);
    if (!run.workers) return loom_fail_nomem(err, "statistics");
    st = LOOM_OK;
    for (size_t i = 0; i < n_workers; i++)
        if (!(run.workers[i].stats = loom_stats_new())) st = loom_fail_nomem(err, "statistics");
    if (st != LOOM_OK) goto done;
    loom_progress_start(&run.progress, &ctx->common, "gathering statistics", 0, "bytes");
    if ((st = loom_pool_new(&stream.pool, (int)n_workers, err)) != LOOM_OK) goto done;
    if ((st = loom_store_stream_inputs(&paths, &n_paths, ctx, &meta, err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&meta, ctx, conf->output)) goto done;
    if (ctx->common.dry_run) {
        loom_info("%zu graph stores would be read, statistics written to %s", n_paths, conf->output);
        goto done;
    }
    if ((st = loom_store_stream_run(&stream, (const char *const *)paths, (int64_t)n_paths, err)) != LOOM_OK) goto done;
    loom_progress_finish(&run.progress, NULL);
    for (size_t i = 1; i < n_workers; i++) {
        loom_stats_merge(run.workers[0].stats, run.workers[i].stats);
        loom_variety_merge(&run.workers[0].variety, &run.workers[i].variety);
        run.workers[0].invalid += run.workers[i].invalid;
    }
    if ((st = loom_stats_finish(run.workers[0].stats, err)) != LOOM_OK) goto done;
    if (loom_stats_graphs(run.workers[0].stats) == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no valid graph in the input (%lld invalid); make a graph store with "
                       "loom-preprocess dedupe",
                       ctx->args[0], (long long)run.workers[0].invalid);
    else st = write_stats(&run.workers[0], &meta, ctx, err);
done:
    for (size_t i = 0; i < n_workers; i++) {
        loom_stats_free(run.workers[i].stats);
        loom_variety_release(&run.workers[i].variety);
        loom_arena_release(&run.workers[i].arena);
    }
    free(run.workers);
    loom_free_list(paths, n_paths);
    loom_pool_free(stream.pool);
    loom_meta_release(&meta);
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
