/* What PEFT's target_modules mean for a Llama. */
#include "model/model_files.h"
#include "model/peft_targets.h"
#include "test.h"

enum { Q = 1, K = 2, V = 4, O = 8, GATE = 16, UP = 32, DOWN = 64 };

static void means(const char *text, bool whole, unsigned want)
{
    unsigned bits = 0;
    loom_err err = {0};
    loom_status st = loom_peft_targets(&bits, text, whole, "a.json", &err);
    if (st != LOOM_OK) TEST_FAIL_("\"%s\": %s", text, err.msg);
    CHECK_I64(bits, want);
}

static void refused(const char *text, bool whole, const char *why)
{
    unsigned bits = 0;
    loom_err err = {0};
    CHECK(loom_peft_targets(&bits, text, whole, "a.json", &err) == LOOM_STATUS_FORMAT);
    if (!strstr(err.msg, "a.json") || !strstr(err.msg, text) || !strstr(err.msg, why))
        TEST_FAIL_("%s: %s", text, err.msg);
}

TEST(names_and_dotted_paths)
{
    means("q_proj", false, Q);
    means("self_attn.v_proj", false, V);
    means("mlp.down_proj", false, DOWN);
    means("all-linear", true, Q | K | V | O | GATE | UP | DOWN);
    means("q,v", true, Q | V);
    refused("model.layers.3.self_attn.q_proj", false, "all layers alike");
    refused("attn.q_proj", false, "no matrix of a Llama"); /* a part of a component is none */
    refused("query_key_value", false, "no matrix of a Llama");
    refused("lm_head", false, "lm_head");
}

TEST(regular_expressions)
{
    means(".*\\.(q_proj|v_proj)", true, Q | V);
    means("model\\.layers\\.\\d+\\.self_attn\\.(?:q|k|v|o)_proj$", true, Q | K | V | O);
    means(".*_proj", true, Q | K | V | O | GATE | UP | DOWN);
    means("^.*?mlp.(gate|up)_proj", true, GATE | UP);
    means(".*\\.[qv]_proj", true, Q | V);
    refused(".*", true, "lm_head");
    refused(".*proj.", true, "no matrix");
    refused("model\\.layers\\.[0-9]\\.self_attn\\.q_proj", true, "all layers alike");
    refused("(?!.*mlp).*_proj", true, "list"); /* looks ahead */
    refused(".*(q_proj", true, "list");        /* no expression */
    refused("(a{9999}){9999}", true, "list");  /* huge */
    refused(".*\\bq_proj", true, "list");
}

static void config_refused(const char *more, const char *why)
{
    loom_buf text = {0};
    loom_lora_config c;
    loom_err err = {0};

    loom_buf_printf(
        &text, "{\"peft_type\": \"LORA\", \"r\": 8, \"lora_alpha\": 16, \"target_modules\": [\"q_proj\"]%s}", more);
    loom_status st = loom_peft_config_parse(&c, text.data, text.len, "a.json", &err);
    CHECK(st == (why ? LOOM_STATUS_FORMAT : LOOM_OK));
    CHECK(!why || strstr(err.msg, why));
    loom_buf_release(&text);
}

TEST(what_is_not_honoured_is_named)
{
    config_refused("", NULL);
    config_refused(", \"layer_replication\": null, \"exclude_modules\": []", NULL);
    config_refused(", \"layer_replication\": [[0, 4], [2, 5]]", "layer_replication");
    config_refused(", \"exclude_modules\": \".*mlp.*\"", "exclude_modules");
    config_refused(", \"target_parameters\": [\"x\"]", "target_parameters");
}

TEST_MAIN(RUN(names_and_dotted_paths) RUN(regular_expressions) RUN(what_is_not_honoured_is_named))
