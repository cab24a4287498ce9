/* Vectors and tiles that the parts of packed.h share: packed_fill lays out, packed_f32 and packed_bf16 multiply. */
#ifndef LOOM_MODEL_PACKED_IMPL_H
#define LOOM_MODEL_PACKED_IMPL_H

#include "core/num.h"
#include "model/packed.h"

#define INLINE static inline __attribute__((always_inline)) /* so that sums and rows are registers */

typedef float vec16 __attribute__((vector_size(64)));
typedef uint32_t vec16u __attribute__((vector_size(64)));
/* The same in rows of any length. Read and written as themselves: gcc 12 takes a memcpy of this size through the
 * stack. */
typedef float vec16_anywhere __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t vec16u_anywhere __attribute__((vector_size(64), aligned(2), may_alias));
#pragma GCC diagnostic ignored "-Wpsabi" /* where vectors are narrower; they pass between functions of this file only */

/* Sums of a tile are as many registers as the CPU has: gcc makes scalar code of vectors wider than its own. */
#if defined(__AVX512F__)
#define LANES          16
#define ALL_ROWS(TILE) TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)
#define TABLE(name)                                                                                                    \
    {                                                                                                                  \
        name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8                                 \
    }
#define MOST_ROWS       8
#define ALL_PANELS(ROW) ROW(1) ROW(2) ROW(3) ROW(4)
#define PANELS_TABLE(name)                                                                                             \
    {                                                                                                                  \
        name##_row_1, name##_row_2, name##_row_3, name##_row_4                                                         \
    }
#define MOST_PANELS 4
#elif defined(__AVX__)
#define LANES          8
#define ALL_ROWS(TILE) TILE(1) TILE(2) TILE(3)
#define TABLE(name)                                                                                                    \
    {                                                                                                                  \
        name##_1, name##_2, name##_3                                                                                   \
    }
#define MOST_ROWS       3
#define ALL_PANELS(ROW) ROW(1) ROW(2)
#define PANELS_TABLE(name)                                                                                             \
    {                                                                                                                  \
        name##_row_1, name##_row_2                                                                                     \
    }
#define MOST_PANELS 2
#else
#define LANES          4
#define ALL_ROWS(TILE) TILE(1)
#define TABLE(name)                                                                                                    \
    {                                                                                                                  \
        name##_1                                                                                                       \
    }
#define MOST_ROWS       1
#define ALL_PANELS(ROW) ROW(1)
#define PANELS_TABLE(name)                                                                                             \
    {                                                                                                                  \
        name##_row_1                                                                                                   \
    }
#define MOST_PANELS 1
#endif
#define PARTS (LOOM_PANEL / LANES)

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef uint32_t vecu __attribute__((vector_size(4 * LANES)));
typedef float vec_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* in rows of any length */

/* Unrolled, so that the sums never leave their registers. */
#define ROWS_LOOP(ROWS)     _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)
#define PARTS_LOOP          _Pragma("GCC unroll 8") for (int v = 0; v < PARTS; v++)
#define PANELS_LOOP(PANELS) _Pragma("GCC unroll 4") for (int q = 0; q < PANELS; q++)

INLINE void store(float *y, int64_t ldy, vec (*acc)[PARTS], int rows, bool add)
{
    if (add) ROWS_LOOP(rows) PARTS_LOOP *(vec_anywhere *)(y + r * ldy + v * LANES) += acc[r][v];
    else ROWS_LOOP(rows) PARTS_LOOP *(vec_anywhere *)(y + r * ldy + v * LANES) = acc[r][v];
}

static inline size_t panel_bytes(const loom_packed *p) { return loom_packed_bytes(LOOM_PANEL, p->in, p->bf16); }

/* Whole panels that a single row may meet together, first one at column `first`; 0: the panel is cut. */
static inline int64_t panels_ahead(int64_t first, int64_t c0, int64_t c1, int64_t most)
{
    return first < c0 ? 0 : loom_min_i64((c1 - first) / LOOM_PANEL, most);
}

/* Copies columns from..to-1 of a panel's result, or adds them. */
static inline void copy_part(float *y, int64_t ldy, const float *part, int64_t rows, int64_t from, int64_t to, bool add)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = from; c < to; c++)
            y[r * ldy + c - from] = part[r * LOOM_PANEL + c] + (add ? y[r * ldy + c - from] : 0.0f);
}

#endif
