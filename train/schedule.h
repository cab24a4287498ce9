/* Learning rate of every update.
 *
 *   warm-up, t = 1..W:      lr = peak * t / W
 *   after it:               lr = peak * (floor + (1 - floor) * shape(p)),   p = (t - W) / (N - W)
 *   shape: cosine (1 + cos(pi p)) / 2,   linear 1 - p,   constant 1,
 *          wsd (warm-up, stable, decay) min(1, (1 - p) / LOOM_SCHEDULE_DECAY)
 *
 * t is the number of the update, counted from 1; N all updates. When a run is limited by time instead of updates, p is
 * the share of the time that has passed, so that the rate reaches its floor exactly at the end. */
#ifndef LOOM_TRAIN_SCHEDULE_H
#define LOOM_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef enum loom_schedule_kind {
    LOOM_SCHEDULE_COSINE,
    LOOM_SCHEDULE_LINEAR,
    LOOM_SCHEDULE_CONSTANT,
    LOOM_SCHEDULE_WSD
} loom_schedule_kind;
#define LOOM_SCHEDULE_CHOICES "cosine|linear|constant|wsd"
#define LOOM_SCHEDULE_DECAY   0.4 /* share of the run over which wsd falls */

typedef struct loom_schedule {
    loom_schedule_kind kind;
    double peak;           /* learning rate */
    double floor;          /* share of the peak that is left at the end, 0..1 */
    int64_t warmup, steps; /* updates; steps counts them all */
} loom_schedule;

double loom_schedule_lr(const loom_schedule *s, int64_t step);

/* The same for a run limited by time: share 0..1 of the time gone by. */
double loom_schedule_lr_timed(const loom_schedule *s, int64_t step, double share);

#endif
