/* The format part of the domain tokenizer: every phrase of every encoding is one token, and it stays what it is. */
#include "core/rng.h"
#include "test.h"
#include "tokenizer/pretok.h"
#include "tokenizer/tokformat.h"
#include "tokenizer/toktrain.h"
#include "trace/request/prompt.h"
#include "trace/text/downstream_task.h"
#include "trace/text/phrases.h"
#include "trace_random.h"

static loom_tokenizer *format_only(void)
{
    loom_toktrain *t = NULL;
    loom_toktrain_conf conf = {.name_tokens = 0, .min_count = 1};
    loom_buf phrases = {0}, json = {0};
    loom_tokenizer *tok = NULL;
    loom_err err = {0};
    loom_phrases_render(&phrases);
    loom_status st = loom_toktrain_new(&t, phrases.data, phrases.len, 1, &err);
    if (st == LOOM_OK) loom_toktrain_count(t, 0, 0, "rpc", 3);
    if (st == LOOM_OK) st = loom_toktrain_finish(&json, NULL, t, &conf, &err);
    if (st == LOOM_OK) st = loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err);
    if (st != LOOM_OK) TEST_FAIL_("%s", err.msg);
    loom_toktrain_free(t);
    loom_buf_release(&phrases);
    loom_buf_release(&json);
    return tok;
}

/* A model can start from another's weights only where the format parts are equal: a change of the grammar that shows
 * here makes the models in checkpoints/ useless. Make them anew, then write the new figures here. */
TEST(stays_what_it_is)
{
    char digest[33];
    loom_tokenizer *tok = format_only();
    REQUIRE(tok);
    CHECK_I64(loom_tokenizer_format_size(tok), loom_tokenizer_vocab_size(tok));
    CHECK_I64(loom_tokenizer_format_size(tok), 368);
    loom_tokenizer_format_digest(tok, digest);
    CHECK_STR(digest, "c0fcaaa1a3765f4f9411c5dd2f1f4711");
    loom_tokenizer_free(tok);
}

typedef struct search {
    loom_tokenizer *tok;
    loom_tok_scratch *scratch;
    loom_tokens tokens;
    int64_t pieces, spelt;
    const char *where;
} search;

static void look_at(void *arg, const char *text, size_t start, size_t len)
{
    search *s = arg;
    s->pieces++;
    if (len == 1 || loom_tok_name_of(text + start, len) != LOOM_TOK_NAME_NONE) return;
    loom_tokens_reset(&s->tokens);
    loom_tokenizer_encode(&s->tokens, s->tok, s->scratch, text + start, len, LOOM_ENCODE_PLAIN);
    if (s->tokens.n != 1 && ++s->spelt < 4) TEST_FAIL_("%s: \"%.*s\" is no token", s->where, (int)len, text + start);
}

static void look_through(search *s, const loom_buf *text)
{
    loom_err err = {0};
    loom_pretok *p = NULL;
    REQUIRE_OK(loom_pretok_new(&p, LOOM_PATTERN_DOMAIN, &err), err);
    loom_pretok_scratch *scratch = loom_pretok_scratch_new(p);
    loom_pretok_run(p, scratch, text->data, text->len, look_at, s);
    loom_pretok_scratch_free(scratch);
    loom_pretok_free(p);
}

static bool one_in_five(const void *ctx, const char *service, const char *source, loom_call_type type,
                        const char *destination)
{
    (void)ctx, (void)service, (void)source, (void)type;
    return destination[strlen(destination) - 1] % 5 == 0;
}

static void put_samples(loom_buf *into, const loom_graph *g, const loom_facts *facts, loom_mode mode, loom_rng *rng,
                        loom_arena *arena)
{
    loom_err err = {0};
    loom_encode_conf conf = {.mode = mode,
                             .policy = loom_rng_chance(rng, 0.8) ? LOOM_DRAW_RANDOM : LOOM_DRAW_ALL,
                             .no_intermediate = loom_rng_chance(rng, 0.2),
                             .no_finish = loom_rng_chance(rng, 0.2),
                             .listed_items = loom_rng_chance(rng, 0.5)};
    REQUIRE_OK(loom_encode_graph(into, g, facts, &conf, rng, arena, &err), err);
    loom_prompt_conf ask = {
        .mode = mode, .match_training = loom_rng_chance(rng, 0.5), .high_latency = loom_rng_chance(rng, 0.3)};
    loom_arena_reset(arena);
    REQUIRE_OK(loom_request_root_prompt(into, g, facts, &ask, rng, arena, &err), err);
}

static void put_task(loom_buf *into, const loom_graph *g, const loom_facts *facts, loom_mode mode, loom_rng *rng,
                     loom_arena *arena)
{
    loom_err err = {0};
    loom_buf question = {0}, answer = {0};
    bool made = false;
    loom_downstream_view view = {.graph = g, .form = mode, .rng = rng, .arena = arena};
    loom_arena_reset(arena);
    REQUIRE_OK(loom_downstream_make(&question, &answer, &made,
                                    (loom_downstream_task)loom_rng_below(rng, LOOM_DOWNSTREAM_TASKS), &view, facts, 40,
                                    &err),
               err);
    if (made) loom_downstream_render_sample(into, loom_buf_text(&question), loom_buf_text(&answer));
    loom_buf_release(&question);
    loom_buf_release(&answer);
}

TEST(every_phrase_is_a_token)
{
    loom_facts facts = {.has_latency = true, .p90 = 2000, .mean = 1000, .is_rare = one_in_five};
    loom_arena graphs = {0}, arena = {0};
    loom_buf text = {0};
    loom_rng rng;
    search s = {.tok = format_only()};
    REQUIRE(s.tok);
    s.scratch = loom_tok_scratch_new(s.tok);
    loom_rng_seed(&rng, 7, "format", 0);
    for (int i = 0; i < 600; i++) {
        loom_graph g;
        loom_mode mode = (loom_mode)(i % LOOM_MODES);
        loom_arena_reset(&graphs);
        random_graph_fill(&g, &rng, &graphs, 1 + (int32_t)loom_rng_below(&rng, 6),
                          1 + (int32_t)loom_rng_below(&rng, i % 10 == 0 ? 60 : 8));
        loom_buf_reset(&text);
        put_samples(&text, &g, i % 7 ? &facts : NULL, mode, &rng, &arena);
        put_task(&text, &g, &facts, mode, &rng, &arena);
        s.where = loom_mode_names[mode];
        look_through(&s, &text);
    }
    CHECK(s.pieces > 200000);
    CHECK_I64(s.spelt, 0);
    loom_tok_scratch_free(s.scratch);
    loom_tokens_release(&s.tokens);
    loom_tokenizer_free(s.tok);
    loom_buf_release(&text);
    loom_arena_release(&graphs);
    loom_arena_release(&arena);
}

TEST_MAIN(RUN(stays_what_it_is) RUN(every_phrase_is_a_token))
