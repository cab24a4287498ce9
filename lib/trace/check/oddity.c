#include "trace/check/oddity.h"

#include <string.h>

const char *const loom_oddity_names[LOOM_ODDITIES] = {[LOOM_ODD_DUPLICATE_IDS] = "duplicate_ids",
                                                      [LOOM_ODD_SERVICE] = "other_service",
                                                      [LOOM_ODD_TYPE_NAME] = "type_as_name"};

const char *const loom_oddity_meanings[LOOM_ODDITIES] = {
    [LOOM_ODD_DUPLICATE_IDS] = "two calls of a layer have one id",
    [LOOM_ODD_SERVICE] = "a layer names another service than the first",
    [LOOM_ODD_TYPE_NAME] = "a microservice is called like a type of call"};

static bool is_type_word(const char *name) { return loom_call_type_of(name, strlen(name)) != LOOM_CALL_TYPES; }

/* A system may well have a "db"; one whose microservices are numbered has not. */
static bool has_type_name(const loom_graph *g)
{
    bool word = false, numbered = false;
    for (int32_t i = 0; i < g->n_calls; i++) {
        word |= is_type_word(g->calls[i].destination);
        numbered |= strncmp(g->calls[i].destination, "MS_", 3) == 0 || strncmp(g->calls[i].source, "MS_", 3) == 0;
    }
    return word && numbered;
}

uint32_t loom_oddities_of(const loom_graph_result *judged)
{
    uint32_t odd = 0;
    if (judged->graph.n_calls < judged->n_edges) odd |= LOOM_ODD_BIT(LOOM_ODD_DUPLICATE_IDS);
    if (has_type_name(&judged->graph)) odd |= LOOM_ODD_BIT(LOOM_ODD_TYPE_NAME);
    return odd;
}
