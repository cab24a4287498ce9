/* Every allocation of tokenizers, stores, models and small networks fails once: what was asked for is refused with a
 * sentence, and nothing is left behind. */
#include "unit/failing_memory.h"

#include <unistd.h>

#include "core/num.h"
#include "core/pool.h"
#include "learn/logistic.h"
#include "learn/svm.h"
#include "learn/tree_vae.h"
#include "learn/tvae.h"
#include "model/blas.h"
#include "model/decode.h"
#include "model/lora.h"
#include "model/model_files.h"
#include "model/optimizer.h"
#include "model/pissa.h"
#include "model/sampler.h"
#include "model/step.h"
#include "small_shard.h"
#include "store/ckpt.h"
#include "store/safetensors.h"
#include "store/shard.h"
#include "unit/domain_rig.h"

#define FROZEN(name) LOOM_SOURCE_DIR "/tests/frozen/" name
#define GOLDEN(name) LOOM_SOURCE_DIR "/tests/golden/" name
enum { POINTS = 120 };

static char folder[] = "/tmp/loom-nomem-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- tokenizers ---- */

static const char *tokenizer_path;

static loom_status use_tokenizer(loom_err *err)
{
    static const char text[] =
        "id:S_000000011/num_edges:4 MS_00001 \xc3\xa9\xe2\x82\xac \xff communication starts at 3\n";
    loom_tokenizer *tok = NULL;
    loom_tokens ids = {.with_offsets = true};
    loom_buf back = {0};
    LOOM_TRY(tokenizer_path ? loom_tokenizer_load(&tok, tokenizer_path, err) : domain_tokenizer(&tok, err));
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    if (scratch) loom_tokenizer_encode(&ids, tok, scratch, text, sizeof text - 1, 0);
    loom_status st = scratch && !ids.failed ? LOOM_OK : loom_fail_nomem(err, "tokens");
    if (st == LOOM_OK) loom_tokenizer_decode(&back, tok, ids.ids, ids.n, LOOM_DECODE_UTF8);
    if (st == LOOM_OK) st = loom_buf_check(&back, "a text", err);
    if (st == LOOM_OK && !strstr(back.data, "num_edges")) st = loom_fail(err, LOOM_STATUS_FORMAT, "%s", back.data);
    loom_buf_release(&back);
    loom_tokens_release(&ids);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
    return st;
}

TEST(tokenizers)
{
    static const char *const paths[] = {NULL, FROZEN("tokenizer.json"), GOLDEN("tokenizer/byte-level.json"),
                                        GOLDEN("tokenizer/characters.json")};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        tokenizer_path = paths[i];
        failing_memory_sweep(paths[i] ? paths[i] : "a learned tokenizer", use_tokenizer, POINTS);
    }
}

/* ---- stores ---- */

static loom_status write_shard(loom_err *err)
{
    static const int32_t ids[] = {1, 5, 6, 7, 2};
    loom_shard_spec spec = small_shard(9);
    loom_shard_writer *w = NULL;
    loom_status st = loom_shard_create(&w, in_folder("x.tokens.h5"), true, &spec, err);
    for (int i = 0; i < 20 && st == LOOM_OK; i++) st = loom_shard_add(w, ids, 5, 1, err);
    if (st == LOOM_OK) st = loom_shard_put_names(w, "names", 5, err);
    if (st == LOOM_OK) st = loom_shard_commit(&w, "{}", err);
    loom_shard_abandon(&w);
    return st;
}

static loom_status read_shard(loom_err *err)
{
    loom_shard *s = NULL;
    int64_t first, n, answer;
    int32_t ids[4096];
    LOOM_TRY(loom_shard_open(&s, FROZEN("i.tokens.h5"), err));
    loom_shard_range(s, 0, &first, &n, &answer);
    loom_status st = loom_shard_read(s, first, n < 4096 ? n : 4096, ids, err);
    loom_shard_close(&s);
    return st;
}

static loom_status write_ckpt(loom_err *err)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    loom_ckpt_writer *w = NULL;
    loom_ckpt *c = NULL;
    float back[6];
    loom_status st = loom_ckpt_create(&w, in_folder("x.h5"), true, 100, err);
    if (st == LOOM_OK) st = loom_ckpt_put(w, "tensors/a", LOOM_DTYPE_F32, values, 2, (int64_t[]){2, 3}, err);
    if (st == LOOM_OK) st = loom_ckpt_put_i64(w, "state/step", 7, err);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/config", "{}", 2, err);
    if (st == LOOM_OK) st = loom_ckpt_commit(&w, err);
    loom_ckpt_abandon(&w);
    if (st == LOOM_OK) st = loom_ckpt_open(&c, in_folder("x.h5"), err);
    if (st == LOOM_OK) st = loom_ckpt_read_f32(c, "tensors/a", back, 6, err);
    if (st == LOOM_OK) st = loom_ckpt_verify(c, err);
    loom_ckpt_close(&c);
    return st;
}

static loom_status write_safetensors(loom_err *err)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    loom_safetensors_item items[2] = {
        {.view = {.name = "a", .dtype = LOOM_DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = values},
         .from = LOOM_DTYPE_F32},
        {.view = {.name = "b", .dtype = LOOM_DTYPE_BF16, .rank = 1, .shape = {6}, .data = values},
         .from = LOOM_DTYPE_F32}};
    loom_safetensors *s = NULL;
    LOOM_TRY(loom_safetensors_write(in_folder("x.safetensors"), true, items, 2, NULL, 0, err));
    LOOM_TRY(loom_safetensors_open(&s, in_folder("x.safetensors"), err));
    loom_safetensors_close(&s);
    return LOOM_OK;
}

TEST(stores)
{
    failing_memory_sweep("writing a shard", write_shard, POINTS);
    failing_memory_sweep("reading a shard", read_shard, POINTS);
    failing_memory_sweep("a checkpoint", write_ckpt, POINTS);
    failing_memory_sweep("a safetensors file", write_safetensors, POINTS);
}

/* ---- models ---- */

static const char *adapter_path;

static loom_status load_model(loom_err *err)
{
    loom_model_files_options o = {0};
    loom_model_files b = {0};
    loom_status st = loom_model_files_load(&b, FROZEN("run"), adapter_path, &o, err);
    loom_model_files_release(&b);
    return st;
}

static loom_optimizer_kind kind;

static loom_status train_step(loom_err *err)
{
    static const int32_t tokens[] = {1, 4, 3, 2, 5, 1, 0, 3}, labels[] = {4, 3, 2, 5, 1, 0, 3, LOOM_IGNORE};
    loom_config c = rig_small(32);
    loom_lora_config lc = {.R = 2, .alpha = 4, .dropout = 0.1, .targets = 1u << LOOM_ROLE_Q | 1u << LOOM_ROLE_DOWN};
    loom_batch batch = {.N = 8, .n_segments = 1, .tokens = tokens, .labels = labels, .segments = (int64_t[]){0, 8}};
    loom_acts_options ao = {.max_rows = 8, .max_seq = 8, .grad = true};
    loom_optimizer_options oo = {.kind = kind, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .momentum = 0.9};
    loom_llama *m = NULL;
    loom_lora *lora = NULL;
    loom_acts *acts = NULL;
    loom_optimizer *opt = NULL;
    loom_loss loss;
    c.V = 11;
    LOOM_TRY(loom_llama_new(&m, &c, err));
    loom_llama_init(m, 1);
    loom_status st = kind == LOOM_OPTIMIZER_ADAMW ? loom_lora_new(&lora, &c, &lc, err) : LOOM_OK;
    if (st == LOOM_OK && lora) st = loom_pissa_start(lora, m, err);
    const loom_tensors *table = lora ? &lora->table : &m->table;
    float *grads = st == LOOM_OK ? loom_calloc((size_t)table->floats, sizeof *grads) : NULL;
    if (st == LOOM_OK && !grads) st = loom_fail_nomem(err, "gradients");
    if (st == LOOM_OK) st = loom_acts_new(&acts, m, lora, &ao, err);
    if (st == LOOM_OK) st = loom_optimizer_new(&opt, &oo, table, NULL, err);
    if (st == LOOM_OK) st = loom_llama_grad(acts, m, lora, &batch, 1.0 / 7, grads, &loss, err);
    if (st == LOOM_OK) loom_optimizer_step(opt, lora ? lora->params : m->params, grads, 0.01, 1, 1);
    free(grads);
    loom_optimizer_free(opt);
    loom_acts_free(acts);
    loom_lora_free(lora);
    loom_llama_free(m);
    return st;
}

static loom_status decode_some(loom_err *err)
{
    loom_config c = rig_small(64);
    loom_decode_options o = {.max_rows = 8, .max_seqs = 3, .positions = 64};
    loom_llama *m = NULL;
    loom_decode *d = NULL;
    loom_sampler *s = NULL;
    float logits[11];
    c.V = 11;
    LOOM_TRY(loom_llama_new(&m, &c, err));
    loom_llama_init(m, 1);
    loom_status st = loom_decode_new(&d, m, NULL, &o, err);
    if (st == LOOM_OK) st = loom_sampler_new(&s, c.V, err);
    if (st == LOOM_OK) {
        int32_t seq = loom_decode_open(d);
        loom_decode_row rows[] = {{seq, 1, false}, {seq, 5, true}};
        st = seq < 0 ? loom_fail_nomem(err, "a sequence") : loom_decode_run(d, rows, 2, logits, err);
    }
    if (s) loom_sampler_free(s);
    loom_decode_free(d);
    loom_llama_free(m);
    return st;
}

TEST(models)
{
    failing_memory_sweep("loading a model", load_model, POINTS);
    adapter_path = FROZEN("adapter.h5");
    failing_memory_sweep("loading an adapter", load_model, POINTS);
    kind = LOOM_OPTIMIZER_ADAMW;
    failing_memory_sweep("a step beside a frozen model", train_step, POINTS);
    kind = LOOM_OPTIMIZER_MUON;
    failing_memory_sweep("a step of the whole model", train_step, POINTS);
    failing_memory_sweep("decoding", decode_some, POINTS);
}

/* ---- small networks ---- */

enum { ROWS = 24 };

static loom_status fit_machines(loom_err *err)
{
    float x[ROWS * 2], z[ROWS * 4];
    bool y[ROWS];
    loom_rng rng;
    loom_scaler scale = {0};
    loom_fourier f = {0};
    loom_svm svm = {0};
    loom_logistic fit = {0};
    loom_svm_conf sc = {.C = 1, .gap = 0.1, .passes = 20};
    loom_logistic_conf lc = {.solver = LOOM_SOLVER_LBFGS, .decay = 0.1},
                       ac = {.solver = LOOM_SOLVER_ADAM, .lr = 0.01, .batch = 8, .epochs = 1};
    loom_rng_seed(&rng, 1, "rows", 0);
    for (int i = 0; i < ROWS; i++) {
        y[i] = i % 2;
        x[2 * i] = (float)loom_rng_f64(&rng);
        x[2 * i + 1] = (float)(loom_rng_f64(&rng) + y[i]);
    }
    loom_status st = loom_scaler_fit(&scale, x, ROWS, 2, err);
    if (st == LOOM_OK) loom_scaler_apply(x, &scale, ROWS);
    if (st == LOOM_OK) st = loom_fourier_draw(&f, 4, 2, 0.5, &rng, err);
    if (st == LOOM_OK) loom_fourier_apply(z, x, &f, ROWS);
    if (st == LOOM_OK) st = loom_svm_fit(&svm, z, y, ROWS, 4, &sc, err);
    if (st == LOOM_OK) st = loom_logistic_fit(&fit, x, y, ROWS, 2, &lc, err);
    loom_logistic_release(&fit);
    if (st == LOOM_OK) st = loom_logistic_fit(&fit, x, y, ROWS, 2, &ac, err);
    loom_logistic_release(&fit);
    loom_svm_release(&svm);
    loom_fourier_release(&f);
    loom_scaler_release(&scale);
    return st;
}

static loom_status fit_rows(loom_err *err)
{
    int32_t classes[] = {3}, ids[ROWS], drawn[4];
    double values[ROWS], made[4], loss;
    loom_table rows = {
        .n = ROWS, .n_discrete = 1, .n_continuous = 1, .discrete = ids, .classes = classes, .continuous = values};
    loom_tvae_conf conf = {.width = 4, .code = 2, .batch = 8, .seed = 1};
    loom_tvae *t = NULL;
    loom_rng rng;
    loom_rng_seed(&rng, 1, "rows", 0);
    for (int i = 0; i < ROWS; i++) {
        ids[i] = i % 3;
        values[i] = loom_rng_f64(&rng) + 5 * (i % 2);
    }
    loom_status st = loom_tvae_new(&t, &rows, &conf, err);
    if (st == LOOM_OK) st = loom_tvae_epoch(t, &loss, err);
    if (st == LOOM_OK) st = loom_tvae_draw(t, drawn, made, 4, &rng, err);
    loom_tvae_free(t);
    return st;
}

static loom_status fit_trees(loom_err *err)
{
    static const int64_t first[] = {0, 2, 5};
    static const int32_t type[] = {0, 1, 0, 1, 2}, parent[] = {-1, 0, -1, 0, 1};
    static const float value[] = {0.1f, -0.3f, 0.5f, 1, -1};
    loom_trees trees = {.n = 2, .first = first, .type = type, .parent = parent, .value = value};
    loom_tree_vae_conf conf = {.epochs = 3, .batch = 2, .seed = 1};
    loom_tree_vae *v = NULL;
    loom_status st = loom_tree_vae_new(&v, 3, &conf, err);
    if (st == LOOM_OK) st = loom_tree_vae_train(v, &trees, err);
    loom_tree_vae_free(v);
    return st;
}

TEST(small_networks)
{
    failing_memory_sweep("machines", fit_machines, POINTS);
    failing_memory_sweep("rows of a table", fit_rows, POINTS);
    failing_memory_sweep("trees", fit_trees, POINTS);
}

TEST(folder_is_clean)
{
    static const char *const names[] = {"x.tokens.h5", "x.h5", "x.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_folder(names[i]));
    CHECK(rmdir(folder) == 0); /* no temporary file is left */
}

TEST_MAIN(loom_blas_start(argc, argv); if (!mkdtemp(folder)) return 1;
          RUN(tokenizers) RUN(stores) RUN(models) RUN(small_networks) RUN(folder_is_clean))
