/* The commands of loom-infer without one of their allocations. */
#include "infer/commands/infer_cmds.h"
#include "model/blas.h"
#include "unit/failing_command.h"

#define FROZEN LOOM_SOURCE_DIR "/tests/frozen/"

static const loom_cmd *const cmds[] = {&loom_cmd_sample, &loom_cmd_complete, &loom_cmd_convert, &loom_cmd_show};

static void sweep(const char *line) { failing_command_sweep("loom-infer", cmds, sizeof cmds / sizeof *cmds, line, 40); }

TEST(conversions)
{
    sweep("convert " FROZEN "graphs.graphs.zst -o x.csv");
    sweep("convert " FROZEN "graphs.graphs.zst -o x.json");
    sweep("convert " FROZEN "graphs.graphs.zst --to zipkin -o z.json");
    sweep("convert " FROZEN "graphs.graphs.zst --to graphml -o x.graphml");
    sweep("convert " FROZEN "graphs.graphs.zst --to npy -o arrays");
    sweep("convert z.json --to otlp -o x.jsonl");
    sweep("show " FROZEN "graphs.graphs.zst --limit 0");
}

TEST(samples)
{
    sweep("sample --model " FROZEN "run --edges 3 --depth 2 -n 2 --max-tokens 400 --constrain full --seed 3 "
          "-o x.answers.jsonl --records x.graphs.zst");
    sweep("sample --model " FROZEN "run --prompts " FROZEN "p.prompts.jsonl --max-tokens 20 -o y.answers.jsonl");
    sweep("complete --model " FROZEN "run id:S_1 --max-tokens 8");
}

TEST(nothing_is_left) { leave_folder(); }

TEST_MAIN(loom_blas_start(argc, argv); if (!enter_folder()) return 1;
          RUN(conversions) RUN(samples) RUN(nothing_is_left))
