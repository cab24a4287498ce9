/* The block that a step computes in: one walk over all of its arrays, run once to measure and once to place. */
#include "model/acts_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/layout.h"
#include "core/num.h"
#include "model/blas.h"
#include "model/ops.h"

static float *take_rows(loom_layout *c, int64_t rows, int64_t width)
{
    return loom_layout_take(c, rows, width, sizeof(float));
}

static uint16_t *take_bf16(loom_layout *c, int64_t rows, int64_t width)
{
    return loom_layout_take(c, rows, width, sizeof(uint16_t));
}

static void place_layer(loom_acts *a, loom_layer_acts *s, loom_layout *c)
{
    int64_t N = a->o.max_rows;

    s->r_att = take_rows(c, N, 1);
    s->r_ffn = take_rows(c, N, 1);
    s->qkv = take_rows(c, N, loom_acts_QKV(a));
    s->att = take_rows(c, N, loom_acts_Q(a));
    s->lse = take_rows(c, N, a->c.H);
    s->mid = take_rows(c, N, a->c.C);
    s->gu = take_rows(c, N, 2 * a->c.F);
    for (unsigned r = 0; r < LOOM_N_ADAPTABLE; r++)
        s->xa[r] = a->R && (a->targets >> r & 1) ? take_rows(c, N, a->R) : NULL;
}

static void place_thread(loom_acts *a, loom_thread_acts *t, loom_layout *c)
{
    int64_t block = loom_min_i64(LOOM_ROW_BLOCK, a->o.max_rows), C = a->c.C, F = a->c.F;
    int64_t widest = loom_max_i64(C, loom_max_i64(loom_acts_Q(a), F)), broadest = loom_max_i64(2 * F, loom_acts_QKV(a));
    bool grad = a->o.grad, lora = grad && a->R, bf16 = a->o.bf16_compute;

    t->h = take_rows(c, block, C);
    t->dh = take_rows(c, grad ? block : 0, C);
    t->prod = take_rows(c, block, F);
    t->dprod = take_rows(c, grad ? block : 0, F);
    t->dgu = take_rows(c, lora || (grad && bf16) ? block : 0, 2 * F);
    t->drop = take_rows(c, lora ? block : 0, widest);
    t->mask_out = take_rows(c, lora ? block : 0, widest);
    t->dxa = take_rows(c, lora ? block : 0, a->R);
    t->r = take_rows(c, block, 1);
    t->how.widen = take_rows(c, a->frozen && !bf16 ? 1 : 0, loom_max_i64(LOOM_WIDEN_FLOATS, widest));
    t->how.rounded = take_bf16(c, bf16 ? LOOM_ROUND_ROWS : 0,
                               loom_packed_width(loom_max_i64(a->c.V, loom_max_i64(broadest, widest))));
    t->strip = take_rows(c, 1, loom_attention_scratch(a->o.max_seq, a->c.D, bf16));
    t->dlora = take_rows(c, lora ? 1 : 0, a->lora_floats);
}

/* Memory for logits is bounded; the rest of the step is some thousand floats a row, so this stays in proportion. */
#define LOGITS_BYTES ((int64_t)128 << 20)

static int64_t head_rows(const loom_acts *a)
{
    int64_t rows = LOGITS_BYTES / ((int64_t)sizeof(float) * a->c.V);

    return loom_min_i64(a->o.max_rows, loom_min_i64(1024, loom_max_i64(LOOM_ROW_BLOCK, rows)));
}

/* Matrix i of the packed weights: by layer and role, the head last. k and v (out 0) belong to q, and up to gate: in the
 * parameter block they lie side by side. */
static void matrix_size(const loom_acts *a, int64_t i, int64_t *out, int64_t *in)
{
    loom_role role = i == a->c.L * LOOM_N_ADAPTABLE ? LOOM_ROLE_HEAD : (loom_role)(i % LOOM_N_ADAPTABLE);

    loom_role_size(&a->c, role, out, in);
    if (role == LOOM_ROLE_Q) *out = loom_acts_QKV(a);
    if (role == LOOM_ROLE_GATE) *out *= 2;
    if (role == LOOM_ROLE_K || role == LOOM_ROLE_V || role == LOOM_ROLE_UP) *out = *in = 0;
}

static loom_packed place_packed(loom_layout *c, int64_t out, int64_t in, bool bf16)
{
    loom_packed p = {.out = out, .in = in, .bf16 = bf16};
    size_t bytes = loom_packed_bytes(out, in, bf16);

    if (bytes > INT64_MAX) c->overflow = true;
    else p.data = loom_layout_take(c, (int64_t)bytes, 1, 1);
    return p;
}

/* In float32 the packed weights are a second and third copy of the model, so only small models have them. */
#define MOST_PACKED_FLOATS (INT64_C(1) << 27)

static bool packs_weights(const loom_acts *a)
{
    int64_t floats = 0, out, in;

    if (a->frozen || loom_blas_plain()) return false;
    for (int64_t i = 0; i < loom_acts_matrices(a); i++) {
        matrix_size(a, i, &out, &in);
        floats += 2 * out * in;
    }
    return a->o.bf16_compute || floats <= MOST_PACKED_FLOATS;
}

static void place_weights(loom_acts *a, loom_layout *c)
{
    bool own = packs_weights(a), bf16 = a->o.bf16_compute;

    a->packed = loom_layout_take(c, own ? 2 * loom_acts_matrices(a) : 0, 1, sizeof *a->packed);
    a->packed_layers = loom_layout_take(c, own ? a->c.L : 0, 1, sizeof *a->packed_layers);
    for (int64_t i = 0; own && i < loom_acts_matrices(a); i++) {
        loom_packed fwd, back;
        int64_t out, in;

        matrix_size(a, i, &out, &in);
        fwd = place_packed(c, out, in, bf16);
        back = place_packed(c, a->o.grad ? in : 0, out, bf16);
        if (a->packed) a->packed[2 * i] = fwd, a->packed[2 * i + 1] = back;
    }
}

static loom_weight_grad_side place_side(loom_layout *c, int64_t rows, int64_t cols)
{
    return (loom_weight_grad_side){
        .data = take_bf16(c, rows ? loom_weight_grad_rows(rows) : 0, loom_weight_grad_cols(cols)),
        .cols = cols,
        .stretch = loom_weight_grad_stretch(rows)};
}

/* bf16_compute: the operands of the weights' gradients */
static void place_rounded(loom_acts *a, loom_layout *c)
{
    bool wanted = a->o.bf16_compute && a->o.grad && !a->R;
    int64_t N = wanted ? a->o.max_rows : 0, C = a->c.C;

    a->engines = loom_layout_take(c, a->o.bf16_compute ? a->n_threads : 0, 1, sizeof *a->engines);
    a->h16 = place_side(c, N, C);
    a->prod16 = place_side(c, N, a->c.F);
    a->dgu16 = place_side(c, N, 2 * a->c.F);
    a->dx16 = place_side(c, N, C);
    a->dmid16 = place_side(c, N, C);
    a->att16 = place_side(c, N, loom_acts_Q(a));
    a->dqkv16 = place_side(c, N, loom_acts_QKV(a));
    a->head_x16 = place_side(c, wanted ? a->head_rows : 0, C);
    a->logits16 = place_side(c, wanted ? a->head_rows : 0, a->c.V);
}

static int64_t most_blocks(int64_t max_rows) { return loom_max_i64(16, max_rows / LOOM_ROW_BLOCK) + 1; }

static void place(loom_acts *a, loom_layout *c)
{
    int64_t N = a->o.max_rows, C = a->c.C, grad = a->o.grad ? N : 0, full = a->R || a->o.bf16_compute ? 0 : grad;
    int64_t slots = a->o.grad && !a->o.recompute ? a->c.L : 1;

    a->layers = loom_layout_take(c, slots, 1, sizeof *a->layers);
    a->threads = loom_layout_take(c, a->n_threads, 1, sizeof *a->threads);
    a->rights = loom_layout_take(c, a->n_threads, 1, sizeof *a->rights);
    a->position = loom_layout_take(c, N, 1, sizeof *a->position);
    a->counted = loom_layout_take(c, N, 1, sizeof *a->counted);
    a->targets_of = loom_layout_take(c, N, 1, sizeof *a->targets_of);
    a->weights_of = loom_layout_take(c, N, 1, sizeof *a->weights_of);
    a->losses = loom_layout_take(c, N, 1, sizeof *a->losses);
    a->x = take_rows(c, (a->o.grad ? a->c.L + 1 : 2) * N, C);
    for (int64_t l = 0; l < slots; l++) place_layer(a, a->layers ? &a->layers[l] : &(loom_layer_acts){0}, c);
    for (int i = 0; i < a->n_threads; i++) place_thread(a, a->threads ? &a->threads[i] : &(loom_thread_acts){0}, c);
    a->head_rows = head_rows(a);
    a->head_x = take_rows(c, a->head_rows, C);
    a->logits = take_rows(c, a->head_rows, a->c.V);
    a->dx = take_rows(c, grad, C);
    a->dmid = take_rows(c, grad, C);
    a->dnorm = take_rows(c, grad && !a->R ? most_blocks(N) : 0, C);
    a->datt = take_rows(c, grad, loom_acts_Q(a));
    a->dqkv = take_rows(c, grad, loom_acts_QKV(a));
    a->h = take_rows(c, full, C);
    a->prod = take_rows(c, full, a->c.F);
    a->dgu = take_rows(c, full, 2 * a->c.F);
    place_weights(a, c);
    place_rounded(a, c);
}

static int64_t lora_layer_floats(const loom_config *c, const loom_lora_config *lc)
{
    return (int64_t)(loom_lora_bytes(c, lc) / sizeof(float)) / c->L;
}

size_t loom_acts_bytes(const loom_config *config, const loom_lora_config *lora, bool frozen, const loom_acts_options *o,
                       int n_threads)
{
    loom_acts a = {.o = *o, .c = *config, .frozen = frozen, .n_threads = n_threads};
    loom_layout c = {0};

    if (loom_config_check(&a.c, NULL) != LOOM_OK) return 0;
    if (lora) {
        a.R = lora->R;
        a.targets = lora->targets;
        a.lora_floats = lora_layer_floats(&a.c, lora);
    }
    place(&a, &c);
    return c.overflow ? SIZE_MAX : c.used;
}

/* Starts oneDNN on every thread. */
static loom_status make_engines(loom_acts *a, loom_err *err)
{
    for (int i = 0; i < a->n_threads; i++) {
        LOOM_TRY(loom_bf16_new(&a->engines[i], err));
        a->threads[i].how.bf16 = a->engines[i];
    }
    return LOOM_OK;
}

/* Points the packed layers to their matrices; norms stay the model's and are set by every step. */
static void point_layers(loom_acts *a)
{
    for (int64_t i = 0; a->packed && i < loom_acts_matrices(a) - 1; i++) {
        const loom_packed *p = &a->packed[2 * i];

        if (p->out)
            a->packed_layers[i / LOOM_N_ADAPTABLE].w[i % LOOM_N_ADAPTABLE] = (loom_mat){.fwd = p, .back = p + 1};
    }
}

static loom_status check_options(const loom_acts_options *o, const loom_config *c, loom_err *err)
{
    if (o->max_rows < 1 || o->max_rows > INT32_MAX)
        return loom_fail(err, LOOM_STATUS_ARG, "a batch of %" PRId64 " tokens cannot be prepared, expected 1..%d",
                         o->max_rows, INT32_MAX);
    if (o->max_seq < 1 || o->max_seq > c->max_positions)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "sequences of %" PRId64 " tokens do not fit the model's %" PRId64 " positions", o->max_seq,
                         c->max_positions);
    return LOOM_OK;
}

loom_status loom_acts_new(loom_acts **out, const loom_llama *m, const loom_lora *lora, const loom_acts_options *o,
                          loom_err *err)
{
    loom_acts *a;
    loom_status st = LOOM_OK;
    loom_layout c = {0};
    char text[32], what[96];

    LOOM_TRY(check_options(o, &m->config, err));
    if (o->grad && m->frozen && !lora)
        return loom_fail(err, LOOM_STATUS_ARG, "a base mapped as bfloat16 can only be trained through a LoRA adapter");
    a = loom_calloc(1, sizeof *a);
    if (!a) return loom_fail_nomem(err, "the activations");
    a->o = *o;
    a->c = m->config;
    a->frozen = m->frozen;
    a->n_threads = loom_pool_threads(o->pool);
    if (lora) {
        a->R = lora->config.R;
        a->targets = lora->config.targets;
        a->lora_floats = (int64_t)lora->table.floats / a->c.L;
    }
    place(a, &c);
    if (!c.overflow) a->block = loom_alloc_aligned(c.used);
    if (!a->block) {
        snprintf(what, sizeof what, "the activations (%s)", loom_format_bytes(text, sizeof text, (double)c.used));
        free(a);
        return loom_fail_nomem(err, what);
    }
    c = (loom_layout){.base = a->block};
    place(a, &c);
    point_layers(a);
    if (a->o.bf16_compute) st = make_engines(a, err);
    if (st == LOOM_OK) *out = a;
    else loom_acts_free(a);
    return st;
}

void loom_acts_free(loom_acts *a)
{
    if (!a) return;
    for (int i = 0; a->o.bf16_compute && i < a->n_threads; i++) loom_bf16_free(a->engines[i]);
    free(a->block);
    free(a);
}

const loom_acts_times *loom_acts_get_times(const loom_acts *a) { return &a->times; }

void loom_acts_times_reset(loom_acts *a) { a->times = (loom_acts_times){0}; }
