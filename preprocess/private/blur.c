#include "preprocess/private/blur.h"

#include <math.h>

int64_t loom_blur_time(const loom_blur *b, int64_t t)
{
    if (b->round_ms > 1) t = (t - ((t % b->round_ms) + b->round_ms) % b->round_ms);
    if (!(b->log_step > 0)) return t;
    double step = log1p(b->log_step), size = fabs((double)t);
    double coarse = round(expm1(step * round(log1p(size) / step)));
    return (int64_t)(t < 0 ? -coarse : coarse);
}

void loom_blur_graph(const loom_blur *b, loom_graph *g)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        loom_call *c = &g->calls[i];
        int64_t start = loom_blur_time(b, c->arrived), finish = loom_blur_time(b, loom_call_finish(c));
        c->arrived = start;
        c->rt = finish - start;
    }
}
