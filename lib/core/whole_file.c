/* Whole files: read and written. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_impl.h"
#include "core/num.h"

loom_status loom_file_read(loom_buf *into, const char *path, size_t bound, loom_err *err)
{
    loom_status st = LOOM_OK;
    size_t before = into->len;
    struct stat info;
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", loom_shown_path(path), strerror(errno));
    int64_t size = strcmp(path, "-") != 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : -1;
    for (;;) {
        if (!loom_buf_reserve(into, 64 << 10)) {
            st = loom_fail_nomem(err, loom_shown_path(path));
            break;
        }
        ssize_t n = loom_read_fd(fd, into->data + into->len, into->cap - into->len - 1);
        if (n == 0) {
            if (size > 0 && into->len - before != (size_t)size)
                st = loom_fail_changed(loom_shown_path(path), size, (int64_t)(into->len - before), err);
            break;
        }
        if (n < 0) {
            st = loom_stop_requested()
                     ? loom_fail_interrupted(err)
                     : loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", loom_shown_path(path), strerror(errno));
            break;
        }
        into->len += (size_t)n;
        if (into->len - before > bound) {
            st = loom_fail_bound(err, loom_shown_path(path), bound);
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
