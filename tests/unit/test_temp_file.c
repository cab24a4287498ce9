/* Outputs that get their names: alone or together, against others who want the same name, and when the process is
 * killed or the disk fails at any step between. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "core/num.h"
#include "core/usage.h"
#include "test.h"

static char dir[] = "/tmp/loom-temp-XXXXXX";
static long steps, bad_step; /* calls of the functions below; which one goes wrong (0: none) */
static bool kills;

static bool goes_wrong(void)
{
    if (++steps != bad_step) return false;
    if (kills) syscall(SYS_kill, getpid(), 9);
    errno = EIO;
    return true;
}

/* These stand before the C library's. */
int rename(const char *from, const char *to)
{
    return goes_wrong() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return goes_wrong() ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to)
{
    return goes_wrong() ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static const char *at(const char *name)
{
    static char paths[8][300];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", dir, name);
    return paths[next];
}

static void put(const char *name, const char *text)
{
    loom_err err = {0};
    REQUIRE_OK(loom_file_write(at(name), text, strlen(text), true, &err), err);
}

/* The content, "" when there is no such file. */
static const char *get(const char *name)
{
    static char texts[4][64];
    static int next;
    loom_buf b = {0};
    next = (next + 1) % 4;
    texts[next][0] = 0;
    if (loom_file_read(&b, at(name), 60, NULL) == LOOM_OK) snprintf(texts[next], 64, "%s", loom_buf_text(&b));
    loom_buf_release(&b);
    return texts[next];
}

static int files_in_dir(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void empty_dir(void)
{
    char command[80];
    snprintf(command, sizeof command, "rm -rf %s/*", dir);
    CHECK_I64(system(command), 0);
}

TEST(folder) { REQUIRE(mkdtemp(dir) != NULL); }

TEST(a_name_taken_meanwhile)
{
    loom_out *out = NULL;
    loom_err err = {0};
    REQUIRE_OK(loom_out_open(&out, at("x"), false, &err), err);
    REQUIRE_OK(loom_out_write(out, "second", 6, &err), err);
    put("x", "first");
    CHECK_I64(loom_out_commit(&out, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "exists already") != NULL);
    CHECK_STR(get("x"), "first");
    CHECK_I64(files_in_dir(), 1);
    empty_dir();
}

TEST(links_and_permissions)
{
    struct stat info;
    put("data", "old");
    REQUIRE(chmod(at("data"), 0640) == 0);
    REQUIRE(symlink("data", at("link")) == 0);
    put("link", "new");
    CHECK(lstat(at("link"), &info) == 0 && S_ISLNK(info.st_mode));
    CHECK_STR(get("data"), "new");
    CHECK(stat(at("data"), &info) == 0 && (info.st_mode & 0777) == 0640);
    REQUIRE(symlink("later", at("dangling")) == 0);
    put("dangling", "there");
    CHECK(lstat(at("dangling"), &info) == 0 && S_ISLNK(info.st_mode));
    CHECK_STR(get("later"), "there");
    REQUIRE(chmod(at("data"), 0400) == 0);
    put("data", "newer");
    CHECK(stat(at("data"), &info) == 0 && (info.st_mode & 0777) == 0400);
    empty_dir();
}

/* Somebody guesses names and puts links there; there is nothing to guess, and a link is not written through. */
TEST(temporary_files_are_new)
{
    loom_temp a, b;
    loom_err err = {0};
    struct stat info;
    REQUIRE_OK(loom_temp_open(&a, at("x"), false, &err), err);
    REQUIRE_OK(loom_temp_open(&b, at("x"), false, &err), err);
    CHECK(strcmp(a.name, b.name) != 0);
    CHECK(fstat(a.fd, &info) == 0 && info.st_nlink == 1); /* the second has not swept the first, which is locked */
    CHECK_I64(strlen(strrchr(a.name, '-')), 17);
    loom_temp_discard(&a);
    loom_temp_discard(&b);
    loom_temp_discard(&b);
    CHECK_I64(files_in_dir(), 0);
}

/* ---- two that belong together ---- */

static loom_status write_pair(const char *text, bool force, loom_err *err)
{
    loom_out *outs[2] = {NULL, NULL};
    loom_status st = loom_out_open(&outs[0], at("train"), force, err);
    if (st == LOOM_OK) st = loom_out_open(&outs[1], at("valid"), force, err);
    for (int i = 0; i < 2 && st == LOOM_OK; i++) st = loom_out_write(outs[i], text, strlen(text), err);
    steps = 0;
    if (st == LOOM_OK) return loom_out_commit_all(outs, 2, err);
    loom_out_abandon(&outs[0]);
    loom_out_abandon(&outs[1]);
    return st;
}

TEST(both_or_neither_when_the_disk_fails)
{
    loom_err err = {0};
    for (int force = 0; force < 2; force++) {
        const char *old = force ? "old" : "";
        for (bad_step = 1;; bad_step++) {
            long step = bad_step;
            bad_step = 0;
            empty_dir();
            if (force) REQUIRE_OK(write_pair("old", false, &err), err);
            bad_step = step;
            loom_status st = write_pair("new", force, &err);
            if (steps < bad_step) break;
            bool links = strcmp(get("train"), "new") == 0 && st == LOOM_OK; /* the link for putting back may fail */
            CHECK_STR(get("train"), links ? "new" : old);
            CHECK_STR(get("valid"), links ? "new" : old);
            CHECK_I64(files_in_dir(), links || force ? 2 : 0);
            bad_step = step;
        }
        CHECK(bad_step > 2);
        bad_step = 0;
        CHECK_STR(get("train"), "new");
        CHECK_STR(get("valid"), "new");
        empty_dir();
    }
}

/* Killed at any step: never two of different runs; what is missing, the next run makes, and it sweeps. */
TEST(never_mixed_when_killed)
{
    loom_err err = {0};
    int missing = 0;
    for (int force = 0; force < 2; force++) {
        for (long step = 1;; step++) {
            int status;
            empty_dir();
            if (force) REQUIRE_OK(write_pair("old", false, &err), err);
            pid_t child = fork();
            if (child == 0) {
                bad_step = step;
                kills = true;
                _exit(write_pair("new", force, NULL) == LOOM_OK ? 0 : 1);
            }
            REQUIRE(waitpid(child, &status, 0) == child);
            const char *train = get("train"), *valid = get("valid");
            CHECK(!*train || !*valid || strcmp(train, valid) == 0);
            missing += force && (!*train || !*valid);
            if (WIFEXITED(status)) {
                CHECK(WEXITSTATUS(status) == 0 && strcmp(valid, "new") == 0);
                break;
            }
            REQUIRE_OK(write_pair("next", true, &err), err);
            CHECK_STR(get("train"), "next");
            CHECK_STR(get("valid"), "next");
            CHECK_I64(files_in_dir(), 2);
        }
    }
    CHECK(missing > 0);
    empty_dir();
}

/* ---- folders ---- */

TEST(folders_of_killed_runs)
{
    char *path = NULL, text[300];
    int lock = -1;
    loom_err err = {0};
    pid_t child = fork();
    if (child == 0) _exit(0);
    REQUIRE(waitpid(child, NULL, 0) == child);
    REQUIRE_OK(loom_temp_dir_open(&path, &lock, dir, ".part", &err), err);
    static const char *const names[] = {".part.%ld-0123456789abcdef", ".part.%ld-1111111111111111", ".part.%ld"};
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, names[i], (long)child);
        REQUIRE(mkdir(at(name), 0777) == 0);
        snprintf(text, sizeof text, "%s/%s", name, i == 1 ? "deeper" : "x");
        if (i == 1) REQUIRE(mkdir(at(text), 0777) == 0);
        else put(text, "x");
    }
    loom_temp_dir_sweep(dir, ".part");
    CHECK(loom_file_is_dir(path)); /* in use */
    char own[256];
    double started = loom_time_now();
    snprintf(own, sizeof own, "%s/own", path);
    REQUIRE_OK(loom_file_write(own, "x", 1, false, &err), err);
    CHECK(loom_time_now() - started < 1); /* the folder is ours: no turn to wait for */
    CHECK(unlink(own) == 0);
    snprintf(text, sizeof text, ".part.%ld-0123456789abcdef", (long)child);
    CHECK(!loom_file_exists(at(text)));
    snprintf(text, sizeof text, ".part.%ld-1111111111111111", (long)child);
    CHECK(loom_file_exists(at(text))); /* holds a folder: none of ours does */
    snprintf(text, sizeof text, ".part.%ld", (long)child);
    CHECK(loom_file_exists(at(text)));
    for (int i = 0; i < 300; i++) { /* more than one look at the folder gives */
        snprintf(text, sizeof text, "%s/a-file-with-a-somewhat-longer-name-%d", path + strlen(dir) + 1, i);
        put(text, "x");
    }
    loom_temp_dir_discard(path, lock);
    CHECK(!loom_file_exists(path));
    free(path);
    REQUIRE_OK(loom_temp_dir_open(&path, &lock, dir, ".part", &err), err);
    snprintf(text, sizeof text, "%s/x", path + strlen(dir) + 1);
    put(text, "x");
    loom_temp_unlink_all(); /* as a handler does */
    CHECK(!loom_file_exists(path));
    loom_temp_dir_discard(path, lock); /* gone already: nothing to do */
    free(path);
}

TEST(clean_up)
{
    char command[80];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    CHECK_I64(system(command), 0);
}

TEST_MAIN(RUN(folder) RUN(a_name_taken_meanwhile) RUN(links_and_permissions) RUN(temporary_files_are_new)
              RUN(both_or_neither_when_the_disk_fails) RUN(never_mixed_when_killed) RUN(folders_of_killed_runs)
                  RUN(clean_up))
