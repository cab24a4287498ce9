/* What the server did, as metrics in Prometheus' text format. */
#ifndef LOOM_INFER_SERVICE_COUNTS_H
#define LOOM_INFER_SERVICE_COUNTS_H

#include "core/buf.h"
#include "infer/engine/engine.h"

typedef enum loom_endpoint {
    LOOM_ENDPOINT_GENERATE,
    LOOM_ENDPOINT_COMPLETIONS,
    LOOM_ENDPOINT_CALLGRAPHS,
    LOOM_ENDPOINT_MODELS,
    LOOM_ENDPOINT_HEALTH,
    LOOM_ENDPOINT_METRICS,
    LOOM_ENDPOINT_PAGE,
    LOOM_ENDPOINT_OTHER,
    LOOM_ENDPOINTS
} loom_endpoint;
extern const char *const loom_endpoint_paths[]; /* "/generate", ...; "other" */

enum { LOOM_DURATIONS = 8, LOOM_STATUSES = 600 };

typedef struct loom_service_counts {
    int64_t answers[LOOM_ENDPOINTS][LOOM_STATUSES]; /* by HTTP status; 499: the client was gone */
    int64_t took[LOOM_ENDPOINTS][LOOM_DURATIONS];   /* answers within so many seconds, the last: any number */
    double seconds[LOOM_ENDPOINTS];
    int64_t texts, graphs; /* made */
    double started;
} loom_service_counts;

void loom_count_answer(loom_service_counts *c, loom_endpoint at, int status, double seconds);

typedef struct loom_service_now {
    int64_t queued, active, in_flight, open, refused;
    const char *model;
    bool stopping;
} loom_service_now;
void loom_counts_render(loom_buf *into, const loom_service_counts *c, const loom_engine_counts *e,
                        const loom_service_now *now);

#endif
