#include "eval/commands/preset.h"

/* paper: EMNLP 2025, sections 4.1 to 4.5 (Figs 3, 4, 6, 16). desk: the same experiments within a day on two cores. */
static const loom_preset presets[] = {
    {.per_cell = LOOM_PAPER_PER_CELL,
     .like = LOOM_PAPER_LIKE,
     .runs = LOOM_PAPER_RUNS,
     .sequence = LOOM_PAPER_SEQUENCE,
     .branching = LOOM_PAPER_BRANCHING,
     .asked = LOOM_PAPER_ASKED,
     .epochs = LOOM_PAPER_EPOCHS,
     .vae_epochs = LOOM_PAPER_VAE_EPOCHS,
     .managed = LOOM_PAPER_MANAGED,
     .managed_test = LOOM_PAPER_MANAGED_TEST},
    {.per_cell = LOOM_DESK_PER_CELL,
     .like = LOOM_DESK_LIKE,
     .runs = LOOM_DESK_RUNS,
     .sequence = LOOM_DESK_SEQUENCE,
     .branching = LOOM_DESK_BRANCHING,
     .asked = LOOM_DESK_ASKED,
     .epochs = LOOM_DESK_EPOCHS,
     .vae_epochs = LOOM_DESK_VAE_EPOCHS,
     .managed = LOOM_DESK_MANAGED,
     .managed_test = LOOM_DESK_MANAGED_TEST},
};

const loom_preset *loom_preset_of(int choice) { return &presets[choice]; }
