/* A model and an adapter as GGUF: names, sizes, and where the rows of queries and keys went. */
#include <unistd.h>

#include "gguf_reader.h"
#include "tokenizer/toktrain.h"
#include "trace/text/phrases.h"
#include "train/gguf_model.h"

static loom_config config(loom_rope_kind rope)
{
    loom_config c;
    loom_config_default(&c);
    c.C = 48, c.L = 2, c.H = 6, c.K = 2, c.D = 8, c.F = 64, c.V = 0, c.max_positions = 64, c.rope_kind = rope;
    c.rope_factor = 32, c.rope_low = 1, c.rope_high = 4, c.rope_old_positions = 16;
    return c;
}

/* A domain tokenizer of one text. */
static void learn(loom_buf *json, loom_err *err)
{
    static const char text[] = "[GENERATE GRAPH]start_node:MS_12/id:S_7\n<edges>\n(0 is USER->MS_12)\n</edges>";
    loom_toktrain *train = NULL;
    loom_toktrain_conf conf = {.name_tokens = 10, .min_count = 1};
    loom_toktrain_report r;
    loom_buf phrases = {0};
    loom_phrases_render(&phrases);
    loom_status st = loom_toktrain_new(&train, phrases.data, phrases.len, 1, err);
    if (st == LOOM_OK) loom_toktrain_count(train, 0, 0, text, strlen(text));
    if (st == LOOM_OK) st = loom_toktrain_finish(json, &r, train, &conf, err);
    if (st != LOOM_OK) TEST_FAIL_("%s", err->msg);
    loom_toktrain_free(train);
    loom_buf_release(&phrases);
}

typedef struct rig {
    loom_model_files b;
    loom_gguf_vocab v;
    loom_buf json, bytes;
    gguf g;
    int64_t n_f16;
} rig;

static void make(rig *r, loom_rope_kind rope, int spare)
{
    loom_err err = {0};
    loom_config c = config(rope);
    *r = (rig){0};
    learn(&r->json, &err);
    loom_tokenizer *tok = NULL;
    REQUIRE_OK(loom_tokenizer_parse(&tok, r->json.data, r->json.len, "learned", &err), err);
    c.V = loom_tokenizer_vocab_size(tok) + spare;
    loom_tokenizer_free(tok);
    REQUIRE_OK(loom_config_check(&c, &err), err);
    REQUIRE_OK(loom_llama_new(&r->b.model, &c, &err), err);
    loom_llama_init(r->b.model, 3);
    r->b.tokenizer = r->json.data, r->b.tokenizer_len = r->json.len, r->b.path = "a model";
    REQUIRE_OK(loom_gguf_vocab_init(&r->v, &r->b, &err), err);
}

static void put(rig *r, loom_gguf_type type, bool adapter)
{
    char path[64];
    loom_out *out = NULL;
    loom_err err = {0};
    loom_gguf_how how = {.matrices = type, .name = "test", .add_bos = true};
    snprintf(path, sizeof path, "/tmp/loom-train-gguf.%d.gguf", (int)getpid());
    REQUIRE_OK(loom_out_open(&out, path, true, &err), err);
    loom_status st = adapter ? loom_gguf_write_adapter(out, &r->b, &how, &err)
                             : loom_gguf_write_model(out, &r->b, &r->v, &how, &r->n_f16, &err);
    REQUIRE_OK(st, err);
    REQUIRE_OK(loom_out_commit(&out, &err), err);
    loom_buf_reset(&r->bytes);
    REQUIRE_OK(loom_file_read(&r->bytes, path, 1 << 24, &err), err);
    unlink(path);
    gguf_read(&r->g, r->bytes.data, r->bytes.len);
}

static void release(rig *r)
{
    loom_gguf_vocab_release(&r->v);
    loom_llama_free(r->b.model);
    loom_lora_free(r->b.lora);
    loom_buf_release(&r->json);
    loom_buf_release(&r->bytes);
}

/* Row h D + p D/2 + j of ours stands at h D + 2 j + p there; all other matrices keep theirs. */
static int64_t row_there(loom_role role, int64_t row, int64_t D)
{
    if (role != LOOM_ROLE_Q && role != LOOM_ROLE_K) return row;
    int64_t h = row / D, p = row % D / (D / 2), j = row % (D / 2);
    return h * D + 2 * j + p;
}

static int64_t count_wrong(const gguf *g, const char *name, const float *ours, loom_role role, int64_t rows,
                           int64_t width)
{
    const gguf_tensor *t = gguf_tensor_of(g, name);
    int64_t wrong = 0;
    if (!t || t->count != (uint64_t)(rows * width) || t->dims[0] != (uint64_t)(width == 1 ? rows : width)) return -1;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < width; i++)
            wrong += gguf_value(t, (uint64_t)(row_there(role, r, 8) * width + i)) != ours[r * width + i];
    return wrong;
}

static void check_matrix(rig *r, const char *there, const char *ours)
{
    const loom_tensor *t = loom_tensors_find(&r->b.model->table, ours);
    REQUIRE(t);
    CHECK_I64(count_wrong(&r->g, there, r->b.model->params + t->offset, t->role, t->shape[0], t->shape[1]), 0);
}

static rig r_;

TEST(every_tensor_is_there)
{
    make(&r_, LOOM_ROPE_DEFAULT, 5);
    put(&r_, LOOM_GGUF_TENSOR_F32, false);
    CHECK_I64((int64_t)r_.g.n_tensors, r_.b.model->table.n);
    check_matrix(&r_, "token_embd.weight", "model.embed_tokens.weight");
    check_matrix(&r_, "output.weight", "lm_head.weight");
    check_matrix(&r_, "output_norm.weight", "model.norm.weight");
    check_matrix(&r_, "blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight");
    check_matrix(&r_, "blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight");
    check_matrix(&r_, "blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight");
    check_matrix(&r_, "blk.0.attn_output.weight", "model.layers.0.self_attn.o_proj.weight");
    check_matrix(&r_, "blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight");
    check_matrix(&r_, "blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight");
    check_matrix(&r_, "blk.0.ffn_gate.weight", "model.layers.0.mlp.gate_proj.weight");
    check_matrix(&r_, "blk.0.ffn_up.weight", "model.layers.0.mlp.up_proj.weight");
    check_matrix(&r_, "blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight");
    release(&r_);
}

TEST(vocabulary_and_spare_rows)
{
    make(&r_, LOOM_ROPE_DEFAULT, 5);
    put(&r_, LOOM_GGUF_TENSOR_BF16, false);
    const gguf_fact *tokens = gguf_fact_of(&r_.g, "tokenizer.ggml.tokens"),
                    *types = gguf_fact_of(&r_.g, "tokenizer.ggml.token_type");
    const gguf_fact *merges = gguf_fact_of(&r_.g, "tokenizer.ggml.merges"),
                    *pre = gguf_fact_of(&r_.g, "tokenizer.ggml.pre");
    REQUIRE(tokens && types && merges && pre);
    CHECK(tokens->n == (uint64_t)r_.b.model->config.V && types->n == tokens->n && merges->n == 3);
    CHECK(pre->n == 6 && memcmp(pre->at, "smollm", 6) == 0);
    int32_t *type = malloc(4 * (size_t)types->n);
    memcpy(type, types->at, 4 * (size_t)types->n);
    CHECK(type[0] == 2 && type[1] == 3 && type[2] == 3 && type[3] == 1); /* unknown, control, control, a byte */
    for (uint64_t i = types->n - 5; i < types->n; i++) CHECK_I64(type[i], 5);
    CHECK_I64(type[types->n - 6], 4); /* a name */
    free(type);
    CHECK(gguf_tensor_of(&r_.g, "output_norm.weight")->type == 0 && gguf_tensor_of(&r_.g, "output.weight")->type == 30);
    release(&r_);
}

TEST(rows_no_multiple_of_32_are_float16)
{
    make(&r_, LOOM_ROPE_DEFAULT, 0);
    put(&r_, LOOM_GGUF_TENSOR_Q8_0, false);
    CHECK(gguf_tensor_of(&r_.g, "blk.0.ffn_down.weight")->type == 8); /* rows of 64 */
    CHECK(gguf_tensor_of(&r_.g, "blk.0.ffn_up.weight")->type == 1);   /* rows of 48 */
    CHECK_I64(r_.n_f16, 2 * 6 + 2);
    release(&r_);
}

TEST(divisors_of_llama_3)
{
    make(&r_, LOOM_ROPE_LLAMA3, 0);
    put(&r_, LOOM_GGUF_TENSOR_F32, false);
    const gguf_tensor *t = gguf_tensor_of(&r_.g, "rope_freqs.weight");
    REQUIRE(t && t->count == 4);
    CHECK(gguf_value(t, 0) >= 1 && gguf_value(t, 3) == 32); /* the slowest are divided by the whole factor */
    for (uint64_t i = 1; i < 4; i++) CHECK(gguf_value(t, i) >= gguf_value(t, i - 1));
    CHECK(!gguf_fact_of(&r_.g, "llama.rope.scaling.type"));
    release(&r_);
}

TEST(an_adapter)
{
    loom_err err = {0};
    make(&r_, LOOM_ROPE_DEFAULT, 0);
    loom_lora_config lc = {.R = 4, .alpha = 16, .rslora = true, .targets = 1u << LOOM_ROLE_K | 1u << LOOM_ROLE_O};
    REQUIRE_OK(loom_lora_new(&r_.b.lora, &r_.b.model->config, &lc, &err), err);
    for (size_t i = 0; i < r_.b.lora->table.floats; i++) r_.b.lora->params[i] = (float)i;
    put(&r_, LOOM_GGUF_TENSOR_F32, true);
    const gguf_fact *alpha = gguf_fact_of(&r_.g, "adapter.lora.alpha");
    float value = 0;
    REQUIRE(alpha);
    memcpy(&value, alpha->at, 4);
    CHECK(value == 32); /* 16 sqrt(4): it is divided by the rank there */
    CHECK_I64((int64_t)r_.g.n_tensors, 2 * 2 * 2);
    const loom_adapter *k = &r_.b.lora->adapters[1 * LOOM_N_ADAPTABLE + LOOM_ROLE_K];
    CHECK_I64(count_wrong(&r_.g, "blk.1.attn_k.weight.lora_a", k->a, LOOM_ROLE_V, 4, 48), 0);
    CHECK_I64(count_wrong(&r_.g, "blk.1.attn_k.weight.lora_b", k->b, LOOM_ROLE_K, 16, 4), 0);
    CHECK(!gguf_fact_of(&r_.g, "tokenizer.ggml.tokens"));
    release(&r_);
}

TEST_MAIN(RUN(every_tensor_is_there) RUN(vocabulary_and_spare_rows) RUN(rows_no_multiple_of_32_are_float16)
              RUN(divisors_of_llama_3) RUN(an_adapter))
