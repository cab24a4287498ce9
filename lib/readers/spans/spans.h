/* Traces of other tools as call graphs: Jaeger JSON, OTLP (JSON and protobuf), Zipkin v2 and tables of spans.
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

#include "core/arena.h"
#include "core/hash.h"
#include "readers/spans/span.h"
#include "readers/spans/span_counts.h"

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

/* All documents of a file: Jaeger, OTLP or Zipkin JSON, one after the other or one a line, any of them damaged. With
 * `strict`: FORMAT for the first that cannot be used. `name` is the file in messages and places. */
loom_status loom_spans_add_text(loom_spans *s, const char *text, size_t len, const char *name, loom_err *err);

/* The same for OTLP in protobuf: messages one behind the other, or each with its length in front. Places are bytes. */
loom_status loom_spans_add_protobuf(loom_spans *s, const void *bytes, size_t len, const char *name, loom_err *err);
/* Does a file that begins so hold that? 64 bytes tell. */
bool loom_spans_are_protobuf(const char *text, size_t len);

/* The same for CSV with a span a row, under a header without a byte order mark; FORMAT when a column is missing. */
loom_status loom_spans_add_table(loom_spans *s, const char *text, size_t len, const char *name, loom_err *err);
/* Does its first line name trace and span ids? */
bool loom_spans_are_table(const char *text, size_t len);

typedef loom_status (*loom_take_graph)(void *arg, const loom_graph *g, loom_err *err);
/* Graphs in order of first appearance of their traces; borrowed until `take` returns. Invalid ones are counted only.
 * What `s` has counted is added to *counts. */
loom_status loom_spans_graphs(loom_spans *s, loom_take_graph take, void *arg, loom_span_counts *counts, loom_err *err);
void loom_spans_release(loom_spans *s);

#endif
