#include "core/ranks.h"
#include "model/blas.h"
#include "train/train_cmds.h"

int main(int argc, char **argv)
{
    loom_blas_start(argc, argv);
    loom_cli_add_version_line(loom_ranks_version());
    const loom_cmd cmds[] = {
        LOOM_CMD_GOAL("To train a model"),
        loom_cmd_pretrain,
        loom_cmd_sft,
        loom_cmd_classify,
        LOOM_CMD_GOAL("To start from another, or put models together"),
        loom_cmd_adapt,
        loom_cmd_import,
        loom_cmd_merge,
        loom_cmd_average,
        LOOM_CMD_GOAL("To look at one, or hand it on"),
        loom_cmd_info,
        loom_cmd_export,
        loom_cmd_bench,
        {.name = NULL},
    };
    return loom_cli_main("loom-train", "trains, fine-tunes and inspects models of call graphs", cmds, argc, argv);
}
