/* The canonical call-graph record, one graph on one line (docs/FORMATS.md). A file of such lines, zstd-compressed, is a
 * graph store (*.graphs.zst).
 *
 *   00h00m03s000ms S_100000003 0|rpc|USER|MS_10001|ARRIVED_0|RT_5||0.1|mc|MS_10001|MS_00007|ARRIVED_1|RT_2
 *
 * Reading a store:
 *
 *   loom_lines *lines; loom_arena arena = {0}; loom_graph g; loom_verdict why; char *line; size_t len;
 *   LOOM_TRY(loom_lines_open(&lines, path, err));
 *   while ((st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
 *       loom_arena_reset(&arena);
 *       if (!loom_record_read(&g, &why, line, len, &arena)) ...    // why.reasons says why
 *   } */
#ifndef LOOM_TRACE_GRAPH_RECORD_H
#define LOOM_TRACE_GRAPH_RECORD_H

#include "trace/graph/callgraph.h"
#include "trace/graph/validity.h"

/* Parses one line (no line end). Accepts any order of edges, short names, repeated ids (the first in line order wins);
 * fills *g sorted and canonical, its memory in `arena`. True when the line could be taken apart: then *why holds
 * BAD_TIMESTAMP or is empty. False: *why holds NUM_COLUMNS, BAD_SERVICE, NO_ROOT or MISSING_INFO, BAD_SERVICE, NO_ROOT
 * or BAD_EDGE, and *g is empty. The tree is not checked here. */
bool loom_record_parse(loom_graph *g, loom_verdict *why, const char *line, size_t len, loom_arena *arena);

/* loom_record_parse and loom_graph_check in one: true when the graph is valid; *why has all reasons. */
bool loom_record_read(loom_graph *g, loom_verdict *why, const char *line, size_t len, loom_arena *arena);

/* What is wrong with an edge of a BAD_EDGE record, for a message: `edge` (from 1), a sentence fragment in *into. */
void loom_record_explain_bad_edge(loom_buf *into, const char *line, size_t len);

/* Appends the record, without line end. Names are written as they stand in the graph. */
void loom_record_render(loom_buf *into, const loom_graph *g);
/* The same with the time of day 00h00m00s000ms (the form after de-duplication, and the key of equality). */
void loom_record_render_untimed(loom_buf *into, const loom_graph *g);
/* The part after the service: edges like "0.1|mc|MS_1|MS_2|ARRIVED_1|RT_2", joined by "||". */
void loom_record_render_calls(loom_buf *into, const loom_graph *g);
/* Shape only: service and id|type|source|destination of every edge, without times (--structural). */
void loom_record_render_structure(loom_buf *into, const loom_graph *g);
/* "00h00m03s000ms" for ms of the day in 0 .. 86,399,999. */
void loom_record_render_time(loom_buf *into, int64_t time_of_day);

#endif
