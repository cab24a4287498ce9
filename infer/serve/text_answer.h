/* Texts as JSON: what /generate and /v1/completions answer, whole or in pieces. */
#ifndef LOOM_INFER_TEXT_ANSWER_H
#define LOOM_INFER_TEXT_ANSWER_H

#include "infer/serve/text_request.h"

/* One text of an answer: text index of prompt index / request->n. */
typedef struct loom_text_choice {
    loom_job job;
    size_t sent;      /* bytes of it that have gone out */
    size_t sent_ids;  /* tokens whose log-probabilities have */
    int64_t offset;   /* characters of the tokens that have gone out */
    bool out, ended;  /* at the completer; done */
    bool finish_sent; /* its last piece has gone out */
} loom_text_choice;

typedef struct loom_text_answer {
    const loom_text_request *ask;
    const loom_task *task;
    loom_text_choice *texts;
    size_t n;
    char id[48];
    int64_t created; /* seconds since 1970 */
} loom_text_answer;

/* All of it, once every text has ended. */
void loom_text_answer_whole(loom_buf *into, loom_text_answer *a);
/* What is new since the last call; nothing where there is none. Whole characters, and nothing that a stop string may
 * still take away. */
void loom_text_answer_more(loom_buf *into, loom_text_answer *a);
/* What comes behind all pieces. */
void loom_text_answer_end(loom_buf *into, const loom_text_answer *a);

#endif
