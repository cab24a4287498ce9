/* An output that names a pipe or device is written in place: a rename would put a plain file where /dev/null was. */
#include <fcntl.h>
#include <unistd.h>

#include "core/file.h"
#include "test.h"

TEST(a_pipe_stays_a_pipe)
{
    char path[] = "/tmp/loom_pipe_XXXXXX", got[16] = "";
    loom_out *out = NULL;
    loom_err err = {0};
    struct stat info;

    REQUIRE(mkdtemp(path) != NULL);
    char pipe_path[64];
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", path);
    REQUIRE(mkfifo(pipe_path, 0600) == 0);
    int fd = open(pipe_path, O_RDWR); /* a reader, so that opening for writing does not wait */
    REQUIRE(fd >= 0);
    REQUIRE_OK(loom_out_open(&out, pipe_path, false, &err), err);
    REQUIRE_OK(loom_out_write(out, "hello", 5, &err), err);
    REQUIRE_OK(loom_out_commit(&out, &err), err);
    CHECK(stat(pipe_path, &info) == 0 && S_ISFIFO(info.st_mode));
    CHECK_I64(read(fd, got, sizeof got - 1), 5);
    CHECK_STR(got, "hello");
    close(fd);
    unlink(pipe_path);
    rmdir(path);
}

TEST_MAIN(RUN(a_pipe_stays_a_pipe))
