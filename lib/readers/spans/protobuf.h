/* Fields of a protobuf message, one after the other, from bytes that nobody vouches for
 * (https://protobuf.dev/programming-guides/encoding/). Nothing is copied; no length is believed before it is compared
 * with what is there.
 *
 *   loom_pb m = loom_pb_of(bytes, len);
 *   for (loom_pb_field f; loom_pb_next(&m, &f);)
 *       if (f.number == 5 && f.type == LOOM_PB_BYTES) use(f.bytes, f.len);
 *   if (m.bad) ...        cut short or damaged at m.at */
#ifndef LOOM_READERS_SPANS_PROTOBUF_H
#define LOOM_READERS_SPANS_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum loom_pb_type {
    LOOM_PB_VARINT = 0,
    LOOM_PB_FIXED64 = 1,
    LOOM_PB_BYTES = 2,
    LOOM_PB_FIXED32 = 5
} loom_pb_type;

typedef struct loom_pb {
    const unsigned char *at, *end;
    bool bad;
} loom_pb;

typedef struct loom_pb_field {
    uint32_t number; /* from 1 */
    loom_pb_type type;
    uint64_t value;             /* of a varint or fixed number */
    const unsigned char *bytes; /* of texts, bytes and messages; borrowed */
    size_t len;
} loom_pb_field;

loom_pb loom_pb_of(const void *bytes, size_t len);
/* False at the end, or (m->bad) where no field can begin; groups, which nobody writes any more, are such. */
bool loom_pb_next(loom_pb *m, loom_pb_field *f);

#endif
