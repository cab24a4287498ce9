/* otlp_sink DIR [ANSWER...]: a collector for tests. Listens on 127.0.0.1 (the port is in DIR/port), keeps the body of
 * each request as DIR/body-N.json.gz (or .json), and its headers in DIR/heads. The n-th request gets the n-th ANSWER,
 * later ones the last:
 *
 *   200            taken         partial:K:WORDS   taken but for K spans     drop   closed without an answer
 *   429, 503, ...  that status   503:after=S       with Retry-After: S       hang   nothing for a minute
 *   count          taken, and the body not kept
 *
 * Ends when DIR/stop is there or after two minutes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"

static const char *dir;
static int n_requests;

static int open_door(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    char path[600], port[32];

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 8) ||
        getsockname(fd, (struct sockaddr *)&at, &len)) {
        perror("otlp_sink");
        exit(1);
    }
    snprintf(path, sizeof path, "%s/port", dir);
    int n = snprintf(port, sizeof port, "%d\n", ntohs(at.sin_port));
    if (loom_file_write(path, port, (size_t)n, true, NULL) != LOOM_OK) exit(1);
    return fd;
}

static bool time_to_go(time_t since)
{
    char path[600];

    snprintf(path, sizeof path, "%s/stop", dir);
    return access(path, F_OK) == 0 || time(NULL) - since > 120;
}

/* Waits for something to read; false: it is time to go. */
static bool wait_for(int fd, time_t since)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, 100) == 0)
        if (time_to_go(since)) return false;
    return true;
}

static const char *header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? at + strlen(name) : NULL;
}

/* One request into `all`; the length of its head, 0 at the end of the connection. */
static size_t read_request(int fd, loom_buf *all, time_t since)
{
    char block[65536];
    size_t head = 0, want = SIZE_MAX;

    loom_buf_reset(all);
    while (all->len < want) {
        ssize_t n = wait_for(fd, since) ? read(fd, block, sizeof block) : 0;
        if (n <= 0) return 0;
        loom_buf_append(all, block, (size_t)n);
        const char *end = head ? NULL : strstr(loom_buf_text(all), "\r\n\r\n");
        if (!end) continue;
        head = (size_t)(end - all->data) + 4;
        const char *length = header(all->data, "\r\nContent-Length: ");
        want = head + (length ? strtoull(length, NULL, 10) : 0);
    }
    return head;
}

static void keep(const loom_buf *all, size_t head)
{
    char path[600];
    bool gzip = header(all->data, "\r\nContent-Encoding: gzip") != NULL;

    snprintf(path, sizeof path, "%s/body-%04d.json%s", dir, n_requests, gzip ? ".gz" : "");
    if (loom_file_write(path, all->data + head, all->len - head, true, NULL) != LOOM_OK) exit(1);
    snprintf(path, sizeof path, "%s/heads", dir);
    FILE *heads = fopen(path, "a");
    if (!heads || fwrite(all->data, 1, head, heads) != head || fclose(heads)) exit(1);
}

/* False: the connection is closed. */
static bool answer(int fd, const char *how)
{
    char body[300] = "{}", after[64] = "", text[600];
    int status = 200;

    if (strcmp(how, "drop") == 0) return false;
    if (strcmp(how, "hang") == 0) {
        sleep(60);
        return false;
    }
    if (strncmp(how, "partial:", 8) == 0) {
        char *words;
        long long k = strtoll(how + 8, &words, 10);
        snprintf(body, sizeof body, "{\"partialSuccess\":{\"rejectedSpans\":\"%lld\",\"errorMessage\":\"%s\"}}", k,
                 words + 1);
    } else if (strcmp(how, "count") != 0) {
        char *rest;
        status = (int)strtol(how, &rest, 10);
        if (strncmp(rest, ":after=", 7) == 0) snprintf(after, sizeof after, "Retry-After: %s\r\n", rest + 7);
        if (status != 200) snprintf(body, sizeof body, "not now\x1b[31m");
    }
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %d Said\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s", status,
                     after, strlen(body), body);
    return write(fd, text, (size_t)n) == n;
}

int main(int argc, char **argv)
{
    time_t since = time(NULL);
    loom_buf all = {0};

    if (argc < 2) return 2;
    dir = argv[1];
    for (int door = open_door(); wait_for(door, since);) {
        int fd = accept(door, NULL, NULL);
        bool open = fd >= 0;
        size_t head;

        while (open && (head = read_request(fd, &all, since))) {
            const char *how = argc < 3 ? "200" : argv[2 + n_requests < argc ? 2 + n_requests : argc - 1];
            n_requests++;
            if (strcmp(how, "count") != 0) keep(&all, head);
            open = answer(fd, how);
        }
        close(fd);
    }
    loom_buf_release(&all);
    return 0;
}
