/* The stop flag: signals that ask for an end, and what an interrupted read says. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "core/file_impl.h"

static volatile sig_atomic_t stop_seen;

static void on_stop_signal(int signal_number)
{
    if (stop_seen) {
        loom_temp_unlink_all();
        _exit(128 + signal_number);
    }
    stop_seen = 1;
}

void loom_stop_install(void)
{
    struct sigaction action = {.sa_handler = on_stop_signal}; /* no SA_RESTART: a blocked read returns */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup wants it to go on */
        sigaction(SIGHUP, &action, NULL);
    loom_map_guard_install();
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
    return loom_fail(err, LOOM_STATUS_IO,
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
