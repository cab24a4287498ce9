#include "train/gguf_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "train/hf.h"

bool loom_gguf_is_name(const char *path)
{
    size_t n = strlen(path);

    return n > 5 && strcmp(path + n - 5, ".gguf") == 0;
}

/* ---- facts ---- */

static uint32_t file_type(loom_gguf_type matrices)
{
    switch (matrices) {
    case LOOM_GGUF_TENSOR_F16: return 1;
    case LOOM_GGUF_TENSOR_Q8_0: return 7;
    case LOOM_GGUF_TENSOR_BF16: return 32;
    default: return 0;
    }
}

static void put_general(loom_gguf *g, const loom_gguf_how *how, const char *type)
{
    loom_gguf_str(g, "general.architecture", "llama");
    loom_gguf_str(g, "general.type", type);
    loom_gguf_str(g, "general.name", how->name);
    if (how->meta) loom_gguf_str(g, "spanloom.meta", how->meta);
}

static void put_size(loom_gguf *g, const char *key, int64_t v) { loom_gguf_u32(g, key, (uint32_t)v); }

static void put_config(loom_gguf *g, const loom_config *c)
{
    put_size(g, "llama.block_count", c->L);
    put_size(g, "llama.context_length", c->max_positions);
    put_size(g, "llama.embedding_length", c->C);
    put_size(g, "llama.feed_forward_length", c->F);
    put_size(g, "llama.attention.head_count", c->H);
    put_size(g, "llama.attention.head_count_kv", c->K);
    loom_gguf_f32(g, "llama.attention.layer_norm_rms_epsilon", (float)c->rms_eps);
    put_size(g, "llama.attention.key_length", c->D);
    put_size(g, "llama.attention.value_length", c->D);
    put_size(g, "llama.rope.dimension_count", c->D);
    loom_gguf_f32(g, "llama.rope.freq_base", (float)c->rope_theta);
    put_size(g, "llama.vocab_size", c->V);
    if (c->rope_kind != LOOM_ROPE_LINEAR) return;
    loom_gguf_str(g, "llama.rope.scaling.type", "linear");
    loom_gguf_f32(g, "llama.rope.scaling.factor", (float)c->rope_factor);
}

/* ---- tensors ---- */

typedef struct source {
    const loom_model_files *b;
    bool merge;
} source;

/* One tensor of the file. */
typedef struct part {
    const source *from;
    const loom_tensor *t; /* NULL: the divisors of the rotation */
} part;

static const char *const parts_of_layer[] = {
    [LOOM_ROLE_Q] = "attn_q",      [LOOM_ROLE_K] = "attn_k",           [LOOM_ROLE_V] = "attn_v",
    [LOOM_ROLE_O] = "attn_output", [LOOM_ROLE_GATE] = "ffn_gate",      [LOOM_ROLE_UP] = "ffn_up",
    [LOOM_ROLE_DOWN] = "ffn_down", [LOOM_ROLE_NORM_ATT] = "attn_norm", [LOOM_ROLE_NORM_FFN] = "ffn_norm"};

static void name_of(char *into, size_t cap, loom_role role, int64_t layer)
{
    if (layer >= 0) snprintf(into, cap, "blk.%lld.%s.weight", (long long)layer, parts_of_layer[role]);
    else
        snprintf(into, cap, "%s.weight",
                 role == LOOM_ROLE_EMBED  ? "token_embd"
                 : role == LOOM_ROLE_HEAD ? "output"
                                          : "output_norm");
}

/* The rotation pairs element j of a head with j + D/2 here, 2j with 2j + 1 there: rows (n_heads D, width) move. */
static loom_status interleave(float *values, int64_t n_heads, int64_t D, int64_t width, loom_err *err)
{
    size_t row = (size_t)width * sizeof *values;
    float *head = loom_alloc((size_t)(D * width), sizeof *head);

    if (!head) return loom_fail_nomem(err, "the rows of a head");
    for (int64_t h = 0; h < n_heads; h++, values += D * width) {
        memcpy(head, values, (size_t)D * row);
        for (int64_t j = 0; j < D / 2; j++)
            for (int64_t p = 0; p < 2; p++) memcpy(values + (2 * j + p) * width, head + (p * (D / 2) + j) * width, row);
    }
    free(head);
    return LOOM_OK;
}

static loom_status turn(float *values, loom_role role, const loom_config *c, int64_t width, loom_err *err)
{
    if (role == LOOM_ROLE_Q) return interleave(values, c->H, c->D, width, err);
    return role == LOOM_ROLE_K ? interleave(values, c->K, c->D, width, err) : LOOM_OK;
}

static loom_status fetch_divisors(float *values, const loom_config *c, loom_err *err)
{
    double *f = loom_alloc((size_t)c->D / 2, sizeof *f);

    if (!f) return loom_fail_nomem(err, "the rotation");
    loom_rope_frequencies(f, c);
    for (int64_t i = 0; i < c->D / 2; i++)
        values[i] = (float)(pow(c->rope_theta, -2.0 * (double)i / (double)c->D) / f[i]);
    free(f);
    return LOOM_OK;
}

static loom_status fetch(void *arg, const loom_gguf_item *item, float *values, loom_err *err)
{
    const part *p = arg;
    const loom_config *c = &p->from->b->model->config;

    (void)item;
    if (!p->t) return fetch_divisors(values, c, err);
    loom_hf_tensor_values(values, p->from->b, p->from->merge, p->t);
    return turn(values, p->t->role, c, p->t->shape[1], err);
}

static loom_gguf_type type_for(const loom_tensor *t, loom_gguf_type matrices, int64_t *n_f16)
{
    if (t->n_dims == 1) return LOOM_GGUF_TENSOR_F32;
    if (matrices != LOOM_GGUF_TENSOR_Q8_0 || t->shape[1] % LOOM_Q8_BLOCK == 0) return matrices;
    ++*n_f16;
    return LOOM_GGUF_TENSOR_F16;
}

static size_t make_items(loom_gguf_item *items, part *parts, const source *s, loom_gguf_type matrices, int64_t *n_f16)
{
    const loom_llama *m = s->b->model;
    size_t n = 0;

    for (int64_t i = 0; i < m->table.n; i++, n++) {
        const loom_tensor *t = &m->table.tensors[i];
        parts[n] = (part){s, t};
        items[n] = (loom_gguf_item){.type = type_for(t, matrices, n_f16),
                                    .n_dims = t->n_dims,
                                    .shape = {t->shape[0], t->shape[1]},
                                    .fetch = fetch,
                                    .arg = &parts[n]};
        name_of(items[n].name, sizeof items[n].name, t->role, t->layer);
    }
    if (m->config.rope_kind != LOOM_ROPE_LLAMA3) return n;
    parts[n] = (part){s, NULL};
    items[n] = (loom_gguf_item){.name = "rope_freqs.weight",
                                .type = LOOM_GGUF_TENSOR_F32,
                                .n_dims = 1,
                                .shape = {m->config.D / 2, 1},
                                .fetch = fetch,
                                .arg = &parts[n]};
    return n + 1;
}

loom_status loom_gguf_write_model(loom_out *out, const loom_model_files *b, const loom_gguf_vocab *v,
                                  const loom_gguf_how *how, int64_t *n_f16, loom_err *err)
{
    size_t room = (size_t)b->model->table.n + 1;
    loom_gguf_item *items = loom_calloc(room, sizeof *items);
    part *parts = loom_calloc(room, sizeof *parts);
    source s = {b, how->merge};
    loom_gguf g = {0};
    loom_status st;

    *n_f16 = 0;
    if (!items || !parts) {
        st = loom_fail_nomem(err, "the list of tensors");
        goto done;
    }
    put_general(&g, how, "model");
    loom_gguf_u32(&g, "general.file_type", file_type(how->matrices));
    if (how->matrices == LOOM_GGUF_TENSOR_Q8_0) loom_gguf_u32(&g, "general.quantization_version", 2);
    put_config(&g, &b->model->config);
    if ((st = loom_gguf_vocab_put(&g, v, &b->model->config, how->add_bos, err)) != LOOM_OK) goto done;
    st = loom_gguf_write(out, &g, items, make_items(items, parts, &s, how->matrices, n_f16), err);
done:
    loom_gguf_release(&g);
    free(items);
    free(parts);
    return st;
}

/* ---- adapters ---- */

static bool is_b(const loom_tensor *t) { return strstr(t->name, ".lora_B.") != NULL; }

/* Rows of B are those of its matrix and move with them. */
static loom_status fetch_adapter(void *arg, const loom_gguf_item *item, float *values, loom_err *err)
{
    const part *p = arg;
    const loom_tensor *t = p->t;

    (void)item;
    memcpy(values, p->from->b->lora->params + t->offset, t->count * sizeof *values);
    return is_b(t) ? turn(values, t->role, &p->from->b->model->config, t->shape[1], err) : LOOM_OK;
}

static void put_adapter(loom_gguf *g, const loom_gguf_how *how, const loom_lora_config *c)
{
    put_general(g, how, "adapter");
    loom_gguf_str(g, "adapter.type", "lora");
    loom_gguf_f32(g, "adapter.lora.alpha", (float)(c->rslora ? c->alpha * sqrt((double)c->R) : c->alpha));
}

loom_status loom_gguf_write_adapter(loom_out *out, const loom_model_files *b, const loom_gguf_how *how, loom_err *err)
{
    const loom_tensors *table = &b->lora->table;
    loom_gguf_item *items = loom_calloc((size_t)table->n, sizeof *items);
    part *parts = loom_calloc((size_t)table->n, sizeof *parts);
    source s = {b, false};
    loom_gguf g = {0};
    loom_status st = items && parts ? LOOM_OK : loom_fail_nomem(err, "the list of tensors");

    for (int64_t i = 0; i < table->n && st == LOOM_OK; i++) {
        const loom_tensor *t = &table->tensors[i];
        parts[i] = (part){&s, t};
        items[i] = (loom_gguf_item){.type = LOOM_GGUF_TENSOR_F32,
                                    .n_dims = 2,
                                    .shape = {t->shape[0], t->shape[1]},
                                    .fetch = fetch_adapter,
                                    .arg = &parts[i]};
        name_of(items[i].name, sizeof items[i].name, t->role, t->layer);
        size_t len = strlen(items[i].name);
        snprintf(items[i].name + len, sizeof items[i].name - len, "%s", is_b(t) ? ".lora_b" : ".lora_a");
    }
    put_adapter(&g, how, &b->lora->config);
    if (st == LOOM_OK) st = loom_gguf_write(out, &g, items, (size_t)table->n, err);
    loom_gguf_release(&g);
    free(items);
    free(parts);
    return st;
}

/* ---- ollama ---- */

loom_status loom_gguf_modelfile(loom_buf *into, const char *gguf, const loom_config *c, loom_mode form, loom_err *err)
{
    const char *slash = strrchr(gguf, '/'), *name = slash ? slash + 1 : gguf;
    size_t n;
    const char *const *stops = loom_stop_strings(form, &n);

    for (const char *p = name; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
            return loom_fail(err, LOOM_STATUS_ARG,
                             "%s cannot stand in a Modelfile; choose a name without quotes and backslashes", gguf);
    loom_buf_printf(into, "FROM \"./%s\"\nTEMPLATE \"\"\"{{ .Prompt }}\"\"\"\nPARAMETER num_ctx %lld\n", name,
                    (long long)c->max_positions);
    for (size_t i = 0; i < n; i++) loom_buf_printf(into, "PARAMETER stop \"%s\"\n", stops[i]);
    return loom_buf_check(into, "the Modelfile", err);
}
