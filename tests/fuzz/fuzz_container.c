/* Any bytes as a file: plain, gzip, zstd, xz, bzip2, tar of those. A message or the same bytes whichever way they
 * are read, never a crash; lines are the text cut at its line ends. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

enum { MOST = 4 << 20 }; /* bytes looked at: small inputs may unpack to any size */

static void touch(const char *text)
{
    volatile unsigned char last = 0;
    for (; *text; text++) last = (unsigned char)*text;
    (void)last;
}

/* Reads all members in pieces of `step`; *whole: to the end without a fault. */
static void read_stream(loom_buf *into, const char *path, size_t step, bool *whole)
{
    loom_in *in = NULL;
    loom_err err;
    bool more = true;
    loom_status st = loom_in_open(&in, path, &err);
    loom_buf_reset(into);
    while (st == LOOM_OK && more && into->len < MOST) {
        size_t n = 1;
        touch(loom_in_member(in));
        while (st == LOOM_OK && n && into->len < MOST) {
            must(loom_buf_reserve(into, step));
            if ((st = loom_in_read(in, into->data + into->len, step, &n, &err)) == LOOM_OK) into->len += n;
        }
        if (st == LOOM_OK) st = loom_in_next_member(in, &more, &err);
    }
    if (st != LOOM_OK) touch(err.msg);
    *whole = st == LOOM_OK && into->len < MOST;
    loom_in_close(&in);
}

static void read_lines(const loom_buf *whole, const char *path)
{
    loom_lines *lines = NULL;
    loom_err err;
    char *line;
    size_t len, at = 0;
    if (loom_lines_open(&lines, path, &err) != LOOM_OK) abort();
    for (;;) {
        must(loom_lines_next(lines, &line, &len, &err) == LOOM_OK);
        if (!line) break;
        must(at + len <= whole->len && memcmp(whole->data + at, line, len) == 0 && line[len] == 0);
        at += len;
        if (at < whole->len && whole->data[at] == '\r') at++;
        if (at < whole->len) must(whole->data[at++] == '\n');
    }
    must(at == whole->len);
    loom_lines_close(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    char path[40];
    loom_buf a = {0}, b = {0};
    bool whole_a, whole_b;
    if (file < 0) file = memfd_create("fuzz", 0);
    must(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    read_stream(&a, path, 1 << 16, &whole_a);
    read_stream(&b, path, 1 + (size ? data[size - 1] : 0), &whole_b);
    must(whole_a == whole_b);
    if (whole_a) {
        must(a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0));
        must(loom_buf_reserve(&a, 1));
        a.data[a.len] = 0;
        read_lines(&a, path);
    }
    loom_buf_release(&a);
    loom_buf_release(&b);
    return 0;
}
