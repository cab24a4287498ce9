/* make_random_llama SHAPE DIR [TOKENIZER.json [SHARD_MB]]: a Hugging Face folder of random bfloat16 weights.
 *
 * SHAPE is llama-2-7b (13.5 GB), llama-3.2-1b (2.5 GB), or tiny-2 / tiny-3.2: the same kinds of model (untied
 * multi-head, tied grouped with llama3 rotation) with small layers. config.json holds what the published models'
 * holds; the tokenizer is copied. A tiny model has the vocabulary of its tokenizer; a published one keeps its own,
 * which must hold the tokenizer's. Speed, memory and file handling of the real models can be measured without having
 * them: the weights have the real ones' names, shapes, types, order of magnitude (standard deviation 0.02; o and down
 * smaller) and files, cut at SHARD_MB million bytes (default 5000). The same SHAPE gives the same bytes. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/num.h"
#include "core/usage.h"
#include "model/llama.h"
#include "store/safetensors.h"
#include "tokenizer/tokenizer.h"

typedef struct shape {
    const char *name;
    int64_t C, L, H, K, D, F, V, positions;
    bool three; /* a Llama 3.2: tied embeddings, llama3 rotation, its ids */
} shape;

static const shape shapes[] = {
    {"llama-2-7b", 4096, 32, 32, 32, 128, 11008, 32000, 4096, false},
    {"llama-3.2-1b", 2048, 16, 32, 8, 64, 8192, 128256, 131072, true},
    {"tiny-2", 64, 3, 4, 4, 16, 176, 0, 4096, false},
    {"tiny-3.2", 64, 3, 4, 2, 16, 256, 0, 131072, true},
};

static const shape *find_shape(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
    return NULL;
}

/* The keys of the published config.json; bfloat16 is what this folder holds (Llama-2's own says float16). */
static void write_config(loom_buf *b, const shape *s, int64_t V)
{
    loom_buf_printf(b, "{\n  \"architectures\": [\n    \"LlamaForCausalLM\"\n  ],\n");
    if (s->three) loom_buf_printf(b, "  \"attention_bias\": false,\n  \"attention_dropout\": 0.0,\n");
    loom_buf_printf(b, "  \"bos_token_id\": %d,\n  \"eos_token_id\": %d,\n", s->three && V > 128001 ? 128000 : 1,
                    s->three && V > 128001 ? 128001 : 2);
    if (s->three) loom_buf_printf(b, "  \"head_dim\": %" PRId64 ",\n", s->D);
    loom_buf_printf(b,
                    "  \"hidden_act\": \"silu\",\n  \"hidden_size\": %" PRId64 ",\n  \"initializer_range\": 0.02,\n"
                    "  \"intermediate_size\": %" PRId64 ",\n  \"max_position_embeddings\": %" PRId64 ",\n",
                    s->C, s->F, s->positions);
    if (s->three) loom_buf_printf(b, "  \"mlp_bias\": false,\n");
    loom_buf_printf(b,
                    "  \"model_type\": \"llama\",\n  \"num_attention_heads\": %" PRId64
                    ",\n  \"num_hidden_layers\": %" PRId64 ",\n  \"num_key_value_heads\": %" PRId64
                    ",\n  \"pretraining_tp\": 1,\n  \"rms_norm_eps\": 1e-05,\n",
                    s->H, s->L, s->K);
    if (s->three)
        loom_buf_printf(b, "  \"rope_scaling\": {\n    \"factor\": 32.0,\n    \"high_freq_factor\": 4.0,\n"
                           "    \"low_freq_factor\": 1.0,\n    \"original_max_position_embeddings\": 8192,\n"
                           "    \"rope_type\": \"llama3\"\n  },\n  \"rope_theta\": 500000.0,\n");
    else loom_buf_printf(b, "  \"rope_scaling\": null,\n");
    loom_buf_printf(b,
                    "  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"bfloat16\",\n"
                    "  \"transformers_version\": \"%s\",\n  \"use_cache\": true,\n  \"vocab_size\": %" PRId64 "\n}\n",
                    s->three ? "true" : "false", s->three ? "4.45.0.dev0" : "4.31.0.dev0", V);
}

/* Uniform numbers of the wanted deviation. Each is a hash of its index: independent of the others, so that the loop
 * runs on whole vectors (the lowbias32 mixing, two rounds of multiply and shift). */
static void fill(float *restrict to, int64_t n, uint32_t key, float deviation)
{
    float scale = deviation * 1.7320508f / 2147483648.0f;

    for (int64_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)i * 2654435769u + key;

        x = (x ^ x >> 16) * 0x7feb352du;
        x = (x ^ x >> 15) * 0x846ca68bu;
        to[i] = (float)(int32_t)(x ^ x >> 16) * scale;
    }
}

typedef struct random_model {
    loom_tensors table;
    int64_t L;
} random_model;

static loom_status fetch(void *arg, const loom_safetensors_item *item, float *values, loom_err *err)
{
    const random_model *m = arg;
    const loom_tensor *t = loom_tensors_find(&m->table, item->view.name);
    double deviation = 0.02;

    if (!t) return loom_fail(err, LOOM_STATUS_ARG, "tensor %s is not in the table", item->view.name);
    if (t->role == LOOM_ROLE_O || t->role == LOOM_ROLE_DOWN) deviation /= sqrt(2.0 * (double)m->L);
    if (t->n_dims == 1)
        for (size_t i = 0; i < t->count; i++) values[i] = 1.0f;
    else fill(values, item->view.count, (uint32_t)(t - m->table.tensors + 1) * 0x9e3779b1u, (float)deviation);
    return LOOM_OK;
}

static loom_status write_weights(const char *dir, const loom_config *c, int64_t shard_bytes, loom_err *err)
{
    random_model m = {.L = c->L};
    loom_safetensors_item *items;
    loom_status st;

    LOOM_TRY(loom_llama_table(&m.table, c, err));
    items = loom_calloc((size_t)m.table.n, sizeof *items);
    if (!items) {
        loom_tensors_release(&m.table);
        return loom_fail_nomem(err, "the list of tensors");
    }
    for (int64_t i = 0; i < m.table.n; i++) {
        const loom_tensor *t = &m.table.tensors[i];

        items[i] = (loom_safetensors_item){
            .view = {.name = t->name, .dtype = LOOM_DTYPE_BF16, .rank = t->n_dims}, .fetch = fetch, .arg = &m};
        memcpy(items[i].view.shape, t->shape, sizeof t->shape);
    }
    st = loom_safetensors_write_model(dir, true, items, (size_t)m.table.n, shard_bytes, NULL, 0, err);
    free(items);
    loom_tensors_release(&m.table);
    return st;
}

/* Copies the tokenizer and fills *V with the size of its vocabulary. */
static loom_status copy_tokenizer(int64_t *V, const char *dir, const char *from, loom_err *err)
{
    loom_buf json = {0}, path = {0};
    loom_tokenizer *tok = NULL;
    loom_status st;

    loom_buf_printf(&path, "%s/tokenizer.json", dir);
    if ((st = loom_file_read(&json, from, (size_t)64 << 20, err)) != LOOM_OK) goto done;
    if ((st = loom_tokenizer_parse(&tok, json.data, json.len, from, err)) != LOOM_OK) goto done;
    *V = loom_tokenizer_vocab_size(tok);
    st = loom_file_write(path.data, json.data, json.len, true, err);
done:
    loom_tokenizer_free(tok);
    loom_buf_release(&json);
    loom_buf_release(&path);
    return st;
}

static loom_status make(const shape *s, const char *dir, const char *tokenizer, int64_t shard_bytes, loom_err *err)
{
    loom_buf json = {0}, path = {0};
    loom_config c;
    int64_t V = s->V, known = 0;
    loom_status st;

    LOOM_TRY(loom_make_dirs(dir, err));
    if (tokenizer) LOOM_TRY(copy_tokenizer(&known, dir, tokenizer, err));
    if (!V) V = known ? known : 1000;
    if (known > V)
        return loom_fail(err, LOOM_STATUS_ARG, "%s has %" PRId64 " tokens, %s only %" PRId64 "; give the model's own",
                         tokenizer, known, s->name, V);
    write_config(&json, s, V);
    loom_buf_printf(&path, "%s/config.json", dir);
    st = loom_file_write(path.data, json.data, json.len, true, err);
    if (st == LOOM_OK) st = loom_config_read(&c, path.data, err); /* what is written is what a reader sees */
    if (st == LOOM_OK) st = write_weights(dir, &c, shard_bytes, err);
    loom_buf_release(&json);
    loom_buf_release(&path);
    return st;
}

int main(int argc, char **argv)
{
    const shape *s = argc > 2 ? find_shape(argv[1]) : NULL;
    int64_t shard_mb = 5000;
    double started = loom_time_now();
    loom_err err = {0};

    if (!s || argc > 5 || (argc == 5 && (!loom_parse_i64(argv[4], strlen(argv[4]), &shard_mb) || shard_mb < 1))) {
        fprintf(stderr, "usage: make_random_llama llama-2-7b|llama-3.2-1b|tiny-2|tiny-3.2 DIR [TOKENIZER.json "
                        "[SHARD_MB]]\n");
        return 2;
    }
    if (make(s, argv[2], argc > 3 ? argv[3] : NULL, shard_mb * 1000000, &err) != LOOM_OK) {
        fprintf(stderr, "make_random_llama: %s\n", err.msg);
        return 1;
    }
    fprintf(stderr, "%s: random weights of a %s, %.1f s\n", argv[2], s->name, loom_time_now() - started);
    return 0;
}
