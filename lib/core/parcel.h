/* Numbers and bytes in a row, for another process of the same build (core/ranks.h). What comes in is checked for its
 * lengths: a read beyond the end gives zeros and marks the parcel as bad.
 *
 *   loom_parcel_put(&into, &counts, sizeof counts);
 *   loom_parcel_put_i64(&into, n);
 *   loom_parcel_put_text(&into, text, len);
 *
 *   loom_parcel p = loom_parcel_of(&from);
 *   loom_parcel_get(&p, &counts, sizeof counts);  n = loom_parcel_get_i64(&p);  text = loom_parcel_get_text(&p, &len);
 *   LOOM_TRY(loom_parcel_end(&p, err)); */
#ifndef LOOM_CORE_PARCEL_H
#define LOOM_CORE_PARCEL_H

#include "core/buf.h"

typedef struct loom_parcel {
    const char *at, *end;
    bool bad;
} loom_parcel;

static inline void loom_parcel_put(loom_buf *into, const void *data, size_t len) { loom_buf_append(into, data, len); }
static inline void loom_parcel_put_i64(loom_buf *into, int64_t v) { loom_buf_append(into, &v, sizeof v); }
/* With its length in front. */
void loom_parcel_put_text(loom_buf *into, const char *text, size_t len);

loom_parcel loom_parcel_of(const loom_buf *from);
void loom_parcel_get(loom_parcel *p, void *data, size_t len);
int64_t loom_parcel_get_i64(loom_parcel *p);
/* Borrowed from the parcel, not ended by a zero; "" and 0 when there is none. */
const char *loom_parcel_get_text(loom_parcel *p, size_t *len);
/* FORMAT unless all of it was read, and no more. */
loom_status loom_parcel_end(const loom_parcel *p, loom_err *err);

#endif
