/* Models and adapters in and out of Hugging Face's formats, checked by what they compute: the golden logits. */
#include <stdarg.h>
#include <unistd.h>

#include "core/file.h"
#include "core/log.h"
#include "model/blas.h"
#include "model/model_files.h"
#include "model/step.h"
#include "test.h"
#include "train/train_cmds.h"

static char dir[] = "/tmp/loom-interop.XXXXXX";

static const char *in_dir(const char *name)
{
    static char text[8][256];
    static int i;

    i = (i + 1) % 8;
    snprintf(text[i], sizeof text[i], "%s/%s", dir, name);
    return text[i];
}

static const char *golden(const char *name)
{
    static char text[4][256];
    static int i;

    i = (i + 1) % 4;
    snprintf(text[i], sizeof text[i], "%s/tests/golden/llama/%s", LOOM_SOURCE_DIR, name);
    return text[i];
}

/* Runs a subcommand on one argument, with "--name", "value" pairs up to NULL. */
static loom_status command(const loom_cmd *cmd, loom_err *err, const char *arg, ...)
{
    void *conf = calloc(1, cmd->conf_size);
    loom_arena arena = {0};
    char *args[1] = {(char *)(uintptr_t)arg};
    loom_ctx ctx = {.program = "loom-train",
                    .cmd = cmd,
                    .conf = conf,
                    .args = args,
                    .n_args = 1,
                    .command_line = "test",
                    .common = {.threads = 1, .seed = 7, .quiet = true, .progress = 2}};
    loom_status st = loom_opt_defaults(conf, cmd->opts, &arena, err);
    va_list list;

    va_start(list, arg);
    for (const char *name; st == LOOM_OK && (name = va_arg(list, const char *));) {
        const loom_opt *opt = loom_opt_find(cmd->opts, name);
        const char *value = va_arg(list, const char *);
        st = opt ? loom_opt_set(conf, opt, value, name, &arena, err)
                 : loom_fail(err, LOOM_STATUS_ARG, "no option %s", name);
    }
    va_end(list);
    if (st == LOOM_OK) st = cmd->run(&ctx, err);
    loom_arena_release(&arena);
    free(conf);
    return st;
}

/* Relative error of the logits a model computes against those of a golden case. */
static double logit_error(const char *which, const char *model, const char *adapter, bool frozen)
{
    loom_model_files b = {0};
    loom_model_files_options o = {.frozen = frozen};
    loom_acts *acts = NULL;
    loom_safetensors *expected = NULL;
    char path[300];
    loom_err err = {0};
    double difference = 0, size = 0;
    int32_t tokens[3 * 37];
    const int64_t segments[] = {0, 37, 74, 111};
    loom_batch batch = {.N = 111, .n_segments = 3, .tokens = tokens, .segments = segments};
    loom_acts_options ao = {.max_rows = 111, .max_seq = 37};

    snprintf(path, sizeof path, "%s/expected.safetensors", golden(which));
    if (loom_model_files_load(&b, model, adapter, &o, &err) != LOOM_OK ||
        loom_safetensors_open(&expected, path, &err) != LOOM_OK ||
        loom_acts_new(&acts, b.model, b.lora, &ao, &err) != LOOM_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return INFINITY;
    }
    memcpy(tokens, loom_safetensors_find(expected, "tokens")->data, sizeof tokens);
    size_t n = (size_t)(111 * b.model->config.V);
    float *logits = calloc(n, sizeof *logits), *want = calloc(n, sizeof *want);
    if (loom_llama_logits(acts, b.model, b.lora, &batch, logits, &err) != LOOM_OK) fprintf(stderr, "%s\n", err.msg);
    memcpy(want, loom_safetensors_find(expected, "logits")->data, n * sizeof *want);
    for (size_t i = 0; i < n; i++) {
        difference += pow((double)logits[i] - (double)want[i], 2);
        size += pow((double)want[i], 2);
    }
    free(logits);
    free(want);
    loom_acts_free(acts);
    loom_model_files_release(&b);
    loom_safetensors_close(&expected);
    return sqrt(difference / size);
}

TEST(reads_folders)
{
    CHECK(logit_error("mha-untied", golden("mha-untied"), NULL, false) < 1e-5);
    CHECK(logit_error("gqa-tied-llama3rope", golden("gqa-tied-llama3rope"), NULL, false) < 1e-5);
    CHECK(logit_error("lora-qv", golden("lora-qv"), golden("lora-qv"), false) < 1e-5);
    CHECK(logit_error("lora-all", golden("lora-all"), golden("lora-all"), false) < 1e-5);
    CHECK(logit_error("lora-all", golden("lora-all"), NULL, false) > 1e-2); /* the adapter does something */
}

/* Folder to checkpoint and back: the same numbers. */
TEST(imports_and_exports)
{
    loom_err err = {0};
    loom_safetensors *a = NULL, *b = NULL;

    REQUIRE_OK(command(&loom_cmd_import, &err, golden("gqa-untied-masked"), "output", in_dir("m.h5"), NULL), err);
    CHECK(logit_error("gqa-untied-masked", in_dir("m.h5"), NULL, false) < 1e-5);
    CHECK(command(&loom_cmd_import, &err, golden("gqa-untied-masked"), "output", in_dir("m.h5"), NULL) ==
          LOOM_STATUS_ARG);
    REQUIRE_OK(command(&loom_cmd_export, &err, in_dir("m.h5"), "output", in_dir("hf"), "max-gb", "0.00005", NULL), err);
    CHECK(loom_file_exists(in_dir("hf/model.safetensors.index.json")));
    CHECK(loom_file_exists(in_dir("hf/generation_config.json")));
    CHECK(logit_error("gqa-untied-masked", in_dir("hf"), NULL, false) < 1e-5);
    REQUIRE_OK(loom_safetensors_open(&a, golden("gqa-untied-masked"), &err), err);
    REQUIRE_OK(loom_safetensors_open(&b, in_dir("hf"), &err), err);
    CHECK_I64(loom_safetensors_count(a), loom_safetensors_count(b));
    for (size_t i = 0; i < loom_safetensors_count(a); i++) {
        const loom_tensor_view *x = loom_safetensors_at(a, i), *y = loom_safetensors_find(b, x->name);
        CHECK(y && y->bytes == x->bytes && memcmp(x->data, y->data, x->bytes) == 0);
    }
    loom_safetensors_close(&a);
    loom_safetensors_close(&b);
}

/* bfloat16 weights stay in the file and compute nearly the same; the exported type is theirs. */
TEST(bfloat16)
{
    loom_err err = {0};
    loom_model_files b = {0};
    loom_model_files_options o = {.frozen = true};
    loom_safetensors *st = NULL;

    REQUIRE_OK(command(&loom_cmd_import, &err, golden("lora-qv"), "output", in_dir("b.h5"), "dtype", "bf16", NULL),
               err);
    REQUIRE_OK(loom_model_files_load(&b, in_dir("b.h5"), NULL, &o, &err), err);
    CHECK(b.model->frozen);
    loom_model_files_release(&b);
    CHECK(logit_error("lora-qv", in_dir("b.h5"), golden("lora-qv"), true) < 0.03);
    CHECK(fabs(logit_error("lora-qv", in_dir("b.h5"), golden("lora-qv"), true) -
               logit_error("lora-qv", in_dir("b.h5"), golden("lora-qv"), false)) < 1e-5);
    REQUIRE_OK(command(&loom_cmd_export, &err, in_dir("b.h5"), "output", in_dir("bhf"), NULL), err);
    REQUIRE_OK(loom_safetensors_open(&st, in_dir("bhf"), &err), err);
    CHECK_I64(loom_safetensors_find(st, "lm_head.weight")->dtype, LOOM_DTYPE_BF16);
    loom_safetensors_close(&st);
    REQUIRE_OK(loom_model_files_load(&b, in_dir("bhf"), NULL, &o, &err), err);
    CHECK(b.model->frozen);
    loom_model_files_release(&b);
    CHECK(logit_error("lora-qv", in_dir("bhf"), golden("lora-qv"), true) < 0.03);
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
    loom_buf b = {0};
    loom_err err = {0};
    char path[300];

    snprintf(path, sizeof path, "%s/%s", from_dir, name);
    REQUIRE_OK(loom_file_read(&b, path, 1 << 24, &err), err);
    snprintf(path, sizeof path, "%s/%s", to_dir, name);
    REQUIRE_OK(loom_make_dirs(to_dir, &err), err);
    REQUIRE_OK(loom_file_write(path, b.data, b.len, true, &err), err);
    loom_buf_release(&b);
}

/* The golden folders hold model and adapter together; Hugging Face keeps them apart. */
static void part_folder(const char *which, const char *model, const char *adapter)
{
    copy_file(golden(which), model, "config.json");
    copy_file(golden(which), model, "model.safetensors");
    copy_file(golden(which), adapter, "adapter_config.json");
    copy_file(golden(which), adapter, "adapter_model.safetensors");
}

/* PEFT to adapter checkpoint, to merged models, and back to PEFT. */
TEST(adapters)
{
    loom_err err = {0};
    loom_safetensors *a = NULL, *b = NULL;

    part_folder("lora-all", in_dir("base"), in_dir("peft"));
    CHECK(command(&loom_cmd_import, &err, in_dir("peft"), "output", in_dir("ad.h5"), NULL) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--base"));
    REQUIRE_OK(command(&loom_cmd_import, &err, in_dir("base"), "output", in_dir("base.h5"), NULL), err);
    REQUIRE_OK(
        command(&loom_cmd_import, &err, in_dir("peft"), "output", in_dir("ad.h5"), "base", in_dir("base.h5"), NULL),
        err);
    CHECK(logit_error("lora-all", in_dir("ad.h5"), NULL, false) < 1e-5);
    CHECK(logit_error("lora-all", in_dir("base"), in_dir("ad.h5"), false) < 1e-5);
    REQUIRE_OK(command(&loom_cmd_merge, &err, in_dir("ad.h5"), "output", in_dir("merged.h5"), NULL), err);
    CHECK(logit_error("lora-all", in_dir("merged.h5"), NULL, false) < 1e-5);
    REQUIRE_OK(command(&loom_cmd_merge, &err, in_dir("base"), "adapter", in_dir("peft"), "output", in_dir("mhf"), NULL),
               err);
    CHECK(logit_error("lora-all", in_dir("mhf"), NULL, false) < 1e-5);
    CHECK(command(&loom_cmd_merge, &err, in_dir("base"), "output", in_dir("no"), NULL) == LOOM_STATUS_ARG);
    REQUIRE_OK(command(&loom_cmd_export, &err, in_dir("ad.h5"), "output", in_dir("peft2"), "base-name", "b", NULL),
               err);
    REQUIRE_OK(loom_safetensors_open(&a, in_dir("peft"), &err), err);
    REQUIRE_OK(loom_safetensors_open(&b, in_dir("peft2"), &err), err);
    CHECK_I64(loom_safetensors_count(a), loom_safetensors_count(b));
    for (size_t i = 0; i < loom_safetensors_count(a); i++) {
        const loom_tensor_view *x = loom_safetensors_at(a, i), *y = loom_safetensors_find(b, x->name);
        CHECK(y && y->bytes == x->bytes && memcmp(x->data, y->data, x->bytes) == 0);
    }
    loom_safetensors_close(&a);
    loom_safetensors_close(&b);
    CHECK(logit_error("lora-all", in_dir("base"), in_dir("peft2"), false) < 1e-5);
}

/* Rewrites a folder's tensors but the one named `without`; `odd`: with names that PEFT writes in memory. */
static void rewrite(const char *from, const char *to, const char *without, bool odd)
{
    loom_safetensors *st = NULL;
    loom_err err = {0};
    loom_safetensors_item items[64] = {0};
    const float one = 1;
    char names[64][160];
    size_t n = 0;

    REQUIRE_OK(loom_safetensors_open(&st, from, &err), err);
    for (size_t i = 0; i < loom_safetensors_count(st); i++) {
        const loom_tensor_view *v = loom_safetensors_at(st, i);
        const char *last = strrchr(v->name, '.');
        if (without && strcmp(v->name, without) == 0) continue;
        if (odd) snprintf(names[n], sizeof names[n], "%.*s.default%s", (int)(last - v->name), v->name, last);
        else snprintf(names[n], sizeof names[n], "%s", v->name);
        items[n] = (loom_safetensors_item){.view = *v, .from = v->dtype};
        items[n].view.name = names[n];
        n++;
    }
    if (!without && !odd)
        items[n++] = (loom_safetensors_item){
            .view = {.name = "model.extra", .dtype = LOOM_DTYPE_F32, .rank = 1, .shape = {1}, .data = &one},
            .from = LOOM_DTYPE_F32};
    REQUIRE_OK(loom_safetensors_write(to, true, items, n, NULL, 0, &err), err);
    loom_safetensors_close(&st);
}

/* Tensors that are missing, left over or of another shape are named. */
TEST(refuses)
{
    loom_model_files b = {0};
    loom_model_files_options o = {0};
    loom_err err = {0};

    copy_file(golden("mha-untied"), in_dir("bad"), "config.json");
    rewrite(golden("mha-untied"), in_dir("bad/model.safetensors"), "model.layers.1.self_attn.k_proj.weight", false);
    CHECK(loom_model_files_load(&b, in_dir("bad"), NULL, &o, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "lacks 1 tensors") && strstr(err.msg, "model.layers.1.self_attn.k_proj.weight"));
    CHECK(command(&loom_cmd_import, &err, in_dir("bad"), "output", in_dir("bad.h5"), NULL) == LOOM_STATUS_FORMAT);
    CHECK(!loom_file_exists(in_dir("bad.h5")));
    rewrite(golden("mha-untied"), in_dir("bad/model.safetensors"), NULL, false);
    CHECK(loom_model_files_load(&b, in_dir("bad"), NULL, &o, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "model.extra"));
    copy_file(golden("gqa-untied-masked"), in_dir("bad"), "model.safetensors");
    CHECK(loom_model_files_load(&b, in_dir("bad"), NULL, &o, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "the model needs ["));
    CHECK(loom_model_files_load(&b, golden("mha-untied"), golden("lora-all"), &o, &err) == LOOM_STATUS_FORMAT);
}

/* Other spellings of the tensors' names are read, and said. */
TEST(odd_names)
{
    loom_model_files b = {0};
    loom_model_files_options o = {0};
    loom_err err = {0};

    part_folder("lora-qv", in_dir("qv"), in_dir("qvpeft"));
    rewrite(in_dir("qvpeft"), in_dir("qvpeft/adapter_model.safetensors"), NULL, true);
    REQUIRE_OK(loom_model_files_load(&b, in_dir("qv"), in_dir("qvpeft"), &o, &err), err);
    CHECK(b.note[0]);
    loom_model_files_release(&b);
    CHECK(logit_error("lora-qv", in_dir("qv"), in_dir("qvpeft"), false) < 1e-5);
    part_folder("lora-qv", in_dir("qv2"), in_dir("qvpeft2"));
    rewrite(in_dir("qvpeft2"), in_dir("qvpeft2/adapter_model.safetensors"),
            "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight", false);
    CHECK(loom_model_files_load(&b, in_dir("qv2"), in_dir("qvpeft2"), &o, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "layers.0.self_attn.v_proj.lora_B"));
}

static void start(void)
{
    if (!mkdtemp(dir)) exit(1);
    loom_log_set_level(LOOM_LOG_QUIET);
}

static void finish(void)
{
    char text[300];

    snprintf(text, sizeof text, "rm -r %s", dir);
    if (system(text) != 0) fprintf(stderr, "%s stays\n", dir);
}

TEST_MAIN(loom_blas_start(argc, argv); start();
          RUN(reads_folders) RUN(imports_and_exports) RUN(bfloat16) RUN(adapters) RUN(refuses) RUN(odd_names) finish();)
