/* One request that takes time: texts or graphs. The service (service.h) gives its jobs to the engine as there is
 * room, one at a time in turn with those of other requests, and hands back what is done.
 *
 *   submit ... take ... until ended, then reply; free at any time takes back what is in flight */
#ifndef LOOM_INFER_TASK_H
#define LOOM_INFER_TASK_H

#include "infer/engine/model_loader.h"
#include "infer/serve/http_server.h"
#include "infer/serve/service_counts.h"

typedef struct loom_task loom_task;

typedef struct loom_task_kind {
    /* One job more to the completer, with job->party = the task. *submitted = false: none before one is taken. */
    loom_status (*submit)(loom_task *t, bool *submitted, loom_err *err);
    loom_status (*take)(loom_task *t, loom_job *job, loom_err *err);
    bool (*ended)(const loom_task *t);
    void (*progress)(loom_task *t);                   /* after a step; NULL: nothing to do */
    void (*reply)(loom_task *t);                      /* when it has ended; lets go of t->http */
    void (*fail)(loom_task *t, const char *sentence); /* in the middle of an answer that has begun; the same */
    void (*free)(loom_task *t);
} loom_task_kind;

/* What all tasks may look at; borrowed. */
typedef struct loom_task_context {
    loom_model_loader *model;
    const char *name;                 /* of the model, in answers */
    int64_t max_tokens;               /* of a text; 0: as the context allows */
    int64_t max_texts;                /* texts or graphs of a request */
    int bos;                          /* as --bos */
    const struct loom_naming *naming; /* what the model's names allow, under full constraint */
    loom_service_counts *counts;
} loom_task_context;

struct loom_task {
    const loom_task_kind *kind;
    const loom_task_context *at;
    loom_http_request *http;
    loom_endpoint endpoint;
    double arrived; /* loom_time_now */
    uint64_t seed;  /* the request's, or one drawn for it */
    bool begun;     /* the answer has: it can no longer become an error */
    loom_task *next;
};

/* Makers read the body; ARG and FORMAT are the client's mistakes. `task` has http, at, arrived and a seed drawn. */
loom_status loom_text_task_new(loom_task **out, const loom_task *task, loom_err *err);
loom_status loom_graph_task_new(loom_task **out, const loom_task *task, loom_err *err);

/* Replies and counts; for tasks and the service. `body` is taken. */
void loom_task_reply(loom_task *t, int status, const char *type, loom_buf *body);
/* The same with an error in OpenAI's shape. */
void loom_task_refuse(loom_task *t, int status, const char *sentence);
/* The body; FORMAT when it is no JSON object. */
loom_status loom_request_json(loom_json **out, const loom_task *t, loom_err *err);

#endif
