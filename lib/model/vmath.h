/* Exponential and friends for the inner loops: plain C that the compiler turns into vector code.
 *
 * exp(x) = 2^n * exp(r),  n = round(x / ln 2),  |r| <= ln(2)/2, the latter by Cephes' polynomial of degree 6.
 * Relative error below 2e-7 on the clamped range; NaN stays NaN; no branch, no table, no errno. */
#ifndef LOOM_MODEL_VMATH_H
#define LOOM_MODEL_VMATH_H

#include <stdint.h>
#include <string.h>

static inline float loom_bits_to_f32(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t loom_f32_to_bits(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* x, or `limit` when it is past it. A mask and no branch on purpose: from `x = past ? limit : x` gcc 12 makes one copy
 * of all that follows for each outcome, and 1 / (1 + exp(88)), then computed for every element, is a number below the
 * normal range that takes the CPU a hundred times as long. */
static inline float loom_clamped(float x, float limit, int past)
{
    uint32_t mask = 0u - (uint32_t)past;

    return loom_bits_to_f32((loom_f32_to_bits(x) & ~mask) | (loom_f32_to_bits(limit) & mask));
}

/* Below -87 the result stays at exp(-87), about 1.6e-38; above 88 at exp(88). The comparisons let NaN through. */
static inline float loom_expf(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    float t, n, r, p, scale;

    x = loom_clamped(x, -87.0f, x < -87.0f);
    x = loom_clamped(x, 88.0f, x > 88.0f);
    t = x * 1.44269504088896341f + magic;
    n = t - magic;
    r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    scale = loom_bits_to_f32((loom_f32_to_bits(t) + 127u) << 23);
    return p * scale;
}

/* bfloat16 is the upper half of a float32. */
static inline float loom_bf16_to_f32(uint16_t h) { return loom_bits_to_f32((uint32_t)h << 16); }

/* Rounds to nearest even; NaN stays NaN. */
static inline uint16_t loom_f32_to_bf16(float f)
{
    uint32_t bits = loom_f32_to_bits(f);

    if (f != f) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

#endif
