#include "eval/preset.h"

/* paper: EMNLP 2025, sections 4.1 to 4.5 (Figs 3, 4, 6, 16). desk: the same experiments within a day on two cores. */
static const loom_preset presets[] = {
    {.per_cell = 50, .like = 50000, .runs = 20, .sequence = 1000, .branching = 10000, .asked = 1000},
    {.per_cell = 10, .like = 5000, .runs = 5, .sequence = 300, .branching = 5000, .asked = 200},
};

const loom_preset *loom_preset_of(int choice) { return &presets[choice]; }
