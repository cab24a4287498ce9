/* loom-eval heatmap: accuracy by requested size (Fig 12), by edges, depth and temperature (Fig 3). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"
#include "eval/eval_cmds.h"
#include "eval/metrics.h"
#include "eval/results.h"
#include "eval/tally.h"

typedef struct heatmap_conf {
    const char *prompts, *edges, *depths, *output, *title;
    int validity; /* paper, code, both */
    int64_t min_train;
    bool pictures;
} heatmap_conf;

static const loom_opt heatmap_opts[] = {
    LOOM_OPT_GROUP("Judging"),
    LOOM_OPT_ENUM("validity", 0, heatmap_conf, validity, "paper", "paper|code|both", "rules: the paper's Appendix C, the public validator's, or a row for each"),
    LOOM_OPT_IN("prompts", 'p', heatmap_conf, prompts, NULL, "FILE[,FILE]", "prompts the answers belong to: every answer must fit its prompt, missing ones are reported (default: those named in the answers' .meta.json)"),
    LOOM_OPT_STR("edges", 0, heatmap_conf, edges, "auto", "FIRST:LAST", "numbers of edges to show (auto: those the prompts ask for, else 1:30)"),
    LOOM_OPT_STR("depths", 0, heatmap_conf, depths, "auto", "FIRST:LAST", "depths to show (auto: those the prompts ask for, else 1:6)"),
    LOOM_OPT_I64("min-train", 0, heatmap_conf, min_train, "10", 0, 1000000000, "N", "mark cells with fewer training graphs"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', heatmap_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_STR("title", 0, heatmap_conf, title, "Correct call graphs by requested size", "TEXT", "title of the heat map"),
    LOOM_OPT_FLAG_ON("pictures", 0, heatmap_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

#define FIG12_COLUMNS                                                                                                  \
    "experiment,method,seed,temperature,validity,edges,depth,k,n,value,lo,hi,n_prompts,n_distinct,n_valid,n_train,mean_edges,mean_depth,status"
#define FIG03_COLUMNS "experiment,method,seed,temperature,validity,axis,x,k,n,value,lo,hi"
#define ERRORS_COLUMNS "experiment,method,seed,temperature,kind,error,meaning,graphs,share,occurrences"

static const char *const validity_names[] = {"paper", "code"};

/* ---- tables ---- */

static void lead(loom_csv_table *t, const char *experiment, const loom_series *s)
{
    loom_csv_table_str(t, experiment);
    loom_csv_table_str(t, s->method);
    loom_csv_table_i64(t, s->seed);
    loom_csv_table_f64(t, s->temperature);
}

static void proportion(loom_csv_table *t, int64_t k, int64_t n)
{
    loom_interval i = loom_metrics_wilson(k, n);
    loom_csv_table_i64(t, k);
    loom_csv_table_i64(t, n);
    loom_csv_table_f64(t, i.value);
    if (n > 0) loom_csv_table_f64(t, i.lo), loom_csv_table_f64(t, i.hi);
    else loom_csv_table_none(t), loom_csv_table_none(t);
}

static void count_or_none(loom_csv_table *t, int64_t v)
{
    if (v >= 0) loom_csv_table_i64(t, v);
    else loom_csv_table_none(t);
}

static void cell_row(loom_csv_table *t, const loom_tally *tally, const loom_series *s, loom_validity v, int64_t at)
{
    const loom_tally_cell *c = &s->cells[at];
    const loom_coverage *cover = &tally->coverage[at];
    lead(t, "fig12", s);
    loom_csv_table_str(t, validity_names[v]);
    loom_csv_table_i64(t, loom_grid_edges(&tally->grid, at));
    loom_csv_table_i64(t, loom_grid_depth(&tally->grid, at));
    proportion(t, loom_tally_k(c, v), c->n);
    count_or_none(t, cover->prompts);
    count_or_none(t, cover->distinct);
    count_or_none(t, cover->valid);
    count_or_none(t, cover->train);
    loom_csv_table_f64(t, c->valid ? (double)c->sum_edges / (double)c->valid : NAN);
    loom_csv_table_f64(t, c->valid ? (double)c->sum_depth / (double)c->valid : NAN);
    loom_csv_table_str(t, c->n > 0 ? "scored" : cover->prompts == 0 ? "not_covered" : "no_answers");
    loom_csv_table_end_row(t);
}

static void fill_fig12(loom_csv_table *t, const loom_tally *tally, int first, int last)
{
    loom_csv_table_init(t, FIG12_COLUMNS);
    for (size_t i = 0; i < tally->n_series; i++)
        for (int v = first; v <= last; v++)
            for (int64_t at = 0; at < loom_grid_cells(&tally->grid); at++)
                if (loom_grid_possible(loom_grid_edges(&tally->grid, at), loom_grid_depth(&tally->grid, at)))
                    cell_row(t, tally, &tally->series[i], (loom_validity)v, at);
}

static void axis_row(loom_csv_table *t, const loom_series *s, loom_validity v, const char *axis, double x, loom_tally_cell sum)
{
    if (sum.n == 0) return;
    lead(t, "fig03", s);
    loom_csv_table_str(t, validity_names[v]);
    loom_csv_table_str(t, axis);
    loom_csv_table_f64(t, x);
    proportion(t, loom_tally_k(&sum, v), sum.n);
    loom_csv_table_end_row(t);
}

static void fill_fig03(loom_csv_table *t, const loom_tally *tally, int first, int last)
{
    const loom_grid *g = &tally->grid;
    loom_csv_table_init(t, FIG03_COLUMNS);
    for (size_t i = 0; i < tally->n_series; i++) {
        const loom_series *s = &tally->series[i];
        for (int v = first; v <= last; v++) {
            for (int64_t e = g->edges_lo; e <= g->edges_hi; e++)
                axis_row(t, s, (loom_validity)v, "edges", (double)e, loom_tally_sum(tally, s, e, e, -1, -1));
            for (int64_t d = g->depth_lo; d <= g->depth_hi; d++)
                axis_row(t, s, (loom_validity)v, "depth", (double)d, loom_tally_sum(tally, s, -1, -1, d, d));
            axis_row(t, s, (loom_validity)v, "temperature", s->temperature, s->all);
        }
    }
}

static const char *const code_meanings[LOOM_CODES] = {
    [LOOM_CODE_BAD_SUB] = "subgraph line incomplete",
    [LOOM_CODE_NUM_EDGES] = "edges do not add up to num_edges",
    [LOOM_CODE_SUB_EDGE] = "subgraph of an edge that is not there",
    [LOOM_CODE_SUB_NODE] = "subgraph starts at another node than its edge ends",
    [LOOM_CODE_SUB_START] = "subgraph starts after its own latency",
    [LOOM_CODE_SUB_LATENCY] = "subgraph outlasts its parent",
    [LOOM_CODE_SUB_DEPTH] = "subgraph deeper than allowed",
    [LOOM_CODE_NO_SUBS] = "edges or depth left but no subgraph",
    [LOOM_CODE_LATENCY] = "edge finishes after the requested latency",
    [LOOM_CODE_CHAIN] = "several edges where a chain was needed",
    [LOOM_CODE_PARSE] = "cannot be parsed",
    [LOOM_CODE_GRAPH] = "not a valid call graph",
    [LOOM_CODE_DEPTHS] = "no subgraph keeps the requested depth",
    [LOOM_CODE_MAX_DEPTH] = "not the requested depth",
    [LOOM_CODE_SPLIT_DEPTH] = "a split changed the depth",
    [LOOM_CODE_SPLIT_EDGES] = "a split did not split the edges",
};
static const char *const rule_meanings[LOOM_RULES] = {
    [LOOM_RULE_FORM] = "1 tags and edge fields",
    [LOOM_RULE_CURRENT_EDGES] = "2 edges of the layer = num_current_edges",
    [LOOM_RULE_TIMES] = "3 start and finish within the layer's window",
    [LOOM_RULE_NO_SUBS] = "4 no subgraph without depth or edges left",
    [LOOM_RULE_SUB_EDGE] = "5 subgraph fits an edge, its node and caller",
    [LOOM_RULE_DEPTH] = "6 depths of the subgraphs",
    [LOOM_RULE_SUB_TIMES] = "7 subgraph within its edge's time",
    [LOOM_RULE_NUM_EDGES] = "8 edges add up to num_edges",
    [LOOM_RULE_GRAPH] = "whole graph is a valid call graph",
    [LOOM_RULE_TOTAL_EDGES] = "whole graph has the requested edges",
    [LOOM_RULE_TOTAL_DEPTH] = "whole graph has the requested depth",
    [LOOM_RULE_UNFINISHED] = "every layer is there and free of codes",
};

static void error_row(loom_csv_table *t, const loom_series *s, const char *kind, const char *name, const char *meaning,
                      int64_t graphs, int64_t occurrences)
{
    lead(t, "errors", s);
    loom_csv_table_str(t, kind);
    loom_csv_table_str(t, name);
    loom_csv_table_str(t, meaning);
    loom_csv_table_i64(t, graphs);
    loom_csv_table_f64(t, s->all.n ? (double)graphs / (double)s->all.n : NAN);
    count_or_none(t, occurrences);
    loom_csv_table_end_row(t);
}

static void fill_errors(loom_csv_table *t, const loom_tally *tally)
{
    char name[16];
    loom_csv_table_init(t, ERRORS_COLUMNS);
    for (size_t i = 0; i < tally->n_series; i++) {
        const loom_series *s = &tally->series[i];
        for (int r = 0; r < LOOM_RULES; r++) error_row(t, s, "rule", loom_rule_names[r], rule_meanings[r], s->rules[r], -1);
        for (int c = 0; c < LOOM_CODES; c++) {
            if (!code_meanings[c]) continue;
            snprintf(name, sizeof name, "%d", c);
            error_row(t, s, "code", name, code_meanings[c], s->code_graphs[c], s->codes[c]);
        }
        error_row(t, s, "sampler", "refused", "nothing was generated", s->refused, -1);
    }
}

/* ---- pictures ---- */

/* The panels and lines of a picture: each method at its lowest temperature. */
typedef struct chosen {
    const loom_series **list;
    int64_t n;
    int64_t most_n, least_n; /* answers per scored cell */
    bool several_temperatures;
} chosen;

static void choose_series(chosen *c, const loom_tally *tally)
{
    *c = (chosen){.list = loom_alloc(tally->n_series, sizeof *c->list), .least_n = INT64_MAX};
    for (size_t i = 0; i < tally->n_series; i++) {
        const loom_series *s = &tally->series[i];
        if (c->n && strcmp(c->list[c->n - 1]->method, s->method) == 0) {
            c->several_temperatures = true;
            continue;
        }
        c->list[c->n++] = s;
        for (int64_t at = 0; at < loom_grid_cells(&tally->grid); at++) {
            if (s->cells[at].n == 0) continue;
            c->most_n = loom_max_i64(c->most_n, s->cells[at].n);
            c->least_n = loom_min_i64(c->least_n, s->cells[at].n);
        }
    }
}

static const char *group_digits(char *text, size_t cap, int64_t v)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)v), out = 0;
    for (int i = 0; i < n && (size_t)out + 2 < cap; i++) {
        if (i && (n - i) % 3 == 0) text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = 0;
    return text;
}

static void temperature_text(char *text, size_t cap, double t)
{
    if (t == 0) snprintf(text, cap, "greedy");
    else snprintf(text, cap, "temperature %g", t);
}

static void per_cell_text(char *text, size_t cap, const chosen *c)
{
    if (c->most_n == c->least_n) snprintf(text, cap, "%lld", (long long)c->most_n);
    else snprintf(text, cap, "%lld to %lld", (long long)c->least_n, (long long)c->most_n);
}

static const char *rules_text(loom_validity v)
{
    return v == LOOM_VALIDITY_PAPER ? "the paper's rules" : "the public validator's rules";
}

/* methods, temperatures and labels as lists for the script; labels carry the score when `scores`. */
static void series_vars(loom_figure_vars *vars, const char *list_name, const chosen *c, loom_validity v, bool scores)
{
    const char **methods = loom_alloc((size_t)c->n, sizeof *methods), **temps = loom_alloc((size_t)c->n, sizeof *temps);
    const char **labels = loom_alloc((size_t)c->n, sizeof *labels);
    loom_arena arena = {0};
    char text[256], number[40], temp[40];
    for (int64_t i = 0; i < c->n; i++) {
        const loom_series *s = c->list[i];
        methods[i] = s->method;
        snprintf(temp, sizeof temp, "%g", s->temperature);
        temps[i] = loom_arena_strdup(&arena, temp, strlen(temp));
        labels[i] = loom_method_title(s->method);
        if (scores) {
            temperature_text(temp, sizeof temp, s->temperature);
            snprintf(text, sizeof text, "%s: %.1f %% of %s graphs, %s", labels[i],
                     100 * (double)loom_tally_k(&s->all, v) / (double)s->all.n, group_digits(number, sizeof number, s->all.n), temp);
            labels[i] = loom_arena_strdup(&arena, text, strlen(text));
        }
    }
    loom_figure_list(vars, list_name, methods, c->n);
    loom_figure_list(vars, "temperatures", temps, c->n);
    loom_figure_list(vars, "labels", labels, c->n);
    loom_figure_str(vars, "validity", validity_names[v]);
    loom_arena_release(&arena);
    free(methods);
    free(temps);
    free(labels);
}

static loom_status draw_heatmap(loom_results *r, const loom_tally *tally, const heatmap_conf *conf, const chosen *c,
                                loom_validity v, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128], each[64];
    per_cell_text(each, sizeof each, c);
    snprintf(caption, sizeof caption, "%s%s prompt%s per cell · share of correct graphs in %%, judged by %s",
             loom_results_origin(r, origin, sizeof origin), each, c->most_n == 1 ? "" : "s", rules_text(v));
    loom_figure_str(&vars, "title", conf->title);
    loom_figure_str(&vars, "caption", caption);
    series_vars(&vars, "panels", c, v, true);
    loom_figure_num(&vars, "edges_lo", (double)tally->grid.edges_lo);
    loom_figure_num(&vars, "edges_hi", (double)tally->grid.edges_hi);
    loom_figure_num(&vars, "depth_lo", (double)tally->grid.depth_lo);
    loom_figure_num(&vars, "depth_hi", (double)tally->grid.depth_hi);
    loom_figure_num(&vars, "min_train", tally->has_train ? (double)conf->min_train : 0);
    loom_figure_num(&vars, "has_coverage", tally->has_coverage);
    loom_status st = loom_results_figure(r, "fig12", &vars, err);
    loom_figure_vars_release(&vars);
    return st;
}

static loom_status draw_lines(loom_results *r, const chosen *c, loom_validity v, const char *name, const char *title,
                              const char *axis, const char *x_label, double lo, double hi, double step, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128], temp[64] = "", each[64];
    double t = c->list[0]->temperature;
    bool same = true;
    for (int64_t i = 0; i < c->n; i++) same = same && c->list[i]->temperature == t;
    if (strcmp(axis, "temperature") != 0 && same) temperature_text(temp, sizeof temp, t);
    per_cell_text(each, sizeof each, c);
    snprintf(caption, sizeof caption, "%s%s graph%s per cell%s%s, judged by %s · bands: 95 %% interval",
             loom_results_origin(r, origin, sizeof origin), each, c->most_n == 1 ? "" : "s", *temp ? ", " : "", temp,
             rules_text(v));
    loom_figure_str(&vars, "title", title);
    loom_figure_str(&vars, "caption", caption);
    loom_figure_str(&vars, "axis", axis);
    loom_figure_str(&vars, "x_label", x_label);
    loom_figure_num(&vars, "x_lo", lo);
    loom_figure_num(&vars, "x_hi", hi);
    loom_figure_num(&vars, "x_step", step);
    series_vars(&vars, "series", c, v, false);
    loom_status st = loom_results_figure(r, name, &vars, err);
    loom_figure_vars_release(&vars);
    return st;
}

static loom_status draw_all(loom_results *r, const loom_tally *t, const heatmap_conf *conf, loom_validity v, loom_err *err)
{
    chosen c;
    const loom_grid *g = &t->grid;
    loom_status st;
    choose_series(&c, t);
    if ((st = draw_heatmap(r, t, conf, &c, v, err)) != LOOM_OK) goto done;
    st = draw_lines(r, &c, v, "fig03a", "Accuracy by number of edges", "edges", "edges (calls in the graph)",
                    (double)g->edges_lo, (double)g->edges_hi, g->edges_hi - g->edges_lo > 40 ? 5 : 1, err);
    if (st != LOOM_OK) goto done;
    st = draw_lines(r, &c, v, "fig03b", "Accuracy by depth", "depth", "depth (levels)", (double)g->depth_lo,
                    (double)g->depth_hi, 1, err);
    if (st != LOOM_OK || !c.several_temperatures) goto done;
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < t->n_series; i++) {
        lo = fmin(lo, t->series[i].temperature);
        hi = fmax(hi, t->series[i].temperature);
    }
    st = draw_lines(r, &c, v, "fig03c", "Accuracy by temperature", "temperature", "temperature", lo, hi, 0.2, err);
done:
    free(c.list);
    return st;
}

/* ---- what the paper says ---- */

static const loom_series *lowest(const loom_tally *t, const char *method)
{
    for (size_t i = 0; i < t->n_series; i++)
        if (strcmp(t->series[i].method, method) == 0) return &t->series[i];
    return NULL;
}

static double share(const loom_tally_cell *c, loom_validity v)
{
    return c->n ? (double)loom_tally_k(c, v) / (double)c->n : NAN;
}

static void compare_with_paper(loom_results *r, const loom_tally *t, loom_validity v)
{
    const loom_series *tab = lowest(t, "tabular"), *rec = lowest(t, "recursive"), *ins = lowest(t, "instruction");
    char ours[160];
    if (ins) {
        double least = INFINITY;
        int64_t where = 0;
        for (int64_t d = t->grid.depth_lo; d <= t->grid.depth_hi; d++) {
            loom_tally_cell c = loom_tally_sum(t, ins, -1, -1, d, d);
            if (c.n && share(&c, v) < least) least = share(&c, v), where = d;
        }
        snprintf(ours, sizeof ours, "lowest %.1f %% (depth %lld)", 100 * least, (long long)where);
        loom_results_summary(r, "3b", "recursive + instruction, every depth", "above 75 %", ours, least > 0.75, NULL);
    }
    if (tab) {
        loom_tally_cell c = loom_tally_sum(t, tab, 16, -1, -1, -1), deep = loom_tally_sum(t, tab, -1, -1, 5, -1);
        snprintf(ours, sizeof ours, "%.1f %% (n = %lld)", 100 * share(&c, v), (long long)c.n);
        if (c.n) loom_results_summary(r, "3a", "tabular, more than 15 edges", "below 25 %", ours, share(&c, v) < 0.25, NULL);
        snprintf(ours, sizeof ours, "%.1f %% (n = %lld)", 100 * share(&deep, v), (long long)deep.n);
        if (deep.n) loom_results_summary(r, "3b", "tabular, depth above 4", "near 0", ours, share(&deep, v) < 0.1, NULL);
    }
    if (tab && rec) {
        double gap = 100 * (share(&rec->all, v) - share(&tab->all, v));
        snprintf(ours, sizeof ours, "%+.1f points", gap);
        loom_results_summary(r, "3a, 3b", "recursive over tabular", "about +30 points (edges), +35 (depth)", ours, gap > 0, NULL);
    }
    if (rec && ins) {
        double gap = 100 * (share(&ins->all, v) - share(&rec->all, v));
        snprintf(ours, sizeof ours, "%+.1f points", gap);
        loom_results_summary(r, "3", "instruction tuning over recursive", "+23 to +36 points", ours, gap > 0, NULL);
    }
}

/* ---- terminal ---- */

static void percent(loom_buf *into, const loom_tally_cell *c, loom_validity v)
{
    if (c->n) loom_buf_printf(into, " %6.1f", 100 * share(c, v));
    else loom_buf_str(into, "      -");
}

static void table_text(loom_buf *into, const loom_tally *t, int first, int last)
{
    loom_buf_printf(into, "%-28s %4s %-6s %8s %6s %-13s", "correct graphs, %", "T", "rules", "graphs", "all", "  95 %");
    for (int64_t d = t->grid.depth_lo; d <= t->grid.depth_hi; d++) loom_buf_printf(into, "  depth%-2lld", (long long)d);
    loom_buf_str(into, "\n");
    for (size_t i = 0; i < t->n_series; i++) {
        const loom_series *s = &t->series[i];
        for (int v = first; v <= last; v++) {
            loom_interval all = loom_metrics_wilson(loom_tally_k(&s->all, (loom_validity)v), s->all.n);
            loom_buf_printf(into, "%-28s %4g %-6s %8lld %6.1f  %5.1f - %5.1f", s->method, s->temperature, validity_names[v],
                            (long long)s->all.n, 100 * all.value, 100 * all.lo, 100 * all.hi);
            for (int64_t d = t->grid.depth_lo; d <= t->grid.depth_hi; d++) {
                loom_tally_cell c = loom_tally_sum(t, s, -1, -1, d, d);
                loom_buf_str(into, "  ");
                percent(into, &c, (loom_validity)v);
            }
            loom_buf_str(into, "\n");
        }
    }
}

static void table_json(loom_buf *into, const loom_tally *t, int first, int last)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_jw_begin_array(&w);
    for (size_t i = 0; i < t->n_series; i++) {
        const loom_series *s = &t->series[i];
        for (int v = first; v <= last; v++) {
            loom_interval all = loom_metrics_wilson(loom_tally_k(&s->all, (loom_validity)v), s->all.n);
            loom_jw_begin_object(&w);
            loom_jw_kv_str(&w, "method", s->method);
            loom_jw_kv_f64(&w, "temperature", s->temperature);
            loom_jw_kv_str(&w, "validity", validity_names[v]);
            loom_jw_kv_i64(&w, "k", loom_tally_k(&s->all, (loom_validity)v));
            loom_jw_kv_i64(&w, "n", s->all.n);
            loom_jw_kv_f64(&w, "value", all.value);
            loom_jw_kv_f64(&w, "lo", all.lo);
            loom_jw_kv_f64(&w, "hi", all.hi);
            loom_jw_kv_i64(&w, "finished", s->all.finished);
            loom_jw_kv_i64(&w, "valid", s->all.valid);
            loom_jw_end_object(&w);
        }
    }
    loom_jw_end_array(&w);
    loom_buf_char(into, '\n');
}

static loom_status print_summary(const loom_ctx *ctx, const loom_tally *t, int first, int last, loom_err *err)
{
    loom_buf text = {0};
    if (ctx->common.json) table_json(&text, t, first, last);
    else table_text(&text, t, first, last);
    loom_status st = loom_stdout_write(text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

/* ---- inputs ---- */

/* NAME=FILE or FILE; a file whose name holds "=" must be given with a name. */
static const char *split_name(loom_buf *name, const char *arg)
{
    const char *equals = strchr(arg, '='), *slash = strchr(arg, '/');
    loom_buf_reset(name);
    if (!equals || (slash && slash < equals) || equals == arg) return arg;
    loom_buf_append(name, arg, (size_t)(equals - arg));
    return equals + 1;
}

typedef struct path_list {
    char **paths;
    size_t n, cap;
} path_list;

static loom_status add_path(path_list *list, const char *path, loom_err *err)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->paths[i], path) == 0) return LOOM_OK;
    LOOM_TRY(loom_grow(&list->paths, &list->cap, list->n + 1, sizeof *list->paths, err));
    list->paths[list->n++] = strdup(path);
    return LOOM_OK;
}

/* Prompts files named in the answers' sidecar, unless they have changed since. */
static loom_status prompts_of_answers(path_list *list, const char *answers, loom_err *err)
{
    loom_buf name = {0};
    loom_json *root = NULL;
    loom_status st = LOOM_OK;
    loom_buf_printf(&name, "%s.meta.json", answers);
    if (!loom_file_exists(name.data) || loom_json_read_file(&root, name.data, (size_t)64 << 20, NULL) != LOOM_OK) goto done;
    const loom_json *inputs = loom_json_get(root, "inputs");
    for (size_t i = 0; i < loom_json_len(inputs) && st == LOOM_OK; i++) {
        const char *path = loom_json_str(loom_json_get(loom_json_at(inputs, i), "path"), NULL);
        const char *digest = loom_json_str(loom_json_get(loom_json_at(inputs, i), "xxh3_128"), NULL);
        char now[33];
        if (!path || !digest || !strstr(path, ".prompts.jsonl") || !loom_file_exists(path)) continue;
        if (loom_hash_file(now, path, NULL) != LOOM_OK) continue;
        if (strcmp(now, digest) == 0) st = add_path(list, path, err);
        else loom_warn("%s has changed since %s was made from it and is not used", path, answers);
    }
done:
    loom_json_free(root);
    loom_buf_release(&name);
    return st;
}

static loom_status find_prompts(path_list *list, const loom_ctx *ctx, loom_err *err)
{
    const heatmap_conf *conf = ctx->conf;
    loom_buf name = {0};
    loom_status st = LOOM_OK;
    for (int i = 0; !conf->prompts && i < ctx->n_args && st == LOOM_OK; i++)
        st = prompts_of_answers(list, split_name(&name, ctx->args[i]), err);
    for (const char *from = conf->prompts; from && *from && st == LOOM_OK;) {
        size_t n = strcspn(from, ",");
        loom_buf_reset(&name);
        loom_buf_append(&name, from, n);
        from += n + (from[n] == ',');
        if (n) st = add_path(list, name.data, err);
    }
    loom_buf_release(&name);
    return st;
}

/* The sizes to show: as the options say, else those that the prompts' sidecars name, else the paper's. */
static loom_status choose_grid(loom_grid *g, const heatmap_conf *conf, const path_list *prompts, loom_err *err)
{
    loom_grid asked = LOOM_GRID_PAPER;
    bool any = false;
    for (size_t i = 0; i < prompts->n; i++) loom_tally_extent(&asked, &any, prompts->paths[i]);
    *g = asked;
    if (strcmp(conf->edges, "auto") != 0) LOOM_TRY(loom_grid_range(&g->edges_lo, &g->edges_hi, conf->edges, "--edges", err));
    if (strcmp(conf->depths, "auto") != 0) LOOM_TRY(loom_grid_range(&g->depth_lo, &g->depth_hi, conf->depths, "--depths", err));
    return LOOM_OK;
}

static void warn_gaps(const loom_tally *t)
{
    if (t->outside) loom_warn("%lld answers ask for sizes outside the grid and are left out; see --edges and --depths", (long long)t->outside);
    for (int m = 0; m < LOOM_MODES; m++) {
        int64_t missing = loom_tally_unanswered(t, (loom_mode)m);
        if (missing) loom_warn("%lld of the prompts in %s have no answer; they are not counted", (long long)missing, t->prompts_path[m]);
    }
    if (!t->has_coverage) loom_warn("no prompts file with a .meta.json: cells without answers cannot be told from sizes that no validation graph has");
}

static loom_status write_results(loom_results *r, const loom_tally *t, const heatmap_conf *conf, loom_err *err)
{
    int first = conf->validity == 2 ? 0 : conf->validity, last = conf->validity == 2 ? 1 : conf->validity;
    loom_csv_table fig12 = {0}, fig03 = {0}, errors = {0};
    loom_status st;
    fill_fig12(&fig12, t, first, last);
    fill_fig03(&fig03, t, first, last);
    fill_errors(&errors, t);
    if ((st = loom_results_table(r, "fig12.csv", &fig12, err)) != LOOM_OK) goto done;
    if ((st = loom_results_table(r, "fig03.csv", &fig03, err)) != LOOM_OK) goto done;
    if ((st = loom_results_table(r, "errors.csv", &errors, err)) != LOOM_OK) goto done;
    if ((st = draw_all(r, t, conf, (loom_validity)first, err)) != LOOM_OK) goto done;
    compare_with_paper(r, t, (loom_validity)first);
    loom_meta_i64(&r->meta, "answers_outside_grid", t->outside);
    if ((st = loom_results_close(r, err)) != LOOM_OK) goto done;
    st = print_summary(r->ctx, t, first, last, err);
done:
    loom_csv_table_release(&fig12);
    loom_csv_table_release(&fig03);
    loom_csv_table_release(&errors);
    return st;
}

static loom_status run_heatmap(const loom_ctx *ctx, loom_err *err)
{
    const heatmap_conf *conf = ctx->conf;
    loom_grid grid;
    loom_tally tally = {0};
    loom_results r = {0};
    loom_pool *pool = NULL;
    path_list prompts = {0};
    loom_buf name = {0};
    loom_status st;
    double started = loom_time_now();

    if ((st = loom_results_open(&r, ctx, conf->output, conf->pictures, err)) != LOOM_OK) goto done;
    if ((st = find_prompts(&prompts, ctx, err)) != LOOM_OK) goto done;
    if ((st = choose_grid(&grid, conf, &prompts, err)) != LOOM_OK) goto done;
    loom_tally_init(&tally, &grid);
    for (size_t i = 0; i < prompts.n; i++) {
        if ((st = loom_tally_prompts(&tally, prompts.paths[i], err)) != LOOM_OK) goto done;
        if ((st = loom_results_input(&r, prompts.paths[i], err)) != LOOM_OK) goto done;
    }
    if ((st = loom_pool_new(&pool, (int)ctx->common.threads, err)) != LOOM_OK) goto done;
    int64_t total = 0;
    for (int i = 0; i < ctx->n_args; i++) {
        const char *path = split_name(&name, ctx->args[i]);
        if ((st = loom_tally_answers(&tally, path, name.len ? name.data : NULL, pool, err)) != LOOM_OK) goto done;
        if ((st = loom_results_input(&r, path, err)) != LOOM_OK) goto done;
    }
    for (size_t i = 0; i < tally.n_series; i++) total += tally.series[i].all.n;
    if (total == 0) {
        st = loom_fail(err, LOOM_STATUS_FORMAT, "no answer asks for %lld to %lld edges and depth %lld to %lld; widen --edges and --depths",
                       (long long)grid.edges_lo, (long long)grid.edges_hi, (long long)grid.depth_lo, (long long)grid.depth_hi);
        goto done;
    }
    double seconds = loom_time_now() - started;
    loom_verbose("%lld answers judged in %.2f s (%.0f graphs/s)", (long long)total, seconds, (double)total / seconds);
    loom_tally_sort(&tally);
    warn_gaps(&tally);
    st = write_results(&r, &tally, conf, err);
done:
    loom_pool_free(pool);
    loom_free_list(prompts.paths, prompts.n);
    loom_results_release(&r);
    loom_tally_release(&tally);
    loom_buf_release(&name);
    return st;
}

const loom_cmd loom_cmd_heatmap = {
    .name = "heatmap",
    .summary = "accuracy of generated graphs by requested size (Figs 3 and 12)",
    .args = "[NAME=]ANSWERS.jsonl...",
    .min_args = 1,
    .max_args = -1,
    .details = "Parses and judges the raw answers again and writes to DIR: fig12.csv (accuracy of every cell), fig03.csv\n"
               "(by edges, depth and temperature), errors.csv (what was wrong), manifest.json, and the pictures fig12,\n"
               "fig03a, fig03b and, with several temperatures, fig03c. A method is a file's mode, or NAME.\n\n"
               "  loom-eval heatmap tabular.answers.jsonl recursive.answers.jsonl instruction.answers.jsonl -o results\n",
    .opts = heatmap_opts,
    .conf_size = sizeof(heatmap_conf),
    .run = run_heatmap};
