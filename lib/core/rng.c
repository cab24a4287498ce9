#include "core/rng.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "core/hash.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void loom_rng_seed(loom_rng *r, uint64_t seed, const char *tag, uint64_t index)
{
    uint64_t state = seed;
    state = splitmix64(&state) ^ loom_hash64(tag, strlen(tag), 0);
    state = splitmix64(&state) ^ index;
    for (int i = 0; i < 4; i++) r->s[i] = splitmix64(&state);
}

static inline uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t loom_rng_u64(loom_rng *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

double loom_rng_f64(loom_rng *r) { return loom_unit_f64(loom_rng_u64(r)); }

uint64_t loom_rng_below(loom_rng *r, uint64_t n)
{
    assert(n > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do {
        x = loom_rng_u64(r);
    } while (x >= limit); /* rejects the incomplete last block, so that every value is equally likely */
    return x % n;
}

bool loom_rng_chance(loom_rng *r, double p) { return loom_rng_f64(r) < p; }

double loom_rng_normal(loom_rng *r)
{
    double u, v, q;
    do {
        u = 2 * loom_rng_f64(r) - 1;
        v = 2 * loom_rng_f64(r) - 1;
        q = u * u + v * v;
    } while (q >= 1 || q == 0);
    return u * sqrt(-2 * log(q) / q);
}

void loom_rng_shuffle(loom_rng *r, void *array, size_t n, size_t size)
{
    unsigned char *p = array, t[64];
    assert(size <= sizeof t);
    for (size_t i = n; i > 1; i--) {
        size_t j = loom_rng_below(r, i);
        if (j == i - 1) continue;
        memcpy(t, p + j * size, size);
        memcpy(p + j * size, p + (i - 1) * size, size);
        memcpy(p + (i - 1) * size, t, size);
    }
}

loom_status loom_rng_secret(void *out, size_t n, loom_err *err)
{
    if (getrandom(out, n, 0) == (ssize_t)n) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_IO, "the system gives no random numbers for a secret");
}
