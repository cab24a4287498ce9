#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/usage.h"
#include "model/acts_impl.h"
#include "model/blas.h"
#include "model/ops.h"

/* ---- layout: one walk over all arrays, run once to measure and once to place ---- */
typedef struct cursor {
    char *base; /* NULL: measuring */
    size_t used;
    bool overflow;
} cursor;

static void *take(cursor *c, int64_t n, size_t size)
{
    size_t bytes;
    void *p = c->base ? c->base + c->used : NULL;

    if (n < 0 || !loom_mul_size(&bytes, (size_t)n, size) || !loom_add_size(&bytes, bytes, 63) ||
        !loom_add_size(&c->used, c->used, bytes & ~(size_t)63)) {
        c->overflow = true;
        return NULL;
    }
    return n ? p : NULL;
}

static float *take_rows(cursor *c, int64_t rows, int64_t width)
{
    size_t n;

    if (!loom_mul_size(&n, (size_t)rows, (size_t)width) || n > INT64_MAX) {
        c->overflow = true;
        return NULL;
    }
    return take(c, (int64_t)n, sizeof(float));
}

static uint16_t *take_bf16(cursor *c, int64_t rows, int64_t width)
{
    size_t n;

    if (!loom_mul_size(&n, (size_t)rows, (size_t)width) || n > INT64_MAX) {
        c->overflow = true;
        return NULL;
    }
    return take(c, (int64_t)n, sizeof(uint16_t));
}

static void place_layer(loom_acts *a, loom_layer_acts *s, cursor *c)
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

static void place_thread(loom_acts *a, loom_thread_acts *t, cursor *c)
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
    t->how.rounded =
        take_bf16(c, bf16 ? LOOM_ROUND_ROWS : 0, loom_packed_width(loom_max_i64(a->c.V, loom_max_i64(broadest, widest))));
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
    int64_t C = a->c.C, F = a->c.F, Q = loom_acts_Q(a);
    const int64_t sizes[LOOM_N_ADAPTABLE][2] = {[LOOM_ROLE_Q] = {loom_acts_QKV(a), C},
                                                [LOOM_ROLE_O] = {C, Q},
                                                [LOOM_ROLE_GATE] = {2 * F, C},
                                                [LOOM_ROLE_DOWN] = {C, F}};

    *out = i == a->c.L * LOOM_N_ADAPTABLE ? a->c.V : sizes[i % LOOM_N_ADAPTABLE][0];
    *in = i == a->c.L * LOOM_N_ADAPTABLE ? C : sizes[i % LOOM_N_ADAPTABLE][1];
}

static int64_t n_matrices(const loom_acts *a) { return a->c.L * LOOM_N_ADAPTABLE + 1; }

static loom_packed place_packed(cursor *c, int64_t out, int64_t in, bool bf16)
{
    loom_packed p = {.out = out, .in = in, .bf16 = bf16};
    size_t bytes = loom_packed_bytes(out, in, bf16);

    if (bytes > INT64_MAX) c->overflow = true;
    else p.data = take(c, (int64_t)bytes, 1);
    return p;
}

/* In float32 the packed weights are a second and third copy of the model, so only small models have them. */
#define MOST_PACKED_FLOATS (INT64_C(1) << 27)

static bool packs_weights(const loom_acts *a)
{
    int64_t floats = 0, out, in;

    if (a->frozen || loom_blas_plain()) return false;
    for (int64_t i = 0; i < n_matrices(a); i++) {
        matrix_size(a, i, &out, &in);
        floats += 2 * out * in;
    }
    return a->o.bf16_compute || floats <= MOST_PACKED_FLOATS;
}

static void place_weights(loom_acts *a, cursor *c)
{
    bool own = packs_weights(a), bf16 = a->o.bf16_compute;

    a->packed = take(c, own ? 2 * n_matrices(a) : 0, sizeof *a->packed);
    a->packed_layers = take(c, own ? a->c.L : 0, sizeof *a->packed_layers);
    for (int64_t i = 0; own && i < n_matrices(a); i++) {
        loom_packed fwd, back;
        int64_t out, in;

        matrix_size(a, i, &out, &in);
        fwd = place_packed(c, out, in, bf16);
        back = place_packed(c, a->o.grad ? in : 0, out, bf16);
        if (a->packed) a->packed[2 * i] = fwd, a->packed[2 * i + 1] = back;
    }
}

static loom_weight_grad_side place_side(cursor *c, int64_t rows, int64_t cols)
{
    return (loom_weight_grad_side){.data = take_bf16(c, rows ? loom_weight_grad_rows(rows) : 0, loom_weight_grad_cols(cols)),
                        .cols = cols,
                        .stretch = loom_weight_grad_stretch(rows)};
}

/* bf16_compute: the operands of the weights' gradients */
static void place_rounded(loom_acts *a, cursor *c)
{
    bool wanted = a->o.bf16_compute && a->o.grad && !a->R;
    int64_t N = wanted ? a->o.max_rows : 0, C = a->c.C;

    a->engines = take(c, a->o.bf16_compute ? a->n_threads : 0, sizeof *a->engines);
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

/* Rows of a block: some sixteen blocks, so that threads can help each other, of whole groups of 32 rows. The number of threads
 * has no say in it, nor in any sum. */
static int64_t block_rows(int64_t n)
{
    return loom_min_i64(LOOM_ROW_BLOCK, (n / 16 + 31) / 32 * 32 + (n < 16 ? 32 : 0));
}

static int64_t most_blocks(int64_t max_rows) { return loom_max_i64(16, max_rows / LOOM_ROW_BLOCK) + 1; }

static void place(loom_acts *a, cursor *c)
{
    int64_t N = a->o.max_rows, C = a->c.C, grad = a->o.grad ? N : 0, full = a->R || a->o.bf16_compute ? 0 : grad;
    int64_t slots = a->o.grad && !a->o.recompute ? a->c.L : 1;

    a->layers = take(c, slots, sizeof *a->layers);
    a->threads = take(c, a->n_threads, sizeof *a->threads);
    a->rights = take(c, a->n_threads, sizeof *a->rights);
    a->position = take(c, N, sizeof *a->position);
    a->counted = take(c, N, sizeof *a->counted);
    a->targets_of = take(c, N, sizeof *a->targets_of);
    a->weights_of = take(c, N, sizeof *a->weights_of);
    a->losses = take(c, N, sizeof *a->losses);
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
    cursor c = {0};

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
    for (int64_t i = 0; a->packed && i < n_matrices(a) - 1; i++) {
        const loom_packed *p = &a->packed[2 * i];

        if (p->out) a->packed_layers[i / LOOM_N_ADAPTABLE].w[i % LOOM_N_ADAPTABLE] = (loom_mat){.fwd = p, .back = p + 1};
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
    cursor c = {0};
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
    c = (cursor){.base = a->block};
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

/* ---- phases ---- */
static void rows_on_thread(void *arg, int thread, int n_threads)
{
    const loom_step *s = arg;
    int64_t blocks = (s->fn_rows + 31) / 32, from = blocks * thread / n_threads * 32;
    int64_t to = loom_min_i64(s->fn_rows, blocks * (thread + 1) / n_threads * 32);

    for (int64_t n = from; n < to; n += LOOM_ROW_BLOCK)
        s->fn(s, &s->a->threads[thread], n, loom_min_i64(n + LOOM_ROW_BLOCK, to));
}

static void block_on_thread(void *arg, int64_t item, int thread)
{
    const loom_step *s = arg;
    int64_t n0 = item * s->block;

    s->fn(s, &s->a->threads[thread], n0, loom_min_i64(n0 + s->block, s->fn_rows));
}

/* An adapter's gradients are summed by thread, so each keeps to its rows. */
void loom_step_rows(loom_step *s, loom_rows_fn *fn, int64_t n)
{
    s->fn = fn;
    s->fn_rows = n;
    s->block = block_rows(n);
    if (s->a->R) loom_pool_each(s->a->o.pool, rows_on_thread, s);
    else loom_pool_share(s->a->o.pool, (n + s->block - 1) / s->block, block_on_thread, s);
}

float *loom_step_dnorm(const loom_step *s, int64_t n0)
{
    return s->a->R ? NULL : s->a->dnorm + n0 / s->block * s->a->c.C;
}

void loom_step_add_norm(const loom_step *s, const loom_tensor *norm, int64_t rows)
{
    int64_t C = s->a->c.C;

    for (int64_t n = 0; n < rows; n += s->block) {
        float *restrict from = loom_step_dnorm(s, n), *restrict to = s->grads + norm->offset;

        for (int64_t c = 0; c < C; c++) to[c] += from[c];
        memset(from, 0, (size_t)C * sizeof *from);
    }
}

void loom_step_lap(double *to, double *since)
{
    double now = loom_time_now();

    *to += now - *since;
    *since = now;
}

loom_layer_acts loom_step_layer(const loom_step *s)
{
    const loom_acts *a = s->a;
    int64_t size = a->o.max_rows * a->c.C;
    loom_layer_acts v = a->layers[a->o.grad && !a->o.recompute ? s->l : 0];

    v.x = a->x + (a->o.grad ? s->l : s->l % 2) * size;
    v.out = a->x + (a->o.grad ? s->l + 1 : (s->l + 1) % 2) * size;
    return v;
}

const loom_adapter *loom_step_adapter(const loom_step *s, loom_role role)
{
    const loom_adapter *ad = s->lora ? &s->lora->adapters[s->l * LOOM_N_ADAPTABLE + (int64_t)role] : NULL;

    return ad && ad->a ? ad : NULL;
}

/* ---- batches ---- */
int64_t loom_batch_count(const loom_batch *b)
{
    int64_t count = 0;

    if (!b->labels) return 0;
    for (int64_t n = 0; n < b->N; n++) count += b->labels[n] != LOOM_IGNORE;
    return count;
}

double loom_batch_weight(const loom_batch *b)
{
    double sum = 0;

    if (!b->weights) return (double)loom_batch_count(b);
    for (int64_t n = 0; n < b->N; n++)
        if (b->labels[n] != LOOM_IGNORE) sum += (double)b->weights[n];
    return sum;
}

static loom_status check_segments(loom_acts *a, const loom_batch *b, loom_err *err)
{
    if (b->n_segments < 1 || b->segments[0] != 0 || b->segments[b->n_segments] != b->N)
        return loom_fail(err, LOOM_STATUS_ARG, "the sequences of the batch do not cover its %" PRId64 " rows", b->N);
    for (int64_t i = 0; i < b->n_segments; i++) {
        int64_t from = b->segments[i], len = b->segments[i + 1] - from;

        if (len < 1 || len > a->o.max_seq)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "sequence %" PRId64 " of the batch has %" PRId64 " tokens, expected 1..%" PRId64, i, len,
                             a->o.max_seq);
        for (int64_t t = 0; t < len; t++) a->position[from + t] = (int32_t)t;
    }
    return LOOM_OK;
}

static loom_status check_batch(loom_acts *a, const loom_batch *b, bool labels, loom_err *err)
{
    int64_t V = a->c.V;

    if (b->N < 1 || b->N > a->o.max_rows)
        return loom_fail(err, LOOM_STATUS_ARG, "a batch of %" PRId64 " tokens does not fit, expected 1..%" PRId64, b->N,
                         a->o.max_rows);
    LOOM_TRY(check_segments(a, b, err));
    a->n_counted = 0;
    for (int64_t n = 0; n < b->N; n++) {
        int32_t token = b->tokens[n], label = labels ? b->labels[n] : 0;

        if (token < 0 || token >= V)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "token %d at row %" PRId64 " is outside the vocabulary of %" PRId64
                             "; was the text encoded with another tokenizer?",
                             token, n, V);
        if (label == LOOM_IGNORE) continue;
        if (label < 0 || label >= V)
            return loom_fail(err, LOOM_STATUS_ARG, "label %d at row %" PRId64 " is outside the vocabulary of %" PRId64,
                             label, n, V);
        a->counted[a->n_counted] = (int32_t)n;
        a->weights_of[a->n_counted] = b->weights ? b->weights[n] : 1;
        a->targets_of[a->n_counted++] = label;
    }
    return LOOM_OK;
}

/* The adapter and model must be those the sizes were taken from. */
static loom_status check_model(const loom_acts *a, const loom_llama *m, const loom_lora *lora, loom_err *err)
{
    bool same = m->config.C == a->c.C && m->config.L == a->c.L && m->config.F == a->c.F && m->config.V == a->c.V &&
                m->config.H == a->c.H && m->config.K == a->c.K && m->config.D == a->c.D && (!m->frozen || a->frozen);

    if (same && (lora ? lora->config.R == a->R && lora->config.targets == a->targets : true)) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "the activations were prepared for another model or adapter");
}

/* ---- public steps ---- */
#define PACK_ROWS 128 /* of a matrix, packed at a time */

static int64_t pack_items(const loom_acts *a, int64_t i) { return (a->packed[2 * i].out + PACK_ROWS - 1) / PACK_ROWS; }

static void pack_item(void *arg, int64_t item, int thread)
{
    const loom_step *s = arg;
    const loom_packed *p;
    loom_mat W;
    int64_t i = 0, from, to;

    (void)thread;
    for (; item >= pack_items(s->a, i); i++) item -= pack_items(s->a, i);
    W = i == n_matrices(s->a) - 1 ? s->m->head : s->m->layers[i / LOOM_N_ADAPTABLE].w[i % LOOM_N_ADAPTABLE];
    p = &s->a->packed[2 * i];
    from = item * PACK_ROWS;
    to = loom_min_i64(from + PACK_ROWS, p->out);
    loom_packed_fill_outs(p, &W, 1.0f, from, to);
    if (p[1].out) loom_packed_fill_inner(p + 1, W.f32 + from * p->in, p->in, from, to);
}

/* Packs all weights, which may have changed since the last step, and makes the step use them. */
static void pack_weights(loom_step *s)
{
    loom_acts *a = s->a;
    int64_t items = 0;

    for (int64_t i = 0; i < n_matrices(a); i++) items += pack_items(a, i);
    loom_pool_for(a->o.pool, items, pack_item, s);
    for (int64_t l = 0; l < a->c.L; l++) {
        a->packed_layers[l].norm_att = s->m->layers[l].norm_att;
        a->packed_layers[l].norm_ffn = s->m->layers[l].norm_ffn;
    }
    s->layers = a->packed_layers;
    s->head = (loom_mat){.fwd = &a->packed[2 * n_matrices(a) - 2], .back = &a->packed[2 * n_matrices(a) - 1]};
}

static loom_status begin(loom_step *s, loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                         bool labels, loom_err *err)
{
    *s = (loom_step){.a = a, .m = m, .lora = lora, .b = b, .layers = m->layers, .head = m->head};
    LOOM_TRY(check_model(a, m, lora, err));
    if (labels && !b->labels) return loom_fail(err, LOOM_STATUS_ARG, "the batch has no labels, so it has no loss");
    LOOM_TRY(check_batch(a, b, labels, err));
    if (a->packed) pack_weights(s);
    return LOOM_OK;
}

static loom_status check_finite(const loom_loss *loss, loom_err *err)
{
    if (isfinite(loss->sum)) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_NUMERIC,
                     "the loss is not a finite number; lower the learning rate or go back to an earlier checkpoint");
}

loom_status loom_llama_loss(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                            loom_loss *out, loom_err *err)
{
    loom_step s;

    LOOM_TRY(begin(&s, a, m, lora, b, true, err));
    loom_forward(&s);
    loom_head(&s, out);
    return check_finite(out, err);
}

loom_status loom_llama_row_losses(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                                  float *losses, loom_err *err)
{
    loom_loss loss;

    LOOM_TRY(loom_llama_loss(a, m, lora, b, &loss, err));
    memset(losses, 0, (size_t)b->N * sizeof *losses);
    for (int64_t i = 0; i < a->n_counted; i++) losses[a->counted[i]] = (float)a->losses[i];
    return LOOM_OK;
}

loom_status loom_llama_grad(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b, double scale,
                            float *grads, loom_loss *out, loom_err *err)
{
    loom_step s;

    if (!a->o.grad) return loom_fail(err, LOOM_STATUS_ARG, "the activations were prepared without gradients");
    if (m->frozen && !lora)
        return loom_fail(err, LOOM_STATUS_ARG, "a base mapped as bfloat16 can only be trained through a LoRA adapter");
    if (!lora && a->R) return loom_fail(err, LOOM_STATUS_ARG, "the activations were prepared for an adapter");
    LOOM_TRY(begin(&s, a, m, lora, b, true, err));
    s.grads = grads;
    s.scale = (float)scale;
    s.backward = true;
    loom_forward(&s);
    loom_head(&s, out);
    LOOM_TRY(check_finite(out, err));
    loom_backward(&s);
    return LOOM_OK;
}

loom_status loom_llama_logits(loom_acts *a, const loom_llama *m, const loom_lora *lora, const loom_batch *b,
                              float *logits, loom_err *err)
{
    loom_step s;

    LOOM_TRY(begin(&s, a, m, lora, b, false, err));
    loom_forward(&s);
    loom_head_logits(&s, logits);
    return LOOM_OK;
}

const loom_acts_times *loom_acts_get_times(const loom_acts *a) { return &a->times; }

void loom_acts_times_reset(loom_acts *a) { a->times = (loom_acts_times){0}; }
