/* A reader of GGUF for tests, from docs/FORMATS.md alone: facts and tensors of a file in memory. Nothing of it is
 * trusted: a place behind the end fails the test. */
#ifndef LOOM_TEST_GGUF_READER_H
#define LOOM_TEST_GGUF_READER_H

#include "core/buf.h"
#include "test.h"

enum { GGUF_FACTS = 64, GGUF_TENSORS = 256 };

typedef struct gguf_fact {
    char key[64];
    uint32_t kind, of; /* of: kind of an array's elements */
    uint64_t n;        /* elements of an array, bytes of a text */
    const unsigned char *at;
} gguf_fact;

typedef struct gguf_tensor {
    char name[65];
    uint32_t n_dims, type;
    uint64_t dims[4], count;
    const unsigned char *at;
} gguf_tensor;

typedef struct gguf {
    const unsigned char *at, *start, *end;
    gguf_fact facts[GGUF_FACTS];
    gguf_tensor tensors[GGUF_TENSORS];
    uint64_t n_facts, n_tensors;
    bool bad;
} gguf;

static const unsigned char *gguf_take(gguf *g, uint64_t n)
{
    const unsigned char *at = g->at;
    if (n > (uint64_t)(g->end - g->at)) {
        g->bad = true;
        return NULL;
    }
    g->at += n;
    return at;
}

static uint64_t gguf_number(gguf *g, size_t bytes)
{
    uint64_t v = 0;
    const unsigned char *at = gguf_take(g, bytes);
    if (at) memcpy(&v, at, bytes);
    return v;
}

static void gguf_name(gguf *g, char *into, size_t cap)
{
    uint64_t n = gguf_number(g, 8);
    const unsigned char *at = gguf_take(g, n);
    if (!at || n >= cap) {
        g->bad = true;
        return;
    }
    memcpy(into, at, n);
    into[n] = 0;
}

static size_t gguf_size(uint32_t kind) { return kind == 7 || kind < 2 ? 1 : kind < 4 ? 2 : kind < 7 ? 4 : 8; }

static void gguf_fact_read(gguf *g, gguf_fact *f)
{
    gguf_name(g, f->key, sizeof f->key);
    f->kind = (uint32_t)gguf_number(g, 4);
    if (f->kind == 9) {
        f->of = (uint32_t)gguf_number(g, 4);
        f->n = gguf_number(g, 8);
        f->at = g->at;
        for (uint64_t i = 0; i < f->n && !g->bad; i++) gguf_take(g, f->of == 8 ? gguf_number(g, 8) : gguf_size(f->of));
        return;
    }
    if (f->kind == 8) f->n = gguf_number(g, 8);
    f->at = gguf_take(g, f->kind == 8 ? f->n : gguf_size(f->kind));
}

static void gguf_tensor_read(gguf *g, gguf_tensor *t, uint64_t *place)
{
    gguf_name(g, t->name, sizeof t->name);
    t->n_dims = (uint32_t)gguf_number(g, 4);
    t->count = 1;
    for (uint32_t d = 0; d < t->n_dims && d < 4; d++) t->count *= t->dims[d] = gguf_number(g, 8);
    t->type = (uint32_t)gguf_number(g, 4);
    *place = gguf_number(g, 8);
}

static uint64_t gguf_bytes(const gguf_tensor *t)
{
    return t->type == 8 ? t->count / 32 * 34 : t->count * (t->type == 0 ? 4 : 2);
}

/* The bytes stay borrowed. */
static void gguf_read(gguf *g, const void *bytes, size_t len)
{
    static uint64_t places[GGUF_TENSORS];
    *g = (gguf){.at = bytes, .start = bytes, .end = (const unsigned char *)bytes + len};
    REQUIRE(len > 24 && memcmp(bytes, "GGUF\3\0\0\0", 8) == 0);
    g->at += 8;
    g->n_tensors = gguf_number(g, 8);
    g->n_facts = gguf_number(g, 8);
    REQUIRE(g->n_tensors <= GGUF_TENSORS && g->n_facts <= GGUF_FACTS);
    for (uint64_t i = 0; i < g->n_facts && !g->bad; i++) gguf_fact_read(g, &g->facts[i]);
    for (uint64_t i = 0; i < g->n_tensors && !g->bad; i++) gguf_tensor_read(g, &g->tensors[i], &places[i]);
    REQUIRE(!g->bad);
    uint64_t head = ((uint64_t)(g->at - g->start) + 31) / 32 * 32, next = 0;
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        gguf_tensor *t = &g->tensors[i];
        CHECK(places[i] == next); /* one after the other, each from a multiple of 32 */
        next = (places[i] + gguf_bytes(t) + 31) / 32 * 32;
        REQUIRE(head + places[i] + gguf_bytes(t) <= len);
        t->at = g->start + head + places[i];
    }
    CHECK(head + next == len);
}

static const gguf_fact *gguf_fact_of(const gguf *g, const char *key)
{
    for (uint64_t i = 0; i < g->n_facts; i++)
        if (strcmp(g->facts[i].key, key) == 0) return &g->facts[i];
    return NULL;
}

static const gguf_tensor *gguf_tensor_of(const gguf *g, const char *name)
{
    for (uint64_t i = 0; i < g->n_tensors; i++)
        if (strcmp(g->tensors[i].name, name) == 0) return &g->tensors[i];
    return NULL;
}

static float gguf_half(const unsigned char *at)
{
    uint16_t h;
    memcpy(&h, at, 2);
    int e = h >> 10 & 31, m = h & 1023;
    float v = e == 0 ? ldexpf((float)m, -24) : e == 31 ? INFINITY : ldexpf((float)(1024 + m), e - 25);
    return h >> 15 ? -v : v;
}

/* Value i of a tensor, whatever its type. */
static float gguf_value(const gguf_tensor *t, uint64_t i)
{
    float v;
    uint32_t bits;
    uint16_t half;
    const unsigned char *block = t->at + i / 32 * 34;
    switch (t->type) {
    case 1: return gguf_half(t->at + 2 * i);
    case 8: return gguf_half(block) * (float)(signed char)block[2 + i % 32];
    case 30:
        memcpy(&half, t->at + 2 * i, 2);
        bits = (uint32_t)half << 16;
        memcpy(&v, &bits, 4);
        return v;
    default: memcpy(&v, t->at + 4 * i, 4); return v;
    }
}

#endif
