#include "infer/push/http_post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/file.h"
#include "core/num.h"

void loom_http_answer_release(loom_http_answer *a)
{
    loom_buf_release(&a->body);
    *a = (loom_http_answer){0};
}

#ifdef LOOM_HAVE_CURL

#define CURL_DISABLE_TYPECHECK /* its macros are for calls by name */
#include <curl/curl.h>
#include <dlfcn.h>

enum { MOST_BODY = 64 << 10 };

/* libcurl brings TLS and Kerberos, half of a program's start: it is loaded by those who send. */
#define CALLS(X)                                                                                                       \
    X(global_init)                                                                                                     \
    X(global_cleanup)                                                                                                  \
    X(free)                                                                                                            \
    X(url)                                                                                                             \
    X(url_set)                                                                                                         \
    X(url_get)                                                                                                         \
    X(url_cleanup)                                                                                                     \
    X(easy_init)                                                                                                       \
    X(easy_setopt)                                                                                                     \
    X(easy_perform)                                                                                                    \
    X(easy_getinfo)                                                                                                    \
    X(easy_strerror)                                                                                                   \
    X(easy_cleanup)                                                                                                    \
    X(slist_append)                                                                                                    \
    X(slist_free_all)
#define MEMBER(name) __typeof__(curl_##name) *name;
static struct {
    void *library;
    CALLS(MEMBER)
} curl;

static bool load(void)
{
    if (curl.library) return true;
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    bool all = library != NULL;

#define FIND(name) all = all && (*(void **)&curl.name = dlsym(library, "curl_" #name)) != NULL;
    CALLS(FIND)
    if (library && !all) dlclose(library);
    curl.library = all ? library : NULL;
    return all;
}

struct loom_http_post {
    CURL *curl;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
};

const char *loom_http_post_library(void) { return "libcurl " LIBCURL_VERSION; }

/* What is beyond the most is read and let go. */
static size_t take(char *data, size_t size, size_t n, void *arg)
{
    loom_buf *body = arg;
    size_t len = size * n, room = body->len < MOST_BODY ? MOST_BODY - body->len : 0;

    loom_buf_append(body, data, len < room ? len : room);
    return len;
}

static int look_for_stop(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)arg, (void)a, (void)b, (void)c, (void)d;
    return loom_stop_requested();
}

static bool is_this_machine(const char *url)
{
    static const char *const hosts[] = {"127.", "localhost", "[::1]"};
    const char *host = strstr(url, "://");

    for (size_t i = 0; host && i < sizeof hosts / sizeof *hosts; i++)
        if (strncmp(host + 3, hosts[i], strlen(hosts[i])) == 0) return true;
    return false;
}

static loom_status check_url(const char *url, loom_err *err)
{
    CURLU *u = curl.url();
    char *scheme = NULL, *host = NULL;
    bool good = u && curl.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl.url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                curl.url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && *host;

    curl.free(scheme);
    curl.free(host);
    curl.url_cleanup(u);
    if (good) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "\"%s\" is no address to send to; expected one such as http://127.0.0.1:4318/v1/traces", url);
}

static void set_options(loom_http_post *p, const char *url, int64_t timeout_s)
{
    CURL *c = p->curl;

    curl.easy_setopt(c, CURLOPT_URL, url);
    curl.easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl.easy_setopt(c, CURLOPT_POST, 1L);
    curl.easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)timeout_s);
    curl.easy_setopt(c, CURLOPT_TIMEOUT, (long)timeout_s);
    curl.easy_setopt(c, CURLOPT_ERRORBUFFER, p->why);
    curl.easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl.easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl.easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look_for_stop);
    if (is_this_machine(url)) curl.easy_setopt(c, CURLOPT_PROXY, "");
}

loom_status loom_http_post_open(loom_http_post **out, const char *url, int64_t timeout_s, loom_err *err)
{
    loom_http_post *p;

    if (!load())
        return loom_fail(err, LOOM_STATUS_ARG, "libcurl is needed to send to %s: install it (Debian: libcurl4)", url);
    if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return loom_fail_nomem(err, "libcurl");
    LOOM_TRY(check_url(url, err));
    if (!(p = loom_calloc(1, sizeof *p)) || !(p->curl = curl.easy_init())) {
        free(p);
        return loom_fail_nomem(err, "a connection");
    }
    set_options(p, url, timeout_s);
    *out = p;
    return LOOM_OK;
}

/* Each send says what its body is. "Expect:" keeps libcurl from asking first, which costs a second where nobody answers. */
static bool set_headers(loom_http_post *p, const loom_http_payload *b)
{
    char type[96];
    struct curl_slist *all = curl.slist_append(NULL, "Expect:"), *more;

    snprintf(type, sizeof type, "Content-Type: %s", b->type);
    if (!all || !(more = curl.slist_append(all, type))) goto failed;
    if (b->gzip && !(more = curl.slist_append(all, "Content-Encoding: gzip"))) goto failed;
    curl.slist_free_all(p->headers);
    p->headers = all;
    curl.easy_setopt(p->curl, CURLOPT_HTTPHEADER, all);
    return true;
failed:
    curl.slist_free_all(all);
    return false;
}

static void no_answer(const loom_http_post *p, CURLcode code, loom_http_answer *a)
{
    const char *words = p->why[0] ? p->why : curl.easy_strerror(code);

    loom_escape_into(a->why, sizeof a->why, words, strlen(words));
}

loom_status loom_http_post_send(loom_http_post *p, const loom_http_payload *body, loom_http_answer *a, loom_err *err)
{
    curl_off_t after = 0;
    long status = 0;
    CURLcode code;

    loom_buf_reset(&a->body);
    a->status = a->retry_after = 0;
    a->why[0] = p->why[0] = 0;
    if (!set_headers(p, body)) return loom_fail_nomem(err, "a request");
    curl.easy_setopt(p->curl, CURLOPT_POSTFIELDS, body->data);
    curl.easy_setopt(p->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    curl.easy_setopt(p->curl, CURLOPT_WRITEDATA, &a->body);
    code = curl.easy_perform(p->curl);
    if (loom_stop_requested()) return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
    if (code == CURLE_OUT_OF_MEMORY) return loom_fail_nomem(err, "a request");
    if (code != CURLE_OK) {
        no_answer(p, code, a);
        return LOOM_OK;
    }
    curl.easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
    curl.easy_getinfo(p->curl, CURLINFO_RETRY_AFTER, &after);
    a->status = status;
    a->retry_after = after;
    return loom_buf_check(&a->body, "an answer", err);
}

void loom_http_post_close(loom_http_post **p)
{
    if (!*p) return;
    curl.easy_cleanup((*p)->curl);
    curl.slist_free_all((*p)->headers);
    free(*p);
    *p = NULL;
    curl.global_cleanup();
}

#else

const char *loom_http_post_library(void) { return NULL; }

loom_status loom_http_post_open(loom_http_post **out, const char *url, int64_t timeout_s, loom_err *err)
{
    (void)out, (void)timeout_s;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "this program was built without libcurl and sends nothing to %s: install it (Debian: "
                     "libcurl4-openssl-dev) and build again",
                     url);
}

loom_status loom_http_post_send(loom_http_post *p, const loom_http_payload *body, loom_http_answer *a, loom_err *err)
{
    (void)p, (void)body, (void)a;
    return loom_fail(err, LOOM_STATUS_ARG, "this program was built without libcurl");
}

void loom_http_post_close(loom_http_post **p) { *p = NULL; }

#endif
