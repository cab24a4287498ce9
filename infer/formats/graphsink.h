/* Call graphs for other tools: graph store, CallGraph CSV, Jaeger JSON, OTLP/JSON lines, Graphviz DOT, Zipkin v2,
 * Chrome trace events, GraphML, a flat table of calls, NumPy arrays (a folder: npy_sink.h).
 *
 *   loom_sink *k = NULL;
 *   LOOM_TRY(loom_sink_open(&k, "out.json", &conf, err));
 *   LOOM_TRY(loom_sink_put(k, &graph, err));            any number
 *   LOOM_TRY(loom_sink_commit(&k, &meta, ctx, err));              else loom_sink_abandon(&k)
 *
 * or into memory:  loom_sink_open_text(&k, &text, &conf, err)  ...  loom_sink_finish_text(&k, err)
 *
 * Spans: one for each call, in the service it goes to; ids are hashes of (seed, number of the graph) and of the call's
 * id; attributes callgraph.* say all that a reader needs to get the same graph back. */
#ifndef LOOM_INFER_GRAPHSINK_H
#define LOOM_INFER_GRAPHSINK_H

#include "core/err.h"
#include "core/meta.h"
#include "trace/graph/callgraph.h"

typedef enum loom_format {
    LOOM_FORMAT_RECORDS,
    LOOM_FORMAT_CSV,
    LOOM_FORMAT_JAEGER,
    LOOM_FORMAT_OTLP,
    LOOM_FORMAT_DOT,
    LOOM_FORMAT_ZIPKIN,
    LOOM_FORMAT_CHROME,
    LOOM_FORMAT_GRAPHML,
    LOOM_FORMAT_FLAT,
    LOOM_FORMAT_NPY,
    LOOM_FORMATS
} loom_format;
#define LOOM_FORMAT_TEXTS   "records|csv|jaeger|otlp|dot|zipkin|chrome|graphml|flat"
#define LOOM_FORMAT_CHOICES LOOM_FORMAT_TEXTS "|npy" /* a folder */
/* By the ending of a name: .graphs[.zst], .csv, .jsonl/.ndjson (OTLP), .json (Jaeger), .dot/.gv, .graphml;
 * LOOM_FORMATS: unknown.
 */
loom_format loom_format_of_name(const char *path);

/* epoch_ms where nobody says another: 2022-01-01 for spans, 0 for rows. */
int64_t loom_format_epoch(loom_format format);
/* "application/json", ... */
const char *loom_format_media_type(loom_format format);

typedef struct loom_sink_conf {
    loom_format format;
    bool force;
    bool untimed;     /* records: with the time of day 00h00m00s000ms */
    bool safe_csv;    /* CSV: for spreadsheets (core/csv_cell.h) */
    bool synthetic;   /* say so in the spans */
    uint64_t seed;    /* of trace ids */
    int64_t epoch_ms; /* spans: when the day of the graphs began; CSV: added to their time of day */
    int64_t gap_ms;   /* added from graph to graph */
} loom_sink_conf;

typedef struct loom_sink loom_sink;
loom_status loom_sink_open(loom_sink **out, const char *path, const loom_sink_conf *conf, loom_err *err);
/* Appends every graph to `text` at once, borrowed until the sink is finished or abandoned. Not for npy. */
loom_status loom_sink_open_text(loom_sink **out, loom_buf *text, const loom_sink_conf *conf, loom_err *err);
loom_status loom_sink_finish_text(loom_sink **k, loom_err *err);
void loom_sink_set_epoch(loom_sink *k, int64_t epoch_ms); /* of the graphs from here on */
loom_status loom_sink_put(loom_sink *k, const loom_graph *g, loom_err *err);
int64_t loom_sink_count(const loom_sink *k);
/* With `meta`, PATH.meta.json comes with the file; NULL: without. */
loom_status loom_sink_commit(loom_sink **k, const loom_meta *meta, const loom_ctx *ctx, loom_err *err);
void loom_sink_abandon(loom_sink **k);

#endif
