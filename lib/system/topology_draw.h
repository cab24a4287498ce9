/* Call graphs drawn from a topology: its automata say what is called and in which order, its distributions how long
 * that takes, caller by caller (docs/SYSTEMS.md, "Drawing").
 *
 *   loom_topology_drawing *d = NULL;
 *   LOOM_TRY(loom_topology_drawing_new(&d, topology, err));
 *   LOOM_TRY(loom_topology_draw(&graph, d, service, &rng, &arena, err));
 *   loom_topology_drawing_free(d); */
#ifndef LOOM_SYSTEM_TOPOLOGY_DRAW_H
#define LOOM_SYSTEM_TOPOLOGY_DRAW_H

#include "core/rng.h"
#include "system/topology.h"

#define LOOM_TOPOLOGY_MOST_CALLS 10000 /* of a drawn graph: a system that calls itself on and on ends there */

typedef struct loom_topology_drawing loom_topology_drawing;

/* Borrows the topology. */
loom_status loom_topology_drawing_new(loom_topology_drawing **out, const loom_topology *t, loom_err *err);
/* Fills *g, sorted and valid, memory in `arena`, names borrowed from the topology. A service that the topology has
 * no root of, or NULL: any, as often as seen. */
loom_status loom_topology_draw(loom_graph *g, const loom_topology_drawing *d, const char *service, loom_rng *rng,
                               loom_arena *arena, loom_err *err);
void loom_topology_drawing_free(loom_topology_drawing *d);

#endif
