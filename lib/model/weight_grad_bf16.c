/* Gradients of weights in bfloat16. A stretch of LOOM_WEIGHT_GRAD_ROWS rows is one packed product: its left side
 * has the columns of dy as rows, its right side is packed as if x's columns were outputs (model/packed.h). */
#include <assert.h>

#include "core/num.h"
#include "model/ops.h"
#include "model/packed.h"

static int64_t columns(int64_t cols) { return (cols + LOOM_PANEL - 1) / LOOM_PANEL * LOOM_PANEL; }

int64_t loom_weight_grad_stretch(int64_t rows) { return loom_min_i64(LOOM_WEIGHT_GRAD_ROWS, loom_packed_width(rows)); }

int64_t loom_weight_grad_rows(int64_t rows)
{
    int64_t stretch = loom_weight_grad_stretch(rows);

    return (rows + stretch - 1) / stretch * stretch;
}

int64_t loom_weight_grad_cols(int64_t cols) { return columns(cols); }

/* Where stretch i begins. */
static uint16_t *stretch_at(const loom_weight_grad_side *s, int64_t i)
{
    return s->data + i * s->stretch * columns(s->cols);
}

static loom_packed right_of(const loom_weight_grad_side *s, int64_t i)
{
    return (loom_packed){.data = stretch_at(s, i), .out = s->cols, .in = s->stretch, .bf16 = true};
}

void loom_weight_grad_left(const loom_weight_grad_side *s, const float *dy, int64_t ld, int64_t n0, int64_t n1)
{
    assert(n0 % 32 == 0 && n0 <= n1);
    for (int64_t n = n0, end; n < n1; dy += (end - n) * ld, n = end) {
        int64_t i = n / s->stretch, first = i * s->stretch;

        end = loom_min_i64(n1, first + s->stretch);
        loom_packed_turn(stretch_at(s, i), s->stretch, dy, ld, s->cols, n - first, end - first);
    }
}

void loom_weight_grad_right(const loom_weight_grad_side *s, const float *x, int64_t ld, int64_t n0, int64_t n1)
{
    assert(n0 % 32 == 0 && n0 <= n1);
    for (int64_t n = n0, end; n < n1; x += (end - n) * ld, n = end) {
        int64_t i = n / s->stretch, first = i * s->stretch;
        loom_packed p = right_of(s, i);

        end = loom_min_i64(n1, first + s->stretch);
        loom_packed_fill_inner(&p, x, ld, n - first, end - first);
    }
}

void loom_weight_grad_product(float *dW, const loom_weight_grad_side *left, const loom_weight_grad_side *right,
                              int64_t o0, int64_t o1, int64_t N)
{
    int64_t in = right->cols;

    assert(o0 % 16 == 0 && o0 >= 0 && o1 <= left->cols && left->stretch == right->stretch);
    for (int64_t i = 0, n = 0; n < N; i++, n += left->stretch) {
        loom_packed p = right_of(right, i);

        loom_packed_product16_upto(dW + o0 * in, in, stretch_at(left, i) + o0 * left->stretch, left->stretch, &p,
                                   loom_min_i64(left->stretch, N - n), o1 - o0, 0, in, true);
    }
}
