/* Names of files, what containers begin with, writers of all kinds, JSON values of all kinds, and ends by signals. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/nomem.h"
#include "core/num.h"
#include "test.h"

static char folder[] = "/tmp/loom-files-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[8][400];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static void put(const char *name, const void *data, size_t n)
{
    loom_err err = {0};
    REQUIRE_OK(loom_file_write(in_folder(name), data, n, true, &err), err);
}

/* ---- names ---- */

TEST(names_of_arguments)
{
    static const struct {
        const char *arg, *name, *file;
    } cases[] = {{"a/b.graphs.zst", "b", "a/b.graphs.zst"},
                 {"mine=a/b.graphs", "mine", "a/b.graphs"},
                 {"a/x=y.graphs", "x=y", "a/x=y.graphs"},
                 {"=b", "=b", "=b"},
                 {"a\"b`c\\d=f", "a'b_c/d", "f"},
                 {"a\033b=f", "a_b", "f"},
                 {"a\xff"
                  "b=f",
                  "a?b", "f"},
                 {"caf\xc3\xa9=f", "caf\xc3\xa9", "f"},
                 {"plain", "plain", "plain"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[40];
        CHECK_STR(loom_path_called(name, sizeof name, cases[i].arg), cases[i].file);
        CHECK_STR(name, cases[i].name);
    }
    CHECK_STR(loom_path_name("a/b"), "b");
    CHECK_STR(loom_path_name("b"), "b");
    CHECK_STR(loom_path_name("a/"), "a/");
    CHECK(loom_path_ends_in("a.zst", ".zst") && !loom_path_ends_in("zst", ".zst") &&
          !loom_path_ends_in("a.gz", ".zst"));
    CHECK(loom_path_is_hidden("a/.b") && loom_path_is_hidden(".b") && !loom_path_is_hidden("a.b/c"));
}

TEST(what_is_there)
{
    put("one", "x", 1);
    put("two", "xy", 2);
    int fd = open(in_folder("one"), O_RDONLY);
    CHECK(loom_file_is_open(fd, in_folder("one")) && !loom_file_is_open(fd, in_folder("two")));
    CHECK(!loom_file_is_open(fd, in_folder("none")) && !loom_file_is_open(-1, in_folder("one")));
    close(fd);
    CHECK(loom_file_exists_in(folder, "one") && !loom_file_exists_in(folder, "none"));
    CHECK(loom_file_is_dir(folder) && !loom_file_is_dir(in_folder("one")) && !loom_file_is_dir(in_folder("none")));
    CHECK_I64(loom_file_size(in_folder("two")), 2);
    CHECK_I64(loom_file_size(folder), -1);
    CHECK_I64(loom_file_size(in_folder("none")), -1);
    unlink(in_folder("one")), unlink(in_folder("two"));
}

/* Links to folders are not followed; hidden ones and pipes are passed over; folders without end are an error. */
TEST(trees)
{
    loom_err err = {0};
    char **paths = NULL, deep[2000] = "";
    size_t n = 0;
    REQUIRE_OK(loom_make_dirs(in_folder("t/.hidden"), &err), err);
    put("t/a", "x", 1);
    put("t/.hidden/b", "x", 1);
    REQUIRE(symlink(folder, in_folder("t/loop")) == 0 && symlink("nowhere", in_folder("t/broken")) == 0);
    REQUIRE(mkfifo(in_folder("t/pipe"), 0600) == 0);
    REQUIRE_OK(loom_list_tree(&paths, &n, in_folder("t"), &err), err);
    CHECK(n == 1 && strstr(paths[0], "t/a"));
    loom_free_list(paths, n);
    REQUIRE_OK(loom_list_files(&paths, &n, in_folder("t"), ".none", &err), err);
    CHECK_I64(n, 0);
    loom_free_list(paths, n);
    for (int i = 0; i < 260; i++) snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "/d");
    char path[2100];
    snprintf(path, sizeof path, "%s/t%s", folder, deep);
    REQUIRE_OK(loom_make_dirs(path, &err), err);
    CHECK_I64(loom_list_tree(&paths, &n, in_folder("t"), &err), LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "more than 256 folders within folders"));
    snprintf(path, sizeof path, "rm -r %s/t", folder);
    CHECK_I64(system(path), 0);
}

/* ---- reading ---- */

/* What begins like a container and is none is refused by name, what only nearly begins like one is read as it is. */
TEST(beginnings)
{
    static char broken_tar[512] = "name"; /* and no checksum */
    memcpy(broken_tar + 257, "ustar", 5);
    const struct {
        const char *bytes;
        size_t n;
        bool container;
    } cases[] = {{"\x1f\x8b", 2, true},
                 {"\x1f\x8c", 2, false},
                 {"\x1f", 1, false},
                 {"\x28\xb5\x2f\xfd", 4, true},
                 {"\x28\xb5\x2f\xfe", 4, false},
                 {"\x50\x2a\x4d\x18", 4, true},
                 {"\x51\x2a\x4d\x19", 4, false},
                 {"\x40\x2a\x4d\x18", 4, false},
                 {"\xfd"
                  "7zXZ\0",
                  6, true},
                 {"\xfd"
                  "7zXZ",
                  5, false},
                 {"BZh9", 4, true},
                 {"BZh91AY", 7, true},
                 {"BZh91AY&SY", 10, true},
                 {"BZh1\x17\x72\x45", 7, true},
                 {"BZh9 and more", 13, false},
                 {"BZh0", 4, false},
                 {"BZh:", 4, false},
                 {"BZx9", 4, false},
                 {broken_tar, sizeof broken_tar, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_in *in = NULL;
        loom_err err = {0};
        char data[100];
        size_t n = 0;
        put("x", cases[i].bytes, cases[i].n);
        loom_status st = loom_in_open(&in, in_folder("x"), &err);
        if (st == LOOM_OK) st = loom_in_read(in, data, sizeof data, &n, &err);
        if (!cases[i].container) CHECK(st == LOOM_OK && n == cases[i].n && memcmp(data, cases[i].bytes, n) == 0);
        else if (st != LOOM_STATUS_FORMAT || !strstr(err.msg, "damaged or cut short"))
            TEST_FAIL_("beginning %zu: %d, %zu bytes, %s", i, (int)st, n, err.msg);
        if (in) loom_in_close(&in);
    }
    unlink(in_folder("x"));
}

TEST(peeking_and_bounds)
{
    loom_in *in = NULL;
    loom_err err = {0};
    const char *data;
    char one[1], rest[20];
    size_t n;
    bool more = true;
    loom_buf all = {0};
    put("x", "abcdef", 6);
    REQUIRE_OK(loom_in_open(&in, in_folder("x"), &err), err);
    CHECK(loom_in_peek(in, &data, &n, &err) == LOOM_OK && n == 6 && memcmp(data, "abcdef", 6) == 0);
    CHECK(loom_in_read(in, one, 1, &n, &err) == LOOM_OK && n == 1 && *one == 'a');
    CHECK(loom_in_peek(in, &data, &n, &err) == LOOM_OK && n == 5 && *data == 'b'); /* the same once more */
    CHECK(loom_in_read(in, rest, sizeof rest, &n, &err) == LOOM_OK && n == 5 && memcmp(rest, "bcdef", 5) == 0);
    CHECK(loom_in_peek(in, &data, &n, &err) == LOOM_OK && n == 0);
    CHECK(loom_in_next_member(in, &more, &err) == LOOM_OK && !more);
    CHECK_STR(loom_in_member(in), "");
    loom_in_close(&in);
    REQUIRE_OK(loom_in_open(&in, in_folder("x"), &err), err);
    CHECK_I64(loom_in_read_all(&all, in, 5, "x", &err), LOOM_STATUS_FORMAT);
    loom_in_close(&in);
    loom_stop_set(true);
    CHECK_I64(loom_file_read(&all, in_folder("x"), 100, &err), LOOM_OK); /* small files are read to their end */
    REQUIRE_OK(loom_in_open(&in, in_folder("x"), &err), err);
    CHECK_I64(loom_in_read(in, rest, sizeof rest, &n, &err), LOOM_STATUS_INTERRUPT);
    CHECK_I64(loom_in_peek(in, &data, &n, &err), LOOM_STATUS_INTERRUPT);
    loom_stop_set(false);
    loom_in_close(&in);
    loom_in_close(&in);
    CHECK_I64(loom_file_read(&all, in_folder("x"), 3, &err), LOOM_STATUS_FORMAT);
    CHECK_I64(loom_file_read(&all, in_folder("none"), 3, &err), LOOM_STATUS_IO);
    loom_buf_release(&all);
    unlink(in_folder("x"));
}

TEST(mapping)
{
    loom_map_file map = {0};
    loom_err err = {0};
    put("x", "", 0);
    REQUIRE_OK(loom_map_open(&map, in_folder("x"), &err), err);
    CHECK(map.len == 0 && map.data);
    loom_map_close(&map);
    loom_map_close(&map);
    CHECK_I64(loom_map_open(&map, folder, &err), LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "is not a regular file"));
    CHECK_I64(loom_map_open(&map, in_folder("none"), &err), LOOM_STATUS_IO);
    unlink(in_folder("x"));
}

/* ---- writing ---- */

TEST(writers)
{
    loom_out *out = NULL, *outs[3] = {0};
    loom_buf into = {0};
    loom_err err = {0};
    struct stat info;
    REQUIRE_OK(loom_out_to_buf(&out, &into, &err), err);
    CHECK(loom_out_write(out, "abc", 3, &err) == LOOM_OK && loom_out_write(out, "", 0, &err) == LOOM_OK);
    CHECK(loom_out_printf(out, &err, "%d", 5) == LOOM_OK);
    CHECK_STR(loom_buf_text(&into), "abc5");
    loom_out_abandon(&out);
    loom_buf_release(&into);
    REQUIRE_OK(loom_out_open(&outs[0], in_folder("private"), false, &err), err);
    REQUIRE_OK(loom_out_open(&outs[2], "/dev/null", false, &err), err);
    CHECK(loom_out_temp(outs[0]) && !loom_out_temp(outs[2]));
    loom_out_make_private(outs[0]);
    loom_out_make_private(outs[2]);
    CHECK(loom_out_finish(outs[0], &err) == LOOM_OK && loom_out_finish(outs[0], &err) == LOOM_OK);
    REQUIRE_OK(loom_out_commit_all(outs, 3, &err), err); /* the second is none */
    CHECK(stat(in_folder("private"), &info) == 0 && (info.st_mode & 0777) == 0600);
    CHECK_I64(loom_out_open(&out, in_folder("private"), false, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_out_open(&out, folder, false, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "is a folder; name a file in it"));
    CHECK_I64(loom_out_open(&out, in_folder("none/x"), false, &err), LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "make its folder first"));
    CHECK_I64(loom_out_text(&out, in_folder("none/x"), &into, false, &err), LOOM_STATUS_IO);
    CHECK(!out);
    unlink(in_folder("private"));
}

/* A link in a link, and one that leads round and round. */
TEST(links)
{
    loom_err err = {0};
    REQUIRE(symlink("b", in_folder("a")) == 0 && symlink(in_folder("c"), in_folder("b")) == 0);
    put("a", "x", 1);
    CHECK_I64(loom_file_size(in_folder("c")), 1);
    unlink(in_folder("a")), unlink(in_folder("b")), unlink(in_folder("c"));
    REQUIRE(symlink("b", in_folder("a")) == 0 && symlink("a", in_folder("b")) == 0);
    CHECK_I64(loom_file_write(in_folder("a"), "x", 1, true, &err), LOOM_OK); /* one of the two is replaced */
    unlink(in_folder("a")), unlink(in_folder("b"));
}

/* ---- JSON ---- */

TEST(json_of_every_kind)
{
    static const char text[] =
        "{\"s\":\"\\r\xc2\x85\xc2\xa0\x7f\",\"i\":-5,\"r\":0.5,\"t\":true,\"f\":false,\"n\":null,\"a\":[1,[]],\"o\":{}}";
    loom_json *root = NULL;
    loom_err err = {0};
    loom_buf b = {0}, pretty = {0};
    loom_jw w;
    REQUIRE_OK(loom_json_parse(&root, text, sizeof text - 1, "x", &err), err);
    loom_jw_init(&w, &b, false);
    loom_jw_copy(&w, root);
    CHECK_STR(
        loom_buf_text(&b),
        "{\"s\":\"\\r\\u0085\xc2\xa0\\u007f\",\"i\":-5,\"r\":0.5,\"t\":true,\"f\":false,\"n\":null,\"a\":[1,[]],\"o\":{}}");
    loom_jw_init(&w, &pretty, true);
    loom_jw_begin_array(&w);
    loom_jw_copy(&w, loom_json_get(root, "a"));
    loom_jw_copy(&w, NULL);
    loom_jw_f64(&w, NAN);
    loom_jw_end_array(&w);
    CHECK_STR(loom_buf_text(&pretty), "[\n  [\n    1,\n    []\n  ],\n  null,\n  null\n]");
    const char *s = NULL;
    double x = 0;
    int64_t v = 7;
    bool yes = true;
    CHECK(!loom_json_is_object(NULL) && !loom_json_is_array(NULL) && !loom_json_is_string(NULL) &&
          !loom_json_is_int(NULL));
    CHECK(!loom_json_is_number(NULL) && !loom_json_is_bool(NULL) && loom_json_is_null(NULL) &&
          loom_json_len(NULL) == 0);
    CHECK(!loom_json_get(NULL, "a") && !loom_json_at(NULL, 0) && !loom_json_iter(NULL) &&
          !loom_json_at(loom_json_get(root, "a"), 9));
    CHECK(loom_json_bool(loom_json_get(root, "s"), true) && loom_json_i64(NULL, 3) == 3 && loom_json_f64(NULL, 3) == 3);
    CHECK_STR(loom_json_text(root, "i"), "");
    CHECK(loom_json_need_str(root, "i", &s, &err) == LOOM_STATUS_FORMAT && strstr(err.msg, "\"i\" should be a string"));
    CHECK(loom_json_need_str(root, "none", &s, &err) == LOOM_STATUS_FORMAT && strstr(err.msg, "\"none\" is missing"));
    CHECK(loom_json_need_f64(root, "s", &x, &err) == LOOM_STATUS_FORMAT &&
          loom_json_need_f64(root, "i", &x, &err) == LOOM_OK && x == -5);
    CHECK(loom_json_need_str(root, "s", &s, &err) == LOOM_OK &&
          loom_json_need_i64(root, "r", &v, &err) == LOOM_STATUS_FORMAT);
    CHECK(loom_json_may_i64(root, "none", &v, &err) == LOOM_OK && v == 7 &&
          loom_json_may_i64(root, "n", &v, &err) == LOOM_OK && v == 7);
    CHECK(loom_json_may_i64(root, "r", &v, &err) == LOOM_STATUS_FORMAT &&
          loom_json_may_i64(root, "i", &v, &err) == LOOM_OK && v == -5);
    CHECK(loom_json_may_bool(root, "n", &yes, &err) == LOOM_OK && yes &&
          loom_json_may_bool(root, "f", &yes, &err) == LOOM_OK && !yes);
    CHECK(loom_json_may_bool(root, "i", &yes, &err) == LOOM_STATUS_FORMAT &&
          strstr(err.msg, "\"i\" should be true or false"));
    CHECK(loom_json_may_f64(root, "s", &x, &err) == LOOM_STATUS_FORMAT &&
          loom_json_may_f64(root, "r", &x, &err) == LOOM_OK && x == 0.5);
    loom_json_free(root);
    CHECK_I64(loom_json_read_file(&root, in_folder("none"), 100, &err), LOOM_STATUS_IO);
    put("x", "{\"a\":", 5);
    CHECK_I64(loom_json_read_file(&root, in_folder("x"), 100, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "/x"));
    unlink(in_folder("x"));
    loom_buf_release(&b);
    loom_buf_release(&pretty);
}

/* ---- ends ---- */

static void by_second_signal(void)
{
    raise(SIGINT);
    if (!loom_stop_requested()) _exit(70);
    raise(SIGTERM);
}
static void by_crash(void) { raise(SIGABRT); }
static void by_crash_without_memory(void)
{
    loom_nomem_note();
    raise(SIGSEGV);
}
static void by_errno(void)
{
    errno = ENOMEM;
    raise(SIGABRT);
}
static void by_exit_of_a_library(void) { exit(-1); }
static void while_muted(void)
{
    loom_stop_mute();
    fprintf(stderr, "not to be seen\n");
    raise(SIGSEGV);
}
static void by_user_signal(void)
{
    loom_stop_on_user_signal();
    raise(SIGUSR1);
    _exit(loom_stop_requested() ? 60 : 61);
}
static void by_pipe(void)
{
    raise(SIGPIPE); /* is an error of the write, no end */
    raise(SIGXFSZ);
    loom_stop_mute();
    loom_stop_unmute();
    loom_stop_unmute();
    _exit(62);
}

/* However a process ends: its temporary files are gone, and only a want of memory is told. */
TEST(ends)
{
    static const struct {
        void (*how)(void);
        int code, signal;
        const char *says;
    } cases[] = {{by_second_signal, 128 + SIGTERM, 0, ""},
                 {by_crash, 0, SIGABRT, ""},
                 {by_crash_without_memory, 1, 0, "out of memory inside a library"},
                 {by_errno, 1, 0, "out of memory inside a library"},
                 {by_exit_of_a_library, 1, 0, "out of memory inside a library"},
                 {while_muted, 1, 0, "out of memory inside a library"},
                 {by_user_signal, 60, 0, ""},
                 {by_pipe, 62, 0, ""}};
    if (TEST_RACES) SKIP("a sanitizer has handlers of its own");
#if defined(__SANITIZE_ADDRESS__)
    SKIP("a sanitizer has handlers of its own");
#endif
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status, ends[2];
        char said[200] = "";
        REQUIRE(pipe(ends) == 0);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            loom_out *out = NULL;
            loom_err err = {0};
            dup2(ends[1], STDERR_FILENO);
            loom_stop_install();
            if (loom_out_open(&out, in_folder("half"), false, &err) != LOOM_OK) _exit(71);
            cases[i].how();
            _exit(72);
        }
        close(ends[1]);
        REQUIRE(waitpid(child, &status, 0) == child);
        ssize_t n = read(ends[0], said, sizeof said - 1);
        close(ends[0]);
        said[n > 0 ? n : 0] = 0;
        if (cases[i].signal) CHECK(WIFSIGNALED(status) && WTERMSIG(status) == cases[i].signal);
        else CHECK_I64(WIFEXITED(status) ? WEXITSTATUS(status) : -1, cases[i].code);
        CHECK(*cases[i].says ? strstr(said, cases[i].says) != NULL : !*said);
        if (cases[i].how == by_user_signal ||
            cases[i].how == by_pipe) { /* _exit tidies nothing up; the next writer does */
            put("half", "x", 1);
            unlink(in_folder("half"));
        }
        char **paths = NULL;
        size_t left = 0;
        loom_err err = {0};
        REQUIRE_OK(loom_list_files(&paths, &left, folder, "", &err), err);
        CHECK_I64(left, 0);
        loom_free_list(paths, left);
    }
}

/* ---- numbers as people read them ---- */

TEST(numbers_for_people)
{
    static const struct {
        double seconds;
        const char *text;
    } times[] = {{0.5, "0.5 s"}, {12, "12 s"}, {61, "1:01"}, {3599.4, "59:59"}, {3600, "1:00:00"}, {90061, "25:01:01"}};
    char text[40];
    double x;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        CHECK_STR(loom_format_seconds(text, sizeof text, times[i].seconds), times[i].text);
    CHECK_STR(loom_format_bytes(text, sizeof text, 100), "100 bytes");
    CHECK_STR(loom_format_bytes(text, sizeof text, 1536), "1.50 KiB");
    CHECK_STR(loom_format_bytes(text, sizeof text, 15.0 * 1024 * 1024), "15.0 MiB");
    CHECK_STR(loom_format_bytes(text, sizeof text, 5e18), "4547474 TiB");
    CHECK_STR(loom_format_count(text, sizeof text, 9999), "9999");
    CHECK_STR(loom_format_count(text, sizeof text, 12345), "12.3 K");
    CHECK_STR(loom_format_count(text, sizeof text, 5e17), "500000 T");
    CHECK(!loom_parse_f64("", 0, &x) && !loom_parse_f64("+", 1, &x) && !loom_parse_f64("1e", 2, &x) &&
          !loom_parse_f64("1E999", 5, &x));
    CHECK(loom_parse_f64("+1E2", 4, &x) && x == 100 && !loom_parse_f64(" 1", 2, &x) && !loom_parse_f64("0x1", 3, &x));
    CHECK(!loom_alloc(SIZE_MAX, 2) && !loom_realloc(NULL, SIZE_MAX, 2) && !loom_alloc_aligned(SIZE_MAX));
    loom_nomem_set(false);
}

TEST(folder_is_clean) { CHECK(rmdir(folder) == 0); }

TEST_MAIN(if (!mkdtemp(folder)) return 1;
          RUN(names_of_arguments) RUN(what_is_there) RUN(trees) RUN(beginnings) RUN(peeking_and_bounds) RUN(mapping)
              RUN(writers) RUN(links) RUN(json_of_every_kind) RUN(ends) RUN(numbers_for_people) RUN(folder_is_clean))
