/* The call that a sample asks for with other microservices: which samples stay as they are, and that no two names
 * become one. Whole texts: cli/test_preprocess_balance. */
#include "preprocess/texts/swap_asked.h"
#include "test.h"
#include "trace/text/grammar.h"

#define REQUEST LOOM_TEXT_INCLUDE " MS_00001 to MS_00002 with rpc type\n"

static loom_intern names;
static loom_swap_asked swap = {.names = &names, .seed = 5};

static void know(const char *name) { CHECK(loom_intern_add(&names, name, strlen(name)) >= 0); }

static bool swapped(const char *prompt, const char *answer, uint64_t number)
{
    loom_buf text = {0};

    loom_buf_printf(&text, "%s%s", prompt, answer);
    bool done = loom_swap_asked_sample(&swap, text.data, text.len, strlen(prompt), number);
    CHECK(done == (swap.text.len > 0));
    loom_buf_release(&text);
    return done;
}

static int32_t times_swapped(const char *prompt, const char *answer)
{
    int32_t n = 0;
    for (uint64_t number = 0; number < 200; number++) n += swapped(prompt, answer, number);
    return n;
}

TEST(samples_that_stay)
{
    CHECK_I64(times_swapped(REQUEST, "destination is MS_00002"), 0); /* there is no other name yet */
    know("MS_00001"), know("MS_00002"), know("MS_00003");
    CHECK_I64(times_swapped("start_node:MS_00001\n", "destination is MS_00002"), 0);
    CHECK_I64(times_swapped(REQUEST, "destination is MS_00003"), 0);
    CHECK_I64(times_swapped("", REQUEST "destination is MS_00002"), 0);
    CHECK_I64(times_swapped(REQUEST, "MS_00002 MS_00003"), 0); /* every name is taken */
    CHECK_I64(times_swapped(LOOM_TEXT_INCLUDE " USER to S_000000002 with http type", "S_000000002"), 0);
}

TEST(by_half)
{
    int32_t n = times_swapped(REQUEST, "destination is MS_00002");
    CHECK(n > 70 && n < 130);
}

/* Both may become another name, and two are left: never the same one. */
TEST(one_to_one)
{
    int32_t both = 0;

    know("MS_00004");
    for (uint64_t number = 0; number < 200; number++) {
        if (!swapped("start_node:MS_00001\n" REQUEST, "destination is MS_00002", number)) continue;
        const char *text = loom_buf_text(&swap.text);
        both += !strstr(text, "MS_00001") && !strstr(text, "MS_00002");
        CHECK_I64(swap.text.len, strlen("start_node:MS_00001\n" REQUEST "destination is MS_00002"));
        const char *caller = text + strlen("start_node:"), *callee = strstr(text, "destination is ") + 15;
        CHECK(memcmp(caller, callee, 8) != 0);
        CHECK(memcmp(caller, strstr(text, "from ") + 5, 8) == 0);
        CHECK(memcmp(callee, strstr(text, " to ") + 4, 8) == 0);
    }
    CHECK(both > 20 && both < 90);
}

static void release(void)
{
    loom_swap_asked_release(&swap);
    loom_intern_release(&names);
}

TEST_MAIN(RUN(samples_that_stay) RUN(by_half) RUN(one_to_one) release();)
