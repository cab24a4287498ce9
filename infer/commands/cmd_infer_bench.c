/* loom-infer bench: speed of generation on this machine, beside what its memory and its arithmetic would allow.
 *
 * Each cell of the table generates the same graphs with so many layers in flight. Tokens are told apart: chosen by the
 * model, forced (appended by jump-ahead), and of prompts. Longer than most: a run has its speed, and what bounds it is
 * measured beside it. */
#include <math.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"
#include "infer/commands/infer_cmds.h"
#include "infer/engine/model_loader.h"
#include "infer/files/promptlist.h"
#include "infer/loop/budget.h"
#include "model/blas.h"
#include "model/model_bench.h"
#include "model/packed.h"
#include "tokenizer/toktrain.h"
#include "trace/graph/record.h"
#include "trace/text/encode.h"
#include "trace/text/phrases.h"

enum { MOST_JOBS = 16, COMPUTE_F32 = 0, COMPUTE_BF16 = 1, COMPUTE_BOTH = 2 };
enum { CONSTRAIN_BOTH = 2 };

typedef struct bench_conf {
    const char *model, *like, *jobs;
    int64_t graphs, edges, depth, max_tokens, context;
    int compute, constrain;
    double temperature;
} bench_conf;

static const loom_opt bench_opts[] = {
    LOOM_OPT_GROUP("What to run"),
    LOOM_OPT_IN("model", 'm', bench_conf, model, NULL, "PATH",
                "checkpoint, run folder or Hugging Face folder; without it random weights, 5.8 million (width 256, 6 "
                "layers, 8 heads, vocabulary 2048)"),
    LOOM_OPT_IN("like", 0, bench_conf, like, NULL, "STORE", "ask for graphs like those of a store"),
    LOOM_OPT_I64("edges", 0, bench_conf, edges, "12", 1, 1000, "N", "without a store: calls of each graph"),
    LOOM_OPT_I64("depth", 0, bench_conf, depth, "4", 1, 1000, "N", "without a store: their depth"),
    LOOM_OPT_STR("jobs", 'j', bench_conf, jobs, "1,8,64", "N,N,...", "layers in flight, at most 16 numbers"),
    LOOM_OPT_I64("graphs", 0, bench_conf, graphs, "2", 1, 100000, "N",
                 "graphs of each cell: N for every layer in flight, at least 8"),
    LOOM_OPT_ENUM("constrain", 0, bench_conf, constrain, "both", "off|full|both",
                  "free text, text that meets the request"),
    LOOM_OPT_ENUM(
        "compute", 0, bench_conf, compute, "both", "f32|bf16|both",
        "weights, products and cache in float32, or all of them in bfloat16; both: bfloat16 where the CPU has "
        "instructions for it"),
    LOOM_OPT_F64("temperature", 't', bench_conf, temperature, "0.8", 0, 100, "T", "of the draws, top-k 50"),
    LOOM_OPT_I64("max-tokens", 0, bench_conf, max_tokens, "700", 1, 1e9, "N", "longest text of a layer"),
    LOOM_OPT_I64("context", 0, bench_conf, context, "1024", 64, 1 << 20, "N",
                 "positions of the model of random weights"),
    LOOM_OPT_WAS(NULL, 'n', "graphs", NULL),
    LOOM_OPT_END};

/* ---- the model of random weights and its tokenizer ---- */

/* A call graph as a record: a tree of some calls, names from a few hundred. */
static void random_record(loom_buf *into, loom_rng *rng)
{
    enum { MOST = 12 };
    char ids[MOST][64] = {"0"};
    int names[MOST], children[MOST] = {0}, n = 2 + (int)loom_rng_below(rng, MOST - 1);

    loom_buf_reset(into);
    loom_buf_printf(into, "00h00m00s000ms S_%09d ", (int)loom_rng_below(rng, 300));
    for (int i = 0; i < n; i++) {
        int parent = i ? (int)loom_rng_below(rng, (uint64_t)i) : 0;

        names[i] = (int)loom_rng_below(rng, 400);
        if (i) snprintf(ids[i], sizeof ids[i], "%.30s.%d", ids[parent], ++children[parent]);
        loom_buf_printf(into, "%s%s|%s|", i ? "||" : "", ids[i], i % 3 ? "rpc" : "http");
        if (i) loom_buf_printf(into, "MS_%05d", names[parent]);
        else loom_buf_str(into, "USER");
        loom_buf_printf(into, "|MS_%05d|ARRIVED_%d|RT_%d", names[i], i, 100 - 2 * i);
    }
}

static loom_status learn_tokenizer(loom_tokenizer **out, loom_err *err)
{
    loom_toktrain_conf conf = {.name_tokens = 1536, .min_count = 2};
    loom_encode_conf encode = {.mode = LOOM_MODE_INSTRUCTION};
    loom_arena graph_arena = {0}, arena = {0};
    loom_toktrain *t = NULL;
    loom_buf phrases = {0}, line = {0}, text = {0}, json = {0};
    loom_graph g;
    loom_verdict why;
    loom_rng rng;

    loom_phrases_render(&phrases);
    loom_status st = loom_toktrain_new(&t, phrases.data, phrases.len, 1, err);

    loom_rng_seed(&rng, 1, "bench", 0);
    for (int i = 0; st == LOOM_OK && i < 600; i++) {
        random_record(&line, &rng);
        loom_arena_reset(&graph_arena);
        if (!loom_record_read(&g, &why, line.data, line.len, &graph_arena)) continue;
        loom_buf_reset(&text);
        st = loom_encode_graph(&text, &g, &(loom_facts){0}, &encode, &rng, &arena, err);
        loom_toktrain_count(t, 0, 0, text.data, text.len);
    }
    if (st == LOOM_OK) st = loom_toktrain_finish(&json, NULL, t, &conf, err);
    if (st == LOOM_OK) st = loom_tokenizer_parse(out, json.data, json.len, "learned tokenizer", err);
    loom_toktrain_free(t);
    loom_arena_release(&graph_arena);
    loom_arena_release(&arena);
    loom_buf_release(&phrases);
    loom_buf_release(&line);
    loom_buf_release(&text);
    loom_buf_release(&json);
    return st;
}

typedef struct bench {
    const bench_conf *conf;
    loom_pool *pool;
    loom_model_files bundle; /* --model */
    loom_llama *random;      /* else */
    const loom_llama *model;
    loom_tokenizer *tok;
    loom_prompts prompts;
    int64_t jobs[MOST_JOBS];
    int n_jobs;
    double sgemm_gflops, gbytes, far_gbytes; /* GB/s of a block as large as the weights, of one beyond the caches */
    bool wants_json;
    loom_buf text, json;
    loom_jw w;
} bench;

static loom_status random_model(bench *b, loom_err *err)
{
    loom_config c;

    loom_bench_config(&c, LOOM_BENCH_SMALL, b->conf->context);
    LOOM_TRY(loom_config_check(&c, err));
    LOOM_TRY(loom_llama_new(&b->random, &c, err));
    loom_llama_init(b->random, 1);
    b->model = b->random;
    return learn_tokenizer(&b->tok, err);
}

static loom_status open_model(bench *b, loom_err *err)
{
    loom_model_files_options o = {.frozen = true};

    if (!b->conf->model) return random_model(b, err);
    LOOM_TRY(loom_model_files_load(&b->bundle, b->conf->model, NULL, &o, err));
    b->model = b->bundle.model;
    if (!b->bundle.tokenizer)
        return loom_fail(err, LOOM_STATUS_ARG, "%s holds no tokenizer, so no graph can be generated", b->conf->model);
    return loom_tokenizer_parse(&b->tok, b->bundle.tokenizer, b->bundle.tokenizer_len, "tokenizer of the model", err);
}

/* ---- what the machine could do ---- */

enum { PIECES = 64 };

typedef struct reading {
    const float *data;
    int64_t n; /* floats of a piece */
    double sums[PIECES];
} reading;

static void read_piece(void *arg, int64_t item, int thread)
{
    reading *r = arg;
    const float *restrict at = r->data + item * r->n;
    float sum = 0;

    (void)thread;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < r->n; i++) sum += at[i];
    r->sums[item] = (double)sum;
}

/* Weights that a step reads: what a decoding step of one job must bring from memory. */
static int64_t weights_read(const loom_config *c)
{
    int64_t out, in, layer = 0;

    for (int role = 0; role < LOOM_N_ADAPTABLE; role++) {
        loom_role_size(c, (loom_role)role, &out, &in);
        layer += out * in;
    }
    loom_role_size(c, LOOM_ROLE_HEAD, &out, &in);
    return c->L * layer + out * in;
}

/* Weights that are stored as bfloat16 are read so, whatever they are multiplied with. */
static double weight_bytes(const bench *b, bool half)
{
    return (double)weights_read(&b->model->config) * (half || b->model->frozen ? 2 : 4);
}

enum { FAR_BYTES = 256 << 20 }; /* more than caches hold */

/* GB/s at which all threads together read a block, best of some rounds. */
static loom_status measure_reading(double *gbytes, const bench *b, double bytes, loom_err *err)
{
    reading r = {.n = (int64_t)(bytes / sizeof(float) / PIECES)};
    float *data = loom_alloc_aligned((size_t)r.n * PIECES * sizeof *data);
    double best = 0, until;

    if (!data) return loom_fail_nomem(err, "a block to read");
    for (int64_t i = 0; i < r.n * PIECES; i++) data[i] = 1;
    r.data = data;
    until = loom_time_now() + 0.4;
    do { /* once at least, however busy the machine is */
        double started = loom_time_now();

        loom_pool_for(b->pool, PIECES, read_piece, &r);
        best = fmax(best, (double)r.n * PIECES * sizeof *data / (loom_time_now() - started) / 1e9);
    } while (loom_time_now() < until);
    free(data);
    *gbytes = best;
    return LOOM_OK;
}

/* ---- one cell ---- */

typedef struct cell {
    int64_t jobs;
    bool half, constrained;
    int64_t peak;               /* resident bytes, largest seen */
    double seconds, cpu, alone; /* wall, CPU; tokens/s of the model alone */
    loom_engine_counts counts;
    loom_gen_totals totals;
} cell;

static loom_status drop_result(void *arg, const loom_gen_result *r, loom_err *err)
{
    (void)arg, (void)r, (void)err;
    return LOOM_OK;
}

static void watch_memory(void *arg, int64_t graphs, int64_t layers, int64_t tokens)
{
    cell *c = arg;

    (void)graphs, (void)tokens;
    if (layers % 8 == 0) c->peak = loom_max_i64(c->peak, loom_resident_bytes());
}

static loom_status generate(cell *c, loom_engine *e, const bench *b, loom_err *err)
{
    int64_t graphs = loom_max_i64(8, b->conf->graphs * c->jobs);
    loom_gen_options o = {.match_training = true,
                          .constrain = c->constrained ? LOOM_CONSTRAIN_FULL : LOOM_CONSTRAIN_OFF,
                          .seed = 1,
                          .samples = (graphs + b->prompts.n - 1) / b->prompts.n,
                          .count = graphs,
                          .max_tokens = b->conf->max_tokens,
                          .max_trials = 1,
                          .temperature = b->conf->temperature,
                          .top_k = 50,
                          .progress = watch_memory,
                          .progress_arg = c};

    o.bos[LOOM_MODE_INSTRUCTION] = true;
    LOOM_TRY(loom_budget_keep(&o, b->tok, b->prompts.items, b->prompts.n, loom_engine_context(e), err));
    double started = loom_time_now(), cpu = loom_cpu_seconds();
    LOOM_TRY(loom_generate(loom_engine_completer(e), b->prompts.items, b->prompts.n, &o, drop_result, NULL, &c->totals,
                           err));
    c->seconds = loom_time_now() - started;
    c->cpu = loom_cpu_seconds() - cpu;
    c->counts = loom_engine_count(e);
    return LOOM_OK;
}

/* Floating-point operations of the matrix products so far: every row through the layers, drawn rows through the
 * head. */
static double flops(const cell *c, const loom_config *m)
{
    double layers = (double)(weights_read(m) - m->V * m->C);
    return 2 * (layers * (double)c->counts.rows + (double)(m->V * m->C) * (double)c->counts.decoded);
}

static double of_memory(const cell *c, const bench *b)
{
    double bytes = weight_bytes(b, c->half) * (double)c->counts.steps;
    return bytes / 1e9 / c->counts.model_seconds / b->gbytes;
}

/* Weights, keys and values against a memory that no cache helps. */
static double of_far_memory(const cell *c, const bench *b)
{
    double bytes = weight_bytes(b, c->half) * (double)c->counts.steps + (double)c->counts.cache.read;
    return bytes / 1e9 / c->counts.model_seconds / b->far_gbytes;
}

static void add_json(loom_jw *w, const cell *c, const bench *b)
{
    double s = c->seconds;

    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "compute", c->half ? "bf16" : "f32");
    loom_jw_kv_str(w, "constrain", c->constrained ? "full" : "off");
    loom_jw_kv_i64(w, "jobs", c->jobs);
    loom_jw_kv_f64(w, "seconds", s);
    loom_jw_kv_f64(w, "cpu_seconds", c->cpu);
    loom_jw_kv_f64(w, "graphs_per_s", (double)c->totals.graphs / s);
    loom_jw_kv_f64(w, "graphs_as_asked_per_s", (double)c->totals.correct / s);
    loom_jw_kv_f64(w, "chosen_tokens_per_s", (double)c->counts.decoded / s);
    loom_jw_kv_f64(w, "forced_tokens_per_s", (double)c->counts.forced / s);
    loom_jw_kv_f64(w, "prompt_tokens_per_s", (double)c->counts.prefilled / s);
    loom_jw_kv_f64(w, "shared_prompt_tokens_per_s", (double)c->counts.shared / s);
    loom_jw_kv_f64(w, "model_alone_tokens_per_s", c->alone);
    loom_jw_kv_f64(w, "model_share", c->counts.model_seconds / s);
    loom_jw_kv_f64(w, "choosing_share", c->counts.choose_seconds / s);
    loom_jw_kv_f64(w, "weight_bytes_per_step", weight_bytes(b, c->half));
    loom_jw_kv_f64(w, "cache_bytes_per_step", (double)c->counts.cache.read / (double)c->counts.steps);
    loom_jw_kv_f64(w, "share_of_memory", of_memory(c, b));
    loom_jw_kv_f64(w, "share_of_far_memory", of_far_memory(c, b));
    loom_jw_kv_f64(w, "share_of_sgemm", flops(c, &b->model->config) / 1e9 / c->counts.model_seconds / b->sgemm_gflops);
    loom_jw_kv_i64(w, "peak_bytes", c->peak);
    loom_jw_end_object(w);
}

static void add_line(loom_buf *t, const cell *c, const bench *b)
{
    double s = c->seconds;
    double sgemm = flops(c, &b->model->config) / 1e9 / c->counts.model_seconds / b->sgemm_gflops;

    loom_buf_printf(
        t,
        "| %-4s | %-4s | %4lld | %8.1f | %8.1f | %7.0f | %7.0f | %7.0f | %7.0f | %4.0f %% | %4.0f %% | %4.0f %% | %4.0f %% | %5.0f %% | %4.0f |\n",
        c->half ? "bf16" : "f32", c->constrained ? "full" : "off", (long long)c->jobs, (double)c->totals.graphs / s,
        (double)c->totals.correct / s, (double)c->counts.decoded / s, (double)c->counts.forced / s,
        (double)c->counts.prefilled / s, c->alone, 100 * c->counts.model_seconds / s, 100 * c->cpu / s,
        100 * of_memory(c, b), 100 * of_far_memory(c, b), 100 * sgemm, (double)c->peak / (1 << 20));
}

/* A long table: what is there is shown at once. */
static loom_status show(bench *b, loom_err *err)
{
    loom_status st = b->wants_json ? LOOM_OK : loom_stdout_write(loom_buf_text(&b->text), b->text.len, err);

    loom_buf_reset(&b->text);
    return st;
}

static loom_status run_cell(cell *c, bench *b, loom_err *err)
{
    loom_engine_options eo = {.batch = c->jobs, .half_cache = c->half, .bf16_compute = c->half, .pool = b->pool};
    loom_engine *e = NULL;
    loom_status st = loom_engine_new(&e, b->model, b->bundle.lora, b->tok, &eo, err);

    if (st == LOOM_OK) st = generate(c, e, b, err);
    c->peak = loom_max_i64(c->peak, loom_resident_bytes());
    loom_engine_free(e);
    if (st != LOOM_OK) return st;
    add_json(&b->w, c, b);
    add_line(&b->text, c, b);
    return show(b, err);
}

/* ---- the table ---- */

static loom_status parse_jobs(bench *b, loom_err *err)
{
    const char *at = b->conf->jobs;

    for (;;) {
        size_t n = strcspn(at, ",");
        int64_t jobs;

        if (!loom_parse_i64(at, n, &jobs) || jobs < 1 || jobs > 4096 || b->n_jobs == MOST_JOBS)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "--jobs is \"%s\", expected at most %d numbers from 1 to 4096, like "
                             "1,8,64",
                             b->conf->jobs, MOST_JOBS);
        b->jobs[b->n_jobs++] = jobs;
        if (!at[n]) return LOOM_OK;
        at += n + 1;
    }
}

static loom_status gather(bench *b, uint64_t seed, loom_err *err)
{
    loom_wish wish = {.edges = b->conf->edges, .depth = b->conf->depth, .latency = -1, .children = -1};

    if (b->conf->like)
        LOOM_TRY(loom_prompts_like(&b->prompts, b->conf->like, NULL, LOOM_MODE_INSTRUCTION, true, 10000, seed, err));
    else LOOM_TRY(loom_prompts_wish(&b->prompts, &wish, LOOM_MODE_INSTRUCTION, true, 16, seed, err));
    if (b->prompts.n) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "%s holds no graph", b->conf->like);
}

static loom_status run_compute(bench *b, bool half, loom_err *err)
{
    enum { ALONE_TOKENS = 64 };
    loom_status st = measure_reading(&b->gbytes, b, weight_bytes(b, half), err);

    loom_buf_printf(&b->text, "%s: a block as large as the weights (%.1f MB) is read at %.1f GB/s\n",
                    half ? "bf16" : "f32", weight_bytes(b, half) / 1e6, b->gbytes);
    loom_buf_str(
        &b->text,
        "| type | mask | jobs | graphs/s | as asked |  chosen |  forced |  prompt |   alone |  model |     CPU | memory |    far |  sgemm |  MiB |\n"
        "|------|------|-----:|---------:|---------:|--------:|--------:|--------:|--------:|-------:|--------:|-------:|-------:|-------:|-----:|\n");
    for (int i = 0; st == LOOM_OK && i < b->n_jobs; i++) {
        double alone = 0;

        st = loom_decode_bench(&alone, &b->model->config, b->jobs[i],
                               loom_min_i64(ALONE_TOKENS, b->model->config.max_positions), half, b->pool, err);
        for (int constrained = 0; st == LOOM_OK && constrained < 2; constrained++) {
            cell c = {.jobs = b->jobs[i], .half = half, .constrained = constrained, .alone = alone};

            if (b->conf->constrain != CONSTRAIN_BOTH && b->conf->constrain != constrained) continue;
            loom_info("%s, %s, %lld in flight ...", half ? "bf16" : "f32", constrained ? "full" : "off",
                      (long long)c.jobs);
            st = run_cell(&c, b, err);
        }
    }
    return st;
}

static void describe(bench *b, int64_t threads)
{
    int64_t params = loom_config_params(&b->model->config);

    loom_jw_kv_str(&b->w, "model", b->conf->model ? b->conf->model : "random");
    loom_jw_kv_i64(&b->w, "parameters", params);
    loom_jw_kv_i64(&b->w, "threads", threads);
    loom_jw_kv_str(&b->w, "core", loom_blas_core());
    loom_jw_kv_str(&b->w, "bf16_unit", loom_bf16_unit_names[loom_packed_unit()]);
    loom_jw_kv_f64(&b->w, "sgemm_gflops", b->sgemm_gflops);
    loom_jw_kv_f64(&b->w, "far_gbytes_per_s", b->far_gbytes);
    loom_buf_printf(&b->text,
                    "%s, %.2f million parameters, %lld thread%s; best sgemm %.0f GFLOP/s; %d MiB are read at "
                    "%.1f GB/s; bfloat16 by %s\n",
                    b->conf->model ? b->conf->model : "random weights", (double)params / 1e6, (long long)threads,
                    threads == 1 ? "" : "s", b->sgemm_gflops, FAR_BYTES >> 20, b->far_gbytes,
                    loom_bf16_unit_names[loom_packed_unit()]);
    loom_buf_str(&b->text,
                 "chosen, forced, prompt: tokens a second that the model chose, that jump-ahead appended, and "
                 "of prompts\nalone: tokens a second of the model without prompts, draws and masks; model: its "
                 "share of the time\nCPU: CPU seconds a "
                 "second; with less than 100 % for a thread other programs held the processors, and all "
                 "figures are too low\nmemory: weights read a second beside reading a block as large as they are; far: "
                 "weights, keys and values beside\nreading a block that no cache holds; sgemm: products beside the "
                 "best sgemm\n\n");
}

/* What the plain twin of these products needs says nothing of the model. */
static loom_status say_left_out(bench *b, loom_err *err)
{
    loom_buf_str(&b->text, "bf16 is left out: this CPU has no instructions for it; --compute bf16 measures what stands "
                           "in for them\n");
    return show(b, err);
}

static loom_status run_all(bench *b, const loom_ctx *ctx, loom_err *err)
{
    const bench_conf *conf = b->conf;
    bool fast = loom_packed_unit() != LOOM_UNIT_PLAIN;

    LOOM_TRY(parse_jobs(b, err));
    LOOM_TRY(loom_blas_reserve((int)ctx->common.threads, err));
    LOOM_TRY(loom_pool_new(&b->pool, (int)ctx->common.threads, err));
    LOOM_TRY(open_model(b, err));
    LOOM_TRY(gather(b, (uint64_t)ctx->common.seed, err));
    b->sgemm_gflops = loom_sgemm_gflops(b->pool);
    LOOM_TRY(measure_reading(&b->far_gbytes, b, FAR_BYTES, err));
    loom_jw_init(&b->w, &b->json, true);
    loom_jw_begin_object(&b->w);
    describe(b, ctx->common.threads);
    loom_jw_key(&b->w, "runs");
    loom_jw_begin_array(&b->w);
    if (conf->compute != COMPUTE_BF16) LOOM_TRY(run_compute(b, false, err));
    if (conf->compute == COMPUTE_BOTH) loom_buf_char(&b->text, '\n');
    if (conf->compute == COMPUTE_BF16 || (conf->compute == COMPUTE_BOTH && fast)) LOOM_TRY(run_compute(b, true, err));
    else if (conf->compute == COMPUTE_BOTH) LOOM_TRY(say_left_out(b, err));
    loom_jw_end_array(&b->w);
    loom_jw_end_object(&b->w);
    loom_buf_char(&b->json, '\n');
    return b->wants_json ? loom_stdout_write(b->json.data, b->json.len, err) : LOOM_OK;
}

static loom_status run_bench(const loom_ctx *ctx, loom_err *err)
{
    bench b = {.conf = ctx->conf, .wants_json = ctx->common.json};
    loom_status st = run_all(&b, ctx, err);

    loom_prompts_release(&b.prompts);
    loom_tokenizer_free(b.tok);
    loom_llama_free(b.random);
    loom_model_files_release(&b.bundle);
    loom_pool_free(b.pool);
    loom_buf_release(&b.text);
    loom_buf_release(&b.json);
    return st;
}

const loom_cmd loom_cmd_infer_bench = {
    .name = "bench",
    .summary = "measure the speed of generation on this machine",
    .args = "",
    .details =
        "Generates graphs with 1, 8 and 64 layers in flight, free and constrained, and prints graphs and tokens a\n"
        "second: chosen by the model, appended without asking it, and of prompts; beside them the share of the speed at\n"
        "which memory can be read (which bounds one job) and of the best single-precision matrix product (which bounds\n"
        "many). A model of random weights hardly ever ends a layer by itself and never meets a request unconstrained:\n"
        "to compare graphs a second give a trained one.\n"
        "\n"
        "  loom-infer bench\n"
        "  loom-infer bench --model runs/demo --like valid.graphs.zst\n",
    .opts = bench_opts,
    .conf_size = sizeof(bench_conf),
    .run = run_bench,
};
