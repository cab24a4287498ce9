/* loom-train bench: speed of training on this machine, against its own best matrix product. */
#include <inttypes.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/model_bench.h"
#include "train/train_cmds.h"

typedef struct bench_conf {
    int64_t batch, context, steps;
    bool small, middle, lora, demo, desk, recompute, one_thread;
    int compute, optimizer;
} bench_conf;

enum { COMPUTE_F32, COMPUTE_BF16, COMPUTE_BOTH };

static const loom_opt bench_opts[] = {
    LOOM_OPT_GROUP("What to run"),
    LOOM_OPT_FLAG_ON("small", 0, bench_conf, small, "the model of 5.8 million parameters: width 256, 6 layers"),
    LOOM_OPT_FLAG_ON("middle", 0, bench_conf, middle, "the model of 29.5 million parameters: width 512, 8 layers"),
    LOOM_OPT_FLAG_ON("lora", 0, bench_conf, lora, "an adapter (rank 8 on q and v) beside the middle model"),
    LOOM_OPT_FLAG("demo", 0, bench_conf, demo, "the model of the demonstration: width 128, 4 layers"),
    LOOM_OPT_FLAG("desk", 0, bench_conf, desk, "the model of the desk recipe: width 192, 4 layers"),
    LOOM_OPT_FLAG_ON("one-thread", 0, bench_conf, one_thread, "run everything with one thread, too"),
    LOOM_OPT_ENUM("compute", 0, bench_conf, compute, "both", "f32|bf16|both",
                  "factors of matrix products; bf16 where the CPU has instructions for it"),
    LOOM_OPT_ENUM("optimizer", 0, bench_conf, optimizer, "adamw", LOOM_OPTIMIZER_CHOICES,
                  "what moves the weights (the adapter: adamw)"),
    LOOM_OPT_I64("batch", 0, bench_conf, batch, "8", 1, 4096, "B", "sequences of a step"),
    LOOM_OPT_I64("context", 0, bench_conf, context, "512", 8, 65536, "T", "their length in tokens"),
    LOOM_OPT_I64("steps", 0, bench_conf, steps, "5", 1, 10000, "N", "steps that are timed, after one to warm up"),
    LOOM_OPT_FLAG("recompute", 0, bench_conf, recompute, "compute activations twice to save memory"),
    LOOM_OPT_END};

typedef struct shape {
    const char *name;
    loom_bench_size size;
    bool lora;
} shape;

static const shape shapes[] = {{"5.8M", LOOM_BENCH_SMALL, false},
                               {"29.5M", LOOM_BENCH_MIDDLE, false},
                               {"29.5M-lora", LOOM_BENCH_MIDDLE, true},
                               {"1.1M", LOOM_BENCH_DEMO, false},
                               {"2.2M", LOOM_BENCH_DESK, false}};

static void add_json(loom_jw *w, const shape *s, const loom_config *c, const loom_model_bench_options *o,
                     const loom_model_bench_result *r)
{
    const struct {
        const char *name;
        double seconds;
    } phases[] = {{"embed", r->phase.embed},
                  {"qkv", r->phase.qkv},
                  {"attention", r->phase.attention},
                  {"ffn", r->phase.ffn},
                  {"head", r->phase.head},
                  {"back_ffn", r->phase.back_ffn},
                  {"back_attention", r->phase.back_attention},
                  {"back_qkv", r->phase.back_qkv},
                  {"back_weights", r->phase.back_weights},
                  {"back_embed", r->phase.back_embed},
                  {"optimizer", r->optimizer_s}};

    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "model", s->name);
    loom_jw_kv_i64(w, "hidden", c->C);
    loom_jw_kv_i64(w, "layers", c->L);
    loom_jw_kv_i64(w, "heads", c->H);
    loom_jw_kv_i64(w, "kv_heads", c->K);
    loom_jw_kv_i64(w, "ffn", c->F);
    loom_jw_kv_i64(w, "vocabulary", c->V);
    loom_jw_kv_str(w, "compute", o->bf16_compute ? "bf16" : "f32");
    loom_jw_kv_str(w, "optimizer", o->optimizer == LOOM_OPTIMIZER_MUON ? "muon" : "adamw");
    loom_jw_kv_i64(w, "parameters", r->params);
    loom_jw_kv_i64(w, "trained", r->trained);
    loom_jw_kv_i64(w, "threads", r->threads);
    loom_jw_kv_i64(w, "batch", r->B);
    loom_jw_kv_i64(w, "context", r->T);
    loom_jw_kv_f64(w, "tokens_per_s", r->tokens_per_s);
    loom_jw_kv_f64(w, "step_s", r->step_s);
    loom_jw_kv_f64(w, "cpu_s", r->cpu_s);
    loom_jw_kv_f64(w, "model_gflops", r->model_gflops);
    loom_jw_kv_f64(w, "sgemm_gflops", r->sgemm_gflops);
    loom_jw_kv_f64(w, "share_of_sgemm", r->model_gflops / r->sgemm_gflops);
    loom_jw_key(w, "phase_s");
    loom_jw_begin_object(w);
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) loom_jw_kv_f64(w, phases[i].name, phases[i].seconds);
    loom_jw_end_object(w);
    loom_jw_kv_i64(w, "activation_bytes", (int64_t)r->acts_bytes);
    loom_jw_kv_i64(w, "peak_bytes", loom_peak_bytes());
    loom_jw_end_object(w);
}

static loom_status bench_one(const shape *s, const bench_conf *conf, bool half, int threads, loom_jw *w, loom_buf *text,
                             loom_err *err)
{
    loom_lora_config lc = {.R = 8, .alpha = 16, .dropout = 0.1, .targets = 1u << LOOM_ROLE_Q | 1u << LOOM_ROLE_V};
    loom_config config;
    loom_model_bench_options o = {.B = conf->batch,
                                  .T = conf->context,
                                  .steps = conf->steps,
                                  .recompute = conf->recompute,
                                  .bf16_compute = half,
                                  .optimizer = s->lora ? LOOM_OPTIMIZER_ADAMW : (loom_optimizer_kind)conf->optimizer};
    loom_model_bench_result r;
    loom_status st;

    loom_bench_config(&config, s->size, conf->context);
    LOOM_TRY(loom_config_check(&config, err));
    LOOM_TRY(loom_blas_reserve(threads, err));
    LOOM_TRY(loom_pool_new(&o.pool, threads, err));
    loom_info("%s, %s, %d thread%s ...", s->name, half ? "bf16" : "f32", threads, threads == 1 ? "" : "s");
    st = loom_model_bench(&r, &config, s->lora ? &lc : NULL, &o, err);
    loom_pool_free(o.pool);
    if (st != LOOM_OK) return st;
    loom_buf_printf(text, "\n%s, products in %s\n", s->name, half ? "bf16" : "f32");
    loom_model_bench_report(&r, text);
    add_json(w, s, &config, &o, &r);
    return LOOM_OK;
}

static loom_status run_bench(const loom_ctx *ctx, loom_err *err)
{
    const bench_conf *conf = ctx->conf;
    const bool wanted[] = {conf->small, conf->middle, conf->lora, conf->demo, conf->desk};
    bool f32 = conf->compute != COMPUTE_BF16;
    bool bf16 = conf->compute != COMPUTE_F32 && loom_bf16_check(NULL) == LOOM_OK;
    int most = (int)ctx->common.threads;
    loom_buf json = {0}, text = {0};
    loom_status st = LOOM_OK;
    loom_jw w;

    if (conf->compute == COMPUTE_BF16) LOOM_TRY(loom_bf16_check(err));
    loom_jw_init(&w, &json, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "blas", loom_blas_version());
    loom_jw_kv_str(&w, "core", loom_blas_core());
    loom_jw_key(&w, "runs");
    loom_jw_begin_array(&w);
    loom_buf_printf(&text, "%s, %s kernels\n", loom_blas_version(), loom_blas_core());
    for (int threads = conf->one_thread ? 1 : most; st == LOOM_OK; threads = most) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes && st == LOOM_OK; i++) {
            if (loom_stop_requested()) st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
            if (wanted[i] && f32 && st == LOOM_OK) st = bench_one(&shapes[i], conf, false, threads, &w, &text, err);
            if (wanted[i] && bf16 && st == LOOM_OK) st = bench_one(&shapes[i], conf, true, threads, &w, &text, err);
        }
        if (threads == most) break;
    }
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(&json, '\n');
    if (st == LOOM_OK)
        st = ctx->common.json ? loom_stdout_write(json.data, json.len, err)
                              : loom_stdout_write(text.data, text.len, err);
    loom_buf_release(&json);
    loom_buf_release(&text);
    return st;
}

const loom_cmd loom_cmd_bench = {
    .name = "bench",
    .summary = "measure the speed of training on this machine",
    .args = "",
    .min_args = 0,
    .max_args = 0,
    .details =
        "Trains models of fixed shapes on random tokens and prints tokens a second, the share of the machine's best\n"
        "single-precision matrix product (measured in the same run) that goes into the model, and the time of each "
        "phase.\n"
        "The figures hold for the machine as it is: other work on it lowers them.",
    .opts = bench_opts,
    .conf_size = sizeof(bench_conf),
    .run = run_bench,
};
