/* The commands of loom-train without one of their allocations. */
#include "model/blas.h"
#include "train/train_cmds.h"
#include "unit/failing_command.h"

#define FROZEN LOOM_SOURCE_DIR "/tests/frozen/"
#define STEPS  " --context 640 --batch-tokens 640 --no-plot --steps 1"

static const loom_cmd *const cmds[] = {&loom_cmd_pretrain, &loom_cmd_sft,   &loom_cmd_info,
                                       &loom_cmd_import,   &loom_cmd_merge, &loom_cmd_average,
                                       &loom_cmd_export,   &loom_cmd_adapt, &loom_cmd_classify};

static void sweep(const char *line) { failing_command_sweep("loom-train", cmds, sizeof cmds / sizeof *cmds, line, 25); }

TEST(training)
{
    sweep("pretrain " FROZEN "i.tokens.h5 -o run --hidden 16 --layers 1 --heads 2" STEPS);
    sweep("pretrain " FROZEN
          "i.tokens.h5 -o two --hidden 16 --layers 1 --heads 2 --optimizer muon --ema 0.9 --valid " FROZEN
          "i.tokens.h5" STEPS);
    sweep("sft " FROZEN "i.tokens.h5 --base run --lora -o lora" STEPS);
}

TEST(models)
{
    sweep("merge lora -o merged.h5");
    sweep("average run two -o mean.h5");
    sweep("export run -o folder");
    sweep("export run -o model.gguf");
    sweep("import folder -o back.h5");
    sweep("adapt run --tokenizer " FROZEN "tokenizer.json -o adapted.h5");
    sweep("info --verify --tensors --meta run");
}

TEST(nothing_is_left) { leave_folder(); }

TEST_MAIN(loom_blas_start(argc, argv); if (!enter_folder()) return 1; RUN(training) RUN(models) RUN(nothing_is_left))
