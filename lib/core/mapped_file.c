/* Files mapped into memory, and what happens when one is cut short meanwhile: touching a page behind its new end raises
 * SIGBUS, which cannot be returned from. The handler writes the sentence that was made ready when the file was mapped,
 * removes this process's temporary files and ends it with 1; it calls async-signal-safe functions only. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/escape.h"
#include "core/file_impl.h"
#include "core/log.h"

enum { MAPS = 256 };

static struct known_map {
    atomic_int used; /* 0 free, 1 being written, 2 valid */
    const unsigned char *data;
    size_t len, n_sentence;
    char sentence[512];
} known[MAPS];

static void remember(const loom_map_file *map, const char *path)
{
    char shown[256];
    loom_escape_into(shown, sizeof shown, path, strlen(path));
    for (int i = 0; i < MAPS; i++) {
        int unused = 0;
        if (!atomic_compare_exchange_strong(&known[i].used, &unused, 1)) continue;
        int n = snprintf(known[i].sentence, sizeof known[i].sentence,
                         "%s: %s was cut short while it was being read; put the whole file back and run again\n",
                         loom_log_program(), shown);
        known[i].n_sentence = n < 0                                  ? 0
                              : (size_t)n < sizeof known[i].sentence ? (size_t)n
                                                                     : sizeof known[i].sentence - 1;
        known[i].data = map->data;
        known[i].len = map->len;
        atomic_store(&known[i].used, 2);
        return;
    }
}

static void forget(const loom_map_file *map)
{
    for (int i = 0; i < MAPS; i++)
        if (atomic_load(&known[i].used) == 2 && known[i].data == map->data) atomic_store(&known[i].used, 0);
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const unsigned char *at = info->si_addr;
    (void)context;
    for (int i = 0; i < MAPS; i++) {
        if (atomic_load(&known[i].used) != 2 || at < known[i].data || at >= known[i].data + known[i].len) continue;
        (void)!write(STDERR_FILENO, known[i].sentence, known[i].n_sentence);
        loom_temp_unlink_all();
        _exit(1);
    }
    signal(number, SIG_DFL); /* none of ours: it comes again, and ends the process as it would have */
}

void loom_map_guard_install(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
}

loom_status loom_map_fd(loom_map_file *out, int fd, size_t len, const char *path, loom_err *err)
{
    loom_map_file map = {.data = (const unsigned char *)"", .len = len};
    if (len > 0) {
        void *p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) return loom_fail(err, LOOM_STATUS_IO, "cannot map %s: %s", path, strerror(errno));
        map.data = p;
        remember(&map, path);
    }
    *out = map;
    return LOOM_OK;
}

loom_status loom_map_open(loom_map_file *out, const char *path, loom_err *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", path, strerror(errno));
    loom_status st;
    if (fstat(fd, &info) != 0) st = loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode)) st = loom_fail(err, LOOM_STATUS_IO, "%s is not a regular file", path);
    else st = loom_map_fd(out, fd, (size_t)info.st_size, path, err);
    close(fd);
    return st;
}

void loom_map_close(loom_map_file *map)
{
    if (map->data && map->len > 0) {
        forget(map);
        munmap((void *)(uintptr_t)map->data, map->len);
    }
    *map = (loom_map_file){0};
}
