/* The subcommands of loom-eval, one file each (cmd_<name>.c). */
#ifndef LOOM_EVAL_CMDS_H
#define LOOM_EVAL_CMDS_H

#include "core/cli.h"

extern const loom_cmd loom_cmd_prompts;
extern const loom_cmd loom_cmd_figures;
extern const loom_cmd loom_cmd_following;
extern const loom_cmd loom_cmd_heatmap;
extern const loom_cmd loom_cmd_memorization;
extern const loom_cmd loom_cmd_privacy;
extern const loom_cmd loom_cmd_baseline;
extern const loom_cmd loom_cmd_distribution;
extern const loom_cmd loom_cmd_oracle;
extern const loom_cmd loom_cmd_report;
extern const loom_cmd loom_cmd_similarity;
extern const loom_cmd loom_cmd_topology;
extern const loom_cmd loom_cmd_compare;
extern const loom_cmd loom_cmd_view;
extern const loom_cmd loom_cmd_variants;
extern const loom_cmd loom_cmd_ladder;
extern const loom_cmd loom_cmd_few_shot;
extern const loom_cmd loom_cmd_settings;
extern const loom_cmd loom_cmd_tvae;
extern const loom_cmd loom_cmd_management;
extern const loom_cmd loom_cmd_classes;
extern const loom_cmd loom_cmd_infilling;

#endif
