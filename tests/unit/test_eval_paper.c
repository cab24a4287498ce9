/* What the paper reports, and which side of its bound ours is on. */
#include <math.h>
#include <string.h>

#include "eval/pages/paper.h"
#include "test.h"

/* The line of the manifest that a comparison makes. */
static bool line_has(loom_paper_finding finding, const char *what, double value, const char *text)
{
    loom_results r = {0};
    loom_paper_compare(&r, finding, what, value, "ours", "note");
    bool has = strstr(loom_buf_text(&r.summary), text) != NULL;
    loom_buf_release(&r.summary);
    return has;
}

TEST(verdicts)
{
    CHECK(line_has(LOOM_PAPER_EVERY_DEPTH, NULL, 0.76, "\"same_direction\":true"));
    CHECK(line_has(LOOM_PAPER_EVERY_DEPTH, NULL, 0.75, "\"same_direction\":false"));
    CHECK(line_has(LOOM_PAPER_TABULAR_LARGE, NULL, 0.24, "\"same_direction\":true"));
    CHECK(line_has(LOOM_PAPER_TABULAR_LARGE, NULL, 0.25, "\"same_direction\":false"));
    CHECK(line_has(LOOM_PAPER_TABULAR_DEEP, NULL, 0.09, "\"same_direction\":true"));
    CHECK(line_has(LOOM_PAPER_TABULAR_DEEP, NULL, 0.11, "\"same_direction\":false"));
    CHECK(line_has(LOOM_PAPER_EMD_RATIO, "it", 1.1, "\"same_direction\":true"));
    CHECK(line_has(LOOM_PAPER_EMD_RATIO, "it", 0.9, "\"same_direction\":false"));
    for (int f = LOOM_PAPER_LAYERS_GAIN; f <= LOOM_PAPER_FOLLOWED; f++) {
        CHECK(line_has((loom_paper_finding)f, "it", 1, "\"same_direction\":true"));
        CHECK(line_has((loom_paper_finding)f, "it", -1, "\"same_direction\":false"));
    }
    for (int f = 0; f < LOOM_PAPER_FINDINGS; f++) {
        CHECK(!line_has((loom_paper_finding)f, "it", NAN, "same_direction"));
        CHECK(line_has((loom_paper_finding)f, "this one", 1, "this one"));
    }
}

TEST(numbers_of_methods)
{
    CHECK(strcmp(loom_paper_number(LOOM_PAPER_KL, "probabilistic"), "3.84") == 0);
    CHECK(strcmp(loom_paper_number(LOOM_PAPER_HEAVY_500, "instruction"), "65 %") == 0);
    CHECK(strcmp(loom_paper_number(LOOM_PAPER_HEAVY_500, "probabilistic"), "23 %") == 0);
    CHECK(loom_paper_number(LOOM_PAPER_HEAVY_50, "probabilistic") == NULL);
    CHECK(loom_paper_number(LOOM_PAPER_COPIES, "mine") == NULL);
}

TEST_MAIN(RUN(verdicts) RUN(numbers_of_methods))
