#include "model/loss_shape.h"

#include <math.h>

#include "core/num.h"

static double certainty(const float *dz, double scale, double p, int64_t V)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int64_t v = 0; v < V; v++) sum += dz[v] * dz[v];
    return fmax((double)sum / (scale * scale) - (1 - p) * (1 - p) + p * p, 0);
}

/* dz becomes count (p - [label]) + more p (1 - [allowed] / P), all times scale; nothing where P is too small to divide
 * by. */
static void add_allowed(float *restrict dz, double count, double more, const loom_loss_row *row, double scale,
                        int64_t V)
{
    double p = exp(-row->loss), within = 0;

    dz[row->label] = (float)(scale * p);
    for (int64_t v = 0; v < V; v++)
        if (loom_has_bit(row->allowed, v)) within += (double)dz[v];
    within = fmax(within / scale, 1e-30);
    float outside = (float)(count + more), inside = (float)(count + more * (1 - 1 / within));
    for (int64_t v = 0; v < V; v++) dz[v] *= loom_has_bit(row->allowed, v) ? inside : outside;
    dz[row->label] -= (float)(count * scale);
}

void loom_loss_shape_row(float *dz, const loom_loss_shape *shape, const loom_loss_row *row, float scale, int64_t V)
{
    double p = exp(-row->loss), count = row->weight;

    if (row->allowed && !loom_has_bit(row->allowed, row->label)) {
        add_allowed(dz, 0, shape->allowed * row->weight, row, (double)scale, V);
        return;
    }
    if (shape->gce > 0) count *= exp(-shape->gce * row->loss);
    if (shape->focus > 0) count *= pow(certainty(dz, (double)scale, p, V), shape->focus);
    /* a label that has next to no probability leaves nothing to divide by: the cross-entropy alone brings it back */
    if (shape->allowed > 0 && row->allowed && p > 1e-30) {
        add_allowed(dz, count, shape->allowed * row->weight, row, (double)scale, V);
        return;
    }
    for (int64_t v = 0; v < V; v++) dz[v] *= (float)count;
}

void loom_loss_shape_row_plain(double *dz, const double *z, const loom_loss_shape *shape, const loom_loss_row *row,
                               double scale, int64_t V)
{
    double sum = 0, squares = 0, within = 0;

    for (int64_t v = 0; v < V; v++) sum += exp(z[v]);
    for (int64_t v = 0; v < V; v++) {
        double p = exp(z[v]) / sum;
        squares += p * p;
        if (row->allowed && loom_has_bit(row->allowed, v)) within += p;
    }
    double count = row->weight * pow(exp(z[row->label]) / sum, shape->gce) * pow(squares, shape->focus);
    if (row->allowed && !loom_has_bit(row->allowed, row->label)) count = 0;
    for (int64_t v = 0; v < V; v++) {
        double p = exp(z[v]) / sum;
        dz[v] = scale * count * (p - (v == row->label));
        if (row->allowed)
            dz[v] += scale * row->weight * shape->allowed * p * (1 - loom_has_bit(row->allowed, v) / within);
    }
}
