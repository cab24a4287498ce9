#include "model/lora.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/rng.h"
#include "model/blas.h"

static const char *const modules[LOOM_N_ADAPTABLE] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                      "gate_proj", "up_proj", "down_proj"};

const char *loom_lora_module(loom_role role) { return role < LOOM_N_ADAPTABLE ? modules[role] : ""; }

/* ---- targets ---- */
static loom_status add_target(unsigned *bits, const char *word, size_t len, loom_err *err)
{
    for (unsigned r = 0; r < LOOM_N_ADAPTABLE; r++) {
        size_t full = strlen(modules[r]), brief = full - strlen("_proj");

        if ((len == full || len == brief) && strncmp(word, modules[r], len) == 0) {
            *bits |= 1u << r;
            return LOOM_OK;
        }
    }
    return loom_fail(
        err, LOOM_STATUS_ARG,
        "\"%.*s\" is not a matrix LoRA can adapt; use q, k, v, o, gate, up, down, separated by commas, or all",
        (int)(len > 60 ? 60 : len), word);
}

loom_status loom_lora_parse_targets(unsigned *out, const char *text, loom_err *err)
{
    unsigned bits = 0;

    if (strcmp(text, "all") == 0 || strcmp(text, "all-linear") == 0) {
        *out = (1u << LOOM_N_ADAPTABLE) - 1;
        return LOOM_OK;
    }
    for (const char *p = text;;) {
        size_t len = strcspn(p, ",");
        const char *word = p + strspn(p, " ");
        size_t trimmed = len - (size_t)(word - p);

        while (trimmed && word[trimmed - 1] == ' ') trimmed--;
        LOOM_TRY(add_target(&bits, word, trimmed, err));
        if (!p[len]) break;
        p += len + 1;
    }
    *out = bits;
    return LOOM_OK;
}

static loom_status check(const loom_lora_config *c, const loom_config *base, loom_err *err)
{
    int64_t most = loom_min_i64(base->C, loom_min_i64(base->F, base->K * base->D));

    if (c->R < 1 || c->R > most)
        return loom_fail(err, LOOM_STATUS_ARG, "LoRA rank is %" PRId64 ", expected 1..%" PRId64 " for this model", c->R,
                         most);
    if (!isfinite(c->alpha) || c->alpha <= 0)
        return loom_fail(err, LOOM_STATUS_ARG, "LoRA alpha is %g, expected a positive number", c->alpha);
    if (!(c->dropout >= 0 && c->dropout < 1))
        return loom_fail(err, LOOM_STATUS_ARG, "LoRA dropout is %g, expected 0 <= dropout < 1", c->dropout);
    if (!c->targets || c->targets >> LOOM_N_ADAPTABLE)
        return loom_fail(err, LOOM_STATUS_ARG, "LoRA has no target matrices; choose some of q,k,v,o,gate,up,down");
    return LOOM_OK;
}

/* ---- table ---- */
static void add(loom_tensors *t, const loom_tensor *of, char which, int64_t out, int64_t in)
{
    loom_tensor *x = &t->tensors[t->n++];
    int stem = (int)(strlen(of->name) - strlen(".weight"));

    *x = (loom_tensor){.n_dims = 2,
                       .shape = {out, in},
                       .offset = t->floats,
                       .count = (size_t)(out * in),
                       .decay = true,
                       .role = of->role,
                       .layer = of->layer};
    snprintf(x->name, sizeof x->name, "%.*s.lora_%c.weight", stem, of->name, which);
    t->floats = (t->floats + x->count + 15) & ~(size_t)15;
}

static loom_status make_table(loom_tensors *out, const loom_config *base, const loom_lora_config *c, loom_err *err)
{
    loom_tensors whole, t = {0};

    LOOM_TRY(loom_llama_table(&whole, base, err));
    t.tensors = loom_calloc((size_t)(2 * LOOM_N_ADAPTABLE * base->L), sizeof *t.tensors);
    for (int64_t i = 0; t.tensors && i < whole.n; i++) {
        const loom_tensor *of = &whole.tensors[i];

        if (of->role >= LOOM_N_ADAPTABLE || !(c->targets >> of->role & 1)) continue;
        add(&t, of, 'A', c->R, of->shape[1]);
        add(&t, of, 'B', of->shape[0], c->R);
    }
    loom_tensors_release(&whole);
    if (!t.tensors) return loom_fail_nomem(err, "the table of adapter tensors");
    *out = t;
    return LOOM_OK;
}

size_t loom_lora_bytes(const loom_config *base, const loom_lora_config *config)
{
    loom_tensors t;
    size_t bytes;

    if (make_table(&t, base, config, NULL) != LOOM_OK) return 0;
    bytes = t.floats * sizeof(float);
    loom_tensors_release(&t);
    return bytes;
}

/* ---- the adapter ---- */
static void link_views(loom_lora *lora)
{
    for (int64_t i = 0; i < lora->table.n; i += 2) {
        const loom_tensor *a = &lora->table.tensors[i], *b = a + 1;

        lora->adapters[a->layer * LOOM_N_ADAPTABLE + (int64_t)a->role] = (loom_adapter){
            .a = lora->params + a->offset, .b = lora->params + b->offset, .a_offset = a->offset, .b_offset = b->offset};
    }
}

loom_status loom_lora_new(loom_lora **out, const loom_config *base, const loom_lora_config *config, loom_err *err)
{
    loom_config checked = *base;
    loom_lora *lora = NULL;
    loom_status st;

    LOOM_TRY(loom_config_check(&checked, err));
    LOOM_TRY(check(config, &checked, err));
    lora = loom_calloc(1, sizeof *lora);
    if (!lora) return loom_fail_nomem(err, "the adapter");
    lora->config = *config;
    lora->scale = (float)(config->alpha / (config->rslora ? sqrt((double)config->R) : (double)config->R));
    if ((st = make_table(&lora->table, &checked, config, err)) != LOOM_OK) goto done;
    lora->params = loom_alloc_aligned(lora->table.floats * sizeof(float));
    lora->adapters = loom_calloc((size_t)(checked.L * LOOM_N_ADAPTABLE), sizeof *lora->adapters);
    if (!lora->params || !lora->adapters) {
        st = loom_fail_nomem(err, "the adapter's weights");
        goto done;
    }
    link_views(lora);
    *out = lora;
    lora = NULL;
done:
    loom_lora_free(lora);
    return st;
}

void loom_lora_free(loom_lora *lora)
{
    if (!lora) return;
    loom_tensors_release(&lora->table);
    free(lora->params);
    free(lora->adapters);
    free(lora);
}

void loom_lora_init(loom_lora *lora, uint64_t seed)
{
    for (int64_t i = 0; i < lora->table.n; i++) {
        const loom_tensor *t = &lora->table.tensors[i];
        float *w = lora->params + t->offset;
        double bound = 1 / sqrt((double)t->shape[1]);
        loom_rng rng;

        if (i % 2) { /* B */
            memset(w, 0, t->count * sizeof *w);
            continue;
        }
        loom_rng_seed(&rng, seed, "lora", (uint64_t)i);
        for (size_t j = 0; j < t->count; j++) w[j] = (float)((2 * loom_rng_f64(&rng) - 1) * bound);
    }
}

void loom_lora_add_to(float *w, const loom_lora *lora, const loom_tensor *t, float sign)
{
    const loom_adapter *ad;

    if (t->role >= LOOM_N_ADAPTABLE) return;
    ad = &lora->adapters[t->layer * LOOM_N_ADAPTABLE + (int64_t)t->role];
    if (!ad->a) return;
    loom_gemm_nn(w, t->shape[1], ad->b, lora->config.R, ad->a, t->shape[1], t->shape[0], t->shape[1], lora->config.R,
                 sign * lora->scale, 1.0f);
}
