/* Laying matrices out in panels: rows are transposed in registers, sixteen by sixteen. */
#include <assert.h>
#include <string.h>

#include "core/num.h"
#include "model/packed_impl.h"
#include "model/vmath.h"

#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#include <immintrin.h>
#endif

int64_t loom_packed_width(int64_t in) { return (in + 31) / 32 * 32; }

size_t loom_packed_bytes(int64_t out, int64_t in, bool bf16)
{
    size_t panels = (size_t)((out + LOOM_PANEL - 1) / LOOM_PANEL), bytes;
    size_t row = bf16 ? (size_t)loom_packed_width(in) * sizeof(uint16_t) : (size_t)in * sizeof(float);

    if (!loom_mul_size(&bytes, panels, LOOM_PANEL) || !loom_mul_size(&bytes, bytes, row)) return SIZE_MAX;
    return bytes;
}

static float weight(const loom_packed *p, const loom_mat *W, int64_t o, int64_t k)
{
    if (o >= p->out || k >= p->in) return 0;
    return W->f32 ? W->f32[o * p->in + k] : loom_bf16_to_f32(W->bf16[o * p->in + k]);
}

static int64_t whole_panels(int64_t out) { return (out + LOOM_PANEL - 1) / LOOM_PANEL * LOOM_PANEL; }

/* Lane i is lane lanes[i] of a, or lane lanes[i] - 16 of b. */
INLINE vec16u shuffle(vec16u a, vec16u b, vec16u lanes)
{
#ifdef __clang__ /* which builds the fuzz targets and has no such builtin */
    vec16u r;

    for (int i = 0; i < 16; i++) r[i] = lanes[i] < 16 ? a[lanes[i]] : b[lanes[i] - 16];
    return r;
#else
    return __builtin_shuffle(a, b, lanes);
#endif
}

/* One bit of every lane number says which two rows swap a block of `step` lanes; all four bits transpose. */
INLINE void swap_blocks(vec16u m[16], int step)
{
    vec16u upper, lower; /* lanes of the pair (a, b), b's from 16 on */

    _Pragma("GCC unroll 16") for (uint32_t i = 0; i < 16; i++)
    {
        bool high = i & (uint32_t)step;

        upper[i] = high ? 16 + i - (uint32_t)step : i;
        lower[i] = high ? 16 + i : i + (uint32_t)step;
    }
    _Pragma("GCC unroll 16") for (int i = 0; i < 16; i++)
    {
        vec16u a = m[i], b = m[i | step];

        if (i & step) continue;
        m[i] = shuffle(a, b, upper);
        m[i | step] = shuffle(a, b, lower);
    }
}

INLINE void transpose16(vec16u m[16])
{
    swap_blocks(m, 8);
    swap_blocks(m, 4);
    swap_blocks(m, 2);
    swap_blocks(m, 1);
}

#if defined(__AVX512BF16__) && defined(__AVX512BW__)

/* The instruction rounds as loom_f32_to_bf16 does, but takes numbers below the normal range for zero, as the products
 * do. Result: low's 16 numbers, then high's. */
static inline vec16u rounded(vec16 low, vec16 high) { return (vec16u)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low); }

/* Pair c is (low[c], high[c]). */
static inline vec16u pairs(vec16 low, vec16 high)
{
    uint16_t order[32];
    vec16u turn;

    for (int i = 0; i < 32; i++) order[i] = (uint16_t)(i / 2 + i % 2 * 16);
    memcpy(&turn, order, sizeof turn);
    return (vec16u)_mm512_permutexvar_epi16((__m512i)turn, (__m512i)rounded(low, high));
}

/* The pairs of 32 numbers that follow each other. */
static inline vec16u pairs_along(vec16 first, vec16 second) { return rounded(first, second); }

#else

/* Lanes rounded as loom_f32_to_bf16 does; the result is in the upper halves, the lower ones are leftovers. */
static inline vec16u rounded(vec16 f)
{
    vec16u bits, nan = (vec16u)(f != f);

    memcpy(&bits, &f, sizeof bits);
    return (nan & (bits | 0x400000u)) | (~nan & (bits + 0x7FFFu + (bits >> 16 & 1u)));
}

/* Pair c is (low[c], high[c]). */
static inline vec16u pairs(vec16 low, vec16 high) { return rounded(low) >> 16 | (rounded(high) & 0xFFFF0000u); }

/* The pairs of 32 numbers that follow each other. */
static inline vec16u pairs_along(vec16 first, vec16 second)
{
    vec16u even, odd;

    for (uint32_t i = 0; i < 16; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
    vec16u a = (vec16u)first, b = (vec16u)second;

    return pairs((vec16)shuffle(a, b, even), (vec16)shuffle(a, b, odd));
}

#endif

/* The first n of 16 numbers, the others zero; all zero for NULL. */
static inline vec16 lanes(const float *from, int64_t n)
{
    vec16 f = {0};

    if (from && n >= 16) return *(const vec16_anywhere *)from;
    if (from && n > 0) memcpy(&f, from, (size_t)n * sizeof *from);
    return f;
}

/* Outputs o0..o0+15 and inner indices k0..k0+31 of bfloat16 weights: 16 rows of 16 pairs, turned over. ld: of W's
 * rows */
static void fill_tile16(const loom_packed *p, const loom_mat *W, int64_t ld, float scale, int64_t o0, int64_t k0)
{
    int64_t width = loom_packed_width(p->in);
    vec16u m[16];

    for (int64_t o = 0; o < 16; o++) {
        int64_t n = o0 + o < p->out ? p->in - k0 : 0;
        vec16 f[2];

        if (W->f32) {
            const float *row = n > 0 ? W->f32 + (o0 + o) * ld + k0 : NULL;

            f[0] = lanes(row, n);
            f[1] = lanes(n > 16 ? row + 16 : NULL, n - 16);
        } else {
            for (int k = 0; k < 32; k++) f[k / 16][k % 16] = weight(p, W, o0 + o, k0 + k);
        }
        m[o] = pairs_along(scale * f[0], scale * f[1]);
    }
    transpose16(m);
    memcpy((uint16_t *)p->data + (o0 / 16 * width / 2 + k0 / 2) * 32, m, sizeof m);
}

/* The same for float32 weights and inner indices k0..k0+15, as many as there are. */
static void fill_tile32(const loom_packed *p, const loom_mat *W, int64_t ld, float scale, int64_t o0, int64_t k0)
{
    int64_t n = loom_min_i64(16, p->in - k0);
    float *to = (float *)p->data + (o0 / LOOM_PANEL * p->in + k0) * LOOM_PANEL + o0 % LOOM_PANEL;
    vec16u m[16];

    for (int64_t o = 0; o < 16; o++) {
        vec16 f = {0};

        if (W->f32) f = lanes(o0 + o < p->out ? W->f32 + (o0 + o) * ld + k0 : NULL, n);
        else
            for (int64_t k = 0; k < n; k++) f[k] = weight(p, W, o0 + o, k0 + k);
        m[o] = (vec16u)(scale * f);
    }
    transpose16(m);
    for (int64_t k = 0; k < n; k++) *(vec16u_anywhere *)(to + k * LOOM_PANEL) = m[k];
}

/* Outputs from..to-1, whole panels of them; ld: of W's rows. */
static void fill(const loom_packed *p, const loom_mat *W, int64_t ld, float scale, int64_t from, int64_t to)
{
    int64_t outs = loom_min_i64(whole_panels(to), whole_panels(p->out));

    for (int64_t o = from; o < outs; o += 16)
        for (int64_t k = 0; k < p->in; k += p->bf16 ? 32 : 16) {
            if (p->bf16) fill_tile16(p, W, ld, scale, o, k);
            else fill_tile32(p, W, ld, scale, o, k);
        }
}

void loom_packed_fill_rows(const loom_packed *p, const float *rows, int64_t ld)
{
    fill(p, &(loom_mat){.f32 = rows}, ld, 1.0f, 0, p->out);
}

void loom_packed_fill_outs(const loom_packed *p, const loom_mat *W, float scale, int64_t from, int64_t to)
{
    assert(from % LOOM_PANEL == 0 && from >= 0 && to <= p->out && (to % LOOM_PANEL == 0 || to == p->out));
    fill(p, W, p->in, scale, from, to);
}

void loom_packed_fill(const loom_packed *p, const loom_mat *W, float scale) { fill(p, W, p->in, scale, 0, p->out); }

static void fill_inner32(const loom_packed *p, const float *rows, int64_t ld, int64_t k0, int64_t k1)
{
    float *data = p->data;

    for (int64_t k = k0; k < k1; k++, rows += ld)
        for (int64_t o = 0; o < whole_panels(p->out); o += 16) {
            *(vec16_anywhere *)(data + (o / LOOM_PANEL * p->in + k) * LOOM_PANEL + o % LOOM_PANEL) =
                lanes(rows + o, p->out - o);
        }
}

void loom_packed_fill_inner(const loom_packed *p, const float *rows, int64_t ld, int64_t k0, int64_t k1)
{
    assert(k0 >= 0 && k0 <= k1 && k1 <= p->in && (!p->bf16 || k0 % 32 == 0));
    if (!p->bf16) {
        fill_inner32(p, rows, ld, k0, k1);
        return;
    }
    int64_t width = loom_packed_width(p->in), end = loom_min_i64(width, (k1 + 31) / 32 * 32);
    vec16u *data = p->data;

    for (int64_t k = k0; k < end; k += 2) {
        const float *a = k < k1 ? rows + (k - k0) * ld : NULL, *b = k + 1 < k1 ? a + ld : NULL;

        for (int64_t o = 0; o < whole_panels(p->out); o += 16, a = a ? a + 16 : a, b = b ? b + 16 : b)
            data[o / 16 * width / 2 + k / 2] = pairs(lanes(a, p->out - o), lanes(b, p->out - o));
    }
}

void loom_packed_turn(uint16_t *to, int64_t width, const float *rows, int64_t ld, int64_t cols, int64_t k0, int64_t k1)
{
    for (int64_t k = k0; k < k1; k += 32)
        for (int64_t c = 0; c < cols; c += 16) {
            vec16u m[16];

            for (int64_t i = 0; i < 16; i++) {
                int64_t at = k + 2 * i;
                const float *a = at < k1 ? rows + (at - k0) * ld + c : NULL, *b = at + 1 < k1 ? a + ld : NULL;

                m[i] = pairs(lanes(a, cols - c), lanes(b, cols - c));
            }
            transpose16(m);
            for (int64_t i = 0; i < 16; i++) *(vec16u_anywhere *)(to + (c + i) * width + k) = m[i];
        }
}

void loom_packed_round(uint16_t *to, const float *x, int64_t ldx, int64_t N, int64_t in)
{
    int64_t width = loom_packed_width(in);

    for (int64_t n = 0; n < N; n++) {
        const float *f = x + n * ldx;

        for (int64_t k = 0; k < width; k += 32) {
            *(vec16u_anywhere *)(to + n * width + k) =
                pairs_along(lanes(f + k, in - k), lanes(f + k + 16, in - k - 16));
        }
    }
}
