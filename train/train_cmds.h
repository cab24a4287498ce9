/* The subcommands of loom-train, one file each (cmd_<name>.c). */
#ifndef LOOM_TRAIN_CMDS_H
#define LOOM_TRAIN_CMDS_H

#include "core/cli.h"

extern const loom_cmd loom_cmd_pretrain;
extern const loom_cmd loom_cmd_sft;
extern const loom_cmd loom_cmd_info;
extern const loom_cmd loom_cmd_import;
extern const loom_cmd loom_cmd_merge;
extern const loom_cmd loom_cmd_average;
extern const loom_cmd loom_cmd_adapt;
extern const loom_cmd loom_cmd_export;
extern const loom_cmd loom_cmd_classify;
extern const loom_cmd loom_cmd_bench;

#endif
