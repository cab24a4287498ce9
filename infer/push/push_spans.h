/* Call graphs to an OpenTelemetry collector, as OTLP/HTTP in JSON: batches of spans, gzip, retries with back-off
 * (https://opentelemetry.io/docs/specs/otlp/, "OTLP/HTTP").
 *
 *   loom_push *p = NULL;
 *   LOOM_TRY(loom_push_open(&p, &conf, err));
 *   LOOM_TRY(loom_push_graph(p, &graph, err));      any number; sends when a batch is full or a pause comes
 *   LOOM_TRY(loom_push_finish(p, err));             the rest
 *   counts = loom_push_counts_of(p);                also after an error
 *   loom_push_close(&p); */
#ifndef LOOM_INFER_PUSH_SPANS_H
#define LOOM_INFER_PUSH_SPANS_H

#include "core/buf.h"
#include "core/err.h"
#include "trace/graph/callgraph.h"

typedef struct loom_push_conf {
    const char *url;
    int64_t batch;     /* spans of a request, at least; a graph is never split */
    int64_t retries;   /* of one request, before it is given up */
    int64_t timeout_s; /* of one try */
    double rate;       /* graphs a second; 0: as fast as they are taken */
    double speed;      /* times of day of the graphs pass so many times as fast as they did; 0: they do not matter */
    bool
        keep_times; /* spans have the times that the graphs have, from epoch_ms on; else a graph ends when it is sent */
    bool gzip, synthetic;
    uint64_t seed; /* of trace ids and of the back-off */
    int64_t epoch_ms;
} loom_push_conf;

/* All spans are accepted, refused or not sent: spans = accepted + refused + unsent. */
typedef struct loom_push_counts {
    int64_t graphs, spans;
    int64_t accepted, refused; /* refused: by partialSuccess, or with a request that was refused whole */
    int64_t unsent;            /* of requests that had no answer, and those left waiting */
    int64_t requests, retried;
    int64_t bytes, sent; /* of JSON; of what went over the wire for it, retries not counted */
    double seconds;
    char why[200]; /* the collector's first words about refused spans; "": none */
} loom_push_counts;

typedef struct loom_push loom_push;

loom_status loom_push_open(loom_push **out, const loom_push_conf *conf, loom_err *err);
/* IO with a sentence when the collector is not there, goes on failing or refuses a request; INTERRUPT when stopped. */
loom_status loom_push_graph(loom_push *p, const loom_graph *g, loom_err *err);
loom_status loom_push_finish(loom_push *p, loom_err *err);
loom_push_counts loom_push_counts_of(const loom_push *p);
void loom_push_close(loom_push **p); /* NULL is fine */

/* What an answer says of refused spans (ExportTraceServiceResponse): their number, 0 where it says nothing; the words
 * into why, escaped. */
int64_t loom_push_refused(const char *body, size_t len, char *why, size_t cap);

#endif
