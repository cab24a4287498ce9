/* JSON from outside with one thing in it changed, for every reader of lib: each variant is taken or refused with a
 * sentence; none crashes, none leaks, and a document that was taken is used as any other. */
#include "unit/json_variants.h"

#include "model/config.h"
#include "model/peft_config.h"
#include "readers/spans/spans.h"
#include "store/safetensors.h"
#include "system/topology_draw.h"
#include "system/topology_export.h"
#include "tokenizer/tokenizer.h"
#include "trace/graph/record.h"
#include "trace/graph/stats.h"

/* ---- topology ---- */

static loom_status add_graph(loom_system_tally *t, const char *line, loom_err *err)
{
    loom_arena arena = {0};
    loom_graph g;
    loom_verdict why;
    CHECK(loom_record_read(&g, &why, line, strlen(line), &arena));
    loom_status st = loom_system_tally_add(t, &g, err);
    loom_arena_release(&arena);
    return st;
}

static loom_status read_topology(const char *text, size_t len, loom_err *err)
{
    loom_topology *t = NULL;
    LOOM_TRY(loom_topology_parse(&t, text, len, "x.json", err));
    CHECK(t->n_operations > 0 && t->graphs > 0);
    loom_topology_free(t);
    return LOOM_OK;
}

TEST(topologies)
{
    static const char *const lines[] = {
        "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_10||0.1|mc|MS_1|MS_2|ARRIVED_2|RT_1||0.2|db|MS_1|MS_3|ARRIVED_3|RT_4",
        "00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_9||0.1|mc|MS_1|MS_2|ARRIVED_2|RT_1||0.2|mc|MS_1|MS_2|ARRIVED_2|RT_4"};
    loom_system_tally t = {0};
    loom_buf text = {0};
    loom_topology_conf conf = {.min_count = 5};
    loom_err err = {0};
    for (int i = 0; i < 20; i++) CHECK(add_graph(&t, lines[i % 7 == 0], &err) == LOOM_OK);
    REQUIRE_OK(loom_topology_render(&text, &t, &conf, "{}", &err), err);
    CHECK(json_variants("a topology", text.data, text.len, read_topology) > 500);
    loom_system_tally_release(&t);
    loom_buf_release(&text);
}

/* ---- statistics ---- */

static loom_status read_stats(const char *text, size_t len, loom_err *err)
{
    loom_stats *s = NULL;
    loom_buf again = {0};
    LOOM_TRY(loom_stats_parse(&s, text, len, "stats.json", err));
    loom_stats_render(s, &again);
    CHECK(again.len > 10);
    loom_buf_release(&again);
    loom_stats_free(s);
    return LOOM_OK;
}

TEST(statistics)
{
    static const char text[] =
        "{\"format\": \"spanloom-stats-1\", \"graphs\": {\"S_1\": 40, \"S_2\": 7},"
        "\"latency\": {\"S_1\": {\"max\": 9, \"p90\": 8, \"mean\": 4.5}, \"S_2\": {\"max\": 3, \"p90\": 3, \"mean\": 3}},"
        "\"infilling\": {\"S_1|MS_1|rpc\": {\"MS_2\": 12, \"MS_3\": 2}, \"S_2|MS_4|db\": {\"MS_5\": 1}}}";
    CHECK(json_variants("statistics", text, sizeof text - 1, read_stats) > 50);
}

/* ---- models ---- */

static loom_status read_config(const char *text, size_t len, loom_err *err)
{
    loom_json *root = NULL;
    loom_config c;
    loom_buf again = {0};
    LOOM_TRY(loom_json_parse(&root, text, len, "config.json", err));
    loom_status st = loom_config_from_json(&c, root, err);
    loom_json_free(root);
    if (st != LOOM_OK) return st;
    CHECK(c.C > 0 && c.H > 0 && c.H % c.K == 0 && c.L > 0 && c.V > 0 && loom_config_params(&c) > 0);
    loom_config_write(&c, "float32", &again);
    loom_buf_release(&again);
    return LOOM_OK;
}

TEST(configurations_of_models)
{
    static const char head[] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_act\": \"silu\","
        "\"max_position_embeddings\": 256, \"torch_dtype\": \"float32\", \"hidden_size\": 72,"
        "\"num_hidden_layers\": 3, \"num_attention_heads\": 6, \"num_key_value_heads\": 2,"
        "\"intermediate_size\": 200, \"vocab_size\": 131, \"rope_theta\": 500000.0, \"head_dim\": 12,"
        "\"bos_token_id\": 1, \"pad_token_id\": 0, \"attention_bias\": false, \"mlp_bias\": false,"
        "\"tie_word_embeddings\": true, \"rms_norm_eps\": 1e-05, \"initializer_range\": 0.02, ";
    static const char *const tails[] = {
        "\"eos_token_id\": [2, 3], \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 32.0, \"low_freq_factor\": 1.0,"
        "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 64}}",
        "\"eos_token_id\": 2, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}}",
        "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 10000.0}}"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        loom_buf text = {0};
        loom_buf_printf(&text, "%s%s", head, tails[i]);
        CHECK(json_variants("a config.json", text.data, text.len, read_config) > 100);
        loom_buf_release(&text);
    }
}

static loom_status read_peft(const char *text, size_t len, loom_err *err)
{
    loom_lora_config c;
    LOOM_TRY(loom_peft_config_parse(&c, text, len, "adapter_config.json", err));
    CHECK(c.targets); /* its numbers are checked where the model is known */
    return LOOM_OK;
}

TEST(configurations_of_adapters)
{
    static const char *const texts[] = {
        "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"lora_dropout\": 0.1, \"bias\": \"none\", \"use_rslora\": false,"
        "\"target_modules\": [\"q_proj\", \"v_proj\"], \"rank_pattern\": {}, \"modules_to_save\": null, \"use_dora\": false}",
        "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": \"all-linear\", \"fan_in_fan_out\": false}",
        "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": \".*(q|k)_proj\", \"layers_to_transform\": null}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK(json_variants("an adapter_config.json", texts[i], strlen(texts[i]), read_peft) > 10);
}

static loom_status read_tensors(const char *text, size_t len, loom_err *err)
{
    loom_safetensors *s = NULL;
    loom_buf file = {0};
    uint64_t n = len;
    loom_buf_append(&file, &n, 8);
    loom_buf_append(&file, text, len);
    for (int i = 0; i < 12; i++) loom_buf_char(&file, (char)i);
    loom_status st = loom_safetensors_open_bytes(&s, file.data, file.len, "x.safetensors", err);
    for (size_t i = 0; st == LOOM_OK && i < loom_safetensors_count(s); i++) {
        const loom_tensor_view *t = loom_safetensors_at(s, i);
        CHECK((const char *)t->data >= file.data && (const char *)t->data + t->bytes <= file.data + file.len);
        CHECK(loom_safetensors_find(s, t->name) == t);
    }
    loom_safetensors_close(&s);
    loom_buf_release(&file);
    return st;
}

TEST(heads_of_tensors)
{
    static const char text[] =
        "{\"__metadata__\": {\"format\": \"pt\"}, \"a\": {\"dtype\": \"F32\", \"shape\": [2, 1], \"data_offsets\": [0, 8]},"
        "\"b\": {\"dtype\": \"F16\", \"shape\": [2], \"data_offsets\": [8, 12]},"
        "\"none\": {\"dtype\": \"F16\", \"shape\": [0], \"data_offsets\": [8, 8]}}";
    CHECK(json_variants("a safetensors head", text, sizeof text - 1, read_tensors) > 100);
}

/* ---- tokenizers ---- */

static loom_status read_tokenizer(const char *text, size_t len, loom_err *err)
{
    loom_tokenizer *tok = NULL;
    loom_tokens ids = {0};
    LOOM_TRY(loom_tokenizer_parse(&tok, text, len, "tokenizer.json", err));
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    loom_tokenizer_encode(&ids, tok, scratch, "a b<s>", 6, 0);
    loom_tokens_release(&ids);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
    return LOOM_OK;
}

/* Without its 256 bytes a tokenizer is refused in any case, so that the parts are left: the variants of one that is
 * whole are of these parts only. */
static loom_buf bytes_;

static loom_status read_parts(const char *text, size_t len, loom_err *err)
{
    static const char hole[] = "\"HOLE\":0";
    loom_buf whole = {0};
    const char *at = memmem(text, len, hole, sizeof hole - 1);
    if (!at) return loom_fail(err, LOOM_STATUS_FORMAT, "no vocabulary");
    loom_buf_append(&whole, text, (size_t)(at - text));
    loom_buf_append(&whole, bytes_.data, bytes_.len);
    loom_buf_str(&whole, at + sizeof hole - 1);
    loom_status st = read_tokenizer(whole.data, whole.len, err);
    loom_buf_release(&whole);
    return st;
}

TEST(tokenizers)
{
    static const char text[] =
        "{\"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": true, \"lstrip\": false}], \"normalizer\": {\"type\": \"Sequence\","
        "\"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"\xE2\x96\x81\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"},"
        "\"content\": \"\xE2\x96\x81\"}]}, \"pre_tokenizer\": null, \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\","
        "\"pattern\": {\"String\": \"\xE2\x96\x81\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}]},"
        "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\"}}, {\"Sequence\": {\"id\": \"A\"}}]},"
        "\"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"unk_token\": \"<s>\", \"merges\": [\"a b\", [\"ab\", \"a\"]],"
        "\"vocab\": {\"\xE2\x96\x81\": 300, \"a\": 301, \"b\": 302, \"ab\": 303, \"aba\": 304, \"<s>\": 0, \"HOLE\":0}}}";
    for (unsigned b = 0; b < 256; b++) loom_buf_printf(&bytes_, "%s\"<0x%02X>\":%u", b ? "," : "", b, 1 + b);
    CHECK(json_variants("a tokenizer.json", text, sizeof text - 1, read_parts) > 200);
    loom_buf_release(&bytes_);
}

/* ---- traces of other systems ---- */

static bool strict_;

static loom_status take_graph(void *arg, const loom_graph *g, loom_err *err)
{
    (void)err;
    *(int64_t *)arg += g->n_calls > 0;
    return LOOM_OK;
}

static loom_status read_spans(const char *text, size_t len, loom_err *err)
{
    loom_spans s = {.strict = strict_};
    loom_span_counts counts = {0};
    int64_t graphs = 0;
    loom_status st = loom_spans_add_text(&s, text, len, "x.json", err);
    if (st == LOOM_OK) st = loom_spans_graphs(&s, take_graph, &graphs, &counts, err);
    loom_span_counts_release(&counts);
    loom_spans_release(&s);
    return st;
}

TEST(traces)
{
    static const char *const texts[] = {
        "{\"data\": [{\"traceID\": \"a1\", \"spans\": [{\"traceID\": \"a1\", \"spanID\": \"1\", \"operationName\": \"get\", \"references\": [],"
        "\"startTime\": 1640995200000000, \"duration\": 11000, \"tags\": [{\"key\": \"span.kind\", \"type\": \"string\", \"value\": \"server\"}],"
        "\"processID\": \"p1\"}, {\"traceID\": \"a1\", \"spanID\": \"2\", \"operationName\": \"sel\", \"references\": [{\"refType\": \"CHILD_OF\","
        "\"traceID\": \"a1\", \"spanID\": \"1\"}], \"startTime\": 1640995200003000, \"duration\": 4000, \"tags\": [{\"key\": \"db.system\","
        "\"type\": \"string\", \"value\": \"redis\"}, {\"key\": \"span.kind\", \"value\": \"client\"}, {\"key\": \"peer.service\", \"value\": \"cache\"}],"
        "\"process\": {\"serviceName\": \"shop\"}}], \"processes\": {\"p1\": {\"serviceName\": \"shop\", \"tags\": []}}}]}",
        "{\"resourceSpans\": [{\"resource\": {\"attributes\": [{\"key\": \"service.name\", \"value\": {\"stringValue\": \"shop\"}}]},"
        "\"scopeSpans\": [{\"spans\": [{\"traceId\": \"a1\", \"spanId\": \"01\", \"name\": \"get\", \"kind\": 2, \"startTimeUnixNano\": \"1000000\","
        "\"endTimeUnixNano\": \"9000000\"}, {\"traceId\": \"a1\", \"spanId\": \"02\", \"parentSpanId\": \"01\", \"name\": \"q\", \"kind\": \"SPAN_KIND_CLIENT\","
        "\"startTimeUnixNano\": \"2000000\", \"endTimeUnixNano\": 3000000, \"attributes\": [{\"key\": \"rpc.system\", \"value\": {\"stringValue\": \"grpc\"}},"
        "{\"key\": \"server.address\", \"value\": {\"stringValue\": \"[::1]:80\"}}, {\"key\": \"n\", \"value\": {\"intValue\": \"5\"}},"
        "{\"key\": \"f\", \"value\": {\"doubleValue\": 0.5}}, {\"key\": \"b\", \"value\": {\"boolValue\": true}}], \"links\": [{\"traceId\": \"b2\", \"spanId\": \"03\"}]}]}]}]}",
        "[{\"traceId\": \"a1\", \"id\": \"1\", \"name\": \"get\", \"kind\": \"SERVER\", \"timestamp\": 1640995200000000, \"duration\": 9000,"
        "\"localEndpoint\": {\"serviceName\": \"shop\"}}, {\"traceId\": \"a1\", \"id\": \"2\", \"parentId\": \"1\", \"kind\": \"CLIENT\", \"timestamp\": 1640995200001000,"
        "\"duration\": 2000, \"localEndpoint\": {\"serviceName\": \"shop\"}, \"remoteEndpoint\": {\"serviceName\": \"cache\"}, \"shared\": false,"
        "\"tags\": {\"db.type\": \"redis\", \"component\": \"gRPC\"}}]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int strict = 0; strict < 2; strict++) {
            strict_ = strict;
            int64_t refused = json_variants("a trace", texts[i], strlen(texts[i]), read_spans);
            CHECK(strict ? refused > 50 : refused >= 0);
        }
}

/* A value of another type is no value that is missing: what it would have said must not be left out. */
TEST(values_of_another_type)
{
    static const struct {
        variant_reader read;
        const char *text, *says;
    } cases[] = {
        {read_config, "{\"model_type\": \"llama\", \"hidden_act\": [\"gelu\"]}", "hidden_act is"},
        {read_config, "{\"model_type\": \"llama\", \"attention_bias\": \"true\"}",
         "\"attention_bias\" should be true or false"},
        {read_config, "{\"model_type\": \"llama\", \"mlp_bias\": 1}", "\"mlp_bias\" should be true or false"},
        {read_peft, "{\"peft_type\": \"LORA\", \"bias\": [\"all\"]}", "bias is"},
        {read_peft, "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"lora_dropout\": \"0.1\"}",
         "\"lora_dropout\" should be a number"},
        {read_peft, "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"use_rslora\": \"true\"}",
         "\"use_rslora\" should be true or false"},
        {read_peft, "{\"peft_type\": \"LORA\", \"lora_bias\": 0.5}", "\"lora_bias\" is set"},
        {read_stats,
         "{\"format\": \"spanloom-stats-1\", \"graphs\": {\"S_1\": 4}, \"latency\": {}, \"infilling\": {\"S_1|MS_1|rpc\": [1]}}",
         "no object of counts"},
        {read_tokenizer,
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}, \"added_tokens\": {\"a\": 0}}",
         "\"added_tokens\" is not a list"},
        {read_tokenizer,
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}, \"added_tokens\": [{\"id\": 0,"
         "\"content\": \"a\", \"lstrip\": \"true\"}]}",
         "\"lstrip\" should be true or false"},
        {read_tokenizer,
         "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [], \"byte_fallback\": \"true\"}}",
         "\"byte_fallback\" should be true or false"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_err err = {0};
        CHECK_I64(cases[i].read(cases[i].text, strlen(cases[i].text), &err), LOOM_STATUS_FORMAT);
        if (!strstr(err.msg, cases[i].says)) TEST_FAIL_("\"%s\" lacks \"%s\"", err.msg, cases[i].says);
    }
}

TEST_MAIN(RUN(topologies) RUN(statistics) RUN(configurations_of_models) RUN(configurations_of_adapters)
              RUN(heads_of_tensors) RUN(tokenizers) RUN(traces) RUN(values_of_another_type))
