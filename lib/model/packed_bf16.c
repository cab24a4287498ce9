/* Products with rows rounded to bfloat16, on the best unit that the CPU has for them: AMX tiles, AVX512_BF16, plain
 * vectors. */
#include <stdatomic.h>
#include <string.h>

#include "core/num.h"
#include "model/bf16.h"
#include "model/packed_impl.h"
#include "model/vmath.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

const char *const loom_bf16_unit_names[] = {"plain", "avx512bf16", "amx"};

/* What a tile reads: rows of x, `ldx` apart, and the two halves of a panel; `depth` inner indices of each. */
typedef struct operands {
    const uint16_t *x;
    int64_t ldx;
    const char *w, *v;
    int64_t depth;
} operands;

enum { MOST_PANELS16 = 4 }; /* that one row meets together, as in packed_f32.c */

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

/* One row against panels that are `next` bytes apart. */
TARGET_BF16 INLINE void row16(float *to, const operands *in, size_t next, int panels)
{
    __m512 acc[MOST_PANELS16][2];
    const char *w = in->w, *v = in->v;

    for (int q = 0; q < panels; q++) acc[q][0] = acc[q][1] = _mm512_setzero_ps();
    for (int64_t k = 0; k < in->depth; k += 2, w += 64, v += 64) {
        int32_t pair;

        memcpy(&pair, in->x + k, sizeof pair);
        for (int q = 0; q < panels; q++) {
            __m512bh a = (__m512bh)_mm512_load_si512(w + (size_t)q * next);
            __m512bh b = (__m512bh)_mm512_load_si512(v + (size_t)q * next);

            acc[q][0] = _mm512_dpbf16_ps(acc[q][0], (__m512bh)_mm512_set1_epi32(pair), a);
            acc[q][1] = _mm512_dpbf16_ps(acc[q][1], (__m512bh)_mm512_set1_epi32(pair), b);
        }
    }
    for (int q = 0; q < panels; q++) {
        _mm512_store_ps(to + (ptrdiff_t)q * LOOM_PANEL, acc[q][0]);
        _mm512_store_ps(to + (ptrdiff_t)q * LOOM_PANEL + 16, acc[q][1]);
    }
}

TARGET_BF16 static void avx512_row16(float *to, const operands *in, size_t next, int64_t panels)
{
    switch (panels) {
    case 4: row16(to, in, next, 4); break;
    case 3: row16(to, in, next, 3); break;
    case 2: row16(to, in, next, 2); break;
    default: row16(to, in, next, 1);
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
    __asm__ volatile(""
                     :
                     : "r"(&config)
                     : "memory"); /* gcc 12 takes the next line to read eight bytes of config only */
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
    if (!loom_bf16_cpu()) return LOOM_UNIT_PLAIN;
    return amx_allowed() ? LOOM_UNIT_AMX : LOOM_UNIT_AVX512;
}

#else

static void avx512_tile16(float *to, int64_t ld, const operands *in, int64_t rows) { plain_tile16(to, ld, in, rows); }
static void amx_tile16(float *to, int64_t ld, const operands *in, int64_t rows) { plain_tile16(to, ld, in, rows); }
static void avx512_row16(float *to, const operands *in, size_t next, int64_t panels)
{
    (void)to, (void)in, (void)next, (void)panels;
}

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

static void product16(loom_bf16_unit unit, float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const loom_packed *p,
                      int64_t depth, int64_t N, int64_t c0, int64_t c1, bool add)
{
    static tile16_fn *const tiles[] = {plain_tile16, avx512_tile16, amx_tile16};
    _Alignas(64) float part[32 * LOOM_PANEL];

    if (unit == LOOM_UNIT_AMX) amx_begin();
    for (int64_t panel = c0 / LOOM_PANEL, many; panel * LOOM_PANEL < c1; panel += many) {
        const char *w = (const char *)p->data + (size_t)panel * panel_bytes(p);
        int64_t first = panel * LOOM_PANEL, from = loom_max_i64(0, c0 - first),
                to = loom_min_i64(LOOM_PANEL, c1 - first);
        bool whole = from == 0 && to == LOOM_PANEL && !add;
        operands in = {.x = x, .ldx = ldx, .w = w, .v = w + panel_bytes(p) / 2, .depth = depth};

        many = unit == LOOM_UNIT_AVX512 && N == 1 ? panels_ahead(first, c0, c1, MOST_PANELS16) : 0;
        if (many) {
            avx512_row16(part, &in, panel_bytes(p), many);
            for (int64_t q = 0; q < many; q++)
                put_part(y + first - c0 + q * LOOM_PANEL, ldy, part + q * LOOM_PANEL, 1, 0, LOOM_PANEL, add);
            continue;
        }
        many = 1;
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
