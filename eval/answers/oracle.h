/* The oracle: answers a prompt with the call graph that the prompt came from, layer by layer, as a perfect sampler
 * would. It needs no model, so it checks prompts, parsing and judging as a whole: its answers must score 100 %. */
#ifndef LOOM_EVAL_ORACLE_H
#define LOOM_EVAL_ORACLE_H

#include "core/rng.h"
#include "trace/request/request.h"

typedef enum loom_damage {
    LOOM_DAMAGE_NONE,
    LOOM_DAMAGE_DIGIT,    /* one digit becomes another */
    LOOM_DAMAGE_LINE,     /* one line is lost */
    LOOM_DAMAGE_TRUNCATE, /* the text ends early */
    LOOM_DAMAGES
} loom_damage;

/* Returns the request with all layers answered from `record` (a canonical record); one layer, drawn from `rng`, gets
 * the damage. `prompt` must have been made from that graph. FORMAT error when the record is no valid graph. */
loom_status loom_oracle_answer(loom_request **out, loom_mode mode, const char *prompt, size_t len, const char *record,
                               loom_damage damage, loom_rng *rng, loom_err *err);

#endif
