/* gzip through ISA-L: whatever the size of the blocks that come in, the text comes out whole or not at all. */
#include "core/inflate.h"

#include <errno.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "test.h"

typedef struct feed {
    const char *data;
    size_t len, at, step;
    bool fail; /* at the end, instead of ending */
} feed;

static ssize_t next_bytes(void *arg, const void **block)
{
    feed *f = arg;
    size_t n = f->len - f->at < f->step ? f->len - f->at : f->step;
    *block = f->data + f->at;
    f->at += n;
    if (n == 0 && f->fail) errno = EIO;
    return n == 0 && f->fail ? -1 : (ssize_t)n;
}

/* True when all of it inflates; *why as loom_inflate_next leaves it. */
static bool inflate_all(loom_buf *out, feed *f, const char **why)
{
    loom_inflate *z = loom_inflate_new(next_bytes, f);
    const void *block;
    ssize_t n = -1;
    loom_buf_reset(out);
    while (z && (n = loom_inflate_next(z, &block, why)) > 0) loom_buf_append(out, block, (size_t)n);
    loom_inflate_free(z);
    return n == 0;
}

static bool inflates(loom_buf *out, const loom_buf *in, size_t len, size_t step)
{
    feed f = {.data = in->data, .len = len, .step = step};
    const char *why = NULL;
    bool all = inflate_all(out, &f, &why);
    CHECK(all || why != NULL);
    return all;
}

static bool same(const loom_buf *a, const loom_buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* Appends `text` as a gzip member; the program gzip makes it. */
static bool add_member(loom_buf *into, const loom_buf *text, const char *level)
{
    char path[] = "/tmp/loom-gzip.XXXXXX", command[120], packed[64];
    int fd = mkstemp(path);
    if (fd < 0) return false;
    bool good = write(fd, loom_buf_text(text), text->len) == (ssize_t)text->len;
    close(fd);
    snprintf(packed, sizeof packed, "%s.gz", path);
    snprintf(command, sizeof command, "gzip -n %s -c %s >%s 2>/dev/null", level, path, packed);
    good = good && system(command) == 0 && loom_file_read(into, packed, 1 << 26, NULL) == LOOM_OK;
    unlink(path);
    unlink(packed);
    return good;
}

static void make_text(loom_buf *text, int lines)
{
    uint64_t x = 88172645463325252ull;
    loom_buf_reset(text);
    for (int i = 0; i < lines; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        loom_buf_printf(text, "%d,T_%llu,0.%d,MS_%d,rpc,%llx\n", i, (unsigned long long)(x % 1000), i % 7, i % 50,
                        (unsigned long long)x);
    }
}

TEST(members_in_blocks_of_any_size)
{
    static const char *const levels[] = {"-1", "-9"};
    loom_buf text = {0}, empty = {0}, all = {0}, packed = {0}, out = {0};
    if (!loom_inflate_available()) SKIP("built without ISA-L");
    for (int l = 0; l < 2; l++) {
        loom_buf_reset(&all);
        loom_buf_reset(&packed);
        for (int part = 0; part < 3; part++) {
            make_text(&text, part == 1 ? 20000 : 40);
            if (!add_member(&packed, &text, levels[l])) SKIP("no gzip program");
            CHECK(add_member(&packed, &empty, levels[l]));
            loom_buf_append(&all, text.data, text.len);
        }
        for (size_t step = 1; step <= packed.len * 3; step = step * 3 + 1) {
            CHECK(inflates(&out, &packed, packed.len, step));
            CHECK(same(&out, &all));
        }
        for (int zeros = 0; zeros < 1000; zeros++) loom_buf_char(&packed, 0);
        CHECK(inflates(&out, &packed, packed.len, 100));
        CHECK(same(&out, &all));
        loom_buf_str(&packed, "more");
        CHECK(!inflates(&out, &packed, packed.len, 100));
    }
    loom_buf_release(&text);
    loom_buf_release(&all);
    loom_buf_release(&packed);
    loom_buf_release(&out);
}

TEST(damage_is_noticed)
{
    loom_buf text = {0}, packed = {0}, out = {0};
    const char *why = NULL;
    if (!loom_inflate_available()) SKIP("built without ISA-L");
    make_text(&text, 30);
    if (!add_member(&packed, &text, "-6")) SKIP("no gzip program");
    for (size_t len = 1; len < packed.len; len++) CHECK(!inflates(&out, &packed, len, 64));
    for (size_t bit = 0; bit < 8 * packed.len; bit++) { /* some bits mean nothing: the time, padding */
        packed.data[bit / 8] = (char)(packed.data[bit / 8] ^ (1 << bit % 8));
        bool all = inflates(&out, &packed, packed.len, 4096);
        CHECK(!all || same(&out, &text));
        packed.data[bit / 8] = (char)(packed.data[bit / 8] ^ (1 << bit % 8));
    }
    feed f = {.data = packed.data, .len = packed.len / 2, .step = 10, .fail = true};
    CHECK(!inflate_all(&out, &f, &why));
    CHECK(why == NULL); /* the error is the source's */
    loom_buf_release(&text);
    loom_buf_release(&packed);
    loom_buf_release(&out);
}

TEST(a_cut_file_is_refused_by_name)
{
    char path[] = "/tmp/loom-cut.XXXXXX", block[4096];
    loom_buf text = {0}, packed = {0};
    loom_err err = {0};
    loom_in *in = NULL;
    size_t n = 1;
    make_text(&text, 3000);
    if (!add_member(&packed, &text, "-6")) SKIP("no gzip program");
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    close(fd);
    REQUIRE(loom_file_write(path, packed.data, packed.len / 2, true, &err) == LOOM_OK);
    loom_status st = loom_in_open(&in, path, &err);
    while (st == LOOM_OK && n > 0) st = loom_in_read(in, block, sizeof block, &n, &err);
    CHECK_I64(st, LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, path) && strstr(err.msg, "cut short"));
    loom_in_close(&in);
    unlink(path);
    loom_buf_release(&text);
    loom_buf_release(&packed);
}

TEST_MAIN(RUN(members_in_blocks_of_any_size) RUN(damage_is_noticed) RUN(a_cut_file_is_refused_by_name))
