#include "eval/systems/view_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "eval/systems/system_page.h"

enum { BARS = 24, BAR_W = 6, BAR_H = 32, MOST_LISTED = 12 };

typedef struct view {
    loom_buf *html;
    const loom_shape_tally *t;
    const loom_view_trace *trace;
    int64_t number; /* of the trace */
    loom_call_tree tree;
    int32_t *op; /* of each call; -1: never seen */
    bool *critical;
} view;

/* Share of values below v, and half of those equal; NaN of nothing. */
static double percentile(const loom_time_counts *t, int64_t v)
{
    int64_t counts[LOOM_TIME_BINS], below = 0;
    int32_t bin = loom_time_bin(v);
    if (t->total == 0) return NAN;
    loom_time_counts_spread(t, counts);
    for (int32_t b = 0; b < bin; b++) below += counts[b];
    return ((double)below + (double)counts[bin] / 2) / (double)t->total;
}

static const loom_dependency_tally *dependency(const loom_system_tally *s, int32_t caller, int32_t callee)
{
    int32_t i = callee < 0 ? -1 : loom_pair_find(&s->pairs, caller, callee);
    return i < 0 ? NULL : &s->dep[i];
}

void loom_view_judge(loom_view_trace *v, const loom_shape_tally *t)
{
    int32_t service = loom_shape_service(t, v->graph.service), op = loom_shape_operation(t, &v->graph, 0);
    const loom_dependency_tally *root = dependency(&t->system, -1, op);
    v->structure = service < 0 ? NAN : (double)loom_shape_seen(t, &v->graph) / (double)t->system.service[service];
    v->slowness = root ? percentile(&root->response, v->graph.calls[0].rt) : NAN;
}

/* What is not known comes first: nothing is rarer. */
static double key_of(const loom_view_trace *v, bool slow)
{
    double k = slow ? -v->slowness : v->structure;
    return isnan(k) ? -2 : k;
}

void loom_view_order(loom_view_trace *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        v[i].at_rare = v[i].at_slow = 0;
        for (int64_t k = 0; k < n; k++) {
            double a = key_of(&v[k], false), b = key_of(&v[i], false), c = key_of(&v[k], true), d = key_of(&v[i], true);
            v[i].at_rare += a < b || (a == b && k < i);
            v[i].at_slow += c < d || (c == d && k < i);
        }
    }
}

/* ---- the critical path: what the response waited for, from the end backwards ---- */

static void mark(view *w, int32_t i)
{
    const loom_call *calls = w->tree.g->calls;
    int64_t until = loom_call_finish(&calls[i]);
    w->critical[i] = true;
    for (;;) {
        int32_t last = -1;
        for (int32_t k = w->tree.first[i]; k < w->tree.first[i + 1]; k++) {
            int32_t c = w->tree.child[k];
            if (w->critical[c] || loom_call_finish(&calls[c]) > until) continue;
            if (last < 0 || loom_call_finish(&calls[c]) >= loom_call_finish(&calls[last])) last = c;
        }
        if (last < 0) return;
        mark(w, last);
        until = calls[last].arrived;
    }
}

/* ---- contexts ---- */

static void share_text(loom_buf *html, double v)
{
    if (isnan(v)) loom_buf_str(html, "never");
    else if (v > 0 && v < .001) loom_buf_printf(html, "%.2g&nbsp;%%", 100 * v);
    else loom_buf_printf(html, "%.1f&nbsp;%%", 100 * v);
}

/* Bars of equal width in log(1 + ms), the one with the value marked. */
static void histogram(loom_buf *html, const loom_time_counts *t, int64_t v, const char *what)
{
    int64_t counts[LOOM_TIME_BINS], bars[BARS] = {0}, most = 1;
    int32_t n = loom_time_counts_spread(t, counts);
    double top = log1p((double)loom_max_i64(v, n ? loom_time_bin_value(n - 1) : 0)) + 1e-9;
    for (int32_t b = 0; b < n; b++)
        bars[(int)(log1p((double)loom_time_bin_value(b)) / top * (BARS - 1) + .5)] += counts[b];
    for (int b = 0; b < BARS; b++) most = loom_max_i64(most, bars[b]);
    int at = (int)(log1p((double)loom_max_i64(0, v)) / top * (BARS - 1) + .5);
    loom_buf_printf(
        html,
        "<svg class=\"hist\" role=\"img\" aria-label=\"%s of %lld such calls, 0 to %.0f ms; this one %lld ms\" width=\"%d\" height=\"%d\" "
        "viewBox=\"0 0 %d %d\">",
        what, (long long)t->total, expm1(top), (long long)v, BARS * BAR_W, BAR_H + 6, BARS * BAR_W, BAR_H + 6);
    for (int b = 0; b < BARS; b++) {
        int h = bars[b] ? 1 + (int)((BAR_H - 2) * sqrt((double)bars[b] / (double)most)) : 0;
        if (h)
            loom_buf_printf(html, "<rect class=\"bar\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", b * BAR_W,
                            BAR_H - h, BAR_W - 1, h);
    }
    loom_buf_printf(html, "<path class=\"mark\" d=\"M%d 0V%d\"/></svg>", at * BAR_W + BAR_W / 2, BAR_H + 6);
}

static void metric(view *w, int32_t i, const loom_dependency_tally *d)
{
    const loom_call *c = &w->tree.g->calls[i];
    bool calls = loom_call_tree_children(&w->tree, i) > 0;
    loom_buf_str(w->html, "<p><b>Metric.</b> ");
    if (!d) {
        loom_buf_str(w->html, "No such call from this caller is known.</p>");
        return;
    }
    loom_buf_printf(w->html, "Response %lld ms: slower than ", (long long)c->rt);
    share_text(w->html, percentile(&d->response, c->rt));
    loom_buf_printf(w->html, " of %lld such calls from this caller. Own time %lld ms: longer than ",
                    (long long)d->response.total, (long long)w->tree.own[i]);
    share_text(w->html, percentile(&d->own[calls], w->tree.own[i]));
    loom_buf_printf(w->html, " of those that %s.</p>", calls ? "call others" : "call nothing");
    histogram(w->html, &d->response, c->rt, "Response times");
}

typedef struct listed {
    int32_t op;
    double share;
} listed;

static int by_share(const void *a, const void *b)
{
    const listed *x = a, *y = b;
    return x->share > y->share ? -1 : x->share < y->share ? 1 : x->op < y->op ? -1 : x->op > y->op;
}

static void list_calls(view *w, const char *before, listed *l, int32_t n)
{
    const loom_operations *o = &w->t->system.ops;
    if (n == 0) return;
    qsort(l, (size_t)n, sizeof *l, by_share);
    loom_buf_printf(w->html, "<p><b>Structure.</b> %s</p><ul>", before);
    for (int32_t k = 0; k < n && k < MOST_LISTED; k++) {
        loom_buf_str(w->html, "<li><span class=\"name\">");
        loom_page_name(w->html, loom_operation_name(o, l[k].op));
        loom_buf_printf(w->html, "</span> %s (in ", loom_call_type_name(loom_operation_type(o, l[k].op)));
        share_text(w->html, l[k].share);
        loom_buf_str(w->html, " of the invocations)</li>");
    }
    if (n > MOST_LISTED) loom_buf_printf(w->html, "<li>and %d more</li>", n - MOST_LISTED);
    loom_buf_str(w->html, "</ul>");
}

static bool is_called(const view *w, int32_t i, int32_t op)
{
    for (int32_t k = w->tree.first[i]; k < w->tree.first[i + 1]; k++)
        if (w->op[w->tree.child[k]] == op) return true;
    return false;
}

static void structure(view *w, int32_t i, const loom_dependency_tally *d)
{
    const loom_system_tally *s = &w->t->system;
    int32_t op = w->op[i], up = w->tree.parent[i], n = 0;
    if (up >= 0 && w->op[up] >= 0) {
        double share = d ? (double)d->with / (double)s->op[w->op[up]].n : 0;
        if (share < LOOM_VIEW_SELDOM) {
            loom_buf_str(w->html, "<p><b>Structure.</b> Seldom: the caller makes this call in ");
            share_text(w->html, share);
            loom_buf_str(w->html, " of its invocations.</p>");
        }
    }
    if (op < 0) {
        loom_buf_str(w->html, "<p><b>Structure.</b> This operation was never seen.</p>");
        return;
    }
    listed *missing = loom_alloc(s->pairs.n, sizeof *missing);
    for (size_t k = 0; missing && k < s->pairs.n; k++) {
        double share = (double)s->dep[k].with / (double)loom_max_i64(1, s->op[op].n);
        if (loom_pair_a(&s->pairs, k) == op && share >= LOOM_VIEW_USUAL && !is_called(w, i, loom_pair_b(&s->pairs, k)))
            missing[n++] = (listed){loom_pair_b(&s->pairs, k), share};
    }
    list_calls(w, "Usually it also calls", missing, n);
    free(missing);
}

/* ---- one trace ---- */

static void call_row(view *w, int32_t i)
{
    const loom_graph *g = w->tree.g;
    const loom_call *c = &g->calls[i];
    double whole = (double)loom_max_i64(1, loom_call_finish(&g->calls[0]) - g->calls[0].arrived);
    double left = fmin(100, fmax(0, 100 * (double)(c->arrived - g->calls[0].arrived) / whole)),
           width = fmax(0, fmin(100 - left, 100 * (double)c->rt / whole));
    int32_t up = w->tree.parent[i];
    const loom_dependency_tally *d =
        up >= 0 && w->op[up] < 0 ? NULL : dependency(&w->t->system, up < 0 ? -1 : w->op[up], w->op[i]);
    double at = d ? percentile(&d->response, c->rt) : NAN;
    int indent = c->n_id > 12 ? 12 : c->n_id - 1;

    loom_buf_printf(
        w->html,
        "<li><details><summary><span class=\"what\" style=\"padding-left:%.1frem\"><span class=\"t %s\">%s</span> ",
        .7 * indent, loom_call_type_name(c->type), loom_call_type_name(c->type));
    loom_page_name(w->html, c->destination);
    loom_buf_printf(w->html, "</span><span class=\"num\">%lld&nbsp;ms</span><span class=\"num%s\">", (long long)c->rt,
                    at >= .95 ? " more" : "");
    if (isnan(at)) loom_buf_str(w->html, "new");
    else loom_buf_printf(w->html, "p%.0f", 100 * at);
    loom_buf_printf(
        w->html,
        "</span><span class=\"lane\" aria-hidden=\"true\"><span class=\"span %s%s\" style=\"left:%.2f%%;width:%.2f%%\"></span></span></summary><div class=\"ctx\"><p>%s",
        loom_call_type_name(c->type), w->critical[i] ? " crit" : "", left, width,
        w->critical[i] ? "On the critical path. " : "");
    loom_buf_str(w->html, "Call ");
    loom_id_render(w->html, c->id, c->n_id);
    loom_buf_str(w->html, " of <span class=\"name\">");
    loom_page_name(w->html, c->source);
    loom_buf_printf(w->html, "</span>, starts at %lld ms.</p>", (long long)(c->arrived - g->calls[0].arrived));
    metric(w, i, d);
    structure(w, i, d);
    loom_buf_str(w->html, "</div></details></li>\n");
}

/* When in the window roots of this service were slow: the share of each five minutes above the service's 90 %
 * quantile. */
static void times_of_day(view *w)
{
    const loom_shape_tally *t = w->t;
    int32_t service = loom_shape_service(t, w->tree.g->service), n = 0, first = INT32_MAX, last = -1;
    loom_time_counts all = {0};
    int64_t counts[LOOM_TIME_BINS];
    bool ok = true;
    for (size_t k = 0; k < t->windows.n && ok; k++) {
        int32_t window = loom_pair_b(&t->windows, k);
        if (loom_pair_a(&t->windows, k) != service) continue;
        n++;
        first = window < first ? window : first;
        last = window > last ? window : last;
        ok = loom_time_counts_merge(&all, &t->window[k]);
    }
    if (ok && n > 1) {
        int32_t limit = loom_time_bin((int64_t)loom_time_counts_quantile(&all, .9)), shown = last - first + 1;
        loom_buf_printf(
            w->html,
            "<p><b>Time.</b> Share of this service's graphs above its 90 %% quantile, by five minutes from %02d:%02d:</p>"
            "<svg class=\"hist\" role=\"img\" aria-label=\"Share of slow graphs in %d windows of five minutes\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\">",
            first / 12, first % 12 * 5, shown, shown < 40 ? shown * 8 : 320, BAR_H + 6, shown * 8, BAR_H + 6);
        for (size_t k = 0; k < t->windows.n; k++) {
            if (loom_pair_a(&t->windows, k) != service) continue;
            int64_t slow = 0;
            int32_t bins = loom_time_counts_spread(&t->window[k], counts),
                    x = (loom_pair_b(&t->windows, k) - first) * 8;
            for (int32_t b = limit + 1; b < bins; b++) slow += counts[b];
            int h = 1 + (int)(BAR_H * (double)slow / (double)t->window[k].total);
            loom_buf_printf(w->html, "<rect class=\"bar\" x=\"%d\" y=\"%d\" width=\"7\" height=\"%d\"/>", x,
                            BAR_H + 1 - h, h);
        }
        int32_t here = (int32_t)(w->tree.g->time_of_day / LOOM_SHAPE_WINDOW_MS);
        if (here >= first && here <= last)
            loom_buf_printf(w->html, "<path class=\"mark\" d=\"M%d 0V%d\"/>", (here - first) * 8 + 4, BAR_H + 6);
        loom_buf_str(w->html, "</svg>");
    }
    loom_time_counts_release(&all);
}

static void whole_structure(view *w)
{
    const loom_view_trace *v = w->trace;
    int32_t missing = 0, extra = 0, service = loom_shape_service(w->t, v->graph.service);
    if (service < 0) {
        loom_buf_str(w->html, "<p>This service was never seen.</p>");
        return;
    }
    int64_t graphs = w->t->system.service[service];
    loom_buf_str(w->html, "<p>Its structure is that of ");
    share_text(w->html, v->structure);
    loom_buf_printf(w->html, " of the service's %lld graphs; its response time is above ", (long long)graphs);
    share_text(w->html, v->slowness);
    loom_buf_str(w->html, " of theirs.");
    int64_t least = loom_max_i64(2, graphs / 100);
    int32_t near = v->structure < .01 ? loom_shape_nearest(w->t, &v->graph, least, &missing, &extra) : -1;
    if (near >= 0) {
        loom_buf_printf(w->html, " The nearest common structure, of ");
        share_text(w->html, (double)w->t->seen[near] / (double)graphs);
        loom_buf_printf(w->html, ", has %d calls that this one has not, and not %d of those here.", missing, extra);
    }
    loom_buf_str(w->html, "</p>");
}

static void write_trace(view *w)
{
    const loom_view_trace *v = w->trace;
    const loom_graph *g = &v->graph;
    loom_buf_printf(
        w->html,
        "<section id=\"t%lld\" style=\"--rare:%lld;--slow:%lld\" aria-labelledby=\"h%lld\"><h2 id=\"h%lld\"><a href=\"#t%lld\">Trace %lld</a>: ",
        (long long)w->number, (long long)v->at_rare, (long long)v->at_slow, (long long)w->number, (long long)w->number,
        (long long)w->number, (long long)w->number);
    loom_page_name(w->html, g->service);
    loom_buf_printf(w->html, "</h2><p class=\"soft\">%d calls, %lld ms, from <span class=\"name\">", g->n_calls,
                    (long long)g->calls[0].rt);
    loom_page_name(w->html, v->origin);
    loom_buf_str(w->html, "</span></p>\n");
    whole_structure(w);
    times_of_day(w);
    loom_buf_str(w->html, "<ol class=\"gantt\">\n");
    for (int32_t i = 0; i < g->n_calls; i++) call_row(w, i);
    loom_buf_str(w->html, "</ol></section>\n");
}

static const char style[] =
    "<style>.gantt{list-style:none;margin:.5rem 0;padding:0}.gantt li{border-bottom:1px solid var(--line)}.gantt details{margin:0}"
    ".gantt summary{display:grid;grid-template-columns:minmax(0,22rem) 5.2rem 3rem 1fr;gap:.5rem;align-items:center;padding:.15rem 0;color:var(--text);list-style:none}"
    ".gantt summary::-webkit-details-marker{display:none}.gantt summary:hover{background:var(--faint)}"
    ".what{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}details[open] .what{white-space:normal;overflow-wrap:anywhere}"
    ".num{text-align:right;font-variant-numeric:tabular-nums;font-size:.88rem}.lane{position:relative;height:14px;background:var(--faint)}"
    ".span{position:absolute;top:2px;height:10px;min-width:2px;background:currentColor}.crit{top:0;height:14px;outline:2px solid var(--text)}"
    ".rpc{color:var(--rpc)}.http{color:var(--http)}.mc{color:var(--mc)}.db{color:var(--db)}.mq{color:var(--mq)}.t{font-size:.8rem;font-weight:600}"
    ".ctx{padding:.2rem 0 .6rem 1rem;font-size:.93rem}.ctx p{margin:.2rem 0}.ctx ul{margin:.1rem 0 .3rem}"
    ".hist .bar{fill:var(--same)}.hist .mark{stroke:var(--mark);stroke-width:2}.hist{max-width:100%}"
    /* the focus goes as the page is seen, also in the other order */
    ".traces{display:flex;flex-direction:column;reading-flow:flex-visual}.traces section{order:var(--rare)}body:has(#by-slow:checked) .traces section{order:var(--slow)}"
    "@media(max-width:640px){.gantt summary{grid-template-columns:minmax(0,1fr) 4.6rem 2.4rem}.lane{grid-column:1/-1}}"
    "@media print{.gantt li{break-inside:avoid}}</style>\n";

bool loom_view_page(loom_buf *html, const loom_view_trace *traces, int64_t n, const loom_shape_tally *t,
                    const char *against)
{
    view w = {.html = html, .t = t};
    bool ok = true;
    loom_page_begin(html, n == 1 ? "One trace in context" : "Traces in context", NULL);
    loom_buf_str(html, style);
    loom_buf_printf(html, "<p>Beside what %lld graphs of <span class=\"name\">", (long long)t->system.graphs);
    loom_page_name(html, against);
    loom_buf_str(
        html,
        "</span> do. Each line is a call: open it for its context. p95 means slower than 95&nbsp;% of such calls from the same caller. "
        "Outlined bars are the critical path: what the response waited for.</p>\n");
    if (n > 1)
        loom_buf_str(
            html,
            "<p class=\"screen\"><label><input type=\"checkbox\" id=\"by-slow\"> slowest first (else rarest structure first)</label></p>\n");
    loom_buf_str(html, "<div class=\"traces\">\n");
    for (int64_t place = 0; place < n && ok; place++)
        for (int64_t i = 0; i < n && ok; i++) {
            if (traces[i].at_rare != place) continue; /* in the order that is shown first */
            int32_t calls = traces[i].graph.n_calls;
            w.trace = &traces[i];
            w.number = i + 1;
            w.op = loom_alloc((size_t)calls, sizeof *w.op);
            w.critical = loom_calloc((size_t)calls, sizeof *w.critical);
            ok = w.op && w.critical && loom_call_tree_fill(&w.tree, &traces[i].graph);
            for (int32_t k = 0; k < calls && ok; k++) w.op[k] = loom_shape_operation(t, &traces[i].graph, k);
            if (ok) mark(&w, 0);
            if (ok) write_trace(&w);
            free(w.op);
            free(w.critical);
        }
    loom_buf_str(html, "</div>\n");
    loom_page_end(html, NULL);
    loom_call_tree_release(&w.tree);
    return ok;
}
