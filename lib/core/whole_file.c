/* Whole files: read, written, mapped. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_impl.h"
#include "core/num.h"

loom_status loom_file_read(loom_buf *into, const char *path, size_t max, loom_err *err)
{
    loom_status st = LOOM_OK;
    size_t before = into->len;
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", loom_shown_path(path), strerror(errno));
    for (;;) {
        if (!loom_buf_reserve(into, 64 << 10)) {
            st = loom_fail_nomem(err, loom_shown_path(path));
            break;
        }
        ssize_t n = loom_read_fd(fd, into->data + into->len, into->cap - into->len - 1);
        if (n == 0) break;
        if (n < 0) {
            st = loom_stop_requested() ? loom_fail_interrupted(err)
                           : loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", loom_shown_path(path), strerror(errno));
            break;
        }
        into->len += (size_t)n;
        if (into->len - before > max) {
            char limit[32];
            st = loom_fail(err, LOOM_STATUS_FORMAT, "%s is larger than %s, which cannot be right for such a file",
                           loom_shown_path(path), loom_format_bytes(limit, sizeof limit, (double)max));
            break;
        }
    }
    if (st == LOOM_OK) into->data[into->len] = 0;
    close(fd);
    return st;
}

loom_status loom_file_write(const char *path, const void *data, size_t len, bool force, loom_err *err)
{
    loom_out *out = NULL;
    LOOM_TRY(loom_out_open(&out, path, force, err));
    loom_status st = loom_out_write(out, data, len, err);
    if (st != LOOM_OK) {
        loom_out_abandon(&out);
        return st;
    }
    return loom_out_commit(&out, err);
}

loom_status loom_map_open(loom_map_file *out, const char *path, loom_err *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return loom_fail(err, LOOM_STATUS_IO, "%s is not a regular file", path);
    }
    loom_map_file map = {.data = (const unsigned char *)"", .len = (size_t)info.st_size};
    if (map.len > 0) {
        void *p = mmap(NULL, map.len, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            int code = errno;
            close(fd);
            return loom_fail(err, LOOM_STATUS_IO, "cannot map %s: %s", path, strerror(code));
        }
        map.data = p;
    }
    close(fd);
    *out = map;
    return LOOM_OK;
}

void loom_map_close(loom_map_file *map)
{
    if (map->data && map->len > 0) munmap((void *)(uintptr_t)map->data, map->len);
    *map = (loom_map_file){0};
}
