#include "eval/accuracy/accuracy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/arena.h"
#include "core/num.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/method_title.h"

const char *const loom_validity_names[] = {"paper", "code"};

const char *loom_accuracy_rules(loom_validity v)
{
    return v == LOOM_VALIDITY_PAPER ? "the paper's rules" : "the public validator's rules";
}

double loom_accuracy_share(const loom_tally_cell *c, loom_validity v)
{
    return c->n ? (double)loom_tally_k(c, v) / (double)c->n : NAN;
}

/* ---- tables ---- */

void loom_accuracy_proportion(loom_csv_table *t, int64_t k, int64_t n)
{
    loom_interval i = loom_metrics_wilson(k, n);
    loom_csv_table_i64(t, k);
    loom_csv_table_i64(t, n);
    loom_csv_table_f64(t, i.value);
    if (n > 0) loom_csv_table_f64(t, i.lo), loom_csv_table_f64(t, i.hi);
    else loom_csv_table_none(t), loom_csv_table_none(t);
}

typedef struct row_writer {
    loom_csv_table *t;
    const loom_series *s;
    loom_validity v;
    loom_accuracy_lead lead;
    const void *arg;
} row_writer;

static void row(const row_writer *w, const char *axis, double x, loom_tally_cell sum)
{
    if (sum.n == 0) return;
    w->lead(w->t, w->arg, w->s);
    loom_csv_table_str(w->t, loom_validity_names[w->v]);
    loom_csv_table_str(w->t, axis);
    loom_csv_table_f64(w->t, x);
    loom_accuracy_proportion(w->t, loom_tally_k(&sum, w->v), sum.n);
    loom_csv_table_end_row(w->t);
}

void loom_accuracy_rows(loom_csv_table *t, const loom_tally *tally, const loom_series *s, loom_validity v, int axes,
                        loom_accuracy_lead lead, const void *arg)
{
    const loom_grid *g = &tally->grid;
    row_writer w = {t, s, v, lead, arg};
    if (axes & LOOM_AXIS_SIZES) {
        for (int64_t e = g->edges_lo; e <= g->edges_hi; e++)
            row(&w, "edges", (double)e, loom_tally_sum(tally, s, e, e, -1, -1));
        for (int64_t d = g->depth_lo; d <= g->depth_hi; d++)
            row(&w, "depth", (double)d, loom_tally_sum(tally, s, -1, -1, d, d));
    }
    if (axes & LOOM_AXIS_TEMPERATURE) row(&w, "temperature", s->temperature, s->all);
}

/* ---- what a picture shows ---- */

void loom_accuracy_choose(loom_accuracy_lines *lines, const loom_tally *tally, loom_decoding which)
{
    *lines = (loom_accuracy_lines){.list = loom_alloc(tally->n_series, sizeof *lines->list),
                                   .least_n = INT64_MAX,
                                   .temp_lo = INFINITY,
                                   .temp_hi = -INFINITY};
    for (size_t i = 0; lines->list && i < tally->n_series; i++) {
        const loom_series *s = &tally->series[i];
        if (which != LOOM_DECODING_ANY && s->constrained != (which == LOOM_DECODING_CONSTRAINED)) continue;
        lines->temp_lo = fmin(lines->temp_lo, s->temperature);
        lines->temp_hi = fmax(lines->temp_hi, s->temperature);
        if (lines->n && strcmp(lines->list[lines->n - 1]->method, s->method) == 0) {
            lines->several_temperatures = true;
            continue;
        }
        lines->list[lines->n++] = s;
        for (int64_t at = 0; at < loom_grid_cells(&tally->grid); at++) {
            if (s->cells[at].n == 0) continue;
            lines->most_n = loom_max_i64(lines->most_n, s->cells[at].n);
            lines->least_n = loom_min_i64(lines->least_n, s->cells[at].n);
        }
    }
}

void loom_accuracy_lines_release(loom_accuracy_lines *lines)
{
    free(lines->list);
    *lines = (loom_accuracy_lines){0};
}

void loom_accuracy_per_cell(char *text, size_t cap, const loom_accuracy_lines *lines)
{
    if (lines->most_n == lines->least_n) snprintf(text, cap, "%lld", (long long)lines->most_n);
    else snprintf(text, cap, "%lld to %lld", (long long)lines->least_n, (long long)lines->most_n);
}

void loom_accuracy_vars(loom_figure_vars *vars, const char *list_name, const loom_accuracy_lines *lines,
                        const char *const *labels, loom_validity v)
{
    const char **methods = loom_alloc((size_t)lines->n, sizeof *methods),
               **temps = loom_alloc((size_t)lines->n, sizeof *temps);
    const char **titles = loom_alloc((size_t)lines->n, sizeof *titles);
    loom_arena arena = {0};
    char temp[40];
    bool room = methods && temps && titles; /* without, core/nomem.h keeps the picture from being made */
    for (int64_t i = 0; room && i < lines->n; i++) {
        const loom_series *s = lines->list[i];
        methods[i] = s->method;
        snprintf(temp, sizeof temp, "%g", s->temperature);
        temps[i] = loom_arena_strdup(&arena, temp, strlen(temp));
        titles[i] = labels ? labels[i] : loom_method_title(s->method);
    }
    loom_figure_list(vars, list_name, methods, room ? lines->n : 0);
    loom_figure_list(vars, "temperatures", temps, room ? lines->n : 0);
    loom_figure_list(vars, "labels", titles, room ? lines->n : 0);
    loom_figure_str(vars, "validity", loom_validity_names[v]);
    loom_arena_release(&arena);
    free(methods);
    free(temps);
    free(titles);
}

/* ", greedy" where all lines share one temperature and the axis is another */
static void temperature_note(char *text, size_t cap, const loom_accuracy_lines *lines, const char *axis)
{
    double t = lines->n ? lines->list[0]->temperature : 0;
    *text = 0;
    if (strcmp(axis, "temperature") == 0) return;
    for (int64_t i = 0; i < lines->n; i++)
        if (lines->list[i]->temperature != t) return;
    if (t == 0) snprintf(text, cap, ", greedy");
    else snprintf(text, cap, ", temperature %g", t);
}

loom_status loom_accuracy_draw(loom_results *r, const loom_accuracy_lines *lines, loom_validity v,
                               const loom_accuracy_picture *p, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128], temp[64], each[64];
    loom_accuracy_per_cell(each, sizeof each, lines);
    temperature_note(temp, sizeof temp, lines, p->axis);
    snprintf(caption, sizeof caption, "%s%s graph%s per cell%s, judged by %s · bands: 95 %% interval",
             loom_results_origin(r, origin, sizeof origin), each, lines->most_n == 1 ? "" : "s", temp,
             loom_accuracy_rules(v));
    loom_figure_str(&vars, "title", p->title);
    loom_figure_str(&vars, "caption", caption);
    loom_figure_str(&vars, "who", p->who);
    loom_figure_str(&vars, "axis", p->axis);
    loom_figure_str(&vars, "x_label", p->x_label);
    loom_figure_num(&vars, "x_lo", p->x_lo);
    loom_figure_num(&vars, "x_hi", p->x_hi);
    loom_figure_num(&vars, "x_step", p->x_step);
    loom_figure_num(&vars, "shades", p->ordered ? (double)lines->n : 0);
    loom_accuracy_vars(&vars, "series", lines, p->labels, v);
    loom_status st = loom_results_figure(r, p->name, &vars, err);
    loom_figure_vars_release(&vars);
    return st;
}
