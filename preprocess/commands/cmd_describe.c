/* loom-preprocess describe: what is in graph stores, side by side. */
#include <stdlib.h>
#include <string.h>

#include "core/csv_cell.h"
#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/progress.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/stores/graph_profile.h"
#include "preprocess/stores/store_stream.h"
#include "trace/graph/record.h"

typedef struct describe_conf {
    const char *csv;
} describe_conf;

static const loom_opt describe_opts[] = {LOOM_OPT_GROUP("Output"),
                                         LOOM_OPT_STR("csv", 0, describe_conf, csv, NULL, "FILE",
                                                      "depths and edges as CSV: split,axis,x,count,share (figure 8)"),
                                         LOOM_OPT_END};

typedef struct describe_run {
    loom_graph_profile *profiles; /* (threads) */
    loom_arena *arenas;           /* (threads) */
    int64_t *rare, *judged;       /* (threads), second pass */
    loom_progress progress;
    bool second_pass;
} describe_run;

static void look_again(describe_run *run, const loom_graph *g, int thread)
{
    bool judged;
    bool rare = loom_graph_profile_is_rare(&run->profiles[0], g, &judged);
    run->judged[thread] += judged;
    run->rare[thread] += judged && rare;
}

static void work(void *arg, loom_store_block *block, int thread)
{
    describe_run *run = arg;
    loom_graph g;
    int64_t invalid = 0;
    for (const char *at = NULL, *end = NULL;
         loom_store_block_graph(block, &at, &end, &g, &run->arenas[thread], &invalid);) {
        if (run->second_pass) look_again(run, &g, thread);
        else loom_graph_profile_add(&run->profiles[thread], &g);
    }
    if (!run->second_pass) run->profiles[thread].invalid += invalid;
}

static void show_progress(void *arg, int64_t bytes)
{
    loom_progress_update(&((describe_run *)arg)->progress, bytes, NULL);
}

static loom_status add_stores(char ***paths, size_t *n, const char *arg, loom_err *err)
{
    if (loom_file_is_dir(arg)) {
        LOOM_TRY(loom_list_files(paths, n, arg, ".graphs.zst", err));
        return *n ? LOOM_OK
                  : loom_fail(err, LOOM_STATUS_FORMAT, "%s: no graph store (*.graphs.zst) in this folder", arg);
    }
    *paths = loom_calloc(1, sizeof **paths);
    if (!*paths || !((*paths)[0] = loom_strdup(arg))) return loom_fail_nomem(err, "a list of files");
    *n = 1;
    return LOOM_OK;
}

static loom_status two_passes(describe_run *run, loom_graph_profile *out, const loom_store_stream *stream,
                              const char *arg, int n_threads, loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    loom_graph_profile *p = &run->profiles[0];
    loom_status st = add_stores(&paths, &n, arg, err);
    if (st == LOOM_OK) st = loom_store_stream_run(stream, (const char *const *)paths, (int64_t)n, err);
    for (int i = 1; i < n_threads && st == LOOM_OK; i++) loom_graph_profile_merge(p, &run->profiles[i]);
    if (st == LOOM_OK && p->graphs == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no valid graph (%lld invalid); make a graph store with loom-preprocess graphs", arg,
                       (long long)p->invalid);
    if (st == LOOM_OK) st = loom_graph_profile_finish(p, err);
    if (st == LOOM_OK) {
        run->second_pass = strcmp(arg, "-") != 0; /* standard input cannot be read twice */
        if (run->second_pass) st = loom_store_stream_run(stream, (const char *const *)paths, (int64_t)n, err);
        for (int i = 0; i < n_threads; i++) {
            p->rare_graphs += run->rare[i];
            p->judged_graphs += run->judged[i];
        }
    }
    loom_free_list(paths, n);
    if (st == LOOM_OK) {
        *out = *p;
        *p = (loom_graph_profile){0};
    }
    return st;
}

static loom_status describe_store(loom_graph_profile *out, const char *arg, const loom_ctx *ctx, loom_pool *pool,
                                  loom_err *err)
{
    int n_threads = loom_pool_threads(pool);
    describe_run run = {0};
    loom_store_stream stream = {.pool = pool, .result_size = 1, .work = work, .progress = show_progress, .arg = &run};
    loom_status st = LOOM_OK;
    run.profiles = loom_calloc((size_t)n_threads, sizeof *run.profiles);
    run.arenas = loom_calloc((size_t)n_threads, sizeof *run.arenas);
    run.rare = loom_calloc((size_t)n_threads, sizeof *run.rare);
    run.judged = loom_calloc((size_t)n_threads, sizeof *run.judged);
    if (!run.profiles || !run.arenas || !run.rare || !run.judged) {
        st = loom_fail_nomem(err, "a description");
    } else {
        for (int i = 0; i < n_threads; i++)
            if (!loom_graph_profile_init(&run.profiles[i])) st = loom_fail_nomem(err, "a description");
        loom_progress_start(&run.progress, &ctx->common, "looking", 0, "bytes");
        if (st == LOOM_OK) st = two_passes(&run, out, &stream, arg, n_threads, err);
        loom_progress_finish(&run.progress, NULL);
    }
    for (int i = 0; i < n_threads; i++) {
        if (run.profiles) loom_graph_profile_release(&run.profiles[i]);
        if (run.arenas) loom_arena_release(&run.arenas[i]);
    }
    free(run.profiles);
    free(run.arenas);
    free(run.rare);
    free(run.judged);
    return st;
}

/* ---- numbers of a profile, in one list for the table and for JSON ---- */

/* Lines of a description: group, key, value; the same lines in the same order for every store. */
typedef struct line {
    const char *group, *key;
    double value;
    int digits; /* after the point; -1: not known for this store */
} line;

typedef struct sheet {
    line *lines;
    size_t n, cap;
} sheet;

static void put(sheet *s, const char *group, const char *key, double value, int digits)
{
    if (loom_grow(&s->lines, &s->cap, s->n + 1, sizeof *s->lines, NULL) != LOOM_OK) return;
    s->lines[s->n++] = (line){group, key, value, digits};
}

static double share(int64_t part, int64_t of) { return of ? (double)part / (double)of : 0; }

static void put_quantiles(sheet *s, const char *group, loom_value_counts *t, bool with_mean, bool with_zero)
{
    static const struct {
        const char *key;
        double share;
    } q[] = {{"p10", .1}, {"p25", .25}, {"p50", .5}, {"p75", .75}, {"p90", .9}, {"p95", .95}, {"p99", .99}};
    for (size_t i = 0; i < sizeof q / sizeof *q; i++)
        put(s, group, q[i].key, (double)loom_value_counts_quantile(t, q[i].share), 0);
    put(s, group, "max", (double)loom_value_counts_max(t), 0);
    if (with_mean) put(s, group, "mean", loom_value_counts_mean(t), 2);
    if (with_zero) put(s, group, "zero", share(loom_value_counts_count(t, 0), t->n), 3);
}

static void put_sizes(sheet *s, loom_graph_profile *p)
{
    static const char *const depths[] = {"1", "2", "3", "4", "5"};
    int64_t upto = 0;
    put(s, "count", "graphs", (double)p->graphs, 0);
    put(s, "count", "invalid", (double)p->invalid, 0);
    put(s, "count", "services", (double)loom_stats_n_services(p->stats), 0);
    put(s, "count", "microservices", (double)p->names.n, 0);
    put(s, "count", "calls", (double)p->calls, 0);
    put(s, "count", "distinct calls", (double)p->communications.texts.n, 0);
    put(s, "count", "distinct shapes", (double)p->shapes.texts.n, 0);
    for (int d = 1; d <= 5; d++) {
        int64_t n = loom_value_counts_count(&p->depth, d);
        upto += n;
        put(s, "depth share", depths[d - 1], share(n, p->graphs), 4);
    }
    put(s, "depth share", "6+", share(p->graphs - upto, p->graphs), 4);
    put_quantiles(s, "edges", &p->edges, true, false);
}

static void put_types(sheet *s, const loom_graph_profile *p)
{
    static const char *const groups[] = {"type share", "type share, depth 1", "type share, depth 2",
                                         "type share, depth 3", "type share, depth 4"};
    static const char *const leaf_keys[] = {NULL, "depth 1", "depth 2", "depth 3", "depth 4"};
    static const loom_call_type order[] = {LOOM_CALL_RPC, LOOM_CALL_MC, LOOM_CALL_HTTP, LOOM_CALL_DB, LOOM_CALL_MQ};
    for (int d = 0; d <= LOOM_GRAPH_PROFILE_DEPTHS; d++) {
        int64_t n = 0;
        for (int t = 0; t < LOOM_CALL_TYPES; t++) n += p->types_at[d][t];
        for (int t = 0; t < LOOM_CALL_TYPES; t++)
            put(s, groups[d], loom_call_type_name(order[t]), share(p->types_at[d][order[t]], n), 3);
    }
    put(s, "root", "http", share(p->http_roots, p->graphs), 3);
    put(s, "root", "from USER", share(p->user_roots, p->graphs), 3);
    for (int d = 1; d <= LOOM_GRAPH_PROFILE_DEPTHS; d++)
        put(s, "leaf share of rpc, http", leaf_keys[d],
            share(p->leaves_at[d], p->types_at[d][LOOM_CALL_RPC] + p->types_at[d][LOOM_CALL_HTTP]), 3);
}

static void put_times(sheet *s, loom_graph_profile *p)
{
    put_quantiles(s, "root finish, ms", &p->root_finish, true, true);
    put_quantiles(s, "rpc, ms", &p->rt[LOOM_CALL_RPC], false, true);
    put_quantiles(s, "mc, ms", &p->rt[LOOM_CALL_MC], false, true);
    put_quantiles(s, "http, ms", &p->rt[LOOM_CALL_HTTP], false, true);
    put_quantiles(s, "db, ms", &p->rt[LOOM_CALL_DB], false, true);
    put(s, "siblings", "overlapping neighbours", share(p->overlapping_pairs, p->sibling_pairs), 3);
    put(s, "siblings", "gap p50, ms", (double)loom_value_counts_quantile(&p->gap, .5), 0);
    put(s, "siblings", "gap p90, ms", (double)loom_value_counts_quantile(&p->gap, .9), 0);
    put(s, "siblings", "gap p95, ms", (double)loom_value_counts_quantile(&p->gap, .95), 0);
    put(s, "siblings", "groups with a repeated call", share(p->repeated_groups, p->sibling_groups), 3);
    put(s, "end of call - of last child", "p50, ms", (double)loom_value_counts_quantile(&p->slack, .5), 0);
    put(s, "end of call - of last child", "p90, ms", (double)loom_value_counts_quantile(&p->slack, .9), 0);
    put(s, "end of call - of last child", "p95, ms", (double)loom_value_counts_quantile(&p->slack, .95), 0);
    put(s, "calls", "source = destination", share(p->self_calls, p->calls), 3);
}

static double top_services(const loom_stats *stats, size_t k)
{
    loom_counter c = {0};
    for (int64_t i = 0; i < loom_stats_n_services(stats); i++) {
        const char *name = loom_stats_service(stats, i);
        loom_counter_add(&c, name, strlen(name), loom_stats_service_graphs(stats, name));
    }
    double top = loom_counter_top_share(&c, k);
    loom_counter_release(&c);
    return top;
}

static void put_popularity(sheet *s, loom_graph_profile *p)
{
    int64_t with_latency = 0, slow = 0;
    for (int64_t i = 0; i < loom_stats_n_services(p->stats); i++) {
        int64_t p90;
        double mean;
        if (!loom_stats_latency(p->stats, loom_stats_service(p->stats, i), NULL, &p90, &mean)) continue;
        with_latency++;
        slow += (double)p90 - mean > 5;
    }
    put(s, "share of graphs", "top service", top_services(p->stats, 1), 3);
    put(s, "share of graphs", "top 10 services", top_services(p->stats, 10), 3);
    put(s, "share of graphs", "top 100 services", top_services(p->stats, 100), 3);
    put(s, "share of calls", "top 10 destinations", loom_counter_top_share(&p->microservices, 10), 3);
    put(s, "share of calls", "top 50 destinations", loom_counter_top_share(&p->microservices, 50), 3);
    put(s, "share of calls", "top 100 distinct calls", loom_counter_top_share(&p->communications, 100), 3);
    put(s, "shapes of a service", "p50", (double)loom_value_counts_quantile(&p->shapes_per_service, .5), 0);
    put(s, "shapes of a service", "p90", (double)loom_value_counts_quantile(&p->shapes_per_service, .9), 0);
    put(s, "shapes of a service", "max", (double)loom_value_counts_max(&p->shapes_per_service), 0);
    put(s, "shapes of a service", "share of the first, p50",
        (double)loom_value_counts_quantile(&p->dominant_share, .5) / 1000, 3);
    put(s, "rare", "graphs with a rare call", share(p->rare_graphs, p->judged_graphs), p->judged_graphs ? 3 : -1);
    put(s, "rare", "graphs judged", (double)p->judged_graphs, p->judged_graphs ? 0 : -1);
    put(s, "services with 10 graphs", "all", (double)with_latency, 0);
    put(s, "services with 10 graphs", "p90 - mean > 5 ms", (double)slow, 0);
}

static void fill_sheet(sheet *s, loom_graph_profile *p)
{
    put_sizes(s, p);
    put_types(s, p);
    put_times(s, p);
    put_popularity(s, p);
}

/* ---- output ---- */

/* The name without its ending: "train" of "data/train.graphs.zst". */
static void append_stem(loom_buf *into, const char *path)
{
    static const char ending[] = ".graphs.zst";
    const char *name = loom_path_name(path);
    size_t len = strlen(name), n = sizeof ending - 1;
    if (len > n && strcmp(name + len - n, ending) == 0) len -= n;
    loom_buf_append(into, name, len);
}

static void render_table(loom_buf *into, const sheet *sheets, char **names, int n)
{
    loom_buf head = {0};
    loom_buf_printf(into, "%-44s", "");
    for (int i = 0; i < n; i++) {
        loom_buf_reset(&head);
        append_stem(&head, names[i]);
        loom_buf_printf(into, " %16.16s", loom_buf_text(&head));
    }
    loom_buf_char(into, '\n');
    for (size_t k = 0; k < sheets[0].n; k++) {
        const line *l = &sheets[0].lines[k];
        bool same_group = k && strcmp(l->group, l[-1].group) == 0;
        if (strlen(l->key) > 16) loom_buf_printf(into, "%-44s", l->key); /* long keys take the place of the group */
        else loom_buf_printf(into, "%-28s%-16.16s", same_group ? "" : l->group, l->key);
        for (int i = 0; i < n; i++) {
            const line *v = &sheets[i].lines[k];
            if (v->digits < 0) loom_buf_printf(into, " %16s", "-");
            else loom_buf_printf(into, " %16.*f", v->digits, v->value);
        }
        loom_buf_char(into, '\n');
    }
    loom_buf_release(&head);
}

static void render_histogram(loom_jw *w, const char *key, loom_value_counts *t)
{
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    for (int64_t v = 0; v < LOOM_VALUE_COUNTS_SMALL; v++) {
        char text[24];
        if (!loom_value_counts_count(t, v)) continue;
        snprintf(text, sizeof text, "%lld", (long long)v);
        loom_jw_kv_i64(w, text, loom_value_counts_count(t, v));
    }
    loom_jw_end_object(w);
}

static void render_json(loom_buf *into, const sheet *sheets, loom_graph_profile *profiles, char **names, int n)
{
    loom_jw w;
    loom_jw_init(&w, into, true);
    loom_jw_begin_array(&w);
    for (int i = 0; i < n; i++) {
        const char *group = NULL;
        loom_jw_begin_object(&w);
        loom_jw_kv_str(&w, "store", names[i]);
        for (size_t k = 0; k < sheets[i].n; k++) {
            const line *l = &sheets[i].lines[k];
            if (!group || strcmp(group, l->group) != 0) {
                if (group) loom_jw_end_object(&w);
                loom_jw_key(&w, l->group);
                loom_jw_begin_object(&w);
                group = l->group;
            }
            loom_jw_key(&w, l->key);
            if (l->digits < 0) loom_jw_null(&w);
            else if (l->digits == 0) loom_jw_i64(&w, (int64_t)l->value);
            else loom_jw_f64(&w, l->value);
        }
        if (group) loom_jw_end_object(&w);
        render_histogram(&w, "graphs_by_depth", &profiles[i].depth);
        render_histogram(&w, "graphs_by_edges", &profiles[i].edges);
        loom_jw_end_object(&w);
    }
    loom_jw_end_array(&w);
    loom_buf_char(into, '\n');
}

static void render_axis(loom_buf *into, const char *name, const char *axis, loom_value_counts *t)
{
    loom_buf stem = {0};
    for (int64_t v = 0; v < LOOM_VALUE_COUNTS_SMALL; v++) {
        int64_t n = loom_value_counts_count(t, v);
        if (!n) continue;
        loom_buf_reset(&stem);
        append_stem(&stem, name);
        loom_csv_cell(into, loom_buf_text(&stem), stem.len);
        loom_buf_printf(into, ",%s,%lld,%lld,%.9g\n", axis, (long long)v, (long long)n, share(n, t->n));
    }
    loom_buf_release(&stem);
}

static loom_status write_csv(const describe_conf *conf, loom_graph_profile *profiles, const loom_ctx *ctx,
                             loom_err *err)
{
    loom_buf text = {0}, guarded = {0};
    loom_meta meta = {0};
    loom_status st = LOOM_OK;
    loom_buf_str(&text, "split,axis,x,count,share\n");
    for (int i = 0; i < ctx->n_args; i++) {
        render_axis(&text, ctx->args[i], "depth", &profiles[i].depth);
        render_axis(&text, ctx->args[i], "edges", &profiles[i].edges);
        if (st == LOOM_OK && !loom_file_is_dir(ctx->args[i])) st = loom_meta_input(&meta, ctx->args[i], err);
    }
    if (ctx->common.safe_csv) loom_csv_guard(&guarded, text.data, text.len);
    const loom_buf *table = ctx->common.safe_csv ? &guarded : &text;
    if (st == LOOM_OK)
        st = loom_meta_file_write(&meta, ctx, conf->csv, table->data, table->len, ctx->common.force, err);
    loom_meta_release(&meta);
    loom_buf_release(&text);
    loom_buf_release(&guarded);
    return st;
}

static loom_status run_describe(const loom_ctx *ctx, loom_err *err)
{
    const describe_conf *conf = ctx->conf;
    size_t n = (size_t)ctx->n_args;
    loom_graph_profile *profiles = loom_calloc(n, sizeof *profiles);
    sheet *sheets = loom_calloc(n, sizeof *sheets);
    loom_pool *pool = NULL;
    loom_buf text = {0};
    loom_status st = LOOM_OK;
    if (!profiles || !sheets) {
        st = loom_fail_nomem(err, "a description");
        goto done;
    }
    if (conf->csv && !ctx->common.force && loom_file_exists(conf->csv)) {
        st = loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", conf->csv);
        goto done;
    }
    if ((st = loom_pool_new(&pool, (int)ctx->common.threads, err)) != LOOM_OK) goto done;
    for (int i = 0; i < ctx->n_args; i++) {
        if ((st = describe_store(&profiles[i], ctx->args[i], ctx, pool, err)) != LOOM_OK) goto done;
        fill_sheet(&sheets[i], &profiles[i]);
        if (profiles[i].invalid)
            loom_warn("%s: %lld invalid graphs were left out; loom-preprocess dedupe says why", ctx->args[i],
                      (long long)profiles[i].invalid);
    }
    if (conf->csv && (st = write_csv(conf, profiles, ctx, err)) != LOOM_OK) goto done;
    if (ctx->common.json) render_json(&text, sheets, profiles, ctx->args, ctx->n_args);
    else render_table(&text, sheets, ctx->args, ctx->n_args);
    st = loom_stdout_text(text.data, text.len, err);
done:
    for (size_t i = 0; i < n; i++) {
        if (profiles) loom_graph_profile_release(&profiles[i]);
        if (sheets) free(sheets[i].lines);
    }
    free(profiles);
    free(sheets);
    loom_pool_free(pool);
    loom_buf_release(&text);
    return st;
}

const loom_cmd loom_cmd_describe = {
    .name = "describe",
    .summary = "depths, edges, types, times, popularity of graph stores, side by side",
    .args = "GRAPHS...",
    .min_args = 1,
    .max_args = 16,
    .details =
        "Prints a table with a column for every store (or folder of stores): how deep and how large graphs are, which\n"
        "calls they hold, how long calls take, how popular services and microservices are, how many graphs hold a\n"
        "rare call. --json prints the same and the histograms.\n"
        "\n"
        "  loom-preprocess describe train.graphs.zst generated.graphs.zst",
    .opts = describe_opts,
    .conf_size = sizeof(describe_conf),
    .run = run_describe,
};
