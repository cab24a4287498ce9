/* Damaged containers: a message that names the member, from memory that is still ours (run under the address
 * sanitizer by make test-sanitize). */
#include <unistd.h>

#include "core/file.h"
#include "test.h"

/* Appends a tar member; a header whose sum is `off` is damaged. */
static void add_member(loom_buf *tar, const char *name, const char *text, int off)
{
    char head[512] = {0};
    unsigned sum = 0;
    snprintf(head, 100, "%s", name);
    snprintf(head + 100, 8, "0000644");
    snprintf(head + 124, 12, "%011o", (unsigned)strlen(text));
    snprintf(head + 136, 12, "%011o", 0u);
    memset(head + 148, ' ', 8);
    head[156] = '0';
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof head; i++) sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum + (unsigned)off);
    loom_buf_append(tar, head, sizeof head);
    loom_buf_append(tar, text, strlen(text));
    while (tar->len % 512) loom_buf_char(tar, 0);
}

/* Reads all of a file made of these bytes. */
static loom_status read_all(const loom_buf *bytes, loom_buf *text, loom_buf *names, loom_err *err)
{
    char path[] = "/tmp/loom-container.XXXXXX", block[100];
    loom_in *in = NULL;
    bool more = true;
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes->data, bytes->len) != (ssize_t)bytes->len)
        return loom_fail(err, LOOM_STATUS_IO, "no temporary file");
    close(fd);
    loom_status st = loom_in_open(&in, path, err);
    while (st == LOOM_OK && more) {
        size_t n = 1;
        loom_buf_printf(names, "%s;", loom_in_member(in));
        while ((st = loom_in_read(in, block, sizeof block, &n, err)) == LOOM_OK && n) loom_buf_append(text, block, n);
        if (st == LOOM_OK) st = loom_in_next_member(in, &more, err);
    }
    loom_in_close(&in);
    unlink(path);
    return st;
}

TEST(members_have_their_names)
{
    loom_buf tar = {0}, text = {0}, names = {0};
    loom_err err = {0};
    add_member(&tar, "a.csv", "one", 0);
    add_member(&tar, "b.csv", "two", 0);
    for (int i = 0; i < 1024; i++) loom_buf_char(&tar, 0);
    REQUIRE_OK(read_all(&tar, &text, &names, &err), err);
    CHECK_STR(text.data, "onetwo");
    CHECK_STR(names.data, "a.csv;b.csv;");
    loom_buf_release(&tar);
    loom_buf_release(&text);
    loom_buf_release(&names);
}

TEST(a_damaged_header_names_the_member_before_it)
{
    loom_buf tar = {0}, text = {0}, names = {0};
    loom_err err = {0};
    char name[100];
    memset(name, 'n', sizeof name - 1); /* long enough to live on the heap */
    name[sizeof name - 1] = 0;
    add_member(&tar, name, "one", 0);
    add_member(&tar, "b.csv", "two", 1);
    for (int i = 0; i < 1024; i++) loom_buf_char(&tar, 0);
    CHECK_I64(read_all(&tar, &text, &names, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, ", behind member nnn") != NULL && strstr(err.msg, "cut short") != NULL);
    loom_buf_release(&tar);
    loom_buf_release(&text);
    loom_buf_release(&names);
}

TEST(a_cut_member_is_named_and_its_name_is_escaped)
{
    loom_buf tar = {0}, text = {0}, names = {0};
    loom_err err = {0};
    add_member(&tar, "\x1b[31m.csv", "four", 0);
    tar.len -= 510;
    CHECK_I64(read_all(&tar, &text, &names, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, ", member \\x1b[31m.csv: ") != NULL);
    loom_buf_release(&tar);
    loom_buf_release(&text);
    loom_buf_release(&names);
}

TEST_MAIN(RUN(members_have_their_names) RUN(a_damaged_header_names_the_member_before_it)
              RUN(a_cut_member_is_named_and_its_name_is_escaped))
