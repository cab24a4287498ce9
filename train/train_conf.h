/* Options of pretrain and sft: one struct, the tables share their groups through these macros. */
#ifndef LOOM_TRAIN_TRAIN_CONF_H
#define LOOM_TRAIN_TRAIN_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "core/opt.h"
#include "model/optimizer.h"
#include "model/shard_tree.h"
#include "train/schedule.h"

typedef struct train_conf {
    /* model */
    int64_t hidden, layers, heads, kv_heads, ffn, context;
    double rope_theta;
    bool tie;
    const char *base;       /* --init of pretrain, --base of sft */
    const char *base_model; /* its names are replaced by the shards'; NULL or "none": no such base */
    bool lora, rslora;
    int lora_init;
    int64_t lora_rank;
    double lora_alpha, lora_dropout;
    const char *lora_targets;
    /* data */
    const char *valid;
    int packing, loss;
    int64_t overfit, batch_tokens, micro_tokens;
    /* length and schedule */
    int64_t steps, tokens, warmup, patience;
    double prompt_weight;       /* 1: prompts count as much as answers */
    double gce, focus, allowed; /* as in loom_loss_shape */
    double epochs, minutes, max_minutes, warmup_ratio, lr, lr_floor;
    int schedule, optimizer;
    double momentum;
    bool nesterov;
    double rest_lr, beta1, beta2, eps, decay, clip, ema;
    bool recompute;
    double memory_limit; /* GiB */
    int compute;
    const char *dp; /* "none", or its parts (train/privacy_plan.h) */
    int64_t dp_secret;
    /* output */
    const char *output;
    int64_t save_every, keep, valid_every, valid_tokens, log_every, stop_after;
    double save_minutes;
    bool plot, best;
    /* several processes */
    int64_t shards, ranks;
    double net_gbits, net_latency;
    int exchange;
} train_conf;

enum { PACKING_SAMPLES, PACKING_JOINED };
enum { LOSS_ALL, LOSS_ANSWER };
enum { LORA_INIT_NORMAL, LORA_INIT_PISSA };
enum { COMPUTE_AUTO, COMPUTE_F32, COMPUTE_BF16 };
enum { EXCHANGE_F32, EXCHANGE_BF16 };

/* Marks of options (core/opt.h): what may be another when a run goes on. What bears no mark must stay the same. */
enum {
    MAY_CHANGE = 1,       /* says where, how often and how fast only, or names what is known by its checksum */
    MAY_CHANGE_UNWATCHED, /* so does this, unless --patience lets validations say when the run ends */
    TOLD_UNLESS_DEFAULT   /* must stay the same; came later than the runs that may go on, which do not tell of it */
};

#define TRAIN_BASE_MODEL_OPT                                                                                           \
    LOOM_OPT_STR("base-model", 0, train_conf, base_model, NULL, "MODEL",                                               \
                 "start from a base model that takes on the names of the shards; the shape is its own (none: do not)", \
                 .mark = MAY_CHANGE)

#define TRAIN_LORA_OPTS                                                                                                \
    LOOM_OPT_I64("lora-rank", 0, train_conf, lora_rank, "8", 1, 4096, "R", "rank of the adapter"),                     \
        LOOM_OPT_F64("lora-alpha", 0, train_conf, lora_alpha, "16", 1e-6, 1e6, "A",                                    \
                     "the adapter counts alpha / rank"),                                                               \
        LOOM_OPT_F64("lora-dropout", 0, train_conf, lora_dropout, "0.1", 0, 0.99, "P",                                 \
                     "dropout on the adapter's input"),                                                                \
        LOOM_OPT_STR("lora-targets", 0, train_conf, lora_targets, "q_proj,v_proj", "LIST",                             \
                     "adapted matrices: some of q,k,v,o,gate,up,down, or all"),                                        \
        LOOM_OPT_FLAG("rslora", 0, train_conf, rslora, "the adapter counts alpha / sqrt(rank)"),                       \
        LOOM_OPT_ENUM("lora-init", 0, train_conf, lora_init, "normal", "normal|pissa",                                 \
                      "start values; pissa: the principal directions of the matrices, which the base then lacks; the " \
                      "adapter is written with twice the rank, for the base as it is",                                 \
                      .mark = TOLD_UNLESS_DEFAULT)

#define TRAIN_LENGTH_OPTS(epochs_default)                                                                              \
    LOOM_OPT_F64(                                                                                                      \
        "prompt-weight", 0, train_conf, prompt_weight, "1", 1e-6, 1, "W",                                              \
        "with --loss all: what a token of a prompt counts beside one of an answer; below 1 validations count "         \
        "answers only"),                                                                                               \
        LOOM_OPT_F64("gce", 0, train_conf, gce, "0", 0, 1, "Q",                                                        \
                     "generalised cross-entropy: the gradient of a token that has probability p counts p^Q, so that "  \
                     "what nobody can foretell (which name, what time) drowns less of what follows from the prompt; "  \
                     "validations count cross-entropy",                                                                \
                     .mark = TOLD_UNLESS_DEFAULT),                                                                     \
        LOOM_OPT_F64("focus", 0, train_conf, focus, "0", 0, 4, "Q",                                                    \
                     "the gradient of a token counts (sum of p^2)^Q, over all tokens that may come: like --gce, but "  \
                     "what is likely does not become likelier",                                                        \
                     .mark = TOLD_UNLESS_DEFAULT),                                                                     \
        LOOM_OPT_F64("allowed", 0, train_conf, allowed, "0", 0, 1000, "W",                                             \
                     "beside the cross-entropy, W times -log of the probability of all tokens that the request "       \
                     "allows, as sample --constrain full does; with --loss answer",                                    \
                     .mark = TOLD_UNLESS_DEFAULT),                                                                     \
        LOOM_OPT_F64("epochs", 0, train_conf, epochs, epochs_default, 0, 1e6, "E",                                     \
                     "passes over the data; unless one of the next three is given"),                                   \
        LOOM_OPT_I64("steps", 0, train_conf, steps, "0", 0, 1e12, "N", "optimizer steps instead"),                     \
        LOOM_OPT_I64("tokens", 0, train_conf, tokens, "0", 0, 1e15, "N", "trained tokens instead"),                    \
        LOOM_OPT_F64("minutes", 0, train_conf, minutes, "0", 0, 1e7, "M",                                              \
                     "training time instead; with --steps or --tokens: go on until both are done, so that a slow "     \
                     "machine learns as much"),                                                                        \
        LOOM_OPT_I64("patience", 0, train_conf, patience, "0", 0, 1e6, "N",                                            \
                     "end after N validations without a lower loss; the model is then the best so far (0: never)"),    \
        LOOM_OPT_F64("max-minutes", 0, train_conf, max_minutes, "0", 0, 1e7, "M",                                      \
                     "save and stop after this time, done or not (0: no limit)", .mark = MAY_CHANGE),                  \
        LOOM_OPT_I64("batch-tokens", 0, train_conf, batch_tokens, "4096", 16, 1e9, "N",                                \
                     "tokens of an optimizer step"),                                                                   \
        LOOM_OPT_WAS(NULL, 'b', "batch-tokens", NULL),                                                                 \
        LOOM_OPT_I64("micro-tokens", 0, train_conf, micro_tokens, "0", 0, 1e8, "N",                                    \
                     "tokens computed at once; more needs memory (0: as many as the step, at most 8192)"),             \
        LOOM_OPT_I64("overfit", 0, train_conf, overfit, "0", 0, 1e9, "N",                                              \
                     "train on the first N samples only, as a test (0: all)")

#define TRAIN_OPTIMIZER_OPTS(lr_default, lr_help)                                                                      \
    LOOM_OPT_ENUM("optimizer", 0, train_conf, optimizer, "adamw", LOOM_OPTIMIZER_CHOICES,                              \
                  "muon: Muon for the matrices inside the layers, AdamW for the rest"),                                \
        LOOM_OPT_F64("lr", 0, train_conf, lr, lr_default, 0, 10, "RATE", lr_help),                                     \
        LOOM_OPT_F64("rest-lr", 0, train_conf, rest_lr, "1", 1e-6, 1e6, "TIMES",                                       \
                     "Muon: learning rate of embedding, head and norms, as a multiple of --lr: from a base, names "    \
                     "are new and the rest is known",                                                                  \
                     .mark = TOLD_UNLESS_DEFAULT),                                                                     \
        LOOM_OPT_ENUM("schedule", 0, train_conf, schedule, "cosine", LOOM_SCHEDULE_CHOICES,                            \
                      "how the learning rate falls; wsd: late, in a straight line"),                                   \
        LOOM_OPT_F64("lr-floor", 0, train_conf, lr_floor, "0", 0, 1, "SHARE",                                          \
                     "share of the learning rate left at the end"),                                                    \
        LOOM_OPT_I64("warmup", 0, train_conf, warmup, "-1", -1, 1e9, "N",                                              \
                     "steps until the full learning rate (-1: by ratio)"),                                             \
        LOOM_OPT_F64("warmup-ratio", 0, train_conf, warmup_ratio, "0.05", 0, 1, "SHARE",                               \
                     "the same as a share of all steps"),                                                              \
        LOOM_OPT_F64("weight-decay", 0, train_conf, decay, "0.1", 0, 10, "D",                                          \
                     "decoupled weight decay of the matrices"),                                                        \
        LOOM_OPT_F64("beta1", 0, train_conf, beta1, "0.9", 0, 0.99999, "B", "AdamW: decay of the mean gradient"),      \
        LOOM_OPT_F64("beta2", 0, train_conf, beta2, "0.999", 0, 0.999999, "B", "AdamW: decay of the mean square"),     \
        LOOM_OPT_F64("eps", 0, train_conf, eps, "1e-8", 1e-16, 1, "E", "AdamW: added to the root"),                    \
        LOOM_OPT_F64("momentum", 0, train_conf, momentum, "0.95", 0, 0.99999, "MU",                                    \
                     "Muon: decay of the mean gradient"),                                                              \
        LOOM_OPT_FLAG_ON("nesterov", 0, train_conf, nesterov, "Muon: look one step ahead"),                            \
        LOOM_OPT_F64("clip", 0, train_conf, clip, "1", 0, 1e9, "NORM",                                                 \
                     "largest norm of the gradient (0: no clipping)"),                                                 \
        LOOM_OPT_F64("ema", 0, train_conf, ema, "0", 0, 0.9999999, "D",                                                \
                     "decay of the moving average of the weights (such as 0.999), which is validated and written "     \
                     "as the model (0: the last weights are)"),                                                        \
        LOOM_OPT_ENUM("compute", 0, train_conf, compute, "f32", "auto|f32|bf16",                                       \
                      "factors of matrix products; auto: bf16 (with float32 sums) where the CPU is faster with it",    \
                      .mark = MAY_CHANGE),                                                                             \
        LOOM_OPT_FLAG(                                                                                                 \
            "recompute", 0, train_conf, recompute,                                                                     \
            "compute activations twice to save memory; same result; turned on by itself when memory is short",         \
            .mark = MAY_CHANGE),                                                                                       \
        LOOM_OPT_F64("memory-limit", 0, train_conf, memory_limit, "0", 0, 1e6, "GIB",                                  \
                     "memory to plan for (0: what the machine has)", .mark = MAY_CHANGE)

#define TRAIN_PRIVACY_OPTS                                                                                             \
    LOOM_OPT_GROUP("Differential privacy"),                                                                            \
        LOOM_OPT_STR(                                                                                                  \
            "dp", 0, train_conf, dp, "none", "PARTS",                                                                  \
            "bound what any one graph adds to an adapter: epsilon=E or noise=S, delta=D (a tenth of one graph in "     \
            "all), graphs=B a step (64), with commas; --clip then bounds the gradient of each graph",                  \
            .mark = TOLD_UNLESS_DEFAULT)

#define TRAIN_RANKS_OPTS                                                                                               \
    LOOM_OPT_GROUP("Several processes (mpirun -n N loom-train ...)"),                                                  \
        LOOM_OPT_I64("shards", 0, train_conf, shards, "0", 0, LOOM_SHARDS_MOST, "V",                                   \
                     "parts of a step, shared out over the processes, whose gradients are added up in one order; the " \
                     "same V gives the same bytes for 1 to V processes (0: 8 under mpirun, else none)",                \
                     .mark = MAY_CHANGE),                                                                              \
        LOOM_OPT_ENUM(                                                                                                 \
            "exchange", 0, train_conf, exchange, "f32", "f32|bf16",                                                    \
            "as what the gradients of shards are added up and sent; bf16, rounded at every sum, is half the "          \
            "bytes for slow networks, and also the same for any number of processes",                                  \
            .mark = TOLD_UNLESS_DEFAULT),                                                                              \
        LOOM_OPT_I64("ranks", 0, train_conf, ranks, "0", 0, LOOM_SHARDS_MOST, "N",                                     \
                     "with --dry-run: processes to plan for (0: those that there are)", .mark = MAY_CHANGE),           \
        LOOM_OPT_F64("net-gbits", 0, train_conf, net_gbits, "10", 1e-3, 1e6, "G",                                      \
                     "with --dry-run: what the network carries for each process, in Gbit/s each way",                  \
                     .mark = MAY_CHANGE),                                                                              \
        LOOM_OPT_F64("net-latency", 0, train_conf, net_latency, "50", 0, 1e6, "US",                                    \
                     "with --dry-run: microseconds that a message takes at least", .mark = MAY_CHANGE)

#define TRAIN_OUTPUT_OPTS                                                                                              \
    LOOM_OPT_GROUP("Output"),                                                                                          \
        LOOM_OPT_OUT("output", 'o', train_conf, output, NULL, "DIR",                                                   \
                     "folder of the run; goes on with the run it holds (--force: another run in it is thrown away)",   \
                     .mark = MAY_CHANGE),                                                                              \
        LOOM_OPT_I64("save-every", 0, train_conf, save_every, "500", 0, 1e9, "N",                                      \
                     "steps between checkpoints (0: by time only)", .mark = MAY_CHANGE),                               \
        LOOM_OPT_F64("save-minutes", 0, train_conf, save_minutes, "15", 0, 1e6, "M",                                   \
                     "minutes between checkpoints (0: by steps only)", .mark = MAY_CHANGE),                            \
        LOOM_OPT_I64("keep", 0, train_conf, keep, "2", 1, 1000, "K", "checkpoints kept", .mark = MAY_CHANGE),          \
        LOOM_OPT_STR("valid", 0, train_conf, valid, NULL, "SHARD", "shard for the validation loss",                    \
                     .mark = MAY_CHANGE_UNWATCHED),                                                                    \
        LOOM_OPT_I64("valid-every", 0, train_conf, valid_every, "200", 1, 1e9, "N", "steps between validations",       \
                     .mark = MAY_CHANGE_UNWATCHED),                                                                    \
        LOOM_OPT_I64("valid-tokens", 0, train_conf, valid_tokens, "50000", 1, 1e12, "N", "tokens of a validation",     \
                     .mark = MAY_CHANGE_UNWATCHED),                                                                    \
        LOOM_OPT_FLAG_ON("best", 0, train_conf, best, "keep the weights of the lowest validation loss in best.h5",     \
                         .mark = MAY_CHANGE),                                                                          \
        LOOM_OPT_I64("log-every", 0, train_conf, log_every, "10", 1, 1e9, "N",                                         \
                     "steps between rows of the learning curve", .mark = MAY_CHANGE),                                  \
        LOOM_OPT_FLAG_ON("plot", 0, train_conf, plot, "draw the learning curve when gnuplot is there",                 \
                         .mark = MAY_CHANGE),                                                                          \
        LOOM_OPT_GROUP_HIDDEN("Tests"),                                                                                \
        LOOM_OPT_I64("stop-after", 0, train_conf, stop_after, "0", 0, 1e12, "N",                                       \
                     "stop and save after this step, as if interrupted", .mark = MAY_CHANGE),                          \
        LOOM_OPT_I64("dp-secret", 0, train_conf, dp_secret, "0", 0, 1e18, "N",                                         \
                     "seed of the draws and the noise of --dp (0: a secret one)", .mark = MAY_CHANGE)

#endif
