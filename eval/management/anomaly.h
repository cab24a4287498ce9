/* Anomalies put into real call graphs, which stay valid (Fig 5, TraceVAE). */
#ifndef LOOM_EVAL_ANOMALY_H
#define LOOM_EVAL_ANOMALY_H

#include "trace/graph/callgraph.h"

/* Call i takes `extra` ms longer. What its caller did after it comes later by as much, and so on up to the root: later
 * siblings that started after it ended are shifted with all below them, callers are extended. */
void loom_anomaly_slow(loom_graph *g, int32_t i, int64_t extra);
/* Takes out call i, which is not the root, and all below it. */
void loom_anomaly_drop(loom_graph *g, int32_t i);

#endif
