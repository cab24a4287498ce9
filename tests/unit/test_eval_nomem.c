/* The commands of loom-eval without one of their allocations. */
#include "eval/commands/eval_cmds.h"
#include "model/blas.h"
#include "unit/failing_command.h"

#define FROZEN LOOM_SOURCE_DIR "/tests/frozen/"
#define STORE  FROZEN "graphs.graphs.zst"

static const loom_cmd *const cmds[] = {
    &loom_cmd_prompts, &loom_cmd_heatmap, &loom_cmd_memorization, &loom_cmd_baseline, &loom_cmd_distribution,
    &loom_cmd_oracle,  &loom_cmd_report,  &loom_cmd_similarity,   &loom_cmd_topology, &loom_cmd_compare,
    &loom_cmd_view,    &loom_cmd_tvae,    &loom_cmd_settings};

static void sweep(const char *line) { failing_command_sweep("loom-eval", cmds, sizeof cmds / sizeof *cmds, line, 25); }

TEST(systems)
{
    sweep("topology " STORE " -o topology.json");
    sweep("topology topology.json --to mubench -o mubench.json");
    sweep("compare " STORE " " STORE " -o compared");
    sweep("view " STORE " -o view.html");
    sweep("baseline --topology topology.json --count 5 -o drawn.graphs.zst");
}

TEST(answers)
{
    sweep("prompts " STORE " --mode recursive --edges 1:4 --depths 1:3 --per-cell 1 -o r.prompts.jsonl");
    sweep("oracle r.prompts.jsonl -o r.answers.jsonl");
    sweep("heatmap r.answers.jsonl -p r.prompts.jsonl --no-pictures -o results");
    sweep("similarity --real " STORE " " STORE " --resamples 2 --no-pictures -o results");
    sweep("memorization --train " STORE " copies=" STORE " --no-pictures -o results");
    sweep("distribution " STORE " --no-pictures -o results");
    sweep("settings pretrain=" FROZEN "run/model.h5 -o results");
    sweep("report results -o report.html");
}

TEST(nothing_is_left) { leave_folder(); }

TEST_MAIN(loom_blas_start(argc, argv); if (!enter_folder()) return 1; RUN(systems) RUN(answers) RUN(nothing_is_left))
