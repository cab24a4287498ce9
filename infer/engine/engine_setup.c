/* An engine's sizes and arrays, made and freed. */
#include <stdlib.h>
#include <unistd.h>

#include "core/num.h"
#include "infer/engine/engine_impl.h"

enum { DEFAULT_PROMPT_ROWS = 256 };

static int64_t position_bytes(const loom_engine *e)
{
    const loom_config *c = &e->model->config;
    return 2 * c->L * c->K * c->D * (e->o.half_cache ? 2 : (int64_t)sizeof(float));
}

static int64_t default_cache_bytes(void)
{
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE) / 8;
    return loom_max_i64(bytes, (int64_t)256 << 20);
}

static int64_t cache_positions(const loom_engine *e)
{
    int64_t bytes = e->o.cache_bytes ? e->o.cache_bytes : default_cache_bytes();
    int64_t most = (e->o.batch + 1) * (e->o.context + LOOM_KV_BLOCK) / 2; /* texts are seldom as long as they may be */
    int64_t fit = bytes / position_bytes(e);
    int64_t least = e->o.context + 2 * LOOM_KV_BLOCK; /* one job must always fit */

    return loom_max_i64(loom_min_i64(fit, most), least);
}

static loom_status check_sizes(loom_engine *e, loom_err *err)
{
    const loom_config *c = &e->model->config;

    if (loom_tokenizer_vocab_size(e->tok) > c->V)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "the tokenizer has %lld tokens but the model knows %lld; they do not belong together",
                         (long long)loom_tokenizer_vocab_size(e->tok), (long long)c->V);
    if (e->o.context > c->max_positions)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "--context %lld: the model has %lld positions; give at most as many, or train one with a longer "
            "--context",
            (long long)e->o.context, (long long)c->max_positions);
    if (e->o.context <= 0) e->o.context = c->max_positions;
    if (e->o.batch < 1) e->o.batch = 1;
    if (e->o.prompt_rows < 1) e->o.prompt_rows = DEFAULT_PROMPT_ROWS;
    e->max_rows = e->o.batch + e->o.prompt_rows;
    return LOOM_OK;
}

static loom_status make_arrays(loom_engine *e, loom_err *err)
{
    size_t batch = (size_t)e->o.batch, floats = 0;

    e->slots = loom_calloc(batch, sizeof *e->slots);
    e->order = loom_calloc(batch, sizeof(loom_slot *));
    e->drawn = loom_calloc(batch, sizeof(loom_slot *));
    e->rows = loom_calloc((size_t)e->max_rows, sizeof *e->rows);
    if (!loom_mul_size(&floats, batch, (size_t)e->model->config.V)) return loom_fail_nomem(err, "logits");
    e->logits = loom_alloc(floats, sizeof(float));
    if (!e->slots || !e->order || !e->drawn || !e->rows || !e->logits) return loom_fail_nomem(err, "logits");
    for (int64_t i = 0; i < e->o.batch; i++) e->slots[i].seq = -1;
    return LOOM_OK;
}

loom_status loom_engine_new(loom_engine **out, const loom_llama *model, const loom_lora *lora,
                            const loom_tokenizer *tok, const loom_engine_options *o, loom_err *err)
{
    loom_engine *e = loom_calloc(1, sizeof *e);
    loom_status st;

    if (!e) return loom_fail_nomem(err, "the engine");
    e->o = *o;
    e->model = model;
    e->tok = tok;
    for (int i = 0; i < LOOM_ENGINE_PARKED; i++) e->parked[i].seq = -1;
    if ((st = check_sizes(e, err)) != LOOM_OK) goto done;
    if ((st = make_arrays(e, err)) != LOOM_OK) goto done;
    if (!(e->scratch = loom_tok_scratch_new(tok))) {
        st = loom_fail_nomem(err, "the engine");
        goto done;
    }
    loom_next_token_options co = {
        .V = model->config.V, .threads = loom_pool_threads(o->pool), .no_jump = o->no_jump, .config = &model->config};
    if ((st = loom_next_token_new(&e->next_token, tok, &co, err)) != LOOM_OK) goto done;
    loom_decode_options dopt = {.max_rows = e->max_rows,
                                .max_seqs = e->o.batch + LOOM_ENGINE_PARKED,
                                .positions = cache_positions(e),
                                .half_cache = o->half_cache,
                                .bf16_compute = o->bf16_compute,
                                .pool = o->pool};
    if ((st = loom_decode_new(&e->decode, model, lora, &dopt, err)) != LOOM_OK) goto done;
    e->face = (loom_completer){
        .room = e->o.batch, .submit = loom_engine_submit, .step = loom_engine_step, .cancel = loom_engine_cancel};
    *out = e;
    e = NULL;
done:
    loom_engine_free(e);
    return st;
}

void loom_engine_free(loom_engine *e)
{
    if (!e) return;
    if (e->decode) loom_decode_free(e->decode);
    for (int64_t i = 0; e->slots && i < e->o.batch; i++) loom_tokens_release(&e->slots[i].tokens);
    for (int i = 0; i < LOOM_ENGINE_PARKED; i++) loom_tokens_release(&e->parked[i].tokens);
    loom_tokens_release(&e->measured);
    loom_next_token_free(e->next_token);
    if (e->scratch) loom_tok_scratch_free(e->scratch);
    free(e->slots);
    free(e->order);
    free(e->drawn);
    free(e->rows);
    free(e->logits);
    free(e);
}

loom_completer *loom_engine_completer(loom_engine *e) { return &e->face; }

loom_engine_counts loom_engine_count(const loom_engine *e)
{
    loom_engine_counts counts = e->counts;

    counts.cache = loom_decode_cache(e->decode);
    return counts;
}

int64_t loom_engine_context(const loom_engine *e) { return e->o.context; }
