/* Where changes come from: those that nothing below explains (docs/SYSTEMS.md, "Comparison"; the idea is ACT's,
 * arXiv 2205.06933). Part of loom_contrast_compare. */
#ifndef LOOM_SYSTEM_CONTRAST_PLACES_H
#define LOOM_SYSTEM_CONTRAST_PLACES_H

#include "system/contrast_changes.h"

/* Fills c->places, most affected first, and says which changes they explain; c->changes have been judged. False: no
 * memory. */
bool loom_contrast_find_places(loom_contrast *c) __attribute__((warn_unused_result));

#endif
