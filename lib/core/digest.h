/* XXH3 (128 or 64 bits) of bytes that come piece by piece, and of files.
 *
 *   loom_digest *d = loom_digest_new();              NULL: no memory
 *   loom_digest_add(d, block, n);
 *   loom_digest_text(d, text);                       32 hex digits; more may be added after it
 *   loom_digest_free(d); */
#ifndef LOOM_CORE_DIGEST_H
#define LOOM_CORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct loom_digest loom_digest;

loom_digest *loom_digest_new(void);
void loom_digest_add(loom_digest *d, const void *bytes, size_t len);
void loom_digest_text(const loom_digest *d, char text[33]);
/* Of 64 bits: what loom_hash64 with seed 0 gives for the bytes in one piece. Neither width can be asked of the
 * other. */
loom_digest *loom_digest_new_64(void);
uint64_t loom_digest_64(const loom_digest *d);
void loom_digest_reset(loom_digest *d);
void loom_digest_free(loom_digest *d);

/* Adds `bytes` bytes of the file from `offset` on, through `block`[cap]; `path` is for the message. A file that ends
 * before is an IO error. */
loom_status loom_digest_range(loom_digest *d, int fd, int64_t offset, int64_t bytes, void *block, size_t cap,
                              const char *path, loom_err *err);
/* All bytes of an open file; its position stays. */
loom_status loom_digest_file(char text[33], int64_t *bytes, int fd, const char *path, loom_err *err);

#endif
