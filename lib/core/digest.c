#include "core/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "core/num.h"

/* Both widths are kept: which one is asked for is known at the end only, and XXH3 is faster than any file. */
struct loom_digest {
    XXH3_state_t *wide, *narrow;
};

loom_digest *loom_digest_new(void)
{
    loom_digest *d = loom_calloc(1, sizeof *d);
    if (!d) return NULL;
    d->wide = XXH3_createState();
    d->narrow = XXH3_createState();
    if (!d->wide || !d->narrow) {
        loom_digest_free(d);
        return NULL;
    }
    loom_digest_reset(d);
    return d;
}

void loom_digest_reset(loom_digest *d)
{
    XXH3_128bits_reset(d->wide);
    XXH3_64bits_reset(d->narrow);
}

void loom_digest_add(loom_digest *d, const void *bytes, size_t len)
{
    if (len == 0) return;
    XXH3_128bits_update(d->wide, bytes, len);
    XXH3_64bits_update(d->narrow, bytes, len);
}

void loom_digest_text(const loom_digest *d, char text[33])
{
    XXH128_hash_t h = XXH3_128bits_digest(d->wide);
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

uint64_t loom_digest_64(const loom_digest *d) { return XXH3_64bits_digest(d->narrow); }

void loom_digest_free(loom_digest *d)
{
    if (!d) return;
    if (d->wide) XXH3_freeState(d->wide);
    if (d->narrow) XXH3_freeState(d->narrow);
    free(d);
}

loom_status loom_digest_range(loom_digest *d, int fd, int64_t offset, int64_t bytes, void *block, size_t cap,
                              const char *path, loom_err *err)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, block, (size_t)loom_min_i64(bytes, (int64_t)cap), (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", path,
                             n ? strerror(errno) : "the file is cut short");
        loom_digest_add(d, block, (size_t)n);
        offset += n;
        bytes -= n;
    }
    return LOOM_OK;
}

loom_status loom_digest_file(char text[33], int64_t *bytes, int fd, const char *path, loom_err *err)
{
    enum { BLOCK = 1 << 20 };
    struct stat info;
    loom_digest *d = loom_digest_new();
    void *block = loom_alloc(BLOCK, 1);
    loom_status st = LOOM_OK;
    if (!d || !block)
        st = loom_fail_nomem(err, "a file digest");
    else if (fstat(fd, &info) != 0)
        st = loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", path, strerror(errno));
    else
        st = loom_digest_range(d, fd, 0, info.st_size, block, BLOCK, path, err);
    if (st == LOOM_OK) {
        loom_digest_text(d, text);
        *bytes = info.st_size;
    }
    loom_digest_free(d);
    free(block);
    return st;
}
