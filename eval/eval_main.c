#include "eval/commands/eval_cmds.h"
#include "model/blas.h"

int main(int argc, char **argv)
{
    loom_blas_start(argc, argv);
    const loom_cmd cmds[] = {
        LOOM_CMD_GOAL("To ask for call graphs"),
        loom_cmd_prompts,
        loom_cmd_oracle,
        LOOM_CMD_GOAL("Are they right?"),
        loom_cmd_heatmap,
        loom_cmd_following,
        loom_cmd_variants,
        loom_cmd_ladder,
        loom_cmd_few_shot,
        loom_cmd_classes,
        loom_cmd_infilling,
        loom_cmd_settings,
        LOOM_CMD_GOAL("Are they like real ones, and of use?"),
        loom_cmd_similarity,
        loom_cmd_distribution,
        loom_cmd_management,
        loom_cmd_baseline,
        loom_cmd_tvae,
        LOOM_CMD_GOAL("What do they give away?"),
        loom_cmd_memorization,
        loom_cmd_privacy,
        LOOM_CMD_GOAL("What is the system behind traces?"),
        loom_cmd_topology,
        loom_cmd_compare,
        loom_cmd_view,
        LOOM_CMD_GOAL("To draw and report"),
        loom_cmd_figures,
        loom_cmd_report,
        {.name = NULL},
    };
    return loom_cli_main("loom-eval", "asks for call graphs, judges what was generated, draws the figures", cmds, argc,
                         argv);
}
