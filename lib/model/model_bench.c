#include "model/model_bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/file.h"
#include "core/num.h"
#include "core/rng.h"
#include "core/usage.h"
#include "model/adamw.h"
#include "model/blas.h"
#include "model/decode.h"

/* ---- the ceiling: square products that fit the second-level cache, every thread its own ---- */
#define SIDE          512
#define SGEMM_SECONDS 0.5

typedef struct peak {
    float *data; /* three matrices a thread */
    double flops;
} peak;

static void multiply(void *arg, int thread, int n_threads)
{
    peak *p = arg;
    float *a = p->data + (int64_t)thread * 3 * SIDE * SIDE, *b = a + SIDE * SIDE, *c = b + SIDE * SIDE;

    (void)n_threads;
    for (int i = 0; i < 10; i++) loom_gemm_nn(c, SIDE, a, SIDE, b, SIDE, SIDE, SIDE, SIDE, 1.0f, 0.0f);
}

double loom_sgemm_gflops(loom_pool *pool)
{
    int n = loom_pool_threads(pool);
    peak p = {.data = loom_alloc_aligned((size_t)n * 3 * SIDE * SIDE * sizeof(float)),
              .flops = 10.0 * n * 2.0 * SIDE * SIDE * SIDE};
    double best = 0, end = loom_time_now() + SGEMM_SECONDS;

    if (!p.data) return 0;
    do {
        double since = loom_time_now(), rate;

        loom_pool_each(pool, multiply, &p);
        rate = p.flops / (loom_time_now() - since) * 1e-9;
        if (rate > best) best = rate;
    } while (loom_time_now() < end);
    free(p.data);
    return best;
}

/* ---- training ---- */
typedef struct bench {
    loom_llama *m;
    loom_lora *lora;
    loom_acts *acts;
    const loom_tensors *table;
    loom_optimizer *optimizer;
    float *params, *grads;
    int32_t *tokens, *labels;
    int64_t *segments;
    double *steps;
    loom_batch batch;
} bench;

static void release(bench *b)
{
    loom_acts_free(b->acts);
    loom_lora_free(b->lora);
    loom_llama_free(b->m);
    free(b->grads);
    loom_optimizer_free(b->optimizer);
    free(b->tokens);
    free(b->labels);
    free(b->segments);
    free(b->steps);
}

static void fill_batch(bench *b, int64_t V, const loom_model_bench_options *o)
{
    loom_rng r;

    loom_rng_seed(&r, 1, "bench", 0);
    for (int64_t n = 0; n < o->B * o->T; n++) {
        b->tokens[n] = (int32_t)loom_rng_below(&r, (uint64_t)V);
        b->labels[n] = (int32_t)loom_rng_below(&r, (uint64_t)V);
    }
    for (int64_t i = 0; i <= o->B; i++) b->segments[i] = i * o->T;
    b->batch = (loom_batch){
        .N = o->B * o->T, .n_segments = o->B, .tokens = b->tokens, .labels = b->labels, .segments = b->segments};
}

static loom_status prepare(bench *b, const loom_config *config, const loom_lora_config *lora,
                           const loom_model_bench_options *o, loom_err *err)
{
    loom_acts_options ao = {.max_rows = o->B * o->T,
                            .max_seq = o->T,
                            .grad = true,
                            .recompute = o->recompute,
                            .bf16_compute = o->bf16_compute,
                            .pool = o->pool};
    loom_optimizer_options how = {.kind = o->optimizer,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .eps = 1e-8,
                                  .momentum = 0.95,
                                  .nesterov = true,
                                  .bf16_compute = o->bf16_compute,
                                  .decay = 0.1};
    size_t bytes, n = (size_t)(o->B * o->T);

    LOOM_TRY(loom_llama_new(&b->m, config, err));
    loom_llama_init(b->m, 1);
    if (lora) {
        LOOM_TRY(loom_lora_new(&b->lora, config, lora, err));
        loom_lora_init(b->lora, 1);
    }
    LOOM_TRY(loom_acts_new(&b->acts, b->m, b->lora, &ao, err));
    b->table = lora ? &b->lora->table : &b->m->table;
    b->params = lora ? b->lora->params : b->m->params;
    bytes = b->table->floats * sizeof(float);
    b->grads = loom_alloc_aligned(bytes);
    LOOM_TRY(loom_optimizer_new(&b->optimizer, &how, b->table, o->pool, err));
    b->tokens = loom_alloc(n, sizeof *b->tokens);
    b->labels = loom_alloc(n, sizeof *b->labels);
    b->segments = loom_alloc((size_t)o->B + 1, sizeof *b->segments);
    b->steps = loom_alloc((size_t)o->steps, sizeof *b->steps);
    if (!b->grads || !b->tokens || !b->labels || !b->segments || !b->steps)
        return loom_fail_nomem(err, "the benchmark");
    fill_batch(b, config->V, o);
    return LOOM_OK;
}

static loom_status one_step(bench *b, loom_pool *pool, int64_t step, double *optimizer_s, loom_err *err)
{
    loom_loss loss;
    double since;

    memset(b->grads, 0, b->table->floats * sizeof(float));
    LOOM_TRY(loom_llama_grad(b->acts, b->m, b->lora, &b->batch, 1.0 / (double)b->batch.N, b->grads, &loss, err));
    since = loom_time_now();
    loom_optimizer_step(b->optimizer, b->params, b->grads, 1e-4,
                        loom_clip_scale(loom_grad_norm(pool, b->table, b->grads), 1.0), step);
    *optimizer_s += loom_time_now() - since;
    return LOOM_OK;
}

static void divide(loom_acts_times *t, double n)
{
    double *each[] = {&t->embed,          &t->qkv,      &t->attention,    &t->ffn,       &t->head, &t->back_ffn,
                      &t->back_attention, &t->back_qkv, &t->back_weights, &t->back_embed};

    for (size_t i = 0; i < sizeof each / sizeof *each; i++) *each[i] /= n;
}

void loom_bench_config(loom_config *out, loom_bench_size size, int64_t positions)
{
    static const struct {
        int64_t C, L, H, F, V;
        bool tied;
    } shapes[] = {{256, 6, 8, 688, 2048, false},
                  {512, 8, 8, 1376, 4096, false},
                  {128, 4, 4, 352, 2048, true},
                  {192, 4, 6, 512, 2048, true}};

    loom_config_default(out);
    out->C = shapes[size].C;
    out->L = shapes[size].L;
    out->H = shapes[size].H;
    out->F = shapes[size].F;
    out->V = shapes[size].V;
    out->tied = shapes[size].tied;
    out->max_positions = positions;
}

loom_status loom_model_bench(loom_model_bench_result *out, const loom_config *config, const loom_lora_config *lora,
                             const loom_model_bench_options *o, loom_err *err)
{
    bench b = {0};
    loom_model_bench_result r = {
        .params = loom_config_params(config), .B = o->B, .T = o->T, .threads = loom_pool_threads(o->pool)};
    loom_acts_options ao = {.max_rows = o->B * o->T,
                            .max_seq = o->T,
                            .grad = true,
                            .recompute = o->recompute,
                            .bf16_compute = o->bf16_compute};
    loom_status st;

    if (o->B < 1 || o->T < 1 || o->steps < 1 || o->B > 65536 || o->T > config->max_positions)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "the benchmark needs at least one sequence, token and step, and sequences of "
                         "at most %" PRId64 " tokens",
                         config->max_positions);
    if ((st = prepare(&b, config, lora, o, err)) != LOOM_OK) goto done;
    r.sgemm_gflops = loom_sgemm_gflops(o->pool);
    for (int64_t step = 0; step <= o->steps; step++) {
        double since;

        if (step == 1) {
            loom_acts_times_reset(b.acts);
            r.cpu_s = loom_cpu_seconds();
            r.optimizer_s = 0;
        }
        if (loom_stop_requested()) {
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
            goto done;
        }
        since = loom_time_now();
        if ((st = one_step(&b, o->pool, step + 1, &r.optimizer_s, err)) != LOOM_OK) goto done;
        if (step) b.steps[step - 1] = loom_time_now() - since;
    }
    r.cpu_s = (loom_cpu_seconds() - r.cpu_s) / (double)o->steps;
    qsort(b.steps, (size_t)o->steps, sizeof *b.steps, loom_compare_f64);
    r.step_s = b.steps[o->steps / 2];
    r.tokens_per_s = (double)(o->B * o->T) / r.step_s;
    r.model_gflops = loom_config_flops(config, o->T) * (lora ? 4.0 / 6.0 : 1.0) * r.tokens_per_s * 1e-9;
    r.optimizer_s /= (double)o->steps;
    r.phase = *loom_acts_get_times(b.acts);
    divide(&r.phase, (double)o->steps);
    for (int64_t i = 0; i < b.table->n; i++) r.trained += (int64_t)b.table->tensors[i].count;
    r.acts_bytes = loom_acts_bytes(config, lora, false, &ao, (int)r.threads);
    *out = r;
done:
    release(&b);
    return st;
}

void loom_model_bench_report(const loom_model_bench_result *r, loom_buf *into)
{
    const loom_acts_times *t = &r->phase;
    char size[32], params[32], trained[32];

    loom_buf_printf(into, "%s parameters, %s trained, %" PRId64 " x %" PRId64 " tokens, %" PRId64 " threads\n",
                    loom_format_count(params, sizeof params, (double)r->params),
                    loom_format_count(trained, sizeof trained, (double)r->trained), r->B, r->T, r->threads);
    loom_buf_printf(
        into, "%.0f tokens/s, %.1f ms a step, %.0f GFLOP/s of the model = %.0f %% of sgemm (%.0f), activations %s\n",
        r->tokens_per_s, 1e3 * r->step_s, r->model_gflops, 100 * r->model_gflops / r->sgemm_gflops, r->sgemm_gflops,
        loom_format_bytes(size, sizeof size, (double)r->acts_bytes));
    loom_buf_printf(into, "forward   ms: embed %.1f  qkv %.1f  attention %.1f  ffn %.1f  head %.1f\n", 1e3 * t->embed,
                    1e3 * t->qkv, 1e3 * t->attention, 1e3 * t->ffn, 1e3 * t->head);
    loom_buf_printf(into, "backward  ms: ffn %.1f  attention %.1f  qkv %.1f  weights %.1f  embed %.1f\n",
                    1e3 * t->back_ffn, 1e3 * t->back_attention, 1e3 * t->back_qkv, 1e3 * t->back_weights,
                    1e3 * t->back_embed);
    loom_buf_printf(into, "optimizer ms: %.1f\nCPU       ms: %.1f of all threads a step\n", 1e3 * r->optimizer_s,
                    1e3 * r->cpu_s);
}

/* ---- decoding ---- */
static loom_status decode_all(double *tokens_per_s, loom_decode *d, float *logits, const loom_config *c, int64_t jobs,
                              int64_t tokens, loom_decode_row *rows, loom_err *err)
{
    double since = loom_time_now();

    for (int64_t j = 0; j < jobs; j++) rows[j] = (loom_decode_row){loom_decode_open(d), (int32_t)(j % c->V), true};
    for (int64_t t = 0; t < tokens; t++) {
        LOOM_TRY(loom_decode_run(d, rows, jobs, logits, err));
        for (int64_t j = 0; j < jobs; j++) rows[j].token = (int32_t)((rows[j].token * 7 + 1) % c->V);
    }
    *tokens_per_s = (double)(jobs * tokens) / (loom_time_now() - since);
    return LOOM_OK;
}

loom_status loom_decode_bench(double *tokens_per_s, const loom_config *config, int64_t jobs, int64_t tokens, bool half,
                              loom_pool *pool, loom_err *err)
{
    loom_llama *m = NULL;
    loom_decode *d = NULL;
    float *logits = NULL;
    loom_decode_row *rows = NULL;
    loom_decode_options o = {
        .max_rows = jobs, .max_seqs = jobs, .pool = pool, .half_cache = half, .bf16_compute = half};
    loom_status st;

    if (jobs < 1 || tokens < 1 || tokens > config->max_positions || jobs > 65536)
        return loom_fail(err, LOOM_STATUS_ARG, "the benchmark needs at least one job and 1..%" PRId64 " tokens",
                         config->max_positions);
    o.positions = jobs * ((tokens + LOOM_KV_BLOCK - 1) / LOOM_KV_BLOCK * LOOM_KV_BLOCK);
    if ((st = loom_llama_new(&m, config, err)) != LOOM_OK) goto done;
    loom_llama_init(m, 1);
    if ((st = loom_decode_new(&d, m, NULL, &o, err)) != LOOM_OK) goto done;
    logits = loom_alloc((size_t)(jobs * config->V), sizeof *logits);
    rows = loom_alloc((size_t)jobs, sizeof *rows);
    if (logits && rows) st = decode_all(tokens_per_s, d, logits, &m->config, jobs, tokens, rows, err);
    else st = loom_fail_nomem(err, "the benchmark");
done:
    free(logits);
    free(rows);
    loom_decode_free(d);
    loom_llama_free(m);
    return st;
}
