#include "core/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "core/inflate.h"
#include "core/num.h"

/* ---- stop flag ---- */

static volatile sig_atomic_t stop_seen;

static void on_stop_signal(int signal_number)
{
    if (stop_seen) _exit(128 + signal_number);
    stop_seen = 1;
}

void loom_stop_install(void)
{
    struct sigaction action = {.sa_handler = on_stop_signal}; /* no SA_RESTART: a blocked read returns */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write, with a sentence */
}

bool loom_stop_requested(void) { return stop_seen != 0; }
void loom_stop_set(bool stop) { stop_seen = stop; }

static loom_status fail_interrupted(loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
}

/* ---- reading ---- */

struct loom_in {
    struct archive *archive;
    char *path;
    const char *member;
    int fd;                  /* plain files bypass libarchive: >= 0, else -1 */
    bool is_tar;
    unsigned char head[512]; /* bytes read while looking at what kind of file this is */
    size_t head_len, head_used;
    unsigned char *feed;     /* input block of the decompressor */
    loom_inflate *inflate;   /* gzip: between the file and libarchive; NULL: libarchive does it */
};

enum { FEED_BYTES = 256 << 10 };

static const char *shown_path(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

/* EINTR without a stop request goes on; with one, the caller is told. */
static ssize_t read_fd(int fd, void *data, size_t cap)
{
    for (;;) {
        ssize_t n = read(fd, data, cap);
        if (n >= 0 || errno != EINTR || stop_seen) return n;
    }
}

/* The next block of the file as it is. */
static ssize_t next_block(void *arg, const void **block)
{
    loom_in *in = arg;
    if (in->head_used < in->head_len) {
        *block = in->head + in->head_used;
        size_t n = in->head_len - in->head_used;
        in->head_used = in->head_len;
        return (ssize_t)n;
    }
    *block = in->feed;
    return read_fd(in->fd, in->feed, FEED_BYTES);
}

static la_ssize_t feed_archive(struct archive *a, void *client, const void **block)
{
    loom_in *in = client;
    const char *why = NULL;
    ssize_t n = in->inflate ? loom_inflate_next(in->inflate, block, &why) : next_block(in, block);
    if (n < 0) archive_set_error(a, why ? EILSEQ : errno, "%s", why ? why : strerror(errno));
    return (la_ssize_t)n;
}

static bool is_gzip(const unsigned char *h, size_t n) { return n >= 2 && h[0] == 0x1f && h[1] == 0x8b; }

/* gzip, zstd, xz, bzip2, or a tar header: what libarchive shall open. */
static bool is_container(const unsigned char *h, size_t n)
{
    if (is_gzip(h, n)) return true;
    if (n >= 4 && memcmp(h, "\x28\xb5\x2f\xfd", 4) == 0) return true;
    if (n >= 4 && (h[0] & 0xf0) == 0x50 && memcmp(h + 1, "\x2a\x4d\x18", 3) == 0) return true; /* zstd skippable */
    if (n >= 6 && memcmp(h, "\xfd" "7zXZ\0", 6) == 0) return true;
    if (n >= 4 && memcmp(h, "BZh", 3) == 0 && h[3] >= '1' && h[3] <= '9') return true;
    return n >= 262 && memcmp(h + 257, "ustar", 5) == 0;
}

static loom_status archive_failed(loom_in *in, loom_err *err)
{
    if (stop_seen) return fail_interrupted(err);
    const char *text = archive_error_string(in->archive);
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s%s%s: damaged or cut short (%s); fetch or make the file again",
                     shown_path(in->path), in->member[0] ? ", member " : "", in->member, text ? text : "unknown error");
}

/* The format "raw" passes whatever a filter yields; "tar" must win where both fit, which libarchive's bidding does. */
static loom_status open_archive(loom_in *in, loom_err *err)
{
    bool more;
    in->archive = archive_read_new();
    in->feed = malloc(FEED_BYTES);
    if (!in->archive || !in->feed) return loom_fail_nomem(err, "a decompressor");
    if (is_gzip(in->head, in->head_len) && loom_inflate_available()) {
        in->inflate = loom_inflate_new(next_block, in);
        if (!in->inflate) return loom_fail_nomem(err, "a decompressor");
    }
    archive_read_support_filter_gzip(in->archive);
    archive_read_support_filter_zstd(in->archive);
    archive_read_support_filter_xz(in->archive);
    archive_read_support_filter_bzip2(in->archive);
    archive_read_support_format_tar(in->archive);
    archive_read_support_format_raw(in->archive);
    if (archive_read_open(in->archive, in, NULL, feed_archive, NULL) != ARCHIVE_OK) return archive_failed(in, err);
    LOOM_TRY(loom_in_next_member(in, &more, err));
    if (!more) in->member = "";
    return LOOM_OK;
}

loom_status loom_in_open(loom_in **out, const char *path, loom_err *err)
{
    loom_status st = LOOM_OK;
    loom_in *in = loom_calloc(1, sizeof *in);
    if (!in) return loom_fail_nomem(err, "a file reader");
    in->fd = -1;
    in->member = "";
    in->path = strdup(path);
    if (!in->path) {
        st = loom_fail_nomem(err, "a file reader");
        goto done;
    }
    in->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0) {
        st = loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", shown_path(path), strerror(errno));
        goto done;
    }
    while (in->head_len < sizeof in->head) {
        ssize_t n = read_fd(in->fd, in->head + in->head_len, sizeof in->head - in->head_len);
        if (n < 0) {
            st = stop_seen ? fail_interrupted(err)
                           : loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", shown_path(path), strerror(errno));
            goto done;
        }
        if (n == 0) break;
        in->head_len += (size_t)n;
    }
    if (is_container(in->head, in->head_len)) st = open_archive(in, err);
done:
    if (st != LOOM_OK) {
        loom_in_close(&in);
        return st;
    }
    *out = in;
    return LOOM_OK;
}

loom_status loom_in_read(loom_in *in, void *data, size_t cap, size_t *n, loom_err *err)
{
    if (stop_seen) return fail_interrupted(err);
    if (in->archive) {
        size_t got = 0;
        while (got < cap) { /* libarchive returns what one block of input yields; callers want full blocks */
            la_ssize_t r = archive_read_data(in->archive, (char *)data + got, cap - got);
            if (r < 0) return archive_failed(in, err);
            if (r == 0) break;
            got += (size_t)r;
        }
        *n = got;
        return LOOM_OK;
    }
    size_t from_head = in->head_len - in->head_used;
    if (from_head > 0) {
        if (from_head > cap) from_head = cap;
        memcpy(data, in->head + in->head_used, from_head);
        in->head_used += from_head;
        *n = from_head;
        return LOOM_OK;
    }
    ssize_t r = read_fd(in->fd, data, cap);
    if (r < 0) {
        if (stop_seen) return fail_interrupted(err);
        return loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", shown_path(in->path), strerror(errno));
    }
    *n = (size_t)r;
    return LOOM_OK;
}

loom_status loom_in_next_member(loom_in *in, bool *more, loom_err *err)
{
    *more = false;
    if (!in->archive) return LOOM_OK;
    for (;;) {
        struct archive_entry *entry;
        int r = archive_read_next_header(in->archive, &entry);
        if (r == ARCHIVE_EOF) return LOOM_OK;
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN) return archive_failed(in, err);
        in->is_tar = archive_format(in->archive) != ARCHIVE_FORMAT_RAW;
        if (in->is_tar && archive_entry_filetype(entry) != AE_IFREG) continue;
        const char *name = in->is_tar ? archive_entry_pathname(entry) : "";
        in->member = name ? name : "";
        *more = true;
        return LOOM_OK;
    }
}

const char *loom_in_member(const loom_in *in) { return in->member; }

void loom_in_close(loom_in **in)
{
    if (!*in) return;
    if ((*in)->archive) archive_read_free((*in)->archive);
    loom_inflate_free((*in)->inflate);
    if ((*in)->fd >= 0) close((*in)->fd);
    free((*in)->feed);
    free((*in)->path);
    free(*in);
    *in = NULL;
}

/* ---- lines ---- */

struct loom_lines {
    loom_in *in;
    loom_buf block; /* unread bytes are data[start..len) */
    size_t start;
    int64_t number;
    bool ended;
};

loom_status loom_lines_open(loom_lines **out, const char *path, loom_err *err)
{
    loom_lines *lines = loom_calloc(1, sizeof *lines);
    if (!lines) return loom_fail_nomem(err, "a line reader");
    loom_status st = loom_in_open(&lines->in, path, err);
    if (st != LOOM_OK) {
        free(lines);
        return st;
    }
    *out = lines;
    return LOOM_OK;
}

/* Appends one more block; goes on to the next member at the end of one. */
static loom_status lines_fill(loom_lines *lines, loom_err *err)
{
    enum { BLOCK = 256 << 10 };
    if (lines->start > 0) {
        memmove(lines->block.data, lines->block.data + lines->start, lines->block.len - lines->start);
        lines->block.len -= lines->start;
        lines->start = 0;
    }
    loom_buf_reserve(&lines->block, BLOCK);
    for (;;) {
        size_t n;
        bool more;
        LOOM_TRY(loom_in_read(lines->in, lines->block.data + lines->block.len, BLOCK, &n, err));
        if (n > 0) {
            lines->block.len += n;
            lines->block.data[lines->block.len] = 0;
            return LOOM_OK;
        }
        LOOM_TRY(loom_in_next_member(lines->in, &more, err));
        if (!more) {
            lines->ended = true;
            return LOOM_OK;
        }
    }
}

loom_status loom_lines_next(loom_lines *lines, char **line, size_t *len, loom_err *err)
{
    size_t searched = 0;
    for (;;) {
        size_t have = lines->block.len - lines->start;
        char *text = lines->block.data ? lines->block.data + lines->start : NULL;
        char *end = have > searched ? memchr(text + searched, '\n', have - searched) : NULL;
        if (!end && !lines->ended) {
            searched = have;
            LOOM_TRY(lines_fill(lines, err));
            continue;
        }
        if (!end && have == 0) {
            *line = NULL;
            *len = 0;
            return LOOM_OK;
        }
        size_t n = end ? (size_t)(end - text) : have;
        lines->start += n + (end != NULL);
        if (n > 0 && text[n - 1] == '\r') n--;
        text[n] = 0;
        lines->number++;
        *line = text;
        *len = n;
        return LOOM_OK;
    }
}

int64_t loom_lines_number(const loom_lines *lines) { return lines->number; }

void loom_lines_close(loom_lines **lines)
{
    if (!*lines) return;
    loom_in_close(&(*lines)->in);
    loom_buf_release(&(*lines)->block);
    free(*lines);
    *lines = NULL;
}

/* ---- writing ---- */

struct loom_out {
    char *path, *temp; /* temp NULL: written in place (stdout, a device, a pipe) */
    FILE *file;
    ZSTD_CCtx *zstd;
    unsigned char *packed;
    size_t packed_cap;
};

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

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
    if (!to_stdout && has_suffix(path, ".zst")) {
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

/* ---- whole files ---- */

loom_status loom_file_read(loom_buf *into, const char *path, size_t max, loom_err *err)
{
    loom_status st = LOOM_OK;
    size_t before = into->len;
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", shown_path(path), strerror(errno));
    for (;;) {
        loom_buf_reserve(into, 64 << 10);
        ssize_t n = read_fd(fd, into->data + into->len, into->cap - into->len - 1);
        if (n == 0) break;
        if (n < 0) {
            st = stop_seen ? fail_interrupted(err)
                           : loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", shown_path(path), strerror(errno));
            break;
        }
        into->len += (size_t)n;
        if (into->len - before > max) {
            char limit[32];
            st = loom_fail(err, LOOM_STATUS_FORMAT, "%s is larger than %s, which cannot be right for such a file",
                           shown_path(path), loom_format_bytes(limit, sizeof limit, (double)max));
            break;
        }
    }
    into->data[into->len] = 0;
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

bool loom_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool loom_file_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int64_t loom_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
}

loom_status loom_make_dirs(const char *path, loom_err *err)
{
    loom_status st = LOOM_OK;
    loom_buf part = {0};
    loom_buf_str(&part, path);
    for (size_t i = 1; i <= part.len && st == LOOM_OK; i++) {
        char c = part.data[i];
        if (c != '/' && c != 0) continue;
        part.data[i] = 0;
        if (mkdir(part.data, 0777) != 0 && (errno != EEXIST || !loom_file_is_dir(part.data)))
            st = loom_fail(err, LOOM_STATUS_IO, "cannot make the folder %s: %s", part.data, strerror(errno));
        part.data[i] = c;
    }
    loom_buf_release(&part);
    return st;
}

static int compare_texts(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

loom_status loom_list_files(char ***paths, size_t *n, const char *dir, const char *suffix, loom_err *err)
{
    loom_status st = LOOM_OK;
    char **list = NULL;
    size_t count = 0, cap = 0;
    DIR *d = opendir(dir);
    if (!d) return loom_fail(err, LOOM_STATUS_IO, "cannot open the folder %s: %s", dir, strerror(errno));
    for (struct dirent *e; st == LOOM_OK && (e = readdir(d));) {
        if (e->d_name[0] == '.' || !has_suffix(e->d_name, suffix)) continue;
        loom_buf full = {0};
        loom_buf_printf(&full, "%s/%s", dir, e->d_name);
        struct stat info;
        if (stat(full.data, &info) == 0 && S_ISREG(info.st_mode)) {
            st = loom_grow(&list, &cap, count + 1, sizeof *list, err);
            if (st == LOOM_OK) {
                list[count++] = full.data;
                full = (loom_buf){0};
            }
        }
        loom_buf_release(&full);
    }
    closedir(d);
    if (st != LOOM_OK) {
        loom_free_list(list, count);
        return st;
    }
    if (count) qsort(list, count, sizeof *list, compare_texts);
    *paths = list;
    *n = count;
    return LOOM_OK;
}

void loom_free_list(char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
}
