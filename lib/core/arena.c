#include "core/arena.h"

#include <stdint.h>

#include "core/nomem.h"
#include "core/num.h"

enum { CHUNK_BYTES = 64 << 10 };

struct loom_arena_chunk {
    loom_arena_chunk *next;
    size_t cap;
    _Alignas(16) unsigned char data[];
};

static loom_arena_chunk *new_chunk(size_t bytes)
{
    size_t total, cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    loom_arena_chunk *c = loom_add_size(&total, cap, sizeof *c) ? malloc(total) : NULL;
    if (!c) {
        loom_nomem_note();
        return NULL;
    }
    c->next = NULL;
    c->cap = cap;
    return c;
}

/* Makes a chunk with room for `bytes` the current one. */
static bool more_room(loom_arena *a, size_t bytes)
{
    loom_arena_chunk *next = a->current ? a->current->next : NULL;
    if (!next || next->cap < bytes) { /* a chunk too small for this request stays behind for later resets */
        loom_arena_chunk *c = new_chunk(bytes);
        if (!c) return false;
        c->next = next;
        if (a->current) a->current->next = c;
        else a->first = c;
        next = c;
    }
    a->current = next;
    a->used = 0;
    return true;
}

void *loom_arena_alloc(loom_arena *a, size_t bytes)
{
    bytes = bytes > SIZE_MAX - 16 ? bytes : (bytes + 15) & ~(size_t)15;
    if ((!a->current || a->current->cap - a->used < bytes) && !more_room(a, bytes)) {
        a->failed = true;
        return NULL;
    }
    void *p = a->current->data + a->used;
    a->used += bytes;
    return p;
}

void *loom_arena_calloc(loom_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (!loom_mul_size(&bytes, n, size)) bytes = SIZE_MAX; /* fails in new_chunk */
    void *p = loom_arena_alloc(a, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

const char *loom_arena_strdup(loom_arena *a, const char *text, size_t len)
{
    char *p = loom_arena_alloc(a, len < SIZE_MAX ? len + 1 : SIZE_MAX);
    if (!p) return "";
    if (len) memcpy(p, text, len);
    p[len] = 0;
    return p;
}

loom_status loom_arena_check(const loom_arena *a, const char *what, loom_err *err)
{
    return a->failed ? loom_fail_nomem(err, what) : LOOM_OK;
}

void loom_arena_reset(loom_arena *a)
{
    a->current = a->first;
    a->used = 0;
}

void loom_arena_release(loom_arena *a)
{
    for (loom_arena_chunk *c = a->first; c;) {
        loom_arena_chunk *next = c->next;
        free(c);
        c = next;
    }
    *a = (loom_arena){0};
}
