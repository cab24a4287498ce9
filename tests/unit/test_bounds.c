/* What is read whole is bounded, packed or not; a small file never takes much memory. */
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"
#include "core/usage.h"
#include "test.h"

/* The address sanitizer keeps what was freed for a while: no measure of memory. */
#if defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void temp_path(char *path, size_t cap, const char *name)
{
    snprintf(path, cap, "/tmp/loom-bounds-%ld-%s", (long)getpid(), name);
}

/* A file of n times `text`, packed when its name ends in .zst. */
static void write_many(const char *path, const char *text, int64_t n)
{
    loom_out *out = NULL;
    loom_err err;
    size_t len = strlen(text);
    REQUIRE_OK(loom_out_open(&out, path, true, &err), err);
    for (int64_t i = 0; i < n; i++) REQUIRE_OK(loom_out_write(out, text, len, &err), err);
    REQUIRE_OK(loom_out_commit(&out, &err), err);
}

static loom_status read_all(const char *path, size_t bound, size_t *len, loom_err *err)
{
    loom_in *in = NULL;
    loom_buf text = {0};
    loom_status st = loom_in_open(&in, path, err);
    if (st == LOOM_OK) st = loom_in_read_all(&text, in, bound, path, err);
    *len = text.len;
    loom_in_close(&in);
    loom_buf_release(&text);
    return st;
}

TEST(a_bomb_takes_little)
{
    char path[200], text[1001];
    loom_err err = {0};
    size_t len;
    temp_path(path, sizeof path, "bomb.zst");
    memset(text, 'x', 1000);
    text[1000] = 0;
    write_many(path, text, 400000); /* 400 MB in some 40 KB */
    int64_t before = loom_peak_bytes();
    CHECK_I64(read_all(path, LOOM_BOUND_TRACES, &len, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "bomb.zst unpacks to more than 200 times its size") != NULL);
    CHECK(len < LOOM_BOUND_UNPACKED + (1 << 20));
    CHECK(SANITIZED || loom_peak_bytes() - before < 200 << 20);
    loom_lines *lines = NULL;
    char *line;
    REQUIRE_OK(loom_lines_open(&lines, path, &err), err);
    CHECK_I64(loom_lines_next(lines, &line, &len, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "bomb.zst:1: a line of more than 64.0 MiB") != NULL);
    loom_lines_close(&lines);
    CHECK(SANITIZED || loom_peak_bytes() - before < 300 << 20);
    unlink(path);
}

TEST(bounds_hold_to_the_byte)
{
    char path[200];
    loom_err err = {0};
    loom_buf text = {0};
    size_t len;
    temp_path(path, sizeof path, "small.zst");
    write_many(path, "0123456789\n", 100);
    REQUIRE_OK(read_all(path, 1100, &len, &err), err);
    CHECK_I64(len, 1100);
    CHECK_I64(read_all(path, 1099, &len, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "small.zst is larger than 1.07 KiB, the most that such a file may have") != NULL);
    loom_lines *lines = NULL;
    char *line;
    REQUIRE_OK(loom_lines_open(&lines, path, &err), err);
    loom_lines_bound(lines, 110);
    for (int i = 0; i < 10; i++) REQUIRE_OK(loom_lines_next(lines, &line, &len, &err), err);
    CHECK_I64(loom_lines_next(lines, &line, &len, &err), LOOM_STATUS_FORMAT);
    loom_lines_close(&lines);
    unlink(path);
    temp_path(path, sizeof path, "plain");
    write_many(path, "0123456789", 10);
    REQUIRE_OK(loom_file_read(&text, path, 100, &err), err);
    CHECK_I64(loom_file_read(&text, path, 99, &err), LOOM_STATUS_FORMAT);
    unlink(path);
    loom_buf_release(&text);
}

static loom_status parse_many(const char *text, int64_t n, const char *end, loom_err *err)
{
    loom_buf b = {0};
    loom_json *root = NULL;
    for (int64_t i = 0; i < n; i++) loom_buf_str(&b, text);
    loom_buf_str(&b, end);
    loom_status st = loom_json_parse(&root, b.data, b.len, "deep.json", err);
    if (st == LOOM_OK) loom_json_free(root);
    loom_buf_release(&b);
    return st;
}

TEST(json_of_nothing_but_brackets)
{
    loom_err err = {0};
    for (int64_t n = 100; n <= 1000000; n *= 10) { /* deeper than any stack */
        CHECK_I64(parse_many("[", n, "", &err), LOOM_STATUS_FORMAT);
        CHECK(strncmp(err.msg, "deep.json:", 10) == 0 && (n < 10000 || n > 100000 || strstr(err.msg, "depth")));
        CHECK_I64(parse_many("{\"a\":", n, "", &err), LOOM_STATUS_FORMAT);
    }
    CHECK_I64(parse_many("[{},", 1, "{}]", &err), LOOM_OK);
    CHECK_I64(parse_many("[{},", 1000000, "{}]", &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "hardly anything but empty values") != NULL);
    REQUIRE_OK(parse_many("[\"a\",\"b\", 1, 2.5, {\"key\": \"value\"}, ", 1, "0]", &err), err);
    loom_buf merges = {0}; /* the richest that is sound: merges as lists of two short words */
    loom_buf_char(&merges, '[');
    for (int i = 0; i < 100000; i++)
        loom_buf_printf(&merges, "[\"%c\",\"%c%c\"],", 'a' + i % 26, 'a' + i % 25, 'a' + i % 24);
    REQUIRE_OK(parse_many(merges.data, 1, "0]", &err), err);
    loom_buf_release(&merges);
}

TEST_MAIN(RUN(a_bomb_takes_little) RUN(bounds_hold_to_the_byte) RUN(json_of_nothing_but_brackets))
