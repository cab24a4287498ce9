/* What is known about the sample traces because we made them: exact probabilities of calls, the record that cleaning
 * must leave of each trace, which calls were delayed and which microservice is to blame. */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_TRUTH_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_TRUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/pool.h"
#include "preprocess/samples/sample_rows.h"

/* Exact figures of one slot, the cap on calls per trace apart. */
typedef struct loom_sample_slot_truth {
    double p;        /* probability that a trace of the service calls the slot at all */
    double calls;    /* expected number of its calls per trace */
    double p_triple; /* probability that a trace holds a call (source, type, destination) equal to the slot's */
} loom_sample_slot_truth;

typedef struct loom_sample_truth {
    loom_sample_slot_truth **slots; /* per template, n_slots each */
    int64_t *p90;                   /* per template: 90th percentile of the root latency, ms, of 1,001 draws */
} loom_sample_truth;

loom_status loom_sample_truth_new(loom_sample_truth **out, const loom_sample_world *world, loom_pool *pool,
                                  loom_err *err);
void loom_sample_truth_free(loom_sample_truth *truth, const loom_sample_world *world);

/* Appends what cleaning leaves of these rows (docs/VALIDITY.md): canonical records, each with LF. Returns how many:
 * 0, 1, or more when a trace straddles files with a root row in each, as files are cleaned one by one. */
int32_t loom_sample_cleaned(loom_buf *into, const loom_sample_world *world, const loom_sample_trace *trace,
                            const loom_sample_rows *rows, loom_arena *scratch);

/* One JSON object with LF (truth.jsonl); true when cleaning leaves something of the trace. Resets `scratch`. Keys:
 * traceid, service, mode (from 0), n_edges, depth, root_latency (ms), slow (rpc_ids of delayed calls), culprit (the
 * microservice whose own time on the critical path is longest beyond its usual, when the trace takes longer than the
 * service's p90, else null), rare ("id|type|source|destination" of calls that fewer than one in ten traces of the
 * service have), quirks (names), clean, cleaned (the records that cleaning leaves). */
bool loom_sample_truth_line(loom_buf *into, const loom_sample_world *world, const loom_sample_truth *truth,
                            const loom_sample_trace *trace, const loom_sample_rows *rows, loom_arena *scratch);
/* templates.json, whole. */
void loom_sample_templates_json(loom_buf *into, const loom_sample_world *world, const loom_sample_truth *truth);

#endif
