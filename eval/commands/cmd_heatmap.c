/* loom-eval heatmap: accuracy by requested size (Fig 12), by edges, depth and temperature (Fig 3). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "eval/accuracy/accuracy.h"
#include "eval/accuracy/score_answers.h"
#include "eval/answers/trained.h"
#include "eval/commands/eval_cmds.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"

typedef struct heatmap_conf {
    loom_score_answers_conf scoring;
    const char *output, *title;
    int validity; /* paper, code, both */
    int64_t min_train;
    bool pictures;
} heatmap_conf;

static const loom_opt heatmap_opts[] = {
    LOOM_OPT_GROUP("Judging"),
    LOOM_OPT_ENUM("validity", 0, heatmap_conf, validity, "paper", "paper|code|both",
                  "rules: the paper's Appendix C, the public validator's, or a row for each"),
    LOOM_SCORE_ANSWERS_OPTS(heatmap_conf, scoring),
    LOOM_OPT_IN(
        "generated", 'g', heatmap_conf, scoring.generated, NULL, "[NAME=]GRAPHS",
        "graphs of any origin (records, CSV, output lines of the public program), one line or trace for each prompt of --prompts, in their order; judged as whole graphs"),
    LOOM_OPT_I64("min-train", 0, heatmap_conf, min_train, "10", 0, 1000000000, "N",
                 "mark cells with fewer training graphs"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', heatmap_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_STR("title", 0, heatmap_conf, title, "Correct call graphs by requested size", "TEXT",
                 "title of the heat map"),
    LOOM_OPT_FLAG_ON("pictures", 0, heatmap_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

#define FIG12_COLUMNS                                                                                                  \
    "experiment,method,seed,temperature,validity,edges,depth,k,n,value,lo,hi,n_prompts,n_distinct,n_valid,n_train,mean_edges,mean_depth,status"
#define FIG03_COLUMNS  "experiment,method,seed,temperature," LOOM_ACCURACY_COLUMNS
#define ERRORS_COLUMNS "experiment,method,seed,temperature,kind,error,meaning,graphs,share,occurrences"

/* ---- tables ---- */

static void lead(loom_csv_table *t, const char *experiment, const loom_series *s)
{
    loom_csv_table_str(t, experiment);
    loom_csv_table_str(t, s->method);
    loom_csv_table_i64(t, s->seed);
    loom_csv_table_f64(t, s->temperature);
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
    loom_csv_table_str(t, loom_validity_names[v]);
    loom_csv_table_i64(t, loom_grid_edges(&tally->grid, at));
    loom_csv_table_i64(t, loom_grid_depth(&tally->grid, at));
    loom_accuracy_proportion(t, loom_tally_k(c, v), c->n);
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

static void lead_fig03(loom_csv_table *t, const void *arg, const loom_series *s)
{
    (void)arg;
    lead(t, "fig03", s);
}

static void fill_fig03(loom_csv_table *t, const loom_tally *tally, int first, int last)
{
    loom_csv_table_init(t, FIG03_COLUMNS);
    for (size_t i = 0; i < tally->n_series; i++)
        for (int v = first; v <= last; v++)
            loom_accuracy_rows(t, tally, &tally->series[i], (loom_validity)v, LOOM_AXIS_SIZES | LOOM_AXIS_TEMPERATURE,
                               lead_fig03, NULL);
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
        for (int r = 0; r < LOOM_RULES; r++)
            error_row(t, s, "rule", loom_rule_names[r], rule_meanings[r], s->rules[r], -1);
        for (int c = 0; c < LOOM_CODES; c++) {
            if (!code_meanings[c]) continue;
            snprintf(name, sizeof name, "%d", c);
            error_row(t, s, "code", name, code_meanings[c], s->code_graphs[c], s->codes[c]);
        }
        for (int o = 0; o < LOOM_ODDITIES; o++)
            error_row(t, s, "odd", loom_oddity_names[o], loom_oddity_meanings[o], s->odd[o], -1);
        error_row(t, s, "sampler", "refused", "nothing was generated", s->refused, -1);
        error_row(t, s, "sampler", "missing", "the file holds no answer to the prompt", s->missing, -1);
    }
}

/* ---- pictures ---- */

/* "Recursive (layer by layer): 61.2 % of 1,360 graphs, greedy" */
static const char *panel_title(loom_arena *arena, const loom_series *s, loom_validity v)
{
    char text[256], number[40], temp[40];
    if (s->temperature == 0) snprintf(temp, sizeof temp, "greedy");
    else snprintf(temp, sizeof temp, "temperature %g", s->temperature);
    snprintf(text, sizeof text, "%s: %.1f %% of %s graphs, %s", loom_method_title(s->method),
             100 * loom_accuracy_share(&s->all, v), loom_group_digits(number, sizeof number, s->all.n), temp);
    return loom_arena_strdup(arena, text, strlen(text));
}

static loom_status draw_heatmap(loom_results *r, const char *name, const loom_tally *tally, const heatmap_conf *conf,
                                const loom_accuracy_lines *c, loom_validity v, loom_err *err)
{
    loom_figure_vars vars = {0};
    loom_arena arena = {0};
    char caption[512], origin[128], each[64];
    const char **titles = loom_alloc((size_t)c->n, sizeof *titles),
               **trained = loom_alloc((size_t)c->n, sizeof *trained);
    bool room = titles && trained;
    for (int64_t i = 0; room && i < c->n; i++) {
        titles[i] = panel_title(&arena, c->list[i], v);
        trained[i] = c->list[i]->trained ? c->list[i]->trained : "-";
    }
    loom_accuracy_per_cell(each, sizeof each, c);
    snprintf(caption, sizeof caption, "%s%s prompt%s per cell · share of correct graphs in %%, judged by %s",
             loom_results_origin(r, origin, sizeof origin), each, c->most_n == 1 ? "" : "s", loom_accuracy_rules(v));
    loom_figure_str(&vars, "title", conf->title);
    loom_figure_str(&vars, "caption", caption);
    loom_accuracy_vars(&vars, "panels", c, titles, v);
    loom_figure_list(&vars, "trained", trained, room ? c->n : 0);
    loom_figure_num(&vars, "edges_lo", (double)tally->grid.edges_lo);
    loom_figure_num(&vars, "edges_hi", (double)tally->grid.edges_hi);
    loom_figure_num(&vars, "depth_lo", (double)tally->grid.depth_lo);
    loom_figure_num(&vars, "depth_hi", (double)tally->grid.depth_hi);
    loom_figure_num(&vars, "min_train", tally->has_train ? (double)conf->min_train : 0);
    loom_figure_num(&vars, "has_coverage", tally->has_coverage);
    loom_status st =
        room && !arena.failed ? loom_results_figure(r, name, &vars, err) : loom_fail_nomem(err, "a picture");
    loom_figure_vars_release(&vars);
    loom_arena_release(&arena);
    free(titles);
    free(trained);
    return st;
}

/* The paper's panels on one picture, those decoded under constraints on another. */
static loom_status draw_heatmaps(loom_results *r, const loom_tally *t, const heatmap_conf *conf, loom_validity v,
                                 loom_err *err)
{
    loom_accuracy_lines freely, held;
    loom_status st = LOOM_OK;
    loom_accuracy_choose(&freely, t, LOOM_DECODING_FREE);
    loom_accuracy_choose(&held, t, LOOM_DECODING_CONSTRAINED);
    if (freely.n) st = draw_heatmap(r, "fig12", t, conf, &freely, v, err);
    if (st == LOOM_OK && held.n) st = draw_heatmap(r, freely.n ? "fig12_constrained" : "fig12", t, conf, &held, v, err);
    loom_accuracy_lines_release(&freely);
    loom_accuracy_lines_release(&held);
    return st;
}

static loom_status draw_lines(loom_results *r, const loom_tally *t, loom_validity v, loom_err *err)
{
    loom_accuracy_lines c;
    const loom_grid *g = &t->grid;
    loom_accuracy_choose(&c, t, LOOM_DECODING_ANY);
    loom_accuracy_picture pictures[] = {
        {"fig03a", "Accuracy by number of edges", "method", "edges", "edges (calls in the graph)", (double)g->edges_lo,
         (double)g->edges_hi, g->edges_hi - g->edges_lo > 40 ? 5 : 1, NULL, false},
        {"fig03b", "Accuracy by depth", "method", "depth", "depth (levels)", (double)g->depth_lo, (double)g->depth_hi,
         1, NULL, false},
        {"fig03c", "Accuracy by temperature", "method", "temperature", "temperature", c.temp_lo, c.temp_hi, 0.2, NULL,
         false},
    };
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < (c.several_temperatures ? 3u : 2u) && st == LOOM_OK; i++)
        st = loom_accuracy_draw(r, &c, v, &pictures[i], err);
    loom_accuracy_lines_release(&c);
    return st;
}

/* ---- what the paper says ---- */

static const loom_series *lowest(const loom_tally *t, const char *method)
{
    for (size_t i = 0; i < t->n_series; i++)
        if (strcmp(t->series[i].method, method) == 0) return &t->series[i];
    return NULL;
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
            if (c.n && loom_accuracy_share(&c, v) < least) least = loom_accuracy_share(&c, v), where = d;
        }
        snprintf(ours, sizeof ours, "lowest %.1f %% (depth %lld)", 100 * least, (long long)where);
        loom_paper_compare(r, LOOM_PAPER_EVERY_DEPTH, NULL, least, ours, NULL);
    }
    if (tab) {
        loom_tally_cell c = loom_tally_sum(t, tab, 16, -1, -1, -1), deep = loom_tally_sum(t, tab, -1, -1, 5, -1);
        snprintf(ours, sizeof ours, "%.1f %% (n = %lld)", 100 * loom_accuracy_share(&c, v), (long long)c.n);
        if (c.n) loom_paper_compare(r, LOOM_PAPER_TABULAR_LARGE, NULL, loom_accuracy_share(&c, v), ours, NULL);
        snprintf(ours, sizeof ours, "%.1f %% (n = %lld)", 100 * loom_accuracy_share(&deep, v), (long long)deep.n);
        if (deep.n) loom_paper_compare(r, LOOM_PAPER_TABULAR_DEEP, NULL, loom_accuracy_share(&deep, v), ours, NULL);
    }
    if (tab && rec) {
        double gap = 100 * (loom_accuracy_share(&rec->all, v) - loom_accuracy_share(&tab->all, v));
        snprintf(ours, sizeof ours, "%+.1f points", gap);
        loom_paper_compare(r, LOOM_PAPER_LAYERS_GAIN, NULL, gap, ours, NULL);
    }
    if (rec && ins) {
        double gap = 100 * (loom_accuracy_share(&ins->all, v) - loom_accuracy_share(&rec->all, v));
        snprintf(ours, sizeof ours, "%+.1f points", gap);
        loom_paper_compare(r, LOOM_PAPER_INSTRUCTIONS_GAIN, NULL, gap, ours, NULL);
    }
}

/* ---- terminal ---- */

static void percent(loom_buf *into, const loom_tally_cell *c, loom_validity v)
{
    if (c->n) loom_buf_printf(into, " %6.1f", 100 * loom_accuracy_share(c, v));
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
            loom_buf_printf(into, "%-28s %4g %-6s %8lld %6.1f  %5.1f - %5.1f", s->method, s->temperature,
                            loom_validity_names[v], (long long)s->all.n, 100 * all.value, 100 * all.lo, 100 * all.hi);
            for (int64_t d = t->grid.depth_lo; d <= t->grid.depth_hi; d++) {
                loom_tally_cell c = loom_tally_sum(t, s, -1, -1, d, d);
                loom_buf_str(into, "  ");
                percent(into, &c, (loom_validity)v);
            }
            loom_buf_str(into, "\n");
        }
    }
}

/* Below the table: what is right by the rules and yet odd. */
static void odd_text(loom_buf *into, const loom_tally *t)
{
    for (size_t i = 0; i < t->n_series; i++) {
        const loom_series *s = &t->series[i];
        for (int o = 0; o < LOOM_ODDITIES; o++)
            if (s->odd[o])
                loom_buf_printf(into, "%s at %g: %s in %lld graph%s counted as correct (%s); no record is made of %s\n",
                                s->method, s->temperature, loom_oddity_names[o], (long long)s->odd[o],
                                s->odd[o] == 1 ? "" : "s", loom_oddity_meanings[o], s->odd[o] == 1 ? "it" : "them");
    }
}

/* The same line is said once for a method, whatever the temperature. */
static bool tells_anew(const loom_tally *t, size_t i)
{
    const loom_series *s = &t->series[i], *before = i ? s - 1 : NULL;
    if (!s->trained) return false;
    return !before || !before->trained || strcmp(before->method, s->method) != 0 ||
           strcmp(before->trained, s->trained) != 0;
}

static void trained_text(loom_buf *into, const loom_tally *t)
{
    for (size_t i = 0; i < t->n_series; i++)
        if (tells_anew(t, i)) loom_buf_printf(into, "%s: %s\n", t->series[i].method, t->series[i].trained);
}

/* For the manifest, from which the page takes it. */
static void record_trained(loom_results *r, const loom_tally *t)
{
    loom_buf list = {0};
    loom_jw w;
    loom_jw_init(&w, &list, false);
    loom_jw_begin_array(&w);
    for (size_t i = 0; i < t->n_series; i++) {
        if (!tells_anew(t, i)) continue;
        loom_jw_begin_object(&w);
        loom_jw_kv_str(&w, "method", t->series[i].method);
        loom_jw_kv_str(&w, "text", t->series[i].trained);
        loom_jw_end_object(&w);
    }
    loom_jw_end_array(&w);
    loom_meta_json(&r->meta, "trained", list.data);
    loom_buf_release(&list);
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
            loom_jw_kv_str(&w, "validity", loom_validity_names[v]);
            if (s->trained) loom_jw_kv_str(&w, "trained", s->trained);
            loom_jw_kv_i64(&w, "k", loom_tally_k(&s->all, (loom_validity)v));
            loom_jw_kv_i64(&w, "n", s->all.n);
            loom_jw_kv_f64(&w, "value", all.value);
            loom_jw_kv_f64(&w, "lo", all.lo);
            loom_jw_kv_f64(&w, "hi", all.hi);
            loom_jw_kv_i64(&w, "finished", s->all.finished);
            loom_jw_kv_i64(&w, "valid", s->all.valid);
            for (int o = 0; o < LOOM_ODDITIES; o++) loom_jw_kv_i64(&w, loom_oddity_names[o], s->odd[o]);
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
    else table_text(&text, t, first, last), odd_text(&text, t), trained_text(&text, t);
    loom_status st = loom_stdout_text(text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

static loom_status write_results(loom_results *r, const loom_tally *t, const void *arg, loom_err *err)
{
    const heatmap_conf *conf = arg;
    int first = conf->validity == 2 ? 0 : conf->validity, last = conf->validity == 2 ? 1 : conf->validity;
    loom_csv_table fig12 = {0}, fig03 = {0}, errors = {0};
    loom_status st;
    fill_fig12(&fig12, t, first, last);
    fill_fig03(&fig03, t, first, last);
    fill_errors(&errors, t);
    if ((st = loom_results_table(r, "fig12.csv", &fig12, err)) != LOOM_OK) goto done;
    if ((st = loom_results_table(r, "fig03.csv", &fig03, err)) != LOOM_OK) goto done;
    if ((st = loom_results_table(r, "errors.csv", &errors, err)) != LOOM_OK) goto done;
    if ((st = draw_heatmaps(r, t, conf, (loom_validity)first, err)) != LOOM_OK) goto done;
    if ((st = draw_lines(r, t, (loom_validity)first, err)) != LOOM_OK) goto done;
    compare_with_paper(r, t, (loom_validity)first);
    loom_meta_i64(&r->meta, "answers_outside_grid", t->outside);
    record_trained(r, t);
    if ((st = print_summary(r->ctx, t, first, last, err)) != LOOM_OK) goto done;
    st = loom_results_close(r, err);
done:
    loom_csv_table_release(&fig12);
    loom_csv_table_release(&fig03);
    loom_csv_table_release(&errors);
    return st;
}

static loom_status run_heatmap(const loom_ctx *ctx, loom_err *err)
{
    const heatmap_conf *conf = ctx->conf;

    if (ctx->n_args == 0 && !conf->scoring.generated)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "nothing to judge; name answers files, or graphs of others with --generated");
    return loom_score_answers_to(ctx, conf->output, conf->pictures, &conf->scoring, write_results, conf, err);
}

const loom_cmd loom_cmd_heatmap = {
    .name = "heatmap",
    .summary = "accuracy of generated graphs by requested size (Figs 3 and 12)",
    .args = "[[NAME=]ANSWERS.jsonl...]",
    .min_args = 0,
    .max_args = -1,
    .details =
        "Parses and judges the raw answers again and writes to DIR: fig12.csv (accuracy of every cell), fig03.csv\n"
        "(by edges, depth and temperature), errors.csv (what was wrong), manifest.json, and the pictures fig12,\n"
        "fig03a, fig03b and, with several temperatures, fig03c. A method is a file's mode, or NAME. A prompt without\n"
        "an answer counts as a failure. Graphs of other generators are judged with --generated.\n\n"
        "  loom-eval heatmap tabular.answers.jsonl recursive.answers.jsonl instruction.answers.jsonl -o results\n"
        "  loom-eval heatmap --generated theirs=their.graphs.zst --prompts tabular.prompts.jsonl -o results\n",
    .opts = heatmap_opts,
    .conf_size = sizeof(heatmap_conf),
    .run = run_heatmap,
    .updates = true};
