/* The commands of loom-preprocess without one of their allocations. */
#include "preprocess/commands/preprocess_cmds.h"
#include "unit/failing_command.h"

static const loom_cmd *const cmds[] = {
    &loom_cmd_sample_traces, &loom_cmd_graphs,   &loom_cmd_anonymise, &loom_cmd_dedupe,     &loom_cmd_split,
    &loom_cmd_stats,         &loom_cmd_encode,   &loom_cmd_balance,   &loom_cmd_describe,   &loom_cmd_tokenizer,
    &loom_cmd_tokens,        &loom_cmd_canaries, &loom_cmd_jobs,      &loom_cmd_sample_jobs};

static void sweep(const char *line)
{
    failing_command_sweep("loom-preprocess", cmds, sizeof cmds / sizeof *cmds, line, 40);
}

TEST(commands)
{
    REQUIRE(enter_folder());
    sweep("sample-traces --profile tiny --traces 60 -o traces");
    sweep("graphs traces -o raw.graphs.zst --rename names.tsv --keep-ids --report dropped.json --dropped dropped.csv");
    sweep("anonymise traces -o open.graphs.zst --mapping private.tsv --min-graphs 2 --round 5");
    sweep("dedupe raw.graphs.zst -o all.graphs.zst");
    sweep("split all.graphs.zst --train train.graphs.zst --valid valid.graphs.zst");
    sweep("stats train.graphs.zst -o stats.json");
    sweep("describe train.graphs.zst");
    sweep("encode train.graphs.zst --mode instruction --stats stats.json -o i.txt.zst");
    sweep("encode train.graphs.zst --asked 1 --asked-for any -o a.txt.zst");
    sweep("encode train.graphs.zst --mode tabular -o t.txt.zst");
    sweep("balance i.txt.zst -o b.txt.zst --exponent 0.5 --renamed 0.5");
    sweep("tokenizer i.txt.zst t.txt.zst -o tokenizer.json");
    sweep("tokens i.txt.zst --tokenizer tokenizer.json -o i.tokens.h5");
    sweep("sample-jobs --jobs 40 -o batch_task.csv");
    sweep("jobs batch_task.csv -o jobs.graphs.zst");
    leave_folder();
}

TEST_MAIN(RUN(commands))
