/* The page of single traces in the context of many (docs/SYSTEMS.md, "One trace in context"). */
#ifndef LOOM_EVAL_VIEW_PAGE_H
#define LOOM_EVAL_VIEW_PAGE_H

#include "system/shape_tally.h"

#define LOOM_VIEW_MOST_TRACES 50
#define LOOM_VIEW_USUAL       0.5 /* calls that at least this share of the invocations makes are usual */
#define LOOM_VIEW_SELDOM      0.1 /* that less than this share makes are seldom */

typedef struct loom_view_trace {
    loom_graph graph;
    const char *origin; /* the file it comes from */
    double structure;   /* share of its structure among the graphs of its service; NaN: no such service */
    double slowness;    /* percentile of its response time among the roots of its operation, 0 .. 1; NaN: not known */
    int64_t at_rare, at_slow; /* places in the two orders, from 0 */
} loom_view_trace;

/* Fills structure and slowness. */
void loom_view_judge(loom_view_trace *v, const loom_shape_tally *t);
/* Fills at_rare and at_slow of all. */
void loom_view_order(loom_view_trace *v, int64_t n);
/* False: no memory. */
bool loom_view_page(loom_buf *html, const loom_view_trace *traces, int64_t n, const loom_shape_tally *t,
                    const char *against);

#endif
