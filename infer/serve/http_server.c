/* The one file that touches libmicrohttpd, and so longer than most. A request is known to two: to the library's
 * thread, from its first line to the end of its answer, and to the caller, from loom_http_next to the call that ends
 * it. Who lets go last frees it. While the caller has a request whose answer has not begun, its connection is
 * suspended: the library looks at it again when it is resumed. One lock guards all of it. */
#include "infer/serve/http_server.h"

#ifdef LOOM_HAVE_MICROHTTPD

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/nomem.h"
#include "core/num.h"
#include "infer/serve/error_json.h"

typedef enum phase {
    READING,   /* the body is coming in */
    WAITING,   /* the caller has it, or will get it; suspended */
    ANSWERED,  /* status and body are there */
    STREAMING, /* pieces go out; suspended when there is none */
    DROPPED    /* to be closed without an answer */
} phase;

enum { MAX_HEADERS = 8, SWALLOW = 64 };

struct loom_http_request {
    loom_http_server *server;
    struct MHD_Connection *connection; /* NULL: the library has let go */
    const char *method;                /* of the connection, kept in `words` */
    char *words;                       /* method, NUL, path */
    const char *path;
    loom_buf body;
    size_t seen; /* bytes of the body, also those that were too many to keep */
    phase at;
    bool suspended, held, gone, ended; /* held: the caller has it */
    int status;
    const char *type;
    char *headers[MAX_HEADERS][2];
    int n_headers;
    loom_buf answer; /* whole, or pieces that have not gone out */
    struct loom_http_request *next;
};

struct loom_http_server {
    loom_http_conf conf;
    struct MHD_Daemon *daemon;
    int listener, port;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    loom_http_request *first, *last; /* whole requests that the caller has not taken */
    int64_t open, refused;
    bool closing; /* what becomes whole now is not taken any more */
};

const char *loom_http_library(void)
{
    static char text[40];
    snprintf(text, sizeof text, "libmicrohttpd %s", MHD_get_version());
    return text;
}

/* ---- requests ---- */

static void free_request(loom_http_request *r)
{
    loom_buf_release(&r->body);
    loom_buf_release(&r->answer);
    for (int i = 0; i < r->n_headers; i++) free(r->headers[i][0]), free(r->headers[i][1]);
    free(r->words);
    free(r);
}

/* Both functions below with the lock held. */
static void let_go(loom_http_request *r)
{
    if (!r->connection && !r->held) free_request(r);
}

static void wake(loom_http_request *r)
{
    if (!r->suspended || !r->connection) return;
    r->suspended = false;
    MHD_resume_connection(r->connection);
}

static loom_http_request *new_request(loom_http_server *s, struct MHD_Connection *connection, const char *method,
                                      const char *path)
{
    loom_http_request *r = loom_calloc(1, sizeof *r);
    size_t m = strlen(method) + 1, p = strlen(path) + 1;

    if (!r) return NULL;
    r->words = loom_alloc(m + p, 1);
    if (!r->words) {
        free(r);
        return NULL;
    }
    memcpy(r->words, method, m);
    memcpy(r->words + m, path, p);
    r->method = r->words;
    r->path = r->words + m;
    r->server = s;
    r->connection = connection;
    pthread_mutex_lock(&s->lock);
    s->open++;
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* ---- the library's side ---- */

static enum MHD_Result send_text(struct MHD_Connection *connection, int status, const char *type, void *text,
                                 size_t len, enum MHD_ResponseMemoryMode mode, const loom_http_request *r)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, text, mode);

    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE) free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", type);
    for (int i = 0; i < r->n_headers; i++) MHD_add_response_header(response, r->headers[i][0], r->headers[i][1]);
    enum MHD_Result done = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return done;
}

/* An error of this file's own. */
static enum MHD_Result refuse(loom_http_request *r, int status, const char *sentence)
{
    loom_buf text = {0};

    loom_error_json(&text, status, sentence);
    pthread_mutex_lock(&r->server->lock);
    r->server->refused++;
    pthread_mutex_unlock(&r->server->lock);
    enum MHD_Result done = send_text(r->connection, status, "application/json", (void *)(uintptr_t)loom_buf_text(&text),
                                     text.len, MHD_RESPMEM_MUST_COPY, r);
    loom_buf_release(&text);
    return done;
}

/* Does not stop at the first difference: how long it takes tells nothing about the token. */
static bool same_secret(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned char differ = n != m;

    for (size_t i = 0; i < n; i++) differ |= (unsigned char)(a[i] ^ b[m ? i % m : 0]);
    return !differ;
}

static bool may_enter(const loom_http_request *r)
{
    const loom_http_conf *conf = &r->server->conf;
    const char *given = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Authorization");

    for (const char *const *open = conf->open_paths; open && *open; open++)
        if (strcmp(*open, r->path) == 0) return true;
    if (!conf->token) return true;
    return given && strncasecmp(given, "Bearer ", 7) == 0 && same_secret(given + 7, conf->token);
}

/* A page of another site that makes the user's browser talk to this server. */
static bool from_elsewhere(const loom_http_request *r)
{
    const char *origin = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Origin");
    const char *host = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Host");
    const char *at = origin ? strstr(origin, "://") : NULL;

    return origin && (!at || !host || strcasecmp(at + 3, host) != 0);
}

/* What can be told from the headers alone, before anything of the body is taken. */
static enum MHD_Result check_headers(loom_http_request *r, bool *refused)
{
    const loom_http_conf *conf = &r->server->conf;
    const char *length = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Length");
    int64_t bytes = 0;
    char text[160];

    *refused = true;
    if (!may_enter(r)) {
        loom_http_header(r, "WWW-Authenticate", "Bearer");
        return refuse(r, 401, "this server wants a token: send \"Authorization: Bearer TOKEN\"");
    }
    if (from_elsewhere(r)) return refuse(r, 403, "pages of another origin may not use this server");
    if (length && (!loom_parse_i64(length, strlen(length), &bytes) || bytes < 0 || bytes > conf->max_body)) {
        snprintf(text, sizeof text, "the body has %.20s bytes, and at most %lld are taken (--max-body)", length,
                 (long long)conf->max_body);
        return refuse(r, 413, text);
    }
    *refused = false;
    return MHD_YES;
}

static enum MHD_Result take_piece(loom_http_request *r, const char *data, size_t *n)
{
    size_t most = (size_t)r->server->conf.max_body;

    r->seen += *n;
    if (r->seen / SWALLOW > most) return MHD_NO; /* a body without a length that does not end */
    if (r->seen > most) loom_buf_release(&r->body);
    else loom_buf_append(&r->body, data, *n);
    *n = 0;
    return MHD_YES;
}

/* The request is whole: over to the caller. */
static enum MHD_Result hand_over(loom_http_request *r)
{
    loom_http_server *s = r->server;

    if (r->seen > (size_t)s->conf.max_body) {
        char text[120];
        snprintf(text, sizeof text, "the body is larger than %lld bytes, the most that is taken (--max-body)",
                 (long long)s->conf.max_body);
        return refuse(r, 413, text);
    }
    pthread_mutex_lock(&s->lock);
    if (s->closing) {
        pthread_mutex_unlock(&s->lock);
        return MHD_NO;
    }
    r->at = WAITING;
    r->held = true;
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    if (s->last) s->last->next = r;
    else s->first = r;
    s->last = r;
    pthread_cond_signal(&s->arrived);
    pthread_mutex_unlock(&s->lock);
    return MHD_YES;
}

static ssize_t next_piece(void *arg, uint64_t at, char *into, size_t cap)
{
    loom_http_request *r = arg;
    ssize_t n = 0;
    (void)at;

    pthread_mutex_lock(&r->server->lock);
    if (r->answer.len) {
        size_t take = r->answer.len < cap ? r->answer.len : cap;
        memcpy(into, r->answer.data, take);
        memmove(r->answer.data, r->answer.data + take, r->answer.len - take);
        r->answer.len -= take;
        n = (ssize_t)take;
    } else if (r->at == DROPPED) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (r->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        r->suspended = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&r->server->lock);
    return n;
}

static enum MHD_Result begin_stream(loom_http_request *r)
{
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, next_piece, r, NULL);

    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", r->type);
    MHD_add_response_header(response, "Cache-Control", "no-cache");
    for (int i = 0; i < r->n_headers; i++) MHD_add_response_header(response, r->headers[i][0], r->headers[i][1]);
    enum MHD_Result done = MHD_queue_response(r->connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return done;
}

static enum MHD_Result on_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **con_cls)
{
    loom_http_request *r = *con_cls;
    bool refused;
    (void)version;

    if (!r) {
        *con_cls = r = new_request(server, connection, method, url);
        return r ? check_headers(r, &refused) : MHD_NO;
    }
    if (*n) return take_piece(r, data, n);
    pthread_mutex_lock(&r->server->lock);
    phase at = r->at;
    pthread_mutex_unlock(&r->server->lock);
    if (at == READING) return hand_over(r);
    if (at == STREAMING) return begin_stream(r);
    if (at != ANSWERED) return MHD_NO;
    if (!r->answer.len) return send_text(connection, r->status, r->type, NULL, 0, MHD_RESPMEM_PERSISTENT, r);
    size_t len = r->answer.len;
    char *text = loom_buf_take(&r->answer);
    return text ? send_text(connection, r->status, r->type, text, len, MHD_RESPMEM_MUST_FREE, r) : MHD_NO;
}

static void on_end(void *server, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
    loom_http_request *r = *con_cls;
    loom_http_server *s = server;
    (void)connection;

    if (!r) return;
    pthread_mutex_lock(&s->lock);
    s->open--;
    r->gone = why != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    r->connection = NULL;
    let_go(r);
    pthread_mutex_unlock(&s->lock);
    *con_cls = NULL;
}

/* ---- the caller's side ---- */

loom_http_request *loom_http_next(loom_http_server *s, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&s->lock);
    while (!s->first && ms > 0)
        if (pthread_cond_timedwait(&s->arrived, &s->lock, &until) != 0) break;
    loom_http_request *r = s->first;
    if (r) s->first = r->next;
    if (!s->first) s->last = NULL;
    pthread_mutex_unlock(&s->lock);
    return r;
}

int64_t loom_http_open(loom_http_server *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t n = s->open;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int64_t loom_http_refused(loom_http_server *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t n = s->refused;
    pthread_mutex_unlock(&s->lock);
    return n;
}

const char *loom_http_method(const loom_http_request *r) { return r->method; }
const char *loom_http_path(const loom_http_request *r) { return r->path; }
const char *loom_http_body(const loom_http_request *r, size_t *len)
{
    *len = r->body.len;
    return loom_buf_text(&r->body);
}

/* The library does not look at suspended connections: a look at what has come in, taking nothing. */
bool loom_http_gone(loom_http_request *r)
{
    pthread_mutex_lock(&r->server->lock);
    if (!r->gone && r->suspended && r->connection) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        char byte;
        ssize_t n = info ? recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;
        r->gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    }
    bool gone = r->gone;
    pthread_mutex_unlock(&r->server->lock);
    return gone;
}

void loom_http_header(loom_http_request *r, const char *name, const char *value)
{
    if (r->n_headers == MAX_HEADERS) return;
    r->headers[r->n_headers][0] = loom_strdup(name);
    r->headers[r->n_headers][1] = loom_strdup(value);
    if (r->headers[r->n_headers][0] && r->headers[r->n_headers][1]) r->n_headers++;
}

/* The caller lets go; the library finds the phase when it looks again. */
static void finish(loom_http_request *r, phase at)
{
    loom_http_server *s = r->server;

    pthread_mutex_lock(&s->lock);
    r->at = at;
    r->held = false;
    wake(r);
    let_go(r);
    pthread_mutex_unlock(&s->lock);
}

void loom_http_reply(loom_http_request *r, int status, const char *type, loom_buf *body)
{
    r->status = status;
    r->type = type;
    loom_buf_release(&r->body);
    r->answer = *body;
    *body = (loom_buf){0};
    finish(r, r->answer.failed ? DROPPED : ANSWERED);
}

void loom_http_drop(loom_http_request *r) { finish(r, DROPPED); }

void loom_http_begin(loom_http_request *r, int status, const char *type)
{
    pthread_mutex_lock(&r->server->lock);
    r->status = status;
    r->type = type;
    r->at = STREAMING;
    wake(r);
    pthread_mutex_unlock(&r->server->lock);
}

void loom_http_put(loom_http_request *r, const char *data, size_t len)
{
    pthread_mutex_lock(&r->server->lock);
    if (r->connection) loom_buf_append(&r->answer, data, len);
    wake(r);
    pthread_mutex_unlock(&r->server->lock);
}

void loom_http_end(loom_http_request *r)
{
    pthread_mutex_lock(&r->server->lock);
    r->ended = true;
    pthread_mutex_unlock(&r->server->lock);
    finish(r, STREAMING);
}

/* ---- starting and stopping ---- */

static loom_status listen_at(loom_http_server *s, const struct addrinfo *at, loom_err *err)
{
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    char port[8];
    int yes = 1;

    s->listener = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open a socket: %s", strerror(errno));
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(s->listener, at->ai_addr, at->ai_addrlen) != 0 || listen(s->listener, 511) != 0) {
        if (errno == EADDRINUSE)
            return loom_fail(
                err, LOOM_STATUS_IO,
                "port %lld at %s is in use: stop what listens there, or choose another --port (0: one that "
                "is free)",
                (long long)s->conf.port, s->conf.address);
        return loom_fail(err, LOOM_STATUS_IO, "cannot listen at port %lld of %s: %s", (long long)s->conf.port,
                         s->conf.address, strerror(errno));
    }
    if (getsockname(s->listener, (struct sockaddr *)&bound, &n) == 0 &&
        getnameinfo((struct sockaddr *)&bound, n, NULL, 0, port, sizeof port, NI_NUMERICSERV) == 0) {
        int64_t number = 0;
        loom_parse_i64(port, strlen(port), &number);
        s->port = (int)number;
    }
    return LOOM_OK;
}

static loom_status open_listener(loom_http_server *s, loom_err *err)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char port[16];

    snprintf(port, sizeof port, "%lld", (long long)s->conf.port);
    int failed = getaddrinfo(s->conf.address, port, &want, &found);
    if (failed) return loom_fail(err, LOOM_STATUS_ARG, "--address %s: %s", s->conf.address, gai_strerror(failed));
    loom_status st = listen_at(s, found, err);
    freeaddrinfo(found);
    return st;
}

/* Signals are for the caller's thread, which looks at the stop flag. */
static struct MHD_Daemon *start_library(loom_http_server *s)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
                         on_request, s, MHD_OPTION_LISTEN_SOCKET, s->listener, MHD_OPTION_NOTIFY_COMPLETED, on_end, s,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->conf.max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)s->conf.idle_seconds, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d;
}

loom_status loom_http_start(loom_http_server **out, const loom_http_conf *conf, loom_err *err)
{
    loom_http_server *s = loom_calloc(1, sizeof *s);
    pthread_condattr_t monotonic;

    if (!s) return loom_fail_nomem(err, "the server");
    s->conf = *conf;
    s->listener = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->arrived, &monotonic);
    pthread_condattr_destroy(&monotonic);
    loom_status st = open_listener(s, err);
    if (st == LOOM_OK && !(s->daemon = start_library(s)))
        st = loom_fail(err, LOOM_STATUS_IO, "the HTTP server cannot be started: %s", strerror(errno));
    if (st != LOOM_OK) loom_http_stop(&s);
    if (st == LOOM_OK) *out = s;
    return st;
}

int loom_http_port(const loom_http_server *s) { return s->port; }

void loom_http_close_door(loom_http_server *s)
{
    int listener = s->daemon ? MHD_quiesce_daemon(s->daemon) : -1;
    if (listener >= 0) close(listener);
    s->listener = -1;
}

void loom_http_stop(loom_http_server **server)
{
    loom_http_server *s = *server;

    if (!s) return;
    if (s->daemon) { /* which must not be stopped while a connection is suspended */
        loom_http_close_door(s);
        pthread_mutex_lock(&s->lock);
        s->closing = true;
        pthread_mutex_unlock(&s->lock);
        for (loom_http_request *r; (r = loom_http_next(s, 0));) loom_http_drop(r);
        MHD_stop_daemon(s->daemon);
    }
    if (s->listener >= 0) close(s->listener);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->arrived);
    free(s);
    *server = NULL;
}

#endif
