#include "core/usage.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"
#include "core/num.h"

double loom_time_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double loom_cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

int64_t loom_peak_bytes(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss * 1024;
}

/* A limit of the control group, 0 when there is none. */
static double cgroup_limit(const char *path)
{
    loom_buf text = {0};
    int64_t limit = 0;

    if (loom_file_read(&text, path, 64, NULL) == LOOM_OK)
        loom_parse_i64(loom_buf_text(&text), strcspn(loom_buf_text(&text), "\n"), &limit);
    loom_buf_release(&text);
    return (double)limit;
}

double loom_memory_there(void)
{
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    double have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        double limit = cgroup_limit(limits[i]);

        if (limit > 0 && limit < have) have = limit;
    }
    return have;
}

int64_t loom_resident_bytes(void)
{
    long long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%lld %lld", &pages, &resident) != 2) resident = 0;
    fclose(f);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

void loom_give_memory_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/* One blank for many. */
static void copy_words(char *text, size_t cap, const char *from)
{
    size_t n = 0;
    for (const char *c = from; *c && n + 1 < cap; c++) {
        bool blank = *c <= ' ' || *c > '~';
        if (!blank) text[n++] = *c;
        else if (n && text[n - 1] != ' ') text[n++] = ' ';
    }
    while (n && text[n - 1] == ' ') n--;
    text[n] = 0;
}

const char *loom_cpu_name(char *text, size_t cap)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    *text = 0;
    while (f && !*text && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) copy_words(text, cap, colon + 1);
    }
    if (f) fclose(f);
    return text;
}
