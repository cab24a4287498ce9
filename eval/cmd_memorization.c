/* loom-eval memorization: generated graphs that stand in the training data (Fig 15), and a privacy report. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/log.h"
#include "core/num.h"
#include "core/progress.h"
#include "eval/eval_cmds.h"
#include "eval/graphs.h"
#include "eval/memory.h"
#include "eval/metrics.h"
#include "eval/results.h"
#include "eval/tally.h"

typedef struct memorization_conf {
    const char *train, *output;
    int64_t examples;
    double fail_above;
    bool pictures;
} memorization_conf;

static const loom_opt memorization_opts[] = {
    LOOM_OPT_GROUP("Comparison"),
    LOOM_OPT_IN("train", 0, memorization_conf, train, NULL, "STORE", "graphs that the model was trained on"),
    LOOM_OPT_F64("fail-above", 0, memorization_conf, fail_above, "1", 0, 1, "SHARE", "exit 3 when a method copies a larger share of its graphs with 4 or more calls"),
    LOOM_OPT_I64("examples", 0, memorization_conf, examples, "20", 0, 100000, "N", "copied graphs that privacy.json shows for each method, the largest"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', memorization_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, memorization_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

typedef struct suspect {
    char *name;
    loom_memory_report report;
} suspect;

typedef struct memorization_job {
    const loom_ctx *ctx;
    const memorization_conf *conf;
    loom_memory *memory;
    suspect *suspects;
    int64_t n;
} memorization_job;

/* ---- table ---- */

static void bucket_row(loom_csv_table *t, const memorization_job *j, const suspect *s, const char *bucket, const loom_memory_counts *c)
{
    loom_interval i = loom_metrics_wilson(c->exact, c->n);
    loom_csv_table_str(t, "fig15");
    loom_csv_table_str(t, s->name);
    loom_csv_table_i64(t, j->ctx->common.seed);
    loom_csv_table_str(t, bucket);
    loom_csv_table_i64(t, c->exact);
    loom_csv_table_i64(t, c->n);
    loom_csv_table_i64(t, s->report.n_requested);
    loom_csv_table_f64(t, i.value);
    if (c->n) loom_csv_table_f64(t, i.lo), loom_csv_table_f64(t, i.hi);
    else loom_csv_table_none(t), loom_csv_table_none(t);
    bool all = strcmp(bucket, "all") == 0;
    loom_csv_table_f64(t, all && s->report.n_requested ? (double)c->exact / (double)s->report.n_requested : NAN);
    loom_csv_table_i64(t, c->structure);
    loom_csv_table_f64(t, c->n ? (double)c->structure / (double)c->n : NAN);
    loom_csv_table_i64(t, c->unique_structure);
    loom_csv_table_end_row(t);
}

static void fill_table(loom_csv_table *t, const memorization_job *j)
{
    loom_csv_table_init(t, "experiment,method,seed,bucket,k,n_valid,n_requested,value_valid,lo,hi,value_requested,k_notime,"
                       "value_notime,k_notime_unique");
    for (int64_t i = 0; i < j->n; i++) {
        bucket_row(t, j, &j->suspects[i], "all", &j->suspects[i].report.all);
        for (int b = 0; b < LOOM_MEMORY_BUCKETS; b++)
            bucket_row(t, j, &j->suspects[i], loom_memory_bucket_names[b], &j->suspects[i].report.bucket[b]);
    }
}

/* ---- privacy report ---- */

static void privacy_counts(loom_jw *w, const loom_memory_report *p)
{
    loom_jw_kv_i64(w, "graphs", p->all.n);
    loom_jw_kv_i64(w, "rejected", p->n_rejected);
    loom_jw_kv_i64(w, "exact_copies", p->all.exact);
    loom_jw_kv_i64(w, "same_shape_other_times", p->all.structure - p->all.exact);
    loom_jw_kv_i64(w, "same_shape_of_a_single_training_graph", p->all.unique_structure);
    loom_jw_kv_i64(w, "distinct_graphs", p->n_distinct);
    loom_jw_kv_i64(w, "services_not_in_training", p->new_services);
    loom_jw_kv_i64(w, "microservices_not_in_training", p->new_nodes);
    loom_jw_kv_i64(w, "calls", p->n_calls);
    loom_jw_kv_i64(w, "calls_between_new_pairs", p->new_calls);
}

static void privacy_text(loom_buf *into, const memorization_job *j)
{
    loom_jw w;
    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "spanloom-privacy-1");
    loom_jw_kv_i64(&w, "training_graphs", loom_memory_graphs(j->memory));
    loom_jw_kv_i64(&w, "training_shapes", loom_memory_shapes(j->memory));
    loom_jw_key(&w, "methods");
    loom_jw_begin_array(&w);
    for (int64_t i = 0; i < j->n; i++) {
        const loom_memory_report *p = &j->suspects[i].report;
        loom_jw_begin_object(&w);
        loom_jw_kv_str(&w, "method", j->suspects[i].name);
        privacy_counts(&w, p);
        loom_jw_key(&w, "largest_copies");
        loom_jw_begin_array(&w);
        for (int64_t e = 0; e < p->n_examples; e++) loom_jw_str(&w, p->examples[e]);
        loom_jw_end_array(&w);
        loom_jw_end_object(&w);
    }
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* ---- picture, summary ---- */

static loom_status draw(const memorization_job *j, loom_results *r, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128];
    const char **names = loom_alloc((size_t)j->n, sizeof *names), **labels = loom_alloc((size_t)j->n, sizeof *labels);
    double most = 0;
    for (int64_t i = 0; i < j->n; i++) {
        names[i] = j->suspects[i].name;
        labels[i] = loom_method_title(names[i]);
        for (int b = 0; b < LOOM_MEMORY_BUCKETS; b++) {
            const loom_memory_counts *c = &j->suspects[i].report.bucket[b];
            if (c->n) most = fmax(most, loom_metrics_wilson(c->exact, c->n).hi);
        }
    }
    snprintf(caption, sizeof caption, "%sagainst %lld training graphs, times included · bars: 95 %% interval",
             loom_results_origin(r, origin, sizeof origin), (long long)loom_memory_graphs(j->memory));
    loom_figure_str(&vars, "title", "Generated graphs that are copies of training graphs");
    loom_figure_str(&vars, "caption", caption);
    loom_figure_num(&vars, "y_most", fmin(100, fmax(1, ceil(110 * most))));
    loom_figure_list(&vars, "series", names, j->n);
    loom_figure_list(&vars, "labels", labels, j->n);
    loom_status st = loom_results_figure(r, "fig15", &vars, err);
    loom_figure_vars_release(&vars);
    free(names);
    free(labels);
    return st;
}

static void compare_with_paper(const memorization_job *j, loom_results *r)
{
    for (int64_t i = 0; i < j->n; i++) {
        const loom_memory_counts *c = &j->suspects[i].report.all;
        const char *name = j->suspects[i].name;
        bool layered = strcmp(name, "recursive") == 0 || strcmp(name, "instruction") == 0;
        const char *paper = strcmp(name, "tabular") == 0 ? "16 to 24 %" : layered ? "3 to 5 %" : NULL;
        char ours[96];
        loom_interval ci = loom_metrics_wilson(c->exact, c->n);
        if (c->n == 0) continue;
        snprintf(ours, sizeof ours, "%.1f %% (%.1f to %.1f)", 100 * ci.value, 100 * ci.lo, 100 * ci.hi);
        loom_results_summary(r, "15", loom_method_title(name), paper, ours, -1, NULL);
    }
}

static loom_status print_summary(const memorization_job *j, loom_err *err)
{
    loom_buf text = {0};
    if (j->ctx->common.json) privacy_text(&text, j);
    else {
        loom_buf_printf(&text, "%-28s %9s %9s %14s %14s %14s\n", "copies of training graphs", "graphs", "exact", "exact, %",
                        ">= 4 calls, %", "same shape, %");
        for (int64_t i = 0; i < j->n; i++) {
            const loom_memory_counts *c = &j->suspects[i].report.all;
            loom_memory_counts large = loom_memory_large(&j->suspects[i].report);
            loom_buf_printf(&text, "%-28s %9lld %9lld %14.2f %14.2f %14.2f\n", j->suspects[i].name, (long long)c->n,
                            (long long)c->exact, 100 * (double)c->exact / (double)loom_max_i64(c->n, 1),
                            100 * (double)large.exact / (double)loom_max_i64(large.n, 1),
                            100 * (double)c->structure / (double)loom_max_i64(c->n, 1));
        }
    }
    loom_status st = loom_stdout_write(text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

static loom_status judge(const memorization_job *j, loom_err *err)
{
    for (int64_t i = 0; i < j->n; i++) {
        loom_memory_counts large = loom_memory_large(&j->suspects[i].report);
        double share = large.n ? (double)large.exact / (double)large.n : 0;
        if (share > j->conf->fail_above)
            return loom_fail(err, LOOM_STATUS_VERDICT, "%.1f %% of the graphs of %s with 4 or more calls are copies of training graphs, more than the %.1f %% allowed",
                             100 * share, j->suspects[i].name, 100 * j->conf->fail_above);
    }
    return LOOM_OK;
}

static loom_status write_results(const memorization_job *j, loom_results *r, loom_err *err)
{
    loom_csv_table t = {0};
    loom_buf privacy = {0};
    loom_status st;
    fill_table(&t, j);
    privacy_text(&privacy, j);
    if ((st = loom_results_table(r, "fig15.csv", &t, err)) != LOOM_OK) goto done;
    if ((st = loom_results_text(r, "privacy.json", privacy.data, privacy.len, err)) != LOOM_OK) goto done;
    if ((st = draw(j, r, err)) != LOOM_OK) goto done;
    compare_with_paper(j, r);
    if ((st = loom_results_close(r, err)) != LOOM_OK) goto done;
    if ((st = print_summary(j, err)) != LOOM_OK) goto done;
    st = judge(j, err);
done:
    loom_csv_table_release(&t);
    loom_buf_release(&privacy);
    return st;
}

static loom_status run_memorization(const loom_ctx *ctx, loom_err *err)
{
    memorization_job j = {.ctx = ctx, .conf = ctx->conf};
    loom_results r = {0};
    char name[128];
    loom_status st;
    if (!j.conf->train) return loom_fail(err, LOOM_STATUS_ARG, "no training graphs to compare with; name them with --train");
    j.suspects = loom_calloc((size_t)ctx->n_args, sizeof *j.suspects);
    if ((st = loom_results_open(&r, ctx, j.conf->output, j.conf->pictures, err)) != LOOM_OK) goto done;
    if ((st = loom_memory_load(&j.memory, j.conf->train, err)) != LOOM_OK) goto done;
    if ((st = loom_results_input(&r, j.conf->train, err)) != LOOM_OK) goto done;
    for (int i = 0; i < ctx->n_args; i++) {
        const char *path = loom_results_name(name, sizeof name, ctx->args[i]);
        suspect *s = &j.suspects[j.n++];
        s->name = strdup(name);
        if ((st = loom_memory_check(&s->report, j.memory, path, j.conf->examples, err)) != LOOM_OK) goto done;
        if ((st = loom_results_input(&r, path, err)) != LOOM_OK) goto done;
    }
    st = write_results(&j, &r, err);
done:
    for (int64_t i = 0; i < j.n; i++) {
        free(j.suspects[i].name);
        loom_memory_report_release(&j.suspects[i].report);
    }
    free(j.suspects);
    loom_memory_free(j.memory);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_memorization = {
    .name = "memorization",
    .summary = "how many generated graphs are copies of training graphs, and what they give away (Fig 15)",
    .args = "[NAME=]GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details = "A copy has the same service and the same calls with the same times. Short graphs repeat by chance, so\n"
               "the counts are also given by number of calls; privacy.json lists the largest copies, graphs that share\n"
               "their shape with a single training graph, and names that never occurred in training. The validation\n"
               "graphs as one of the files show what chance alone gives.\n\n"
               "  loom-eval memorization --train train.graphs.zst instruction.answers.jsonl real=valid.graphs.zst -o results\n",
    .opts = memorization_opts,
    .conf_size = sizeof(memorization_conf),
    .run = run_memorization};
