/* How many graphs each figure rests on: the paper's numbers (eval/pages/paper.h) or those of a desk machine, which
 * stand here.
 *
 * An option that stands at 0 takes the preset's number, so that a configuration file or the command line can still set
 * each alone. */
#ifndef LOOM_EVAL_PRESET_H
#define LOOM_EVAL_PRESET_H

#include <stdint.h>

#include "eval/pages/paper.h"

#define LOOM_PRESET_CHOICES "paper|desk" /* for LOOM_OPT_ENUM */
#define LOOM_PRESET_HELP    "sample sizes: the paper's, or those of a desk machine; numbers given by themselves go before"

#define LOOM_DESK_PER_CELL     10
#define LOOM_DESK_LIKE         5000
#define LOOM_DESK_RUNS         5
#define LOOM_DESK_SEQUENCE     300
#define LOOM_DESK_BRANCHING    5000
#define LOOM_DESK_ASKED        200
#define LOOM_DESK_EPOCHS       60
#define LOOM_DESK_VAE_EPOCHS   15
#define LOOM_DESK_MANAGED      1000
#define LOOM_DESK_MANAGED_TEST 500

/* "paper 50, desk 10": for the help of an option */
#define LOOM_PRESET_TEXT_(number) #number
#define LOOM_PRESET_TEXT(number)  LOOM_PRESET_TEXT_(number)
#define LOOM_PRESET_NUMBERS(NAME)                                                                                      \
    "paper " LOOM_PRESET_TEXT(LOOM_PAPER_##NAME) ", desk " LOOM_PRESET_TEXT(LOOM_DESK_##NAME)

typedef struct loom_preset {
    int64_t per_cell;              /* prompts of each number of edges and depth: Figs 3, 12, 13, 14, 15 */
    int64_t like;                  /* graphs as real ones occur: Fig 4a */
    int64_t runs;                  /* Fig 4b: runs, */
    int64_t sequence;              /*         graphs of each */
    int64_t branching;             /* generated graphs whose branching and times are compared: Fig 16 */
    int64_t asked;                 /* pairs of prompts for each instruction: Fig 6 */
    int64_t epochs;                /* of TVAE: Fig 4a */
    int64_t vae_epochs;            /* of TraceVAE: Fig 5 */
    int64_t managed, managed_test; /* graphs of an application to train and to test on: Fig 5 */
} loom_preset;

const loom_preset *loom_preset_of(int choice);

/* What was given, or the preset's. */
static inline int64_t loom_preset_or(int64_t given, int64_t preset) { return given > 0 ? given : preset; }

#endif
