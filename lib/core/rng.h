/* Random numbers: xoshiro256**, seeded through splitmix64 from (seed, tag, index).
 *
 * Every purpose has a stream of its own, named by a tag and an index ("shuffle", epoch), so that adding draws in one
 * place never moves another. The four words are the whole state: save them to resume. */
#ifndef LOOM_CORE_RNG_H
#define LOOM_CORE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct loom_rng {
    uint64_t s[4];
} loom_rng;

void loom_rng_seed(loom_rng *r, uint64_t seed, const char *tag, uint64_t index);
uint64_t loom_rng_u64(loom_rng *r);
/* [0, 1) from the top 53 of any 64 random bits, such as a hash. */
static inline double loom_unit_f64(uint64_t bits) { return (double)(bits >> 11) * 0x1.0p-53; }
double loom_rng_f64(loom_rng *r);                 /* [0, 1), top 53 bits */
uint64_t loom_rng_below(loom_rng *r, uint64_t n); /* uniform in 0..n-1, n > 0, unbiased */
bool loom_rng_chance(loom_rng *r, double p);      /* true with probability p; always draws */
double loom_rng_normal(loom_rng *r);              /* N(0,1), polar method, no state kept between calls */
void loom_rng_shuffle(loom_rng *r, void *array, size_t n, size_t size); /* Fisher-Yates, size <= 64 bytes */

/* n bytes that nobody can guess, from the system. IO when it has none. */
loom_status loom_rng_secret(void *out, size_t n, loom_err *err);

#endif
