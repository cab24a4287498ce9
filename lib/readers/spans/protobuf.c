#include "readers/spans/protobuf.h"

loom_pb loom_pb_of(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    return (loom_pb){.at = at, .end = at + len};
}

/* At most ten bytes; bits beyond the 64th are no number. */
static bool read_varint(loom_pb *m, uint64_t *out)
{
    uint64_t v = 0;

    for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        unsigned char byte = *m->at++;

        if (shift == 63 && byte > 1) return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

/* Little-endian, of 4 or 8 bytes. */
static bool read_fixed(loom_pb *m, int n, uint64_t *out)
{
    if (m->end - m->at < n) return false;
    *out = 0;
    for (int i = n - 1; i >= 0; i--) *out = *out << 8 | m->at[i];
    m->at += n;
    return true;
}

static bool read_bytes(loom_pb *m, loom_pb_field *f)
{
    uint64_t len;

    if (!read_varint(m, &len) || len > (uint64_t)(m->end - m->at)) return false;
    f->bytes = m->at;
    f->len = (size_t)len;
    m->at += len;
    return true;
}

static bool read_value(loom_pb *m, loom_pb_field *f)
{
    switch (f->type) {
    case LOOM_PB_VARINT: return read_varint(m, &f->value);
    case LOOM_PB_FIXED64: return read_fixed(m, 8, &f->value);
    case LOOM_PB_BYTES: return read_bytes(m, f);
    case LOOM_PB_FIXED32: return read_fixed(m, 4, &f->value);
    default: return false;
    }
}

bool loom_pb_next(loom_pb *m, loom_pb_field *f)
{
    const unsigned char *began = m->at;
    uint64_t tag = 0;

    if (m->bad || m->at >= m->end) return false;
    *f = (loom_pb_field){0};
    if (read_varint(m, &tag) && tag >> 3 && tag >> 3 < 1u << 29) {
        f->number = (uint32_t)(tag >> 3);
        f->type = (loom_pb_type)(tag & 7);
        if (read_value(m, f)) return true;
    }
    m->at = began;
    m->bad = true;
    return false;
}
