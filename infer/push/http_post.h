/* Bodies sent to one address by HTTP POST, over one connection that stays open: the one door to libcurl.
 *
 *   loom_http_post *p = NULL;
 *   LOOM_TRY(loom_http_post_open(&p, "http://127.0.0.1:4318/v1/traces", 10, err));
 *   LOOM_TRY(loom_http_post_send(p, &(loom_http_payload){.data = text, .len = n, .type = "application/json"},
 * &answer, err));
 *   if (answer.status == 200) ...
 *   loom_http_answer_release(&answer);
 *   loom_http_post_close(&p); */
#ifndef LOOM_INFER_HTTP_POST_H
#define LOOM_INFER_HTTP_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

typedef struct loom_http_post loom_http_post;

typedef struct loom_http_payload {
    const void *data;
    size_t len;
    const char *type; /* Content-Type */
    bool gzip;        /* it is compressed: Content-Encoding */
} loom_http_payload;

typedef struct loom_http_answer {
    int64_t status;      /* 0: none came */
    int64_t retry_after; /* seconds that it asks to wait; 0: it does not say */
    loom_buf body;       /* at most 64 KiB of it */
    char why[160];       /* status 0: what went wrong, in the words of the library */
} loom_http_answer;      /* zero-initialised is ready; filled anew by each send */

/* "libcurl 7.88.1": what the program was built for; NULL: without. It is loaded by loom_http_post_open alone. */
const char *loom_http_post_library(void);

/* http and https. ARG when the address makes no sense or there is no libcurl. Nothing is sent yet.
 * An address of this machine is reached without any proxy. */
loom_status loom_http_post_open(loom_http_post **out, const char *url, int64_t timeout_s, loom_err *err);
/* OK whether an answer came or none did; INTERRUPT when loom_stop_requested() meanwhile. Redirects are not followed. */
loom_status loom_http_post_send(loom_http_post *p, const loom_http_payload *body, loom_http_answer *answer,
                                loom_err *err);
void loom_http_answer_release(loom_http_answer *a);
void loom_http_post_close(loom_http_post **p); /* NULL is fine */

#endif
