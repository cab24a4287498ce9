#include "infer/serve/http_server.h"

#ifndef LOOM_HAVE_MICROHTTPD

/* What a build without the library has: nothing is ever started, so nothing else is ever called. */
const char *loom_http_library(void) { return NULL; }
loom_status loom_http_start(loom_http_server **out, const loom_http_conf *conf, loom_err *err)
{
    (void)out;
    (void)conf;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "this program was built without an HTTP server: install libmicrohttpd (Debian: libmicrohttpd-dev) "
                     "and build again");
}
int loom_http_port(const loom_http_server *s) { return s ? 0 : -1; }
loom_http_request *loom_http_next(loom_http_server *s, int ms) { return s && ms < 0 ? NULL : NULL; }
void loom_http_close_door(loom_http_server *s) { (void)s; }
int64_t loom_http_open(loom_http_server *s) { return s ? 0 : -1; }
int64_t loom_http_refused(loom_http_server *s) { return s ? 0 : -1; }
void loom_http_stop(loom_http_server **s) { *s = NULL; }
const char *loom_http_method(const loom_http_request *r) { return r ? "" : NULL; }
const char *loom_http_path(const loom_http_request *r) { return r ? "" : NULL; }
const char *loom_http_body(const loom_http_request *r, size_t *len) { return (*len = 0), r ? "" : NULL; }
bool loom_http_gone(loom_http_request *r) { return r == NULL; }
void loom_http_header(loom_http_request *r, const char *name, const char *value) { (void)r, (void)name, (void)value; }
void loom_http_reply(loom_http_request *r, int status, const char *type, loom_buf *body)
{
    (void)r, (void)status, (void)type, (void)body;
}
void loom_http_drop(loom_http_request *r) { (void)r; }
void loom_http_begin(loom_http_request *r, int status, const char *type) { (void)r, (void)status, (void)type; }
void loom_http_put(loom_http_request *r, const char *data, size_t len) { (void)r, (void)data, (void)len; }
void loom_http_end(loom_http_request *r) { (void)r; }

#endif
