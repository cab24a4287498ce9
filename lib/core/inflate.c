#include "core/inflate.h"

#include <stddef.h>

#ifdef LOOM_HAVE_ISAL

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

#include "core/banned.h"

enum { OUT_BYTES = 256 << 10 };

struct loom_inflate {
    struct inflate_state state;
    loom_inflate_source source;
    void *arg;
    bool in_member, input_ended;
    unsigned char out[OUT_BYTES];
};

bool loom_inflate_available(void) { return true; }

loom_inflate *loom_inflate_new(loom_inflate_source source, void *arg)
{
    loom_inflate *z = malloc(sizeof *z);
    if (!z) return NULL;
    z->source = source;
    z->arg = arg;
    z->in_member = z->input_ended = false;
    isal_inflate_init(&z->state);
    return z;
}

/* Sees to it that there is input, if there is any more. */
static bool refill(loom_inflate *z)
{
    const void *block = NULL;
    if (z->state.avail_in > 0 || z->input_ended) return true;
    ssize_t n = z->source(z->arg, &block);
    if (n < 0) return false;
    z->input_ended = n == 0;
    z->state.next_in = (uint8_t *)(uintptr_t)block; /* only read, whatever its type says */
    z->state.avail_in = (uint32_t)n;
    return true;
}

/* Between members: starts the next one, or finds the end. */
static const char *next_member(loom_inflate *z, bool *more)
{
    bool padding = false;
    *more = false;
    for (;;) {
        if (!refill(z)) return NULL;
        if (z->state.avail_in == 0) break;
        if (*z->state.next_in != 0) {
            *more = !padding && *z->state.next_in == 0x1f;
            if (!*more) return "there is something else behind the gzip data";
            isal_inflate_reset(&z->state);
            z->state.crc_flag = ISAL_GZIP;
            return NULL;
        }
        padding = true;
        z->state.next_in++;
        z->state.avail_in--;
    }
    return NULL;
}

static const char *explain(int code)
{
    switch (code) {
    case ISAL_INCORRECT_CHECKSUM: return "gzip checksum is wrong";
    case ISAL_INVALID_WRAPPER: return "gzip header is damaged";
    case ISAL_UNSUPPORTED_METHOD: return "gzip method is unknown";
    default: return "gzip data is damaged";
    }
}

ssize_t loom_inflate_next(loom_inflate *z, const void **block, const char **why)
{
    z->state.next_out = z->out;
    z->state.avail_out = OUT_BYTES;
    *block = z->out;
    *why = NULL;
    while (z->state.avail_out > 0) {
        bool more = true;
        if (!z->in_member) {
            if ((*why = next_member(z, &more))) return -1;
            if (!more && !z->input_ended) return -1;
            if (!more) break;
            z->in_member = true;
        }
        if (!refill(z)) return -1;
        uint32_t given = z->state.avail_in, room = z->state.avail_out;
        int code = isal_inflate(&z->state);
        if (code < 0 || code == ISAL_NEED_DICT) {
            *why = explain(code);
            return -1;
        }
        z->in_member = z->state.block_state != ISAL_BLOCK_FINISH;
        if (z->in_member && z->state.avail_in == given && z->state.avail_out == room) {
            *why = given == 0 ? "gzip data ends too early" : "gzip data is damaged";
            return -1;
        }
    }
    return (ssize_t)(OUT_BYTES - z->state.avail_out);
}

void loom_inflate_free(loom_inflate *z) { free(z); }

#else

bool loom_inflate_available(void) { return false; }

loom_inflate *loom_inflate_new(loom_inflate_source source, void *arg)
{
    (void)source;
    (void)arg;
    return NULL;
}

ssize_t loom_inflate_next(loom_inflate *z, const void **block, const char **why)
{
    (void)z;
    *block = NULL;
    *why = "built without ISA-L";
    return -1;
}

void loom_inflate_free(loom_inflate *z) { (void)z; }

#endif
