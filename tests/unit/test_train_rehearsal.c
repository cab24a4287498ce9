/* What a measured speed makes of a plan. */
#include "test.h"
#include "train/rehearsal.h"

TEST(plans)
{
    loom_rehearsal r = {.steps = 4, .rows = 16000, .seconds = 2}; /* 4,000 tokens a step, two steps a second */
    loom_time_plan p = loom_rehearsal_plan(&r, NULL, 1000, 0);
    CHECK_NEAR(p.tokens_per_s, 8000, 1e-6);
    CHECK_NEAR(p.seconds, 500, 1e-6);
    CHECK_NEAR(p.tokens, 4e6, 1e-6);
    p = loom_rehearsal_plan(&r, NULL, 0, 3); /* time alone ends it */
    CHECK_NEAR(p.seconds, 180, 1e-6);
    CHECK_NEAR(p.steps, 360, 0);
    p = loom_rehearsal_plan(&r, NULL, 100, 3); /* the least number is soon done: on until the time is up */
    CHECK_NEAR(p.seconds, 180, 1e-6);
    CHECK_NEAR(p.steps, 360, 0);
    p = loom_rehearsal_plan(&r, NULL, 1000, 3); /* too slow for the time */
    CHECK_NEAR(p.seconds, 500, 1e-6);
    CHECK_NEAR(p.steps, 1000, 0);
}

/* By hand: 4 ranks take two of eight shards each; 1.5 gradients of 1,000,000 floats and 3/4 of Muon's at 1 Gbit/s. */
TEST(ranks_on_a_network)
{
    loom_rehearsal r = {.steps = 2,
                        .rows = 8000,
                        .seconds = 2,
                        .gradient = 1.6,
                        .update = .3,
                        .muon = .2,
                        .floats = 1000000,
                        .muon_floats = 400000};
    loom_network net = {.ranks = 4, .shards = 8, .gbits = 1, .latency = 1e-3};
    loom_rank_step s = loom_rehearsal_ranks(&r, &net);

    CHECK_NEAR(s.gradient, .2, 1e-12);
    CHECK_NEAR(s.update, .1 + .1 / 4, 1e-12); /* what is no gradient and not Muon's; Muon's share */
    CHECK_NEAR(s.bytes, 4 * (1.5e6 + .75 * 4e5), 1e-6);
    CHECK_NEAR(s.exchange, 8 * s.bytes / 1e9 + 6 * 1e-3, 1e-12);
    CHECK_NEAR(loom_rehearsal_plan(&r, &net, 10, 0).seconds, 10 * (s.gradient + s.update + s.exchange), 1e-9);
    net = (loom_network){.ranks = 3, .shards = 8, .gbits = 1};
    CHECK_NEAR(loom_rehearsal_ranks(&r, &net).gradient, .8 * 3 / 8, 1e-12); /* the busiest has three of eight */
    net.ranks = 1;
    CHECK_NEAR(loom_rehearsal_ranks(&r, &net).exchange, 0, 0);
}

TEST(what_is_tried)
{
    CHECK(loom_rehearsal_is_short(8000000, 8000000, 4096));
    CHECK(!loom_rehearsal_is_short(7000000000, 7000000000, 4096));
    CHECK(!loom_rehearsal_is_short(7000000000, 1000000, 4096));
}

TEST_MAIN(RUN(plans) RUN(ranks_on_a_network) RUN(what_is_tried))
