/* The benchmarks of `loom-train bench` and `loom-infer bench` on a model of some thousand weights: what they measure is
 * there, and adds up. */
#include "test.h"

#include "model/blas.h"
#include "model/model_bench.h"
#include "unit/domain_rig.h"

static loom_config tiny(void)
{
    loom_config c = rig_small(16);
    loom_err err;
    c.V = 11;
    CHECK(loom_config_check(&c, &err) == LOOM_OK);
    return c;
}

static void check_steps(const loom_lora_config *lora, loom_optimizer_kind kind)
{
    loom_config c = tiny();
    loom_model_bench_options o = {.B = 2, .T = 8, .steps = 2, .optimizer = kind};
    loom_model_bench_result r;
    loom_buf text = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_model_bench(&r, &c, lora, &o, &err), err);
    CHECK_I64(r.params, (int64_t)(loom_llama_bytes(&c) / sizeof(float)));
    CHECK(lora ? r.trained < r.params : r.trained == r.params);
    CHECK(r.B == 2 && r.T == 8 && r.threads == 1 && r.acts_bytes > 0);
    CHECK(r.sgemm_gflops > 0 && r.step_s > 0 && r.tokens_per_s > 0 && r.model_gflops > 0 && r.cpu_s >= 0);
    CHECK(r.phase.ffn > 0 && r.phase.back_ffn > 0 && r.optimizer_s >= 0);
    loom_model_bench_report(&r, &text);
    CHECK(strstr(loom_buf_text(&text), "tokens/s"));
    loom_buf_release(&text);
}

TEST(steps_of_a_model) { check_steps(NULL, LOOM_OPTIMIZER_MUON); }

TEST(steps_of_an_adapter)
{
    loom_lora_config lora = {.R = 2, .alpha = 4, .targets = 1u << LOOM_ROLE_Q};
    check_steps(&lora, LOOM_OPTIMIZER_ADAMW);
}

TEST(decoding)
{
    loom_config c = tiny();
    loom_err err = {0};
    double rate = 0;

    REQUIRE_OK(loom_decode_bench(&rate, &c, 3, 8, false, NULL, &err), err);
    CHECK(rate > 0);
}

TEST(sizes_are_those_that_are_told)
{
    static const int64_t tenths[] = {58, 295, 11, 22}; /* of a million */
    for (int size = LOOM_BENCH_SMALL; size <= LOOM_BENCH_DESK; size++) {
        loom_config c;
        loom_err err = {0};
        loom_bench_config(&c, (loom_bench_size)size, 512);
        REQUIRE_OK(loom_config_check(&c, &err), err);
        CHECK_I64((int64_t)(loom_llama_bytes(&c) / sizeof(float) + 50000) / 100000, tenths[size]);
    }
}

TEST_MAIN(loom_blas_start(argc, argv);
          RUN(steps_of_a_model) RUN(steps_of_an_adapter) RUN(decoding) RUN(sizes_are_those_that_are_told))
