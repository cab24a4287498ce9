/* What a generated graph may have although every code and rule lets it pass, and what no record shows:
 *
 *   duplicate_ids      two calls of a layer have one id; a record holds the first of them and is smaller than what was
 *                      counted. Tabular texts are counted without repeats and never have this.
 *   other_service      a layer names another service than the root; a record has one service
 *   type_as_name       a microservice is called like a type of call (http, rpc, ...) among others called MS_<digits>
 *
 * Such a graph counts as valid and as correct, as the rules have it, but no record or row is made of it. */
#ifndef LOOM_TRACE_CHECK_ODDITY_H
#define LOOM_TRACE_CHECK_ODDITY_H

#include "trace/check/check.h"

typedef enum loom_oddity { LOOM_ODD_DUPLICATE_IDS, LOOM_ODD_SERVICE, LOOM_ODD_TYPE_NAME, LOOM_ODDITIES } loom_oddity;
#define LOOM_ODD_BIT(o) (1u << (o))
extern const char *const loom_oddity_names[LOOM_ODDITIES];    /* as above */
extern const char *const loom_oddity_meanings[LOOM_ODDITIES]; /* for people */

/* LOOM_ODD_BITs of a judged graph; LOOM_ODD_SERVICE is the caller's, who knows the layers. */
uint32_t loom_oddities_of(const loom_graph_result *judged);

#endif
