/* loom-train pretrain: a model from token shards, from random weights or from given ones. */
#include "train/run.h"
#include "train/train_cmds.h"
#include "train/train_conf.h"

static const loom_opt pretrain_opts[] = {
    LOOM_OPT_GROUP("Model"),
    LOOM_OPT_I64("hidden", 0, train_conf, hidden, "256", 8, 65536, "C", "width"),
    LOOM_OPT_I64("layers", 0, train_conf, layers, "6", 1, 1000, "L", "layers"),
    LOOM_OPT_I64("heads", 0, train_conf, heads, "8", 1, 4096, "H", "query heads; divides the width"),
    LOOM_OPT_I64("kv-heads", 0, train_conf, kv_heads, "0", 0, 4096, "K",
                 "key and value heads; divides the heads (0: as many)"),
    LOOM_OPT_I64("ffn", 0, train_conf, ffn, "0", 0, 1e6, "F", "feed-forward width (0: 8/3 of the width)"),
    LOOM_OPT_I64("context", 0, train_conf, context, "1024", 8, 1e6, "T", "longest sequence in tokens"),
    LOOM_OPT_F64("rope-theta", 0, train_conf, rope_theta, "10000", 1, 1e9, "BASE", "base of the rotary positions"),
    LOOM_OPT_FLAG_ON("tie-embeddings", 0, train_conf, tie,
                     "one matrix for input and output; helps small models to copy names"),
    LOOM_OPT_STR("init", 0, train_conf, base, NULL, "MODEL",
                 "start from these weights (checkpoint, run or Hugging Face folder); the shape is theirs",
                 .mark = MAY_CHANGE),
    TRAIN_BASE_MODEL_OPT,
    LOOM_OPT_FLAG("lora", 0, train_conf, lora, "train an adapter beside the weights of --init"),
    TRAIN_LORA_OPTS,
    LOOM_OPT_GROUP("Data and length"),
    LOOM_OPT_ENUM("packing", 0, train_conf, packing, "samples", "samples|joined",
                  "attend within each sample, or join and cut all text as the paper does"),
    LOOM_OPT_ENUM("loss", 0, train_conf, loss, "all", "all|answer", "tokens that count"),
    TRAIN_LENGTH_OPTS("1"),
    LOOM_OPT_GROUP("Optimizer"),
    TRAIN_OPTIMIZER_OPTS("0", "peak learning rate (0: 2e-3 for a new model, 3e-4 with --init or --base-model)"),
    TRAIN_PRIVACY_OPTS,
    TRAIN_RANKS_OPTS,
    TRAIN_OUTPUT_OPTS,
    LOOM_OPT_END};

static loom_status run_pretrain(const loom_ctx *ctx, loom_err *err)
{
    return loom_run_training(ctx, LOOM_RUN_PRETRAIN, err);
}

const loom_cmd loom_cmd_pretrain = {
    .name = "pretrain",
    .summary = "train a model on token shards",
    .args = "SHARD...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Trains a Llama on the samples of the shards (loom-preprocess tokens). The folder given with --output\n"
        "receives checkpoints, the learning curve and at the end model.h5 (with --lora: adapter.h5). A run that "
        "was stopped,\n"
        "by Ctrl-C or by kill -9, goes on bit for bit when the same command is given again.\n"
        "\n"
        "Examples:\n"
        "  loom-train pretrain train.tokens.h5 --valid valid.tokens.h5 -o runs/small --minutes 30\n"
        "  loom-train pretrain train.tokens.h5 --base-model base.h5 -o runs/adapted --minutes 5\n"
        "  loom-train pretrain train.tokens.h5 -o runs/llama --init llama-3.2-1b --lora --packing joined "
        "--context 4096 \\\n"
        "      --batch-tokens 65536 --steps 4000 --warmup 400\n"
        "  mpirun -n 4 loom-train pretrain train.tokens.h5 --valid valid.tokens.h5 -o runs/shared --threads 2 --steps 4000",
    .opts = pretrain_opts,
    .conf_size = sizeof(train_conf),
    .ranks = true,
    .run = run_pretrain,
};
