/* The service: requests from HTTP (http_server.h) to one engine and back, in one thread.
 *
 *   loom_service_conf conf = {.http = {.address = "127.0.0.1", .port = 8080, ...}, .queue = 400, ...};
 *   LOOM_TRY(loom_service_run(&conf, &loader, err));      until loom_stop_requested()
 *
 * Up to `batch` requests are worked on at a time, in the order in which they came; each gets one place in the engine
 * in turn. The others wait, `queue` of them at most; more are told to come back later (503). A request whose client
 * has gone, or that takes longer than it may, gives its places back at once. */
#ifndef LOOM_INFER_SERVICE_H
#define LOOM_INFER_SERVICE_H

#include "infer/engine/model_loader.h"
#include "infer/serve/http_server.h"

typedef struct loom_service_conf loom_service_conf;
struct loom_service_conf {
    loom_http_conf http;
    const char *name;                                         /* of the model, in answers */
    int64_t batch;                                            /* requests worked on at a time */
    int64_t queue;                                            /* requests that may wait */
    int64_t max_texts;                                        /* of a request */
    int64_t max_tokens;                                       /* of a text; 0: as the context allows */
    int64_t limit_seconds;                                    /* for a request, its waiting included */
    int64_t grace_seconds;                                    /* after the stop: for what has begun */
    int bos;                                                  /* as --bos */
    uint64_t seed;                                            /* requests that bring none draw theirs from it */
    void (*started)(const loom_service_conf *conf, int port); /* it listens; NULL: nothing to say */
};

/* Paths that need no token. Ends with NULL. */
extern const char *const loom_service_open_paths[];

/* OK after a stop that left nothing unanswered; IO, NOMEM, NUMERIC when the engine or the socket fails. */
loom_status loom_service_run(const loom_service_conf *conf, loom_model_loader *model, loom_err *err);

#endif
