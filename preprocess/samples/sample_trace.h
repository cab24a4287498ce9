/* One clean trace, drawn from its service's template: the tree of calls with whole-millisecond times.
 *
 * By construction every child starts no earlier and finishes no later than its parent; calls are in dotted-id order. */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_TRACE_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "preprocess/samples/sample_world.h"

#define LOOM_SAMPLE_USER (-1) /* the caller of a root */

typedef struct loom_sample_call {
    int32_t slot;
    int32_t parent; /* call, -1 for the root */
    int32_t depth;  /* 1 for the root */
    int32_t n_children;
    int32_t source, destination; /* names; source LOOM_SAMPLE_USER for the root */
    int32_t pod;                 /* instance of the destination */
    size_t id_at, id_len;        /* dotted id in trace->ids */
    int64_t start, rt;           /* ms; start since the root's */
    bool slow;                   /* an injected delay */
} loom_sample_call;

typedef struct loom_sample_trace {
    int64_t index;   /* of the trace */
    int64_t arrival; /* start of the root, ms since the start of the window */
    int32_t service; /* template */
    int32_t mode;
    int32_t depth;
    loom_sample_call *calls;
    int32_t n_calls, cap;
    loom_buf ids;
} loom_sample_trace; /* zero-initialised is ready; reused from draw to draw */

/* Start of trace `index`; the same as draw gives, but cheap. */
int64_t loom_sample_arrival(const loom_sample_world *world, int64_t index);
/* Fills *trace (reusing its memory) with trace `index`. */
bool loom_sample_draw(const loom_sample_world *world, int64_t index, loom_sample_trace *trace);
/* A trace of the given service from a stream of the caller's: for studies of one template. index and arrival are 0. */
bool loom_sample_draw_service(const loom_sample_world *world, int32_t service, loom_rng *r, loom_sample_trace *trace);
void loom_sample_trace_release(loom_sample_trace *trace);

/* The number in "T_<11 digits>" of a trace; different for different traces of one seed. */
int64_t loom_sample_trace_number(const loom_sample_world *world, int64_t index);

static inline const char *loom_sample_call_id(const loom_sample_trace *t, const loom_sample_call *c)
{
    return t->ids.data + c->id_at;
}

#endif
