/* What a row's gradient is of, beside or instead of the cross-entropy (docs/MATH.md section 7). On rows of dz as
 * loom_xent leaves them: scale (p - [label]), p the probabilities. */
#ifndef LOOM_MODEL_LOSS_SHAPE_H
#define LOOM_MODEL_LOSS_SHAPE_H

#include <stdint.h>

/* 0: leave it. */
typedef struct loom_loss_shape {
    double gce;     /* Q: the row counts p[label]^Q, which makes it the generalised cross-entropy's */
    double focus;   /* Q: the row counts (sum of p^2)^Q, which does not depend on the label */
    double allowed; /* what -log P counts beside it, P the probability of the tokens that might stand there */
} loom_loss_shape;

typedef struct loom_loss_row {
    int32_t label;
    double loss;             /* -log p[label] */
    double weight;           /* of the whole row */
    const uint64_t *allowed; /* bits of the tokens that might stand there; NULL: not known. Without the label's: the
                              * label is wrong, and all there is to learn is that one of these should stand there */
} loom_loss_row;

/* dz (V) in place. */
void loom_loss_shape_row(float *dz, const loom_loss_shape *shape, const loom_loss_row *row, float scale, int64_t V);
/* The same in float64, from the definition and the logits z (V): the reference. */
void loom_loss_shape_row_plain(double *dz, const double *z, const loom_loss_shape *shape, const loom_loss_row *row,
                               double scale, int64_t V);

#endif
