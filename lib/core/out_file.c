/* Writing: a temporary file that gets its name when it is whole. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "core/file_impl.h"
#include "core/num.h"

struct loom_out {
    char *path, *temp; /* temp NULL: written in place (stdout, a device, a pipe) */
    FILE *file;
    ZSTD_CCtx *zstd;
    unsigned char *packed;
    size_t packed_cap;
};

static loom_status write_failed(const loom_out *out, loom_err *err)
{
    int code = errno;
    return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s; nothing was left half-written",
                     out->file == stdout ? "standard output" : out->path, strerror(code));
}

static void out_free(loom_out *out)
{
    ZSTD_freeCCtx(out->zstd);
    free(out->packed);
    free(out->path);
    free(out->temp);
    free(out);
}

/* A device or pipe: a rename would put a plain file in its place. */
static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/* A live writer holds a lock besides its number, which another container may use again. */
static void remove_if_stale(const char *path, const char *number)
{
    int64_t pid;
    if (!loom_parse_i64(number, strlen(number), &pid) || pid <= 0 || pid > INT32_MAX) return;
    if (kill((pid_t)pid, 0) == 0 || errno != ESRCH) return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path);
    close(fd);
}

void loom_remove_stale_temps(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    loom_buf dir = {0}, full = {0};
    size_t len = strlen(name);
    if (slash) loom_buf_append(&dir, path, (size_t)(slash - path) + 1);
    DIR *d = opendir(slash ? dir.data : ".");
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, name, len) != 0 || strncmp(e->d_name + len, ".tmp.", 5) != 0) continue;
        loom_buf_reset(&full);
        loom_buf_printf(&full, "%s%s", loom_buf_text(&dir), e->d_name);
        remove_if_stale(full.data, e->d_name + len + 5);
    }
    if (d) closedir(d);
    loom_buf_release(&dir);
    loom_buf_release(&full);
}

void loom_forget_meta(const char *path)
{
    loom_buf name = {0};
    loom_buf_printf(&name, "%s.meta.json", path);
    unlink(name.data);
    loom_buf_release(&name);
}

loom_status loom_out_open(loom_out **result, const char *path, bool force, loom_err *err)
{
    bool to_stdout = strcmp(path, "-") == 0;
    bool in_place = to_stdout || is_special(path);
    if (!in_place && !force && loom_file_exists(path))
        return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", path);
    if (!to_stdout && loom_file_is_dir(path))
        return loom_fail(err, LOOM_STATUS_ARG, "%s is a folder; name a file in it", path);

    loom_out *out = loom_calloc(1, sizeof *out);
    if (!out) return loom_fail_nomem(err, "a file writer");
    loom_buf temp = {0};
    loom_buf_printf(&temp, "%s.tmp.%ld", path, (long)getpid());
    out->path = strdup(path);
    out->temp = in_place ? NULL : strdup(temp.data);
    loom_buf_release(&temp);
    if (!in_place) loom_remove_stale_temps(path);
    out->file = to_stdout ? stdout : fopen(in_place ? path : out->temp, "wb");
    if (!out->file) {
        int code = errno;
        out_free(out);
        return loom_fail(err, LOOM_STATUS_IO, "cannot create %s: %s%s", path, strerror(code),
                         code == ENOENT ? "; make its folder first" : "");
    }
    if (out->temp) flock(fileno(out->file), LOCK_EX | LOCK_NB); /* tells that this temporary file is in use */
    if (!to_stdout && loom_has_suffix(path, ".zst")) {
        out->packed_cap = ZSTD_CStreamOutSize();
        out->packed = malloc(out->packed_cap);
        out->zstd = ZSTD_createCCtx();
        if (!out->packed || !out->zstd) {
            loom_out_abandon(&out);
            return loom_fail_nomem(err, "a compressor");
        }
        ZSTD_CCtx_setParameter(out->zstd, ZSTD_c_checksumFlag, 1);
    }
    *result = out;
    return LOOM_OK;
}

static loom_status write_packed(loom_out *out, const void *data, size_t len, ZSTD_EndDirective mode, loom_err *err)
{
    ZSTD_inBuffer in = {data, len, 0};
    for (;;) {
        ZSTD_outBuffer packed = {out->packed, out->packed_cap, 0};
        size_t left = ZSTD_compressStream2(out->zstd, &packed, &in, mode);
        if (ZSTD_isError(left))
            return loom_fail(err, LOOM_STATUS_IO, "cannot compress %s: %s", out->path, ZSTD_getErrorName(left));
        if (packed.pos && fwrite(out->packed, 1, packed.pos, out->file) != packed.pos) return write_failed(out, err);
        if (mode == ZSTD_e_end ? left == 0 : in.pos == in.size) return LOOM_OK;
    }
}

loom_status loom_out_write(loom_out *out, const void *data, size_t len, loom_err *err)
{
    if (len == 0) return LOOM_OK;
    if (out->zstd) return write_packed(out, data, len, ZSTD_e_continue, err);
    return fwrite(data, 1, len, out->file) == len ? LOOM_OK : write_failed(out, err);
}

loom_status loom_out_printf(loom_out *out, loom_err *err, const char *fmt, ...)
{
    loom_buf text = {0};
    va_list args;
    va_start(args, fmt);
    loom_buf_vprintf(&text, fmt, args);
    va_end(args);
    loom_status st = loom_out_write(out, loom_buf_text(&text), text.len, err);
    loom_buf_release(&text);
    return st;
}

/* A rename lasts through a power cut only once the folder is synced too. */
static void sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    loom_buf dir = {0};
    if (slash)
        loom_buf_append(&dir, path, slash == path ? 1 : (size_t)(slash - path));
    else
        loom_buf_str(&dir, ".");
    int fd = open(dir.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    loom_buf_release(&dir);
}

loom_status loom_out_commit(loom_out **handle, loom_err *err)
{
    loom_out *out = *handle;
    loom_status st = LOOM_OK;

    if (out->zstd) st = write_packed(out, NULL, 0, ZSTD_e_end, err);
    if (st == LOOM_OK && fflush(out->file) != 0) st = write_failed(out, err);
    if (st == LOOM_OK && !out->temp && out->file != stdout) {
        if (fclose(out->file) != 0) st = write_failed(out, err);
        out->file = NULL;
    }
    if (st == LOOM_OK && out->temp) {
        if (fsync(fileno(out->file)) != 0 && errno != EINVAL && errno != EROFS) st = write_failed(out, err);
        if (fclose(out->file) != 0 && st == LOOM_OK) st = write_failed(out, err);
        out->file = NULL;
        if (st == LOOM_OK) loom_forget_meta(out->path);
        if (st == LOOM_OK && rename(out->temp, out->path) != 0) st = write_failed(out, err);
        if (st == LOOM_OK) sync_parent(out->path);
    }
    if (st != LOOM_OK) {
        loom_out_abandon(handle);
        return st;
    }
    out_free(out);
    *handle = NULL;
    return LOOM_OK;
}

void loom_out_abandon(loom_out **handle)
{
    loom_out *out = *handle;
    if (!out) return;
    if (out->file && out->file != stdout) fclose(out->file);
    if (out->temp) unlink(out->temp);
    out_free(out);
    *handle = NULL;
}
