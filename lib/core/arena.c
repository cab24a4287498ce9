#include "core/arena.h"

#include <stdint.h>

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
        static const char text[] = "out of memory; free some memory and run the command again\n";
        fwrite(text, 1, sizeof text - 1, stderr);
        abort();
    }
    c->next = NULL;
    c->cap = cap;
    return c;
}

void *loom_arena_alloc(loom_arena *a, size_t bytes)
{
    bytes = bytes > SIZE_MAX - 16 ? bytes : (bytes + 15) & ~(size_t)15;
    if (!a->current) {
        a->first = a->current = new_chunk(bytes);
        a->used = 0;
    }
    while (a->current->cap - a->used < bytes) {
        loom_arena_chunk *next = a->current->next;
        if (!next || next->cap < bytes) { /* a chunk too small for this request stays behind for later resets */
            loom_arena_chunk *c = new_chunk(bytes);
            c->next = next;
            a->current->next = c;
            next = c;
        }
        a->current = next;
        a->used = 0;
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
    memset(p, 0, bytes);
    return p;
}

char *loom_arena_strdup(loom_arena *a, const char *text, size_t len)
{
    char *p = loom_arena_alloc(a, len + 1);
    if (len) memcpy(p, text, len);
    p[len] = 0;
    return p;
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
