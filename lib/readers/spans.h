/* Traces of other tools as call graphs: Jaeger JSON and OTLP/JSON.
 *
 *   loom_spans s = {0};
 *   LOOM_TRY(loom_spans_add_json(&s, root, "trace.json", err));        as often as there are documents
 *   LOOM_TRY(loom_spans_graphs(&s, take, &state, &counts, err));       one graph for each trace
 *   loom_spans_release(&s);
 *
 * A call is where a request moves from one service to another: a span whose service is not the one its parent is in, or
 * a client span that names a callee (peer.service, server.address, net.peer.name, db.system, host of http.url or
 * url.full) and has no span of the callee below. Spans inside a service are passed through; calls below them belong to
 * the call that entered the service. The first span is the call from USER. Calls are numbered by start under their
 * parent, times are milliseconds rounded half up. Spans written by the toolkit itself carry callgraph.* attributes,
 * which are taken as they are: writing and reading back gives the same graph. */
#ifndef LOOM_READERS_SPANS_H
#define LOOM_READERS_SPANS_H

#include "core/hash.h"
#include "core/json.h"
#include "trace/callgraph.h"
#include "trace/validity.h"

typedef enum loom_span_kind {
    LOOM_SPAN_OTHER,
    LOOM_SPAN_INTERNAL,
    LOOM_SPAN_SERVER,
    LOOM_SPAN_CLIENT,
    LOOM_SPAN_PRODUCER,
    LOOM_SPAN_CONSUMER
} loom_span_kind;

#define LOOM_SPAN_USER "USER"

typedef struct loom_span {
    int64_t trace;            /* number of the trace, in order of appearance */
    const char *id, *parent;  /* "" none */
    const char *service, *operation;
    int64_t start, end;       /* microseconds */
    loom_span_kind kind;
    const char *callee;       /* named by the span; "" none */
    const char *host;         /* from an address or URL: the callee of a client span that names no other */
    loom_call_type type;      /* LOOM_CALL_TYPES: not told */
    const char *edge_id, *caller, *service_id; /* callgraph.*; "" none */
    int64_t arrived, rt;      /* callgraph.arrived, .rt, ms; LOOM_SPAN_UNTOLD: not there */
} loom_span;

#define LOOM_SPAN_UNTOLD INT64_MIN

typedef struct loom_spans {
    loom_span *items;
    int64_t n;
    size_t cap;
    int64_t bad_times;        /* spans not kept, see loom_span_counts */
    loom_intern traces;
    loom_arena arena;
} loom_spans; /* zero-initialised is ready */

typedef struct loom_span_counts {
    int64_t traces, spans, graphs, calls;
    int64_t inside;        /* spans within a service: no calls */
    int64_t orphans;       /* parent is not there: left out, with all below */
    int64_t extra_roots;   /* more than one first span: the earliest is taken */
    int64_t repeated_ids;  /* the first of a span id is taken */
    int64_t below_orphans; /* left out because they hang on such spans, or on one another */
    int64_t bad_times;     /* spans left out: end before start, negative or beyond all calendars */
    int64_t untyped;       /* calls without a hint of their type: taken as rpc */
    int64_t rejected[LOOM_REASONS]; /* graphs, by first reason */
    int64_t too_large;     /* traces that no graph can hold */
} loom_span_counts;

/* Jaeger ({"data": [...]}, or one trace) or OTLP ({"resourceSpans": [...]}, or an array of such). FORMAT when it is
 * neither, or a required field is missing. */
loom_status loom_spans_add_json(loom_spans *s, const loom_json *root, const char *name, loom_err *err);

typedef loom_status (*loom_take_graph)(void *arg, const loom_graph *g, loom_err *err);
/* Graphs in order of first appearance of their traces; borrowed until `take` returns. Invalid ones are counted only. */
loom_status loom_spans_graphs(loom_spans *s, loom_take_graph take, void *arg, loom_span_counts *counts, loom_err *err);
void loom_spans_release(loom_spans *s);

#endif
