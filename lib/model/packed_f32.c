/* Products with float32 rows. Tiles of up to 8 rows by 32 outputs: sixteen sums of 16 floats stay in registers
 * while a panel streams by. A panel meets all rows before the next one is read, so that W comes from memory once. A
 * single row meets several panels together: a sum waits for the addition before it, and one panel has too few sums to
 * fill the wait. */
#include "core/num.h"
#include "model/packed_impl.h"

/* y (ROWS,32) (+)= x (ROWS,in) times a panel. One function for each number of rows. */
typedef void tile_fn(float *y, int64_t ldy, const float *x, int64_t ldx, const void *panel, int64_t in, bool add);

#define TILE_FLOATS(name, ROWS, element)                                                                               \
    static void name##_##ROWS(float *y, int64_t ldy, const float *x, int64_t ldx, const void *panel, int64_t in,       \
                              bool add)                                                                                \
    {                                                                                                                  \
        vec acc[ROWS][PARTS];                                                                                          \
        const vec *w = panel;                                                                                          \
                                                                                                                       \
        ROWS_LOOP(ROWS) PARTS_LOOP acc[r][v] = (vec){0};                                                               \
        for (int64_t k = 0; k < in; k++, w += PARTS) ROWS_LOOP(ROWS)                                                   \
            {                                                                                                          \
                float one = x[element];                                                                                \
                                                                                                                       \
                PARTS_LOOP acc[r][v] += one * w[v];                                                                    \
            }                                                                                                          \
        store(y, ldy, acc, ROWS, add);                                                                                 \
    }
#define TILE_F32(ROWS)    TILE_FLOATS(f32, ROWS, r *ldx + k)
#define TILE_TURNED(ROWS) TILE_FLOATS(turned, ROWS, k *ldx + r) /* x (in,ROWS) */

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
            if (k + 1 < in) ROWS_LOOP(ROWS)                                                                            \
                {                                                                                                      \
                    float one = x[r * ldx + k + 1];                                                                    \
                                                                                                                       \
                    PARTS_LOOP acc[r][v] += one * odd[v];                                                              \
                }                                                                                                      \
        }                                                                                                              \
        store(y, ldy, acc, ROWS, add);                                                                                 \
    }

/* y (PANELS*32) (+)= x (in) times panels that are `next` vectors apart. */
typedef void row_fn(float *y, const float *x, const void *panels, int64_t next, int64_t in, bool add);

#define ROW_F32(PANELS)                                                                                                \
    static void f32_row_##PANELS(float *y, const float *x, const void *panels, int64_t next, int64_t in, bool add)     \
    {                                                                                                                  \
        vec acc[PANELS][PARTS];                                                                                        \
        const vec *w = panels;                                                                                         \
                                                                                                                       \
        PANELS_LOOP(PANELS) PARTS_LOOP acc[q][v] = (vec){0};                                                           \
        for (int64_t k = 0; k < in; k++, w += PARTS)                                                                   \
            PANELS_LOOP(PANELS) PARTS_LOOP acc[q][v] += x[k] * w[q * next + v];                                        \
        store(y, LOOM_PANEL, acc, PANELS, add);                                                                        \
    }

#define ROW_WIDEN(PANELS)                                                                                              \
    static void widen_row_##PANELS(float *y, const float *x, const void *panels, int64_t next, int64_t in, bool add)   \
    {                                                                                                                  \
        const vecu *w = panels;                                                                                        \
        int64_t second = loom_packed_width(in) / 2 * (PARTS / 2);                                                      \
        vec acc[PANELS][PARTS];                                                                                        \
                                                                                                                       \
        PANELS_LOOP(PANELS) PARTS_LOOP acc[q][v] = (vec){0};                                                           \
        for (int64_t k = 0; k < in; k += 2, w += PARTS / 2) PANELS_LOOP(PANELS) PARTS_LOOP                             \
            {                                                                                                          \
                vecu pair = w[q * next + v % (PARTS / 2) + (v < PARTS / 2 ? 0 : second)];                              \
                                                                                                                       \
                acc[q][v] += x[k] * (vec)(pair << 16);                                                                 \
                if (k + 1 < in) acc[q][v] += x[k + 1] * (vec)(pair & 0xffff0000u);                                     \
            }                                                                                                          \
        store(y, LOOM_PANEL, acc, PANELS, add);                                                                        \
    }
ALL_ROWS(TILE_F32)
ALL_ROWS(TILE_TURNED)
ALL_ROWS(TILE_WIDEN)
ALL_PANELS(ROW_F32)
ALL_PANELS(ROW_WIDEN)

/* tiles[rows - 1], row[panels - 1]; row NULL: a single row is one of many */
typedef struct kernel {
    tile_fn *const *tiles;
    row_fn *const *row;
} kernel;

static tile_fn *const f32_tiles[] = TABLE(f32), *const turned_tiles[] = TABLE(turned),
                      *const widen_tiles[] = TABLE(widen);
static row_fn *const f32_row[] = PANELS_TABLE(f32), *const widen_row[] = PANELS_TABLE(widen);
static const kernel f32 = {f32_tiles, f32_row}, turned = {turned_tiles, NULL}, widen = {widen_tiles, widen_row};

/* step: from a row of x to the next */
static void product(const kernel *how, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t step,
                    const loom_packed *p, int64_t depth, int64_t N, int64_t c0, int64_t c1, bool add)
{
    _Alignas(64) float part[MOST_ROWS * LOOM_PANEL];

    for (int64_t panel = c0 / LOOM_PANEL, many; panel * LOOM_PANEL < c1; panel += many) {
        const char *w = (const char *)p->data + (size_t)panel * panel_bytes(p);
        int64_t first = panel * LOOM_PANEL, from = loom_max_i64(0, c0 - first),
                to = loom_min_i64(LOOM_PANEL, c1 - first);
        bool whole = from == 0 && to == LOOM_PANEL;

        many = how->row && N == 1 ? panels_ahead(first, c0, c1, MOST_PANELS) : 0;
        if (many) {
            how->row[many - 1](y + first - c0, x, w, (int64_t)(panel_bytes(p) / sizeof(vec)), depth, add);
            continue;
        }
        many = 1;
        for (int64_t n = 0, rows; n < N; n += rows) {
            float *at = y + n * ldy + first + from - c0;

            rows = loom_min_i64(MOST_ROWS, N - n);
            if (whole) {
                how->tiles[rows - 1](at, ldy, x + n * step, ldx, w, depth, add);
            } else {
                how->tiles[rows - 1](part, LOOM_PANEL, x + n * step, ldx, w, depth, false);
                copy_part(at, ldy, part, rows, from, to, add);
            }
        }
    }
}

void loom_packed_product(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t N,
                         int64_t c0, int64_t c1, bool add)
{
    product(p->bf16 ? &widen : &f32, y, ldy, x, ldx, ldx, p, p->in, N, c0, c1, add);
}

void loom_packed_product_upto(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t depth,
                              int64_t N, int64_t c0, int64_t c1, bool add)
{
    product(&f32, y, ldy, x, ldx, ldx, p, depth, N, c0, c1, add);
}

void loom_packed_product_turned(float *y, int64_t ldy, const float *x, int64_t ldx, const loom_packed *p, int64_t depth,
                                int64_t N, int64_t c0, int64_t c1, bool add)
{
    product(&turned, y, ldy, x, ldx, 1, p, depth, N, c0, c1, add);
}
