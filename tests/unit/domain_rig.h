/* A tiny model with random weights and a tokenizer for the tests of the engine: the tokenizer is learned on the
 * spot from the texts of two call graphs, or is any that is named. */
#ifndef LOOM_TESTS_DOMAIN_RIG_H
#define LOOM_TESTS_DOMAIN_RIG_H

#include "core/pool.h"
#include "model/llama.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/toktrain.h"
#include "trace/graph/record.h"
#include "trace/text/encode.h"
#include "trace/text/phrases.h"

typedef struct rig {
    loom_tokenizer *tok;
    loom_llama *model;
    loom_pool *pool;
} rig;

static const char *const records[] = {
    "00h00m00s000ms S_000000011 "
    "0|http|USER|MS_00001|ARRIVED_0|RT_31||0.1|rpc|MS_00001|MS_00002|ARRIVED_2|RT_20||0.1.1|db|"
    "MS_00002|MS_00009|ARRIVED_4|RT_3||0.2|mc|MS_00001|MS_00007|ARRIVED_25|RT_1",
    "00h00m00s000ms S_000000012 "
    "0|rpc|USER|MS_00003|ARRIVED_0|RT_9||0.1|mc|MS_00003|MS_00007|ARRIVED_1|RT_1||0.2|mq|MS_00003|"
    "MS_00004|ARRIVED_2|RT_2",
};

/* The records in every encoding, a few times over. */
static void corpus(loom_buf *into)
{
    loom_arena records_arena = {0}, arena = {0};
    loom_graph g;
    loom_verdict why;
    loom_err err;

    for (int mode = 0; mode < LOOM_MODES; mode++)
        for (uint64_t i = 0; i < 24; i++) {
            const char *line = records[i % 2];
            loom_encode_conf conf = {.mode = (loom_mode)mode};
            loom_rng rng;
            loom_arena_reset(&records_arena);
            loom_rng_seed(&rng, i, "corpus", 0);
            if (!loom_record_read(&g, &why, line, strlen(line), &records_arena)) continue;
            loom_encode_graph(into, &g, &(loom_facts){0}, &conf, &rng, &arena, &err);
        }
    loom_arena_release(&records_arena);
    loom_arena_release(&arena);
}

static loom_status domain_tokenizer(loom_tokenizer **out, loom_err *err)
{
    loom_toktrain_conf conf = {.name_tokens = 4, .min_count = 1};
    loom_toktrain *t = NULL;
    loom_buf phrases = {0}, text = {0}, json = {0};

    corpus(&text);
    loom_phrases_render(&phrases);
    loom_status st = loom_toktrain_new(&t, loom_buf_text(&phrases), phrases.len, 1, err);
    if (st == LOOM_OK) loom_toktrain_count(t, 0, 0, loom_buf_text(&text), text.len);
    if (st == LOOM_OK) st = loom_toktrain_finish(&json, NULL, t, &conf, err);
    if (st == LOOM_OK) st = loom_tokenizer_parse(out, json.data, json.len, "learned", err);
    loom_toktrain_free(t);
    loom_buf_release(&phrases);
    loom_buf_release(&text);
    loom_buf_release(&json);
    return st;
}

/* Two layers of 32: small, and large enough for choices to matter. */
static inline loom_config rig_small(int64_t positions)
{
    loom_config c;

    loom_config_default(&c);
    c.C = 32;
    c.L = 2;
    c.H = 4;
    c.K = 2;
    c.F = 48;
    c.max_positions = positions;
    return c;
}

/* tokenizer NULL: the learned one. c holds the sizes C, L, H, K, F and max_positions. Undone by release, also after a
 * failure. */
static inline loom_status rig_build(rig *r, const char *tokenizer, loom_config c, int threads, uint64_t seed,
                                    loom_err *err)
{
    *r = (rig){0};
    LOOM_TRY(tokenizer ? loom_tokenizer_load(&r->tok, tokenizer, err) : domain_tokenizer(&r->tok, err));
    LOOM_TRY(loom_pool_new(&r->pool, threads, err));
    c.V = loom_tokenizer_vocab_size(r->tok);
    c.init_range = 0.3; /* far from uniform: choices matter */
    LOOM_TRY(loom_config_check(&c, err));
    LOOM_TRY(loom_llama_new(&r->model, &c, err));
    loom_llama_init(r->model, seed);
    return LOOM_OK;
}

static inline void release(rig *r)
{
    loom_llama_free(r->model);
    loom_tokenizer_free(r->tok);
    loom_pool_free(r->pool);
}

#endif
