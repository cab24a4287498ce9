/* Inside of infer/engine/engine.h: what its files share. */
#ifndef LOOM_INFER_ENGINE_IMPL_H
#define LOOM_INFER_ENGINE_IMPL_H

#include "infer/engine/engine.h"
#include "infer/engine/next_token.h"
#include "model/decode.h"

enum { LOOM_ENGINE_PARKED = 4 };

typedef struct loom_slot {
    loom_job *job;      /* NULL: free */
    int32_t seq;        /* in the cache; -1: none (waiting) */
    loom_tokens tokens; /* prompt, then what was generated */
    int64_t fed;        /* tokens in the cache */
    int64_t n_prompt;
    int64_t age; /* order of admission: the smallest is never preempted */
    int64_t row; /* of its logits in this step; -1: none */
    bool ended;
} loom_slot;

/* The prompt of a job that has ended, kept for the next one that begins alike. */
typedef struct loom_parked {
    int32_t seq; /* -1: free */
    loom_tokens tokens;
    int64_t age;
} loom_parked;

struct loom_engine {
    loom_completer face;
    loom_engine_options o;
    const loom_llama *model;
    const loom_tokenizer *tok;
    loom_tok_scratch *scratch;
    loom_tokens measured; /* a prompt, to see whether it fits */
    loom_decode *decode;
    loom_next_token *next_token;
    loom_slot *slots;  /* (batch) */
    loom_slot **order; /* (batch) slots of this step, oldest first */
    int64_t n_order;
    loom_parked parked[LOOM_ENGINE_PARKED];
    loom_job *waiting, *waiting_last;
    loom_decode_row *rows;
    float *logits;
    loom_slot **drawn; /* slots with logits in this step */
    int64_t n_drawn, max_rows, next_age;
    loom_engine_counts counts;
};

loom_status loom_engine_submit(loom_completer *c, loom_job *job, loom_err *err);
loom_status loom_engine_step(loom_completer *c, loom_job **done, loom_err *err);
void loom_engine_cancel(loom_completer *c, loom_job *job);

#endif
