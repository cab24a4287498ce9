/* The page of a comparison: where, the two systems as one picture, and every change. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "eval/systems/compare_out.h"
#include "eval/systems/system_page.h"

enum { MOST_NODES = 60, MOST_ROWS = 300, BOX_W = 190, BOX_H = 34, GAP_X = 110, GAP_Y = 14 };

/* ---- the picture ---- */

typedef struct picture {
    const loom_contrast *c;
    int32_t *layer, *row; /* of each operation; layer -1: not drawn */
    int32_t *rows;        /* of each layer */
    int32_t n_layers;
    double *weight; /* why an operation is drawn: what has changed about it, then its traffic */
} picture;

static bool is_more(const loom_tested *t) { return isnan(t->superiority) ? t->after > t->before : t->superiority > .5; }

/* By the first of these tests that found something. */
static const char *class_of(const loom_change *x, loom_test from, loom_test to)
{
    for (int t = (int)from; t <= (int)to; t++)
        if (x->tests[t].found) return is_more(&x->tests[t]) ? "more" : "less";
    return "same";
}

static const char *share_class(const loom_change *x) { return class_of(x, LOOM_TEST_ASKED, LOOM_TEST_NUMBER); }
static const char *time_class(const loom_change *x) { return class_of(x, LOOM_TEST_OWN, LOOM_TEST_OWN_KINDS); }

static void weigh(picture *p)
{
    for (int64_t i = 0; i < p->c->n_changes; i++) {
        const loom_change *x = &p->c->changes[i];
        double by = (double)(x->calls[0] + x->calls[1]) / (double)(p->c->graphs[0] + p->c->graphs[1]);
        if (x->kind == LOOM_CHANGE_OPERATION) p->weight[x->callee] += by;
    }
    for (int64_t i = 0; i < p->c->n_places; i++) {
        const loom_change *x = &p->c->changes[p->c->places[i].change];
        p->weight[x->callee] += 1e6 + p->c->places[i].affected;
        if (x->caller >= 0) p->weight[x->caller] += 1e6 + p->c->places[i].affected;
    }
}

static int by_falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

/* Layers by the shortest way from USER; what is not drawn is passed through. */
static void find_layers(picture *p, int32_t n, double least)
{
    int32_t *far = p->row; /* not needed for rows yet */
    for (int32_t i = 0; i < n; i++) far[i] = INT32_MAX;
    for (bool more = true; more;) {
        more = false;
        for (int64_t i = 0; i < p->c->n_changes; i++) {
            const loom_change *x = &p->c->changes[i];
            if (x->kind != LOOM_CHANGE_DEPENDENCY || (x->caller >= 0 && far[x->caller] == INT32_MAX)) continue;
            int32_t d = x->caller < 0 ? 0 : far[x->caller] + 1;
            if (d >= far[x->callee]) continue;
            far[x->callee] = d;
            more = true;
        }
    }
    for (int32_t i = 0; i < n; i++) {
        p->layer[i] = p->weight[i] >= least && far[i] < 64 ? far[i] : -1;
        if (p->layer[i] >= p->n_layers) p->n_layers = p->layer[i] + 1;
    }
    for (int32_t i = 0; i < n; i++) p->row[i] = p->layer[i] < 0 ? 0 : p->rows[p->layer[i]]++;
}

static int node_x(const picture *p, int32_t op) { return 8 + p->layer[op] * (BOX_W + GAP_X); }
static int node_y(const picture *p, int32_t op) { return 8 + p->row[op] * (BOX_H + GAP_Y); }

static void draw_edge(loom_buf *html, const picture *p, const loom_change *x)
{
    const loom_contrast *c = p->c;
    if (x->caller < 0 || p->layer[x->caller] < 0 || p->layer[x->callee] < 0) return;
    int ax = node_x(p, x->caller) + BOX_W, ay = node_y(p, x->caller) + BOX_H / 2, bx = node_x(p, x->callee),
        by = node_y(p, x->callee) + BOX_H / 2;
    double per = (double)(x->calls[0] + x->calls[1]) / (double)(c->graphs[0] + c->graphs[1]);
    int bend = bx > ax ? (bx - ax) / 2 : 60;
    loom_buf name = {0};
    loom_change_name(&name, c, x);
    loom_buf_printf(html, "<path class=\"%s\" stroke-width=\"%.1f\" d=\"M%d %dC%d %d %d %d %d %d\"><title>",
                    share_class(x), 1 + 3 * sqrt(per < 2 ? per : 2), ax, ay, ax + bend, ay, bx - bend, by, bx, by);
    loom_page_name(html, loom_buf_text(&name));
    loom_buf_printf(html, ": in %.1f %% of the graphs before, %.1f %% after</title></path>\n",
                    100 * (double)x->graphs[0] / (double)c->graphs[0],
                    100 * (double)x->graphs[1] / (double)c->graphs[1]);
    loom_buf_release(&name);
}

static void draw_node(loom_buf *html, const picture *p, const loom_change *x)
{
    int32_t op = x->callee;
    if (p->layer[op] < 0) return;
    const char *service = loom_operation_service(&p->c->ops, op), *name = loom_operation_name(&p->c->ops, op);
    int x0 = node_x(p, op), y0 = node_y(p, op);
    const char *change = time_class(x);
    loom_buf_printf(html, "<g><title>");
    loom_page_name(html, name);
    loom_buf_printf(html, " %s ", loom_call_type_name(loom_operation_type(&p->c->ops, op)));
    loom_page_name(html, service);
    loom_buf_printf(
        html,
        ", median own time %.0f ms before, %.0f ms after</title><rect class=\"box %s\" stroke-width=\"%d\" rx=\"5\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>",
        x->tests[LOOM_TEST_OWN].before, x->tests[LOOM_TEST_OWN].after, change, strcmp(change, "same") ? 3 : 1, x0, y0,
        BOX_W, BOX_H);
    loom_buf_printf(html, "<text x=\"%d\" y=\"%d\">", x0 + 8, y0 + 21);
    loom_page_name_cut(html, name, 18);
    loom_buf_printf(html, " %s</text></g>\n", loom_call_type_name(loom_operation_type(&p->c->ops, op)));
}

static void draw_all(loom_buf *html, picture *p)
{
    int32_t most = 1;
    for (int32_t l = 0; l < p->n_layers; l++) most = p->rows[l] > most ? p->rows[l] : most;
    int w = 16 + p->n_layers * (BOX_W + GAP_X) - GAP_X, h = 16 + most * (BOX_H + GAP_Y);
    loom_page_wide_begin(html, "Both systems in one picture");
    loom_buf_printf(
        html,
        "<svg role=\"img\" aria-label=\"Operations and calls of both sets; the table below has what changed\" "
        "width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n",
        w, h, w, h);
    for (int64_t i = 0; i < p->c->n_changes; i++)
        if (p->c->changes[i].kind == LOOM_CHANGE_DEPENDENCY) draw_edge(html, p, &p->c->changes[i]);
    for (int64_t i = 0; i < p->c->n_changes; i++)
        if (p->c->changes[i].kind == LOOM_CHANGE_OPERATION) draw_node(html, p, &p->c->changes[i]);
    loom_buf_str(html, "</svg>\n");
    loom_page_wide_end(html);
}

static void write_picture(loom_buf *html, const loom_contrast *c)
{
    int32_t n = (int32_t)c->ops.keys.n;
    picture p = {.c = c};
    p.layer = loom_alloc((size_t)n, sizeof *p.layer);
    p.row = loom_alloc((size_t)n, sizeof *p.row);
    p.rows = loom_calloc(64, sizeof *p.rows);
    p.weight = loom_calloc((size_t)n, sizeof *p.weight);
    double *sorted = loom_alloc((size_t)n, sizeof *sorted);
    if (p.layer && p.row && p.rows && p.weight && sorted) { /* else core/nomem.h keeps the page from its name */
        weigh(&p);
        memcpy(sorted, p.weight, (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, by_falling);
        find_layers(&p, n, sorted[n > MOST_NODES ? MOST_NODES - 1 : n - 1]);
        loom_buf_str(
            html,
            "<h2>Both systems in one picture</h2>\n<p>Lines are calls, wider with more traffic: "
            "<span class=\"more\">more often</span>, <span class=\"less\">less often</span>, grey as before. Boxes are operations: "
            "<span class=\"more\">slower</span>, <span class=\"less\">faster</span>, grey as before.");
        if (n > MOST_NODES)
            loom_buf_printf(html, " Of %d operations those that changed and the busiest others are shown.", n);
        loom_buf_str(html, "</p>\n");
        draw_all(html, &p);
    }
    free(p.layer);
    free(p.row);
    free(p.rows);
    free(p.weight);
    free(sorted);
}

/* ---- tables ---- */

static void value(loom_buf *html, loom_test test, double v)
{
    loom_test_unit unit = loom_test_unit_of(test);
    if (isnan(v)) loom_buf_str(html, "\xe2\x80\x93");
    else if (unit == LOOM_TEST_SHARE) loom_buf_printf(html, "%.1f&nbsp;%%", 100 * v);
    else loom_buf_printf(html, unit == LOOM_TEST_MS ? "%.0f&nbsp;ms" : "%.2f", v);
}

static void values(loom_buf *html, const loom_tested *t, loom_test test)
{
    loom_page_cell_begin(html, "before", true);
    value(html, test, t->before);
    loom_page_cell_end(html);
    loom_page_cell_begin(html, "after", true);
    value(html, test, t->after);
    loom_page_cell_end(html);
}

static const char *test_title(loom_test t)
{
    static const char *const titles[LOOM_TESTS] = {"share of graphs",
                                                   "invocations that call it",
                                                   "of these, more calls than usual",
                                                   "calls of an invocation, mean",
                                                   "own time, median",
                                                   "own time above the 90 % quantile",
                                                   "own time within short and long ones, median",
                                                   "response time, median",
                                                   "response time above the 90 % quantile",
                                                   "response time within short and long ones, median"};
    return titles[t];
}

static void write_places(loom_buf *html, const loom_contrast *c)
{
    loom_buf name = {0};
    if (c->n_places == 0) {
        loom_buf_str(html, "<p>Nothing was found to differ.</p>\n");
        return;
    }
    loom_buf_str(html, "<h2>Where it comes from</h2>\n");
    loom_page_table_begin(html, "Places that have changed themselves, most affected graphs first",
                          "rank|where|what|measure|before|after|graphs affected");
    for (int64_t i = 0; i < c->n_places && i < MOST_ROWS; i++) {
        const loom_place *p = &c->places[i];
        const loom_tested *t = &c->changes[p->change].tests[p->test];
        loom_buf_reset(&name);
        loom_change_name(&name, c, &c->changes[p->change]);
        loom_buf_str(html, "<tr>");
        loom_page_cell_begin(html, "rank", false);
        loom_buf_printf(html, "%lld</td>", (long long)i + 1);
        loom_page_cell_begin(html, "where", false);
        loom_page_name(html, loom_buf_text(&name));
        loom_page_cell_end(html);
        loom_page_cell_begin(html, "what", false);
        loom_buf_printf(html, "<span class=\"%s\">%s</span></td>", is_more(t) ? "more" : "less", p->what);
        loom_page_cell_begin(html, "measure", false);
        loom_buf_str(html, test_title(p->test));
        loom_page_cell_end(html);
        values(html, t, p->test);
        loom_page_cell_begin(html, "graphs affected", true);
        loom_buf_printf(html, "%.0f</td></tr>\n", p->affected);
    }
    loom_page_table_end(html);
    loom_buf_release(&name);
}

static void write_changes(loom_buf *html, const loom_contrast *c)
{
    loom_buf name = {0};
    int64_t rows = 0;
    if (c->n_found == 0) return;
    loom_buf_str(html, "<details><summary>Every change found</summary>\n");
    loom_page_table_begin(html, "Tests found at the false discovery rate; explained: by the change of another place",
                          "kind|where|measure|before|after|q|explained");
    for (int64_t i = 0; i < c->n_changes * LOOM_TESTS && rows < MOST_ROWS; i++) {
        const loom_change *x = &c->changes[i / LOOM_TESTS];
        const loom_tested *t = &x->tests[i % LOOM_TESTS];
        if (!t->found) continue;
        loom_buf_reset(&name);
        loom_change_name(&name, c, x);
        loom_buf_str(html, "<tr>");
        loom_page_cell_begin(html, "kind", false);
        loom_buf_printf(html, "%s</td>", loom_change_kind_names[x->kind]);
        loom_page_cell_begin(html, "where", false);
        loom_page_name(html, loom_buf_text(&name));
        loom_page_cell_end(html);
        loom_page_cell_begin(html, "measure", false);
        loom_buf_printf(html, "%s</td>", test_title((loom_test)(i % LOOM_TESTS)));
        values(html, t, (loom_test)(i % LOOM_TESTS));
        loom_page_cell_begin(html, "q", true);
        loom_buf_printf(html, "%.2g</td>", t->q);
        loom_page_cell_begin(html, "explained", false);
        loom_buf_printf(html, "%s</td></tr>\n", x->explained ? "yes" : "no");
        rows++;
    }
    loom_page_table_end(html);
    loom_buf_str(html, "</details>\n");
    if (rows == MOST_ROWS) loom_buf_str(html, "<p class=\"soft\">There are more in changes.csv.</p>\n");
    loom_buf_release(&name);
}

void loom_contrast_page(loom_buf *html, const loom_contrast *c, const loom_contrast_conf *conf, const char *before,
                        const char *after)
{
    loom_page_begin(html, "Two sets of traces compared", NULL);
    loom_buf_str(html, "<p>Before: <span class=\"name\">");
    loom_page_name(html, before);
    loom_buf_printf(html, "</span>, %lld graphs. After: <span class=\"name\">", (long long)c->graphs[0]);
    loom_page_name(html, after);
    loom_buf_printf(html, "</span>, %lld graphs. %lld tests, %lld of them found at a false discovery rate of %g.</p>\n",
                    (long long)c->graphs[1], (long long)c->n_tests, (long long)c->n_found, conf->fdr);
    write_places(html, c);
    write_picture(html, c);
    write_changes(html, c);
    loom_page_end(html, NULL);
}
