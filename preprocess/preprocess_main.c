/* loom-preprocess: traces to graphs, graphs to text, text to tokens. */
#include "core/ranks.h"
#include "preprocess/commands/preprocess_cmds.h"

int main(int argc, char **argv)
{
    const loom_cmd cmds[] = {
        LOOM_CMD_GOAL("To have traces"),
        loom_cmd_sample_traces,
        loom_cmd_sample_jobs,
        LOOM_CMD_GOAL("Traces to call graphs, and sets of them"),
        loom_cmd_graphs,
        loom_cmd_jobs,
        loom_cmd_dedupe,
        loom_cmd_split,
        loom_cmd_stats,
        loom_cmd_describe,
        LOOM_CMD_GOAL("Graphs to training text and tokens"),
        loom_cmd_encode,
        loom_cmd_balance,
        loom_cmd_tokenizer,
        loom_cmd_tokens,
        LOOM_CMD_GOAL("Private traces"),
        loom_cmd_anonymise,
        loom_cmd_canaries,
        {.name = NULL},
    };
    loom_cli_add_version_line(loom_ranks_version());
    return loom_cli_main("loom-preprocess", "turns traces into call graphs, training text and tokens", cmds, argc,
                         argv);
}
