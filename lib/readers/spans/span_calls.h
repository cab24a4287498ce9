/* From the tree of a trace to its calls: which spans show one, and whose times it has. */
#ifndef LOOM_READERS_SPANS_SPAN_CALLS_H
#define LOOM_READERS_SPANS_SPAN_CALLS_H

#include "readers/spans/span_counts.h"
#include "readers/spans/span_tree.h"

typedef struct loom_found_call {
    int32_t parent;     /* call, -1 for the root; a parent stands before its children */
    int64_t start, end; /* nanoseconds */
    int32_t order;      /* of discovery: settles equal starts */
    loom_call call;     /* arrived and rt in ms after loom_span_calls_time */
} loom_found_call;

typedef struct loom_span_calls {
    loom_found_call *items;
    size_t n, cap;
} loom_span_calls;

/* Appends one call; names are made to fit records, they live in `arena`. */
loom_status loom_span_calls_add(loom_span_calls *calls, int32_t parent, const char *from, const char *to,
                                const loom_span *span, loom_arena *arena, loom_err *err);
/* Walks the tree from its root; nodes that were reached are `seen`. Adds to call_spans, second_calls, inside, untyped
 * and whose times the calls have. */
loom_status loom_span_calls_walk(loom_span_calls *calls, loom_span_tree *t, loom_span_counts *counts, loom_arena *arena,
                                 loom_err *err);
/* Dotted ids, by start under each parent. False: no record holds as deep or as many ids. */
bool loom_span_calls_number(loom_span_calls *calls, loom_arena *arena);
/* A call that ends after its caller's ends with it, with all below; returns how many (of those that ms can tell). */
int64_t loom_span_calls_cut(loom_span_calls *calls);
/* Milliseconds: starts since the earliest call, and durations, each rounded half up once; a call that ends with or
 * before its caller's does so in milliseconds too. Returns when the earliest call began, ms since 1970. */
int64_t loom_span_calls_time(loom_span_calls *calls);

#endif
