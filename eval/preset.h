/* How many graphs each figure rests on: the one place of these numbers.
 *
 * An option that stands at 0 takes the preset's number, so that a configuration file or the command line can still set
 * each alone. */
#ifndef LOOM_EVAL_PRESET_H
#define LOOM_EVAL_PRESET_H

#include <stdint.h>

#define LOOM_PRESET_CHOICES "paper|desk" /* for LOOM_OPT_ENUM */
#define LOOM_PRESET_HELP "sample sizes: the paper's, or those of a desk machine; numbers given by themselves go before"

typedef struct loom_preset {
    int64_t per_cell;  /* prompts of each number of edges and depth: Figs 3, 12, 13, 14, 15 */
    int64_t like;      /* graphs as real ones occur: Fig 4a */
    int64_t runs;      /* Fig 4b: runs, */
    int64_t sequence;  /*         graphs of each */
    int64_t branching; /* generated graphs whose branching and times are compared: Fig 16 */
    int64_t asked;     /* pairs of prompts for each instruction: Fig 6 */
} loom_preset;

const loom_preset *loom_preset_of(int choice);

/* What was given, or the preset's. */
static inline int64_t loom_preset_or(int64_t given, int64_t preset) { return given > 0 ? given : preset; }

#endif
