/* loom-train sft: instruction tuning; the loss is on the answers. */
#include "train/run.h"
#include "train/train_cmds.h"
#include "train/train_conf.h"

static const loom_opt sft_opts[] = {
    LOOM_OPT_GROUP("Model"),
    LOOM_OPT_STR("base", 0, train_conf, base, NULL, "MODEL",
                 "the model to tune: checkpoint, run folder or Hugging Face folder", .mark = MAY_CHANGE),
    TRAIN_BASE_MODEL_OPT,
    LOOM_OPT_FLAG_ON("lora", 0, train_conf, lora, "train an adapter; --no-lora trains all weights"),
    TRAIN_LORA_OPTS,
    LOOM_OPT_I64("context", 0, train_conf, context, "1024", 8, 1e6, "T",
                 "longest sample in tokens; longer ones are left out"),
    LOOM_OPT_GROUP("Data and length"),
    LOOM_OPT_ENUM("loss", 0, train_conf, loss, "answer", "all|answer", "tokens that count"),
    TRAIN_LENGTH_OPTS("1"),
    LOOM_OPT_GROUP("Optimizer"),
    TRAIN_OPTIMIZER_OPTS("1e-4", "peak learning rate"),
    TRAIN_PRIVACY_OPTS,
    TRAIN_RANKS_OPTS,
    TRAIN_OUTPUT_OPTS,
    LOOM_OPT_END};

static loom_status run_sft(const loom_ctx *ctx, loom_err *err) { return loom_run_training(ctx, LOOM_RUN_SFT, err); }

const loom_cmd loom_cmd_sft = {
    .name = "sft",
    .summary = "fine-tune a model on prompts and answers",
    .args = "SHARD...",
    .min_args = 1,
    .max_args = -1,
    .details = "Tunes a model on samples that have a prompt and an answer (instruction encoding). Only the tokens of "
               "the answer, its\n"
               "end included, are learnt unless --loss all. By default an adapter is trained (LoRA, the paper's "
               "settings) and\n"
               "written to DIR/adapter.h5; it finds its base by path. Stopped runs go on as those of pretrain do.\n"
               "\n"
               "Examples:\n"
               "  loom-train sft instr.tokens.h5 --base runs/small -o runs/small-instr --no-lora --lr 5e-4\n"
               "  loom-train sft instr.tokens.h5 --base-model base.h5 --no-lora -o runs/adapted-instr\n"
               "  loom-train sft instr.tokens.h5 --base llama-2-7b -o runs/7b-instr --context 4096 --batch-tokens 8192",
    .opts = sft_opts,
    .conf_size = sizeof(train_conf),
    .ranks = true,
    .run = run_sft,
};
