/* The stop flag: signals that ask for an end, and what an interrupted read says. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/file_impl.h"
#include "core/nomem.h"
#include "core/temp_file.h"

static volatile sig_atomic_t stop_seen;

static void on_stop_signal(int signal_number)
{
    if (stop_seen) {
        loom_temp_unlink_all();
        _exit(128 + signal_number);
    }
    stop_seen = 1;
}

void loom_stop_on_user_signal(void)
{
    struct sigaction action = {.sa_handler = on_stop_signal};

    sigaction(SIGUSR1, &action, NULL);
}

static volatile sig_atomic_t told;

void loom_stop_note_told(void) { told = 1; }

/* Is the instruction that crashed one of theirs? */
static bool inside_a_careless_library(const void *context)
{
#if defined(__x86_64__)
    const ucontext_t *at = context;
    Dl_info in;
    if (!dladdr((void *)(uintptr_t)at->uc_mcontext.gregs[REG_RIP], &in) || !in.dli_fname) return false;
    return strstr(in.dli_fname, "libhdf5") || strstr(in.dli_fname, "libarchive");
#else
    (void)context;
    return false;
#endif
}

static volatile sig_atomic_t kept_stderr = -1;

void loom_stop_mute(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    kept_stderr = nowhere >= 0 ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) : -1;
    if (kept_stderr >= 0) dup2(nowhere, STDERR_FILENO);
    if (nowhere >= 0) close(nowhere);
}

void loom_stop_unmute(void)
{
    if (kept_stderr < 0) return;
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    kept_stderr = -1;
}

static _Noreturn void die_starved(void)
{
    static const char text[] = ": out of memory inside a library; free some memory and run the command again\n";
    if (told) _exit(1); /* while tidying up */
    if (write(STDERR_FILENO, program_invocation_short_name, strlen(program_invocation_short_name)) < 0 ||
        write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(1);
    _exit(1);
}

/* Some libraries use memory without asking whether they got it (HDF5 1.10, libarchive 3.6). When one dies of that,
 * the run ends like any that memory runs out for: a sentence, no temporary file, no core file with traces in it.
 * Any other crash stays one; it only takes its temporary files along. */
static void on_crash(int signal_number, siginfo_t *info, void *context)
{
    bool starved = kept_stderr >= 0 || errno == ENOMEM || loom_nomem_seen() || inside_a_careless_library(context);
    (void)info;
    loom_stop_unmute();
    loom_temp_unlink_all();
    if (!starved) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    die_starved();
}

/* HDF5 ends the process with exit(-1) when it finds no memory for an id. No command of ours ends with that code. */
static void on_exit_of_a_library(int status, void *unused)
{
    (void)unused;
    if ((status & 255) != 255) return;
    loom_temp_unlink_all();
    loom_stop_unmute();
    die_starved();
}

void loom_stop_install(void)
{
    static char own_stack[64 << 10]; /* HDF5 1.10 calls itself without end when it has no memory for its first error */
    stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof own_stack};
    struct sigaction crash = {.sa_sigaction = on_crash, .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_ONSTACK)};

    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = on_stop_signal}; /* no SA_RESTART: a blocked read returns */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup wants it to go on */
        sigaction(SIGHUP, &action, NULL);
    loom_map_guard_install();
    atexit(loom_temp_unlink_all); /* libarchive calls exit() when it has no memory */
    on_exit(on_exit_of_a_library, NULL);
    sigaction(SIGSEGV, &crash, NULL);
    sigaction(SIGABRT, &crash, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write, with a sentence */
    signal(SIGXFSZ, SIG_IGN); /* so is the limit that `ulimit -f` sets */
}

bool loom_stop_requested(void) { return stop_seen != 0; }
void loom_stop_set(bool stop) { stop_seen = stop; }

loom_status loom_fail_interrupted(loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
}

loom_status loom_fail_changed(const char *shown, int64_t bytes_then, int64_t bytes_now, loom_err *err)
{
    return loom_fail(
        err, LOOM_STATUS_IO,
        "%s changed while it was being read: %lld bytes when it was opened, %lld at its end; run again when it "
        "stands still",
        shown, (long long)bytes_then, (long long)bytes_now);
}

ssize_t loom_read_fd(int fd, void *data, size_t cap)
{
    for (;;) {
        ssize_t n = read(fd, data, cap);
        if (n >= 0 || errno != EINTR || stop_seen) return n;
    }
}
