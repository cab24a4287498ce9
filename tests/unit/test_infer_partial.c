/* One run at a time goes on with FILE.partial. */
#include <unistd.h>

#include "infer/files/resume_log.h"
#include "test.h"

TEST(two_runs_on_one_partial_file)
{
    char path[64], name[80];
    loom_resume_log *first = NULL, *second = NULL;
    loom_err err = {0};
    loom_hash128 key = {1, 2};
    snprintf(path, sizeof path, "/tmp/loom-partial-%ld", (long)getpid());
    snprintf(name, sizeof name, "%s.partial", path);
    REQUIRE_OK(loom_resume_log_open(&first, path, key, &err), err);
    REQUIRE_OK(loom_resume_log_add(first, "{}\n", 3, &err), err);
    CHECK_I64(loom_resume_log_open(&second, path, key, &err), LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "another loom-infer is at work") != NULL);
    loom_resume_log_close(&first, false);
    REQUIRE_OK(loom_resume_log_open(&second, path, key, &err), err);
    CHECK_I64(loom_resume_log_count(second), 1);
    loom_resume_log_close(&second, true);
    CHECK(!loom_file_exists(name));
}

TEST_MAIN(RUN(two_runs_on_one_partial_file))
