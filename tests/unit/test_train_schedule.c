#include "train/schedule.h"

#include "core/json.h"
#include "store/safetensors.h"
#include "test.h"

/* The rates that the reference used, for every golden case. */
static void golden_case(const char *name)
{
    char path[300];
    loom_json *root = NULL;
    loom_safetensors *st = NULL;
    loom_err err = {0};
    loom_schedule s = {.kind = LOOM_SCHEDULE_COSINE};
    float lr[4];

    snprintf(path, sizeof path, "%s/tests/golden/llama/%s/train.json", LOOM_SOURCE_DIR, name);
    REQUIRE_OK(loom_json_read_file(&root, path, 1 << 20, &err), err);
    s.peak = loom_json_f64(loom_json_get(root, "lr"), 0);
    s.warmup = loom_json_i64(loom_json_get(root, "warmup_steps"), 0);
    s.steps = loom_json_i64(loom_json_get(root, "total_steps"), 0);
    loom_json_free(root);
    snprintf(path, sizeof path, "%s/tests/golden/llama/%s/expected.safetensors", LOOM_SOURCE_DIR, name);
    REQUIRE_OK(loom_safetensors_open(&st, path, &err), err);
    const loom_tensor_view *v = loom_safetensors_find(st, "steps.lr");
    REQUIRE(v && v->count == 4);
    loom_dtype_to_f32(lr, v->data, v->dtype, 4);
    for (int i = 0; i < 4; i++) CHECK((float)loom_schedule_lr(&s, i + 1) == lr[i]);
    loom_safetensors_close(&st);
}

TEST(golden)
{
    golden_case("mha-untied");
    golden_case("lora-qv");
    golden_case("gqa-untied-masked");
}

TEST(ends)
{
    loom_schedule s = {.kind = LOOM_SCHEDULE_COSINE, .peak = 1, .floor = 0.1, .warmup = 10, .steps = 110};

    CHECK_NEAR(loom_schedule_lr(&s, 1), 0.1, 1e-15);
    CHECK_NEAR(loom_schedule_lr(&s, 10), 1, 1e-15);
    CHECK_NEAR(loom_schedule_lr(&s, 60), 0.55, 1e-12);
    CHECK_NEAR(loom_schedule_lr(&s, 110), 0.1, 1e-15);
    CHECK_NEAR(loom_schedule_lr(&s, 200), 0.1, 1e-15);
    CHECK_NEAR(loom_schedule_lr_timed(&s, 5, 0.7), 0.5, 1e-15);
    CHECK_NEAR(loom_schedule_lr_timed(&s, 50, 0.5), 0.55, 1e-12);
    CHECK_NEAR(loom_schedule_lr_timed(&s, 50, 1.5), 0.1, 1e-15);
    s.kind = LOOM_SCHEDULE_LINEAR;
    s.floor = 0;
    CHECK_NEAR(loom_schedule_lr(&s, 35), 0.75, 1e-12);
    s.kind = LOOM_SCHEDULE_CONSTANT;
    CHECK(loom_schedule_lr(&s, 110) == 1);
    s = (loom_schedule){.kind = LOOM_SCHEDULE_WSD, .peak = 1, .floor = 0.1, .warmup = 10, .steps = 110};
    CHECK(loom_schedule_lr(&s, 70) == 1);
    CHECK_NEAR(loom_schedule_lr(&s, 90), 0.55, 1e-12);
    CHECK_NEAR(loom_schedule_lr(&s, 110), 0.1, 1e-15);
    s = (loom_schedule){.kind = LOOM_SCHEDULE_COSINE, .peak = 1, .warmup = 0, .steps = 1};
    CHECK(loom_schedule_lr(&s, 1) == 0);
    s = (loom_schedule){.kind = LOOM_SCHEDULE_COSINE, .peak = 1, .warmup = 5, .steps = 5};
    CHECK(loom_schedule_lr(&s, 5) == 1);
}

TEST_MAIN(RUN(golden) RUN(ends))
