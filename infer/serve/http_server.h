/* HTTP/1.1 behind one door (libmicrohttpd, in http_server.c alone; without it starting fails with a sentence).
 *
 *   loom_http_conf conf = {.address = "127.0.0.1", .port = 8080, .max_body = 1 << 20, .max_connections = 500};
 *   LOOM_TRY(loom_http_start(&server, &conf, err));
 *   while ((r = loom_http_next(server, 100)))          one thread; waits up to 100 ms for a request
 *       loom_http_reply(r, 200, "text/plain", &body);
 *   loom_http_close_door(server);                      takes no more
 *   loom_http_stop(&server);
 *
 * A thread of the library's reads and writes; the caller gets whole requests, answers each when it pleases, at once
 * or piece by piece, and may ask meanwhile whether anybody still waits for the answer. What need not be answered by
 * the caller is not: bodies that are too large, a wrong token, a page of another origin. */
#ifndef LOOM_INFER_HTTP_SERVER_H
#define LOOM_INFER_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

typedef struct loom_http_server loom_http_server;
typedef struct loom_http_request loom_http_request;

typedef struct loom_http_conf {
    const char *address;           /* name or number to listen at */
    int64_t port;                  /* 0: one that is free */
    int64_t max_body;              /* bytes */
    int64_t max_connections;       /* more wait in the system's queue or are closed */
    int64_t idle_seconds;          /* a connection on which nothing moves for so long is closed */
    const char *token;             /* "Authorization: Bearer TOKEN" must come with all but open_paths; NULL: none.
                                     Borrowed */
    const char *const *open_paths; /* ends with NULL. Borrowed */
} loom_http_conf;

/* "libmicrohttpd 0.9.75"; NULL: not built in. */
const char *loom_http_library(void);

/* IO with a sentence when the address cannot be listened at. Borrows conf until the stop. */
loom_status loom_http_start(loom_http_server **out, const loom_http_conf *conf, loom_err *err);
int loom_http_port(const loom_http_server *s);
/* The next whole request, waiting up to `ms` for one; NULL: none. Each must be replied to, streamed or dropped. */
loom_http_request *loom_http_next(loom_http_server *s, int ms);
void loom_http_close_door(loom_http_server *s);
int64_t loom_http_open(loom_http_server *s);    /* requests whose answer has not gone out yet */
int64_t loom_http_refused(loom_http_server *s); /* requests that were answered without the caller */
void loom_http_stop(loom_http_server **s);      /* NULL is fine; no request may be left unanswered */

const char *loom_http_method(const loom_http_request *r);
const char *loom_http_path(const loom_http_request *r); /* without what follows a '?' */
const char *loom_http_body(const loom_http_request *r, size_t *len);
bool loom_http_gone(loom_http_request *r); /* has the client closed the connection? */

/* A header of the answer. Before it begins; the value must be printable ASCII. */
void loom_http_header(loom_http_request *r, const char *name, const char *value);
/* These four end the request: r must not be used any more. reply takes what is in body and leaves it empty. */
void loom_http_reply(loom_http_request *r, int status, const char *type, loom_buf *body);
void loom_http_drop(loom_http_request *r); /* closes the connection without an answer, or in the middle of one */
/* An answer in pieces: begin once, put any number, then end (or drop). A slow reader makes pieces wait in memory. */
void loom_http_begin(loom_http_request *r, int status, const char *type);
void loom_http_put(loom_http_request *r, const char *data, size_t len);
void loom_http_end(loom_http_request *r);

#endif
