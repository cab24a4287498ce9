/* Tiles of up to 8 rows by 32 outputs: sixteen sums of 16 floats stay in registers while a panel streams by. A panel
 * meets all rows before the next one is read, so that W comes from memory once. */
#include "model/packed.h"

#include <stdatomic.h>
#include <string.h>

#include "core/num.h"
#include "model/vmath.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef float vec16 __attribute__((vector_size(64)));
typedef uint32_t vec16u __attribute__((vector_size(64)));
/* The same in rows of any length. Read and written as themselves: gcc 12 takes a memcpy of this size through the stack. */
typedef float vec16_anywhere __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t vec16u_anywhere __attribute__((vector_size(64), aligned(2), may_alias));
#pragma GCC diagnostic ignored "-Wpsabi" /* where vectors are narrower; they pass between functions of this file only */

const char *const loom_bf16_unit_names[] = {"plain", "avx512bf16", "amx"};

/* ---- layout ---- */
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

#define INLINE static inline __attribute__((always_inline)) /* so that the sixteen rows are registers */

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
static inline vec16u rounded(vec16 low, vec16 high)
{
    return (vec16u)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

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

/* Outputs o0..o0+15 and inner indices k0..k0+31 of bfloat16 weights: 16 rows of 16 pairs, turned over. ld: of W's rows */
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
    fill(p, W, p->in, scale, from, to);
}

void loom_packed_fill(const loom_packed *p, const loom_mat *W, float scale) { fill(p, W, p->in, scale, 0, p->out); }

static void fill_inner32(const loom_packed *p, const float *rows, int64_t ld, int64_t k0, int64_t k1)
{
    float *data = p->data;

    for (int64_t k = k0; k < k1; k++, rows += ld)
        for (int64_t o = 0; o < whole_panels(p->out); o += 16) {
            *(vec16_anywhere *)(data + (o / LOOM_PANEL * p->in + k) * LOOM_PANEL + o % LOOM_PANEL) = lanes(rows + o, p->out - o);
        }
}

void loom_packed_fill_inner(const loom_packed *p, const float *rows, int64_t ld, int64_t k0, int64_t k1)
{
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

/* ---- tiles: y (ROWS,32) (+)= x (ROWS,in) times a panel. One function for each number of rows. ---- */
typedef void tile_fn(float *y, int64_t ldy, const float *x, int64_t ldx, const void *panel, int64_t in, bool add);

/* Sums of a tile are as many registers as the CPU has: gcc makes scalar code of vectors wider than its own. */
#if defined(__AVX512F__)
#define LANES            16
#define ALL_ROWS(TILE)   TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)
#define TABLE(name)      {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8}
#define MOST_ROWS        8
#elif defined(__AVX__)
#define LANES            8
#define ALL_ROWS(TILE)   TILE(1) TILE(2) TILE(3)
#define TABLE(name)      {name##_1, name##_2, name##_3}
#define MOST_ROWS        3
#else
#define LANES            4
#define ALL_ROWS(TILE)   TILE(1)
#define TABLE(name)      {name##_1}
#define MOST_ROWS        1
#endif
#define PARTS (LOOM_PANEL / LANES)

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef uint32_t vecu __attribute__((vector_size(4 * LANES)));
typedef float vec_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in rows of any length */

/* Unrolled, so that the sums never leave their registers. */
#define ROWS_LOOP(ROWS) _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)
#define PARTS_LOOP      _Pragma("GCC unroll 8") for (int v = 0; v < PARTS; v++)

INLINE void store(float *y, int64_t ldy, vec (*acc)[PARTS], int rows, bool add)
{
    if (add)
        ROWS_LOOP(rows) PARTS_LOOP *(vec_anywhere *)(y + r * ldy + v * LANES) += acc[r][v];
    else
        ROWS_LOOP(rows) PARTS_LOOP *(vec_anywhere *)(y + r * ldy + v * LANES) = acc[r][v];
}

#define TILE_FLOATS(name, ROWS, element)                                                                               \
    static void name##_##ROWS(float *y, int64_t ldy, const float *x, int64_t ldx, const void *panel, int64_t in,       \
                              bool add)                                                                                \
    {                                                                                                                  \
        vec acc[ROWS][PARTS];                                                                                          \
        const vec *w = panel;                                                                                          \
                                                                                                                       \
        ROWS_LOOP(ROWS) PARTS_LOOP acc[r][v] = (vec){0};                                                               \
        for (int64_t k = 0; k < in; k++, w += PARTS)                                                                   \
            ROWS_LOOP(ROWS)                                                                                            \
            {                                                                                                          \
                float one = x[element];                                                                                \
                                                                                                                       \
                PARTS_LOOP acc[r][v] += one * w[v];                                                                    \
            }                                                                                                          \
        store(y, ldy, acc, ROWS, add);                                                                                 \
    }
#define TILE_F32(ROWS)    TILE_FLOATS(f32, ROWS, r * ldx + k)
#define TILE_TURNED(ROWS) TILE_FLOATS(turned, ROWS, k * ldx + r) /* x (in,ROWS) */

/* bfloat16 weights times float32 rows, widened in registers. A pair of inner indices is one 32-bit number: first the
 * pairs of outputs 0..15, in the second half of the panel those of 16..31. */
#define TILE_WIDEN(ROWS)                                                                                               \
    static void widen_##ROWS(float *y, int64_t ldy, const float *x, int64_t ldx, const void *panel, int64_t in,        \
                             bool add)                                                                                 \
    {                                                                                                                  \
        const vecu *w = panel;                                                                                         \
        int64_t second = loom_packed_width(in) / 2 * (PARTS / 2);                                                      \
        vec acc[ROWS][PARTS], even[PARTS], odd[PARTS];                                                                 \
                                                                                                                       \
        ROWS_LOOP(ROWS) PARTS_LOOP acc[r][v] = (vec){0};                                                               \
        for (int64_t k = 0; k < in; k += 2, w += PARTS / 2) {                                                          \
            PARTS_LOOP                                                                                                 \
            {                                                                                                          \
                vecu pair = w[v % (PARTS / 2) + (v < PARTS / 2 ? 0 : second)];                                         \
                                                                                                                       \
                even[v] = (vec)(pair << 16);                                                                           \
                odd[v] = (vec)(pair & 0xffff0000u);                                                                    \
            }                                                                                                          \
            ROWS_LOOP(ROWS)                                                                                            \
            {                                                                                                          \
                float one = x[r * ldx + k];                                                                            \
                                                                                                                       \
                PARTS_LOOP acc[r][v] += one * even[v];                                                                 \
            }                                                                                                          \
            if (k + 1 < in)                                                                                            \
                ROWS_LOOP(ROWS)                                                                                        \
                {                                                                                                      \
                    float one = x[r * ldx + k + 1];                                                                    \
                                                                                                                       \
                    PARTS_LOOP acc[r][v] += one * odd[v];                                                              \
                }                                                                                                      \
        }                                                                                                              \
        store(y, ldy, acc, ROWS, add);                                                                                 \
    }
ALL_ROWS(TILE_F32)
ALL_ROWS(TILE_TURNED)
ALL_ROWS(TILE_WIDEN)

static tile_fn *const f32_tiles[] = TABLE(f32), *const turned_tiles[] = TABLE(turned), *const widen_tiles[] = TABLE(widen);

static size_t panel_bytes(const loom_packed *p) { return loom_packed_bytes(LOOM_PANEL, p->in, p->bf16); }

/* Copies columns from..to-1 of a panel's result, or adds them. */
static void copy_part(float *y, int64_t ldy, const float *part, int64_t rows, int64_t from, int64_t to, bool add)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = from; c < to; c++)
            y[r * ldy + c - from] = part[r * LOOM_PANEL + c] + (add ? y[r * ldy + c - from] : 0.0f);
}

/* step: from a row of x to the next */
static void product(tile_fn *const *tiles, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t step,
                    const loom_packed *p, int64_t depth, int64_t N, int64_t c0, int64_t c1, bool add)
{
    _Alignas(64) float part[MOST_ROWS * LOOM_PANEL];

    for (int64_t panel = c0 / LOOM_PANEL; panel * LOOM_PANEL < c1; panel++) {
        const char *w = (const char *)p->data + (size_t)panel * panel_bytes(p);
        int64_t first = panel * LOOM_PANEL, from = loom_max_i64(0, c0 - first), to = loom_min_i64(LOOM_PANEL, c1 - first);
        bool whole = from == 0 && to == LOOM_PANEL;

        for (int64_t n = 0, rows; n < N; n += rows) {
            float *at = y + n * ldy + first + from - c0;

            rows = loom_min_i64(MOST_ROWS, N - n);
            if (whole) {
                tiles[rows - 1](at, ldy, x + n * step, ldx, w, depth, add);
            } else {
                tiles[rows - 1](part, LOOM_PANEL, x + n * step, ldx, w, depth, false);
                copy_part(at, ldy, part, rows, from, to, add);
            }
        }
    }
}

void loom_packed_product(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t N,
                         int64_t c0, int64_t c1, bool add)
{
    product(p->bf16 ? widen_tiles : f32_tiles, y, ldy, x, ldx, ldx, p, p->in, N, c0, c1, add);
}

void loom_packed_product_upto(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t depth,
                              int64_t N, int64_t c0, int64_t c1, bool add)
{
    product(f32_tiles, y, ldy, x, ldx, ldx, p, depth, N, c0, c1, add);
}

void loom_packed_product_turned(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p,
                                int64_t depth, int64_t N, int64_t c0, int64_t c1, bool add)
{
    product(turned_tiles, y, ldy, x, ldx, 1, p, depth, N, c0, c1, add);
}

/* ---- rounded rows ---- */
void loom_packed_round(uint16_t *to, const float *x, int64_t ldx, int64_t N, int64_t in)
{
    int64_t width = loom_packed_width(in);

    for (int64_t n = 0; n < N; n++) {
        const float *f = x + n * ldx;

        for (int64_t k = 0; k < width; k += 32) {
            *(vec16u_anywhere *)(to + n * width + k) = pairs_along(lanes(f + k, in - k), lanes(f + k + 16, in - k - 16));
        }
    }
}

/* What a tile reads: rows of x, `ldx` apart, and the two halves of a panel; `depth` inner indices of each. */
typedef struct operands {
    const uint16_t *x;
    int64_t ldx;
    const char *w, *v;
    int64_t depth;
} operands;

/* to (rows, 32), rows `ld` apart; rows up to a multiple of 16 are written. */
typedef void tile16_fn(float *to, int64_t ld, const operands *in, int64_t rows);

static void plain_tile16(float *to, int64_t ld, const operands *in, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++) {
        const uint16_t *x = in->x + r * in->ldx;
        vec acc[1][PARTS];

        PARTS_LOOP acc[0][v] = (vec){0};
        for (int64_t k = 0; k < in->depth; k += 2) {
            float even = loom_bf16_to_f32(x[k]), odd = loom_bf16_to_f32(x[k + 1]);

            PARTS_LOOP
            {
                const vecu *half = (const vecu *)(v < PARTS / 2 ? in->w : in->v);
                vecu pair = half[k / 2 * (PARTS / 2) + v % (PARTS / 2)];

                acc[0][v] += even * (vec)(pair << 16);
                acc[0][v] += odd * (vec)(pair & 0xffff0000u);
            }
        }
        store(to + r * ld, ld, acc, 1, false);
    }
}

#if defined(__x86_64__)

#define TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512bf16")))
#define TARGET_AMX  __attribute__((target("avx512f,amx-tile,amx-bf16")))

/* Four rows at a time. */
TARGET_BF16 static void avx512_tile16(float *to, int64_t ld, const operands *in, int64_t rows)
{
    for (int64_t n = 0; n < rows; n += 4) { /* rows beyond the last are there (whole groups of 16) and not kept */
        __m512 acc[4][2];
        const char *w = in->w, *v = in->v;

        for (int r = 0; r < 4; r++) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
        for (int64_t k = 0; k < in->depth; k += 2, w += 64, v += 64) {
            __m512bh a = (__m512bh)_mm512_load_si512(w), b = (__m512bh)_mm512_load_si512(v);

            for (int r = 0; r < 4; r++) {
                int32_t pair;

                memcpy(&pair, in->x + (n + r) * in->ldx + k, sizeof pair);
                acc[r][0] = _mm512_dpbf16_ps(acc[r][0], (__m512bh)_mm512_set1_epi32(pair), a);
                acc[r][1] = _mm512_dpbf16_ps(acc[r][1], (__m512bh)_mm512_set1_epi32(pair), b);
            }
        }
        for (int r = 0; r < 4 && n + r < rows; r++) {
            _mm512_storeu_ps(to + (n + r) * ld, acc[r][0]);
            _mm512_storeu_ps(to + (n + r) * ld + 16, acc[r][1]);
        }
    }
}

/* Tiles 0..3 hold sums (16,16), 4 and 5 rows of x (16, 32 of bfloat16), 6 and 7 weights (16 pairs, 16 outputs). */
TARGET_AMX static void amx_begin(void)
{
    _Alignas(64) struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t colsb[16];
        uint8_t rows[16];
    } config = {.palette = 1};

    for (int i = 0; i < 8; i++) config.colsb[i] = 64, config.rows[i] = 16;
    __asm__ volatile("" : : "r"(&config) : "memory"); /* gcc 12 takes the next line to read eight bytes of config only */
    _tile_loadconfig(&config);
}

TARGET_AMX static void amx_end(void) { _tile_release(); }

/* Up to 32 rows against one panel. */
TARGET_AMX static void amx_tile16(float *to, int64_t ld, const operands *in, int64_t rows)
{
    const char *w = in->w, *v = in->v, *x0 = (const char *)in->x, *x1 = (const char *)(in->x + 16 * in->ldx);
    size_t ldx = (size_t)in->ldx * sizeof(uint16_t), ldp = (size_t)ld * sizeof(float);

    _tile_zero(0);
    _tile_zero(1);
    if (rows <= 16) {
        for (int64_t k = 0; k < in->depth; k += 32, x0 += 64, w += 1024, v += 1024) {
            _tile_loadd(4, x0, ldx);
            _tile_loadd(6, w, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, v, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
    } else {
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t k = 0; k < in->depth; k += 32, x0 += 64, x1 += 64, w += 1024, v += 1024) {
            _tile_loadd(4, x0, ldx);
            _tile_loadd(6, w, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, v, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, x1, ldx);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(2, to + 16 * ld, ldp);
        _tile_stored(3, to + 16 * ld + 16, ldp);
    }
    _tile_stored(0, to, ldp);
    _tile_stored(1, to + 16, ldp);
}

/* Asks Linux for the tile registers, once for the process; false: there are none, or they are not to be had. */
static bool amx_allowed(void)
{
    enum { REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    unsigned a, b, c, d;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return false;
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XTILEDATA) == 0;
}

static loom_bf16_unit find_unit(void)
{
    __builtin_cpu_init();
    if (amx_allowed()) return LOOM_UNIT_AMX;
    return __builtin_cpu_supports("avx512bf16") ? LOOM_UNIT_AVX512 : LOOM_UNIT_PLAIN;
}

#else

static void avx512_tile16(float *to, int64_t ld, const operands *in, int64_t rows) { plain_tile16(to, ld, in, rows); }
static void amx_tile16(float *to, int64_t ld, const operands *in, int64_t rows) { plain_tile16(to, ld, in, rows); }

static void amx_begin(void) {}
static void amx_end(void) {}
static loom_bf16_unit find_unit(void) { return LOOM_UNIT_PLAIN; }

#endif

/* Found once; finding it twice on two threads gives the same. */
loom_bf16_unit loom_packed_unit(void)
{
    static atomic_int found = -1;
    int unit = atomic_load_explicit(&found, memory_order_relaxed);

    if (unit < 0) atomic_store_explicit(&found, unit = (int)find_unit(), memory_order_relaxed);
    return (loom_bf16_unit)unit;
}

/* Columns from..to-1 of a panel's sums into y. */
static inline void put_part(float *y, int64_t ldy, const float *part, int64_t rows, int64_t from, int64_t to, bool add)
{
    if (from != 0 || to != LOOM_PANEL) {
        copy_part(y, ldy, part, rows, from, to, add);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        vec16_anywhere *into = (vec16_anywhere *)(y + r * ldy);
        const vec16 *sums = (const vec16 *)(part + r * LOOM_PANEL);

        into[0] = add ? sums[0] + into[0] : sums[0];
        into[1] = add ? sums[1] + into[1] : sums[1];
    }
}

static void product16(loom_bf16_unit unit, float *y, int64_t ldy, const uint16_t *x, int64_t ldx,
                      const loom_packed *p, int64_t depth, int64_t N, int64_t c0, int64_t c1, bool add)
{
    static tile16_fn *const tiles[] = {plain_tile16, avx512_tile16, amx_tile16};
    _Alignas(64) float part[32 * LOOM_PANEL];

    if (unit == LOOM_UNIT_AMX) amx_begin();
    for (int64_t panel = c0 / LOOM_PANEL; panel * LOOM_PANEL < c1; panel++) {
        const char *w = (const char *)p->data + (size_t)panel * panel_bytes(p);
        int64_t first = panel * LOOM_PANEL, from = loom_max_i64(0, c0 - first), to = loom_min_i64(LOOM_PANEL, c1 - first);
        bool whole = from == 0 && to == LOOM_PANEL && !add;
        operands in = {.ldx = ldx, .w = w, .v = w + panel_bytes(p) / 2, .depth = depth};

        for (int64_t n = 0, rows; n < N; n += rows) {
            float *at = y + n * ldy + first + from - c0;

            rows = loom_min_i64(32, N - n);
            in.x = x + n * ldx;
            if (whole && rows % 16 == 0) {
                tiles[unit](at, ldy, &in, rows);
            } else {
                tiles[unit](part, LOOM_PANEL, &in, rows);
                put_part(at, ldy, part, rows, from, to, add);
            }
        }
    }
    if (unit == LOOM_UNIT_AMX) amx_end();
}

void loom_packed_product16_with(loom_bf16_unit unit, float *y, int64_t ldy, const uint16_t *x, const loom_packed *p,
                                int64_t N, int64_t c0, int64_t c1, bool add)
{
    product16(unit, y, ldy, x, loom_packed_width(p->in), p, loom_packed_width(p->in), N, c0, c1, add);
}

void loom_packed_product16(float *y, int64_t ldy, const uint16_t *x, const loom_packed *p, int64_t N, int64_t c0,
                           int64_t c1, bool add)
{
    loom_packed_product16_with(loom_packed_unit(), y, ldy, x, p, N, c0, c1, add);
}

void loom_packed_product16_upto(float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const loom_packed *p,
                                int64_t depth, int64_t N, int64_t c0, int64_t c1, bool add)
{
    product16(loom_packed_unit(), y, ldy, x, ldx, p, (depth + 31) / 32 * 32, N, c0, c1, add);
}
