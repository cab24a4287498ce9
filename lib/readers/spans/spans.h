/* Traces of other tools as call graphs: Jaeger JSON, OTLP (JSON and protobuf) and Zipkin v2.
 *
 *   loom_spans s = {0};
 *   loom_span_counts counts = {0};
 *   LOOM_TRY(loom_spans_add_text(&s, text, len, "trace.json", err));   as often as there are files
 *   LOOM_TRY(loom_spans_graphs(&s, take, &state, &counts, err));       one graph for each trace
 *   loom_span_counts_release(&counts);
 *   loom_spans_release(&s);
 *
 * docs/FORMATS.md, "Traces of other systems", has the rules: what is a call, whose times it has, which spans are left
 * out and how they are counted. Spans written by the toolkit itself carry callgraph.* attributes, which are taken as
 * they are: writing and reading back gives the same graph. */
#ifndef LOOM_READERS_SPANS_SPANS_H
#define LOOM_READERS_SPANS_SPANS_H

#include "core/hash.h"
#include "readers/counts/left_out.h"
#include "trace/graph/callgraph.h"
#include "trace/graph/validity.h"

typedef enum loom_span_kind {
    LOOM_SPAN_OTHER,
    LOOM_SPAN_INTERNAL,
    LOOM_SPAN_SERVER,
    LOOM_SPAN_CLIENT,
    LOOM_SPAN_PRODUCER,
    LOOM_SPAN_CONSUMER
} loom_span_kind;

#define LOOM_SPAN_USER   "USER"
#define LOOM_SPAN_UNTOLD INT64_MIN

typedef struct loom_span {
    int64_t trace;           /* number of the trace, in order of appearance */
    const char *id, *parent; /* as loom_span_id spells them; "" none */
    const char *service, *operation;
    int64_t start, end; /* nanoseconds since 1970 */
    loom_span_kind kind;
    bool lost;                 /* left out already: only its place between parent and children is known */
    const char *callee;        /* named by the span; "" none */
    loom_call_type type;       /* LOOM_CALL_TYPES: not told */
    int8_t callee_by, type_by; /* how sure these are: span_attributes.c */
    const char *edge_id, *caller, *service_id; /* callgraph.*; "" none */
    int64_t arrived, rt;                       /* callgraph.arrived, .rt, ms; LOOM_SPAN_UNTOLD: not there */
} loom_span;

static inline bool loom_span_is_outgoing(const loom_span *s)
{
    return s->kind == LOOM_SPAN_CLIENT || s->kind == LOOM_SPAN_PRODUCER;
}
static inline bool loom_span_is_incoming(const loom_span *s)
{
    return s->kind == LOOM_SPAN_SERVER || s->kind == LOOM_SPAN_CONSUMER;
}

typedef struct loom_spans {
    /* set before the first document */
    bool strict;        /* what cannot be read is an error, not a count */
    bool cut_outliving; /* a call that ends after its caller's ends with it */
    /* what was read */
    loom_span *items;
    int64_t n;
    size_t cap;
    int64_t read;     /* files */
    const char *name; /* of the file, NULL when they are several */
    int64_t met;      /* spans in the documents; some have no place among the items */
    int64_t links;    /* references to spans of other traces, or further ones: no parents */
    int64_t unnamed;  /* spans whose resource names no service: unknown_service */
    loom_left_out left;
    loom_intern traces;
    loom_arena arena;
} loom_spans; /* zero-initialised is ready */

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

/* All documents of a file: Jaeger, OTLP or Zipkin JSON, one after the other or one a line, any of them damaged. With
 * `strict`: FORMAT for the first that cannot be used. `name` is the file in messages and places. */
loom_status loom_spans_add_text(loom_spans *s, const char *text, size_t len, const char *name, loom_err *err);

/* The same for OTLP in protobuf: messages one behind the other, or each with its length in front. Places are bytes. */
loom_status loom_spans_add_protobuf(loom_spans *s, const void *bytes, size_t len, const char *name, loom_err *err);
/* Does a file that begins so hold that? 64 bytes tell. */
bool loom_spans_are_protobuf(const char *text, size_t len);

typedef loom_status (*loom_take_graph)(void *arg, const loom_graph *g, loom_err *err);
/* Graphs in order of first appearance of their traces; borrowed until `take` returns. Invalid ones are counted only.
 * What `s` has counted is added to *counts. */
loom_status loom_spans_graphs(loom_spans *s, loom_take_graph take, void *arg, loom_span_counts *counts, loom_err *err);
void loom_span_counts_release(loom_span_counts *c);
void loom_spans_release(loom_spans *s);

#endif
