/* A model as completer: continuous batching over one pool of key/value blocks.
 *
 *   loom_engine *e = NULL;
 *   loom_engine_options o = {.batch = 64, .pool = pool};
 *   LOOM_TRY(loom_engine_new(&e, bundle.model, bundle.lora, tokenizer, &o, err));
 *   loom_completer *c = loom_engine_completer(e);
 *   ... submit jobs, step until they are done ...
 *   loom_engine_free(e);
 *
 * Every step appends one token to each sequence that is decoding, and pieces of the prompts of those that have just
 * come in, in one run of the model. A job that ends leaves at once and the next one takes its place. Prompts that begin
 * alike share key/value blocks: a new job forks the open (or lately finished) sequence with the longest common prefix.
 * When the blocks run out the youngest jobs are preempted and computed again later; their texts do not change by it. */
#ifndef LOOM_INFER_ENGINE_H
#define LOOM_INFER_ENGINE_H

#include "core/pool.h"
#include "infer/engine/completion.h"
#include "model/decode.h"
#include "model/llama.h"
#include "model/lora.h"
#include "tokenizer/tokenizer.h"

typedef struct loom_engine loom_engine;

typedef struct loom_engine_options {
    int64_t batch;       /* sequences decoded together */
    int64_t context;     /* longest sequence, at most the model's; 0: the model's */
    int64_t cache_bytes; /* for keys and values; 0: an eighth of the machine's memory, or less when half of
                             batch * context needs less */
    bool half_cache;     /* keys and values as bfloat16 */
    bool bf16_compute;   /* products in bfloat16 where the CPU has instructions for it */
    int64_t prompt_rows; /* prompt tokens added to one step; 0: 256 */
    bool no_sharing;     /* do not share prompt prefixes (for measurements) */
    bool no_jump;        /* do not jump ahead over forced text (for measurements) */
    loom_pool *pool;     /* borrowed; NULL: one thread */
} loom_engine_options;

/* Borrows model, adapter, tokenizer and pool. ARG when the tokenizer has more tokens than the model. */
loom_status loom_engine_new(loom_engine **out, const loom_llama *model, const loom_lora *lora,
                            const loom_tokenizer *tok, const loom_engine_options *o, loom_err *err);
void loom_engine_free(loom_engine *e);
loom_completer *loom_engine_completer(loom_engine *e); /* borrowed from the engine */

typedef struct loom_engine_counts {
    int64_t steps;     /* runs of the model */
    int64_t rows;      /* tokens that went through the model in these */
    int64_t decoded;   /* tokens that the model chose */
    int64_t forced;    /* tokens appended without asking it (jump-ahead) */
    int64_t prefilled; /* prompt tokens computed */
    int64_t shared;    /* prompt tokens taken over from another sequence */
    int64_t preempted; /* jobs computed again because the cache was full */
    double model_seconds, choose_seconds;
    loom_cache_bytes cache;
} loom_engine_counts;
loom_engine_counts loom_engine_count(const loom_engine *e);

int64_t loom_engine_context(const loom_engine *e);
/* Tokens of a job's prompt, BOS counted. Between steps only. */
int64_t loom_engine_prompt_tokens(loom_engine *e, const loom_job *job);

#endif
