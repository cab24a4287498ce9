/* HTTP/1.1 as a client of a test speaks it: one connection to 127.0.0.1 for each request, nothing hidden. */
#ifndef LOOM_TESTS_HTTP_WIRE_H
#define LOOM_TESTS_HTTP_WIRE_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/num.h"

typedef struct wire_answer {
    int status; /* 0: none came */
    loom_buf head, body;
    bool whole; /* the body is as long as it said, or its last chunk was seen */
} wire_answer;

static inline void wire_release(wire_answer *a)
{
    loom_buf_release(&a->head);
    loom_buf_release(&a->body);
    *a = (wire_answer){0};
}

/* A connection, -1: none. Reads and writes on it give up after `seconds`. */
static inline int wire_connect(int port, int seconds)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = seconds};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    return -1;
}

static inline bool wire_send(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static inline void wire_head(loom_buf *into, const char *method, const char *path, const char *more, int64_t body_bytes)
{
    loom_buf_printf(into, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s", method, path, more);
    if (body_bytes >= 0) loom_buf_printf(into, "Content-Length: %lld\r\n", (long long)body_bytes);
    loom_buf_str(into, "\r\n");
}

/* Takes chunked text apart, in place. False: its end is missing. */
static inline bool wire_unchunk(loom_buf *body)
{
    size_t at = 0, out = 0;

    for (;;) {
        char *line = memmem(body->data + at, body->len - at, "\r\n", 2);
        if (!line) return false;
        unsigned long n = strtoul(body->data + at, NULL, 16);
        at = (size_t)(line - body->data) + 2;
        if (n > body->len - at) return false;
        memmove(body->data + out, body->data + at, n);
        out += n;
        at += n + 2;
        if (n == 0) break;
    }
    body->len = out;
    body->data[out] = 0;
    return true;
}

/* Reads until the server closes; `pause_us` after every `piece` bytes makes a slow reader. */
static inline void wire_read(wire_answer *a, int fd, size_t piece, useconds_t pause_us)
{
    loom_buf all = {0};
    char data[16384];

    for (;;) {
        ssize_t n = recv(fd, data, piece && piece < sizeof data ? piece : sizeof data, 0);
        if (n <= 0) break;
        loom_buf_append(&all, data, (size_t)n);
        if (pause_us) usleep(pause_us);
    }
    char *blank = all.len ? strstr(all.data, "\r\n\r\n") : NULL;
    if (blank && strncmp(all.data, "HTTP/1.1 100", 12) == 0) { /* continue */
        size_t cut = (size_t)(blank - all.data) + 4;
        memmove(all.data, all.data + cut, all.len - cut + 1);
        all.len -= cut;
        blank = all.len ? strstr(all.data, "\r\n\r\n") : NULL;
    }
    if (blank && strncmp(all.data, "HTTP/1.1 ", 9) == 0) {
        size_t head = (size_t)(blank - all.data) + 4;
        a->status = (int)strtol(all.data + 9, NULL, 10);
        loom_buf_append(&a->head, all.data, head);
        loom_buf_append(&a->body, all.data + head, all.len - head);
        const char *length = strcasestr(a->head.data, "\r\nContent-Length:");
        if (length) a->whole = a->body.len == strtoul(length + 17, NULL, 10);
        else if (strcasestr(a->head.data, "chunked")) a->whole = a->body.len && wire_unchunk(&a->body);
        else a->whole = true;
    }
    loom_buf_release(&all);
}

/* One request and its answer. */
static inline void wire_ask(wire_answer *a, int port, const char *method, const char *path, const char *more,
                            const char *body)
{
    int fd = wire_connect(port, 600);
    loom_buf request = {0};

    if (fd < 0) return;
    wire_head(&request, method, path, more, body ? (int64_t)strlen(body) : -1);
    if (body) loom_buf_str(&request, body);
    wire_send(fd, request.data, request.len);
    wire_read(a, fd, 0, 0);
    close(fd);
    loom_buf_release(&request);
}

#endif
