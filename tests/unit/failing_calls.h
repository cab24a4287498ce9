/* Calls that fail inside a test: those of this program's code to the C library and to libraries behind it are numbered,
 * and one of them goes wrong. What libraries call themselves goes through.
 *
 *   failing_calls_sweep("writes a store", write_store, CALLS_FAIL);
 *
 * runs the function once with all well, then once for each of its calls with that one going wrong. Each time it must
 * either fail, with one sentence, or do as well as before (the function compares its results itself); and memory and
 * open files must be given back. The ways to go wrong:
 *
 *   CALLS_FAIL         the call does nothing and says so (with calls_code_ as errno where that is set)
 *   CALLS_FAIL_ON      that one and all later ones of that name: a disk that is full, and stays so
 *   CALLS_SHORT        a read or write does less than was asked for      these two are no failure:
 *   CALLS_INTERRUPTED  a signal comes first                              the work must be done as well as before
 *   CALLS_END          a read finds the end of the file
 *
 * CALLS_SAY=1 in the environment prints what became of each. HDF5: unit/failing_hdf5.h. Not under sanitizers, as
 * unit/failing_memory.h (FAILING_MEMORY is 0 there). */
#ifndef LOOM_TESTS_FAILING_CALLS_H
#define LOOM_TESTS_FAILING_CALLS_H

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEST_THREADS_UNCOUNTED /* pthread_create is one of the calls */
#include "unit/failing_memory.h"

typedef enum calls_way { CALLS_WELL, CALLS_FAIL, CALLS_FAIL_ON, CALLS_SHORT, CALLS_INTERRUPTED, CALLS_END } calls_way;

static calls_way calls_way_;
static atomic_llong calls_n_; /* of those that can go this way, so far */
static long long calls_at_;
static int calls_code_;               /* errno of calls that fail; 0: as fits the call */
static const char *calls_only_ = "";  /* names that start so; the others go through */
static const char *calls_name_ = "?"; /* of the one that went wrong */
static bool calls_may_keep_;          /* after a failure: HDF5's files are left open then (store/h5.h) */

/* True when this call shall go the way that is set; `stream`: it moves bytes. */
static inline bool calls_hit_(const char *name, int code, bool stream)
{
    if (calls_way_ == CALLS_WELL || (calls_way_ >= CALLS_SHORT && !stream)) return false;
    if (strncmp(name, calls_only_, strlen(calls_only_)) != 0) return false;
    long long n = ++calls_n_;
    bool again = calls_way_ == CALLS_FAIL_ON && n > calls_at_ && strcmp(name, calls_name_) == 0;
    if (calls_at_ == 0 || (n != calls_at_ && !again)) return false;
    calls_name_ = name;
    errno = calls_way_ == CALLS_INTERRUPTED ? EINTR : calls_code_ ? calls_code_ : code;
    return true;
}

#if FAILING_MEMORY

/* The function of that name behind this program's. */
static inline void calls_next_(const char *name, void *next)
{
    void *p = dlsym(RTLD_NEXT, name);
    memcpy(next, &p, sizeof p);
}

#define CALLS_NEXT_(type, name, params)                                                                                \
    static type(*next) params;                                                                                         \
    if (!next) calls_next_(#name, &next)

/* Does nothing and says that it failed. */
#define CALL_FAILS(type, failure, code, name, params, args)                                                            \
    type name params                                                                                                   \
    {                                                                                                                  \
        CALLS_NEXT_(type, name, params);                                                                               \
        return MEMORY_OURS_ && calls_hit_(#name, code, false) ? (failure) : next args;                                 \
    }

/* Ends what it was given, and says that it failed. */
#define CALL_ENDS(type, failure, code, name, params, args)                                                             \
    type name params                                                                                                   \
    {                                                                                                                  \
        CALLS_NEXT_(type, name, params);                                                                               \
        bool fails = MEMORY_OURS_ && calls_hit_(#name, code, false);                                                   \
        type result = next args;                                                                                       \
        if (fails) errno = calls_code_ ? calls_code_ : code;                                                           \
        return fails ? (failure) : result;                                                                             \
    }

/* Moves n bytes. */
#define CALL_MOVES(name, params, args)                                                                                 \
    ssize_t name params                                                                                                \
    {                                                                                                                  \
        CALLS_NEXT_(ssize_t, name, params);                                                                            \
        if (!MEMORY_OURS_ || !calls_hit_(#name, EIO, true)) return next args;                                          \
        if (calls_way_ == CALLS_END) return 0;                                                                         \
        if (calls_way_ != CALLS_SHORT) return -1;                                                                      \
        n = n > 1 ? n / 2 : n;                                                                                         \
        return next args;                                                                                              \
    }

CALL_MOVES(read, (int fd, void *to, size_t n), (fd, to, n))
CALL_MOVES(pread, (int fd, void *to, size_t n, off_t place), (fd, to, n, place))
CALL_MOVES(pwrite, (int fd, const void *from, size_t n, off_t place), (fd, from, n, place))

CALL_FAILS(FILE *, NULL, EMFILE, fopen, (const char *path, const char *mode), (path, mode))
CALL_FAILS(FILE *, NULL, ENOMEM, fdopen, (int fd, const char *mode), (fd, mode))
CALL_FAILS(size_t, 0, ENOSPC, fwrite, (const void *from, size_t size, size_t n, FILE *f), (from, size, n, f))
CALL_FAILS(int, EOF, ENOSPC, fflush, (FILE * f), (f))
CALL_ENDS(int, EOF, ENOSPC, fclose, (FILE * f), (f))
CALL_FAILS(int, -1, EMFILE, dup, (int fd), (fd))
CALL_FAILS(off_t, -1, ESPIPE, lseek, (int fd, off_t place, int whence), (fd, place, whence))
/* Nothing here has to last through a power cut: the disk is spared. */
int fsync(int fd)
{
    (void)fd;
    return MEMORY_OURS_ && calls_hit_("fsync", EIO, false) ? -1 : 0;
}

CALL_FAILS(int, -1, EIO, ftruncate, (int fd, off_t n), (fd, n))
CALL_FAILS(int, -1, EIO, stat, (const char *path, struct stat *info), (path, info))
CALL_FAILS(int, -1, EIO, lstat, (const char *path, struct stat *info), (path, info))
CALL_FAILS(int, -1, EIO, fstat, (int fd, struct stat *info), (fd, info))
CALL_FAILS(int, -1, EACCES, access, (const char *path, int mode), (path, mode))
CALL_FAILS(int, -1, EPERM, fchmod, (int fd, mode_t mode), (fd, mode))
CALL_FAILS(int, -1, EPERM, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
CALL_FAILS(int, -1, EIO, rename, (const char *from, const char *to), (from, to))
CALL_FAILS(int, -1, EIO, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
           (a, from, b, to, flags))
CALL_FAILS(int, -1, EIO, link, (const char *from, const char *to), (from, to))
CALL_FAILS(int, -1, EACCES, mkdir, (const char *path, mode_t mode), (path, mode))
CALL_FAILS(DIR *, NULL, EMFILE, opendir, (const char *path), (path))
CALL_FAILS(int, -1, ENOLCK, flock, (int fd, int what), (fd, what))
CALL_FAILS(ssize_t, -1, EINVAL, readlink, (const char *restrict path, char *restrict to, size_t n), (path, to, n))
CALL_FAILS(char *, NULL, EACCES, realpath, (const char *restrict path, char *restrict to), (path, to))
CALL_FAILS(void *, MAP_FAILED, ENOMEM, mmap, (void *at, size_t n, int protection, int flags, int fd, off_t place),
           (at, n, protection, flags, fd, place))
CALL_FAILS(int, EAGAIN, EAGAIN, pthread_create,
           (pthread_t *restrict thread, const pthread_attr_t *restrict how, void *(*start)(void *), void *restrict arg),
           (thread, how, start, arg))

int open(const char *path, int flags, ...)
{
    CALLS_NEXT_(int, open, (const char *, int, ...));
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return MEMORY_OURS_ && calls_hit_("open", EMFILE, false) ? -1 : next(path, flags, mode);
}

#endif

/* From now on call `at` (of those whose names start with `only`) goes that way; CALLS_WELL: none. For a function that
 * returns no status. */
static inline void failing_calls_set(const char *only, calls_way way, long long at)
{
    calls_only_ = only;
    calls_n_ = 0;
    calls_at_ = at;
    calls_way_ = way;
}

static inline int calls_open_files_(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

/* Runs `work` with call `at` going wrong (0: none); returns how many there were. */
static inline long long calls_run_(const char *what, memory_work work, calls_way way, long long at)
{
    loom_err err = {0};
    int files = calls_open_files_();
    long long live = memory_live_;
    calls_n_ = 0;
    calls_at_ = at;
    calls_name_ = "?";
    calls_way_ = way;
    loom_status st = work(&err);
    calls_way_ = CALLS_WELL;
    test_checks_++;
    if (st != LOOM_OK && (at == 0 || way == CALLS_SHORT || way == CALLS_INTERRUPTED))
        TEST_FAIL_("%s, call %lld (%s): %s", what, at, calls_name_, err.msg);
    if (st != LOOM_OK && !err.msg[0])
        TEST_FAIL_("%s, call %lld (%s): failed without a sentence", what, at, calls_name_);
    if (memory_live_ != live && !(calls_may_keep_ && st != LOOM_OK))
        TEST_FAIL_("%s, call %lld (%s): %lld blocks were not given back", what, at, calls_name_,
                   (long long)memory_live_ - live);
    if (calls_open_files_() != files)
        TEST_FAIL_("%s, call %lld (%s): %d files were left open", what, at, calls_name_, calls_open_files_() - files);
    if (at && getenv("CALLS_SAY")) printf("%s, %s %lld: %s\n", what, calls_name_, at, st ? err.msg : "did as well");
    memory_refusals_ += st != LOOM_OK;
    loom_nomem_set(false);
    return calls_n_;
}

static inline void failing_calls_sweep(const char *what, memory_work work, calls_way way)
{
    loom_err err = {0};
    if (!FAILING_MEMORY) {
        CHECK(work(&err) == LOOM_OK);
        return;
    }
    CHECK(work(&err) == LOOM_OK); /* what is made once and kept */
    long long n = calls_run_(what, work, way, 0);
    memory_refusals_ = 0;
    for (long long at = 1; at <= n && test_failed_ < 20; at++) calls_run_(what, work, way, at);
    if (getenv("CALLS_SAY")) printf("%s: %lld calls, %lld refusals\n", what, n, memory_refusals_);
    CHECK(n > 0); /* else nothing was tried */
    if (way == CALLS_FAIL || way == CALLS_FAIL_ON) CHECK(memory_refusals_ > 0);
}

#endif
