/* Names of a system: its microservices, and its services with the number of graphs of each.
 *
 * Training text is where they come from (`tokens` keeps them in the shard, training in the model, under the name
 * names.txt), or a graph store, or a plain list. Generated graphs can then be kept to them.
 *
 *   loom_names names = {0};
 *   LOOM_TRY(loom_names_learn(&names, sample, len, err));           any number, in any order
 *   LOOM_TRY(loom_names_parse(&names, text, len, "names.txt", err)); adds those of a text
 *   LOOM_TRY(loom_names_sort(&names, err));                         items, shortest, longest and services are there
 *   loom_names_render(&text, &names);
 *   loom_names_release(&names);
 *
 * The text is sorted by bytes, so that it depends on the names alone; each name is written as the number of bytes
 * that it shares with the one before, and the rest:
 *
 *   spanloom-names 1
 *   microservices 2
 *   0 MS_00001
 *   7 2
 *   services 1
 *   12 S_000000001                       12 graphs
 */
#ifndef LOOM_TRACE_TEXT_NAMES_H
#define LOOM_TRACE_TEXT_NAMES_H

#include "core/buf.h"
#include "core/hash.h"
#include "core/rng.h"

typedef struct loom_names {
    loom_intern microservices, services;
    int64_t *graphs; /* of each service, by its id */
    size_t cap_graphs;
    /* filled by loom_names_sort; adding names empties them */
    const char **items; /* microservices, sorted by bytes */
    size_t n;
    size_t shortest, longest;   /* index of a shortest one; bytes of a longest one */
    const char **service_items; /* services with graphs, sorted by bytes */
    int64_t *upto;              /* graphs of service_items[0 .. i] */
    size_t n_services;
} loom_names; /* zero-initialised is ready */

/* Destinations of all graphs of a store (*.graphs, *.graphs.zst, ...) and their services, else the lines of the file.
 * Sorted. FORMAT when there are none or one cannot stand in a text. */
loom_status loom_names_read(loom_names *names, const char *path, loom_err *err);
/* Destinations in a sample of training text, of any encoding; the service counts once a graph. */
loom_status loom_names_learn(loom_names *names, const char *sample, size_t len, loom_err *err);
loom_status loom_names_add(loom_names *names, const char *name, size_t len, loom_err *err);
/* Adds the names of a rendered text; `place` is how messages call it. */
loom_status loom_names_parse(loom_names *names, const char *text, size_t len, const char *place, loom_err *err);
loom_status loom_names_sort(loom_names *names, loom_err *err);
void loom_names_render(loom_buf *into, const loom_names *names); /* sorted before */

/* Is it the first sample of its graph: the whole graph, or the layer that nobody calls? */
bool loom_names_begins_graph(const char *sample, size_t len);

bool loom_names_has(const loom_names *names, const char *microservice);
/* A service as often as it has graphs; NULL when no service is known. Sorted before. */
const char *loom_names_draw_service(const loom_names *names, loom_rng *rng);
void loom_names_release(loom_names *names);

#endif
