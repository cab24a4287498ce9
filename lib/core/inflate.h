/* gzip (RFC 1952) through ISA-L, several times as fast as zlib: concatenated members, header and trailer checked
 * (CRC and size), zero bytes behind the last member passed over; anything else behind it, and an input that ends
 * within a member, is an error. core/file.h uses it where the build has ISA-L, libarchive's zlib elsewhere. */
#ifndef LOOM_CORE_INFLATE_H
#define LOOM_CORE_INFLATE_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct loom_inflate loom_inflate;

/* Gives the next block of compressed bytes, borrowed until the next call; 0 at the end, -1 on an error (errno). */
typedef ssize_t (*loom_inflate_source)(void *arg, const void **block);

bool loom_inflate_available(void); /* built with ISA-L */
/* NULL: no memory, or built without ISA-L. */
loom_inflate *loom_inflate_new(loom_inflate_source source, void *arg);
/* Bytes in *block (borrowed until the next call), 0 at the end, -1 on an error: *why says which, NULL: the source's. */
ssize_t loom_inflate_next(loom_inflate *z, const void **block, const char **why);
void loom_inflate_free(loom_inflate *z); /* NULL is fine */

#endif
