/* A text as one gzip member (RFC 1952), compressed fast rather than well: for what goes over a wire. */
#ifndef LOOM_CORE_GZIP_H
#define LOOM_CORE_GZIP_H

#include "core/buf.h"
#include "core/err.h"

/* Appends it to `into`. The same text gives the same bytes. */
loom_status loom_gzip(loom_buf *into, const void *data, size_t len, loom_err *err);

#endif
