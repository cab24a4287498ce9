/* The learning curve of a run: DIR/curve.csv, one row every few steps, and its picture.
 *
 * Columns: step, tokens (rows trained on), epoch (fractional), lr, loss (mean since the row before, nats a token),
 * grad_norm (of the row's step), tokens_per_s (since the row before), seconds (of training so far), valid_loss,
 * valid_accuracy (share of tokens guessed right); the last two are empty where no validation took place. */
#ifndef LOOM_TRAIN_CURVE_H
#define LOOM_TRAIN_CURVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

typedef struct loom_curve_row {
    int64_t step, tokens;
    double epoch, lr, loss, grad_norm, tokens_per_s, seconds;
    bool has_valid;
    double valid_loss, valid_accuracy;
} loom_curve_row;

typedef struct loom_curve {
    FILE *file;
    char *path;
} loom_curve;

/* Opens DIR/curve.csv for appending, keeping only rows up to `step` (0: starts anew). */
loom_status loom_curve_open(loom_curve *c, const char *dir, int64_t step, loom_err *err);
loom_status loom_curve_add(loom_curve *c, const loom_curve_row *row, loom_err *err); /* visible in the file at once */
void loom_curve_close(loom_curve *c);                                                /* zero-initialised is fine */

/* Writes DIR/curve.gp and, if gnuplot is there, draws DIR/curve.png and DIR/curve.svg. *drawn says whether. */
loom_status loom_curve_draw(const char *dir, bool *drawn, loom_err *err);

#endif
