/* Room for layers: what full constraint must keep to so that no layer outgrows the context.
 *
 *   loom_budget_conf bc = {.context = loom_engine_context(engine), .max_tokens = 4096, .match_training = true};
 *   LOOM_TRY(loom_budget_of_prompts(&budget, tokenizer, prompts, n, &bc, err));
 *   options.max_subs = budget.max_subs;  options.time_cap = budget.time_cap;
 *
 * A layer is asked for by the layer above, so its prompt and its shortest answer must fit whatever numbers were chosen
 * there. Measured with the tokenizer at hand: the longest prompt (every condition, numbers as long as they may be)
 * and the shortest answer to it, of a layer of 15 edges and of a split into five parts. Where 15 edges with eight-digit
 * times do not fit, times are kept shorter, down to four digits (ten seconds); then layers get fewer subgraphs. */
#ifndef LOOM_INFER_BUDGET_H
#define LOOM_INFER_BUDGET_H

#include "infer/loop/generate.h"
#include "tokenizer/tokenizer.h"

typedef struct loom_budget {
    int64_t max_subs; /* most subgraphs of a plain layer; 0: no layer comes below another */
    int64_t time_cap; /* ms: latest time in a layer */
} loom_budget;

typedef struct loom_budget_conf {
    int64_t context;    /* tokens, prompt included */
    int64_t max_tokens; /* of an answer */
    bool match_training;
    const loom_names *names; /* the only destinations, sorted; NULL: any. Borrowed */
} loom_budget_conf;

/* Over all modes of the prompts and the largest layer that one of them can lead to. ARG, with the figures, when such a
 * layer cannot fit. Tabular prompts need no budget: their one text is measured when it is begun. */
loom_status loom_budget_of_prompts(loom_budget *out, const loom_tokenizer *tok, const loom_gen_prompt *prompts,
                                   int64_t n, const loom_budget_conf *conf, loom_err *err);

/* Under full constraint, holds o to a budget of its own for these prompts; else does nothing. */
loom_status loom_budget_keep(loom_gen_options *o, const loom_tokenizer *tok, const loom_gen_prompt *prompts, int64_t n,
                             int64_t context, loom_err *err);

#endif
