/* Mappings of names: read, added to and written again; a line that contradicts another is refused with its place. */
#include <unistd.h>

#include "core/file.h"
#include "test.h"
#include "trace/graph/rename.h"

static char path[] = "/tmp/loom-rename-XXXXXX";

static loom_status load(loom_rename *r, const char *text, loom_err *err)
{
    loom_status st = loom_file_write(path, text, strlen(text), true, err);
    if (st != LOOM_OK) return st;
    return loom_rename_load(r, path, err);
}

TEST(lines_that_are_no_mapping)
{
    static const struct {
        const char *text, *says;
    } cases[] = {{"nonsense\n", ":1: not \"MS_<number><TAB>name\""},
                 {"MS_1\t\n", ":1: not"},
                 {"MS_\ta\n", ":1: not"},
                 {"MS_x\ta\n", ":1: not"},
                 {"MS_-1\ta\n", ":1: not"},
                 {"X_1\ta\n", ":1: not"},
                 {"# a remark\n\nS_1\ta\nS_2\ta\n", ":4: the name has another number already"},
                 {"MS_1\ta\nMS_1\tb\n", ":2: another name has the number already"},
                 {"S_7\ta\nS_7\tS_7\n", ":2: another name has the number already"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_rename r = {0};
        loom_err err = {0};
        CHECK_I64(load(&r, cases[i].text, &err), LOOM_STATUS_FORMAT);
        if (!strstr(err.msg, cases[i].says) || !strstr(err.msg, path))
            TEST_FAIL_("\"%s\" lacks \"%s\"", err.msg, cases[i].says);
        loom_rename_release(&r);
    }
}

TEST(a_mapping_goes_on_growing)
{
    static const char text[] =
        "# kept\nMS_00001\tcart\nMS_00012\tMS_12\nMS_00012\tMS_00012\nMS_00001\tcart\nS_000000003\tfront:/a b\n";
    static const char whole[] =
        "# kept\nMS_00001\tcart\nMS_00012\tMS_12\nMS_00012\tMS_00012\nMS_00002\tMS_012345\nMS_00003\tapple\n"
        "S_000000003\tfront:/a b\n";
    const char *more[] = {"cart", "apple", "MS_012345"};
    loom_rename r = {.keep_ids = true};
    loom_err err = {0};
    loom_buf out = {0};
    REQUIRE_OK(load(&r, text, &err), err);
    CHECK(loom_rename_add(&r, LOOM_RENAME_MICROSERVICE, more, 3));
    CHECK(loom_rename_has(&r, LOOM_RENAME_MICROSERVICE, 12) && !loom_rename_has(&r, LOOM_RENAME_MICROSERVICE, 5));
    loom_rename_render(&r, &out);
    CHECK_STR(loom_buf_text(&out), whole);
    loom_buf_reset(&out);
    loom_rename_append(&r, LOOM_RENAME_MICROSERVICE, "USER", &out);
    loom_rename_append(&r, LOOM_RENAME_MICROSERVICE, "MS_12", &out);
    CHECK_STR(loom_buf_text(&out), "USERMS_00012");
    loom_rename_release(&r);
    unlink(path);
    REQUIRE_OK(loom_rename_load(&r, path, &err), err); /* no file: no names yet */
    loom_buf_release(&out);
}

TEST_MAIN(int fd = mkstemp(path); if (fd < 0) return 1; close(fd);
          RUN(lines_that_are_no_mapping) RUN(a_mapping_goes_on_growing) unlink(path);)
