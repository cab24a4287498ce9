#include "core/siphash.h"

#include <string.h>

typedef struct state {
    uint64_t a, b, c, d;
} state;

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void rounds(state *s, int n)
{
    for (int i = 0; i < n; i++) {
        s->a += s->b, s->b = rotate(s->b, 13) ^ s->a, s->a = rotate(s->a, 32);
        s->c += s->d, s->d = rotate(s->d, 16) ^ s->c;
        s->a += s->d, s->d = rotate(s->d, 21) ^ s->a;
        s->c += s->b, s->b = rotate(s->b, 17) ^ s->c, s->c = rotate(s->c, 32);
    }
}

static void absorb(state *s, uint64_t word)
{
    s->d ^= word;
    rounds(s, 2);
    s->a ^= word;
}

uint64_t loom_siphash(loom_siphash_key key, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    state s = {key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d, key.k0 ^ 0x6c7967656e657261,
               key.k1 ^ 0x7465646279746573};
    uint64_t word;
    for (size_t i = 0; i < len / 8; i++) {
        memcpy(&word, at + 8 * i, 8);
        absorb(&s, word);
    }
    word = 0;
    if (len % 8) memcpy(&word, at + len / 8 * 8, len % 8);
    absorb(&s, word | (uint64_t)len << 56);
    s.c ^= 0xff;
    rounds(&s, 4);
    return s.a ^ s.b ^ s.c ^ s.d;
}
