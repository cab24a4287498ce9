/* Configurations: both spellings are read, nonsense is refused by name, what is written reads back; sizes and tables.
 */
#include "test.h"

#include "core/num.h"
#include "model/adamw.h"
#include "model/config.h"
#include "model/llama.h"
#include "model/lora.h"

static loom_status parse(loom_config *c, const char *text, loom_err *err)
{
    loom_json *root = NULL;
    loom_status st = loom_json_parse(&root, text, strlen(text), "config.json", err);

    if (st != LOOM_OK) return st;
    st = loom_config_from_json(c, root, err);
    loom_json_free(root);
    return st;
}

#define SIZES                                                                                                          \
    "\"model_type\": \"llama\", \"hidden_size\": 64, \"intermediate_size\": 172, \"num_hidden_layers\": 2, "           \
    "\"num_attention_heads\": 4, \"vocab_size\": 97"

TEST(defaults_of_missing_keys)
{
    loom_config c;
    loom_err err;

    REQUIRE_OK(parse(&c, "{" SIZES "}", &err), err);
    CHECK_I64(c.K, 4);
    CHECK_I64(c.D, 16);
    CHECK_I64(c.max_positions, 2048);
    CHECK(c.rope_theta == 10000 && !c.tied && c.rope_kind == LOOM_ROPE_DEFAULT);
}

TEST(both_spellings_of_rope)
{
    loom_config a, b;
    loom_err err;

    REQUIRE_OK(parse(&a,
                     "{" SIZES ", \"rope_theta\": 500000.0, \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 32, "
                     "\"low_freq_factor\": 1, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}}",
                     &err),
               err);
    REQUIRE_OK(
        parse(
            &b,
            "{" SIZES ", \"rope_theta\": 1.0, \"rope_scaling\": null, \"rope_parameters\": {\"rope_type\": \"llama3\", "
            "\"rope_theta\": 5e5, \"factor\": 32.0, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
            "\"original_max_position_embeddings\": 8192}, \"eos_token_id\": [7, 8, 9], \"tie_word_embeddings\": true}",
            &err),
        err);
    CHECK(a.rope_theta == b.rope_theta && a.rope_factor == b.rope_factor && a.rope_kind == LOOM_ROPE_LLAMA3 &&
          b.rope_kind == LOOM_ROPE_LLAMA3 && b.tied);
    CHECK(loom_config_is_eos(&b, 9) && !loom_config_is_eos(&b, 2) && loom_config_is_eos(&a, 2));
}

static void refuses(const char *text, const char *part)
{
    loom_config c;
    loom_err err = {0};

    test_checks_++;
    if (parse(&c, text, &err) == LOOM_OK) TEST_FAIL_("accepted: %s", text);
    else if (!strstr(err.msg, part)) TEST_FAIL_("\"%s\" does not mention \"%s\"", err.msg, part);
}

TEST(nonsense_is_refused)
{
    refuses("[]", "not a JSON object");
    refuses("{\"model_type\": \"mistral\"}", "mistral");
    refuses("{\"model_type\": \"llama\"}", "hidden_size");
    refuses("{" SIZES ", \"architectures\": [\"LlamaForSequenceClassification\"]}", "LlamaForSequenceClassification");
    refuses("{" SIZES ", \"hidden_act\": \"gelu\"}", "gelu");
    refuses("{" SIZES ", \"attention_bias\": true}", "bias");
    refuses("{" SIZES ", \"num_key_value_heads\": 3}", "must divide");
    refuses("{" SIZES ", \"num_key_value_heads\": 8}", "num_key_value_heads");
    refuses("{" SIZES ", \"head_dim\": 15}", "even");
    refuses("{" SIZES ", \"head_dim\": -2}", "head_dim");
    refuses("{" SIZES ", \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2}}", "yarn");
    refuses("{" SIZES ", \"rope_scaling\": {\"rope_type\": \"linear\"}}", "factor");
    refuses("{" SIZES ", \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0}}", "factor");
    refuses("{" SIZES ", \"eos_token_id\": \"x\"}", "eos_token_id");
    refuses("{" SIZES ", \"max_position_embeddings\": 99999999999}", "max_position_embeddings");
    refuses("{" SIZES ", \"rms_norm_eps\": -1}", "rms_norm_eps");
}

/* Every bound of a configuration, from either side: the sentence names the value that is out of it. */
TEST(every_bound_is_named)
{
    loom_config good, c;
    loom_err err;
#define REFUSED(change, says)                                                                                          \
    do {                                                                                                               \
        c = good;                                                                                                      \
        change;                                                                                                        \
        CHECK(loom_config_check(&c, &err) == LOOM_STATUS_ARG && strstr(err.msg, says));                                \
    } while (0)
#define TAKEN(change)                                                                                                  \
    do {                                                                                                               \
        c = good;                                                                                                      \
        change;                                                                                                        \
        CHECK(loom_config_check(&c, &err) == LOOM_OK);                                                                 \
    } while (0)
    REQUIRE_OK(parse(&good, "{" SIZES "}", &err), err);
    TAKEN(c.C = 64);
    REFUSED(c.C = 0, "hidden_size is 0");
    REFUSED(c.C = INT64_C(1) << 40, "hidden_size is 1099511627776");
    REFUSED(c.L = -1, "num_hidden_layers is -1");
    REFUSED(c.H = 65537, "num_attention_heads is 65537");
    REFUSED(c.K = 5, "num_key_value_heads is 5");
    REFUSED(c.K = 3, "num_key_value_heads (3) must divide");
    REFUSED((c.D = 0, c.C = 66), "must divide hidden_size (66)");
    TAKEN((c.D = 0, c.K = 0));
    REFUSED(c.D = 65538, "head_dim is 65538");
    REFUSED(c.D = 15, "even number");
    REFUSED((c.H = 65536, c.K = 1, c.D = 65536), "num_attention_heads * head_dim");
    REFUSED(c.F = 0, "intermediate_size is 0");
    REFUSED(c.V = 0, "vocab_size is 0");
    REFUSED(c.max_positions = 0, "max_position_embeddings is 0");
    REFUSED(c.rms_eps = -1e-9, "rms_norm_eps is -1e-09");
    REFUSED(c.rms_eps = 1.5, "rms_norm_eps is 1.5");
    REFUSED(c.rms_eps = NAN, "rms_norm_eps is nan");
    REFUSED(c.init_range = 0, "initializer_range is 0");
    REFUSED(c.init_range = 11, "initializer_range is 11");
    REFUSED(c.rope_theta = 0, "rope_theta is 0");
    REFUSED(c.rope_theta = INFINITY, "rope_theta is inf");
    REFUSED((c.rope_kind = LOOM_ROPE_LINEAR, c.rope_factor = 0), "factor is 0");
    REFUSED((c.rope_kind = LOOM_ROPE_LINEAR, c.rope_factor = INFINITY), "factor is inf");
    TAKEN((c.rope_kind = LOOM_ROPE_LLAMA3, c.rope_factor = 8));
    REFUSED((c.rope_kind = LOOM_ROPE_LLAMA3, c.rope_low = 0), "0 < low_freq_factor");
    REFUSED((c.rope_kind = LOOM_ROPE_LLAMA3, c.rope_high = 1), "found 1, 1");
    REFUSED((c.rope_kind = LOOM_ROPE_LLAMA3, c.rope_old_positions = 0), "original_max_position_embeddings > 0");
#undef REFUSED
#undef TAKEN
}

TEST(written_reads_back)
{
    loom_config a, b;
    loom_err err;
    loom_buf text = {0};

    REQUIRE_OK(parse(&a,
                     "{" SIZES ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, "
                     "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 64}, \"head_dim\": 12, "
                     "\"eos_token_id\": [4, 5], "
                     "\"num_key_value_heads\": 2, \"pad_token_id\": 0, \"initializer_range\": 0.01}",
                     &err),
               err);
    loom_config_write(&a, "float32", &text);
    REQUIRE_OK(parse(&b, loom_buf_text(&text), &err), err);
    CHECK(a.C == b.C && a.L == b.L && a.H == b.H && a.K == b.K && a.D == b.D && a.F == b.F && a.V == b.V);
    CHECK(a.rope_kind == b.rope_kind && a.rope_factor == b.rope_factor && a.rope_old_positions == b.rope_old_positions);
    CHECK(a.n_eos == b.n_eos && a.eos_ids[1] == b.eos_ids[1] && a.pad_id == b.pad_id && a.bos_id == b.bos_id);
    CHECK(a.init_range == b.init_range && a.rms_eps == b.rms_eps && a.max_positions == b.max_positions);
    CHECK(strstr(loom_buf_text(&text), "\"torch_dtype\": \"float32\""));
    loom_buf_release(&text);
}

/* Published models: numbers of parameters, and of adapter parameters at rank 8 on q and v. */
static void published(int64_t C, int64_t F, int64_t L, int64_t H, int64_t K, int64_t V, bool tied, int64_t params,
                      int64_t lora)
{
    loom_config c;
    loom_err err;
    loom_lora_config lc = {.R = 8, .alpha = 16, .targets = 1u << LOOM_ROLE_Q | 1u << LOOM_ROLE_V};
    loom_tensors t;
    int64_t count = 0;

    loom_config_default(&c);
    c.C = C, c.F = F, c.L = L, c.H = H, c.K = K, c.V = V, c.tied = tied;
    REQUIRE_OK(loom_config_check(&c, &err), err);
    CHECK_I64(loom_config_params(&c), params);
    REQUIRE_OK(loom_llama_table(&t, &c, &err), err);
    for (int64_t i = 0; i < t.n; i++) count += (int64_t)t.tensors[i].count;
    CHECK_I64(count, params);
    CHECK_I64(t.n, 2 + 9 * L + !tied);
    loom_tensors_release(&t);
    CHECK_I64((int64_t)(loom_lora_bytes(&c, &lc) / sizeof(float)), lora);
}

TEST(published_sizes)
{
    published(4096, 11008, 32, 32, 32, 32000, false, 6738415616, 4194304);
    published(5120, 13824, 40, 40, 40, 32000, false, 13015864320, 6553600);
    published(2048, 8192, 16, 32, 8, 128256, true, 1235814400, 851968);
}

TEST(llama3_frequencies)
{
    loom_config c;
    double f[32], plain[32];

    loom_config_default(&c);
    c.D = 64, c.rope_theta = 500000;
    loom_rope_frequencies(plain, &c);
    c.rope_kind = LOOM_ROPE_LLAMA3, c.rope_factor = 32, c.rope_old_positions = 8192;
    loom_rope_frequencies(f, &c);
    CHECK(plain[0] == 1);
    for (int i = 0; i < 32; i++) {
        double length = 2 * 3.14159265358979 / plain[i];

        if (length < 8192 / 4.0) CHECK_NEAR(f[i], plain[i], 0);
        else if (length > 8192) CHECK_NEAR(f[i], plain[i] / 32, 1e-18);
        else CHECK(f[i] > plain[i] / 32 && f[i] < plain[i]);
    }
}

TEST(tensors_have_their_names_and_places)
{
    loom_config c;
    loom_llama *m = NULL;
    loom_err err;
    const loom_tensor *q, *k;

    loom_config_default(&c);
    c.C = 12, c.F = 20, c.L = 2, c.H = 3, c.K = 1, c.V = 7;
    REQUIRE_OK(loom_llama_new(&m, &c, &err), err);
    loom_llama_init(m, 3);
    q = loom_tensors_find(&m->table, "model.layers.1.self_attn.q_proj.weight");
    k = loom_tensors_find(&m->table, "model.layers.1.self_attn.k_proj.weight");
    REQUIRE(q && k);
    CHECK_I64(q->shape[0], 12);
    CHECK_I64(k->shape[0], 4);
    CHECK_I64(k->offset, q->offset + q->count); /* side by side: one product */
    CHECK(m->layers[1].w[LOOM_ROLE_K].f32 == m->params + k->offset);
    CHECK(loom_tensors_find(&m->table, "lm_head.weight") && !loom_tensors_find(&m->table, "lm_head"));
    CHECK(m->layers[0].norm_att[11] == 1.0f);
    CHECK(m->params[q->offset] != 0 && fabsf(m->params[q->offset]) < 0.2f);
    loom_llama_free(m);
    loom_llama_free(NULL);
}

TEST(lora_targets_and_checks)
{
    unsigned bits = 0;
    loom_err err;
    loom_config c;
    loom_lora *lora = NULL;
    loom_lora_config lc = {.R = 4, .alpha = 8, .targets = 5, .rslora = true};

    CHECK_I64(loom_lora_parse_targets(&bits, "q_proj, v", &err), LOOM_OK);
    CHECK_I64(bits, 5);
    CHECK_I64(loom_lora_parse_targets(&bits, "all-linear", &err), LOOM_OK);
    CHECK_I64(bits, 0x7f);
    CHECK_I64(loom_lora_parse_targets(&bits, "q,,v", &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_lora_parse_targets(&bits, "lm_head", &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "lm_head"));
    loom_config_default(&c);
    c.C = 16, c.F = 20, c.L = 2, c.H = 2, c.V = 7;
    REQUIRE_OK(loom_lora_new(&lora, &c, &lc, &err), err);
    CHECK_NEAR(lora->scale, 4.0, 1e-6);
    loom_lora_init(lora, 1);
    CHECK(loom_tensors_find(&lora->table, "model.layers.1.self_attn.v_proj.lora_B.weight"));
    CHECK(lora->adapters[0].a && !lora->adapters[LOOM_ROLE_K].a);
    CHECK(lora->adapters[0].a[0] != 0 && fabsf(lora->adapters[0].a[0]) <= 0.25f && lora->adapters[0].b[0] == 0);
    loom_lora_free(lora);
    lc.R = 0;
    CHECK_I64(loom_lora_new(&lora, &c, &lc, &err), LOOM_STATUS_ARG);
    lc.R = 4, lc.dropout = 1;
    CHECK_I64(loom_lora_new(&lora, &c, &lc, &err), LOOM_STATUS_ARG);
    lc.dropout = 0, lc.targets = 0;
    CHECK_I64(loom_lora_new(&lora, &c, &lc, &err), LOOM_STATUS_ARG);
}

/* Many threads, pieces and tensors: the same bits as one call of the kernel per tensor. */
TEST(adamw_walks_every_tensor_once)
{
    loom_config c;
    loom_tensors t;
    loom_err err;
    loom_pool *pool = NULL;
    float *a[4], *b[4];
    loom_adamw how = {.lr = 1e-2, .beta1 = .9, .beta2 = .99, .eps = 1e-8, .decay = .3, .step = 3, .grad_scale = .5};
    double sum = 0;

    loom_config_default(&c);
    c.C = 130, c.F = 301, c.L = 3, c.H = 5, c.V = 1001;
    REQUIRE_OK(loom_llama_table(&t, &c, &err), err);
    REQUIRE_OK(loom_pool_new(&pool, 3, &err), err);
    for (int i = 0; i < 4; i++) {
        a[i] = loom_alloc_aligned(t.floats * sizeof(float));
        b[i] = loom_alloc_aligned(t.floats * sizeof(float));
        for (int64_t j = 0; j < t.n; j++)
            for (size_t k = 0; k < t.tensors[j].count; k++)
                a[i][t.tensors[j].offset + k] = (float)((k * 37 + (size_t)i * 11 + (size_t)j) % 101) / 50.f;
        memcpy(b[i], a[i], t.floats * sizeof(float));
    }
    for (size_t k = 0; k < t.floats; k++) sum += (double)a[3][k] * a[3][k];
    CHECK_NEAR(loom_grad_norm(pool, &t, a[3]), sqrt(sum), 1e-9 * sqrt(sum));
    CHECK(loom_grad_norm(pool, &t, a[3]) == loom_grad_norm(NULL, &t, a[3]));
    loom_adamw_step(pool, &t, a[0], a[1], a[2], a[3], &how);
    for (int64_t j = 0; j < t.n; j++) {
        size_t o = t.tensors[j].offset;

        loom_adamw_update(b[0] + o, b[1] + o, b[2] + o, b[3] + o, (int64_t)t.tensors[j].count, t.tensors[j].n_dims == 2,
                          &how);
    }
    for (int i = 0; i < 3; i++) {
        double worst = 0; /* a vector loop may start elsewhere and round its last bits otherwise */

        for (size_t k = 0; k < t.floats; k++) worst = test_worse(worst, fabs((double)a[i][k] - b[i][k]));
        CHECK_NEAR(worst, 0, 2e-7);
    }
    memcpy(b[1], a[1], t.floats * sizeof(float));
    loom_ema_step(pool, &t, a[1], a[0], .75);
    for (int64_t j = 0; j < t.n; j++) {
        const loom_tensor *x = &t.tensors[j];
        double worst = 0;

        for (size_t k = x->offset; k < x->offset + x->count; k++)
            worst = test_worse(worst, fabs(a[1][k] - (.75 * (double)b[1][k] + .25 * (double)a[0][k])));
        CHECK_NEAR(worst, 0, 2e-7);
    }
    for (int i = 0; i < 4; i++) free(a[i]), free(b[i]);
    loom_tensors_release(&t);
    loom_pool_free(pool);
}

TEST(clip_scale)
{
    CHECK(loom_clip_scale(0.5, 1.0) == 1.0);
    CHECK_NEAR(loom_clip_scale(4.0, 1.0), 0.25, 1e-6);
    CHECK(loom_clip_scale(4.0, 0) == 1.0);
}

TEST_THREADED;
TEST_MAIN(RUN(defaults_of_missing_keys) RUN(both_spellings_of_rope) RUN(nonsense_is_refused) RUN(every_bound_is_named)
              RUN(written_reads_back) RUN(published_sizes) RUN(llama3_frequencies)
                  RUN(tensors_have_their_names_and_places) RUN(lora_targets_and_checks)
                      RUN(adamw_walks_every_tensor_once) RUN(clip_scale))
