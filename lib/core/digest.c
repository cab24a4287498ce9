#include "core/digest.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "core/num.h"

struct loom_digest {
    XXH3_state_t *state;
    bool wide; /* 128 bits */
};

static loom_digest *new_digest(bool wide)
{
    loom_digest *d = loom_calloc(1, sizeof *d);
    if (!d) return NULL;
    d->wide = wide;
    if (!(d->state = XXH3_createState())) {
        free(d);
        return NULL;
    }
    loom_digest_reset(d);
    return d;
}

loom_digest *loom_digest_new(void) { return new_digest(true); }
loom_digest *loom_digest_new_64(void) { return new_digest(false); }

void loom_digest_reset(loom_digest *d)
{
    if (d->wide) XXH3_128bits_reset(d->state);
    else XXH3_64bits_reset(d->state);
}

void loom_digest_add(loom_digest *d, const void *bytes, size_t len)
{
    if (len == 0) return;
    if (d->wide) XXH3_128bits_update(d->state, bytes, len);
    else XXH3_64bits_update(d->state, bytes, len);
}

void loom_digest_text(const loom_digest *d, char text[33])
{
    assert(d->wide);
    XXH128_hash_t h = XXH3_128bits_digest(d->state);
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

uint64_t loom_digest_64(const loom_digest *d)
{
    assert(!d->wide);
    return XXH3_64bits_digest(d->state);
}

void loom_digest_free(loom_digest *d)
{
    if (!d) return;
    XXH3_freeState(d->state);
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
    if (!d || !block) st = loom_fail_nomem(err, "a file digest");
    else if (fstat(fd, &info) != 0) st = loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", path, strerror(errno));
    else st = loom_digest_range(d, fd, 0, info.st_size, block, BLOCK, path, err);
    if (st == LOOM_OK) {
        loom_digest_text(d, text);
        *bytes = info.st_size;
    }
    loom_digest_free(d);
    free(block);
    return st;
}
