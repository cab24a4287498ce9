/* Requests for language models of others (Table 3): the rules of the tabular text, some real graphs as examples,
 * and what to make; one JSON object a line, as the batch interfaces of such models take them (docs/FORMATS.md,
 * few-shot requests).
 *
 *   loom_few_shot shot = {.n_examples = 2, .seed = seed};
 *   LOOM_TRY(loom_few_shot_offer(&shot, &graph, &arena, err));      every training graph of a fitting size
 *   LOOM_TRY(loom_few_shot_render(&line, &shot, id, "their-model", prompt, len, err));
 *   loom_few_shot_release(&shot);
 */
#ifndef LOOM_EVAL_FEW_SHOT_H
#define LOOM_EVAL_FEW_SHOT_H

#include "trace/graph/callgraph.h"

#define LOOM_FEW_SHOT_KEPT 256 /* training graphs that examples are drawn from: a random choice of those offered */

typedef struct loom_few_shot {
    int64_t n_examples;
    uint64_t seed;
    loom_buf kept[LOOM_FEW_SHOT_KEPT]; /* request and answer as text */
    int64_t n_offered;
} loom_few_shot;

/* Resets `arena`. Graphs that break the rules of times are no examples. The choice follows from the seed and the
 * order of the graphs. */
loom_status loom_few_shot_offer(loom_few_shot *s, const loom_graph *g, loom_arena *arena, loom_err *err);
/* Appends the line of one tabular prompt, LF included. FORMAT error when fewer graphs were offered than examples
 * are wanted. */
loom_status loom_few_shot_render(loom_buf *into, const loom_few_shot *s, int64_t id, const char *model,
                                 const char *prompt, size_t len, loom_err *err);
void loom_few_shot_release(loom_few_shot *s);

#endif
