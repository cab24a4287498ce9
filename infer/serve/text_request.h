/* What a request for texts asks: POST /generate (the demonstration server of vLLM, which the reference's evaluation
 * script calls) and POST /v1/completions (OpenAI's). */
#ifndef LOOM_INFER_TEXT_REQUEST_H
#define LOOM_INFER_TEXT_REQUEST_H

#include "core/json.h"
#include "infer/serve/task.h"

typedef struct loom_text_prompt {
    const char *text;
    size_t len;
} loom_text_prompt;

typedef struct loom_text_request {
    loom_json *root; /* what the strings are borrowed from */
    bool openai;
    loom_text_prompt *prompts;
    size_t n_prompts;
    int64_t n; /* texts for each prompt */
    int64_t max_tokens, top_k;
    double temperature, top_p, min_p;
    const char **stops;
    size_t n_stops, longest_stop;
    int32_t *stop_ids;
    size_t n_stop_ids;
    bool stream, echo, usage; /* usage: at the end of a stream */
    int64_t logprobs;         /* most likely tokens told at each place; -1: no log-probabilities */
    uint64_t seed;
} loom_text_request;

/* ARG names the member that is wrong. Release also after a failure. */
loom_status loom_text_request_read(loom_text_request *r, const loom_task *t, loom_err *err);
void loom_text_request_release(loom_text_request *r);

#endif
