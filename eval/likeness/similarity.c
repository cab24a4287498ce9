#include "eval/likeness/similarity.h"

#include <stdlib.h>

#include "core/num.h"
#include "eval/pages/method_title.h"

void loom_similarity_series(const loom_similarity *s, loom_figure_vars *vars, bool with_real)
{
    int64_t extra = with_real, n = s->n_rivals + extra;
    const char **names = loom_alloc((size_t)n, sizeof *names), **labels = loom_alloc((size_t)n, sizeof *labels);
    if (!names || !labels) n = 0; /* core/nomem.h keeps the picture from being made */
    if (n && with_real) names[0] = "real", labels[0] = "Real against real";
    for (int64_t i = 0; n && i < s->n_rivals; i++) {
        names[i + extra] = s->rivals[i].name;
        labels[i + extra] = loom_method_title(s->rivals[i].name);
    }
    loom_figure_list(vars, "series", names, n);
    loom_figure_list(vars, "labels", labels, n);
    free(names);
    free(labels);
}
