/* Reading: plain files and every container that libarchive knows, one block at a time. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_impl.h"
#include "core/inflate.h"
#include "core/num.h"

struct loom_in {
    struct archive *archive;
    char *path;
    char *member;            /* a copy: libarchive frees its own when it goes on, also where it fails */
    int fd;                  /* plain files bypass libarchive: >= 0, else -1 */
    bool changed;            /* the file ended elsewhere than where it did when it was opened */
    int64_t size, taken;     /* bytes of the file when it was opened (-1: a pipe, a device), bytes read so far */
    bool is_tar, between;    /* between: behind the member, looking for the next one */
    unsigned char head[512]; /* bytes read while looking at what kind of file this is */
    size_t head_len, head_used;
    unsigned char peeked[512]; /* of a member, looked at and not read yet */
    size_t peeked_len, peeked_used;
    unsigned char *feed;   /* input block of the decompressor */
    bool nothing;          /* what is compressed is nothing at all */
    loom_inflate *inflate; /* gzip: between the file and libarchive; NULL: libarchive does it */
};

enum { FEED_BYTES = 256 << 10 };

/* A table that somebody cuts or writes meanwhile must not pass for a whole one. */
static ssize_t read_some(loom_in *in, void *data, size_t cap)
{
    ssize_t n = loom_read_fd(in->fd, data, cap);
    if (n > 0) in->taken += n;
    if (n != 0 || in->size < 0 || in->taken == in->size) return n;
    in->changed = true;
    errno = EIO;
    return -1;
}

static void note_size(loom_in *in)
{
    struct stat info;
    off_t at = lseek(in->fd, 0, SEEK_CUR);
    bool known = at >= 0 && fstat(in->fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0; /* /proc says 0 */
    in->size = known ? info.st_size - at : -1;
}

static loom_status read_failed(const loom_in *in, loom_err *err)
{
    if (loom_stop_requested()) return loom_fail_interrupted(err);
    if (in->changed) return loom_fail_changed(loom_shown_path(in->path), in->size, in->taken, err);
    return loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", loom_shown_path(in->path), strerror(errno));
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
    return read_some(in, in->feed, FEED_BYTES);
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

/* "BZh9" and the beginning of a block, or the end; as far as there is anything. */
static bool is_bzip2(const unsigned char *h, size_t n)
{
    size_t rest = n < 4 ? 0 : n - 4 < 6 ? n - 4 : 6;
    return n >= 4 && memcmp(h, "BZh", 3) == 0 && h[3] >= '1' && h[3] <= '9' &&
           (memcmp(h + 4, "1AY&SY", rest) == 0 || memcmp(h + 4, "\x17\x72\x45\x38\x50\x90", rest) == 0);
}

/* gzip, zstd, xz, bzip2, or a tar header: what libarchive shall open. */
static bool is_container(const unsigned char *h, size_t n)
{
    if (is_gzip(h, n)) return true;
    if (n >= 4 && memcmp(h, "\x28\xb5\x2f\xfd", 4) == 0) return true;
    if (n >= 4 && (h[0] & 0xf0) == 0x50 && memcmp(h + 1, "\x2a\x4d\x18", 3) == 0) return true; /* zstd skippable */
    if (n >= 6 && memcmp(h,
                         "\xfd"
                         "7zXZ\0",
                         6) == 0)
        return true;
    if (is_bzip2(h, n)) return true;
    return n >= 262 && memcmp(h + 257, "ustar", 5) == 0;
}

static loom_status archive_failed(loom_in *in, loom_err *err)
{
    if (loom_stop_requested() || in->changed) return read_failed(in, err);
    const char *text = archive_error_string(in->archive);
    const char *where = !in->member ? "" : in->between ? ", behind member " : ", member ";
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s%s%s: damaged or cut short (%s); fetch or make the file again",
                     loom_shown_path(in->path), where, loom_in_member(in), text ? text : "unknown error");
}

/* "raw" takes every byte, so that only what has none is of no format; what is cut short has other errors. */
static bool is_nothing(const loom_in *in)
{
    return !loom_stop_requested() && !in->changed && archive_errno(in->archive) == EILSEQ &&
           archive_filter_bytes(in->archive, 0) == 0;
}

/* The format "raw" passes whatever a filter yields; "tar" must win where both fit, which libarchive's bidding does. */
static loom_status open_archive(loom_in *in, loom_err *err)
{
    bool more;
    in->archive = archive_read_new();
    in->feed = loom_alloc(FEED_BYTES, 1);
    if (!in->archive || !in->feed) return loom_fail_nomem(err, "a decompressor");
    if (is_gzip(in->head, in->head_len) && loom_inflate_available()) {
        in->inflate = loom_inflate_new(next_block, in);
        if (!in->inflate) return loom_fail_nomem(err, "a decompressor");
    }
    if (archive_read_support_filter_gzip(in->archive) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(in->archive) != ARCHIVE_OK ||
        archive_read_support_filter_xz(in->archive) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(in->archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(in->archive) != ARCHIVE_OK ||
        archive_read_support_format_raw(in->archive) != ARCHIVE_OK)
        return loom_fail_nomem(err, "a decompressor"); /* the one reason there is */
    if (archive_read_open(in->archive, in, NULL, feed_archive, NULL) != ARCHIVE_OK) {
        in->nothing = is_nothing(in);
        return in->nothing ? LOOM_OK : archive_failed(in, err);
    }
    LOOM_TRY(loom_in_next_member(in, &more, err));
    if (in->inflate || archive_format(in->archive) != ARCHIVE_FORMAT_RAW ||
        archive_filter_code(in->archive, 0) != ARCHIVE_FILTER_NONE)
        return LOOM_OK;
    archive_set_error(in->archive, EILSEQ, "it ends, or changes, in its first bytes");
    return archive_failed(in, err); /* else these would pass for a text */
}

loom_status loom_in_open(loom_in **out, const char *path, loom_err *err)
{
    loom_status st = LOOM_OK;
    loom_in *in = loom_calloc(1, sizeof *in);
    if (!in) return loom_fail_nomem(err, "a file reader");
    in->fd = -1;
    in->path = loom_strdup(path);
    if (!in->path) {
        st = loom_fail_nomem(err, "a file reader");
        goto done;
    }
    in->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0) {
        st = loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", loom_shown_path(path), strerror(errno));
        goto done;
    }
    note_size(in);
    while (in->head_len < sizeof in->head) {
        ssize_t n = read_some(in, in->head + in->head_len, sizeof in->head - in->head_len);
        if (n < 0) {
            st = read_failed(in, err);
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

loom_status loom_in_peek(loom_in *in, const char **data, size_t *n, loom_err *err)
{
    if (in->peeked_used == in->peeked_len) {
        in->peeked_len = in->peeked_used = 0;
        LOOM_TRY(loom_in_read(in, in->peeked, sizeof in->peeked, &in->peeked_len, err));
    }
    *data = (const char *)in->peeked + in->peeked_used;
    *n = in->peeked_len - in->peeked_used;
    return LOOM_OK;
}

/* Hands out what `from` has of `len` bytes behind *used. */
static size_t hand_out(void *data, size_t cap, const unsigned char *from, size_t len, size_t *used)
{
    size_t n = len - *used < cap ? len - *used : cap;
    memcpy(data, from + *used, n);
    *used += n;
    return n;
}

loom_status loom_in_read(loom_in *in, void *data, size_t cap, size_t *n, loom_err *err)
{
    if (loom_stop_requested()) return loom_fail_interrupted(err);
    if (in->peeked_used < in->peeked_len) {
        *n = hand_out(data, cap, in->peeked, in->peeked_len, &in->peeked_used);
        return LOOM_OK;
    }
    if (in->nothing) {
        *n = 0;
        return LOOM_OK;
    }
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
    if (in->head_used < in->head_len) {
        *n = hand_out(data, cap, in->head, in->head_len, &in->head_used);
        return LOOM_OK;
    }
    ssize_t r = read_some(in, data, cap);
    if (r < 0) return read_failed(in, err);
    *n = (size_t)r;
    return LOOM_OK;
}

/* libarchive gives names in the locale's encoding, which may have no letters for them. */
static loom_status keep_member(loom_in *in, struct archive_entry *entry, loom_err *err)
{
    const char *name = archive_entry_pathname(entry);
    if (!name) name = archive_entry_pathname_utf8(entry);
    free(in->member);
    in->member = in->is_tar && name ? loom_strdup(name) : NULL;
    if (in->is_tar && name && !in->member) return loom_fail_nomem(err, "the name of a member");
    return LOOM_OK;
}

loom_status loom_in_next_member(loom_in *in, bool *more, loom_err *err)
{
    *more = false;
    in->peeked_len = in->peeked_used = 0;
    if (!in->archive || in->nothing) return LOOM_OK;
    in->between = true;
    for (;;) {
        struct archive_entry *entry;
        int r = archive_read_next_header(in->archive, &entry);
        if (r == ARCHIVE_EOF) return LOOM_OK;
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN) return archive_failed(in, err);
        in->is_tar = archive_format(in->archive) != ARCHIVE_FORMAT_RAW;
        if (in->is_tar && archive_entry_filetype(entry) != AE_IFREG) continue;
        LOOM_TRY(keep_member(in, entry, err));
        in->between = false;
        *more = true;
        return LOOM_OK;
    }
}

const char *loom_in_member(const loom_in *in) { return in->member ? in->member : ""; }

loom_status loom_in_read_all(loom_buf *into, loom_in *in, size_t bound, const char *name, loom_err *err)
{
    enum { BLOCK = 256 << 10 };
    size_t before = into->len, n = 1;
    while (n > 0) {
        if (!loom_buf_reserve(into, BLOCK)) return loom_fail_nomem(err, name);
        LOOM_TRY(loom_in_read(in, into->data + into->len, BLOCK, &n, err));
        into->len += n;
        into->data[into->len] = 0;
        if (into->len - before > bound) return loom_fail_bound(err, name, bound);
        if (in->archive) LOOM_TRY(loom_check_unpacked(into->len - before, (size_t)in->taken, name, err));
    }
    return LOOM_OK;
}

const char *loom_in_path(const loom_in *in) { return loom_shown_path(in->path); }

void loom_in_close(loom_in **in)
{
    if (!*in) return;
    if ((*in)->archive) archive_read_free((*in)->archive);
    loom_inflate_free((*in)->inflate);
    if ((*in)->fd >= 0) close((*in)->fd);
    free((*in)->feed);
    free((*in)->member);
    free((*in)->path);
    free(*in);
    *in = NULL;
}
