/* What anonymise is made of: the keyed hash, the coarse times, the counts of what is rare. */
#include "core/siphash.h"
#include "preprocess/private/blur.h"
#include "preprocess/private/hide_names.h"
#include "preprocess/private/rare_keys.h"
#include "test.h"
#include "trace/graph/record.h"
#include "trace/graph/validity.h"

/* The example of the paper's appendix A: key 00 01 .. 0f, input 00 01 .. 0e. */
TEST(siphash_of_the_paper)
{
    unsigned char input[15];
    for (int i = 0; i < 15; i++) input[i] = (unsigned char)i;
    loom_siphash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    CHECK(loom_siphash(key, input, 15) == 0xa129ca6149be45e5);
    CHECK(loom_siphash(key, input, 0) == 0x726fdb47dd0e0e31);
    CHECK(loom_siphash(key, input, 8) == 0x93f5f5799a932462);
}

TEST(coarse_times_keep_their_order)
{
    const loom_blur blurs[] = {{1, 0}, {5, 0}, {1, 0.1}, {20, 0.5}};
    for (size_t b = 0; b < sizeof blurs / sizeof *blurs; b++)
        for (int64_t t = -300; t < 3000; t++) {
            CHECK(loom_blur_time(&blurs[b], t) <= loom_blur_time(&blurs[b], t + 1));
            if (blurs[b].log_step <= 0) CHECK_I64(loom_blur_time(&blurs[b], t) % blurs[b].round_ms, 0);
        }
    CHECK_I64(loom_blur_time(&blurs[0], 17), 17);
    CHECK_I64(loom_blur_time(&blurs[1], -1), -5);
}

TEST(coarse_graphs_stay_valid)
{
    const char *line =
        "00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_97||0.1|rpc|MS_00001|MS_00002|"
        "ARRIVED_3|RT_94||0.1.1|db|MS_00002|MS_00003|ARRIVED_9|RT_88||0.2|mc|MS_00001|MS_00004|ARRIVED_96|RT_0";
    for (int64_t ms = 1; ms < 120; ms++) {
        loom_arena arena = {0};
        loom_graph g;
        loom_verdict why;
        CHECK(loom_record_read(&g, &why, line, strlen(line), &arena));
        loom_blur_graph(&(loom_blur){ms, ms % 2 ? 0.3 : 0}, &g);
        loom_graph_check(&why, &g);
        CHECK_I64(why.n, 0);
        for (int32_t i = 0; i < g.n_calls; i++) CHECK(g.calls[i].rt >= 0);
        loom_arena_release(&arena);
    }
}

static loom_graph graph_of(const char *line, loom_arena *arena)
{
    loom_graph g;
    loom_verdict why;
    CHECK(loom_record_read(&g, &why, line, strlen(line), arena));
    return g;
}

TEST(rare_in_graphs_not_in_calls)
{
    loom_arena arena = {0};
    loom_rare_keys keys = {0};
    loom_err err;
    loom_graph twice = graph_of("00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9||0.1|rpc|MS_1|MS_2|ARRIVED_1|RT_1||"
                                "0.2|rpc|MS_1|MS_2|ARRIVED_3|RT_1",
                                &arena);
    loom_graph once = graph_of("00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9", &arena);
    CHECK(loom_rare_keys_add(&keys, &twice, &err) == LOOM_OK && loom_rare_keys_add(&keys, &once, &err) == LOOM_OK);
    CHECK_I64(loom_rare_keys_service(&keys, "S_000000001"), 2);
    CHECK_I64(loom_rare_keys_microservice(&keys, "MS_00001"), 2);
    CHECK_I64(loom_rare_keys_microservice(&keys, "MS_00002"), 1);
    CHECK_I64(loom_rare_keys_find(&keys, &once, 2), LOOM_RARE_NONE);
    CHECK_I64(loom_rare_keys_find(&keys, &twice, 2), LOOM_RARE_OPERATION);
    CHECK_I64(loom_rare_keys_find(&keys, &twice, 1), LOOM_RARE_NONE);
    CHECK_I64(loom_rare_keys_find(&keys, &once, 3), LOOM_RARE_SERVICE);
    loom_rare_keys_release(&keys);
    loom_arena_release(&arena);
}

TEST(hidden_names)
{
    loom_rename by_key = {0}, again = {0}, drawn = {0};
    loom_intern names = {0}, fewer = {0};
    loom_buf a = {0}, b = {0};
    loom_siphash_key key = {1, 2};
    loom_err err;
    const char *texts[] = {"cart", "web", "USER", "pay"};
    for (int i = 0; i < 4; i++) CHECK(loom_intern_add(&names, texts[i], strlen(texts[i])) >= 0);
    CHECK(loom_intern_add(&fewer, "pay", 3) >= 0);
    CHECK(loom_hide_names(&by_key, LOOM_RENAME_MICROSERVICE, &names, &key, 1, &err) == LOOM_OK);
    CHECK(loom_hide_names(&again, LOOM_RENAME_MICROSERVICE, &fewer, &key, 2, &err) == LOOM_OK);
    CHECK(loom_hide_names(&drawn, LOOM_RENAME_MICROSERVICE, &names, NULL, 1, &err) == LOOM_OK);
    loom_rename_append(&by_key, LOOM_RENAME_MICROSERVICE, "pay", &a);
    loom_rename_append(&again, LOOM_RENAME_MICROSERVICE, "pay", &b);
    CHECK_STR(a.data, b.data); /* in whatever company */
    CHECK_I64((int64_t)a.len, 3 + 12);
    loom_buf_reset(&a);
    loom_rename_append(&drawn, LOOM_RENAME_MICROSERVICE, "USER", &a);
    CHECK_STR(a.data, "USER");
    for (int64_t n = 1; n <= 3; n++) CHECK(loom_rename_has(&drawn, LOOM_RENAME_MICROSERVICE, n));
    loom_rename_release(&by_key), loom_rename_release(&again), loom_rename_release(&drawn);
    loom_intern_release(&names), loom_intern_release(&fewer);
    loom_buf_release(&a), loom_buf_release(&b);
}

TEST_MAIN(RUN(siphash_of_the_paper) RUN(coarse_times_keep_their_order) RUN(coarse_graphs_stay_valid)
              RUN(rare_in_graphs_not_in_calls) RUN(hidden_names))
