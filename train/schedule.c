#include "train/schedule.h"

#include <math.h>

static double shape(const loom_schedule *s, double p)
{
    static const double pi = 3.14159265358979323846;
    double left;

    if (p < 0) p = 0;
    if (p > 1) p = 1;
    switch (s->kind) {
    case LOOM_SCHEDULE_COSINE: left = 0.5 * (1 + cos(pi * p)); break;
    case LOOM_SCHEDULE_LINEAR: left = 1 - p; break;
    case LOOM_SCHEDULE_WSD: left = fmin(1, (1 - p) / LOOM_SCHEDULE_DECAY); break;
    default: left = 1; break;
    }
    return s->peak * (s->floor + (1 - s->floor) * left);
}

double loom_schedule_lr(const loom_schedule *s, int64_t step)
{
    if (step <= s->warmup) return s->peak * (double)step / (double)s->warmup;
    if (s->steps <= s->warmup) return shape(s, 1);
    return shape(s, (double)(step - s->warmup) / (double)(s->steps - s->warmup));
}

double loom_schedule_lr_timed(const loom_schedule *s, int64_t step, double share)
{
    if (step <= s->warmup) return s->peak * (double)step / (double)s->warmup;
    return shape(s, share);
}
