#include "preprocess/rows/trace_groups.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "trace/graph/rows.h"

/* Counting sort of the rows by trace, keeping the order of the file; also the first timestamp of every trace. */
static void group_rows(loom_trace_groups *g, int64_t *base, const loom_chunks *chunks, const loom_segment *segments,
                       size_t n_segments, size_t n_traces)
{
    for (size_t s = 0; s < n_segments; s++) {
        const loom_raw_row *rows = chunks->items[segments[s].chunk].rows + segments[s].first;
        for (int32_t i = 0; i < segments[s].n; i++) {
            uint32_t t = rows[i].trace;
            if (g->starts[t]++ == 0 || rows[i].timestamp < base[t]) base[t] = rows[i].timestamp;
        }
    }
    uint32_t sum = 0; /* counts to ends; placing from the back turns ends into starts */
    for (size_t t = 0; t < n_traces; t++) g->starts[t] = sum += g->starts[t];
    g->starts[n_traces] = sum;
    for (size_t s = n_segments; s-- > 0;) {
        const loom_raw_row *rows = chunks->items[segments[s].chunk].rows + segments[s].first;
        for (int32_t i = segments[s].n; i-- > 0;)
            g->refs[--g->starts[rows[i].trace]] = segments[s].chunk << 16 | (uint32_t)(segments[s].first + i);
    }
}

/* LSD radix sort by time of day: three passes of 9 bits hold 27 bits > 86,399,999. */
static void sort_by_time(loom_trace_key *keys, loom_trace_key *copy, size_t n)
{
    for (int shift = 0; shift < 27; shift += 9) {
        size_t counts[513] = {0};
        for (size_t i = 0; i < n; i++) counts[(keys[i].time_of_day >> shift & 511) + 1]++;
        for (int i = 0; i < 512; i++) counts[i + 1] += counts[i];
        for (size_t i = 0; i < n; i++) copy[counts[keys[i].time_of_day >> shift & 511]++] = keys[i];
        memcpy(keys, copy, n * sizeof *keys);
    }
}

static int compare_traceids(const void *a, const void *b, void *texts)
{
    return strcmp(loom_texts_at(texts, ((const loom_trace_key *)a)->trace),
                  loom_texts_at(texts, ((const loom_trace_key *)b)->trace));
}

/* Time of day, then trace id by bytes. `base` is used up: the sort needs as much room. */
static void order_traces(loom_trace_groups *g, int64_t *base, const loom_texts *traces)
{
    size_t n = 0;
    for (size_t t = 0; t < traces->n; t++) {
        if (g->starts[t + 1] == g->starts[t]) continue;
        int64_t time = base[t] % LOOM_MS_PER_DAY;
        g->order[n++] = (loom_trace_key){(uint32_t)(time < 0 ? time + LOOM_MS_PER_DAY : time), (uint32_t)t};
    }
    static_assert(sizeof(loom_trace_key) == sizeof *base, "the sort's copy takes the room of the first timestamps");
    sort_by_time(g->order, (loom_trace_key *)(void *)base, n);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && g->order[end].time_of_day == g->order[i].time_of_day;) end++;
        if (end - i > 1) qsort_r(g->order + i, end - i, sizeof *g->order, compare_traceids, (void *)(uintptr_t)traces);
    }
    g->n = n;
}

loom_status loom_trace_groups_make(loom_trace_groups *g, const loom_chunks *chunks, const loom_segment *segments,
                                   size_t n_segments, const loom_texts *traces, loom_err *err)
{
    size_t n_traces = traces->n, n_rows = 0;
    for (size_t s = 0; s < n_segments; s++) n_rows += (size_t)segments[s].n;
    int64_t *base = loom_alloc(n_traces, sizeof *base);
    g->starts = loom_calloc(n_traces + 1, sizeof *g->starts);
    g->refs = loom_alloc(n_rows, sizeof *g->refs);
    g->order = loom_alloc(n_traces, sizeof *g->order);
    if (!base || !g->starts || !g->refs || !g->order) {
        free(base);
        return loom_fail_nomem(err, "grouping the rows of a file");
    }
    group_rows(g, base, chunks, segments, n_segments, n_traces);
    order_traces(g, base, traces);
    free(base);
    g->bytes = (int64_t)(n_rows * (sizeof(loom_raw_row) + sizeof *g->refs)) + loom_texts_bytes(traces) +
               (int64_t)(n_traces * (sizeof *base + sizeof *g->starts + sizeof *g->order));
    return LOOM_OK;
}

void loom_trace_groups_release(loom_trace_groups *g)
{
    free(g->starts);
    free(g->refs);
    free(g->order);
}
