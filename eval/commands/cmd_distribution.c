/* loom-eval distribution: how large and how deep graphs are (Fig 8). */
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "eval/answers/graphs.h"
#include "eval/commands/eval_cmds.h"
#include "eval/pages/method_title.h"
#include "eval/pages/results.h"

#define MOST_EDGES 1000 /* larger graphs are counted as this many */
#define MOST_DEPTH 100

typedef struct distribution_conf {
    const char *output;
    int64_t edges, depth;
    bool log_scale, pictures;
} distribution_conf;

static const loom_opt distribution_opts[] = {
    LOOM_OPT_GROUP("Picture"),
    LOOM_OPT_I64("edges", 0, distribution_conf, edges, "30", 1, MOST_EDGES, "N",
                 "show graphs of up to N calls; the table has all"),
    LOOM_OPT_I64("depth", 0, distribution_conf, depth, "8", 1, MOST_DEPTH, "N", "show graphs of up to N levels"),
    LOOM_OPT_FLAG("log", 0, distribution_conf, log_scale, "logarithmic share"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', distribution_conf, output, NULL, "DIR",
                 "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, distribution_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

typedef struct shape {
    char name[128];
    int64_t n, edges[MOST_EDGES + 1], depth[MOST_DEPTH + 1];
} shape;

static loom_status count_shapes(shape *s, const char *path, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more;
    loom_status st = loom_graphs_open(&in, path, err);
    while (st == LOOM_OK && (st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more) {
        s->n++;
        s->edges[loom_min_i64(g.n_calls, MOST_EDGES)]++;
        s->depth[loom_min_i64(loom_graph_depth(&g), MOST_DEPTH)]++;
    }
    loom_graphs_close(&in);
    return st;
}

static void rows(loom_csv_table *t, const loom_ctx *ctx, const shape *s, const char *axis, const int64_t *counts,
                 int64_t most)
{
    for (int64_t x = 1; x <= most; x++) {
        if (counts[x] == 0) continue;
        loom_csv_table_str(t, "fig08");
        loom_csv_table_str(t, s->name);
        loom_csv_table_i64(t, ctx->common.seed);
        loom_csv_table_str(t, axis);
        loom_csv_table_i64(t, x);
        loom_csv_table_i64(t, counts[x]);
        loom_csv_table_f64(t, (double)counts[x] / (double)s->n);
        loom_csv_table_end_row(t);
    }
}

static loom_status draw(loom_results *r, const shape *shapes, int64_t n, const distribution_conf *conf, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128];
    const char **names = loom_alloc((size_t)n, sizeof *names), **labels = loom_alloc((size_t)n, sizeof *labels);
    char(*texts)[200] = loom_alloc((size_t)n, sizeof *texts);
    loom_status st = names && labels && texts ? LOOM_OK : loom_fail_nomem(err, "a picture");
    for (int64_t i = 0; i < n && st == LOOM_OK; i++) {
        names[i] = shapes[i].name;
        snprintf(texts[i], sizeof *texts, "%s: %lld graphs", loom_method_title(names[i]), (long long)shapes[i].n);
        labels[i] = texts[i];
    }
    snprintf(caption, sizeof caption, "%svalid graphs", loom_results_origin(r, origin, sizeof origin));
    loom_figure_str(&vars, "title", "How large and how deep the graphs are");
    loom_figure_str(&vars, "caption", caption);
    loom_figure_num(&vars, "edges_hi", (double)conf->edges);
    loom_figure_num(&vars, "depth_hi", (double)conf->depth);
    loom_figure_num(&vars, "log_scale", conf->log_scale);
    if (st == LOOM_OK) {
        loom_figure_list(&vars, "series", names, n);
        loom_figure_list(&vars, "labels", labels, n);
        st = loom_results_figure(r, "fig08", &vars, err);
    }
    loom_figure_vars_release(&vars);
    free(names);
    free(labels);
    free(texts);
    return st;
}

static loom_status run_distribution(const loom_ctx *ctx, loom_err *err)
{
    const distribution_conf *conf = ctx->conf;
    loom_results r = {0};
    loom_csv_table t = {0};
    shape *shapes = loom_calloc((size_t)ctx->n_args, sizeof *shapes);
    loom_status st =
        shapes ? loom_results_open(&r, ctx, conf->output, conf->pictures, err) : loom_fail_nomem(err, "the counts");
    loom_csv_table_init(&t, "experiment,split,seed,axis,x,count,share");
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) {
        st = loom_results_input(&r, loom_path_called(shapes[i].name, sizeof shapes[i].name, ctx->args[i]), err);
        loom_results_called(&r, shapes[i].name);
    }
    if (st != LOOM_OK || loom_results_up_to_date(&r)) goto done;
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) {
        const char *path = loom_path_called(shapes[i].name, sizeof shapes[i].name, ctx->args[i]);
        if ((st = count_shapes(&shapes[i], path, err)) != LOOM_OK) break;
        rows(&t, ctx, &shapes[i], "edges", shapes[i].edges, MOST_EDGES);
        rows(&t, ctx, &shapes[i], "depth", shapes[i].depth, MOST_DEPTH);
    }
    if (st == LOOM_OK) st = loom_results_table(&r, "fig08.csv", &t, err);
    if (st == LOOM_OK) st = draw(&r, shapes, ctx->n_args, conf, err);
    if (st == LOOM_OK) st = loom_results_close(&r, err);
done:
    free(shapes);
    loom_csv_table_release(&t);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_distribution = {
    .name = "distribution",
    .summary = "how large and how deep graphs are, side by side (Fig 8)",
    .args = "[NAME=]GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details = "  loom-eval distribution train.graphs.zst valid.graphs.zst instruction.answers.jsonl -o results\n",
    .opts = distribution_opts,
    .conf_size = sizeof(distribution_conf),
    .run = run_distribution,
    .updates = true};
