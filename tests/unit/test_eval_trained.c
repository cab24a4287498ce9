/* The line that says how a model was trained: every fact that is known and none that is not. */
#include "core/json.h"
#include "eval/answers/trained.h"
#include "test.h"

static void check_line(const char *meta, const char *want)
{
    loom_json *root = NULL;
    loom_buf line = {0};
    loom_err err;
    REQUIRE_OK(loom_json_parse(&root, meta, strlen(meta), "meta", &err), err);
    loom_trained_from_meta(&line, root);
    CHECK_STR(loom_buf_text(&line), want);
    loom_buf_release(&line);
    loom_json_free(root);
}

TEST(training_file)
{
    check_line(
        "{\"model_training\":{\"steps\":1021,\"tokens\":1800000,\"seconds\":181.2,\"machines\":[{\"threads\":2,\"cpu\":\"AMD EPYC\"}],"
        "\"products\":\"bf16\",\"start\":{\"from\":\"base model\",\"path\":\"x/base.h5\",\"digest\":\"1a2b3c4d5e6f7081\"}}}",
        "from the base model (digest 1a2b3c4d), 3.0 min on 2 threads of AMD EPYC, 1.8 M tokens, 1,021 steps, bf16");
    check_line(
        "{\"model_training\":{\"steps\":1,\"tokens\":90,\"seconds\":3.4,\"machines\":[{\"threads\":1},{\"threads\":8,\"cpu\":\"Z\"}],"
        "\"products\":\"f32\",\"kept_step\":0,\"start\":{\"from\":\"random weights\"}}}",
        "from random weights, 3 s on 1 thread and 8 threads of Z, 90 tokens, 1 step (best at 0), f32");
}

TEST(several_processes)
{
    check_line(
        "{\"model_training\":{\"steps\":1,\"tokens\":90,\"seconds\":3.4,\"machines\":[{\"threads\":2,\"ranks\":4,\"cpu\":\"Z\"}],"
        "\"products\":\"f32\",\"start\":{\"from\":\"random weights\"}}}",
        "from random weights, 3 s on 4 processes of 2 threads of Z, 90 tokens, 1 step, f32");
}

TEST(one_after_another)
{
    check_line(
        "{\"model_training\":{\"steps\":9,\"seconds\":60,\"start\":{\"from\":\"model\",\"path\":\"out/a.pretrain/model.h5\",\"digest\":\"0011223344\","
        "\"training\":{\"steps\":7,\"tokens\":5,\"seconds\":120,\"machines\":[{\"threads\":2}],\"products\":\"f32\","
        "\"start\":{\"from\":\"random weights\"}}}}}",
        "from a.pretrain (digest 00112233), 1.0 min, 9 steps; before that from random weights, 2.0 min, 5 tokens");
}

/* Without training.json: what the model says of itself; it knows no times. */
TEST(model_alone)
{
    check_line(
        "{\"model_step\":2000,\"model_meta\":{\"subcommand\":\"pretrain\",\"options\":{\"init\":\"\",\"base-model\":\"none\"}}}",
        "from random weights, 2,000 steps");
    check_line(
        "{\"model_step\":5,\"model_meta\":{\"subcommand\":\"sft\",\"options\":{\"base-model\":\"b.h5\"},\"base\":\"b.h5\","
        "\"base_digest\":\"abcdef0123456789\"}}",
        "from the base model (digest abcdef01), 5 steps");
    check_line(
        "{\"model_step\":5,\"model_meta\":{\"subcommand\":\"sft\",\"options\":{\"base\":\"runs/r/\"},\"base\":\"runs/r/\"}}",
        "from r, 5 steps");
    check_line(
        "{\"model_step\":-1,\"model_meta\":{\"subcommand\":\"adapt\",\"base\":\"b.h5\",\"base_digest\":\"abcdef0123456789\"}}",
        "the base model (digest abcdef01) with other names, no training on these graphs");
    check_line("{\"model_step\":3,\"model_meta\":{\"subcommand\":\"average\"}}", "");
    check_line("{\"model_step\":3,\"model_meta\":{\"subcommand\":\"pretrain\"}}",
               "3 steps"); /* an old one: from what is not said */
    check_line("{}", "");
}

/* Whoever wrote the file: no sequences for a terminal, no facts of the wrong type. */
TEST(hostile)
{
    check_line(
        "{\"model_training\":{\"steps\":\"9\",\"tokens\":null,\"seconds\":\"x\",\"machines\":[{\"threads\":2,\"cpu\":\"no time\"}],"
        "\"products\":\"\\u001b[31m\",\"start\":{\"from\":\"model\",\"path\":\"a/\\u001b]0;x\",\"digest\":7}}}",
        "from \\x1b]0;x, \\x1b[31m");
    check_line("{\"model_training\":[]}", "");
    check_line("{\"model_training\":{\"machines\":{},\"start\":[]}}", "");
}

TEST_MAIN(RUN(training_file) RUN(several_processes) RUN(one_after_another) RUN(model_alone) RUN(hostile))
