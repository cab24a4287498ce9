/* A span of any of the formats, taken apart: what later files need to know of it. */
#ifndef LOOM_READERS_SPANS_SPAN_H
#define LOOM_READERS_SPANS_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/graph/callgraph.h"

typedef enum loom_span_kind {
    LOOM_SPAN_OTHER,
    LOOM_SPAN_INTERNAL,
    LOOM_SPAN_SERVER,
    LOOM_SPAN_CLIENT,
    LOOM_SPAN_PRODUCER,
    LOOM_SPAN_CONSUMER
} loom_span_kind; /* numbers as in OTLP */

/* Of the span that tells of such a call: its callee's, but stores have none, and their caller's tells. */
static inline loom_span_kind loom_span_kind_of_call(loom_call_type type)
{
    return loom_call_type_is_store(type) ? LOOM_SPAN_CLIENT
           : type == LOOM_CALL_MQ        ? LOOM_SPAN_CONSUMER
                                         : LOOM_SPAN_SERVER;
}

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

#endif
