/* Instructions that a model should follow (Fig 6): prompts in pairs, with and without the line that asks for high
 * latency or for an uncommon call, and the tests whether a graph does what was asked.
 *
 * High latency is asked of services with statistics whose p90 lies more than 5 ms above the mean; a graph has it
 * when its root finishes at p90 or later. An uncommon call is one of the graph's own calls (not the root) that fewer
 * than one in ten graphs of the service make; a graph follows when it has that call anywhere. */
#ifndef LOOM_EVAL_INSTRUCTION_PROMPTS_H
#define LOOM_EVAL_INSTRUCTION_PROMPTS_H

#include "core/rng.h"
#include "trace/graph/stats.h"
#include "trace/request/request.h"

typedef enum loom_ask { LOOM_ASK_NONE, LOOM_ASK_HIGH_LATENCY, LOOM_ASK_UNCOMMON, LOOM_ASK_BOTH, LOOM_ASKS } loom_ask;
#define LOOM_ASK_CHOICES "none|high-latency|uncommon|both" /* for LOOM_OPT_ENUM */
extern const char *const loom_ask_names[LOOM_ASKS];

typedef struct loom_instruction {
    loom_ask ask;
    int64_t p90;                             /* ms; where high latency is asked for */
    const char *source, *type, *destination; /* where an uncommon call is; borrowed from the graph */
} loom_instruction;

/* Can this graph's request be combined with `ask`? Fills *out; an uncommon call is drawn from those the graph has. */
bool loom_instruction_of(loom_instruction *out, loom_ask ask, const loom_graph *g, const loom_stats *stats,
                         loom_rng *rng);

/* The pair of instruction prompts; `without` is `with` less the line or lines. Both are appended to. `bounded`: the
 * line says from how many milliseconds a latency is high. */
loom_status loom_instruction_prompts(loom_buf *with, loom_buf *without, const loom_instruction *asked,
                                     const loom_graph *g, bool match_training, bool bounded, loom_rng *rng,
                                     loom_arena *arena, loom_err *err);

/* Does a valid graph follow? `strict`: latency above p90, not equal to it. */
bool loom_instruction_followed(const loom_instruction *asked, const loom_graph *g, bool strict);

#endif
