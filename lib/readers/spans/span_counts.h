/* What became of the spans and traces that were read, in numbers. */
#ifndef LOOM_READERS_SPANS_SPAN_COUNTS_H
#define LOOM_READERS_SPANS_SPAN_COUNTS_H

#include "readers/counts/left_out.h"
#include "trace/graph/validity.h"

/* Why a trace is no graph, beyond loom_reason. */
enum {
    LOOM_SPANS_TOO_LARGE = LOOM_REASONS, /* no record holds as many calls or as deep ones */
    LOOM_SPANS_PARENTS_NOT_EXPORTED,     /* several topmost spans, whose parents are not there */
    LOOM_SPANS_FAULTS
};
const char *loom_spans_fault_name(int fault);

/* Every span is counted once: met = call_spans + inside + loom_left_spans(&left) + sum of rejected_spans.
 * Calls: calls = call_spans + second_calls. */
typedef struct loom_span_counts {
    int64_t traces, graphs, calls;
    int64_t spans;        /* met */
    int64_t call_spans;   /* that show a call or two */
    int64_t second_calls; /* calls beyond one of a span: it shows that it is called, and whom it calls */
    int64_t inside;       /* spans within a service, and callers' spans of calls that the callee's shows */
    loom_left_out left;
    int64_t rejected[LOOM_SPANS_FAULTS];       /* traces, by first reason */
    int64_t rejected_spans[LOOM_SPANS_FAULTS]; /* their spans */
    /* of graphs; no spans are lost by these */
    int64_t links, unnamed;
    int64_t not_exported; /* PARENT_NOT_EXPORTED: graphs whose first span names a parent that is not there */
    int64_t untyped;      /* calls without a hint of their type: taken as rpc */
    int64_t callee_times, caller_times; /* calls, by whose span gave their times */
    int64_t cut;                        /* calls that ended after their caller's: with cut_outliving */
} loom_span_counts;

/* Adds what the walk of a trace that is a graph has counted; traces, spans, links, unnamed and rejected stay. */
void loom_span_counts_join(loom_span_counts *to, const loom_span_counts *from);
void loom_span_counts_release(loom_span_counts *c);

#endif
