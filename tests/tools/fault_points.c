/* A library for LD_PRELOAD that makes system calls fail at one point of a run; tests/tools/fault_run.c drives it.
 *
 *   FAULT_POINT=OP:N     the Nth call of OP (from 1, counted from the start of main) fails
 *   FAULT_POINT=OP:N+    that one and all later ones
 *   FAULT_REPORT=FILE    a fault_report (fault_ops.h); mapped, so that it tells how far a run came that was killed
 *
 * OP is one of malloc (and calloc, realloc, aligned memory), write (write, pwrite, writev, fwrite, fflush, fclose),
 * fsync, rename (rename, renameat2, link), open (files outside /proc, /sys, /dev, /etc, /usr, /lib), map (mmap of a
 * file), thread.
 * Programs that the victim starts are left alone. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tools/fault_ops.h"

#define EXPORT __attribute__((visibility("default")))

/* glibc's own doors, which need no look-up: a look-up allocates. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static fault_report spare, *report = &spare;
static int victim = -1;
static int64_t at;
static int from_then_on, running;

/* Counts one call; true when it shall fail. Each op has its errno. */
static int hit(enum fault_op op)
{
    static const int codes[N_OPS] = {ENOMEM, ENOSPC, EIO, EIO, EMFILE, ENOMEM, EAGAIN};
    if (!running) return 0;
    int64_t n = __atomic_add_fetch(&report->calls[op], 1, __ATOMIC_RELAXED);
    if (victim != (int)op || (from_then_on ? n < at : n != at)) return 0;
    __atomic_add_fetch(&report->failed, 1, __ATOMIC_RELAXED);
    errno = codes[op];
    return 1;
}

static void read_point(const char *text)
{
    for (int i = 0; text && i < N_OPS; i++) {
        size_t n = strlen(fault_names[i]);
        if (strncmp(text, fault_names[i], n) != 0 || text[n] != ':') continue;
        char *end;
        victim = i;
        at = strtoll(text + n + 1, &end, 10);
        from_then_on = *end == '+';
    }
}

static void map_report(const char *path)
{
    long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR) : -1;
    if (fd < 0) return;
    long p = syscall(SYS_mmap, NULL, sizeof spare, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p > 0 || p < -4095) report = (fault_report *)p;
    syscall(SYS_close, fd);
}

static int (*true_main)(int, char **, char **);

static int main_between(int argc, char **argv, char **env)
{
    read_point(getenv("FAULT_POINT"));
    map_report(getenv("FAULT_REPORT"));
    unsetenv("LD_PRELOAD");
    unsetenv("FAULT_POINT");
    unsetenv("FAULT_REPORT");
    void *frame;
    backtrace(&frame, 1); /* loads what it needs, now rather than in the handler */
    running = 1;
    return true_main(argc, argv, env);
}

/* The libraries are loaded and set up before main: what they do there is not the victim's. */
EXPORT int __libc_start_main(int (*f)(int, char **, char **), int argc, char **argv, void (*init)(void),
                             void (*fini)(void), void (*rtld)(void), void *stack);
int __libc_start_main(int (*f)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld)(void), void *stack)
{
    __typeof__(&__libc_start_main) next;
    void *p = dlsym(RTLD_NEXT, "__libc_start_main");
    memcpy(&next, &p, sizeof next);
    true_main = f;
    return next(main_between, argc, argv, init, fini, rtld, stack);
}

/* The function of that name behind this one. */
#define NEXT(name)                                                                                                     \
    static __typeof__(&name) next;                                                                                     \
    if (!next) {                                                                                                       \
        void *p = dlsym(RTLD_NEXT, #name);                                                                             \
        memcpy(&next, &p, sizeof next);                                                                                \
    }

/* ---- crashes: in whose code? ---- */

static void (*handlers[65])(int, siginfo_t *, void *);

static const char *library_of(void *address)
{
    Dl_info info;
    return dladdr(address, &info) && info.dli_fname ? info.dli_fname : "";
}

/* The first function on the stack that is neither this library's nor libc's has the fault. */
static void on_crash(int number, siginfo_t *info, void *context)
{
    void *frames[48];
    int code = errno, n = backtrace(frames, 48);
    running = 0;
    for (int i = 0; i < n; i++) {
        const char *name = library_of(frames[i]), *slash = strrchr(name, '/');
        if (strstr(name, "fault_points.so") || strstr(name, "/libc.so")) continue;
        if (strstr(name, ".so")) strncpy(report->library, slash ? slash + 1 : name, sizeof report->library - 1);
        else report->own_crash = 1;
        break;
    }
    errno = code;
    handlers[number](number, info, context);
}

EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    NEXT(sigaction);
    if (!running || !action || (number != SIGSEGV && number != SIGABRT)) return next(number, action, old);
    struct sigaction ours = *action;
    handlers[number] = action->sa_sigaction; /* a handler of one argument takes the three */
    ours.sa_sigaction = on_crash;
    ours.sa_flags |= SA_SIGINFO;
    return next(number, &ours, old);
}

/* ---- what fails ---- */

EXPORT void *malloc(size_t n) { return hit(FAULT_MALLOC) ? NULL : __libc_malloc(n); }
EXPORT void *calloc(size_t n, size_t size) { return hit(FAULT_MALLOC) ? NULL : __libc_calloc(n, size); }
EXPORT void *realloc(void *old, size_t n) { return n && hit(FAULT_MALLOC) ? NULL : __libc_realloc(old, n); }
EXPORT void *aligned_alloc(size_t unit, size_t n) { return hit(FAULT_MALLOC) ? NULL : __libc_memalign(unit, n); }

EXPORT int posix_memalign(void **out, size_t unit, size_t n)
{
    void *p = hit(FAULT_MALLOC) ? NULL : __libc_memalign(unit, n);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

EXPORT ssize_t write(int fd, const void *data, size_t n)
{
    NEXT(write);
    return fd != STDERR_FILENO && hit(FAULT_WRITE) ? -1 : next(fd, data, n);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    NEXT(writev);
    return fd != STDERR_FILENO && hit(FAULT_WRITE) ? -1 : next(fd, parts, n);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t n, off_t place)
{
    NEXT(pwrite);
    return hit(FAULT_WRITE) ? -1 : next(fd, data, n, place);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t n, off64_t place)
{
    NEXT(pwrite64);
    return hit(FAULT_WRITE) ? -1 : next(fd, data, n, place);
}

/* stdio calls the kernel by doors of its own: it fails where its caller sees it. */
EXPORT size_t fwrite(const void *data, size_t size, size_t n, FILE *f)
{
    NEXT(fwrite);
    return f != stderr && hit(FAULT_WRITE) ? 0 : next(data, size, n, f);
}

EXPORT int fflush(FILE *f)
{
    NEXT(fflush);
    return f && f != stderr && __fpending(f) && hit(FAULT_WRITE) ? EOF : next(f);
}

static int opened_for_writing(FILE *f)
{
    int mode = fcntl(fileno(f), F_GETFL);
    return mode >= 0 && (mode & O_ACCMODE) != O_RDONLY;
}

EXPORT int fclose(FILE *f)
{
    NEXT(fclose);
    int failed = opened_for_writing(f) && hit(FAULT_WRITE), code = errno, result = next(f);
    if (!failed) return result;
    errno = code;
    return EOF;
}

EXPORT int fsync(int fd)
{
    NEXT(fsync);
    return hit(FAULT_FSYNC) ? -1 : next(fd);
}

EXPORT int fdatasync(int fd)
{
    NEXT(fdatasync);
    return hit(FAULT_FSYNC) ? -1 : next(fd);
}

EXPORT int rename(const char *from, const char *to)
{
    NEXT(rename);
    return hit(FAULT_RENAME) ? -1 : next(from, to);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    NEXT(renameat2);
    return hit(FAULT_RENAME) ? -1 : next(from_dir, from, to_dir, to, flags);
}

EXPORT int link(const char *from, const char *to)
{
    NEXT(link);
    return hit(FAULT_RENAME) ? -1 : next(from, to);
}

static int of_the_system(const char *path)
{
    static const char *const places[] = {"/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strncmp(path, places[i], strlen(places[i])) == 0) return 1;
    return 0;
}

static mode_t mode_of(int flags, va_list args) { return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0; }

EXPORT int open(const char *path, int flags, ...)
{
    NEXT(open);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return !of_the_system(path) && hit(FAULT_OPEN) ? -1 : next(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    NEXT(open64);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return !of_the_system(path) && hit(FAULT_OPEN) ? -1 : next(path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
    NEXT(openat);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return !of_the_system(path) && hit(FAULT_OPEN) ? -1 : next(dir, path, flags, mode);
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
    NEXT(openat64);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return !of_the_system(path) && hit(FAULT_OPEN) ? -1 : next(dir, path, flags, mode);
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    NEXT(fopen);
    return !of_the_system(path) && hit(FAULT_OPEN) ? NULL : next(path, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
    NEXT(fopen64);
    return !of_the_system(path) && hit(FAULT_OPEN) ? NULL : next(path, mode);
}

EXPORT void *mmap(void *where, size_t n, int protection, int flags, int fd, off_t place)
{
    NEXT(mmap);
    return fd >= 0 && hit(FAULT_MAP) ? MAP_FAILED : next(where, n, protection, flags, fd, place);
}

EXPORT void *mmap64(void *where, size_t n, int protection, int flags, int fd, off64_t place)
{
    NEXT(mmap64);
    return fd >= 0 && hit(FAULT_MAP) ? MAP_FAILED : next(where, n, protection, flags, fd, place);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg)
{
    NEXT(pthread_create);
    return hit(FAULT_THREAD) ? EAGAIN : next(thread, attributes, start, arg);
}
