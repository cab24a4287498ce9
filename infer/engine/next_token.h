/* From logits to the next token of a job: sampling, stop strings, limits; under a constraint also the mask, the jump
 * over forced text and the way home when the tokens run out.
 *
 * Under a constraint the model's own draw is tested first: a trained model is nearly always right, and a test costs a
 * few dozen byte steps. Only a refused draw is repeated among the allowed ones of the top_k candidates, and only when
 * none of these is allowed is the whole vocabulary masked, walking it in byte order so that a prefix that is refused
 * takes everything behind it along. The result is distributed as the model's distribution cut down to what is allowed.
 *
 * Room: before a token is accepted, the shortest way from there to the end must fit into the tokens left. If it does
 * not, the shortest way from here is written instead. So an answer that could be begun is always completed. A few
 * tokens stay in reserve: text that goes on from another place may be cut into a few more. */
#ifndef LOOM_INFER_NEXT_TOKEN_H
#define LOOM_INFER_NEXT_TOKEN_H

#include "infer/engine/completion.h"
#include "model/config.h"
#include "tokenizer/tokenizer.h"

#define LOOM_NEXT_TOKEN_SLACK 8 /* tokens in reserve */

typedef struct loom_next_token loom_next_token;

typedef struct loom_next_token_options {
    int64_t V;
    int threads; /* that may call loom_next_token_choose at the same time, on different jobs */
    bool no_jump;
    const loom_config *config; /* for the ids that end a text; borrowed */
} loom_next_token_options;

loom_status loom_next_token_new(loom_next_token **out, const loom_tokenizer *tok, const loom_next_token_options *o,
                                loom_err *err);
void loom_next_token_free(loom_next_token *c);

/* Once before jobs with a guide; does nothing the second time. */
loom_status loom_next_token_prepare(loom_next_token *c, loom_err *err);
/* ARG when the shortest answer of the job's guide does not fit into `room` tokens. */
loom_status loom_next_token_fits(loom_next_token *c, const loom_job *job, int64_t room, loom_err *err);

void loom_next_token_begin(loom_next_token *c, loom_job *job);
/* Chooses from logits (V; spoilt), appends one or more tokens to `tokens` and text to the job. `room`: tokens that may
 * still be appended (at least 1). True when the job has ended: stop, n_tokens and text are final. */
bool loom_next_token_choose(loom_next_token *c, int thread, loom_job *job, float *logits, loom_tokens *tokens,
                            int64_t room);

#endif
