/* The model behind `sample` and `complete`: files loaded, threads and engine set up, and the options for it.
 *
 *   typedef struct my_conf { loom_model_loader_conf model; ... } my_conf;
 *   static const loom_opt opts[] = {LOOM_MODEL_LOADER_OPTS(my_conf, model), ..., LOOM_OPT_END};
 *   loom_model_loader b = {0};
 *   LOOM_TRY(loom_model_loader_open(&b, &conf->model, &ctx->common, err));
 *   ... b.completer ...
 *   loom_model_loader_close(&b); */
#ifndef LOOM_INFER_MODEL_LOADER_H
#define LOOM_INFER_MODEL_LOADER_H

#include "core/cli.h"
#include "core/meta.h"
#include "core/pool.h"
#include "infer/engine/engine.h"
#include "model/model_files.h"

typedef struct loom_model_loader_conf {
    const char *model, *adapter, *base, *tokenizer;
    int64_t batch, context, cache_mib;
    int compute;
    bool half_cache;
    int bos; /* index into "auto|yes|no" */
    bool share, jump;
} loom_model_loader_conf;

#define LOOM_MODEL_LOADER_OPTS(S, m)                                                                                   \
    LOOM_OPT_GROUP("Model"),                                                                                           \
        LOOM_OPT_IN("model", 'm', S, m.model, NULL, "PATH",                                                            \
                    "checkpoint, run folder or Hugging Face folder; without it the base model that comes along"),      \
        LOOM_OPT_IN("adapter", 'a', S, m.adapter, NULL, "PATH",                                                        \
                    "LoRA adapter: checkpoint, run folder or PEFT folder"),                                            \
        LOOM_OPT_IN("base", 0, S, m.base, NULL, "PATH", "base of an adapter checkpoint, when it has moved"),           \
        LOOM_OPT_IN("tokenizer", 0, S, m.tokenizer, NULL, "FILE", "tokenizer.json of a model that holds none"),        \
        LOOM_OPT_ENUM("bos", 0, S, m.bos, "auto", "auto|yes|no",                                                       \
                      "begin prompts with the BOS token; auto: questions only, as in training"),                       \
        LOOM_OPT_GROUP("Speed and memory"),                                                                            \
        LOOM_OPT_I64("batch", 'b', S, m.batch, "64", 1, 4096, "N", "texts decoded together"),                          \
        LOOM_OPT_I64("context", 0, S, m.context, "0", 0, 1 << 24, "N",                                                 \
                     "longest prompt and text in tokens; 0: the model's"),                                             \
        LOOM_OPT_I64("cache", 0, S, m.cache_mib, "0", 0, 1 << 20, "MIB",                                               \
                     "memory for keys and values; 0: up to an eighth"),                                                \
        LOOM_OPT_ENUM("compute", 0, S, m.compute, "f32", "f32|bf16|auto",                                              \
                      "factors of matrix products; bf16: faster where the CPU has instructions for it, rounded; "      \
                      "auto: bf16 there, else f32"),                                                                   \
        LOOM_OPT_FLAG("half-cache", 0, S, m.half_cache, "keys and values as bfloat16: half the memory, rounded"),      \
        LOOM_OPT_FLAG_ON("share-prefixes", 0, S, m.share, "compute what prompts have in common once"),                 \
        LOOM_OPT_FLAG_ON(                                                                                              \
            "jump-ahead", 0, S, m.jump,                                                                                \
            "constrained: append forced text without asking the model; without it the same seed gives another text")

/* Whether products are in bfloat16, as the option says or the CPU. */
bool loom_model_loader_half(const loom_model_loader_conf *conf);

typedef struct loom_model_loader {
    loom_model_files bundle;
    loom_buf training; /* training.json of the model, or of its adapter; empty: not known */
    loom_tokenizer *tok;
    loom_pool *pool;
    loom_engine *engine;
    loom_completer *completer; /* borrowed from the engine */
    loom_engine_counts others; /* of the engines of other ranks, where a run is shared */
} loom_model_loader;

loom_status loom_model_loader_open(loom_model_loader *b, const loom_model_loader_conf *conf, const loom_common *common,
                                   loom_err *err);
void loom_model_loader_close(loom_model_loader *b); /* zero-initialised is fine */

/* Does a prompt begin with BOS? auto: "### Question" does, other training text is strung together without. */
bool loom_model_loader_bos(const loom_model_loader_conf *conf, const char *prompt, size_t len);

/* Records model, adapter and tokenizer as inputs; a Hugging Face folder has no digest. */
loom_status loom_model_loader_inputs(loom_meta *meta, const loom_model_loader *b, const loom_model_loader_conf *conf,
                                     loom_err *err);
/* Adds what the model is and what the engine counted to the provenance. */
void loom_model_loader_meta(loom_meta *meta, const loom_model_loader *b);
/* With --verbose: one line about speed and sharing. */
void loom_model_loader_report(const loom_model_loader *b, double seconds);

#endif
