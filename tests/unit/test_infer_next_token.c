/* Room under a constraint: whatever the model wishes, an answer that could be begun is completed within the tokens that
 * are left, what is kept in reserve stays unused, and no more than that is given away. */
#include "test.h"

#include "core/num.h"
#include "infer/engine/next_token.h"
#include "unit/domain_rig.h"

static const char prompt[] = "id:S_7/start_node:USER/num_edges:9/remaining_depth:3/num_current_edges:3/num_subgraphs:2/"
                             "latency:1234567\n<layer>\n<edges>\n";

typedef struct walk {
    rig r;
    loom_next_token *chooser;
    loom_automaton *guide;
    loom_job job;
    loom_tokens tokens;
    float *wish, *logits;
} walk;

/* A model that wants to write long: of what is allowed the shortest tokens, and among these in some order. */
static void wish_for_length(walk *w, uint64_t seed)
{
    loom_rng rng;
    loom_rng_seed(&rng, seed, "wish", 0);
    for (int32_t id = 0; id < w->r.model->config.V; id++) {
        size_t len = 0;
        loom_tokenizer_bytes(w->r.tok, id, &len);
        w->wish[id] = (float)(loom_rng_f64(&rng) - 3.0 * (double)len);
    }
}

static loom_status begin(walk *w, bool no_jump, loom_err *err)
{
    loom_automaton_conf conf = {
        .mode = LOOM_MODE_RECURSIVE, .full = true, .prompt = prompt, .prompt_len = sizeof prompt - 1};
    LOOM_TRY(rig_build(&w->r, NULL, rig_small(300), 1, 5, err));
    const loom_config *c = &w->r.model->config;
    loom_next_token_options o = {.V = c->V, .threads = 1, .no_jump = no_jump, .config = c};
    w->wish = calloc((size_t)c->V, sizeof *w->wish);
    w->logits = calloc((size_t)c->V, sizeof *w->logits);
    LOOM_TRY(loom_next_token_new(&w->chooser, w->r.tok, &o, err));
    LOOM_TRY(loom_next_token_prepare(w->chooser, err));
    LOOM_TRY(loom_automaton_new(&w->guide, &conf, err));
    w->job.guide = w->guide;
    return LOOM_OK;
}

/* One answer in at most `room` tokens. */
static void answer(walk *w, int64_t room)
{
    loom_buf_reset(&w->job.text);
    loom_tokens_reset(&w->tokens);
    w->job.n_tokens = 0;
    w->job.mask = (loom_mask_stats){0};
    loom_next_token_begin(w->chooser, &w->job);
    bool ended = false;
    for (int64_t left = room; !ended && left > 0; left = room - w->job.n_tokens) {
        memcpy(w->logits, w->wish, (size_t)w->r.model->config.V * sizeof *w->logits);
        ended = loom_next_token_choose(w->chooser, 0, &w->job, w->logits, &w->tokens, left);
    }
    CHECK(ended);
}

static void end(walk *w)
{
    loom_job_release(&w->job);
    loom_tokens_release(&w->tokens);
    loom_automaton_free(w->guide);
    loom_next_token_free(w->chooser);
    free(w->wish);
    free(w->logits);
    release(&w->r);
}

/* The fewest tokens that an answer leaves over, of rooms above `least`. */
static int64_t least_left(walk *w, int64_t least, int64_t longest)
{
    int64_t left = INT64_MAX;
    for (int64_t room = least + 1; room < longest + LOOM_NEXT_TOKEN_SLACK; room += 7) {
        answer(w, room);
        CHECK(w->job.stop == LOOM_STOP_STRING);
        CHECK_I64(w->tokens.n, w->job.n_tokens);
        left = loom_min_i64(left, room - w->job.n_tokens);
    }
    return left;
}

static void use_rooms(bool no_jump)
{
    walk w = {0};
    loom_err err = {0};
    int64_t least = 0;

    REQUIRE_OK(begin(&w, no_jump, &err), err);
    while (loom_next_token_fits(w.chooser, &w.job, least, &err) == LOOM_STATUS_ARG && least < 1000) least++;
    REQUIRE(strstr(err.msg, "are left of the context or of --max-tokens"));
    for (uint64_t seed = 1; seed <= 2; seed++) {
        wish_for_length(&w, seed);
        answer(&w, 100000);
        int64_t longest = w.job.n_tokens;
        REQUIRE(longest > 2 * least); /* there is something to give up */
        answer(&w, least);
        CHECK_I64(w.job.n_tokens, least - LOOM_NEXT_TOKEN_SLACK); /* the shortest one there is */
        CHECK_I64(least_left(&w, least, longest), LOOM_NEXT_TOKEN_SLACK);
    }
    end(&w);
}

TEST(rooms_are_used_up_to_the_reserve) { use_rooms(true); }
TEST(rooms_are_used_up_to_the_reserve_with_forced_text) { use_rooms(false); }

TEST_MAIN(RUN(rooms_are_used_up_to_the_reserve) RUN(rooms_are_used_up_to_the_reserve_with_forced_text))
