/* loom-eval memorization: generated graphs that stand in the training data (Fig 15), and a privacy report. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/log.h"
#include "core/num.h"
#include "core/progress.h"
#include "eval/answers/graphs.h"
#include "eval/commands/eval_cmds.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/method_title.h"
#include "eval/pages/paper.h"
#include "eval/pages/results.h"
#include "eval/privacy/training_digests.h"

typedef struct memorization_conf {
    const char *train, *heldout, *output;
    int64_t examples;
    double fail_above;
    bool pictures;
} memorization_conf;

static const loom_opt memorization_opts[] = {
    LOOM_OPT_GROUP("Comparison"),
    LOOM_OPT_IN("train", 0, memorization_conf, train, NULL, "STORE", "graphs that the model was trained on"),
    LOOM_OPT_IN("heldout", 0, memorization_conf, heldout, NULL, "STORE",
                "graphs of the same system that were not trained on: tells what is remembered from what is common"),
    LOOM_OPT_F64("fail-above", 0, memorization_conf, fail_above, "1", 0, 1, "SHARE",
                 "exit 3 when a method copies a larger share of its graphs with 4 or more calls"),
    LOOM_OPT_I64("examples", 0, memorization_conf, examples, "0", 0, 100000, "N",
                 "training graphs that privacy.json quotes for each method, the largest that were copied"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', memorization_conf, output, NULL, "DIR",
                 "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, memorization_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

typedef struct suspect {
    char *name;
    loom_copy_report report;
} suspect;

typedef struct memorization_job {
    const loom_ctx *ctx;
    const memorization_conf *conf;
    loom_training_digests *train, *sample, *heldout; /* the last two NULL without held-out graphs */
    suspect *suspects;
    int64_t n;
} memorization_job;

/* ---- table ---- */

static void match_fields(loom_csv_table *t, const suspect *s, const loom_copies *m)
{
    if (s->report.has_heldout) loom_csv_table_i64(t, m->exact), loom_csv_table_i64(t, m->structure);
    else loom_csv_table_none(t), loom_csv_table_none(t);
}

static void bucket_row(loom_csv_table *t, const memorization_job *j, const suspect *s, const char *bucket,
                       const loom_copy_counts *c)
{
    const loom_copies *m = &c->of[LOOM_KNOWN_TRAIN];
    loom_interval i = loom_metrics_wilson(m->exact, c->n);
    loom_csv_table_str(t, "fig15");
    loom_csv_table_str(t, s->name);
    loom_csv_table_i64(t, j->ctx->common.seed);
    loom_csv_table_f64(t, s->report.temperature);
    loom_csv_table_str(t, bucket);
    loom_csv_table_i64(t, m->exact);
    loom_csv_table_i64(t, c->n);
    loom_csv_table_i64(t, s->report.n_requested);
    loom_csv_table_f64(t, i.value);
    if (c->n) loom_csv_table_f64(t, i.lo), loom_csv_table_f64(t, i.hi);
    else loom_csv_table_none(t), loom_csv_table_none(t);
    bool all = strcmp(bucket, "all") == 0;
    loom_csv_table_f64(t, all && s->report.n_requested ? (double)m->exact / (double)s->report.n_requested : NAN);
    loom_csv_table_i64(t, m->structure);
    loom_csv_table_f64(t, c->n ? (double)m->structure / (double)c->n : NAN);
    loom_csv_table_i64(t, c->unique_structure);
    match_fields(t, s, &c->of[LOOM_KNOWN_SAMPLE]);
    match_fields(t, s, &c->of[LOOM_KNOWN_HELDOUT]);
    loom_csv_table_end_row(t);
}

static void fill_table(loom_csv_table *t, const memorization_job *j)
{
    loom_csv_table_init(
        t, "experiment,method,seed,temperature,bucket,k,n_valid,n_requested,value_valid,lo,hi,value_requested,"
           "k_notime,value_notime,k_notime_unique,k_sample,k_sample_notime,k_heldout,k_heldout_notime");
    for (int64_t i = 0; i < j->n; i++) {
        bucket_row(t, j, &j->suspects[i], "all", &j->suspects[i].report.all);
        for (int b = 0; b < LOOM_COPY_BUCKETS; b++)
            bucket_row(t, j, &j->suspects[i], loom_copy_bucket_names[b], &j->suspects[i].report.bucket[b]);
    }
}

/* ---- privacy report ---- */

/* Share and 95 % interval; of nothing, no share and an interval of everything. */
static void rate_of(loom_jw *w, const char *what, int64_t k, int64_t n)
{
    loom_interval i = loom_metrics_wilson(k, n);
    char key[32];
    snprintf(key, sizeof key, "%s_rate", what);
    loom_jw_key(w, key);
    if (n) loom_jw_f64(w, i.value);
    else loom_jw_null(w);
    snprintf(key, sizeof key, "%s_lo", what);
    loom_jw_kv_f64(w, key, i.lo);
    snprintf(key, sizeof key, "%s_hi", what);
    loom_jw_kv_f64(w, key, i.hi);
}

static void privacy_match(loom_jw *w, const char *key, const loom_copies *m, int64_t n)
{
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "exact", m->exact);
    loom_jw_kv_i64(w, "near", m->structure - m->exact);
    rate_of(w, "exact", m->exact, n);
    rate_of(w, "near", m->structure - m->exact, n);
    loom_jw_end_object(w);
}

static void privacy_bucket(loom_jw *w, const char *calls, const loom_copy_counts *c, bool has_heldout)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "calls", calls);
    loom_jw_kv_i64(w, "graphs", c->n);
    privacy_match(w, "in_training", &c->of[LOOM_KNOWN_TRAIN], c->n);
    if (has_heldout) {
        privacy_match(w, "in_equal_part_of_training", &c->of[LOOM_KNOWN_SAMPLE], c->n);
        privacy_match(w, "in_heldout", &c->of[LOOM_KNOWN_HELDOUT], c->n);
    }
    loom_jw_kv_i64(w, "near_or_exact_of_a_single_training_graph", c->unique_structure);
    loom_jw_end_object(w);
}

static void privacy_method(loom_jw *w, const suspect *s)
{
    const loom_copy_report *p = &s->report;
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "method", s->name);
    if (!isnan(p->temperature)) loom_jw_kv_f64(w, "temperature", p->temperature);
    loom_jw_kv_i64(w, "graphs", p->all.n);
    loom_jw_kv_i64(w, "rejected", p->n_rejected);
    loom_jw_kv_i64(w, "distinct_graphs", p->n_distinct);
    loom_jw_kv_i64(w, "exact_copies", p->all.of[LOOM_KNOWN_TRAIN].exact);
    loom_jw_kv_i64(w, "services_not_in_training", p->new_services);
    loom_jw_kv_i64(w, "microservices_not_in_training", p->new_nodes);
    loom_jw_kv_i64(w, "calls", p->n_calls);
    loom_jw_kv_i64(w, "calls_between_new_pairs", p->new_calls);
    loom_jw_key(w, "by_size");
    loom_jw_begin_array(w);
    privacy_bucket(w, "all", &p->all, p->has_heldout);
    for (int b = 0; b < LOOM_COPY_BUCKETS; b++)
        privacy_bucket(w, loom_copy_bucket_names[b], &p->bucket[b], p->has_heldout);
    loom_jw_end_array(w);
    if (p->n_examples) {
        loom_jw_key(w, "largest_copies");
        loom_jw_begin_array(w);
        for (int64_t e = 0; e < p->n_examples; e++) loom_jw_str(w, p->examples[e]);
        loom_jw_end_array(w);
    }
    loom_jw_end_object(w);
}

static void privacy_text(loom_buf *into, const memorization_job *j)
{
    loom_jw w;
    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "spanloom-privacy-2");
    loom_jw_kv_i64(&w, "training_graphs", loom_training_digests_graphs(j->train));
    loom_jw_kv_i64(&w, "training_shapes", loom_training_digests_shapes(j->train));
    if (j->heldout) {
        loom_jw_kv_i64(&w, "heldout_graphs", loom_training_digests_graphs(j->heldout));
        loom_jw_kv_i64(&w, "equal_part_of_training", loom_training_digests_graphs(j->sample));
    }
    loom_jw_key(&w, "methods");
    loom_jw_begin_array(&w);
    for (int64_t i = 0; i < j->n; i++) privacy_method(&w, &j->suspects[i]);
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* ---- picture, summary ---- */

/* The files that a picture shows, and how high it must be. */
typedef struct shown {
    const char **names, **labels, **temps;
    char (*texts)[24];
    int64_t n;
    double most;
} shown;

static void shown_release(shown *p)
{
    free(p->names);
    free(p->labels);
    free(p->temps);
    free(p->texts);
}

static void show(shown *p, const suspect *s)
{
    double t = s->report.temperature;
    p->names[p->n] = s->name;
    p->labels[p->n] = loom_method_title(s->name);
    if (isnan(t)) snprintf(p->texts[p->n], sizeof *p->texts, "-");
    else snprintf(p->texts[p->n], sizeof *p->texts, "%g", t);
    p->temps[p->n] = p->texts[p->n];
    p->n++;
}

/* Bars show each method at its lowest temperature, lines every method that has several. */
static void choose(shown *p, const memorization_job *j, bool lines)
{
    size_t n = (size_t)j->n;
    *p = (shown){loom_alloc(n, sizeof *p->names),
                 loom_alloc(n, sizeof *p->labels),
                 loom_alloc(n, sizeof *p->temps),
                 loom_alloc(n, sizeof *p->texts),
                 0,
                 0};
    if (!p->names || !p->labels || !p->temps || !p->texts)
        return; /* nothing is shown; loom_nomem_seen() ends the run */
    for (int64_t i = 0; i < j->n; i++) {
        const suspect *s = &j->suspects[i];
        bool lowest = true, several = false;
        for (int64_t k = 0; k < j->n; k++) {
            const suspect *o = &j->suspects[k];
            if (k == i || strcmp(o->name, s->name) != 0) continue;
            several = true;
            if (o->report.temperature < s->report.temperature) lowest = false;
        }
        if (!lines)
            for (int b = 0; b < LOOM_COPY_BUCKETS && lowest; b++) {
                const loom_copy_counts *c = &s->report.bucket[b];
                if (c->n) p->most = fmax(p->most, loom_metrics_wilson(c->of[LOOM_KNOWN_TRAIN].exact, c->n).hi);
            }
        else if (several && s->report.all.n)
            p->most = fmax(p->most, loom_metrics_wilson(s->report.all.of[LOOM_KNOWN_TRAIN].exact, s->report.all.n).hi);
        if (lowest && (several || !lines)) show(p, s);
    }
}

static loom_status draw(const memorization_job *j, loom_results *r, const char *figure, const char *title,
                        const shown *p, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128];
    double lo = INFINITY, hi = -INFINITY;
    for (int64_t i = 0; i < j->n; i++) {
        lo = fmin(lo, j->suspects[i].report.temperature);
        hi = fmax(hi, j->suspects[i].report.temperature);
    }
    snprintf(caption, sizeof caption, "%sagainst %lld training graphs, times included · 95 %% intervals",
             loom_results_origin(r, origin, sizeof origin), (long long)loom_training_digests_graphs(j->train));
    loom_figure_str(&vars, "title", title);
    loom_figure_str(&vars, "caption", caption);
    loom_figure_num(&vars, "y_most", fmin(100, fmax(1, ceil(110 * p->most))));
    if (isfinite(lo)) loom_figure_num(&vars, "x_lo", lo), loom_figure_num(&vars, "x_hi", hi);
    loom_figure_list(&vars, "series", p->names, p->n);
    loom_figure_list(&vars, "temperatures", p->temps, p->n);
    loom_figure_list(&vars, "labels", p->labels, p->n);
    loom_status st = loom_results_figure(r, figure, &vars, err);
    loom_figure_vars_release(&vars);
    return st;
}

static loom_status draw_both(const memorization_job *j, loom_results *r, loom_err *err)
{
    shown lines, bars;
    loom_status st = LOOM_OK;
    choose(&lines, j, true);
    choose(&bars, j, false);
    if (lines.n) st = draw(j, r, "fig15", "Copies of training graphs by temperature", &lines, err);
    if (st == LOOM_OK) st = draw(j, r, "fig15_size", "Generated graphs that are copies of training graphs", &bars, err);
    shown_release(&lines);
    shown_release(&bars);
    return st;
}

static void compare_with_paper(const memorization_job *j, loom_results *r)
{
    for (int64_t i = 0; i < j->n; i++) {
        const loom_copy_counts *c = &j->suspects[i].report.all;
        const char *name = j->suspects[i].name;
        char ours[96];
        loom_interval ci = loom_metrics_wilson(c->of[LOOM_KNOWN_TRAIN].exact, c->n);
        char note[96] = "";
        if (c->n == 0) continue;
        double t = j->suspects[i].report.temperature;
        if (!isnan(t)) snprintf(note, sizeof note, "temperature %g", t);
        snprintf(ours, sizeof ours, "%.1f %% (%.1f to %.1f)", 100 * ci.value, 100 * ci.lo, 100 * ci.hi);
        const char *paper = loom_paper_number(LOOM_PAPER_COPIES, name);
        loom_results_summary(r, "15", loom_method_title(name), paper, ours, -1, *note ? note : NULL);
    }
}

/* Percent, "-" of nothing. */
static void rate(loom_buf *text, int width, int64_t k, int64_t n)
{
    if (n) loom_buf_printf(text, " %*.2f", width, 100 * (double)k / (double)n);
    else loom_buf_printf(text, " %*s", width, "-");
}

static void summary_row(loom_buf *text, const suspect *s)
{
    const loom_copy_counts *c = &s->report.all;
    const loom_copies *m = &c->of[LOOM_KNOWN_TRAIN];
    loom_copy_counts large = loom_copy_large(&s->report);
    loom_buf_printf(text, "%-28s ", s->name);
    if (isnan(s->report.temperature)) loom_buf_printf(text, "%4s", "-");
    else loom_buf_printf(text, "%4g", s->report.temperature);
    loom_interval ci = loom_metrics_wilson(m->exact, c->n);
    loom_buf_printf(text, " %9lld %9lld", (long long)c->n, (long long)m->exact);
    rate(text, 9, m->exact, c->n);
    loom_buf_printf(text, "  %6.2f - %6.2f", 100 * ci.lo, 100 * ci.hi);
    rate(text, 14, large.of[LOOM_KNOWN_TRAIN].exact, large.n);
    rate(text, 9, m->structure - m->exact, c->n);
    if (s->report.has_heldout) {
        rate(text, 14, c->of[LOOM_KNOWN_SAMPLE].exact, c->n);
        rate(text, 14, c->of[LOOM_KNOWN_HELDOUT].exact, c->n);
    }
    loom_buf_char(text, '\n');
    if (c->n == 0) loom_buf_printf(text, "%s has no graph to judge: nothing can be said about copies\n", s->name);
}

static loom_status print_summary(const memorization_job *j, loom_err *err)
{
    loom_buf text = {0};
    if (j->ctx->common.json) privacy_text(&text, j);
    else {
        loom_buf_printf(&text, "%-28s %4s %9s %9s %9s  %15s %14s %9s", "copies of training graphs", "T", "graphs",
                        "exact", "exact, %", "95 %     ", ">= 4 calls, %", "near, %");
        if (j->heldout) loom_buf_printf(&text, " %14s %14s", "equal part, %", "held-out, %");
        loom_buf_char(&text, '\n');
        for (int64_t i = 0; i < j->n; i++) summary_row(&text, &j->suspects[i]);
    }
    loom_status st = loom_stdout_text(text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

static loom_status judge(const memorization_job *j, loom_err *err)
{
    for (int64_t i = 0; i < j->n; i++) {
        loom_copy_counts large = loom_copy_large(&j->suspects[i].report);
        double share = large.n ? (double)large.of[LOOM_KNOWN_TRAIN].exact / (double)large.n : 0;
        if (large.n == 0 && j->conf->fail_above < 1)
            return loom_fail(err, LOOM_STATUS_VERDICT,
                             "%s has no graph with 4 or more calls, so nothing can be said about copies and "
                             "--fail-above cannot be met",
                             j->suspects[i].name);
        if (share > j->conf->fail_above)
            return loom_fail(
                err, LOOM_STATUS_VERDICT,
                "%.1f %% of the graphs of %s with 4 or more calls are copies of training graphs, more than the %.1f %% allowed",
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
    if ((st = draw_both(j, r, err)) != LOOM_OK) goto done;
    compare_with_paper(j, r);
    if ((st = print_summary(j, err)) != LOOM_OK) goto done;
    if ((st = loom_results_close(r, err)) != LOOM_OK) goto done;
    st = judge(j, err);
done:
    loom_csv_table_release(&t);
    loom_buf_release(&privacy);
    return st;
}

static loom_status record_inputs(const memorization_job *j, loom_results *r, loom_err *err)
{
    char name[128];
    LOOM_TRY(loom_results_input(r, j->conf->train, err));
    if (j->conf->heldout) LOOM_TRY(loom_results_input(r, j->conf->heldout, err));
    for (int i = 0; i < j->ctx->n_args; i++) {
        LOOM_TRY(loom_results_input(r, loom_path_called(name, sizeof name, j->ctx->args[i]), err));
        loom_results_called(r, name);
    }
    return LOOM_OK;
}

static loom_status load_known(memorization_job *j, loom_err *err)
{
    LOOM_TRY(loom_training_digests_load(&j->train, j->conf->train, err));
    if (!j->conf->heldout) return LOOM_OK;
    LOOM_TRY(loom_training_digests_load(&j->heldout, j->conf->heldout, err));
    return loom_training_digests_load_some(&j->sample, j->conf->train, loom_training_digests_graphs(j->heldout),
                                           loom_training_digests_graphs(j->train), (uint64_t)j->ctx->common.seed, err);
}

static loom_status check_all(memorization_job *j, loom_err *err)
{
    char name[128];
    for (int i = 0; i < j->ctx->n_args; i++) {
        const char *arg = j->ctx->args[i], *path = loom_path_called(name, sizeof name, arg);
        suspect *s = &j->suspects[j->n++];
        bool is_heldout = j->conf->heldout && strcmp(path, j->conf->heldout) == 0; /* all of it is in itself */
        loom_known_sets known = {j->train, is_heldout ? NULL : j->sample, is_heldout ? NULL : j->heldout};
        LOOM_TRY(loom_copy_check(&s->report, &known, path, j->conf->examples, err));
        size_t len = strlen(name);
        if (path == arg && s->report.constrained && len < sizeof name)
            snprintf(name + len, sizeof name - len, " constrained");
        if (!(s->name = loom_strdup(name))) return loom_fail_nomem(err, "names");
    }
    return LOOM_OK;
}

static loom_status run_memorization(const loom_ctx *ctx, loom_err *err)
{
    memorization_job j = {.ctx = ctx, .conf = ctx->conf};
    loom_results r = {0};
    loom_status st;
    if (!j.conf->train)
        return loom_fail(err, LOOM_STATUS_ARG, "no training graphs to compare with; name them with --train");
    j.suspects = loom_calloc((size_t)ctx->n_args, sizeof *j.suspects);
    if (!j.suspects) return loom_fail_nomem(err, "names");
    if ((st = loom_results_open(&r, ctx, j.conf->output, j.conf->pictures, err)) != LOOM_OK) goto done;
    if ((st = record_inputs(&j, &r, err)) != LOOM_OK) goto done;
    if (loom_results_up_to_date(&r)) goto done;
    if ((st = load_known(&j, err)) != LOOM_OK) goto done;
    if ((st = check_all(&j, err)) != LOOM_OK) goto done;
    st = write_results(&j, &r, err);
done:
    for (int64_t i = 0; i < j.n; i++) {
        free(j.suspects[i].name);
        loom_copy_report_release(&j.suspects[i].report);
    }
    free(j.suspects);
    loom_training_digests_free(j.train);
    loom_training_digests_free(j.sample);
    loom_training_digests_free(j.heldout);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_memorization = {
    .name = "memorization",
    .summary = "how many generated graphs are copies of training graphs, and what they give away (Fig 15)",
    .args = "[NAME=]GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "A copy has the same service and the same calls with the same times. Short graphs repeat by chance, so\n"
        "the counts are also given by number of calls. privacy.json counts exact copies and near-duplicates (other\n"
        "times), and names that never occurred in training; it quotes training graphs only with --examples. With\n"
        "--heldout the same is counted against held-out graphs and against as many training graphs: what is found\n"
        "more often in the latter is remembered, the rest is common.\n\n"
        "  loom-eval memorization --train train.graphs.zst --heldout valid.graphs.zst instruction.answers.jsonl -o results\n",
    .opts = memorization_opts,
    .conf_size = sizeof(memorization_conf),
    .run = run_memorization,
    .updates = true};
