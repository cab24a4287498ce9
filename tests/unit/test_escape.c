/* Names are data: what a terminal would obey never comes out of a message, a log line or JSON as it went in. */
#include <unistd.h>

#include "core/escape.h"
#include "core/json.h"
#include "core/log.h"
#include "test.h"

static void check_escaped(const char *text, size_t len, const char *want)
{
    loom_buf once = {0}, twice = {0};
    loom_escape(&once, text, len);
    CHECK_STR(loom_buf_text(&once), want);
    loom_escape(&twice, loom_buf_text(&once), once.len);
    CHECK_STR(loom_buf_text(&twice), want); /* escaping again changes nothing */
    CHECK(loom_is_plain(text, len) == (strlen(want) == len && memcmp(text, want, len) == 0));
    loom_buf_release(&once);
    loom_buf_release(&twice);
}
#define ESCAPED(text, want) check_escaped(text, sizeof text - 1, want)

TEST(control_characters_are_spelt_out)
{
    ESCAPED("cart-service", "cart-service");
    ESCAPED("", "");
    ESCAPED("\x1b]0;owned\x07", "\\x1b]0;owned\\x07");
    ESCAPED("a\nb\tc\rd", "a\\nb\\tc\\rd");
    ESCAPED("a\0b", "a\\x00b");
    ESCAPED("\x7f", "\\x7f");
    ESCAPED("\xc2\x9b"
            "31m",
            "\\u009b31m");
    ESCAPED("\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x99", "\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x99");
    ESCAPED("\xe2\x80\xae"
            "evil\xe2\x80\xa8\xe2\x81\xa6",
            "\\u202eevil\\u2028\\u2066");
    ESCAPED("\x9b"
            "31m",
            "\\x9b31m");
    ESCAPED("\xff\xc0\x80\xed\xa0\x80", "\\xff\\xc0\\x80\\xed\\xa0\\x80");
    ESCAPED("cut \xe2\x82", "cut \\xe2\\x82");
    ESCAPED("back\\slash", "back\\slash");
    loom_buf lines = {0};
    loom_escape_lines(&lines, "a\tb\nc\x1b[2J\n", 10);
    CHECK_STR(lines.data, "a\tb\nc\\x1b[2J\n");
    loom_buf_release(&lines);
}

TEST(quoted_names_come_back)
{
    static const char *const names[] = {"cart",
                                        "a\\b",
                                        "\\x1b",
                                        "\\\\u009b",
                                        "\x1b[31m\t\n\r",
                                        "\xc2\x9b\xe2\x80\xae\xe2\x81\xa9",
                                        "\xff\\",
                                        "\xc3\xa9",
                                        "\\",
                                        "C:\\new\\text\\u12",
                                        ""};
    loom_buf quoted = {0}, back = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        loom_buf_reset(&quoted);
        loom_buf_reset(&back);
        loom_quote(&quoted, names[i], strlen(names[i]));
        loom_unquote(&back, loom_buf_text(&quoted), quoted.len);
        CHECK_STR(loom_buf_text(&back), names[i]);
        CHECK(loom_is_plain(loom_buf_text(&quoted), quoted.len));
    }
    loom_buf_reset(&back);
    loom_unquote(&back, "a\\b \\x1 \\u00 \\u0041 \\", 20); /* none of ours stays */
    CHECK_STR(back.data, "a\\b \\x1 \\u00 \\u0041 ");
    loom_buf_release(&quoted);
    loom_buf_release(&back);
}

TEST(what_does_not_fit_ends_in_dots)
{
    char text[9];
    loom_escape_into(text, sizeof text, "12345678", 8);
    CHECK_STR(text, "12345678");
    loom_escape_into(text, sizeof text, "123456789", 9);
    CHECK_STR(text, "12345...");
    loom_escape_into(text, sizeof text,
                     "1234\x1b"
                     "56789",
                     10); /* an escape is never cut */
    CHECK_STR(text, "1234...");
    loom_escape_into(text, sizeof text,
                     "1234\xe2\x82\xac"
                     "9",
                     8);
    CHECK_STR(text, "1234\xe2\x82\xac"
                    "9");
    loom_escape_into(text, sizeof text,
                     "1234\xe2\x82\xac"
                     "99",
                     9);
    CHECK_STR(text, "1234...");
    for (size_t cap = 1; cap <= 4; cap++) {
        loom_escape_into(text, cap, "123456789", 9);
        CHECK(strlen(text) < cap);
    }
}

TEST(sentences_are_escaped)
{
    loom_err err = {0};
    char big[3000];
    loom_fail(&err, LOOM_STATUS_IO, "cannot open %s", "a\x1b[31m\nb");
    CHECK_STR(err.msg, "cannot open a\\x1b[31m\\nb");
    loom_err_in(&err, "in %s", "\x07");
    CHECK_STR(err.msg, "in \\x07: cannot open a\\x1b[31m\\nb");
    memset(big, 0x1b, sizeof big - 1);
    big[sizeof big - 1] = 0;
    loom_fail(&err, LOOM_STATUS_IO, "%s", big);
    CHECK(strlen(err.msg) < sizeof err.msg && loom_is_plain(err.msg, strlen(err.msg)));
    CHECK_STR(err.msg + strlen(err.msg) - 3, "...");
    for (int i = 0; i < 3; i++) loom_err_in(&err, "%.*s", 400, big);
    CHECK(strlen(err.msg) < sizeof err.msg && loom_is_plain(err.msg, strlen(err.msg)));
    loom_fail(&err, LOOM_STATUS_IO, "x");
    memset(big, 'y', sizeof err.msg);
    big[sizeof err.msg - 1] = 0;
    loom_err_in(&err, "%s", big);
    CHECK_I64(strlen(err.msg), sizeof err.msg - 1);
}

TEST(log_lines_are_escaped)
{
    char path[] = "/tmp/loom-log.XXXXXX", said[200] = "";
    int file = mkstemp(path), before = dup(2);
    REQUIRE(file >= 0 && before >= 0);
    fflush(stderr);
    dup2(file, 2);
    loom_warn("no service %s here", "\x1b]0;owned\x07\n");
    fflush(stderr);
    dup2(before, 2);
    close(before);
    CHECK(pread(file, said, sizeof said - 1, 0) > 0);
    CHECK_STR(said, "loom: warning: no service \\x1b]0;owned\\x07\\n here\n");
    close(file);
    unlink(path);
}

TEST(json_escapes_what_terminals_obey)
{
    static const char name[] = "a\x1b\x7f\xc2\x9b\xc2\xa0\xc3\xa9";
    loom_buf b = {0};
    loom_jw w;
    loom_json *root = NULL;
    loom_err err;
    loom_jw_init(&w, &b, false);
    loom_jw_begin_array(&w);
    loom_jw_str(&w, name);
    loom_jw_end_array(&w);
    CHECK_STR(b.data, "[\"a\\u001b\\u007f\\u009b\xc2\xa0\xc3\xa9\"]");
    REQUIRE_OK(loom_json_parse(&root, b.data, b.len, "x", &err), err);
    CHECK_STR(loom_json_str(loom_json_at(root, 0), NULL), name);
    loom_json_free(root);
    loom_buf_release(&b);
}

TEST_MAIN(RUN(control_characters_are_spelt_out) RUN(quoted_names_come_back) RUN(what_does_not_fit_ends_in_dots)
              RUN(sentences_are_escaped) RUN(log_lines_are_escaped) RUN(json_escapes_what_terminals_obey))
