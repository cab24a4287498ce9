/* Writing: a temporary file that gets its name when it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "core/digest.h"
#include "core/file_impl.h"
#include "core/nomem.h"
#include "core/num.h"

struct loom_out {
    char *path;
    loom_temp temp;
    FILE *file;          /* of its own descriptor; NULL once finished */
    loom_digest *digest; /* of the bytes of the file; NULL: written in place (stdout, a device, a pipe) */
    loom_buf *into;      /* instead of a file */
    bool finished;
    ZSTD_CCtx *zstd;
    unsigned char *packed;
    size_t packed_cap;
};

static loom_status write_failed(const loom_out *out, loom_err *err)
{
    int code = errno;
    return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s; nothing was left half-written",
                     strcmp(out->path, "-") == 0 ? "standard output" : out->path, strerror(code));
}

/* A device or pipe: a rename would put a plain file in its place. */
static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static loom_status open_in_place(loom_out *out, const char *path, loom_err *err)
{
    bool to_stdout = strcmp(path, "-") == 0;
    if (!(out->path = loom_strdup(path))) return loom_fail_nomem(err, "a file writer");
    out->file = to_stdout ? stdout : fopen(path, "wbe");
    return out->file ? LOOM_OK : loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", path, strerror(errno));
}

/* The stream has a descriptor of its own, so that the temporary file stays open and locked until it has its name. */
static loom_status open_temp(loom_out *out, const char *path, bool force, loom_err *err)
{
    LOOM_TRY(loom_temp_open(&out->temp, path, force, err));
    out->path = loom_strdup(path);
    out->digest = loom_digest_new();
    int fd = fcntl(out->temp.fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0 && !(out->file = fdopen(fd, "wb"))) close(fd);
    if (!out->path || !out->digest || !out->file) return loom_fail_nomem(err, "a file writer");
    return LOOM_OK;
}

static loom_status open_compressor(loom_out *out, loom_err *err)
{
    out->packed_cap = ZSTD_CStreamOutSize();
    out->packed = malloc(out->packed_cap);
    out->zstd = ZSTD_createCCtx();
    if (!out->packed || !out->zstd) return loom_fail_nomem(err, "a compressor");
    ZSTD_CCtx_setParameter(out->zstd, ZSTD_c_checksumFlag, 1);
    return LOOM_OK;
}

loom_status loom_out_open(loom_out **result, const char *path, bool force, loom_err *err)
{
    loom_out *out = loom_calloc(1, sizeof *out);
    if (!out) return loom_fail_nomem(err, "a file writer");
    bool in_place = strcmp(path, "-") == 0 || is_special(path);
    loom_status st = in_place ? open_in_place(out, path, err) : open_temp(out, path, force, err);
    if (st == LOOM_OK && out->file != stdout && loom_has_suffix(path, ".zst")) st = open_compressor(out, err);
    if (st != LOOM_OK) {
        loom_out_abandon(&out);
        return st;
    }
    *result = out;
    return LOOM_OK;
}

loom_status loom_out_to_buf(loom_out **result, loom_buf *into, loom_err *err)
{
    loom_out *out = loom_calloc(1, sizeof *out);
    if (!out) return loom_fail_nomem(err, "a file writer");
    out->into = into;
    *result = out;
    return LOOM_OK;
}

void loom_out_make_private(loom_out *out)
{
    if (out->digest) loom_temp_make_private(&out->temp);
}

static loom_status write_raw(loom_out *out, const void *data, size_t len, loom_err *err)
{
    if (out->into) {
        loom_buf_append(out->into, data, len);
        return loom_buf_check(out->into, "what this rank made", err);
    }
    if (fwrite(data, 1, len, out->file) != len) return write_failed(out, err);
    if (out->digest) loom_digest_add(out->digest, data, len);
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
        if (packed.pos) LOOM_TRY(write_raw(out, out->packed, packed.pos, err));
        if (mode == ZSTD_e_end ? left == 0 : in.pos == in.size) return LOOM_OK;
    }
}

loom_status loom_out_write(loom_out *out, const void *data, size_t len, loom_err *err)
{
    if (len == 0) return LOOM_OK;
    if (out->zstd) return write_packed(out, data, len, ZSTD_e_continue, err);
    return write_raw(out, data, len, err);
}

loom_status loom_out_text(loom_out **out, const char *path, const loom_buf *text, bool force, loom_err *err)
{
    LOOM_TRY(loom_out_open(out, path, force, err));
    return loom_out_write(*out, loom_buf_text(text), text->len, err);
}

loom_status loom_out_printf(loom_out *out, loom_err *err, const char *fmt, ...)
{
    loom_buf text = {0};
    va_list args;
    va_start(args, fmt);
    loom_buf_vprintf(&text, fmt, args);
    va_end(args);
    loom_status st = loom_buf_check(&text, "a text", err);
    if (st == LOOM_OK) st = loom_out_write(out, loom_buf_text(&text), text.len, err);
    loom_buf_release(&text);
    return st;
}

static bool is_in_place(const loom_out *out) { return !out->digest; }

/* On the disk, and there the bytes that were meant. */
static loom_status check_written(loom_out *out, loom_err *err)
{
    char meant[33];
    LOOM_TRY(loom_temp_sync(&out->temp, err));
    LOOM_TRY(loom_temp_digest(&out->temp, err));
    loom_digest_text(out->digest, meant);
    if (strcmp(meant, out->temp.digest) == 0) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: it reads back other than it was written; check the disk",
                     out->path);
}

loom_status loom_out_finish(loom_out *out, loom_err *err)
{
    if (out->finished) return LOOM_OK;
    LOOM_TRY(loom_nomem_check(strcmp(out->path, "-") == 0 ? "standard output" : out->path, err));
    if (out->zstd) LOOM_TRY(write_packed(out, NULL, 0, ZSTD_e_end, err));
    if (fflush(out->file) != 0) return write_failed(out, err);
    if (out->file != stdout) {
        FILE *file = out->file;
        out->file = NULL;
        if (fclose(file) != 0) return write_failed(out, err);
    }
    if (!is_in_place(out)) LOOM_TRY(check_written(out, err));
    out->finished = true;
    return LOOM_OK;
}

loom_temp *loom_out_temp(loom_out *out) { return is_in_place(out) ? NULL : &out->temp; }

/* What told of the file that was replaced. */
static void forget_meta(const loom_temp *t)
{
    char *name;
    if (asprintf(&name, "%s.meta.json", t->path) < 0) return;
    unlink(name);
    free(name);
}

loom_status loom_out_commit_all(loom_out **outs, size_t n, loom_err *err)
{
    loom_temp **temps = loom_calloc(n, sizeof *temps);
    size_t n_temps = 0;
    loom_status st = temps ? LOOM_OK : loom_fail_nomem(err, "the names of outputs");
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        if (!outs[i]) continue;
        st = loom_out_finish(outs[i], err);
        if (!is_in_place(outs[i])) temps[n_temps++] = &outs[i]->temp;
    }
    if (st == LOOM_OK) st = loom_temp_publish(temps, n_temps, err);
    for (size_t i = 0; i < n_temps && st == LOOM_OK; i++) forget_meta(temps[i]);
    for (size_t i = 0; i < n; i++) loom_out_abandon(&outs[i]); /* what has its name stays */
    free(temps);
    return st;
}

loom_status loom_out_commit(loom_out **out, loom_err *err) { return loom_out_commit_all(out, 1, err); }

void loom_out_abandon(loom_out **handle)
{
    loom_out *out = *handle;
    if (!out) return;
    if (out->file && out->file != stdout) fclose(out->file);
    loom_temp_discard(&out->temp);
    loom_digest_free(out->digest);
    ZSTD_freeCCtx(out->zstd);
    free(out->packed);
    free(out->path);
    free(out);
    *handle = NULL;
}
