/* One HTTP request to 127.0.0.1, as a test wants it.
 *
 *   http_ask PORT METHOD PATH [BODY] [-H 'Name: value']... [--zeros N | --chunks N] [--leave BYTES] [--slow US]
 *   http_ask PORT --raw TEXT [--slow US]
 *
 * The status and the headers go to standard error, the body to standard output. --zeros announces N bytes and sends
 * them, --chunks sends N bytes without announcing them, both until the server answers; --leave closes the connection
 * after so many bytes of the request; --slow waits so many microseconds after every 64 bytes that it reads; --raw sends
 * the text as it is, \r and \n written out. Exit 1: no answer, or half of one. */
#include "tools/http_wire.h"

typedef struct asking {
    const char *method, *path, *body;
    loom_buf headers;
    int64_t zeros, chunks, leave, slow;
    const char *raw;
} asking;

static bool parse(asking *a, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "-H") == 0) loom_buf_printf(&a->headers, "%s\r\n", argv[++i]);
        else if (more && strcmp(argv[i], "--zeros") == 0) a->zeros = strtoll(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--chunks") == 0) a->chunks = strtoll(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--leave") == 0) a->leave = strtoll(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--slow") == 0) a->slow = strtoll(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--raw") == 0) a->raw = argv[++i];
        else if (!a->method) a->method = argv[i];
        else if (!a->path) a->path = argv[i];
        else if (!a->body) a->body = argv[i];
        else return false;
    }
    return a->path || a->raw;
}

/* The text with line ends where it says \r and \n. */
static void raw_request(loom_buf *into, const char *text)
{
    for (; *text; text++) {
        bool named = text[0] == '\\' && (text[1] == 'r' || text[1] == 'n');

        loom_buf_char(into, named ? text[1] == 'r' ? '\r' : '\n' : *text);
        text += named;
    }
}

static void whole_request(asking *a, loom_buf *into)
{
    if (a->chunks >= 0) loom_buf_str(&a->headers, "Transfer-Encoding: chunked\r\n");
    wire_head(into, a->method, a->path, loom_buf_text(&a->headers),
              a->zeros >= 0 ? a->zeros
              : a->body     ? (int64_t)strlen(a->body)
                            : -1);
    if (a->body) loom_buf_str(into, a->body);
}

static void send_much(int fd, int64_t bytes, bool chunked)
{
    enum { PIECE = 65536 };
    static char piece[PIECE + 16];
    size_t head = chunked ? (size_t)snprintf(piece, 16, "%x\r\n", (unsigned)PIECE) : 0;

    memset(piece + head, ' ', PIECE);
    if (chunked) memcpy(piece + head + PIECE, "\r\n", 2);
    for (int64_t sent = 0; sent < bytes; sent += PIECE) {
        char byte;
        size_t n = (size_t)loom_min_i64(PIECE, bytes - sent);
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) return; /* an answer, or the end */
        if (!wire_send(fd, piece, chunked ? head + PIECE + 2 : n)) return;
    }
    if (chunked) wire_send(fd, "0\r\n\r\n", 5);
}

int main(int argc, char **argv)
{
    asking a = {.zeros = -1, .chunks = -1, .leave = -1};
    loom_buf request = {0};
    wire_answer answer = {0};

    if (argc < 4 || !parse(&a, argc - 2, argv + 2)) {
        fprintf(stderr, "usage: http_ask PORT METHOD PATH [BODY] [-H 'Name: value'] [--zeros N|--chunks N] [--leave N] "
                        "[--slow US], or http_ask PORT --raw TEXT\n");
        return 2;
    }
    int fd = wire_connect((int)strtol(argv[1], NULL, 10), 120);
    if (fd < 0) return 1;
    if (a.raw) raw_request(&request, a.raw);
    else whole_request(&a, &request);
    wire_send(fd, request.data, a.leave >= 0 && (size_t)a.leave < request.len ? (size_t)a.leave : request.len);
    if (a.zeros >= 0) send_much(fd, a.zeros, false);
    if (a.chunks >= 0) send_much(fd, a.chunks, true);
    if (a.leave < 0) wire_read(&answer, fd, a.slow ? 64 : 0, (useconds_t)a.slow);
    close(fd);
    fwrite(loom_buf_text(&answer.head), 1, answer.head.len, stderr);
    fwrite(loom_buf_text(&answer.body), 1, answer.body.len, stdout);
    int code = a.leave >= 0 || (answer.status && answer.whole) ? 0 : 1;
    wire_release(&answer);
    loom_buf_release(&request);
    loom_buf_release(&a.headers);
    return code;
}
