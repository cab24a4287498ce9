#include "model/llama.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/rng.h"

static const char *const role_names[] = {
    [LOOM_ROLE_Q] = "self_attn.q_proj",
    [LOOM_ROLE_K] = "self_attn.k_proj",
    [LOOM_ROLE_V] = "self_attn.v_proj",
    [LOOM_ROLE_O] = "self_attn.o_proj",
    [LOOM_ROLE_GATE] = "mlp.gate_proj",
    [LOOM_ROLE_UP] = "mlp.up_proj",
    [LOOM_ROLE_DOWN] = "mlp.down_proj",
    [LOOM_ROLE_NORM_ATT] = "input_layernorm",
    [LOOM_ROLE_NORM_FFN] = "post_attention_layernorm",
};

/* ---- the table ---- */

/* Starts the next tensor on a 64-byte boundary (16 floats). */
static void align_table(loom_tensors *t) { t->floats = (t->floats + 15) & ~(size_t)15; }

static void add(loom_tensors *t, loom_role role, int64_t layer, int64_t out, int64_t in)
{
    loom_tensor *x = &t->tensors[t->n++];

    *x = (loom_tensor){.n_dims = in > 0 ? 2 : 1,
                       .shape = {out, in > 0 ? in : 1},
                       .offset = t->floats,
                       .count = (size_t)out * (size_t)(in > 0 ? in : 1),
                       .decay = in > 0,
                       .role = role,
                       .layer = layer};
    t->floats += x->count;
    if (layer >= 0) snprintf(x->name, sizeof x->name, "model.layers.%" PRId64 ".%s.weight", layer, role_names[role]);
    else
        snprintf(x->name, sizeof x->name, "%s.weight",
                 role == LOOM_ROLE_EMBED  ? "model.embed_tokens"
                 : role == LOOM_ROLE_HEAD ? "lm_head"
                                          : "model.norm");
}

void loom_role_size(const loom_config *c, loom_role role, int64_t *out, int64_t *in)
{
    int64_t Q = c->H * c->D, E = c->K * c->D;

    *out = *in = c->C;
    switch (role) {
    case LOOM_ROLE_Q: *out = Q; break;
    case LOOM_ROLE_K:
    case LOOM_ROLE_V: *out = E; break;
    case LOOM_ROLE_O: *in = Q; break;
    case LOOM_ROLE_GATE:
    case LOOM_ROLE_UP: *out = c->F; break;
    case LOOM_ROLE_DOWN: *in = c->F; break;
    default: *out = c->V; break;
    }
}

static void add_matrix(loom_tensors *t, const loom_config *c, loom_role role, int64_t layer)
{
    int64_t out, in;

    loom_role_size(c, role, &out, &in);
    add(t, role, layer, out, in);
}

/* The tensors of a layer. q, k, v follow each other without gaps, and so do gate and up: each group is one matrix
 * to the products. */
static const struct {
    loom_role role;
    bool follows; /* the one before without a gap */
} layer_order[] = {{LOOM_ROLE_NORM_ATT, false}, {LOOM_ROLE_Q, false}, {LOOM_ROLE_K, true},
                   {LOOM_ROLE_V, true},         {LOOM_ROLE_O, false}, {LOOM_ROLE_NORM_FFN, false},
                   {LOOM_ROLE_GATE, false},     {LOOM_ROLE_UP, true}, {LOOM_ROLE_DOWN, false}};
enum { A_LAYER = sizeof layer_order / sizeof *layer_order };

static void add_layer(loom_tensors *t, const loom_config *c, int64_t l)
{
    for (int i = 0; i < A_LAYER; i++) {
        loom_role role = layer_order[i].role;

        if (!layer_order[i].follows) align_table(t);
        if (role < LOOM_N_ADAPTABLE) add_matrix(t, c, role, l);
        else add(t, role, l, c->C, 0);
    }
}

loom_status loom_llama_table(loom_tensors *out, const loom_config *config, loom_err *err)
{
    loom_config c = *config;
    loom_tensors t = {0};

    LOOM_TRY(loom_config_check(&c, err));
    t.tensors = loom_calloc((size_t)(3 + A_LAYER * c.L), sizeof *t.tensors);
    if (!t.tensors) return loom_fail_nomem(err, "the table of tensors");
    add_matrix(&t, &c, LOOM_ROLE_EMBED, -1);
    for (int64_t l = 0; l < c.L; l++) add_layer(&t, &c, l);
    align_table(&t);
    add(&t, LOOM_ROLE_NORM_OUT, -1, c.C, 0);
    align_table(&t);
    if (!c.tied) add_matrix(&t, &c, LOOM_ROLE_HEAD, -1);
    align_table(&t);
    *out = t;
    return LOOM_OK;
}

/* Embedding, layers, last norm, head unless it is the embedding. */
const loom_tensor *loom_llama_tensor(const loom_llama *m, int64_t layer, loom_role role)
{
    const loom_tensor *t = m->table.tensors;

    assert(m->table.n == 2 + A_LAYER * m->config.L + !m->config.tied);
    if (role == LOOM_ROLE_EMBED || (role == LOOM_ROLE_HEAD && m->config.tied)) return t;
    if (role == LOOM_ROLE_NORM_OUT) return t + 1 + A_LAYER * m->config.L;
    if (role == LOOM_ROLE_HEAD) return t + 2 + A_LAYER * m->config.L;
    assert(layer >= 0 && layer < m->config.L);
    for (int i = 0; i < A_LAYER; i++)
        if (layer_order[i].role == role) return t + 1 + A_LAYER * layer + i;
    return NULL;
}

void loom_tensors_release(loom_tensors *t)
{
    free(t->tensors);
    *t = (loom_tensors){0};
}

const loom_tensor *loom_tensors_find(const loom_tensors *t, const char *name)
{
    for (int64_t i = 0; i < t->n; i++)
        if (strcmp(t->tensors[i].name, name) == 0) return &t->tensors[i];
    return NULL;
}

size_t loom_llama_bytes(const loom_config *config)
{
    loom_tensors t;
    size_t bytes = 0;

    if (loom_llama_table(&t, config, NULL) != LOOM_OK) return 0;
    if (!loom_mul_size(&bytes, t.floats, sizeof(float))) bytes = SIZE_MAX;
    loom_tensors_release(&t);
    return bytes;
}

/* ---- the model ---- */
static loom_mat *matrix_slot(loom_llama *m, const loom_tensor *t)
{
    if (t->role < LOOM_N_ADAPTABLE) return &m->layers[t->layer].w[t->role];
    if (t->role == LOOM_ROLE_EMBED) return &m->embed;
    return t->role == LOOM_ROLE_HEAD ? &m->head : NULL;
}

/* Points the views of the layers into the parameter block. */
static void link_views(loom_llama *m)
{
    for (int64_t i = 0; i < m->table.n; i++) {
        const loom_tensor *t = &m->table.tensors[i];
        loom_mat *slot = matrix_slot(m, t);
        const float *data = m->params + t->offset;

        if (slot && !m->frozen) slot->f32 = data;
        if (t->role == LOOM_ROLE_NORM_ATT) m->layers[t->layer].norm_att = data;
        if (t->role == LOOM_ROLE_NORM_FFN) m->layers[t->layer].norm_ffn = data;
        if (t->role == LOOM_ROLE_NORM_OUT) m->norm_out = data;
    }
    if (m->config.tied) m->head = m->embed;
}

/* In a frozen model only the vectors take room. */
static void drop_matrices(loom_tensors *t)
{
    t->floats = 0;
    for (int64_t i = 0; i < t->n; i++) {
        if (t->tensors[i].n_dims == 2) {
            t->tensors[i].offset = 0;
            continue;
        }
        t->tensors[i].offset = t->floats;
        t->floats += t->tensors[i].count;
        align_table(t);
    }
}

static loom_status make_rope(loom_llama *m, loom_err *err)
{
    int64_t half = m->config.D / 2, P = m->config.max_positions;
    size_t n;
    double *f = loom_alloc((size_t)half, sizeof *f);

    if (!loom_mul_size(&n, (size_t)P, (size_t)half) || n > SIZE_MAX / 16) n = SIZE_MAX / 16;
    m->rope_cos = loom_alloc_aligned(n * sizeof(float));
    m->rope_sin = loom_alloc_aligned(n * sizeof(float));
    if (!f || !m->rope_cos || !m->rope_sin) {
        free(f);
        return loom_fail_nomem(err, "the rotary tables");
    }
    loom_rope_frequencies(f, &m->config);
    for (int64_t p = 0; p < P; p++) {
        for (int64_t i = 0; i < half; i++) {
            m->rope_cos[p * half + i] = (float)cos((double)p * f[i]);
            m->rope_sin[p * half + i] = (float)sin((double)p * f[i]);
        }
    }
    free(f);
    return LOOM_OK;
}

static loom_status make_block(loom_llama *m, loom_err *err)
{
    size_t bytes;
    char text[32], what[80];

    if (!loom_mul_size(&bytes, m->table.floats, sizeof(float))) bytes = SIZE_MAX;
    m->params = bytes == SIZE_MAX ? NULL : loom_alloc_aligned(bytes);
    if (m->params) return LOOM_OK;
    snprintf(what, sizeof what, "the weights (%s)", loom_format_bytes(text, sizeof text, (double)bytes));
    return loom_fail_nomem(err, what);
}

static loom_status new_model(loom_llama **out, const loom_config *config, bool frozen, loom_err *err)
{
    loom_llama *m = loom_calloc(1, sizeof *m);
    loom_status st;

    if (!m) return loom_fail_nomem(err, "the model");
    m->config = *config;
    m->frozen = frozen;
    if ((st = loom_config_check(&m->config, err)) != LOOM_OK) goto done;
    if ((st = loom_llama_table(&m->table, &m->config, err)) != LOOM_OK) goto done;
    if (frozen) drop_matrices(&m->table);
    m->layers = loom_calloc((size_t)m->config.L, sizeof *m->layers);
    if (!m->layers) {
        st = loom_fail_nomem(err, "the layers");
        goto done;
    }
    if ((st = make_block(m, err)) != LOOM_OK) goto done;
    if ((st = make_rope(m, err)) != LOOM_OK) goto done;
    link_views(m);
    *out = m;
    m = NULL;
done:
    loom_llama_free(m);
    return st;
}

loom_status loom_llama_new(loom_llama **out, const loom_config *config, loom_err *err)
{
    return new_model(out, config, false, err);
}

loom_status loom_llama_new_frozen(loom_llama **out, const loom_config *config, loom_err *err)
{
    return new_model(out, config, true, err);
}

void loom_llama_borrow(loom_llama *m, int64_t tensor, const uint16_t *bf16)
{
    loom_mat *slot = matrix_slot(m, &m->table.tensors[tensor]);

    if (!slot) return;
    slot->bf16 = bf16;
    if (slot == &m->embed && m->config.tied) m->head = m->embed;
}

loom_status loom_llama_complete(const loom_llama *m, loom_err *err)
{
    char names[400] = "";
    size_t used = 0;
    int missing = 0;

    for (int64_t i = 0; i < m->table.n; i++) {
        const loom_tensor *t = &m->table.tensors[i];
        const loom_mat *slot = matrix_slot((loom_llama *)m, t);

        if (!slot || slot->f32 || slot->bf16 || missing++ >= 3) continue;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", t->name);
    }
    if (!missing) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT, "%d matrices of the model have no weights: %s%s", missing, names,
                     missing > 3 ? ", ..." : "");
}

void loom_llama_free(loom_llama *m)
{
    if (!m) return;
    loom_tensors_release(&m->table);
    free(m->params);
    free(m->layers);
    free(m->rope_cos);
    free(m->rope_sin);
    free(m);
}

void loom_llama_init(loom_llama *m, uint64_t seed)
{
    double range = m->config.init_range, residual = range / sqrt(2.0 * (double)m->config.L);

    for (int64_t i = 0; i < m->table.n; i++) {
        const loom_tensor *t = &m->table.tensors[i];
        float *w = m->params + t->offset;
        double sd = t->role == LOOM_ROLE_O || t->role == LOOM_ROLE_DOWN ? residual : range;
        loom_rng rng;

        if (t->n_dims == 1) {
            for (size_t j = 0; j < t->count; j++) w[j] = 1.0f;
            continue;
        }
        if (m->frozen) continue; /* borrowed */
        loom_rng_seed(&rng, seed, "init", (uint64_t)i);
        for (size_t j = 0; j < t->count; j++) w[j] = (float)(sd * loom_rng_normal(&rng));
    }
}
