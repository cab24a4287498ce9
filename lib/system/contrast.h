/* Two sets of graphs compared, and where a change comes from (docs/SYSTEMS.md, "Comparison").
 *
 *   loom_contrast c = {0};
 *   loom_contrast_conf conf = {.fdr = 0.01, .min_graphs = 10};
 *   LOOM_TRY(loom_contrast_compare(&c, &before, &after, &conf, err));
 *   for (i = 0; i < c.n_places; i++) ... c.places[i], ordered by rank ...
 *   loom_contrast_free(&c); */
#ifndef LOOM_SYSTEM_CONTRAST_H
#define LOOM_SYSTEM_CONTRAST_H

#include "system/contrast_changes.h"
#include "system/contrast_tally.h"

typedef struct loom_contrast_conf {
    double fdr;
    int64_t min_graphs; /* of both sets together: what is in fewer is not tested */
} loom_contrast_conf;

loom_status loom_contrast_compare(loom_contrast *c, const loom_contrast_tally *before, const loom_contrast_tally *after,
                                  const loom_contrast_conf *conf, loom_err *err);
void loom_contrast_free(loom_contrast *c);

#endif
