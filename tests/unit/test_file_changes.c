/* Files that somebody cuts or writes while they are read. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "test.h"

static char path[64];

static void make(size_t n)
{
    static char big[1 << 20];
    loom_err err = {0};
    memset(big, 'x', sizeof big);
    for (size_t i = 99; i < sizeof big; i += 100) big[i] = '\n';
    snprintf(path, sizeof path, "/tmp/loom-changes-%ld", (long)getpid());
    REQUIRE_OK(loom_file_write(path, big, n, true, &err), err);
}

static loom_status read_lines(off_t becomes, loom_err *err)
{
    loom_lines *lines = NULL;
    char *line;
    size_t len;
    loom_status st = loom_lines_open(&lines, path, err);
    for (int64_t n = 0; st == LOOM_OK; n++) {
        st = loom_lines_next(lines, &line, &len, err);
        if (!line) break;
        if (n == 10) CHECK(truncate(path, becomes) == 0);
    }
    loom_lines_close(&lines);
    return st;
}

TEST(a_table_cut_short_is_an_error)
{
    loom_err err = {0};
    make(1 << 20);
    CHECK_I64(read_lines(600000, &err), LOOM_STATUS_IO);
    CHECK(strstr(err.msg, path) && strstr(err.msg, "changed while it was being read"));
    make(1 << 20);
    CHECK_I64(read_lines(2 << 20, &err), LOOM_STATUS_IO);
    make(1 << 20);
    CHECK_I64(read_lines(1 << 20, &err), LOOM_OK);
    unlink(path);
}

/* In a process of its own, which is to end; also with an output of its own open. */
TEST(a_mapped_file_cut_short_ends_with_a_sentence)
{
    char said[600] = "";
    int ends[2], status;
    char **left = NULL;
    size_t n_left = 0, mine = 0;
    make(1 << 20);
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        loom_map_file map;
        loom_out *out = NULL;
        char name[80];
        dup2(ends[1], STDERR_FILENO);
        loom_stop_install();
        snprintf(name, sizeof name, "%s.out", path);
        if (loom_out_open(&out, name, true, NULL) != LOOM_OK || loom_map_open(&map, path, NULL) != LOOM_OK) _exit(9);
        if (truncate(path, 100) != 0) _exit(8);
        _exit(map.data[900000] == 'x' ? 7 : 6);
    }
    close(ends[1]);
    for (ssize_t n, at = 0; (n = read(ends[0], said + at, sizeof said - 1 - (size_t)at)) > 0;) at += n;
    close(ends[0]);
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(strstr(said, path) && strstr(said, "was cut short while it was being read"));
    CHECK(loom_list_files(&left, &n_left, "/tmp", "", NULL) == LOOM_OK);
    for (size_t i = 0; i < n_left; i++) mine += strstr(left[i], path) && strstr(left[i], ".tmp.");
    CHECK_I64(mine, 0);
    loom_free_list(left, n_left);
    unlink(path);
}

TEST_MAIN(RUN(a_table_cut_short_is_an_error) RUN(a_mapped_file_cut_short_ends_with_a_sentence))
