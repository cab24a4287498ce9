/* What a measured speed makes of a plan. */
#include "train/rehearsal.h"
#include "test.h"

TEST(plans)
{
    loom_rehearsal r = {.steps = 4, .rows = 16000, .seconds = 2}; /* 4,000 tokens a step, two steps a second */
    loom_time_plan p = loom_rehearsal_plan(&r, 1000, 0);
    CHECK_NEAR(p.tokens_per_s, 8000, 1e-6);
    CHECK_NEAR(p.seconds, 500, 1e-6);
    CHECK_NEAR(p.tokens, 4e6, 1e-6);
    p = loom_rehearsal_plan(&r, 0, 3); /* time alone ends it */
    CHECK_NEAR(p.seconds, 180, 1e-6);
    CHECK_NEAR(p.steps, 360, 0);
    p = loom_rehearsal_plan(&r, 100, 3); /* the least number is soon done: on until the time is up */
    CHECK_NEAR(p.seconds, 180, 1e-6);
    CHECK_NEAR(p.steps, 360, 0);
    p = loom_rehearsal_plan(&r, 1000, 3); /* too slow for the time */
    CHECK_NEAR(p.seconds, 500, 1e-6);
    CHECK_NEAR(p.steps, 1000, 0);
}

TEST(what_is_tried)
{
    CHECK(loom_rehearsal_is_short(8000000, 8000000, 4096));
    CHECK(!loom_rehearsal_is_short(7000000000, 7000000000, 4096));
    CHECK(!loom_rehearsal_is_short(7000000000, 1000000, 4096));
}

TEST_MAIN(RUN(plans) RUN(what_is_tried))
