/* What every reader of spans is held to, whatever the bytes. */
#ifndef LOOM_FUZZ_SPANS_H
#define LOOM_FUZZ_SPANS_H

#include <stdlib.h>

#include "readers/spans/spans.h"
#include "trace/graph/record.h"

static inline void must(bool holds)
{
    if (!holds) abort();
}

/* Appends the record of a graph, which must read back as the same graph. */
static inline void check_record(loom_buf *line, const loom_graph *g)
{
    loom_arena arena = {0};
    loom_verdict why = {0};
    loom_graph again;
    size_t from = line->len;

    loom_record_render(line, g);
    must(loom_record_read(&again, &why, line->data + from, line->len - from, &arena) && loom_graph_equal(g, &again));
    loom_arena_release(&arena);
}

/* Every trace and every span is counted once. */
static inline void check_counts(const loom_span_counts *c, int64_t graphs)
{
    int64_t traces = c->graphs, spans = c->call_spans + c->inside + loom_left_spans(&c->left);

    for (int i = 0; i < LOOM_SPANS_FAULTS; i++) {
        traces += c->rejected[i];
        spans += c->rejected_spans[i];
    }
    must(traces == c->traces && c->graphs == graphs && spans == c->spans);
}

/* Takes a graph: it must be valid; *arg counts them. */
static inline loom_status count_graph(void *arg, const loom_graph *g, loom_err *err)
{
    loom_buf line = {0};

    (void)err;
    check_record(&line, g);
    ++*(int64_t *)arg;
    loom_buf_release(&line);
    return LOOM_OK;
}

#endif
