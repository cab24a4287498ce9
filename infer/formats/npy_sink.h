/* Call graphs as NumPy arrays for graph learning: a folder of .npy files (NumPy format 1.0, numpy.lib.format;
 * little-endian 64-bit integers) and names.txt.
 *
 *   edge_index.npy     (2, E)   caller and callee of each call: nodes, counted through all graphs
 *   edge_attr.npy      (E, 4)   type (0 rpc, 1 http, 2 mc, 3 db, 4 mq), depth (1: the first call), start and
 *                               response time in ms
 *   edge_parent.npy    (E)      the call above, counted through all graphs; -1: none
 *   edge_ptr.npy       (G+1)    calls of graph g are edge_ptr[g] .. edge_ptr[g + 1] - 1
 *   node_name.npy      (N)      line of names.txt, from 0
 *   node_ptr.npy       (G+1)    nodes of graph g: its microservices, in order of appearance
 *   graph_attr.npy     (G, 2)   service (line of names.txt), time of day in ms
 *   names.txt                   one a line, quoted (core/escape.h)
 *
 * Numbers wait in unnamed temporary files until their count, which stands in front of them, is known; memory grows with
 * the names only. */
#ifndef LOOM_INFER_NPY_SINK_H
#define LOOM_INFER_NPY_SINK_H

#include "core/meta.h"
#include "trace/graph/callgraph.h"

typedef struct loom_npy_sink loom_npy_sink;

/* `dir` may be there; files of these names in it are replaced with `force` only. */
loom_status loom_npy_sink_open(loom_npy_sink **out, const char *dir, bool force, loom_err *err);
loom_status loom_npy_sink_put(loom_npy_sink *k, const loom_graph *g, loom_err *err);
/* All files get their names together; edge_index.npy.meta.json comes with them, unless `meta` is NULL. Frees *k. */
loom_status loom_npy_sink_commit(loom_npy_sink **k, const loom_meta *meta, const loom_ctx *ctx, loom_err *err);
void loom_npy_sink_abandon(loom_npy_sink **k); /* NULL is fine */

#endif
